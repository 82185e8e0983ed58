//! Limits the rate of RunTask calls.

use jiff::{SignedDuration, Timestamp};

use super::reply::Verdict;

/// The highest rate, in calls per second. Fargate accepts 20 RunTask calls per second in an account and Region.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>
const RATE_MAX: f64 = 20.0;
/// The lowest rate, in calls per second.
const RATE_MIN: f64 = 0.5;
/// After a pause, this many calls may be made at once.
const BURST: f64 = 20.0;
/// Each call that is not throttled raises the rate by this much, in calls per second.
const GROWTH: f64 = 0.25;

/// A token bucket with one token per call. Other callers share the account's rate, so the rate halves when ECS
/// throttles, and then grows slowly.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    rate: f64,
    tokens: f64,
    at: Option<Timestamp>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rate: RATE_MAX, tokens: BURST, at: None }
    }
}

impl Pace {
    /// Takes a token and returns how long to wait before the call. If that is longer than `longest`, takes no token and
    /// returns `None`.
    pub fn take(&mut self, now: Timestamp, longest: SignedDuration) -> Option<SignedDuration> {
        let elapsed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
        self.tokens = (self.tokens + elapsed * self.rate).min(BURST);
        let wait = ((1.0 - self.tokens) / self.rate).max(0.0);
        let wait = SignedDuration::try_from_secs_f64(wait).ok().filter(|wait| *wait <= longest)?;
        self.tokens -= 1.0;
        Some(wait)
    }

    /// Adapts the rate to the result of a call.
    pub fn hear(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Busy { throttled: true } => self.throttled(),
            _ => self.succeeded(),
        }
    }

    /// Raises the rate, after a call that was not throttled.
    pub fn succeeded(&mut self) {
        self.rate = (self.rate + GROWTH).min(RATE_MAX);
    }

    /// Halves the rate, after a call that was throttled.
    pub fn throttled(&mut self) {
        self.rate = (self.rate / 2.0).max(RATE_MIN);
        self.tokens = self.tokens.min(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many seconds each of `calls` simultaneous calls waits.
    fn waits(pace: &mut Pace, calls: usize) -> Vec<f64> {
        let now = Timestamp::UNIX_EPOCH;
        (0..calls).filter_map(|_| Some(pace.take(now, SignedDuration::from_secs(60))?.as_secs_f64())).collect()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_twenty_a_second() {
        let waits = waits(&mut Pace::default(), 40);
        assert!(waits[..20].iter().all(|wait| *wait == 0.0), "{waits:?}");
        assert!((waits[39] - 1.0).abs() < 1e-6, "{waits:?}");
    }

    #[test]
    fn who_cannot_wait_takes_nothing() {
        let mut pace = Pace::default();
        let now = Timestamp::UNIX_EPOCH;
        let taken = (0..1000).filter(|_| pace.take(now, SignedDuration::from_secs(1)).is_some()).count();
        assert_eq!(taken, 40, "the burst, and the calls of one second");
    }

    #[test]
    fn throttling_halves_the_rate_and_success_restores_it_slowly() {
        let mut pace = Pace::default();
        pace.throttled();
        pace.throttled();
        assert!((waits(&mut pace, 5)[4] - 1.0).abs() < 1e-6);
        (0..60).for_each(|_| pace.succeeded());
        assert_eq!(pace.rate, RATE_MAX);
        (0..20).for_each(|_| pace.throttled());
        assert_eq!(pace.rate, RATE_MIN);
    }
}
