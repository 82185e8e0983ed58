//! Explains why a pattern matched an event, or how close it came: per alternative and field, with the event's own
//! values.

use super::evaluate::FlatEvent;
use super::operator::{Literal, Operator, Scalar};
use super::{Alternative, Field, Pattern};
use crate::text::{Span, json};

/// A value with more characters than this is shown shortened.
const VALUE_CHARACTERS_MAX: usize = 60;
/// At most this many values of a field are shown.
const VALUES_MAX: usize = 5;

/// Why a pattern matched or did not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the pattern matches.
    pub matches: bool,
    /// The pattern's alternatives: matching ones first, then the nearest misses.
    pub alternatives: Vec<AlternativeExplanation>,
}

/// Why an alternative matched or did not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternativeExplanation {
    /// Whether the alternative matches.
    pub matches: bool,
    /// The fields in order of their paths. If every field is satisfied but the alternative does not match, the fields'
    /// values are in different elements of an array.
    pub fields: Vec<FieldExplanation>,
}

/// Why a field is satisfied or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldExplanation {
    /// The path of the field.
    pub path: String,
    /// The position of the field in the pattern.
    pub span: Span,
    /// The operators of the field, as JSON.
    pub wanted: Vec<String>,
    /// What the event has at the path.
    pub verdict: Verdict,
}

/// What an event has at a field's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This value matches.
    Matched(String),
    /// There is no value, as wanted.
    AbsentAsWanted,
    /// There is no value.
    Absent,
    /// There are values, but none were wanted.
    Present(Vec<String>),
    /// No operator of the field takes values of these types.
    WrongType(Vec<String>),
    /// The types fit, but no operator of the field matches these values.
    NoMatch(Vec<String>),
}

impl Verdict {
    /// Returns whether the field is satisfied.
    pub fn is_satisfied(&self) -> bool {
        matches!(self, Self::Matched(_) | Self::AbsentAsWanted)
    }
}

impl AlternativeExplanation {
    /// Returns how many fields are not satisfied.
    pub fn misses(&self) -> usize {
        self.fields.iter().filter(|field| !field.verdict.is_satisfied()).count()
    }
}

impl Pattern {
    /// Explains why the pattern matches the event or does not.
    pub fn explain(&self, event: &FlatEvent<'_>) -> Explanation {
        let mut alternatives: Vec<_> =
            self.alternatives.iter().map(|alternative| explain(alternative, event)).collect();
        alternatives.sort_by_key(|alternative| (!alternative.matches, alternative.misses()));
        Explanation { matches: alternatives.first().is_some_and(|first| first.matches), alternatives }
    }
}

fn explain(alternative: &Alternative, event: &FlatEvent<'_>) -> AlternativeExplanation {
    let matches = alternative.matches(event);
    let field = |field: &Field| {
        let found = verdict(field, &event.scalars(&field.path));
        // The alternative matches: a field that seems unsatisfied is absent in the array element that was chosen.
        let verdict = if matches && !found.is_satisfied() { Verdict::AbsentAsWanted } else { found };
        let wanted = field.operators.iter().map(Operator::to_string).collect();
        FieldExplanation { path: field.path.clone(), span: field.span, wanted, verdict }
    };
    AlternativeExplanation { matches, fields: alternative.fields.iter().map(field).collect() }
}

fn verdict(field: &Field, values: &[&Scalar<'_>]) -> Verdict {
    let operators = &field.operators;
    let matching = values.iter().find(|value| field.matches(value));
    let may_be_absent = operators.contains(&Operator::Absent);
    let shown = || values.iter().take(VALUES_MAX).map(|value| show(value)).collect();
    match matching {
        Some(value) => Verdict::Matched(show(value)),
        None if values.is_empty() && may_be_absent => Verdict::AbsentAsWanted,
        None if values.is_empty() => Verdict::Absent,
        None if *operators == [Operator::Absent] => Verdict::Present(shown()),
        None if !values.iter().any(|value| operators.iter().any(|operator| operator.takes(value))) => {
            Verdict::WrongType(shown())
        }
        None => Verdict::NoMatch(shown()),
    }
}

/// Returns a value as JSON, shortened and with control characters escaped.
fn show(value: &Scalar<'_>) -> String {
    match value {
        Scalar::String(text) if text.chars().count() > VALUE_CHARACTERS_MAX => {
            let start: String = text.chars().take(VALUE_CHARACTERS_MAX).collect();
            format!("{}... ({} characters)", json::quote(&start), text.chars().count())
        }
        Scalar::String(text) => json::quote(text),
        Scalar::Number(text) => text.chars().take(VALUE_CHARACTERS_MAX).collect(),
        Scalar::Literal(Literal::True) => "true".to_owned(),
        Scalar::Literal(Literal::False) => "false".to_owned(),
        Scalar::Literal(Literal::Null) => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests;
