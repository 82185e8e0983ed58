//! Compares the resources of two templates.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::body::Parameters;
use crate::template::tags;

/// A resource that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The resource's logical id.
    pub id: String,
    /// The resource's type, for example `AWS::Events::Rule`.
    pub kind: String,
    /// What a deployment does with the resource.
    pub action: Action,
    /// The parts that differ; empty if the resource is added or removed.
    pub details: Vec<Detail>,
}

/// What a deployment does with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Add,
    Modify,
    Remove,
}

/// A part of a resource that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The path to the part, for example `Properties.Environment.Variables.A`.
    pub path: String,
    /// The deployed value, as JSON.
    pub before: Option<String>,
    /// The new value, as JSON.
    pub after: Option<String>,
}

/// The properties that CloudFormation cannot change in place: it replaces the resource.
/// Source: "Update requires: Replacement" in
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html>
const CREATE_ONLY: [(&str, &[&str]); 16] = [
    ("AWS::CloudWatch::Alarm", &["AlarmName"]),
    ("AWS::CloudWatch::Dashboard", &["DashboardName"]),
    ("AWS::DynamoDB::Table", &["TableName", "KeySchema"]),
    ("AWS::Events::Rule", &["Name", "EventBusName"]),
    ("AWS::IAM::ManagedPolicy", &["Description", "ManagedPolicyName", "Path"]),
    ("AWS::IAM::Role", &["RoleName", "Path"]),
    ("AWS::Lambda::EventInvokeConfig", &["FunctionName", "Qualifier"]),
    ("AWS::Lambda::EventSourceMapping", &["EventSourceArn"]),
    ("AWS::Lambda::Function", &["FunctionName", "PackageType"]),
    ("AWS::Lambda::Permission", &["Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"]),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
    ("AWS::S3::Bucket", &["BucketName"]),
    ("AWS::S3::BucketPolicy", &["Bucket"]),
    ("AWS::SQS::Queue", &["QueueName", "FifoQueue"]),
    ("AWS::Scheduler::Schedule", &["Name"]),
    ("AWS::Scheduler::ScheduleGroup", &["Name"]),
];

impl Change {
    /// Returns whether CloudFormation replaces the resource, because a property changes that it cannot change in place.
    pub fn replaces(&self) -> bool {
        let properties = CREATE_ONLY.iter().find(|(kind, _)| self.kind == *kind).map_or(&[][..], |(_, all)| *all);
        self.details.iter().any(|detail| {
            let path = detail.path.strip_prefix("Properties.").unwrap_or_default();
            // The type of a key attribute cannot change.
            let is_type = path.starts_with("AttributeDefinitions[") && path.ends_with(".AttributeType");
            let property = path.split(['.', '[']).next().unwrap_or_default();
            detail.path == "Type" || is_type || properties.contains(&property)
        })
    }

