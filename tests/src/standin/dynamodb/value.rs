//! Values of attributes, items, and their sizes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::Refusal;

/// The attributes of an item by their names.
pub type Item = BTreeMap<String, Value>;

/// The value of an attribute: of the types that the launch store uses. Other types are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A text.
    S(Arc<str>),
    /// A number.
    N(Number),
    /// A truth value.
    Bool(bool),
    /// Bytes.
    B(Arc<[u8]>),
}

/// A decimal number with at most nine decimals, as a number of billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i128);

/// The digits behind the point.
const DECIMALS: usize = 9;
const ONE: i128 = 1_000_000_000;
/// The most digits before the point. DynamoDB has 38 digits in all.
const DIGITS: usize = 20;

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = (1..=DIGITS).contains(&whole.len()) && decimals.len() <= DECIMALS;
        if !is_number || !are_digits(whole) || !are_digits(decimals) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let decimals: i128 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
        let number = whole * ONE + decimals;
        Some(Self(if is_negative { -number } else { number }))
    }

    /// Returns the sum of two numbers.
    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Returns about how many bytes the number takes: one for two digits, and one.
    fn bytes(self) -> usize {
        let digits = self.to_string().bytes().filter(u8::is_ascii_digit).count();
        digits.div_ceil(2) + 1 + usize::from(self.0 < 0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, decimals) = (self.0.abs() / ONE, self.0.abs() % ONE);
        let decimals = format!("{decimals:0DECIMALS$}");
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        write!(formatter, "{sign}{whole}{point}{decimals}")
    }
}

impl Value {
    /// Returns a text as a value.
    pub fn text(text: &str) -> Self {
        Self::S(text.into())
    }

    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            Self::N(_) | Self::Bool(_) | Self::B(_) => None,
        }
    }

    /// Returns the bytes, if there are some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::B(bytes) => Some(bytes),
            Self::S(_) | Self::N(_) | Self::Bool(_) => None,
        }
    }

    /// Returns the number, rounded down, if it is one.
    pub fn as_whole(&self) -> Option<i64> {
        match self {
            Self::N(Number(billionths)) => i64::try_from(billionths.div_euclid(ONE)).ok(),
            Self::S(_) | Self::Bool(_) | Self::B(_) => None,
        }
    }

    /// Reads a value as it is in a request.
    pub(super) fn parse(json: &Json) -> Result<Self, Refusal> {
        let typed = json.as_object().filter(|typed| typed.len() == 1).and_then(|typed| typed.iter().next());
        let value = typed.and_then(|(kind, value)| match (kind.as_str(), value) {
            ("S", Json::String(text)) => Some(Self::S(text.as_str().into())),
            ("N", Json::String(text)) => Number::parse(text).map(Self::N),
            ("BOOL", Json::Bool(value)) => Some(Self::Bool(*value)),
            ("B", Json::String(text)) => STANDARD.decode(text).ok().map(|bytes| Self::B(bytes.into())),
            _ => None,
        });
        value.ok_or_else(|| Refusal::invalid(format!("the stand-in does not know the value {json}")))
    }

    /// Returns the value as it is in an answer.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::S(text) => json!({ "S": text.as_ref() }),
            Self::N(number) => json!({ "N": number.to_string() }),
            Self::Bool(value) => json!({ "BOOL": value }),
            Self::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        }
    }

    /// Returns the name of the value's type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::Bool(_) => "BOOL",
            Self::B(_) => "B",
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.bytes(),
            Self::Bool(_) => 1,
            Self::B(bytes) => bytes.len(),
        }
    }
}

/// Reads an item as it is in a request.
pub(super) fn parse_item(json: &Json) -> Result<Item, Refusal> {
    let fields = json.as_object().ok_or_else(|| Refusal::invalid("an item is not an object"))?;
    fields.iter().map(|(name, value)| Ok((name.clone(), Value::parse(value)?))).collect()
}

/// Returns an item as it is in an answer.
pub(super) fn item_to_json(item: &Item) -> Json {
    item.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

/// Returns the size of an item: of the names and values of its attributes.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub(super) fn bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.bytes()).sum()
}
