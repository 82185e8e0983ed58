//! Finds what the values of a template refer to.

use serde_json::Value;

/// The values that CloudFormation itself defines.
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html>
const OWN: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// What a value refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// A parameter or a resource.
    Value(&'a str),
    /// A resource, for one of its attributes or as a dependency.
    Resource(&'a str),
    Condition(&'a str),
}

impl<'a> Reference<'a> {
    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Value(name) | Self::Resource(name) | Self::Condition(name) => name,
        }
    }

    pub(crate) fn resolves(self, template: &Value) -> bool {
        let has = |section: &str, name: &str| template[section].get(name).is_some();
        match self {
            Self::Value(name) => OWN.contains(&name) || has("Parameters", name) || has("Resources", name),
            Self::Resource(name) => has("Resources", name),
            Self::Condition(name) => has("Conditions", name),
        }
    }
}

/// Returns whether the template has everything that a value refers to.
pub(crate) fn resolves(template: &Value, value: &Value) -> bool {
    let mut found = Vec::new();
    collect(value, &mut found);
    found.into_iter().all(|reference| reference.resolves(template))
}

/// Returns the names of the resources and parameters that a value refers to.
pub(crate) fn referred(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found.into_iter().map(Reference::name).collect()
}

pub(crate) fn collect_in_condition<'a>(value: &'a Value, found: &mut Vec<Reference<'a>>) {
    match (value, alone(value)) {
        (_, Some(("Condition", Value::String(name)))) => found.push(Reference::Condition(name)),
        (_, Some((name, Value::Array(parts)))) if name != "Fn::GetAtt" => {
            parts.iter().for_each(|part| collect_in_condition(part, found));
        }
        _ => collect(value, found),
    }
}

pub(crate) fn collect<'a>(value: &'a Value, found: &mut Vec<Reference<'a>>) {
    match (alone(value), value) {
        (Some(("Ref", Value::String(name))), _) => found.push(Reference::Value(name)),
        (Some(("Fn::GetAtt", of)), _) => {
            let id = of.as_str().and_then(|text| text.split('.').next()).or_else(|| of.get(0)?.as_str());
            found.extend(id.map(Reference::Resource));
        }
        (Some(("Fn::Sub", Value::String(text))), _) => collect_in_text(text, None, found),
        (Some(("Fn::Sub", Value::Array(parts))), _) => {
            let (text, values) = (parts.first().and_then(Value::as_str), parts.get(1));
            collect_in_text(text.unwrap_or_default(), values, found);
            values.into_iter().for_each(|values| collect(values, found));
        }
        (Some(("Fn::If", Value::Array(parts))), _) => {
            found.extend(parts.first().and_then(Value::as_str).map(Reference::Condition));
            parts.iter().skip(1).for_each(|part| collect(part, found));
        }
        (_, Value::Array(elements)) => elements.iter().for_each(|element| collect(element, found)),
        (_, Value::Object(entries)) => entries.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn collect_in_text<'a>(text: &'a str, own: Option<&Value>, found: &mut Vec<Reference<'a>>) {
    for name in names(text).filter(|name| own.is_none_or(|own| own.get(*name).is_none())) {
        found.push(match name.split_once('.') {
            Some((id, _)) => Reference::Resource(id),
            None => Reference::Value(name),
        });
    }
}

/// Returns the names between `${` and `}`, except those that are escaped as `${!NAME}`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("${").skip(1);
    parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name.trim()).filter(|name| !name.starts_with('!'))
}

/// Returns a text with every `${NAME}` filled in, or `None` if one is unknown.
pub(crate) fn parts_of_sub(text: &str, fill: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        match name.strip_prefix('!') {
            Some(literal) => filled.push_str(&format!("${{{literal}}}")),
            None => filled.push_str(&fill(name.trim())?),
        }
        filled.push_str(rest);
    }
    Some(filled)
}

/// Returns the only key of an object, with its value.
pub(crate) fn alone(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_object().filter(|entries| entries.len() == 1)?;
    entries.iter().next().map(|(key, value)| (key.as_str(), value))
}
