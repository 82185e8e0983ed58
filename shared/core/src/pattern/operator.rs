//! What each operator of an event pattern means for one value of an event.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>, and the behaviour of
//! AWS's open-source event-ruler where that page is silent.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::number::ComparableNumber;
use crate::text::json::quote;

/// One entry of a field's array.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// `"text"`: the same characters; no normalisation.
    Equals(String),
    /// `"10.0.0.1"`: a text that is an IP address equals any spelling of the address.
    EqualsAddress(IpAddr),
    /// `5`: the same number, however spelled; beyond a double's precision, the same spelling.
    EqualsNumber(NumberOperand),
    /// `true`, `false` or `null`.
    EqualsLiteral(Literal),
    /// `{"exactly": "text"}`: the same characters, also for addresses. Undocumented, but accepted by AWS.
    Exactly(String),
    /// `{"equals-ignore-case": "text"}`.
    EqualsIgnoreCase(IgnoreCase),
    /// `{"prefix": "text"}`.
    Prefix(String),
    /// `{"prefix": {"equals-ignore-case": "text"}}`.
    PrefixIgnoreCase(IgnoreCase),
    /// `{"suffix": "text"}`.
    Suffix(String),
    /// `{"suffix": {"equals-ignore-case": "text"}}`.
    SuffixIgnoreCase(IgnoreCase),
    /// `{"wildcard": "a*b"}`.
    Wildcard(Wildcard),
    /// `{"numeric": [">", 0, "<=", 5]}`.
    Numeric(NumericRange),
    /// `{"cidr": "10.0.0.0/8"}`.
    Cidr(Cidr),
    /// `{"anything-but": ...}`: any value that is there, but these.
    AnythingBut(AnythingBut),
    /// `{"exists": true}`: any value, null included.
    Exists,
    /// `{"exists": false}`: no value. Matches no value; the evaluation asks for it where there is none.
    Absent,
}

/// A value at a leaf of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar<'a> {
    /// A string, escapes decoded.
    String(Cow<'a, str>),
    /// A number, as it was spelled.
    Number(&'a str),
    /// `true`, `false` or `null`.
    Literal(Literal),
}

/// A value that is neither text nor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl Operator {
    /// Whether this operator matches `value`.
    pub fn matches(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Equals(text) | Self::Exactly(text), Scalar::String(value)) => text == value,
            (Self::EqualsAddress(address), Scalar::String(value)) => parse_address(value) == Some(*address),
            (Self::EqualsNumber(number), Scalar::Number(value)) => number.equals(value),
            (Self::EqualsLiteral(literal), Scalar::Literal(value)) => literal == value,
            (Self::EqualsIgnoreCase(text), Scalar::String(value)) => text.equals(value),
            (Self::Prefix(prefix), Scalar::String(value)) => value.starts_with(prefix),
            (Self::PrefixIgnoreCase(prefix), Scalar::String(value)) => prefix.starts(value),
            (Self::Suffix(suffix), Scalar::String(value)) => value.ends_with(suffix),
            (Self::SuffixIgnoreCase(suffix), Scalar::String(value)) => suffix.ends(value),
            (Self::Wildcard(wildcard), Scalar::String(value)) => wildcard.matches(value),
            (Self::Numeric(range), Scalar::Number(value)) => range.contains(value),
            (Self::Cidr(cidr), Scalar::String(value)) => cidr.contains(value),
            (Self::AnythingBut(excluded), value) => !excluded.excludes(value),
            (Self::Exists, _) => true,
            _ => false,
        }
    }
}

impl Operator {
    /// Whether this operator can match values of this type at all.
    pub fn takes(&self, value: &Scalar<'_>) -> bool {
        match self {
            Self::EqualsNumber(_) | Self::Numeric(_) => matches!(value, Scalar::Number(_)),
            Self::EqualsLiteral(_) => matches!(value, Scalar::Literal(_)),
            Self::AnythingBut(_) | Self::Exists => true,
            Self::Absent => false,
            _ => matches!(value, Scalar::String(_)),
        }
    }
}

