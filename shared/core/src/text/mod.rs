//! JSON and YAML texts as trees that keep the position of every value, and the diagnostics about them.
//!
//! - [`Source`] holds the text and turns a [`Span`] into a line and column;
//! - [`json`] and [`yaml`] parse it into [`Node`]s;
//! - `decode` turns nodes into typed values and reports every problem as a [`diagnostic::Diagnostic`];
//! - [`values`] holds the types of a config's leaves;
//! - `shell` writes commands and shell scripts that contain templates.

pub(crate) mod decode;
pub mod diagnostic;
pub mod json;
mod node;
pub(crate) mod shell;
mod source;
pub mod values;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use node::{Entry, Kind, Node};
pub use source::{LineColumn, Part, Source, Span, Spanned};
