//! Warnings about patterns that EventBridge accepts, but that probably do not mean what their author wants.

use super::operator::{Operator, Scalar};
use super::parse::{OPERATORS, in_list};
use super::{Alternative, Field, Pattern, below};
use crate::event::MESSAGE_FIELDS;
use crate::text::diagnostic::{Diagnostic, hint};
use crate::text::yaml::flow;
use crate::text::{Entry, Kind, Node, Span, json};

/// The fields of an event that are strings.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
const TEXT_FIELDS: [&str; 7] = ["version", "id", "detail-type", "source", "account", "time", "region"];
/// The other fields of an event. Only an event that an archive replays has `replay-name`.
const OTHER_FIELDS: [&str; 3] = ["resources", "detail", "replay-name"];
/// Where S3's events have the object's key.
const OBJECT_KEY: &str = "detail.object.key";

/// A pattern with more characters than this is too long for a rule under EventBridge's default quota.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub const RULE_CHARACTERS_MAX: usize = 2048;

/// Returns the warnings about a pattern for decoded messages.
pub fn lint_message(node: &Node, pattern: &Pattern) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let known: Vec<&str> = MESSAGE_FIELDS.to_vec();
    top_level(node, &known, "message", "put the message's own fields below `body`", &mut warnings);
    repeated_paths(node, None, &mut Vec::new(), &mut warnings);
    operators_outside_lists(node, &mut warnings);
    for field in distinct_fields(pattern) {
        either_or(field, &mut warnings);
        attributes_are_texts(field, &mut warnings);
        object_key(field, &mut warnings);
    }
    warnings
}

/// Returns the warnings about a pattern for EventBridge's events.
pub fn lint(node: &Node, pattern: &Pattern) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let known: Vec<&str> = TEXT_FIELDS.into_iter().chain(OTHER_FIELDS).collect();
    top_level(node, &known, "event", "put the event's own fields below `detail`", &mut warnings);
    repeated_paths(node, None, &mut Vec::new(), &mut warnings);
    operators_outside_lists(node, &mut warnings);
    for field in distinct_fields(pattern) {
        either_or(field, &mut warnings);
        cannot_match(field, &mut warnings);
        object_key(field, &mut warnings);
    }
    let length = json::write(node).chars().count();
    if length > RULE_CHARACTERS_MAX {
        let message = format!("the pattern has {length} characters, too many for an EventBridge rule");
        let help =
            format!("split the route; EventBridge allows {RULE_CHARACTERS_MAX} unless the account's quota is raised");
        warnings.push(Diagnostic::warning(node.span, message).help(help));
    }
    warnings
}

/// Returns each of the pattern's fields once: `$or` repeats the fields around it in every alternative.
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

/// Warns about unknown fields at the top level, which match nothing.
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

/// Warns about two fields with the same path, of which the later replaces the earlier.
fn repeated_paths(node: &Node, path: Option<&str>, seen: &mut Vec<String>, warnings: &mut Vec<Diagnostic>) {
    for entry in entries(node) {
        let key = entry.key.as_str();
        let path_here = below(path, key);
        match &entry.value.kind {
            Kind::Array(branches) if key == "$or" => {
                // Branches do not affect each other, but each is combined with the fields around the `$or`.
                let before = seen.clone();
                for branch in branches {
                    let mut of_branch = before.clone();
                    repeated_paths(branch, path, &mut of_branch, warnings);
                    seen.extend(of_branch.split_off(before.len()));
                }
            }
            Kind::Object(_) => repeated_paths(&entry.value, Some(&path_here), seen, warnings),
            _ if seen.contains(&path_here) => {
                let message = format!("`{path_here}` appears twice in this pattern, and only the last one counts");
                let help = "remove one, or merge both lists into one, of which any value matches";
                warnings.push(Diagnostic::warning(entry.key.span, message).help(help));
            }
            _ => seen.push(path_here),
        }
    }
}

