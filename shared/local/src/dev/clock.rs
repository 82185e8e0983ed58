//! The clock of `dev`: real, or started at another time, or faster.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// The clock is read again after at most this long, because a wait does not advance while the machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A clock that schedules fire by.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's time.
    Real,
    /// A clock that started at `origin` and runs `speed` times as fast as real time.
    Pretended {
        /// The time that the clock showed at its start.
        origin: Timestamp,
        /// When the clock started.
        began: Instant,
        /// How many times as fast as real time the clock runs.
        speed: f64,
    },
}

impl Clock {
    /// Creates a clock that starts now and shows `origin`.
    pub fn pretended(origin: Timestamp, speed: f64) -> Self {
        Self::Pretended { origin, began: Instant::now(), speed }
    }

    /// Returns the time that the clock shows.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Real => Timestamp::now(),
            Self::Pretended { origin, began, speed } => {
                let passed = SignedDuration::try_from_secs_f64(began.elapsed().as_secs_f64() * speed);
                origin.checked_add(passed.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Returns how long to wait until the clock shows `time`, at most 30 seconds.
    pub fn until(&self, time: Timestamp) -> Duration {
        let speed = match self {
            Self::Real => 1.0,
            Self::Pretended { speed, .. } => *speed,
        };
        let left = time.duration_since(self.now()).as_secs_f64().max(0.0) / speed;
        Duration::try_from_secs_f64(left).map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN))
    }
}
