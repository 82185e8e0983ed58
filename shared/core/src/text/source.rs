//! A named text and positions in it.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A half-open range of bytes in a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Creates the range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// A value with the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// Where the value was read.
    pub span: Span,
    /// The value.
    pub value: T,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A text and the name that messages use for it: a path, `-` for standard input, or an S3 URI. Included texts are
/// appended to it, and one offset identifies each byte of all of them.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the first text.
    pub name: String,
    /// The first text and all included texts, separated by newlines.
    pub text: String,
    /// The name and the start offset of each included text.
    included: Vec<(String, usize)>,
    /// The environment whose overlay is the first of the included texts.
    environment: Option<String>,
}

/// One of the texts of a [`Source`].
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The name of this text.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// The offset in the source at which the text begins.
    pub start: usize,
}

/// A position as people count it: both start at 1, and columns count characters.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    pub line: usize,
    pub column: usize,
}

impl Source {
    /// Creates a source of one text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), included: Vec::new(), environment: None }
    }

    /// Adds an included text.
    pub fn include(&mut self, name: impl Into<String>, text: &str) {
        // A separating byte: without it, the end offset of one text would be the start offset of the next.
        self.text.push('\n');
        self.included.push((name.into(), self.text.len()));
        self.text.push_str(text);
    }

    /// Adds the overlay of an environment, before any text is included.
    pub fn overlay(&mut self, environment: &str, name: impl Into<String>, text: &str) {
        self.include(name, text);
        self.environment = Some(environment.to_owned());
    }

    /// Returns the environment whose overlay is the second of the texts, if there is one.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Returns the first text and the included texts, in order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let names = std::iter::once(self.name.as_str()).chain(self.included.iter().map(|(name, _)| name.as_str()));
        let starts = std::iter::once(0).chain(self.included.iter().map(|(_, start)| *start));
        let ends = self.included.iter().map(|(_, start)| start - 1).chain([self.text.len()]);
        names.zip(starts.zip(ends)).map(|(name, (start, end))| Part { name, text: &self.text[start..end], start })
    }

    /// Returns the text that contains a byte offset.
    pub fn part_at(&self, offset: usize) -> Part<'_> {
        let whole = Part { name: &self.name, text: &self.text, start: 0 };
        self.parts().take_while(|part| part.start <= offset).last().unwrap_or(whole)
    }

    /// Returns the line and column of a byte offset, within the text that contains it.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let part = self.part_at(offset);
        let before = part.text.get(..offset - part.start).unwrap_or(part.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        LineColumn { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// Returns `name:line:column` of the span's start.
    pub fn place(&self, span: Span) -> String {
        let LineColumn { line, column } = self.line_column(span.start);
        format!("{}:{line}:{column}", self.part_at(span.start).name)
    }

    /// Returns the place of `part` of the string at `scalar`, at most to the end of its first line: exact if the string
    /// is written without escapes, otherwise the whole scalar.
    pub fn place_within(&self, scalar: Span, string: &str, part: Range<usize>) -> Span {
        let written = self.text.get(scalar.start..scalar.end).unwrap_or_default();
        if string.is_empty() {
            return scalar;
        }
        let start = string.floor_char_boundary(part.start);
        let end = string.ceil_char_boundary(part.end).max(start);
        let end = string[start..end].trim_end().find('\n').map_or(end, |newline| start + newline);
        // The end is right after the last character, not before whatever follows it.
        let last = string[start..end].char_indices().last().map(|(at, _)| start + at);
        // A block begins after the indentation of its first line; other scalars lose all their indentation.
        let before = self.text[..scalar.start].rsplit('\n').next().unwrap_or_default();
        let depth = if before.trim().is_empty() { before.len() } else { usize::MAX };
        let place = |offset: usize| Some(scalar.start + offset_in(written, depth, string, offset)?);
        match (place(start), last) {
            (Some(from), None) => Span::new(from, from),
            (Some(from), Some(last)) => place(last).map_or(scalar, |to| Span::new(from, to + end - last)),
            (None, _) => scalar,
        }
    }
}

/// Returns where a scalar's text, `written`, has the byte `offset` of its value `string`, or none if it has escapes before.
/// In a scalar of several lines, each line is indented by up to `depth`, and a line break may stand for a blank.
fn offset_in(written: &str, depth: usize, string: &str, offset: usize) -> Option<usize> {
    let blanks = |at: usize| {
        let rest = written.get(at..).unwrap_or_default();
        rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len()
    };
    let ends_line = |at: usize| written.get(at + blanks(at)..).is_some_and(|rest| rest.starts_with('\n'));
    let next_line = |at: usize| {
        let start = at + blanks(at) + 1;
        start + blanks(start).min(depth)
    };
    let mut at = usize::from(written.starts_with(['"', '\'']));
    for (position, character) in string.char_indices() {
        // A line break of a folded scalar is written as two, and a plain scalar may be indented more.
        while !character.is_whitespace() && (ends_line(at) || blanks(at) > 0) {
            at = if ends_line(at) { next_line(at) } else { at + blanks(at) };
        }
        let after = match character {
            ' ' if written.get(at..)?.starts_with(' ') => at + 1,
            ' ' | '\n' if ends_line(at) => next_line(at),
            _ if written.get(at..)?.starts_with(character) => at + character.len_utf8(),
            _ => return None,
        };
        if position == offset {
            return Some(at);
        }
        at = after;
    }
    (offset == string.len()).then_some(at)
}
