//! The filters of templates: minijinja's own for texts, lists and defaults, and ours for keys and encodings.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, tests};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::values;
use crate::ecs::limits;

/// `urlencode` escapes these characters: all but RFC 3986's unreserved ones.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes a function of the engine.
type Make = fn() -> Value;

/// Every filter, by name.
pub(super) const FILTERS: &[(&str, Make)] = &[
    ("basename", || Value::from_function(basename)),
    ("dirname", || Value::from_function(dirname)),
    ("stem", || Value::from_function(stem)),
    ("extension", || Value::from_function(extension)),
    ("split", || Value::from_function(split)),
    ("replace", || Value::from_function(filters::replace)),
    ("lower", || Value::from_function(filters::lower)),
    ("upper", || Value::from_function(filters::upper)),
    ("trim", || Value::from_function(filters::trim)),
    ("default", || Value::from_function(default)),
    ("tojson", || Value::from_function(tojson)),
    ("urlencode", || Value::from_function(urlencode)),
    ("b64encode", || Value::from_function(b64encode)),
    ("sha256", || Value::from_function(sha256)),
    ("first", || Value::from_function(filters::first)),
    ("last", || Value::from_function(filters::last)),
    ("join", || Value::from_function(join)),
    ("length", || Value::from_function(filters::length)),
    ("int", || Value::from_function(filters::int)),
    ("string", || Value::from_function(string)),
    ("tagsafe", || Value::from_function(tagsafe)),
];

/// Every test, by name: what may follow `is`.
pub(super) const TESTS: &[(&str, Make)] = &[
    ("defined", || Value::from_function(tests::is_defined)),
    ("undefined", || Value::from_function(tests::is_undefined)),
    ("none", || Value::from_function(tests::is_none)),
    ("startingwith", || Value::from_function(tests::is_startingwith)),
    ("endingwith", || Value::from_function(tests::is_endingwith)),
    ("in", || Value::from_function(tests::is_in)),
    ("eq", || Value::from_function(tests::is_eq)),
    ("ne", || Value::from_function(tests::is_ne)),
];

/// The filters and tests whose value may be missing. No other filter, test or argument ever receives a missing value.
pub(super) const FOR_ABSENCE: &[&str] = &["default", "defined", "undefined"];

/// Adds all filters and tests to the engine.
pub(super) fn add(environment: &mut Environment<'static>) {
    for (name, make) in FILTERS {
        let filter = make();
        environment.add_filter(*name, move |state: &mut State<'_, '_>, values: Rest<Value>| {
            require_all(name, state, &values)?;
            filter.call(state, &values)
        });
    }
    for (name, make) in TESTS {
        let test = make();
        environment.add_test(*name, move |state: &mut State<'_, '_>, values: Rest<Value>| {
            require_all(name, state, &values)?;
            test.call(state, &values).map(|answer| answer.is_true())
        });
    }
}

/// Fails if a value that a filter or test is applied to, or an argument, is missing or has a missing part.
fn require_all(name: &str, state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    let may_be_missing = |position, value: &Value| position == 0 && value.is_undefined() && FOR_ABSENCE.contains(&name);
    let required = values.iter().enumerate().filter(|(position, value)| !may_be_missing(*position, value));
    required.map(|(_, value)| value).try_for_each(|value| values::require(state, value))
}

/// Returns the positions of the filter names that a template applies: after each `|` of an expression, outside strings.
pub(super) fn applied(template: &str) -> Vec<Range<usize>> {
    let names = expressions(template).into_iter().flat_map(|expression| {
        let bars = template[expression.clone()].match_indices('|').map(move |(at, _)| expression.start + at + 1);
        bars.map(|after| {
            let rest = &template[after..];
            let start = after + rest.len() - rest.trim_start().len();
            let length = template[start..].find(|c: char| !c.is_alphanumeric() && c != '_');
            start..length.map_or(template.len(), |length| start + length)
        })
    });
    names.collect()
}