/// The operator as JSON, as it may stand in a pattern.
impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &str, value: String| format!("{{{}:{value}}}", quote(name));
        let ignoring_case = |text: &IgnoreCase| named("equals-ignore-case", quote(&text.text));
        formatter.write_str(&match self {
            Self::Equals(text) => quote(text),
            Self::EqualsAddress(address) => quote(&address.to_string()),
            Self::EqualsNumber(number) => number.text.clone(),
            Self::EqualsLiteral(Literal::True) => "true".to_owned(),
            Self::EqualsLiteral(Literal::False) => "false".to_owned(),
            Self::EqualsLiteral(Literal::Null) => "null".to_owned(),
            Self::Exactly(text) => named("exactly", quote(text)),
            Self::EqualsIgnoreCase(text) => ignoring_case(text),
            Self::Prefix(text) => named("prefix", quote(text)),
            Self::PrefixIgnoreCase(text) => named("prefix", ignoring_case(text)),
            Self::Suffix(text) => named("suffix", quote(text)),
            Self::SuffixIgnoreCase(text) => named("suffix", ignoring_case(text)),
            Self::Wildcard(wildcard) => named("wildcard", quote(&wildcard.pattern)),
            Self::Numeric(range) => named("numeric", range.to_string()),
            Self::Cidr(cidr) => named("cidr", quote(&format!("{}/{}", cidr.address, cidr.mask_bits))),
            Self::AnythingBut(excluded) => named("anything-but", excluded.to_string()),
            Self::Exists => named("exists", "true".to_owned()),
            Self::Absent => named("exists", "false".to_owned()),
        })
    }
}

/// A number of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberOperand {
    /// As it was spelled.
    pub text: String,
    /// Its value, where a double holds it.
    pub value: Option<ComparableNumber>,
}

impl NumberOperand {
    fn equals(&self, value: &str) -> bool {
        match self.value {
            Some(number) => ComparableNumber::parse(value) == Some(number),
            None => self.text == value,
        }
    }
}

/// A text compared without regard to case: each of its characters stands for its own lower and upper case form, so that
/// `straße` matches `STRASSE`, but not the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreCase {
    /// The text.
    pub text: String,
    /// Each character's lower and upper case.
    forms: Vec<[String; 2]>,
}

impl IgnoreCase {
    /// `text` without regard to case.
    pub fn new(text: String) -> Self {
        let forms = text.chars().map(|c| [c.to_lowercase().to_string(), c.to_uppercase().to_string()]).collect();
        Self { text, forms }
    }

    fn equals(&self, value: &str) -> bool {
        self.rest_after(&self.forms, value).iter().any(|rest| rest.is_empty())
    }

    fn starts(&self, value: &str) -> bool {
        !self.rest_after(&self.forms, value).is_empty()
    }

    fn ends(&self, value: &str) -> bool {
        let mut rests = vec![value];
        for form in self.forms.iter().rev() {
            rests = step(&rests, form, |rest, form| rest.strip_suffix(form));
        }
        !rests.is_empty()
    }

    fn rest_after<'v>(&self, forms: &[[String; 2]], value: &'v str) -> Vec<&'v str> {
        forms.iter().fold(vec![value], |rests, form| step(&rests, form, |rest, form| rest.strip_prefix(form)))
    }
}

/// What remains of each rest when either form of one character is taken off it.
fn step<'v>(
    rests: &[&'v str],
    [lower, upper]: &[String; 2],
    strip: impl Fn(&'v str, &str) -> Option<&'v str>,
) -> Vec<&'v str> {
    let mut next = Vec::new();
    for rest in rests {
        let lower = strip(rest, lower);
        let upper = strip(rest, upper).filter(|upper| Some(*upper) != lower);
        next.extend(lower);
        next.extend(upper);
    }
    next
}

/// A text in which each `*` stands for any characters, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// The pattern as it was written.
    pub pattern: String,
    /// The texts between the asterisks; always one more than there are asterisks.
    literals: Vec<String>,
}

