//! Between which bounds the number of workers lies, by time of day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::schedule::Schedule;

/// How far back it is looked when a schedule fired last.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(24 * 366);

/// The least and the most workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
}

/// Bounds that hold from each time at which a schedule fires.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacitySchedule {
    /// When they begin to hold.
    pub schedule: Schedule,
    /// How long they hold. None: until another schedule fires.
    pub lasts: Option<Duration>,
    /// The least, if it changes.
    pub min: Option<u32>,
    /// The most, if it changes.
    pub max: Option<u32>,
}

impl CapacitySchedule {
    /// Since when its bounds hold, if they do.
    fn holds_since(&self, now: Timestamp) -> Option<Timestamp> {
        let longest = self.lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok()).unwrap_or(LOOKED_BACK);
        let after = now.checked_sub(longest).unwrap_or(Timestamp::MIN);
        self.schedule.last_in(after, now, Timestamp::UNIX_EPOCH)
    }
}

/// The bounds that hold at a time: those of the schedule that fired last, of several at once those of the last in the config.
pub(super) fn bounds_at(base: Bounds, schedules: &[CapacitySchedule], now: Timestamp) -> Bounds {
    let holding = schedules.iter().filter_map(|schedule| Some((schedule.holds_since(now)?, schedule)));
    let Some((_, latest)) = holding.max_by_key(|(since, _)| *since) else { return base };
    let min = latest.min.unwrap_or(base.min);
    let max = latest.max.unwrap_or(base.max);
    match latest.min {
        // Of a schedule's bound and the usual other one, the schedule's holds.
        Some(_) => Bounds { min, max: max.max(min) },
        None => Bounds { min: min.min(max), max },
    }
}
