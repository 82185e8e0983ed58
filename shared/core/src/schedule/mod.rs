//! When a schedule fires: EventBridge Scheduler's expressions, evaluated offline.
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

/// How late a firing may be delivered, beyond its window, and be in time: Scheduler is precise to a minute, and a retry, which
/// Lambda makes some minutes later, starts what is missing of a firing.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// A route's schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When it fires.
    pub expression: ScheduleExpression,
    /// The expression as it stands in the config.
    pub text: String,
    /// The zone that the expression's times are in.
    pub timezone: TimeZone,
    /// No firing before this.
    pub start: Option<Timestamp>,
    /// No firing after this.
    pub end: Option<Timestamp>,
    /// How many minutes after its time a firing may come, as Scheduler chooses.
    pub flexible_window_minutes: Option<u32>,
    /// Whether it fires at all.
    pub enabled: bool,
    /// What templates see as `input`.
    pub input: Option<Node>,
    /// What becomes of firings that an outage kept from being delivered in time. Nothing said: each starts its tasks, however
    /// late.
    pub catch_up: Option<CatchUp>,
}

choice! {
    /// What becomes of firings that an outage kept from being delivered in time.
    pub enum CatchUp {
        /// None of them starts anything; each is dead-lettered with that reason.
        None = "none",
        /// The last of them starts its tasks, once; the ones before it start nothing.
        Last = "last",
    }
}

/// Whether a firing that is delivered starts its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// It does.
    Due,
    /// It comes too late, and the schedule does not catch up.
    Missed,
    /// It comes so late that this later one is due, which stands for it.
    SupersededBy(Timestamp),
}

impl Schedule {
    /// The first firing after `after`. A rate counts from `start`, or without one from `anchor`: on AWS from the time at which
    /// the schedule was deployed.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        // What is just before the start may be followed by the start itself.
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

    /// The last firing after `after` and not after `now`.
    pub fn last_in(&self, after: Timestamp, now: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        // From windows that grow, as there may be very many firings since `after`.
        let hours = [1, 24, 24 * 32, 24 * 366].map(SignedDuration::from_hours);
        let starts = hours.into_iter().filter_map(|hours| now.checked_sub(hours).ok()).filter(|start| *start > after);
        starts.chain([after]).find_map(|start| {
            let firings = std::iter::successors(self.next_after(start, anchor), |time| self.next_after(*time, anchor));
            firings.take_while(|time| *time <= now).last()
        })
    }

    /// Whether the firing at `scheduled_time`, delivered `now`, starts its tasks.
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

/// The zone of this IANA name. The database is a part of the program, the same on every machine.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The names of all zones.
pub fn time_zone_names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// When a clock in the zone shows `time`: never, where clocks are set forward over it; the first time, where they are set
/// back to it. "If a cron expression falls on a non-existent date and time, your schedule invocation is skipped. [...] When
/// time shifts backwards in the Fall, your schedule runs only once."
fn instant(timezone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    let ambiguous = timezone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => ambiguous.earlier().ok(),
    }
}
