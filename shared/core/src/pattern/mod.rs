//! Event patterns with EventBridge's semantics.
//!
//! A [`Pattern`] is parsed once ([`parse`]) into alternatives (`$or` multiplied out). Each alternative is a list of
//! fields that must all match. [`operator`] defines what one operator means for one value. [`evaluate`] decides plainly
//! whether the fields of one pattern match one event; [`matcher`] makes the same decision for thousands of patterns at
//! once.

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
    /// The pattern matches an event if any of these matches it; there is at least one.
    pub alternatives: Vec<Alternative>,
}

/// Fields that must all match, in order of their paths, with at most one field per path.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    pub fields: Vec<Field>,
}

/// A condition on the values at one path of the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The path, its steps joined with `.`: EventBridge does not distinguish a step `a.b` from a step `b` below `a`.
    pub path: String,
    /// The position of the field in the pattern.
    pub span: Span,
    /// The field matches a value if any of these matches it; there is at least one.
    pub operators: Vec<Operator>,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// EventBridge would refuse the pattern; the diagnostics give every reason in EventBridge's words.
    pub fn parse(node: &Node) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(node)
    }
}

/// Returns the path of `key` below `path`. `None` is the event itself, which differs from a field with an empty name.
fn below(path: Option<&str>, key: &str) -> String {
    path.map_or_else(|| key.to_owned(), |path| format!("{path}.{key}"))
}

#[cfg(test)]
mod tests;
