//! Compares the resources of two templates.

use std::collections::BTreeMap;

use serde_json::Value;

/// The values of a template's parameters, by name.
pub type Parameters = BTreeMap<String, String>;

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

impl Change {
    /// Returns whether the change affects who may do what.
    pub fn is_about_permissions(&self) -> bool {
        let of_policies = ["AWS::IAM::", "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];
        of_policies.iter().any(|kind| self.kind.starts_with(kind))
    }
}

/// Returns the resources that differ between two templates, each with its parameters' values. They are in the order of
/// the new template, and removed resources come last. Before the first deployment, `before` is `None`.
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

/// Returns a template's resources, with the parameters' values filled in.
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
fn named(elements: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: Option<BTreeMap<&str, &Value>> =
        elements.iter().map(|element| Some((name_of(element)?, element))).collect();
    named.filter(|named| named.len() == elements.len())
}

/// Returns the name of a list's element.
fn name_of(element: &Value) -> Option<&str> {
    // A statement under a condition keeps its name.
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
