//! The time of `dev`: as it is, or from another time on, or faster.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A clock that shows `origin` when it is made and from then on runs `speed` times as fast as time passes.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Timestamp,
    began: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that begins now, at `origin`.
    pub fn new(origin: Timestamp, speed: f64) -> Self {
        Self { origin, began: Instant::now(), speed }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let passed = self.began.elapsed().as_secs_f64() * self.speed;
        let passed = SignedDuration::try_from_secs_f64(passed).unwrap_or(SignedDuration::MAX);
        self.origin.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// How long it takes until it shows `time`.
    pub fn until(&self, time: Timestamp) -> Duration {
        let left = time.duration_since(self.now()).as_secs_f64().max(0.0) / self.speed;
        // Far off is looked at again.
        Duration::try_from_secs_f64(left).map_or(Duration::from_secs(3600), |left| left.min(Duration::from_secs(3600)))
    }
}
