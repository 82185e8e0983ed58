//! The values of an event as templates see them.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::text::{Kind, Node, json};

/// The name under which a context holds its [`Spellings`]. No template can write it.
const SPELLINGS: &str = "\u{1}spellings";

/// How many bytes of JSON or text one step of the budget pays for.
const BYTES_PER_STEP: usize = 64;
/// How many elements one step of the budget pays for that are looked at.
const ITEMS_PER_STEP: usize = 32;

/// The texts of an event's numbers that a float does not keep, such as `100.00`.
///
/// Numbers must stay numbers, so that templates can compare them. Their text is looked up when they are written.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// By the bits of the float.
    texts: HashMap<u64, Spelling>,
}

#[derive(Debug, PartialEq, Eq)]
enum Spelling {
    /// The event writes the number like this.
    One(String),
    /// The event writes the same number in several ways.
    Several,
    /// Several whole numbers of the event have more digits than a float keeps, and are the same float.
    Unknown,
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
        let Some(float) = text.parse::<f64>().ok().filter(|float| float.is_finite()) else { return Value::from(text) };
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        // A number with an exponent has the text of its value: its spelling says nothing.
        if is_whole || !text.contains(['e', 'E']) {
            let spelling = Spelling::One(text.to_owned());
            let known = self.texts.entry(float.to_bits()).or_insert_with(|| Spelling::One(text.to_owned()));
            if *known != spelling {
                *known = if is_whole { Spelling::Unknown } else { Spelling::Several };
            }
        }
        Value::from(float)
    }

    fn of(&self, value: &Value) -> Option<&Spelling> {
        let float = f64::try_from(value.clone()).ok().filter(|_| !value.is_integer())?;
        self.texts.get(&float.to_bits())
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
        ValueKind::Bytes | ValueKind::Invalid | ValueKind::Plain => "a value cannot be written as text",
        ValueKind::Bool => return Ok(value.is_true().to_string()),
        _ => {
            let text = spelled(state, value)?;
            pay_for(state, text.len())?;
            return Ok(text);
        }
    };
    Err(Error::new(ErrorKind::InvalidOperation, problem))
}

/// Returns a text or a number as the event writes it.
fn spelled(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let spellings = state.lookup(SPELLINGS);
    let spellings = spellings.as_ref().and_then(|spellings| spellings.downcast_object_ref::<Spellings>());
    match spellings.and_then(|spellings| spellings.of(value)) {
        Some(Spelling::One(text)) => Ok(text.clone()),
        Some(Spelling::Unknown) => Err(Error::new(
            ErrorKind::InvalidOperation,
            "the event has several numbers with too many digits to tell them apart; send them as texts",
        )),
        Some(Spelling::Several) | None => Ok(value.to_string()),
    }
}

/// Returns a value as compact JSON.
///
/// # Errors
/// A part of it is missing or has no JSON, or the budget of the template is used up.
pub(super) fn to_json(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut json = Json { state, out: String::new(), paid: 0 };
    json.write(value)?;
    Ok(json.out)
}

/// JSON that pays for itself while it grows.
struct Json<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    out: String,
    /// How many bytes of `out` are paid for.
    paid: usize,
}

impl Json<'_, '_, '_> {
    fn write(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined => return Err(missing(value)),
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::String => self.out.push_str(&json::quote(value.as_str().unwrap_or_default())),
            ValueKind::Number => self.out.push_str(&spelled(self.state, value)?),
            ValueKind::Seq | ValueKind::Iterable => {
                self.out.push('[');
                for (position, element) in value.try_iter()?.enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    self.write(&element)?;
                }
                self.out.push(']');
            }
            ValueKind::Map => {
                self.out.push('{');
                for (position, key) in value.try_iter()?.enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    self.out.push_str(&json::quote(&key.to_string()));
                    self.out.push(':');
                    self.write(&value.get_item(&key)?)?;
                }
                self.out.push('}');
            }
            _ => return scalar_text(self.state, value).map(drop),
        }
        let steps = (self.out.len() - self.paid) / BYTES_PER_STEP;
        self.paid += steps * BYTES_PER_STEP;
        self.state.consume_fuel(steps as u64)
    }
}

/// Takes what `bytes` of new text cost from the template's budget.
///
/// # Errors
/// The budget is used up.
pub(super) fn pay_for(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(1 + (bytes / BYTES_PER_STEP) as u64)
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
    let mut seen = 0;
    require_counted(state, value, &mut seen)
}

fn require_counted(state: &State<'_, '_>, value: &Value, seen: &mut usize) -> Result<(), Error> {
    // A strict value fails at the lookup.
    if value.downcast_object_ref::<Strict>().is_some() {
        return Ok(());
    }
    let mut each = |part: &Value| {
        *seen += 1;
        if seen.is_multiple_of(ITEMS_PER_STEP) {
            state.consume_fuel(1)?;
        }
        require_counted(state, part, seen)
    };
    match value.kind() {
        ValueKind::Undefined => Err(missing(value)),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|element| each(&element)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| each(&value.get_item(&key)?)),
        _ => Ok(()),
    }
}

/// An object or a list of which no missing part can be read: the lookup itself fails, and names the part.
#[derive(Debug)]
struct Strict {
    /// Where the value was looked up. None for the values of the template itself.
    place: Option<(Arc<Self>, Value)>,
    value: Value,
}

/// The path of a field that the event lacks.
#[derive(Debug, thiserror::Error)]
#[error("the event has no `{0}`")]
pub(super) struct MissingField(pub(super) String);

/// Returns a value in which every lookup of a missing part fails.
pub(super) fn strict(value: Value) -> Value {
    Value::from_object(Strict { place: None, value })
}

/// Returns a value whose missing parts are undefined, also if it was looked up in a strict one.
pub(super) fn lenient(value: &Value) -> Value {
    value.downcast_object_ref::<Strict>().map_or_else(|| value.clone(), |strict| strict.value.clone())
}

impl Strict {
    fn path_of(&self, key: &Value) -> String {
        let path = self.place.as_ref().map(|(parent, key)| parent.path_of(key)).unwrap_or_default();
        match key.as_str() {
            None => format!("{path}[{key}]"),
            Some(name) if path.is_empty() => name.to_owned(),
            Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                format!("{path}.{name}")
            }
            Some(name) => format!("{path}[{}]", json::quote(name)),
        }
    }
}

impl Object for Strict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value.kind() == ValueKind::Seq { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match self.value.get_item(key) {
            Ok(part) if matches!(part.kind(), ValueKind::Seq | ValueKind::Map) => {
                Value::from_object(Self { place: Some((Arc::clone(self), key.clone())), value: part })
            }
            Ok(part) if !part.is_undefined() => part,
            _ => {
                let missing = Error::new(ErrorKind::UndefinedError, "a field is missing");
                Value::from(missing.with_source(MissingField(self.path_of(key))))
            }
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.value.kind() {
            ValueKind::Seq => Enumerator::Seq(self.value.len().unwrap_or_default()),
            _ => self.value.try_iter().map_or(Enumerator::NonEnumerable, |keys| Enumerator::Values(keys.collect())),
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        self.value.len()
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.value.is_true()
    }
}
