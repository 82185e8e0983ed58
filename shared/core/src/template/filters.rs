//! The filters of templates: minijinja's own for texts, lists and defaults, and ours for keys and encodings.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value, filters, tests};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// `urlencode` escapes these characters: all but RFC 3986's unreserved ones.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds a filter to the engine under a name.
type Add = fn(&mut Environment<'static>, &'static str);

/// Every filter, by name.
pub(super) const FILTERS: &[(&str, Add)] = &[
    ("basename", |environment, name| environment.add_filter(name, basename)),
    ("dirname", |environment, name| environment.add_filter(name, dirname)),
    ("stem", |environment, name| environment.add_filter(name, stem)),
    ("extension", |environment, name| environment.add_filter(name, extension)),
    ("split", |environment, name| environment.add_filter(name, split)),
    ("replace", |environment, name| environment.add_filter(name, filters::replace)),
    ("lower", |environment, name| environment.add_filter(name, filters::lower)),
    ("upper", |environment, name| environment.add_filter(name, filters::upper)),
    ("trim", |environment, name| environment.add_filter(name, filters::trim)),
    ("default", |environment, name| environment.add_filter(name, default)),
    ("tojson", |environment, name| environment.add_filter(name, tojson)),
    ("urlencode", |environment, name| environment.add_filter(name, urlencode)),
    ("b64encode", |environment, name| environment.add_filter(name, b64encode)),
    ("sha256", |environment, name| environment.add_filter(name, sha256)),
    ("first", |environment, name| environment.add_filter(name, filters::first)),
    ("last", |environment, name| environment.add_filter(name, filters::last)),
    ("join", |environment, name| environment.add_filter(name, filters::join)),
    ("length", |environment, name| environment.add_filter(name, filters::length)),
    ("int", |environment, name| environment.add_filter(name, filters::int)),
    ("string", |environment, name| environment.add_filter(name, filters::string)),
];

pub(super) fn add(environment: &mut Environment<'static>) {
    for (name, add) in FILTERS {
        add(environment, name);
    }
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("in", tests::is_in);
    environment.add_test("eq", tests::is_eq);
    environment.add_test("ne", tests::is_ne);
}

/// Returns the positions of the filter names that a template applies: after each `|` of an expression, outside strings.
pub(super) fn applied(template: &str) -> Vec<Range<usize>> {
    let mut names = Vec::new();
    let mut quote = None;
    let mut inside = false;
    let mut characters = template.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match (inside, quote, character) {
            (false, _, '{') if next == Some('%') && opens_raw(&template[at + 2..]) => {
                // The content of a raw block is not an expression.
                let end = template[at..].find("endraw").map_or(template.len(), |end| at + end);
                while characters.next_if(|(at, _)| *at < end).is_some() {}
                inside = true;
            }
            (false, _, '{') if matches!(next, Some('{' | '%')) => inside = true,
            (true, None, '}' | '%') if next == Some('}') => inside = false,
            (true, Some(_), '\\') => {
                characters.next();
            }
            (true, Some(open), close) if open == close => quote = None,
            (true, None, '"' | '\'') => quote = Some(character),
            (true, None, '|') => {
                let rest = &template[at + 1..];
                let start = at + 1 + rest.len() - rest.trim_start().len();
                let length = template[start..].find(|c: char| !c.is_alphanumeric() && c != '_');
                names.push(start..length.map_or(template.len(), |length| start + length));
            }
            _ => {}
        }
    }
    names
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

/// Returns compact JSON, without the HTML escapes of minijinja's own filter.
fn tojson(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, format!("tojson: {error}")))
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
