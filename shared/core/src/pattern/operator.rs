//! What each operator of an event pattern means for one value of an event.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>, and the
//! behaviour of AWS's open-source event-ruler where that page is silent.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::number::ComparableNumber;
use crate::text::json::quote;

/// An operator of a pattern: one entry of a field's array.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// `"text"`: matches the same characters, without normalization.
    Equals(String),
    /// `"10.0.0.1"`: a text that is an IP address matches any spelling of the address.
    EqualsAddress(IpAddr),
    /// `5`: matches the same number in any spelling; beyond a double's precision, only the same spelling.
    EqualsNumber(NumberOperand),
    /// `true`, `false` or `null`.
    EqualsLiteral(Literal),
    /// `{"exactly": "text"}`: matches the same characters, for IP addresses too. Undocumented, but AWS accepts it.
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
    /// `{"anything-but": ...}`: matches any present value except these.
    AnythingBut(AnythingBut),
    /// `{"exists": true}`: matches any value, null included.
    Exists,
    /// `{"exists": false}`: holds if there is no value. It matches no value; the evaluation handles the absence.
    Absent,
}

/// A leaf value of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar<'a> {
    /// A string, escapes decoded.
    String(Cow<'a, str>),
    /// A number as it was spelled.
    Number(&'a str),
    /// `true`, `false` or `null`.
    Literal(Literal),
}

/// A leaf value that is neither a string nor a number.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Literal {
    True,
    False,
    Null,
}

impl Operator {
    /// Returns whether this operator matches `value`.
    pub fn matches(&self, value: &Scalar<'_>) -> bool {
        let text = match value {
            Scalar::String(text) => Some(text.as_ref()),
            Scalar::Number(_) | Scalar::Literal(_) => None,
        };
        match self {
            Self::Equals(own) | Self::Exactly(own) => text.is_some_and(|text| own == text),
            Self::EqualsAddress(address) => text.is_some_and(|text| parse_address(text) == Some(*address)),
            Self::EqualsNumber(number) => matches!(value, Scalar::Number(value) if number.equals(value)),
            Self::EqualsLiteral(literal) => matches!(value, Scalar::Literal(value) if literal == value),
            Self::EqualsIgnoreCase(own) => text.is_some_and(|text| own.equals(text)),
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix.as_str())),
            Self::PrefixIgnoreCase(prefix) => text.is_some_and(|text| prefix.starts(text)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix.as_str())),
            Self::SuffixIgnoreCase(suffix) => text.is_some_and(|text| suffix.ends(text)),
            Self::Wildcard(wildcard) => text.is_some_and(|text| wildcard.matches(text)),
            Self::Numeric(range) => matches!(value, Scalar::Number(value) if range.contains(value)),
            Self::Cidr(cidr) => text.is_some_and(|text| cidr.contains(text)),
            Self::AnythingBut(excluded) => !excluded.excludes(value),
            Self::Exists => true,
            Self::Absent => false,
        }
    }
}

impl Operator {
    /// Returns whether this operator can match any value of the type of `value`.
    pub fn takes(&self, value: &Scalar<'_>) -> bool {
        match self {
            Self::EqualsNumber(_) | Self::Numeric(_) => matches!(value, Scalar::Number(_)),
            Self::EqualsLiteral(_) => matches!(value, Scalar::Literal(_)),
            Self::AnythingBut(_) | Self::Exists => true,
            Self::Absent => false,
            Self::Equals(_)
            | Self::EqualsAddress(_)
            | Self::Exactly(_)
            | Self::EqualsIgnoreCase(_)
            | Self::Prefix(_)
            | Self::PrefixIgnoreCase(_)
            | Self::Suffix(_)
            | Self::SuffixIgnoreCase(_)
            | Self::Wildcard(_)
            | Self::Cidr(_) => matches!(value, Scalar::String(_)),
        }
    }
}

/// Writes the operator as JSON, as a pattern would contain it.
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

/// A number in a pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberOperand {
    /// The number as it was spelled.
    pub text: String,
    /// The value, if a double can hold it.
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

/// A text that is compared without regard to case. Each of its characters matches its own lower-case and upper-case
/// form: `straße` matches `STRASSE`, but not the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreCase {
    /// The text as it was written.
    pub text: String,
    /// The lower-case and upper-case form of each character.
    forms: Vec<[String; 2]>,
}

impl IgnoreCase {
    /// Prepares `text` for comparison without regard to case.
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

/// Strips either form of one character from each rest, and returns what remains.
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

/// A text in which each `*` matches any number of characters, including none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// The pattern as it was written.
    pub pattern: String,
    /// The texts between the asterisks; always one more than there are asterisks.
    literals: Vec<String>,
}

impl Wildcard {
    /// Parses a wildcard; `\*` and `\\` stand for the characters themselves.
    ///
    /// # Errors
    /// EventBridge would refuse the wildcard; the reason is in EventBridge's words.
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

    /// Returns the text before the first asterisk.
    pub fn head(&self) -> &str {
        self.literals.first().map_or("", String::as_str)
    }

    /// Returns the text after the last asterisk.
    pub fn tail(&self) -> &str {
        self.literals.last().map_or("", String::as_str)
    }

    /// Returns whether `value` matches. Each text between asterisks is matched as early as possible, so the search
    /// never backtracks.
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
    /// The lower end, and whether the range includes it.
    pub bottom: Option<(ComparableNumber, bool)>,
    /// The upper end, and whether the range includes it.
    pub top: Option<(ComparableNumber, bool)>,
}

impl NumericRange {
    /// Returns whether the range contains the number. It never contains a number that a double cannot hold.
    pub fn contains(&self, value: &str) -> bool {
        ComparableNumber::parse(value).is_some_and(|value| self.contains_number(value))
    }

    /// Returns whether both ranges contain some number.
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

    /// Returns whether the range contains the number.
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
    /// An address of the block.
    pub address: IpAddr,
    /// The number of leading bits that all addresses of the block share.
    pub mask_bits: u32,
}

impl Cidr {
    /// Parses `address/bits`.
    ///
    /// # Errors
    /// EventBridge would refuse the block; the reason is in EventBridge's words.
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

/// Returns the address that `text` spells: IPv4 with decimal parts (leading zeros allowed), or IPv6 with only
/// hexadecimal digits and colons. An IPv4-mapped IPv6 address is returned as that IPv4 address.
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

/// The values that an `anything-but` excludes. Every other present value matches, of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum AnythingBut {
    /// Excludes these texts; IP addresses are compared as text here.
    Strings(Vec<String>),
    /// Excludes these numbers.
    Numbers(Vec<ComparableNumber>),
    /// Excludes these texts without regard to case.
    EqualsIgnoreCase(Vec<IgnoreCase>),
    /// Excludes texts that start with one of these.
    Prefix(Vec<String>),
    /// Excludes texts that end with one of these.
    Suffix(Vec<String>),
    /// Excludes texts that one of these matches.
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