/// Returns the parts of a template that are expressions or statements, without the texts in quotes in them.
pub(super) fn expressions(template: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut quote = None;
    let mut begin = None;
    let mut characters = template.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match (begin, quote, character) {
            (None, None, '{') if next == Some('%') && opens_raw(&template[at + 2..]) => {
                // The content of a raw block is not an expression.
                let end = template[at..].find("endraw").map_or(template.len(), |end| at + end);
                while characters.next_if(|(at, _)| *at < end).is_some() {}
                begin = Some(end);
            }
            (None, None, '{') if matches!(next, Some('{' | '%')) => {
                characters.next();
                begin = Some(at + 2);
            }
            (Some(start), None, '}' | '%') if next == Some('}') => {
                parts.push(start..at);
                begin = None;
            }
            (None, Some(_), '\\') => {
                characters.next();
            }
            (None, Some(open), close) if open == close => {
                quote = None;
                begin = Some(at + 1);
            }
            (Some(start), None, '"' | '\'') => {
                parts.push(start..at);
                (quote, begin) = (Some(character), None);
            }
            _ => {}
        }
    }
    parts.extend(begin.map(|start| start..template.len()));
    parts
}

/// Returns whether a template asks for fields that an event may lack: by [`FOR_ABSENCE`], or by the operator `in`, which
/// is not the `in` of a `for`.
pub(super) fn asks_for_fields(template: &str) -> bool {
    let words = expressions(template).into_iter().flat_map(|expression| {
        let of_name = |c: char| !c.is_alphanumeric() && c != '_';
        template[expression].split(of_name).filter(|word| !word.is_empty())
    });
    let mut is_in_for = false;
    for word in words {
        match word {
            "for" => is_in_for = true,
            "in" if is_in_for => is_in_for = false,
            "in" => return true,
            word if FOR_ABSENCE.contains(&word) => return true,
            _ => {}
        }
    }
    false
}

/// Returns whether the text after a `{%` makes it the beginning of a raw block.
fn opens_raw(statement: &str) -> bool {
    let word = statement.trim_start_matches(['-', '+']).trim_start().strip_prefix("raw");
    word.is_some_and(|rest| rest.trim_start().trim_start_matches(['-', '+']).starts_with("%}"))
}

/// Returns the part after the last `/`.
fn basename(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Returns the part before the last `/`, or an empty text if there is no `/`.
fn dirname(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned()
}

/// Returns the basename without its last extension: `report.tar` for `in/report.tar.gz`.
fn stem(path: &str) -> String {
    let name = basename(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}

/// Returns the basename's last extension without its dot: `gz` for `in/report.tar.gz`, or an empty text if there is
/// none.
fn extension(path: &str) -> String {
    match basename(path).rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_owned(),
        _ => String::new(),
    }
}

/// Returns the parts between the occurrences of `separator`, as a list that `[0]` and `| last` can select from.
fn split(text: &str, separator: &str) -> Result<Vec<String>, Error> {
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "split needs a separator, as in `split('/')`"));
    }
    Ok(text.split(separator).map(str::to_owned).collect())
}

/// Returns the value, or the replacement if the event has no such field or has null there.
fn default(value: &Value, replacement: Rest<Value>) -> Result<Value, Error> {
    match (value.kind(), replacement.as_slice()) {
        (ValueKind::Undefined | ValueKind::None, [replacement]) => Ok(replacement.clone()),
        (_, [_]) => Ok(value.clone()),
        _ => Err(Error::new(ErrorKind::MissingArgument, "default needs one replacement, as in `default('-')`")),
    }
}

/// Returns compact JSON. Numbers have the text that the event gives them.
fn tojson(state: &mut State<'_, '_>, value: &Value) -> Result<String, Error> {
    values::to_json(state, value)
}

/// Returns the text of a text, a number or a boolean.
fn string(state: &mut State<'_, '_>, value: &Value) -> Result<String, Error> {
    values::scalar_text(state, value)
}

/// Returns the texts of a list's elements with `separator` between them.
fn join(state: &mut State<'_, '_>, list: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (position, element) in list.try_iter()?.enumerate() {
        if let Some(separator) = separator.filter(|_| position > 0) {
            values::pay_for(state, separator.len())?;
            joined.push_str(separator);
        }
        joined.push_str(&values::scalar_text(state, &element)?);
    }
    Ok(joined)
}

/// Returns the text with `_` for each character that the value of a tag cannot have, cut off after as many characters
/// as a tag's value has at most.
fn tagsafe(text: &str) -> String {
    let safe = |c: char| if limits::refused_in_tag(c.encode_utf8(&mut [0; 4])).is_some() { '_' } else { c };
    text.chars().map(safe).take(limits::TAG_VALUE_CHARACTERS_MAX).collect()
}

fn urlencode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn b64encode(text: &str) -> String {
    STANDARD.encode(text)
}

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}
