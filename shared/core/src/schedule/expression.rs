//! Schedule expressions: `rate(...)`, `cron(...)`, `at(...)`.

use std::fmt;
use std::ops::Range;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::Cron;

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleExpression {
    /// At a fixed interval.
    Rate(Rate),
    /// Whenever a clock in the schedule's zone shows one of certain times.
    Cron(Box<Cron>),
    /// Once, when a clock in the schedule's zone shows this time.
    At(DateTime),
}

/// A fixed interval. A day is 24 hours, even when clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    minutes: i64,
}

/// Why a text is not a schedule expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// The part of the text that is wrong, in bytes.
    pub part: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.help)
    }
}

impl std::error::Error for ExpressionError {}

impl ScheduleExpression {
    /// Parses an expression.
    ///
    /// # Errors
    /// AWS would refuse the expression, or the expression can never fire.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let inside = |word: &str| {
            let arguments = text.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')')?;
            Some(Word { at: word.len() + 1, text: arguments })
        };
        if let Some(arguments) = inside("rate") {
            return rate(arguments).map(Self::Rate);
        }
        if let Some(arguments) = inside("cron") {
            return Cron::parse(arguments).map(|cron| Self::Cron(Box::new(cron)));
        }
        if let Some(arguments) = inside("at") {
            return at(arguments).map(Self::At);
        }
        Err(Word { at: 0, text }.error(
            format!("`{text}` is not a valid schedule expression"),
            "write `rate(5 minutes)`, `cron(0 3 * * ? *)` (minutes hours day-of-month month day-of-week year), or \
             `at(2026-12-31T23:59:00)`",
        ))
    }
}

impl ScheduleExpression {
    /// Returns what AWS's documentation leaves open about a valid expression, so that it may refuse the expression or
    /// fire at other times.
    pub fn doubt(text: &str) -> Option<ExpressionError> {
        let arguments = text.strip_prefix("cron(")?.strip_suffix(')')?;
        Cron::doubt(Word { at: "cron(".len(), text: arguments })
    }

    /// Parses the five or six fields of a cron expression alone.
    ///
    /// # Errors
    /// The same as [`Self::parse`].
    pub fn parse_cron_fields(text: &str) -> Result<Self, ExpressionError> {
        Cron::parse(Word { at: 0, text }).map(|cron| Self::Cron(Box::new(cron)))
    }
}

impl Rate {
    /// Returns the first multiple of the interval after `after`, counted from `anchor`, which is itself a multiple.
    pub(super) fn next_after(self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let interval = SignedDuration::from_mins(self.minutes);
        if after < anchor {
            return Some(anchor);
        }
        let passed = after.duration_since(anchor).as_secs() / interval.as_secs();
        anchor.checked_add(SignedDuration::from_secs((passed + 1).checked_mul(interval.as_secs())?)).ok()
    }
}

/// A part of an expression and the offset at which it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl<'a> Word<'a> {
    pub(super) fn error(self, message: impl Into<String>, help: impl Into<String>) -> ExpressionError {
        ExpressionError { part: self.at..self.at + self.text.len(), message: message.into(), help: help.into() }
    }

    /// Returns the parts between separators, including empty ones.
    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Word<'a>> {
        let mut at = self.at;
        self.text.split(separator).map(move |text| {
            let word = Word { at, text };
            at += text.len() + separator.len_utf8();
            word
        })
    }

    /// Returns the parts between spaces.
    pub(super) fn words(self) -> impl Iterator<Item = Word<'a>> {
        self.split(' ').filter(|word| !word.text.is_empty())
    }
}

fn rate(arguments: Word<'_>) -> Result<Rate, ExpressionError> {
    const HELP: &str =
        "write a whole number of at least 1 and a unit, as in `rate(1 minute)`, `rate(5 hours)` or `rate(2 days)`";
    let words: Vec<Word<'_>> = arguments.split(' ').collect();
    let [value, unit] = words.as_slice() else {
        return Err(arguments.error("a rate needs a number and a unit", HELP));
    };
    let number =
        value.text.parse::<u32>().ok().filter(|number| *number > 0 && value.text.bytes().all(|b| b.is_ascii_digit()));
    let Some(number) = number else {
        return Err(value.error(format!("`{}` is not a valid number for a rate", value.text), HELP));
    };
    let minutes = match unit.text {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => 24 * 60,
        other => return Err(unit.error(format!("`{other}` is not a valid unit for a rate"), HELP)),
    };
    // EventBridge's rules refuse `rate(1 hours)`, Scheduler takes it: see `for_aws`.
    Ok(Rate { minutes: i64::from(number) * minutes })
}

/// Returns a valid expression as every API of AWS takes it: a rate's unit in singular or plural, as its number demands,
/// and a cron expression with its year.
pub(super) fn for_aws(text: &str) -> String {
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let inside = |word: &str| Some(words(text.strip_prefix(word)?.strip_suffix(')')?));
    if let Some([number, unit]) = inside("rate(").as_deref() {
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        let number = number.trim_start_matches('0');
        let plural = if number == "1" { "" } else { "s" };
        return format!("rate({number} {unit}{plural})");
    }
    match inside("cron(") {
        Some(fields) if fields.len() == 5 => format!("cron({} *)", fields.join(" ")),
        _ => text.to_owned(),
    }
}

fn at(arguments: Word<'_>) -> Result<DateTime, ExpressionError> {
    let has_form = arguments.text.len() == "yyyy-mm-ddThh:mm:ss".len() && arguments.text.as_bytes()[10] == b'T';
    let time = arguments.text.parse::<DateTime>().ok().filter(|_| has_form);
    time.ok_or_else(|| {
        let message = format!("`{}` is not a valid time for a one-time schedule", arguments.text);
        arguments.error(message, "write `at(yyyy-mm-ddThh:mm:ss)` without an offset, and set the zone with `timezone`")
    })
}
