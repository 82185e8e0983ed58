//! Diagnostics as text with carets, colored on a terminal, and as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};
use trigger_core::text::Source;
use trigger_core::text::diagnostic::{Diagnostic, Severity};

use crate::output::{message, printable_lines};

/// Draws a problem, with its place in the source, on standard error.
pub(crate) fn draw(source: &Source, problem: &Diagnostic) {
    message!("{}\n", render(source, problem));
}

/// Prints an error without a place on standard error.
pub(crate) fn error(message: &str) {
    say(Level::ERROR, message);
}

/// Prints a warning without a place on standard error.
pub(crate) fn warning(message: &str) {
    say(Level::WARNING, message);
}

/// Prints a note without a place on standard error.
pub(crate) fn note(message: &str) {
    say(Level::NOTE, message);
}

fn say(level: Level<'_>, text: &str) {
    // The renderer makes snippets safe for a terminal, but not every title.
    let report = [Group::with_title(level.primary_title(printable_lines(text)))];
    message!("{}", Renderer::styled().render(&report));
}

fn render(source: &Source, problem: &Diagnostic) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let part = source.part_at(problem.span.start);
    // Annotate whole characters only, and only the first line of a span over several lines.
    let end = part.text.ceil_char_boundary(problem.span.end.saturating_sub(part.start));
    let start = part.text.floor_char_boundary((problem.span.start - part.start).min(end));
    let first_line = part.text[start..end].find('\n').map_or(end, |newline| start + newline);
    let snippet = Snippet::source(part.text)
        .path(part.name)
        .annotation(AnnotationKind::Primary.span(start..first_line.max(start)));
    let group = level.primary_title(printable_lines(&problem.message)).element(snippet);
    let group = match &problem.help {
        Some(help) => group.element(Level::HELP.message(printable_lines(help))),
        None => group,
    };
    Renderer::styled().render(&[group])
}

/// Returns a config's problems as JSON.
pub(crate) fn all_as_json(source: &Source, valid: bool, problems: &[Diagnostic]) -> Value {
    let problems: Vec<_> = problems.iter().map(|problem| as_json(source, problem)).collect();
    json!({ "file": source.name, "valid": valid, "problems": problems })
}

fn as_json(source: &Source, problem: &Diagnostic) -> Value {
    let start = source.line_column(problem.span.start);
    let end = source.line_column(problem.span.end);
    json!({
        "severity": problem.severity.as_str(),
        "file": source.part_at(problem.span.start).name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "text": source.text.get(problem.span.start..problem.span.end).and_then(|text| text.lines().next()),
        "message": problem.message,
        "help": problem.help,
    })
}

/// Returns a count with its noun: "1 task", "2 tasks".
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
