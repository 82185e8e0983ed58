//! Numbers as EventBridge compares them: by value if a double holds the value exactly, otherwise by spelling.

use std::cmp::Ordering;

/// A number that a double holds exactly, in the sense that its shortest decimal spelling has the same value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComparableNumber(f64);

impl Eq for ComparableNumber {}

impl PartialOrd for ComparableNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ComparableNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl ComparableNumber {
    /// Returns the number that `text`, a number in JSON's grammar, spells, or `None` if a double cannot hold it.
    pub fn parse(text: &str) -> Option<Self> {
        let value: f64 = text.parse().ok()?;
        // A double always preserves up to 15 significant digits; only an exponent can cause overflow or underflow.
        let few_digits = text.len() <= 15 && !text.bytes().any(|byte| matches!(byte, b'e' | b'E'));
        let exact = few_digits || (value.is_finite() && decimal(text) == decimal(&shortest(value)));
        // -0 equals 0.
        exact.then_some(Self(value + 0.0))
    }

    /// Returns the value.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// Returns a value's shortest spelling as EventBridge writes it: with two digits for the very smallest values.
fn shortest(value: f64) -> String {
    let two_digits = format!("{value:.1e}");
    if value.abs() < 1e-321 && two_digits.parse() == Ok(value) { two_digits } else { format!("{value:e}") }
}

/// Returns the sign, the significant digits and the power of ten of the last digit: the same for every spelling of a
/// value.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(dropped as i64)?;
    Some((negative, significant.to_owned(), power))
}