    /// Returns whether the change affects who may do what.
    pub fn is_about_permissions(&self) -> bool {
        let of_policies = ["AWS::IAM::", "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];
        of_policies.iter().any(|kind| self.kind.starts_with(kind))
    }
}

/// Returns the resources that differ between two templates, each with its parameters' values, and the stack itself if
/// its tags differ. They are in the order of the new template, and removed resources come last. Before the first
/// deployment, `before` is `None`.
pub fn changes(before: Option<(&Value, &Parameters)>, after: (&Value, &Parameters)) -> Vec<Change> {
    let none = (&Value::Null, &Parameters::new());
    let (before, after) = (before.unwrap_or(none), after);
    let (old, new) = (resources(before.0), resources(after.0));
    let kind = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
    let mut changes = Vec::new();
    let mut retagged = Vec::new();
    if old.is_some() {
        let (old, new) = (json!(tags(before.0)), json!(tags(after.0)));
        compare("Tags", Some(&old), Some(&new), &mut retagged);
    }
    if !retagged.is_empty() {
        let (id, kind) = ("Stack".to_owned(), "AWS::CloudFormation::Stack".to_owned());
        changes.push(Change { id, kind, action: Action::Modify, details: retagged });
    }
    for (id, resource) in new.into_iter().flatten() {
        let (action, details) = match old.and_then(|old| old.get(id)) {
            None => (Action::Add, Vec::new()),
            Some(known) => {
                let mut details = Vec::new();
                compare("", Some(&filled_in(known, before.1)), Some(&filled_in(resource, after.1)), &mut details);
                (Action::Modify, details)
            }
        };
        if action == Action::Add || !details.is_empty() {
            changes.push(Change { id: id.clone(), kind: kind(resource), action, details });
        }
    }
    let is_gone = |id: &str| new.is_none_or(|new| !new.contains_key(id));
    for (id, resource) in old.into_iter().flatten().filter(|(id, _)| is_gone(id)) {
        changes.push(Change { id: id.clone(), kind: kind(resource), action: Action::Remove, details: Vec::new() });
    }
    changes
}

/// Returns whether the new template may let events arrive that did not arrive before.
pub(super) fn brings_events(before: (&Value, &Parameters), after: (&Value, &Parameters)) -> bool {
    const SOURCES: [&str; 3] = ["AWS::Events::Rule", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping"];
    let mut all = resources(after.0).into_iter().flatten();
    all.any(|(id, resource)| {
        let known = resources(before.0).and_then(|old| old.get(id));
        SOURCES.iter().any(|kind| resource["Type"] == *kind)
            && known.is_none_or(|known| filled_in(known, before.1) != filled_in(resource, after.1))
    })
}

fn resources(template: &Value) -> Option<&Map<String, Value>> {
    template["Resources"].as_object()
}

pub(crate) fn filled_in(value: &Value, parameters: &Parameters) -> Value {
    let of_parameter = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("Ref"));
    if let Some(value) = of_parameter.and_then(Value::as_str).and_then(|name| parameters.get(name)) {
        return value.as_str().into();
    }
    match value {
        Value::Array(elements) => elements.iter().map(|element| filled_in(element, parameters)).collect(),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| match value.as_str() {
                Some(text) if key == "Fn::Sub" => (key.clone(), parts_filled_in(text, parameters).into()),
                _ => (key.clone(), filled_in(value, parameters)),
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

fn parts_filled_in(text: &str, parameters: &Parameters) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = part.split_once('}').and_then(|(name, rest)| Some((parameters.get(name)?, rest)));
        match known {
            Some((value, rest)) => filled.extend([value.as_str(), rest]),
            None => filled.extend(["${", part]),
        }
    }
    filled
}

/// Adds the differences below a path.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, details: &mut Vec<Detail>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&below, old.get(key), new.get(key), details);
        }
        return;
    }
    if let (Some(Value::Array(old)), Some(Value::Array(new))) = (before, after) {
        if let Some((old, new)) = named(old).zip(named(new)) {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&format!("{path}[{name}]"), old.get(name).copied(), new.get(name).copied(), details);
            }
            return;
        }
        for position in 0..old.len().max(new.len()) {
            compare(&format!("{path}[{position}]"), old.get(position), new.get(position), details);
        }
        return;
    }
    let shown = |value: Option<&Value>| value.map(Value::to_string);
    details.push(Detail { path: path.to_owned(), before: shown(before), after: shown(after) });
}

/// Returns the elements of a list by name, if each has a unique one, as the statements of a policy do.
pub(super) fn named(elements: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: Option<BTreeMap<&str, &Value>> =
        elements.iter().map(|element| Some((name_of(element)?, element))).collect();
    named.filter(|named| named.len() == elements.len())
}

