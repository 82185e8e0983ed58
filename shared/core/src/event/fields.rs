//! Typed access to the fields of a JSON object, with errors that name a field's path.

use std::str::FromStr;

use super::DecodeError;
use crate::text::{Entry, Kind, Node};

/// A JSON object and its path.
pub(super) struct Fields<'a> {
    path: String,
    node: &'a Node,
}

impl<'a> Fields<'a> {
    pub(super) fn root(node: &'a Node) -> Result<Self, DecodeError> {
        match node.kind {
            Kind::Object(_) => Ok(Self { path: String::new(), node }),
            _ => Err(DecodeError::NotAnObject { found: node.description() }),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Self, DecodeError> {
        let node = self.required(name)?;
        match node.kind {
            Kind::Object(_) => Ok(Self { path: format!("{}{name}.", self.path), node }),
            _ => Err(self.wrong(name, "an object", node)),
        }
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// Returns the elements of a list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, DecodeError> {
        let node = self.required(name)?;
        let Kind::Array(elements) = &node.kind else { return Err(self.wrong(name, "a list", node)) };
        let object = |(index, node): (usize, &'a Node)| match node.kind {
            Kind::Object(_) => Ok(Self { path: format!("{}{name}[{index}].", self.path), node }),
            _ => Err(self.wrong(&format!("{name}[{index}]"), "an object", node)),
        };
        elements.iter().enumerate().map(object).collect()
    }

    /// Returns the entries of an object that may be missing.
    pub(super) fn optional_entries(&self, name: &str) -> Result<Option<&'a [Entry]>, DecodeError> {
        match self.node.get(name) {
            None | Some(Node { kind: Kind::Null, .. }) => Ok(None),
            Some(Node { kind: Kind::Object(entries), .. }) => Ok(Some(entries)),
            Some(node) => Err(self.wrong(name, "an object", node)),
        }
    }

    pub(super) fn string(&self, name: &str) -> Result<String, DecodeError> {
        let node = self.required(name)?;
        node.as_str().map(str::to_owned).ok_or_else(|| self.wrong(name, "a string", node))
    }

    pub(super) fn optional_string(&self, name: &str) -> Result<Option<String>, DecodeError> {
        match self.node.get(name) {
            None | Some(Node { kind: Kind::Null, .. }) => Ok(None),
            Some(_) => self.string(name).map(Some),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<u64, DecodeError> {
        self.number(name, "a non-negative integer")
    }

    pub(super) fn signed_integer(&self, name: &str) -> Result<i64, DecodeError> {
        self.number(name, "an integer")
    }

    fn number<T: FromStr>(&self, name: &str, expected: &str) -> Result<T, DecodeError> {
        let node = self.required(name)?;
        match &node.kind {
            Kind::Number(text) => {
                text.parse().map_err(|_| self.error(name, format!("must be {expected}, found {text}")))
            }
            _ => Err(self.wrong(name, expected, node)),
        }
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, DecodeError> {
        let Some(node) = self.node.get(name) else { return Ok(Vec::new()) };
        let Kind::Array(elements) = &node.kind else { return Err(self.wrong(name, "a list of strings", node)) };
        let strings = elements.iter().map(|element| element.as_str().map(str::to_owned));
        strings.collect::<Option<_>>().ok_or_else(|| self.error(name, "must contain only strings".into()))
    }

    fn required(&self, name: &str) -> Result<&'a Node, DecodeError> {
        self.node.get(name).ok_or_else(|| self.error(name, "is missing".into()))
    }

    fn wrong(&self, name: &str, expected: &str, found: &Node) -> DecodeError {
        self.error(name, format!("must be {expected}, found {}", found.description()))
    }

    pub(super) fn error(&self, name: &str, problem: String) -> DecodeError {
        DecodeError::Field { field: cut(&format!("{}{name}", self.path)), problem: cut(&problem) }
    }
}

/// An error contains at most this many characters of a sender's text, because errors are logged.
const CHARACTERS_MAX: usize = 160;

/// Returns the beginning of a sender's text, as much of it as is logged.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
