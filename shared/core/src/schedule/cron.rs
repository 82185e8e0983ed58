//! AWS's cron expressions: `cron(minutes hours day-of-month month day-of-week year)`, of which the year may be left out.
//! Scheduler's user guide calls the year optional, its API reference does not.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::expression::{ExpressionError, Word};
use super::instant;

/// A cron expression. It fires when a clock shows one of its minutes, hours, days, months and years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    days: Days,
    months: BTreeSet<i16>,
    years: BTreeSet<i16>,
}

/// The days of a month, given by number or by weekday; the other field is `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfMonth {
    /// `1`, `1-5`, `*`, `1/7`.
    Numbers(BTreeSet<i16>),
    /// `L`, `L-3`: so many days before the last day of the month.
    BeforeLast(i8),
    /// `15W`: the weekday (Monday to Friday) of the month that is nearest to this day.
    NearestWeekday(i8),
    /// `LW`, `L-3W`: the weekday of the month that is nearest to the day so many days before the last.
    NearestWeekdayBeforeLast(i8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfWeek {
    /// `MON-FRI`, `1,7`: 1 is Sunday.
    Numbers(BTreeSet<i16>),
    /// `6L`: the last Friday of the month.
    Last(i16),
    /// `3#2`: the second Tuesday of the month.
    Nth(i16, i8),
}

/// A field of the expression.
struct Field {
    name: &'static str,
    min: i16,
    max: i16,
    /// The names of the numbers, from `min` upwards.
    names: &'static [&'static str],
}

