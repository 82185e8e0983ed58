//! What is odd about a pattern although EventBridge takes it.

use super::operator::{Operator, Scalar};
use super::{Alternative, Field, Pattern, below};
use crate::event::MESSAGE_FIELDS;
use crate::text::diagnostic::{Diagnostic, hint};
use crate::text::{Entry, Kind, Node, Span, json};

/// The fields that an event has besides `detail`.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
const TEXT_FIELDS: [&str; 7] = ["version", "id", "detail-type", "source", "account", "time", "region"];
/// Further fields of an event.
const OTHER_FIELDS: [&str; 2] = ["resources", "detail"];

/// How many characters a rule's pattern may have by EventBridge's default quota.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub const RULE_CHARACTERS_MAX: usize = 2048;

/// The warnings about a pattern for decoded messages.
pub fn lint_message(node: &Node, pattern: &Pattern) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let known: Vec<&str> = MESSAGE_FIELDS.to_vec();
    top_level(node, &known, "message", "what the message says stands below `body`", &mut warnings);
    repeated_paths(node, None, &mut Vec::new(), &mut warnings);
    distinct_fields(pattern).into_iter().for_each(|field| either_or(field, &mut warnings));
    warnings
}

/// The warnings about a pattern for EventBridge's events.
pub fn lint(node: &Node, pattern: &Pattern) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let known: Vec<&str> = TEXT_FIELDS.into_iter().chain(OTHER_FIELDS).collect();
    top_level(node, &known, "event", "an event's own fields stand below `detail`", &mut warnings);
    repeated_paths(node, None, &mut Vec::new(), &mut warnings);
    for field in distinct_fields(pattern) {
        either_or(field, &mut warnings);
        cannot_match(field, &mut warnings);
    }
    let length = json::write(node).chars().count();
    if length > RULE_CHARACTERS_MAX {
        let message = format!("a pattern of {length} characters could not become an EventBridge rule");
        let help =
            format!("EventBridge allows {RULE_CHARACTERS_MAX} unless the account's quota is raised; split the route");
        warnings.push(Diagnostic::warning(node.span, message).help(help));
    }
    warnings
}

/// The pattern's fields, each once: `$or` repeats those around it in every alternative.
fn distinct_fields(pattern: &Pattern) -> Vec<&Field> {
    let mut seen: Vec<&Field> = Vec::new();
    for field in pattern.alternatives.iter().flat_map(|alternative| &alternative.fields) {
        if !seen.iter().any(|seen| seen.path == field.path && seen.span == field.span) {
            seen.push(field);
        }
    }
    seen
}

fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        Kind::Object(entries) => entries,
        _ => &[],
    }
}

/// An unknown field at the top matches nothing.
fn top_level(node: &Node, known: &[&str], what: &str, help: &str, warnings: &mut Vec<Diagnostic>) {
    for entry in entries(node) {
        let key = entry.key.as_str();
        if key == "$or" {
            if let Kind::Array(branches) = &entry.value.kind {
                branches.iter().for_each(|branch| top_level(branch, known, what, help, warnings));
            }
            continue;
        }
        let first = key.split('.').next().unwrap_or(key);
        if !known.contains(&first) {
            let hint = hint(key, known.iter().copied());
            warnings
                .push(Diagnostic::warning(entry.key.span, format!("no {what} has a field `{key}`{hint}")).help(help));
        }
    }
}

/// Of two fields with the same path, the later replaces the earlier.
fn repeated_paths(node: &Node, path: Option<&str>, seen: &mut Vec<String>, warnings: &mut Vec<Diagnostic>) {
    for entry in entries(node) {
        let key = entry.key.as_str();
        let path_here = below(path, key);
        match &entry.value.kind {
            Kind::Array(branches) if key == "$or" => {
                // The branches are apart from each other, but not from what stands around them.
                let before = seen.clone();
                for branch in branches {
                    let mut of_branch = before.clone();
                    repeated_paths(branch, path, &mut of_branch, warnings);
                    seen.extend(of_branch.split_off(before.len()));
                }
            }
            Kind::Object(_) => repeated_paths(&entry.value, Some(&path_here), seen, warnings),
            _ if seen.contains(&path_here) => {
                let message = format!("`{path_here}` stands twice in this pattern, and only the last counts");
                let help = "put both lists into one (that means or), or remove one";
                warnings.push(Diagnostic::warning(entry.key.span, message).help(help));
            }
            _ => seen.push(path_here),
        }
    }
}

/// An array means "or", where "and" is often meant.
fn either_or(field: &Field, warnings: &mut Vec<Diagnostic>) {
    let has = |wanted: fn(&Operator) -> bool| field.operators.iter().any(wanted);
    if has(|operator| matches!(operator, Operator::Prefix(_)))
        && has(|operator| matches!(operator, Operator::Suffix(_)))
    {
        let message = format!("prefix or suffix: a value of `{}` matches if either fits", field.path);
        let help = "to ask for both, write one wildcard, as in {\"wildcard\": \"prefix*suffix\"}, or in short form \
                    `key: { prefix: ..., suffix: ... }`";
        warnings.push(Diagnostic::warning(field.span, message).help(help));
    }
    let exclusions = field.operators.iter().filter(|operator| matches!(operator, Operator::AnythingBut(_))).count();
    if exclusions > 1 {
        let message = format!("two anything-but: a value of `{}` matches if either allows it", field.path);
        let help = "to exclude several values, list them in one, as in {\"anything-but\": [\"a\", \"b\"]}; different kinds of \
                    exclusion cannot be combined for one field";
        warnings.push(Diagnostic::warning(field.span, message).help(help));
    }
}

