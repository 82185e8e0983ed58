//! A value of a text, and where it stands.
//!
//! Numbers keep their spelling and objects keep duplicate keys: event patterns compare both exactly.

use super::{Span, Spanned};

/// One value of the text, with the place where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the value stands, quotes and brackets included.
    pub span: Span,
    /// What stands there.
    pub kind: Kind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was spelled; always of JSON's grammar.
    Number(String),
    /// A string, escapes decoded.
    String(String),
    /// The elements in order.
    Array(Vec<Node>),
    /// The entries in order, duplicate keys included.
    Object(Vec<Entry>),
}

/// One `key: value` of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, escapes decoded.
    pub key: Spanned<String>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A string that stands nowhere.
    pub(crate) fn string(text: &str) -> Self {
        Self { span: Span::default(), kind: Kind::String(text.to_owned()) }
    }

    /// A list that stands nowhere.
    pub(crate) fn array(elements: impl IntoIterator<Item = Self>) -> Self {
        Self { span: Span::default(), kind: Kind::Array(elements.into_iter().collect()) }
    }

    /// An object that stands nowhere.
    pub(crate) fn object<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entry =
            |(key, value): (&str, Self)| Entry { key: Spanned { span: Span::default(), value: key.to_owned() }, value };
        Self { span: Span::default(), kind: Kind::Object(entries.into_iter().map(entry).collect()) }
    }

    /// The value of the last entry named `key`, if this is an object that has one.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(entries) => {
                entries.iter().rev().find(|entry| entry.key.value == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, in words for a message: "a string", "an object".
    pub fn description(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "a list",
            Kind::Object(_) => "a mapping",
        }
    }
}
