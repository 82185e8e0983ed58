//! Finds values that no AWS service accepts: null, lists that must not be empty, malformed ids, names that are taken twice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::limits::{Filled, name_of};
use super::{Finding, Problem};
use crate::body::Body;

/// Lists under these keys must not be empty.
const NOT_EMPTY: [&str; 3] = ["Action", "Resource", "Statement"];
/// A logical id has at most this many characters.
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html>
const ID_CHARACTERS_MAX: usize = 255;

pub(super) fn findings(body: &Body) -> Vec<Finding> {
    let (filled, mut findings, mut names) = (Filled::new(body), Vec::new(), BTreeMap::new());
    let finding = |id: &str, problem: Problem| Finding { id: id.to_owned(), problem };
    for section in ["Parameters", "Conditions", "Outputs"] {
        look(section, &body.template[section], "", &mut findings);
    }
    for (id, resource) in body.template["Resources"].as_object().into_iter().flatten() {
        if id.len() > ID_CHARACTERS_MAX || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
            findings.push(finding(id, Problem::Id));
        }
        if is_suspect(resource) {
            look(id, resource, "", &mut findings);
        }
        if let Some(other) = named(&filled, resource).and_then(|named| names.insert(named, id)) {
            findings.push(finding(id, Problem::SameName(other.clone())));
        }
    }
    findings
}

/// Returns the type, the group and the name of a resource that has a name.
fn named(filled: &Filled<'_>, resource: &Value) -> Option<(String, String, String)> {
    let (name, _) = name_of(resource)?;
    let group = filled.text(&resource["Properties"]["GroupName"]);
    Some((resource["Type"].to_string(), group, filled.text(name)))
}

/// Returns the type and the name of each resource of a body that has a name, with its group before it.
#[cfg(test)]
pub(crate) fn names(body: &Body) -> std::collections::BTreeSet<(String, String)> {
    let filled = Filled::new(body);
    let resources = body.template["Resources"].as_object().into_iter().flatten();
    let all = resources.filter_map(|(_, resource)| named(&filled, resource));
    all.map(|(kind, group, name)| (kind, format!("{group}/{name}"))).collect()
}

/// Returns whether a value holds null or an empty list. That is cheaper than to know where.
fn is_suspect(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty() || elements.iter().any(is_suspect),
        Value::Object(entries) => entries.values().any(is_suspect),
        _ => false,
    }
}

/// Looks for null and for empty lists below a path.
fn look(id: &str, value: &Value, path: &str, findings: &mut Vec<Finding>) {
    match value {
        Value::Null if !path.is_empty() => {
            findings.push(Finding { id: id.to_owned(), problem: Problem::Null(path.to_owned()) });
        }
        Value::Array(elements) => {
            let last = path.rsplit('.').next().unwrap_or(path);
            if elements.is_empty() && NOT_EMPTY.contains(&last) {
                findings.push(Finding { id: id.to_owned(), problem: Problem::Empty(path.to_owned()) });
            }
            for (position, element) in elements.iter().enumerate() {
                look(id, element, &format!("{path}[{position}]"), findings);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                look(id, value, &below, findings);
            }
        }
        _ => {}
    }
}