/// Warns about arrays that mean "or" where "and" is often intended.
fn either_or(field: &Field, warnings: &mut Vec<Diagnostic>) {
    let has = |wanted: fn(&Operator) -> bool| field.operators.iter().any(wanted);
    if has(|operator| matches!(operator, Operator::Prefix(_)))
        && has(|operator| matches!(operator, Operator::Suffix(_)))
    {
        let message = format!("a value of `{}` matches if either the prefix or the suffix fits", field.path);
        let help = "to require both, write one wildcard, as in {\"wildcard\": \"prefix*suffix\"}, or in short form \
                    `key: { prefix: ..., suffix: ... }`";
        warnings.push(Diagnostic::warning(field.span, message).help(help));
    }
    let exclusions = field.operators.iter().filter(|operator| matches!(operator, Operator::AnythingBut(_))).count();
    if exclusions > 1 {
        let message = format!("a value of `{}` matches if any one of its anything-but operators allows it", field.path);
        let help = "to exclude several values, list them in one operator, as in {\"anything-but\": [\"a\", \"b\"]}; \
                    different kinds of exclusion cannot be combined for one field";
        warnings.push(Diagnostic::warning(field.span, message).help(help));
    }
}

/// Warns about conditions that no event meets. Its fields are strings, except `resources`, a list of strings, and
/// `detail`, an object.
fn cannot_match(field: &Field, warnings: &mut Vec<Diagnostic>) {
    let any = |matches: fn(&Operator) -> bool| field.operators.iter().any(matches);
    let text = Scalar::String("".into());
    let takes_text = field.operators.iter().any(|operator| operator.takes(&text));
    let first = field.path.split('.').next().unwrap_or_default();
    let help = if TEXT_FIELDS.contains(&field.path.as_str()) && !takes_text {
        "match a string; this field is never a number, true, false, null or absent"
    } else if field.path == "resources" && !takes_text && !any(|operator| *operator == Operator::Absent) {
        "match a string; `resources` is a list of strings"
    } else if field.path == "detail" && !any(|operator| *operator == Operator::Absent) {
        "name a field below `detail`, which is an object"
    } else if field.path != first
        && (TEXT_FIELDS.contains(&first) || first == "resources")
        && !any(|operator| *operator == Operator::Absent)
    {
        "match the top-level field itself, which has no fields below it"
    } else {
        return;
    };
    warnings.push(
        Diagnostic::warning(field.span, format!("no event matches this condition on `{}`", field.path)).help(help),
    );
}

/// Warns of an operator that is read as a field, because it is not in a field's list. (Inside `$or` it is refused.)
fn operators_outside_lists(node: &Node, warnings: &mut Vec<Diagnostic>) {
    for entry in entries(node) {
        let key = entry.key.as_str();
        match &entry.value.kind {
            Kind::Array(_) if OPERATORS.contains(&key) => {
                let problem =
                    Diagnostic::warning(entry.key.span, format!("`{key}` is read as the name of a field here"));
                warnings.push(problem.help(in_list(entry)));
            }
            Kind::Object(_) => operators_outside_lists(&entry.value, warnings),
            _ => {}
        }
    }
}

/// Warns of attributes of messages that are compared with numbers.
fn attributes_are_texts(field: &Field, warnings: &mut Vec<Diagnostic>) {
    let is_attribute = ["message_attributes.", "attributes."].iter().any(|start| field.path.starts_with(start));
    let takes_text = |operator: &Operator| operator.takes(&Scalar::String("".into())) || *operator == Operator::Absent;
    if !is_attribute || field.operators.iter().any(takes_text) {
        return;
    }
    let help = match field.operators.first() {
        Some(Operator::EqualsNumber(number)) => format!("write `[\"{}\"]`", number.text),
        _ => "match a string; `numeric` compares no strings".to_owned(),
    };
    let message = format!("no message matches this condition on `{}`: attributes are strings", field.path);
    warnings.push(Diagnostic::warning(field.span, message).help(help));
}

