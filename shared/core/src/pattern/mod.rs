//! Event patterns, with EventBridge's own semantics.
//!
//! A [`Pattern`] is parsed once ([`parse`]) into alternatives (`$or` multiplied out), each a list of fields that must all
//! match. What one operator means stands in [`operator`]; how the fields of one event play together in [`evaluate`], plainly;
//! [`matcher`] decides the same for thousands of patterns at once.

pub mod evaluate;
pub mod explain;
pub mod lint;
pub mod matcher;
pub mod number;
pub mod operator;
mod parse;

use crate::text::diagnostic::Diagnostic;
use crate::text::{Node, Span};
use operator::Operator;

/// A parsed event pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// It matches an event that any of these matches; there is at least one.
    pub alternatives: Vec<Alternative>,
}

/// Fields that must all match, in order of their paths; at most one for a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The fields.
    pub fields: Vec<Field>,
}

/// What one path of the event must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The path, its steps joined with `.`: EventBridge makes no difference between a step `a.b` and a step `b` below `a`.
    pub path: String,
    /// Where the field stands in the pattern.
    pub span: Span,
    /// It matches a value that any of these matches; there is at least one.
    pub operators: Vec<Operator>,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Everything for which EventBridge would refuse it, in EventBridge's words.
    pub fn parse(node: &Node) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(node)
    }
}

/// The path of `key` below `path`; `None` is the event itself, which is not the same as a field with an empty name.
fn below(path: Option<&str>, key: &str) -> String {
    path.map_or_else(|| key.to_owned(), |path| format!("{path}.{key}"))
}

#[cfg(test)]
mod tests;
