//! The rate of RunTask calls that all functions of an account share.
//!
//! The launch store holds one time for each [`Pool`]: when the next call may be made. A function that wants to make calls moves
//! that time on, by one write for any number of calls. This is the generic cell rate algorithm.

use jiff::{SignedDuration, Timestamp};

use super::protocol::later;
use crate::ecs::TaskRequest;
use crate::ecs::fargate::{self, OnFargate};

/// The calls that share a rate. ECS counts them for each account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// Calls that start tasks on Fargate, or may do so.
    Fargate,
    /// All other calls.
    Instances,
}

/// Each call that is throttled pauses all calls for this long.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// Calls that are throttled at once pause all calls for at most this long.
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(3);

/// A pool that starts over begins so many calls above its floor. While calls keep coming, the time of the next call
/// then stays above the floor, where one kind of write moves it on.
const ABOVE_THE_FLOOR: i32 = 4;

/// How many calls may be made.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The calls per second. A little less than AWS allows, as clocks differ.
    per_second: f64,
    /// At most this many calls may be made at once.
    burst: u32,
}

/// When reserved calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTimes {
    /// When the first call may be made. It may be in the past.
    pub first: Timestamp,
    /// The time from one call to the next.
    pub interval: SignedDuration,
}

impl Pool {
    /// All pools.
    pub const ALL: [Self; 2] = [Self::Fargate, Self::Instances];

    /// Returns the pool of a call.
    pub fn of(request: &TaskRequest) -> Self {
        let strategy = &request.capacity_provider_strategy;
        let may_be_fargate = strategy.iter().any(|item| fargate::is_provider(&item.capacity_provider));
        match OnFargate::new(request.launch_type, strategy) {
            OnFargate::No if !may_be_fargate => Self::Instances,
            _ => Self::Fargate,
        }
    }

    /// Returns the pool's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fargate => "fargate",
            Self::Instances => "instances",
        }
    }

    /// Returns the pool's rate: Fargate accepts 20 calls per second and 20 at once; ECS accepts 40 and 100.
    pub fn rate(self) -> Rate {
        match self {
            Self::Fargate => Rate { per_second: 19.7, burst: 18 },
            Self::Instances => Rate { per_second: 39.2, burst: 90 },
        }
    }
}

impl Rate {
    /// Returns the time from one call to the next.
    pub fn interval(self) -> SignedDuration {
        SignedDuration::try_from_secs_f64(1.0 / self.per_second).unwrap_or(SignedDuration::from_secs(1))
    }

    /// Returns the earliest time of the next call of a pool that is in use: so long ago that the burst is free.
    pub fn floor(self, now: Timestamp) -> Timestamp {
        let burst = self.interval() * i32::try_from(self.burst.saturating_sub(1)).unwrap_or(i32::MAX);
        now.checked_sub(burst).unwrap_or(now)
    }

    /// Reserves calls from a pool whose next call may be made at `next`. Returns their times and the new `next`, or
    /// `None` if the first of them would have to wait longer than `longest`.
    pub fn reserve(
        self,
        next: Option<Timestamp>,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> Option<(CallTimes, Timestamp)> {
        let floor = self.floor(now);
        let first = next.filter(|next| *next >= floor);
        let first = first.unwrap_or_else(|| later(floor, self.interval() * ABOVE_THE_FLOOR));
        if first > later(now, longest) {
            return None;
        }
        let times = CallTimes { first, interval: self.interval() };
        Some((times, times.at(calls)))
    }

    /// Returns when the next call may be made after a call was throttled: others use the account's rate too. Calls that are
    /// throttled at the same time add to the pause up to a limit.
    pub fn after_throttle(self, next: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let next = next.map_or(now, |next| next.max(now));
        later(next, PAUSE).min(later(now, PAUSE_MAX)).max(next)
    }
}

impl CallTimes {
    /// Returns when call number `number`, from 0, may be made.
    pub fn at(self, number: u32) -> Timestamp {
        later(self.first, self.interval * i32::try_from(number).unwrap_or(i32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_starts_over_gives_most_of_its_burst_at_once_and_then_keeps_its_rate() {
        let (rate, now) = (Pool::Fargate.rate(), Timestamp::UNIX_EPOCH);
        let (times, next) = rate.reserve(None, 38, now, SignedDuration::ZERO).expect("is free");
        let at_once = (0..38).filter(|number| times.at(*number) <= now).count();
        assert_eq!(at_once, 14);
        assert!(times.at(37).duration_since(now) > SignedDuration::from_secs(1));
        assert_eq!(rate.reserve(Some(next), 1, now, SignedDuration::from_secs(1)), None, "that would take longer");
        let (times, _) = rate.reserve(Some(next), 1, now, SignedDuration::from_secs(2)).expect("is soon");
        assert_eq!(times.first, next);
    }

    #[test]
    fn after_a_throttle_all_calls_pause() {
        let (rate, now) = (Pool::Instances.rate(), Timestamp::UNIX_EPOCH);
        let next = rate.after_throttle(None, now);
        assert_eq!(next, now + SignedDuration::from_secs(1));
        let at_once = (0..50).fold(None, |next, _| Some(rate.after_throttle(next, now)));
        assert_eq!(at_once, Some(now + SignedDuration::from_secs(3)));
        assert_eq!(rate.reserve(Some(next), 1, now, SignedDuration::ZERO), None);
    }
}