/// Warns of conditions on an object's key that keys hardly ever meet.
fn object_key(field: &Field, warnings: &mut Vec<Diagnostic>) {
    if field.path != OBJECT_KEY && field.path != format!("body.{OBJECT_KEY}") {
        return;
    }
    for operator in &field.operators {
        let (name, text) = match operator {
            Operator::Equals(text) | Operator::Exactly(text) => ("", text.as_str()),
            Operator::Prefix(text) => ("prefix", text.as_str()),
            Operator::Suffix(text) => ("suffix", text.as_str()),
            Operator::Wildcard(wildcard) => ("wildcard", wildcard.pattern.as_str()),
            _ => continue,
        };
        let write = |name: &str, text: &str| match name {
            "" => format!("write `{}`", flow(&Node::string(text))),
            name => format!("write `{{ {name}: {} }}`", flow(&Node::string(text))),
        };
        let mut warn = |message: String, help: String| {
            warnings.push(Diagnostic::warning(field.span, message).help(help));
        };
        if name != "suffix" && text.starts_with('/') {
            let message = format!("keys usually do not begin with a slash, as `{text}` does");
            warn(message, write(name, text.trim_start_matches('/')));
        }
        match name {
            "" if text.contains('*') => {
                warn(format!("only a key with an asterisk in its name equals `{text}`"), write("wildcard", text));
            }
            "prefix" if text.ends_with('*') => {
                warn(format!("`*` stands for itself in `{text}`"), write(name, text.trim_end_matches('*')));
            }
            "suffix" if text.starts_with('*') => {
                warn(format!("`*` stands for itself in `{text}`"), write(name, text.trim_start_matches('*')));
            }
            "prefix" | "suffix" if text.contains('*') => {
                let pattern = if name == "prefix" { format!("{text}*") } else { format!("*{text}") };
                warn(format!("`*` stands for itself in `{text}`"), write("wildcard", &pattern));
            }
            _ => {}
        }
        if let Some(decoded) = decoded(text) {
            warn(format!("keys are not URL-encoded in events, but `{text}` is"), write(name, &decoded));
        }
    }
}

/// Returns a text without its URL encoding, if it has one.
fn decoded(text: &str) -> Option<String> {
    let is_encoded = text
        .as_bytes()
        .windows(3)
        .any(|three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()));
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    is_encoded.then(|| decoded.into_owned())
}

/// Returns whether some event could match both patterns, judging by their fields. (If a field below `detail` is a list,
/// an event may match both although this returns false.)
pub fn may_overlap(one: &Pattern, other: &Pattern) -> bool {
    one.alternatives.iter().any(|one| other.alternatives.iter().any(|other| alternatives_overlap(one, other)))
}

fn alternatives_overlap(one: &Alternative, other: &Alternative) -> bool {
    one.fields.iter().all(|field| {
        let same_path = other.fields.iter().find(|other| other.path == field.path);
        // In a list, different elements may satisfy the two patterns. Other fields are assumed to have one value.
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

/// Returns the one value that an operator matches, apart from other spellings of it.
fn value_of(operator: &Operator) -> Option<Scalar<'_>> {
    match operator {
        Operator::Equals(text) | Operator::Exactly(text) => Some(Scalar::String(text.into())),
        Operator::EqualsAddress(address) => Some(Scalar::String(address.to_string().into())),
        Operator::EqualsNumber(number) => Some(Scalar::Number(&number.text)),
        Operator::EqualsLiteral(literal) => Some(Scalar::Literal(*literal)),
        _ => None,
    }
}

/// Returns a warning for every route whose pattern can match the same event as an earlier route's.
pub fn overlaps<'a>(patterns: &[(&'a str, Span, &'a Pattern)]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for (position, (name, span, pattern)) in patterns.iter().enumerate() {
        let others: Vec<&str> = patterns[..position]
            .iter()
            .filter(|(_, _, other)| may_overlap(other, pattern))
            .map(|(other, _, _)| *other)
            .collect();
        if !others.is_empty() {
            let message =
                format!("an event that matches `{name}` can also match {}", crate::text::decode::list(&others));
            warnings.push(
                Diagnostic::warning(*span, message)
                    .help("every matching route starts its task; narrow a pattern if only one should"),
            );
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