/// What the envelope holds is known: texts, in `resources` a list of texts, and an object in `detail`.
fn cannot_match(field: &Field, warnings: &mut Vec<Diagnostic>) {
    let any = |matches: fn(&Operator) -> bool| field.operators.iter().any(matches);
    let text = Scalar::String("".into());
    let takes_text = field.operators.iter().any(|operator| operator.takes(&text));
    let first = field.path.split('.').next().unwrap_or_default();
    let help = if TEXT_FIELDS.contains(&field.path.as_str()) && !takes_text {
        "this field of every event is a text, never a number, true, false, null or absent"
    } else if field.path == "resources" && !takes_text && !any(|operator| *operator == Operator::Absent) {
        "`resources` is a list of texts"
    } else if field.path == "detail" && !any(|operator| *operator == Operator::Absent) {
        "`detail` is an object: name a field below it"
    } else if field.path != first
        && (TEXT_FIELDS.contains(&first) || first == "resources")
        && !any(|operator| *operator == Operator::Absent)
    {
        "this field of every event is a text and has nothing below it"
    } else {
        return;
    };
    warnings.push(Diagnostic::warning(field.span, format!("nothing matches this: `{}`", field.path)).help(help));
}

/// Whether some event could match both patterns, as far as their fields tell. (A field below `detail` that is a list may take
/// both where this says no.)
pub fn may_overlap(one: &Pattern, other: &Pattern) -> bool {
    one.alternatives.iter().any(|one| other.alternatives.iter().any(|other| alternatives_overlap(one, other)))
}

fn alternatives_overlap(one: &Alternative, other: &Alternative) -> bool {
    one.fields.iter().all(|field| {
        let same_path = other.fields.iter().find(|other| other.path == field.path);
        // Of a list, one element may satisfy the one and another the other. Other fields are taken to have one value.
        field.path == "resources"
            || same_path.is_none_or(|other| {
                field.operators.iter().any(|one| other.operators.iter().any(|other| operators_overlap(one, other)))
            })
    })
}

fn operators_overlap(one: &Operator, other: &Operator) -> bool {
    match (one, other) {
        (Operator::Absent, other) | (other, Operator::Absent) => *other == Operator::Absent,
        (Operator::Prefix(one), Operator::Prefix(other)) => one.starts_with(other) || other.starts_with(one),
        (Operator::Suffix(one), Operator::Suffix(other)) => one.ends_with(other) || other.ends_with(one),
        (Operator::Wildcard(wildcard), Operator::Prefix(prefix))
        | (Operator::Prefix(prefix), Operator::Wildcard(wildcard)) => {
            let head = wildcard.head();
            head.starts_with(prefix.as_str()) || prefix.starts_with(head)
        }
        (Operator::Wildcard(wildcard), Operator::Suffix(suffix))
        | (Operator::Suffix(suffix), Operator::Wildcard(wildcard)) => {
            let tail = wildcard.tail();
            tail.ends_with(suffix.as_str()) || suffix.ends_with(tail)
        }
        (Operator::Wildcard(one), Operator::Wildcard(other)) => {
            let heads = one.head().starts_with(other.head()) || other.head().starts_with(one.head());
            heads && (one.tail().ends_with(other.tail()) || other.tail().ends_with(one.tail()))
        }
        (Operator::Numeric(one), Operator::Numeric(other)) => one.overlaps(other),
        _ => match (value_of(one), value_of(other)) {
            (Some(value), _) => other.matches(&value),
            (_, Some(value)) => one.matches(&value),
            _ => true,
        },
    }
}

/// The one value that an operator matches, as far as spellings are concerned.
fn value_of(operator: &Operator) -> Option<Scalar<'_>> {
    match operator {
        Operator::Equals(text) | Operator::Exactly(text) => Some(Scalar::String(text.into())),
        Operator::EqualsAddress(address) => Some(Scalar::String(address.to_string().into())),
        Operator::EqualsNumber(number) => Some(Scalar::Number(&number.text)),
        Operator::EqualsLiteral(literal) => Some(Scalar::Literal(*literal)),
        _ => None,
    }
}

/// The places of the routes, by position, of which some event may take both.
pub fn overlaps<'a>(patterns: &[(&'a str, Span, &'a Pattern)]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for (position, (name, span, pattern)) in patterns.iter().enumerate() {
        let others: Vec<&str> = patterns[..position]
            .iter()
            .filter(|(_, _, other)| may_overlap(other, pattern))
            .map(|(other, _, _)| *other)
            .collect();
        if !others.is_empty() {
            let message = format!("an event may take `{name}` and also {}", crate::text::decode::list(&others));
            warnings.push(Diagnostic::warning(*span, message).help("every route that matches starts its task"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