const MINUTES: Field = Field { name: "minutes", min: 0, max: 59, names: &[] };
const HOURS: Field = Field { name: "hours", min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day-of-month", min: 1, max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const DAY_OF_WEEK: Field =
    Field { name: "day-of-week", min: 1, max: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
const YEAR: Field = Field { name: "year", min: 1970, max: 2199, names: &[] };

impl Cron {
    pub(super) fn parse(arguments: Word<'_>) -> Result<Self, ExpressionError> {
        let words: Vec<Word<'_>> = arguments.words().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year @ ..] = words.as_slice() else {
            return Err(wrong_length(arguments, words.len()));
        };
        let years = match year {
            [] => YEAR.range(Word { text: "*", ..arguments })?,
            [year] => YEAR.numbers(*year)?,
            _ => return Err(wrong_length(arguments, words.len())),
        };
        if day_of_week.text.contains('#') && day_of_week.text.contains(',') {
            let help = "write a separate route for each day";
            return Err(day_of_week.error("day-of-week cannot be a list with `#`", help));
        }
        let days = match (day_of_month.text, day_of_week.text) {
            (_, "?") if day_of_month.text != "?" => Days::OfMonth(list(*day_of_month, DayOfMonth::parse)?),
            ("?", _) if day_of_week.text != "?" => Days::OfWeek(list(*day_of_week, DayOfWeek::parse)?),
            _ => {
                let message = "exactly one of day-of-month and day-of-week must be `?`";
                let help =
                    "write `?` for the one that does not matter, as in `cron(0 3 * * ? *)` or `cron(0 3 ? * MON *)`";
                return Err(day_of_week.error(message, help));
            }
        };
        let cron = Self {
            minutes: MINUTES.numbers(*minutes)?,
            hours: HOURS.numbers(*hours)?,
            days,
            months: MONTH.numbers(*month)?,
            years,
        };
        // There is no February 30, and not every month has a fifth Monday.
        if cron.dates_from(Date::constant(YEAR.min, 1, 1)).next().is_none() {
            return Err(arguments.error("no date matches this expression", "change the day, the month or the year"));
        }
        Ok(cron)
    }

    /// Returns what AWS's documentation leaves open about an expression that [`Self::parse`] accepts.
    pub(super) fn doubt(arguments: Word<'_>) -> Option<ExpressionError> {
        let words: Vec<Word<'_>> = arguments.words().collect();
        let [_, _, day_of_month, _, day_of_week, ..] = words.as_slice() else { return None };
        let help = "write a separate route for each day";
        for (word, letters) in [(day_of_month, "LlWw"), (day_of_week, "Ll")] {
            if word.text.contains(',') && word.text.contains(|c| letters.contains(c)) {
                let message = format!("AWS does not document a list with `L` or `W`, as in `{}`", word.text);
                return Some(word.error(message, help));
            }
        }
        let is_offset_weekday = day_of_month.text.contains('-') && day_of_month.text.ends_with(['W', 'w']);
        is_offset_weekday.then(|| {
            let message =
                format!("AWS does not document the combination of an offset and `W`, as in `{}`", day_of_month.text);
            day_of_month.error(message, "write the day without `W`, or try the schedule in your account first")
        })
    }

    /// Returns the first time after `after` at which a clock in the zone shows one of the expression's times.
    pub(super) fn next_after(&self, after: Timestamp, timezone: &TimeZone) -> Option<Timestamp> {
        let first = timezone.to_datetime(after).date();
        let times = self.dates_from(first).flat_map(|date| self.times().map(move |time| date.to_datetime(time)));
        times.filter_map(|time| instant(timezone, time)).find(|time| *time > after)
    }

    fn times(&self) -> impl Iterator<Item = Time> {
        let hours = self.hours.iter();
        hours.flat_map(|hour| {
            self.minutes
                .iter()
                .filter_map(|minute| Time::new(i8::try_from(*hour).ok()?, i8::try_from(*minute).ok()?, 0, 0).ok())
        })
    }

    /// Returns the days of the expression, starting at `first`.
    fn dates_from(&self, first: Date) -> impl Iterator<Item = Date> {
        let months = self.years.range(first.year()..).flat_map(|year| {
            self.months.iter().filter_map(|month| Date::new(*year, i8::try_from(*month).ok()?, 1).ok())
        });
        let months = months.filter(move |month| *month >= first.first_of_month());
        months.flat_map(|month| self.days.of(month)).filter(move |date| *date >= first)
    }
}

impl Days {
    /// Returns the matching days of the month whose first day is `month`, in order.
    fn of(&self, month: Date) -> BTreeSet<Date> {
        let all = (1..=month.days_in_month()).filter_map(|day| Date::new(month.year(), month.month(), day).ok());
        match self {
            Self::OfMonth(days) => all.filter(|date| days.iter().any(|day| day.is(*date))).collect(),
            Self::OfWeek(days) => all.filter(|date| days.iter().any(|day| day.is(*date))).collect(),
        }
    }
}

impl DayOfMonth {
    fn parse(word: Word<'_>) -> Result<Self, ExpressionError> {
        let (day, is_weekday) = match word.text.strip_suffix(['W', 'w']) {
            Some(day) => (Word { text: day, ..word }, true),
            None if word.text.eq_ignore_ascii_case("WL") => (Word { text: "L", ..word }, true),
            None => (word, false),
        };
        match (day.text.strip_prefix(['L', 'l']), is_weekday) {
            (Some(offset), false) => before_last(word, offset).map(Self::BeforeLast),
            (Some(offset), true) => before_last(word, offset).map(Self::NearestWeekdayBeforeLast),
            (None, false) => DAY_OF_MONTH.range(day).map(Self::Numbers),
            (None, true) => {
                let day = DAY_OF_MONTH.number(day)?;
                Ok(Self::NearestWeekday(i8::try_from(day).unwrap_or_default()))
            }
        }
    }

    fn is(&self, date: Date) -> bool {
        // A month without the day has no weekday near it either.
        let is_nearest_to =
            |day| Date::new(date.year(), date.month(), day).is_ok_and(|day| nearest_weekday(day) == date);
        match self {
            Self::Numbers(days) => days.contains(&i16::from(date.day())),
            Self::BeforeLast(offset) => date.day() + offset == date.days_in_month(),
            Self::NearestWeekday(day) => is_nearest_to(*day),
            Self::NearestWeekdayBeforeLast(offset) => is_nearest_to(date.days_in_month() - offset),
        }
    }
}

impl DayOfWeek {
    fn parse(word: Word<'_>) -> Result<Self, ExpressionError> {
        if word.text.eq_ignore_ascii_case("L") {
            // "The last day of the week": Saturday.
            return Ok(Self::Numbers(BTreeSet::from([DAY_OF_WEEK.max])));
        }
        if let Some((day, nth)) = word.text.split_once('#') {
            let number = DAY_OF_WEEK.number(Word { at: word.at, text: day })?;
            let nth = nth.parse::<i8>().ok().filter(|nth| (1..=5).contains(nth));
            return nth.map(|nth| Self::Nth(number, nth)).ok_or_else(|| {
                word.error(
                    format!("`{}` is not a valid weekday of a month", word.text),
                    "write for example `3#2` for the second Tuesday; the last number is 1 to 5",
                )
            });
        }
        if let Some(day) = word.text.strip_suffix(['L', 'l']) {
            return DAY_OF_WEEK.number(Word { at: word.at, text: day }).map(Self::Last);
        }
        DAY_OF_WEEK.range(word).map(Self::Numbers)
    }

    fn is(&self, date: Date) -> bool {
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        match self {
            Self::Numbers(days) => days.contains(&weekday),
            Self::Last(day) => weekday == *day && date.day() + 7 > date.days_in_month(),
            Self::Nth(day, nth) => weekday == *day && (date.day() - 1) / 7 + 1 == *nth,
        }
    }
}

/// Returns the weekday nearest to a day, within its month.
fn nearest_weekday(day: Date) -> Date {
    let shifted = match day.weekday() {
        Weekday::Saturday if day.day() == 1 => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if day == day.last_of_month() => -2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    Date::new(day.year(), day.month(), day.day() + shifted).unwrap_or(day)
}

/// Parses what follows `L`: nothing, or an offset in days such as `-3`.
fn before_last(word: Word<'_>, offset: &str) -> Result<i8, ExpressionError> {
    if offset.is_empty() {
        return Ok(0);
    }
    let days = offset.strip_prefix('-').filter(|days| days.bytes().all(|byte| byte.is_ascii_digit()));
    let days = days.and_then(|days| days.parse().ok()).filter(|days| (1..=30).contains(days));
    days.ok_or_else(|| DAY_OF_MONTH.error(word))
}

fn wrong_length(arguments: Word<'_>, found: usize) -> ExpressionError {
    arguments.error(
        format!("an AWS cron expression has five or six fields, found {found}"),
        "write minutes, hours, day-of-month, month, day-of-week and, if it matters, year, as in `cron(0 3 * * ? *)`",
    )
}

/// Parses the parts between commas.
fn list<T>(word: Word<'_>, part: impl Fn(Word<'_>) -> Result<T, ExpressionError>) -> Result<Vec<T>, ExpressionError> {
    word.split(',').map(part).collect()
}

impl Field {
    fn numbers(&self, word: Word<'_>) -> Result<BTreeSet<i16>, ExpressionError> {
        Ok(list(word, |part| self.range(part))?.into_iter().flatten().collect())
    }

    /// Parses `*`, `5` or `5-20`, each with or without a step: `*/5`, `5/10`, `5-20/3`.
    fn range(&self, word: Word<'_>) -> Result<BTreeSet<i16>, ExpressionError> {
        let mut halves = word.split('/');
        let range = halves.next().unwrap_or(word);
        let step = match (halves.next(), halves.next()) {
            (None, _) => None,
            (Some(step), None) => Some(self.step(step)?),
            (Some(_), Some(_)) => return Err(self.error(word)),
        };
        let mut ends = range.split('-');
        let (from, to) = match (ends.next(), ends.next(), ends.next()) {
            (Some(Word { text: "*", .. }), None, _) => (self.min, self.max),
            // A number with a step means from the number to the end.
            (Some(from), None, _) if step.is_some() => (self.number(from)?, self.max),
            (Some(only), None, _) => (self.number(only)?, self.number(only)?),
            (Some(from), Some(to), None) => (self.number(from)?, self.number(to)?),
            _ => return Err(self.error(word)),
        };
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
        if from <= to {
            return Ok((from..=to).step_by(step).collect());
        }
        if self.max == YEAR.max {
            return Err(word.error(format!("the years `{}` run backwards", word.text), "write the earlier year first"));
        }
        // The range wraps around the end, as in `FRI-MON` or `22-2`.
        Ok((from..=self.max).chain(self.min..=to).step_by(step).collect())
    }

    fn step(&self, word: Word<'_>) -> Result<i16, ExpressionError> {
        let Some(step) = word.text.parse::<i16>().ok().filter(|step| *step > 0) else {
            let message = format!("`{}` is not a valid step", word.text);
            return Err(word.error(message, "write a whole number of at least 1 after the `/`"));
        };
        let Self { name, min, max, .. } = self;
        if step > *max {
            let message = format!("a step of {step} is too large for {name}, which are {min} to {max}");
            return Err(word.error(message, "for a longer interval, list values in the next field, or use `rate(...)`"));
        }
        Ok(step)
    }

    fn number(&self, word: Word<'_>) -> Result<i16, ExpressionError> {
        let by_name = self.names.iter().position(|name| name.eq_ignore_ascii_case(word.text));
        let number = match by_name {
            Some(position) => i16::try_from(position).ok().map(|position| position + self.min),
            None if word.text.bytes().all(|byte| byte.is_ascii_digit()) => word.text.parse().ok(),
            None => None,
        };
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| self.error(word))
    }

    fn error(&self, word: Word<'_>) -> ExpressionError {
        let Self { name, min, max, names } = self;
        let message = match word.text {
            "" => format!("a value of {name} is empty"),
            "?" => format!("{name} cannot be `?`"),
            text => format!("`{text}` is not a valid value of {name}"),
        };
        let named = match names {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        let more = match self.name {
            "day-of-month" => {
                ", `L` (the last), `L-3` (three days before the last), `15W` (the weekday nearest to the 15th)"
            }
            "day-of-week" => ", `6L` (the last Friday), `3#2` (the second Tuesday)",
            _ => "",
        };
        word.error(message, format!("write {min} to {max}{named}{more}, or combine values with `,` `-` `*` `/`"))
    }
}
