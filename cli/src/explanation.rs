//! Explanations why a pattern matches an event or not, as text and as JSON.

use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};
use trigger_core::pattern::explain::{AlternativeExplanation, Explanation, FieldExplanation, Verdict};
use trigger_core::text::Source;

use crate::exit::Failed;
use crate::output::{line, printable};

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints the alternative that matches, or the nearest miss.
pub(crate) fn print(what: &str, source: &Source, explanation: &Explanation) -> Result<(), Failed> {
    print_verdict(what, explanation.matches)?;
    let Some(nearest) = explanation.alternatives.first() else { return Ok(()) };
    if explanation.alternatives.len() > 1 {
        let which = if nearest.matches { "the matching one" } else { "the nearest miss" };
        line!("  {which} of its {} alternatives:", explanation.alternatives.len())?;
    }
    for field in &nearest.fields {
        print_field(source, field)?;
    }
    if is_split(nearest) {
        line!("  {RED}miss{RED:#} each field matches, but no single element of an array satisfies all of them")?;
    }
    Ok(())
}

/// Prints whether it matches.
pub(crate) fn print_verdict(what: &str, matches: bool) -> Result<(), Failed> {
    match matches {
        true => line!("{what} {GREEN}matches{GREEN:#}"),
        false => line!("{what} {RED}does not match{RED:#}"),
    }
}

/// Returns whether every field matches, but in different elements of an array.
fn is_split(alternative: &AlternativeExplanation) -> bool {
    !alternative.matches && alternative.misses() == 0
}

fn print_field(source: &Source, field: &FieldExplanation) -> Result<(), Failed> {
    let mark = match field.verdict.is_satisfied() {
        true => format!("{GREEN}ok{GREEN:#}  "),
        false => format!("{RED}miss{RED:#}"),
    };
    let wanted = field.wanted.join(" or ");
    let found = match &field.verdict {
        Verdict::Matched(value) => format!("is {value}"),
        Verdict::AbsentAsWanted => "is absent, as wanted".to_owned(),
        Verdict::Absent => format!("is absent; wanted: {wanted}"),
        Verdict::Present(values) => format!("is {}; wanted: absent", values.join(", ")),
        Verdict::WrongType(values) => format!("is {}, which has the wrong type; wanted: {wanted}", values.join(", ")),
        Verdict::NoMatch(values) => format!("is {}; wanted: {wanted}", values.join(", ")),
    };
    let (path, found) = (printable(&field.path), printable(&found));
    line!("  {mark} {path} {found}  {DIM}{}{DIM:#}", source.place(field.span))
}

/// Returns an explanation as JSON.
pub(crate) fn as_json(source: &Source, explanation: &Explanation) -> Value {
    let alternative = |alternative: &AlternativeExplanation| {
        json!({
            "matches": alternative.matches,
            "different_elements": is_split(alternative),
            "fields": alternative.fields.iter().map(|field| field_json(source, field)).collect::<Vec<_>>(),
        })
    };
    json!({
        "matches": explanation.matches,
        "alternatives": explanation.alternatives.iter().map(alternative).collect::<Vec<_>>(),
    })
}

fn field_json(source: &Source, field: &FieldExplanation) -> Value {
    let (verdict, values) = match &field.verdict {
        Verdict::Matched(value) => ("matched", vec![value.clone()]),
        Verdict::AbsentAsWanted => ("absent_as_wanted", vec![]),
        Verdict::Absent => ("absent", vec![]),
        Verdict::Present(values) => ("present", values.clone()),
        Verdict::WrongType(values) => ("wrong_type", values.clone()),
        Verdict::NoMatch(values) => ("no_match", values.clone()),
    };
    let place = source.line_column(field.span.start);
    json!({
        "path": field.path,
        "satisfied": field.verdict.is_satisfied(),
        "verdict": verdict,
        "values": values,
        "wanted": field.wanted,
        "file": source.part_at(field.span.start).name,
        "line": place.line,
        "column": place.column,
    })
}