/// Returns the name of a list's element.
fn name_of(element: &Value) -> Option<&str> {
    // A statement under a condition keeps its name.
    let element = element.get("Fn::If").and_then(|parts| parts.get(1)).unwrap_or(element);
    ["Sid", "PolicyName", "Id", "IndexName", "AttributeName"].iter().find_map(|key| element.get(*key)?.as_str())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{Parameters, Value, changes};

    fn check(before: Option<Value>, after: &Value, expect: &Expect) {
        let parameters = Parameters::from([("Code".to_owned(), "b.zip".to_owned())]);
        let old = Parameters::from([("Code".to_owned(), "a.zip".to_owned())]);
        let changes = changes(before.as_ref().map(|before| (before, &old)), (after, &parameters));
        let line = |change: &super::Change| {
            let details = change.details.iter().map(|detail| {
                let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
                format!("\n  {}: {} -> {}", detail.path, side(&detail.before), side(&detail.after))
            });
            format!("{:?} {} {}{}", change.action, change.kind, change.id, details.collect::<String>())
        };
        expect.assert_eq(&changes.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    fn rule(target: &str) -> Value {
        json!({ "Type": "AWS::Events::Rule", "Properties": { "Targets": [{ "Arn": target }] } })
    }

    #[test]
    fn a_resource_is_replaced_if_a_property_changes_that_cannot_change_in_place() {
        let parameters = Parameters::new();
        let queue = |name: &str, seconds: u32| {
            let properties = json!({ "QueueName": { "Fn::Sub": name }, "VisibilityTimeout": seconds });
            json!({ "Resources": { "Q": { "Type": "AWS::SQS::Queue", "Properties": properties } } })
        };
        for (name, seconds, is_replaced) in [("a", 2, false), ("b", 1, true), ("b", 2, true)] {
            let (before, after) = (queue("a", 1), queue(name, seconds));
            let changes = changes(Some((&before, &parameters)), (&after, &parameters));
            assert_eq!(
                changes.iter().map(super::Change::replaces).collect::<Vec<_>>(),
                [is_replaced],
                "{name} {seconds}"
            );
        }
    }

    #[test]
    fn a_table_is_replaced_if_its_name_or_key_changes_and_not_if_its_index_does() {
        let storage = |top: &str| {
            let text = format!("version: 1\nstorage: {{ bucket: state{top} }}\ntasks: {{}}\nroutes: []\n");
            let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
            crate::storage(&config).expect("has a table").to_json()
        };
        let parameters = Parameters::new();
        let check = |after: &Value, expected: &[(&str, bool)]| {
            let changes = changes(Some((&storage(""), &parameters)), (after, &parameters));
            let changed: Vec<(&str, bool)> =
                changes.iter().map(|change| (change.id.as_str(), change.replaces())).collect();
            assert_eq!(changed, expected);
        };
        let edited = |edit: fn(&mut Value)| {
            let mut template = storage("");
            edit(&mut template["Resources"]["Table"]["Properties"]);
            template
        };
        check(&storage(", table: state"), &[]);
        check(&storage(", table: other"), &[("Table", true)]);
        check(&storage(", prefix: team"), &[("Storage", false), ("Table", true)]);
        check(&edited(|table| table["KeySchema"][1]["AttributeName"] = "at".into()), &[("Table", true)]);
        check(&edited(|table| table["AttributeDefinitions"][0]["AttributeType"] = "N".into()), &[("Table", true)]);
        let index = json!({ "IndexName": "by-state", "KeySchema": [{ "AttributeName": "state", "KeyType": "HASH" }] });
        let mut template = storage("");
        let table = &mut template["Resources"]["Table"]["Properties"];
        table["GlobalSecondaryIndexes"].as_array_mut().expect("is a list").insert(0, index);
        let state = json!({ "AttributeName": "state", "AttributeType": "S" });
        table["AttributeDefinitions"].as_array_mut().expect("is a list").insert(0, state);
        check(&template, &[("Table", false)]);
    }

    #[test]
    fn everything_is_added_the_first_time() {
        check(
            None,
            &json!({ "Resources": { "A": rule("a"), "B": rule("b") } }),
            &expect![[r#"
            Add AWS::Events::Rule A
            Add AWS::Events::Rule B"#]],
        );
    }

    #[test]
    fn what_is_equal_is_no_change() {
        let template = json!({ "Resources": { "A": rule("a") } });
        check(Some(template.clone()), &template, &expect![[""]]);
    }

    #[test]
    fn parts_that_differ_are_named_with_both_values() {
        let before = json!({ "Resources": { "A": rule("a"), "B": rule("b") } });
        let mut after = json!({ "Resources": { "A": rule("c"), "C": rule("c") } });
        after["Resources"]["A"]["Properties"]["State"] = "ENABLED".into();
        check(
            Some(before),
            &after,
            &expect![[r#"
            Modify AWS::Events::Rule A
              Properties.Targets[0].Arn: "a" -> "c"
              Properties.State: nothing -> "ENABLED"
            Add AWS::Events::Rule C
            Remove AWS::Events::Rule B"#]],
        );
    }

    #[test]
    fn another_value_of_a_parameter_changes_what_refers_to_it() {
        let code = json!({ "Type": "AWS::Lambda::Function", "Properties": { "Code": { "Ref": "Code" }, "Of": { "Fn::Sub": "x/${Code}" } } });
        let template = json!({ "Resources": { "A": code, "B": rule("b") } });
        check(
            Some(template.clone()),
            &template,
            &expect![[r#"
            Modify AWS::Lambda::Function A
              Properties.Code: "a.zip" -> "b.zip"
              Properties.Of.Fn::Sub: "x/a.zip" -> "x/b.zip""#]],
        );
    }
}
