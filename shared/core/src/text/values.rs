//! The leaves of a config: strings, mappings of them, and lists that may be a single value.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Decode, record, wrong_type};
use super::diagnostic::Diagnostic;
use super::{Kind, Node, Spanned, shell};

/// A string, a number or a boolean, kept as text. The only leaf that may be a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl Decode for Text {
    const EXPECTED: &'static str = "a string";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::String(text) | Kind::Number(text) => Some(Self(text.clone())),
            Kind::Bool(value) => Some(Self(value.to_string())),
            _ => wrong_type(node, problems),
        }
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string. Where the key allows templates, `{{ ... }}` is filled in from the event.",
            "type": ["string", "number", "boolean"],
        })
    }
}

/// A string that cannot be a template: an event must never choose its value.
impl Decode for String {
    const EXPECTED: &'static str = "a string";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::String(text) if ["{{", "{%"].iter().any(|opening| text.contains(opening)) => {
                problems.push(Diagnostic::error(node.span, "this key cannot be a template").help(
                    "write the value itself; an event's content may fill in values, but must not choose a cluster, \
                     task definition, role or container",
                ));
                None
            }
            Kind::String(text) if text.is_empty() => {
                problems
                    .push(Diagnostic::error(node.span, "this value is empty").help("write a value, or remove the key"));
                None
            }
            Kind::String(text) => Some(text.clone()),
            Kind::Number(text) => {
                let problem = Diagnostic::error(node.span, "expected a string, found a number");
                problems.push(problem.help(format!("write \"{text}\"")));
                None
            }
            _ => wrong_type(node, problems),
        }
    }
}

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub struct Anything(pub Node);

impl Decode for Anything {
    const EXPECTED: &'static str = "a value";

    fn decode(node: &Node, _: &mut Vec<Diagnostic>) -> Option<Self> {
        Some(Self(node.clone()))
    }
}

impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// A duration: `90s`, `15m`, `2h`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

/// A longer duration is an error: no setting means more, and sums of shorter ones cannot overflow.
const DURATION_MAX: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 3600);

impl Duration {
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }
}

/// Its seconds, as the config writes them: `90s`.
impl std::fmt::Display for Duration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}s", self.0.as_secs_f64())
    }
}

impl Decode for Duration {
    const EXPECTED: &'static str = "a duration such as `90s`, `15m` or `2h`";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let parsed = node.as_str().and_then(|text| text.parse::<jiff::SignedDuration>().ok());
        match parsed.and_then(|duration| std::time::Duration::try_from(duration).ok()) {
            Some(duration) if duration > DURATION_MAX => {
                let problem = Diagnostic::error(node.span, "the duration is longer than a year");
                problems.push(problem.help("write at most `8784h`"));
                None
            }
            Some(duration) => Some(Self(duration)),
            None => wrong_type(node, problems),
        }
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)? ?(ms|s|m|h) ?)+$" })
    }
}

/// A mapping from names to values, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping<T>(pub Vec<(Spanned<String>, T)>);

impl<T> Default for Mapping<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Mapping<T> {
    /// Returns the value named `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
    }

    /// Returns the names in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl<T> Mapping<T> {
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl<T: Clone> Mapping<T> {
    /// Returns these entries and those entries of `under` whose key is missing here.
    pub(crate) fn over(self, under: &Self) -> Self {
        let mut entries = under.0.clone();
        for (key, value) in self.0 {
            match entries.iter_mut().find(|(known, _)| known.value == key.value) {
                Some(entry) => *entry = (key, value),
                None => entries.push((key, value)),
            }
        }
        Self(entries)
    }
}

impl<T: Decode> Decode for Mapping<T> {
    const EXPECTED: &'static str = "a mapping";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let Kind::Object(entries) = &node.kind else { return wrong_type(node, problems) };
        let decoded = entries.iter().filter_map(|entry| {
            // Keep the name of a wrong value where an empty one will do: references to it are not wrong as well.
            let empty = || T::decode(&Node { span: entry.value.span, ..Node::object([]) }, &mut Vec::new());
            Some((entry.key.clone(), T::decode(&entry.value, problems).or_else(empty)?))
        });
        Some(Self(decoded.collect()))
    }

    fn fallback() -> Option<Self> {
        Some(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for Mapping<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MappingOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

/// Environment variables by name: a mapping, or AWS's own list of `name` and `value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment<T> {
    variables: Mapping<T>,
}

record! {
    /// An environment variable.
    pub struct Variable ("a mapping with `name` and `value`") {
        /// The name.
        pub name: Spanned<String>,
        /// The value.
        pub value: Anything,
    }
}

impl<T> Deref for Environment<T> {
    type Target = Mapping<T>;

    fn deref(&self) -> &Mapping<T> {
        &self.variables
    }
}

impl<T: Decode> Decode for Environment<T> {
    const EXPECTED: &'static str = "a mapping, or a list of `{ name: ..., value: ... }`";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let variables = match &node.kind {
            Kind::Object(_) => Mapping::decode(node, problems)?,
            Kind::Array(_) => {
                let mut variables: Vec<(Spanned<String>, T)> = Vec::new();
                for Variable { name, value } in Vec::decode(node, problems)? {
                    if variables.iter().any(|(known, _)| known.value == name.value) {
                        let message = format!("duplicate environment variable `{}`", name.value);
                        problems.push(Diagnostic::error(name.span, message).help("remove one of them"));
                    }
                    variables.extend(T::decode(&value.0, problems).map(|value| (name, value)));
                }
                Mapping(variables)
            }
            _ => return wrong_type(node, problems),
        };
        Some(Self { variables })
    }
}

impl<T: JsonSchema> JsonSchema for Environment<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("EnvironmentOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let variable = json_schema!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "value": generator.subschema_for::<T>() },
            "required": ["name", "value"],
            "additionalProperties": false,
        });
        let mapping = Mapping::<T>::json_schema(generator);
        json_schema!({ "anyOf": [mapping, { "type": "array", "items": variable }] })
    }
}

/// The words of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Words<T> {
    words: Vec<T>,
}

impl<T> Deref for Words<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.words
    }
}

impl<T: Decode> Decode for Words<T> {
    const EXPECTED: &'static str = "a list of words";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let Some(text) = node.as_str() else {
            let before = problems.len();
            let words = Vec::decode(node, problems)?;
            // Without a wrong word, it would be another command.
            return (problems.len() == before).then_some(Self { words });
        };
        wrong_type::<Self>(node, problems);
        let help = if text.contains(SHELL_SYNTAX) {
            format!("write `{}`: no shell reads a command unless it runs one", shell::command(&["sh", "-c"], text, &[]))
        } else {
            format!("write `{}`: no shell reads the command", shell::line(&shell::words(text)))
        };
        problems.last_mut()?.help = Some(help);
        None
    }
}

impl<T: JsonSchema> JsonSchema for Words<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

/// What a shell would act on, rather than pass to a program.
const SHELL_SYNTAX: [char; 6] = ['|', '&', ';', '<', '>', '$'];

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::Array(elements) if elements.is_empty() => {
                problems.push(Diagnostic::error(node.span, "the list is empty").help("list at least one value"));
                None
            }
            Kind::Array(_) => Vec::decode(node, problems).map(Self),
            _ => T::decode(node, problems).map(|value| Self(vec![value])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one, "minItems": 1 }] })
    }
}
