//! Repeats calls that other writers or a throttle have kept from success.

use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clients::CALL_MAX;

/// A call is made at most this many times.
const TRIES_MAX: u32 = 10;
/// The first pause is at most this long, and each further one at most twice as long as the one before.
const FIRST_MAX: Duration = Duration::from_millis(25);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_millis(600);

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is worth another try: another process was writing the item, or DynamoDB throttles. In words.
    Busy(String),
    /// Another try would not help. In words.
    Final(String),
}

/// Makes a call until it is not busy, with growing pauses between. Returns why it failed for good, in words.
pub(super) async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, Failure>>,
{
    let tries = async {
        let mut pauses = Pauses::default();
        loop {
            let reason = match call().await {
                Ok(result) => return Ok(result),
                Err(Failure::Final(reason)) => return Err(reason),
                Err(Failure::Busy(reason)) => reason,
            };
            if !pauses.pause().await {
                return Err(format!("{reason} (after {TRIES_MAX} tries)"));
            }
        }
    };
    let unanswered = |_| Err(format!("no answer after {} s", CALL_MAX.as_secs()));
    timeout(CALL_MAX, tries).await.unwrap_or_else(unanswered)
}

/// The pauses between the tries of one call.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    made: u32,
}

impl Pauses {
    /// Pauses before the next try. Returns false if there is none.
    pub(super) async fn pause(&mut self) -> bool {
        self.made += 1;
        if self.made == TRIES_MAX {
            return false;
        }
        sleep(pause(self.made)).await;
        true
    }
}

/// Returns the pause with this number, from 1. Half of it is random, so that writers which collided do not collide again.
fn pause(number: u32) -> Duration {
    let doublings = number.saturating_sub(1).min(8);
    let half = FIRST_MAX.saturating_mul(1 << doublings).min(PAUSE_MAX) / 2;
    half + half.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_four_seconds_together() {
        let pauses: Vec<Duration> = (1..TRIES_MAX).map(pause).collect();
        assert!(pauses[0] <= FIRST_MAX && pauses[8] >= PAUSE_MAX / 2, "{pauses:?}");
        assert!(pauses.iter().sum::<Duration>() < Duration::from_secs(4), "{pauses:?}");
    }

    #[tokio::test]
    async fn a_busy_call_is_repeated_and_a_failed_one_is_not() {
        let calls = AtomicU32::new(0);
        let busy_twice = || async {
            match calls.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(Failure::Busy("a conflict".to_owned())),
                call => Ok(call),
            }
        };
        assert_eq!(patiently(busy_twice).await, Ok(2));
        let refused = || async { Err::<(), _>(Failure::Final("no such table".to_owned())) };
        assert_eq!(patiently(refused).await, Err("no such table".to_owned()));
    }
}
