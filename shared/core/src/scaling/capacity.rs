//! The bounds on the number of workers, by time of day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::schedule::Schedule;

/// A schedule that last fired longer ago than this counts as not having fired.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(24 * 366);

/// The lowest and the highest number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

/// Bounds that apply from each firing of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacitySchedule {
    /// When the bounds begin to apply.
    pub schedule: Schedule,
    /// How long they apply. `None` means until another schedule fires.
    pub lasts: Option<Duration>,
    /// The minimum, if the schedule changes it.
    pub min: Option<u32>,
    /// The maximum, if the schedule changes it.
    pub max: Option<u32>,
}

impl CapacitySchedule {
    /// Returns since when the bounds have applied, if they apply.
    fn holds_since(&self, now: Timestamp) -> Option<Timestamp> {
        let longest = self.lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok()).unwrap_or(LOOKED_BACK);
        let after = now.checked_sub(longest).unwrap_or(Timestamp::MIN);
        self.schedule.last_in(after, now, Timestamp::UNIX_EPOCH)
    }
}

/// Returns the bounds that apply at a time: those of the schedule that fired last. If several fired at the same time,
/// the last one in the config applies.
pub(super) fn bounds_at(base: Bounds, schedules: &[CapacitySchedule], now: Timestamp) -> Bounds {
    let holding = schedules.iter().filter_map(|schedule| Some((schedule.holds_since(now)?, schedule)));
    let Some((_, latest)) = holding.max_by_key(|(since, _)| *since) else { return base };
    let min = latest.min.unwrap_or(base.min);
    let max = latest.max.unwrap_or(base.max);
    match latest.min {
        // If the schedule's bound contradicts the other, default bound, the schedule's wins.
        Some(_) => Bounds { min, max: max.max(min) },
        None => Bounds { min: min.min(max), max },
    }
}
