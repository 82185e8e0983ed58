//! Schedules: evaluates EventBridge Scheduler's expressions offline.
//!
//! Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

mod cron;
mod expression;
#[cfg(test)]
mod tests;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::text::Node;
use crate::text::decode::choice;
pub use cron::Cron;
pub use expression::{ExpressionError, Rate, ScheduleExpression};

/// A firing that is delivered later than this after its window is late. Until then it is in time: Scheduler is precise
/// to a minute, and Lambda retries some minutes later to start the missing tasks of a firing.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// A route's schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When the schedule fires.
    pub expression: ScheduleExpression,
    /// The expression as written in the config.
    pub text: String,
    /// The time zone of the times in the expression.
    pub timezone: TimeZone,
    /// The schedule does not fire before this.
    pub start: Option<Timestamp>,
    /// The schedule does not fire after this.
    pub end: Option<Timestamp>,
    /// Scheduler delivers a firing up to this many minutes after its time.
    pub flexible_window_minutes: Option<u32>,
    /// Whether the schedule fires at all.
    pub enabled: bool,
    /// The value of `input` in templates.
    pub input: Option<Node>,
    /// What happens to firings that an outage delays. Without this, each firing starts its tasks, however late it is
    /// delivered.
    pub catch_up: Option<CatchUp>,
}

choice! {
    /// What happens to firings that an outage delays.
    pub enum CatchUp {
        /// Late firings start nothing; each is dead-lettered with this reason.
        None = "none",
        /// The last late firing starts its tasks once; the earlier ones start nothing.
        Last = "last",
    }
}

/// Whether a delivered firing starts its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// The firing starts its tasks.
    Due,
    /// The firing is late, and the schedule does not catch up.
    Missed,
    /// The firing is so late that this later firing is due, which replaces it.
    SupersededBy(Timestamp),
}

impl Schedule {
    /// Returns the expression as every API of AWS takes it: `rate(1 hour)` for `rate(1 hours)`, and a cron expression
    /// with all six fields.
    pub fn expression_for_aws(&self) -> String {
        expression::for_aws(&self.text)
    }

    /// Returns the first firing after `after`. A rate counts from `start` or, without a start, from `anchor`: on AWS,
    /// the time at which the schedule was deployed.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        // `next_after` excludes its argument: from just before the start, it can return the start itself.
        let just_before = |start: Timestamp| start.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(start);
        let from = self.start.map_or(after, |start| after.max(just_before(start)));
        let next = match &self.expression {
            ScheduleExpression::At(time) => instant(&self.timezone, *time).filter(|time| *time > after),
            ScheduleExpression::Rate(rate) => rate.next_after(from, self.start.unwrap_or(anchor)),
            ScheduleExpression::Cron(cron) => cron.next_after(from, &self.timezone),
        }?;
        // A one-time schedule has one time, whatever its start and end.
        let ends = matches!(self.expression, ScheduleExpression::At(_)) || self.end.is_none_or(|end| next <= end);
        ends.then_some(next)
    }

    /// Returns the last firing after `after` and not after `now`.
    pub fn last_in(&self, after: Timestamp, now: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        // Growing windows, because there may be very many firings since `after`.
        let hours = [1, 24, 24 * 32, 24 * 366].map(SignedDuration::from_hours);
        let starts = hours.into_iter().filter_map(|hours| now.checked_sub(hours).ok()).filter(|start| *start > after);
        starts.chain([after]).find_map(|start| {
            let firings = std::iter::successors(self.next_after(start, anchor), |time| self.next_after(*time, anchor));
            firings.take_while(|time| *time <= now).last()
        })
    }

    /// Decides whether the firing at `scheduled_time`, delivered `now`, starts its tasks.
    pub fn timeliness(&self, scheduled_time: Timestamp, now: Timestamp) -> Timeliness {
        let window = SignedDuration::from_mins(i64::from(self.flexible_window_minutes.unwrap_or(0)));
        let late = now.duration_since(scheduled_time) - window;
        match self.catch_up {
            Some(CatchUp::None) if late > GRACE => Timeliness::Missed,
            Some(CatchUp::Last) if late > GRACE => {
                let next = self.next_after(scheduled_time, scheduled_time).filter(|next| *next <= now);
                next.map_or(Timeliness::Due, Timeliness::SupersededBy)
            }
            _ => Timeliness::Due,
        }
    }
}

/// Returns the time zone with this IANA name. The database is part of the program, the same on every machine.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Returns the names of all time zones.
pub fn time_zone_names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// Returns when a clock in the zone shows `time`: never, if clocks are set forward over it; the first time, if they are
/// set back to it. "If a cron expression falls on a non-existent date and time, your schedule invocation is skipped.
/// [...] When time shifts backwards in the Fall, your schedule runs only once."
fn instant(timezone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    let ambiguous = timezone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => ambiguous.earlier().ok(),
    }
}
