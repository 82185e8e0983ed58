//! What differs between the stack that is there and the one that is wanted.

use std::collections::BTreeMap;

use serde_json::Value;

/// The values of a template's parameters, by name.
pub type Parameters = BTreeMap<String, String>;

/// A resource that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its logical id.
    pub id: String,
    /// Its type, as `AWS::Events::Rule`.
    pub kind: String,
    /// What becomes of it.
    pub action: Action,
    /// Which of its parts differ: nothing where it is added or removed.
    pub details: Vec<Detail>,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed.
    Modify,
    /// It is deleted.
    Remove,
}

/// A part of a resource that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Where it is, as `Properties.Environment.Variables.A`.
    pub path: String,
    /// What was there, as JSON.
    pub before: Option<String>,
    /// What will be there.
    pub after: Option<String>,
}

impl Change {
    /// Whether it changes who may do what.
    pub fn is_about_permissions(&self) -> bool {
        let of_policies = ["AWS::IAM::", "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];
        of_policies.iter().any(|kind| self.kind.starts_with(kind))
    }
}

/// The resources that differ between two templates, each with its parameters' values; in the order of the wanted template, those that are
/// removed last. Nothing is there before the first deployment.
pub fn changes(before: Option<(&Value, &Parameters)>, after: (&Value, &Parameters)) -> Vec<Change> {
    let none = (&Value::Null, &Parameters::new());
    let (before, after) = (resources(before.unwrap_or(none)), resources(after));
    let find = |all: &[(String, Value)], id: &str| {
        all.iter().find(|(known, _)| known == id).map(|(_, resource)| resource.clone())
    };
    let kind = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
    let mut changes = Vec::new();
    for (id, resource) in &after {
        let (action, details) = match find(&before, id) {
            None => (Action::Add, Vec::new()),
            Some(known) => {
                let mut details = Vec::new();
                compare("", Some(&known), Some(resource), &mut details);
                (Action::Modify, details)
            }
        };
        if action == Action::Add || !details.is_empty() {
            changes.push(Change { id: id.clone(), kind: kind(resource), action, details });
        }
    }
    for (id, resource) in before.iter().filter(|(id, _)| find(&after, id).is_none()) {
        changes.push(Change { id: id.clone(), kind: kind(resource), action: Action::Remove, details: Vec::new() });
    }
    changes
}

/// The resources of a template, parameters' values filled in.
fn resources((template, parameters): (&Value, &Parameters)) -> Vec<(String, Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources.map(|(id, resource)| (id.clone(), filled_in(resource, parameters))).collect()
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
    let fill = |text: String, (name, value): (&String, &String)| text.replace(&format!("${{{name}}}"), value);
    parameters.iter().fold(text.to_owned(), fill)
}

/// Adds what differs below a path.
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

/// The elements of a list by their names, where each has one of its own: as statements of a policy have.
fn named(elements: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: Option<BTreeMap<&str, &Value>> =
        elements.iter().map(|element| Some((name_of(element)?, element))).collect();
    named.filter(|named| named.len() == elements.len())
}

/// What a list's element is called.
fn name_of(element: &Value) -> Option<&str> {
    // A statement under a condition is called as it is without.
    let element = element.get("Fn::If").and_then(|parts| parts.get(1)).unwrap_or(element);
    ["Sid", "PolicyName", "Id"].iter().find_map(|key| element.get(*key)?.as_str())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

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
