//! The time of `dev`: as it is, or from another time on, or faster.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// How long is waited at most before the clock is looked at again: a machine that sleeps lets no time pass for waiting.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What time it is.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's time.
    Real,
    /// A time that began at `origin` and runs `speed` times as fast as time passes.
    Pretended {
        /// What the clock showed at first.
        origin: Timestamp,
        /// When that was.
        began: Instant,
        /// How fast it runs.
        speed: f64,
    },
}

impl Clock {
    /// A clock that begins now, at `origin`.
    pub fn pretended(origin: Timestamp, speed: f64) -> Self {
        Self::Pretended { origin, began: Instant::now(), speed }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Real => Timestamp::now(),
            Self::Pretended { origin, began, speed } => {
                let passed = SignedDuration::try_from_secs_f64(began.elapsed().as_secs_f64() * speed);
                origin.checked_add(passed.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// How long to wait for it to show `time`; less, where that is long.
    pub fn until(&self, time: Timestamp) -> Duration {
        let speed = match self {
            Self::Real => 1.0,
            Self::Pretended { speed, .. } => *speed,
        };
        let left = time.duration_since(self.now()).as_secs_f64().max(0.0) / speed;
        Duration::try_from_secs_f64(left).map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN))
    }
}