impl Wildcard {
    /// Parses `\*` and `\\` as the characters themselves.
    ///
    /// # Errors
    /// The reason, in EventBridge's words.
    pub fn parse(pattern: &str) -> Result<Self, &'static str> {
        let mut literals = vec![String::new()];
        let mut after_asterisk = false;
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' if after_asterisk => return Err("Consecutive wildcard characters"),
                '*' => {
                    literals.push(String::new());
                    after_asterisk = true;
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err("Invalid escape character"),
                },
                other => other,
            };
            after_asterisk = false;
            if let Some(last) = literals.last_mut() {
                last.push(literal);
            }
        }
        Ok(Self { pattern: pattern.to_owned(), literals })
    }

    /// The text before the first asterisk.
    pub fn head(&self) -> &str {
        self.literals.first().map_or("", String::as_str)
    }

    /// The text after the last asterisk.
    pub fn tail(&self) -> &str {
        self.literals.last().map_or("", String::as_str)
    }

    /// Whether `value` matches. Each text between asterisks is found as early as possible, so that no step is ever taken
    /// back.
    pub fn matches(&self, value: &str) -> bool {
        let (Some((first, rest)), count) = (self.literals.split_first(), self.literals.len()) else { return false };
        if count == 1 {
            return first == value;
        }
        let Some(mut remaining) = value.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return false };
        for literal in middle {
            match remaining.find(literal.as_str()) {
                Some(at) => remaining = &remaining[at + literal.len()..],
                None => return false,
            }
        }
        remaining.ends_with(last.as_str())
    }
}

/// A range of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericRange {
    /// The lower end, and whether it is itself inside.
    pub bottom: Option<(ComparableNumber, bool)>,
    /// The upper end, and whether it is itself inside.
    pub top: Option<(ComparableNumber, bool)>,
}

impl NumericRange {
    /// Whether the number lies inside; a number that a double cannot hold never does.
    pub fn contains(&self, value: &str) -> bool {
        ComparableNumber::parse(value).is_some_and(|value| self.contains_number(value))
    }

    /// Whether some number lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let below =
            |bottom: Option<(ComparableNumber, bool)>, top: Option<(ComparableNumber, bool)>| match (bottom, top) {
                (Some((bottom, bottom_inside)), Some((top, top_inside))) => {
                    bottom < top || (bottom == top && bottom_inside && top_inside)
                }
                _ => true,
            };
        below(self.bottom, other.top) && below(other.bottom, self.top)
    }

    /// Whether the number lies inside.
    pub fn contains_number(&self, value: ComparableNumber) -> bool {
        let above = self.bottom.is_none_or(|(bottom, inside)| value > bottom || (inside && value == bottom));
        let below = self.top.is_none_or(|(top, inside)| value < top || (inside && value == top));
        above && below
    }
}

impl fmt::Display for NumericRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = match (self.bottom, self.top) {
            (Some((number, true)), Some((top, true))) if number == top => format!("\"=\",{}", number.value()),
            (bottom, top) => {
                let end = |sign: &str, (number, inside): (ComparableNumber, bool)| {
                    format!("\"{sign}{}\",{}", if inside { "=" } else { "" }, number.value())
                };
                let ends = [bottom.map(|bottom| end(">", bottom)), top.map(|top| end("<", top))];
                ends.into_iter().flatten().collect::<Vec<_>>().join(",")
            }
        };
        write!(formatter, "[{ends}]")
    }
}

/// A block of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Any address of the block.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub mask_bits: u32,
}

