//! Finds properties that are valid on their own but not in combination.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Problem};
use crate::body::Body;
use crate::references::alone;

/// The visibility timeout of a queue, and the timeout of a function, that set none. In seconds.
const VISIBLE_AFTER: u64 = 30;
const TIMEOUT: u64 = 3;

pub(super) fn findings(body: &Body) -> Vec<Finding> {
    let resources = &body.template["Resources"];
    let mut findings = Vec::new();
    for (id, resource) in resources.as_object().into_iter().flatten() {
        let properties = &resource["Properties"];
        let problems = match resource["Type"].as_str().unwrap_or_default() {
            "AWS::DynamoDB::Table" => key_attributes(properties),
            "AWS::Lambda::EventSourceMapping" => visible_too_soon(resources, properties).into_iter().collect(),
            _ => Vec::new(),
        };
        findings.extend(problems.into_iter().map(|problem| Finding { id: id.clone(), problem }));
    }
    findings
}

/// Returns the attributes that only the keys of a table and its indexes name, or only the definitions.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html>
fn key_attributes(table: &Value) -> Vec<Problem> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let names = |attributes: &Value| -> BTreeSet<String> {
        list(attributes).iter().filter_map(|attribute| Some(attribute["AttributeName"].as_str()?.to_owned())).collect()
    };
    let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"].iter().flat_map(|kind| list(&table[*kind]));
    let keys: BTreeSet<String> =
        names(&table["KeySchema"]).into_iter().chain(indexes.flat_map(|index| names(&index["KeySchema"]))).collect();
    let defined = names(&table["AttributeDefinitions"]);
    keys.symmetric_difference(&defined).cloned().map(Problem::KeyAttribute).collect()
}

/// Returns whether a mapping's queue shows a message again before its function times out, which Lambda refuses.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
fn visible_too_soon(resources: &Value, mapping: &Value) -> Option<Problem> {
    let Some(("Fn::GetAtt", of)) = alone(&mapping["EventSourceArn"]) else { return None };
    let Some(("Ref", function)) = alone(&mapping["FunctionName"]) else { return None };
    let queue = of[0].as_str()?;
    let properties = |id: &str| Some(&resources.get(id)?["Properties"]);
    let seconds =
        |value: &Value, default: u64| if value.is_null() { default } else { value.as_u64().unwrap_or(u64::MAX) };
    let visible_after = seconds(&properties(queue)?["VisibilityTimeout"], VISIBLE_AFTER);
    let timeout = properties(function.as_str()?)?["Timeout"].as_u64().unwrap_or(TIMEOUT);
    (visible_after < timeout).then(|| Problem::VisibleTooSoon { queue: queue.to_owned(), visible_after, timeout })
}
