//! The values of an event as templates see them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::text::{Kind, Node, json};

/// The name under which a context holds its [`Spellings`]. No template can write it.
const SPELLINGS: &str = "\u{1}spellings";

/// How many bytes of JSON or text one step of the budget pays for.
const BYTES_PER_STEP: usize = 64;

/// The texts of an event's numbers that a float does not keep, such as `100.00`.
///
/// Numbers must stay numbers, so that templates can compare them. Their text is looked up when they are written.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// By the bits of the float. None: the event writes the same number in two ways.
    texts: HashMap<u64, Option<String>>,
}

/// A whole number with more digits than 128 bits hold.
#[derive(Debug)]
struct LongInteger(String);

impl Object for LongInteger {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Object for Spellings {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Spellings {
    /// Returns the context's field that holds the spellings.
    pub(super) fn into_field(self) -> (&'static str, Value) {
        (SPELLINGS, Value::from_object(self))
    }

    /// Returns the value of a JSON node, and remembers the spelling of its numbers.
    pub(super) fn value(&mut self, node: &Node) -> Value {
        match &node.kind {
            Kind::Null => Value::from(()),
            Kind::Bool(value) => Value::from(*value),
            Kind::Number(text) => self.number(text),
            Kind::String(text) => Value::from(text.as_str()),
            Kind::Array(elements) => elements.iter().map(|element| self.value(element)).collect(),
            Kind::Object(entries) => {
                Value::from_pairs(entries.iter().map(|entry| (entry.key.as_str(), self.value(&entry.value))))
            }
        }
    }

    fn number(&mut self, text: &str) -> Value {
        if let Ok(integer) = text.parse::<i64>() {
            return Value::from(integer);
        }
        if let Ok(integer) = text.parse::<i128>() {
            return Value::from(integer);
        }
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let float = text.parse::<f64>().ok().filter(|float| float.is_finite() && !is_whole);
        let Some(float) = float else { return Value::from_object(LongInteger(text.to_owned())) };
        match self.texts.entry(float.to_bits()) {
            Entry::Vacant(unknown) => drop(unknown.insert(Some(text.to_owned()))),
            Entry::Occupied(mut known) => {
                if known.get().as_deref() != Some(text) {
                    known.insert(None);
                }
            }
        }
        Value::from(float)
    }

    fn text(&self, value: &Value) -> Option<&str> {
        let float = f64::try_from(value.clone()).ok().filter(|_| !value.is_integer())?;
        self.texts.get(&float.to_bits())?.as_deref()
    }
}

/// Returns the one obvious text of a value: of a text, a number or a boolean.
///
/// # Errors
/// The value is null, missing, a list or an object, or the budget of the template is used up.
pub(super) fn scalar_text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let problem = match value.kind() {
        ValueKind::Undefined => return Err(missing(value)),
        ValueKind::None => "a value is null; give a default, as in `{{ value | default('-') }}`",
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            "a value is a list or an object; write it as JSON with `| tojson`, or pick a part of it"
        }
        ValueKind::Bytes | ValueKind::Invalid => "a value cannot be written as text",
        ValueKind::Plain if value.downcast_object_ref::<LongInteger>().is_none() => "a value cannot be written as text",
        ValueKind::Bool => return Ok(value.is_true().to_string()),
        _ => {
            let text = spelling(state, value).unwrap_or_else(|| value.to_string());
            pay_for(state, text.len())?;
            return Ok(text);
        }
    };
    Err(Error::new(ErrorKind::InvalidOperation, problem))
}

/// Returns a value as compact JSON.
///
/// # Errors
/// A part of it is missing or has no JSON, or the budget of the template is used up.
pub(super) fn to_json(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_json(state, value, &mut out)?;
    Ok(out)
}

fn write_json(state: &State<'_, '_>, value: &Value, out: &mut String) -> Result<(), Error> {
    let before = out.len();
    match value.kind() {
        ValueKind::Undefined => return Err(missing(value)),
        ValueKind::None => out.push_str("null"),
        ValueKind::String => out.push_str(&json::quote(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (position, element) in value.try_iter()?.enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_json(state, &element, out)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (position, key) in value.try_iter()?.enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&json::quote(&key.to_string()));
                out.push(':');
                write_json(state, &value.get_item(&key)?, out)?;
            }
            out.push('}');
        }
        _ => out.push_str(&scalar_text(state, value)?),
    }
    // Nested values pay for themselves; whoever holds them pays a step more for the brackets.
    pay_for(state, if matches!(value.kind(), ValueKind::String) { out.len() - before } else { 0 })
}

/// Takes what `bytes` of new text cost from the template's budget.
///
/// # Errors
/// The budget is used up.
pub(super) fn pay_for(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(1 + (bytes / BYTES_PER_STEP) as u64)
}

fn spelling(state: &State<'_, '_>, value: &Value) -> Option<String> {
    let spellings = state.lookup(SPELLINGS)?;
    spellings.downcast_object_ref::<Spellings>()?.text(value).map(str::to_owned)
}

/// Returns the error that a missing value makes when it is used. The engine knows which expression it came from.
pub(super) fn missing(value: &Value) -> Error {
    value.get_attr("").err().unwrap_or_else(|| Error::from(ErrorKind::UndefinedError))
}

/// Fails if a value, or a part of it, is missing.
///
/// # Errors
/// It is, or the budget of the template is used up.
pub(super) fn require(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => Err(missing(value)),
        ValueKind::Seq | ValueKind::Iterable => {
            for element in value.try_iter()? {
                state.consume_fuel(1)?;
                require(state, &element)?;
            }
            Ok(())
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                state.consume_fuel(1)?;
                require(state, &value.get_item(&key)?)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An object or a list of which no missing part can be read: the lookup itself fails, and names the part.
#[derive(Debug)]
struct Strict {
    path: String,
    value: Value,
}

/// Returns a value in which every lookup of a missing part fails.
pub(super) fn strict(value: Value) -> Value {
    strict_at(String::new(), value)
}

fn strict_at(path: String, value: Value) -> Value {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => Value::from_object(Strict { path, value }),
        _ => value,
    }
}

impl Strict {
    fn path_of(&self, key: &Value) -> String {
        match key.as_str() {
            None => format!("{}[{key}]", self.path),
            Some(name) if self.path.is_empty() => name.to_owned(),
            Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                format!("{}.{name}", self.path)
            }
            Some(name) => format!("{}[{}]", self.path, json::quote(name)),
        }
    }
}

impl Object for Strict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value.kind() == ValueKind::Seq { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let path = self.path_of(key);
        match self.value.get_item(key) {
            Ok(part) if !part.is_undefined() => Some(strict_at(path, part)),
            _ => Some(Value::from(Error::new(ErrorKind::UndefinedError, format!("`{path}` is undefined")))),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.value.kind() {
            ValueKind::Seq => Enumerator::Seq(self.value.len().unwrap_or_default()),
            _ => self.value.try_iter().map_or(Enumerator::NonEnumerable, |keys| Enumerator::Values(keys.collect())),
        }
    }
}