impl Cidr {
    /// Parses `address/bits`.
    ///
    /// # Errors
    /// The reason, in EventBridge's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.trim_end_matches('/').split_once('/').ok_or("Malformed CIDR, one '/' required")?;
        let mask_bits = match bits.parse::<i64>() {
            Ok(bits) => u32::try_from(bits).map_err(|_| "Malformed CIDR, mask bits must not be negative")?,
            Err(_) if bits.contains('/') => return Err("Malformed CIDR, one '/' required".to_owned()),
            Err(_) => return Err("Malformed CIDR, mask bits must be an integer".to_owned()),
        };
        let address = parse_address(address).ok_or_else(|| format!("Nonstandard IP address: {address}"))?;
        match address {
            IpAddr::V4(_) if mask_bits > 31 => Err("IPv4 mask bits must be < 32".to_owned()),
            IpAddr::V6(_) if mask_bits > 127 => Err("IPv6 mask bits must be < 128".to_owned()),
            _ => Ok(Self { address, mask_bits }),
        }
    }

    fn contains(self, value: &str) -> bool {
        match (self.address, parse_address(value)) {
            (IpAddr::V4(block), Some(IpAddr::V4(value))) => {
                (block.to_bits() ^ value.to_bits()).checked_shr(32 - self.mask_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(block), Some(IpAddr::V6(value))) => {
                (block.to_bits() ^ value.to_bits()).checked_shr(128 - self.mask_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The address that `text` spells: IPv4 with decimal parts (leading zeros allowed), or IPv6 of hexadecimal digits and
/// colons only. An IPv6 spelling of an IPv4-mapped address is that IPv4 address.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
            return None;
        }
        // A group may have any number of leading zeros.
        let group = |group: &str| match group.trim_start_matches('0') {
            "" if !group.is_empty() => "0".to_owned(),
            digits => digits.to_owned(),
        };
        let address: Ipv6Addr = text.split(':').map(group).collect::<Vec<_>>().join(":").parse().ok()?;
        return Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4));
    }
    if text.len() > 15 || !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        *octet = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// What a value must not be. Everything else that is there matches, of whatever type.
#[derive(Debug, Clone, PartialEq)]
pub enum AnythingBut {
    /// None of these texts; addresses are compared as text here.
    Strings(Vec<String>),
    /// None of these numbers.
    Numbers(Vec<ComparableNumber>),
    /// None of these texts in any case.
    EqualsIgnoreCase(Vec<IgnoreCase>),
    /// No text that starts with one of these.
    Prefix(Vec<String>),
    /// No text that ends with one of these.
    Suffix(Vec<String>),
    /// No text that one of these matches.
    Wildcard(Vec<Wildcard>),
}

impl AnythingBut {
    fn excludes(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Strings(texts), Scalar::String(value)) => texts.iter().any(|text| text == value),
            (Self::Numbers(numbers), Scalar::Number(value)) => {
                ComparableNumber::parse(value).is_some_and(|value| numbers.contains(&value))
            }
            (Self::EqualsIgnoreCase(texts), Scalar::String(value)) => texts.iter().any(|text| text.equals(value)),
            (Self::Prefix(prefixes), Scalar::String(value)) => prefixes.iter().any(|prefix| value.starts_with(prefix)),
            (Self::Suffix(suffixes), Scalar::String(value)) => suffixes.iter().any(|suffix| value.ends_with(suffix)),
            (Self::Wildcard(wildcards), Scalar::String(value)) => {
                wildcards.iter().any(|wildcard| wildcard.matches(value))
            }
            _ => false,
        }
    }
}

impl fmt::Display for AnythingBut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |texts: Vec<String>| format!("[{}]", texts.join(","));
        let named = |name: &str, texts: Vec<String>| format!("{{\"{name}\":{}}}", list(texts));
        formatter.write_str(&match self {
            Self::Strings(texts) => list(texts.iter().map(|text| quote(text)).collect()),
            Self::Numbers(numbers) => list(numbers.iter().map(|number| number.value().to_string()).collect()),
            Self::EqualsIgnoreCase(texts) => {
                named("equals-ignore-case", texts.iter().map(|text| quote(&text.text)).collect())
            }
            Self::Prefix(texts) => named("prefix", texts.iter().map(|text| quote(text)).collect()),
            Self::Suffix(texts) => named("suffix", texts.iter().map(|text| quote(text)).collect()),
            Self::Wildcard(wildcards) => {
                named("wildcard", wildcards.iter().map(|wildcard| quote(&wildcard.pattern)).collect())
            }
        })
    }
}
