//! A value of a text and its position.
//!
//! Numbers keep their spelling and objects keep duplicate keys: event patterns compare both exactly.

use std::collections::HashSet;

use super::{Span, Spanned};

/// A value of a text, with its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The position of the value, quotes and brackets included.
    pub span: Span,
    /// The value itself.
    pub kind: Kind,
}

/// The value of a [`Node`].
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was spelled, always in JSON's grammar.
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
    /// Creates a string without a position.
    pub(crate) fn string(text: &str) -> Self {
        Self { span: Span::default(), kind: Kind::String(text.to_owned()) }
    }

    /// Creates a list without a position.
    pub(crate) fn array(elements: impl IntoIterator<Item = Self>) -> Self {
        Self { span: Span::default(), kind: Kind::Array(elements.into_iter().collect()) }
    }

    /// Creates an object without a position.
    pub(crate) fn object<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entry =
            |(key, value): (&str, Self)| Entry { key: Spanned { span: Span::default(), value: key.to_owned() }, value };
        Self { span: Span::default(), kind: Kind::Object(entries.into_iter().map(entry).collect()) }
    }

    /// Returns the value of the last entry named `key`, if this is an object that has one.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(entries) => {
                entries.iter().rev().find(|entry| entry.key.value == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// Returns this value with another one over it: of two objects, each entry of the other is laid over the one with the
    /// same key.
    pub(crate) fn with(&self, over: &Self) -> Self {
        let (Kind::Object(entries), Kind::Object(others)) = (&self.kind, &over.kind) else { return over.clone() };
        let mut entries = entries.clone();
        for other in others {
            match entries.iter_mut().rev().find(|entry| entry.key.value == other.key.value) {
                Some(entry) => entry.value = entry.value.with(&other.value),
                None => entries.push(other.clone()),
            }
        }
        Self { span: self.span, kind: Kind::Object(entries) }
    }

    /// Returns a key that an object in this value has twice, if there is one.
    pub fn repeated_key(&self) -> Option<&str> {
        match &self.kind {
            Kind::Array(elements) => elements.iter().find_map(Self::repeated_key),
            Kind::Object(entries) => {
                let mut seen = HashSet::with_capacity(entries.len());
                let repeated = entries.iter().map(|entry| entry.key.value.as_str()).find(|key| !seen.insert(*key));
                repeated.or_else(|| entries.iter().find_map(|entry| entry.value.repeated_key()))
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => None,
        }
    }

    /// Returns the string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns what kind of value this is, in words for a message: "a string", "a mapping".
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
