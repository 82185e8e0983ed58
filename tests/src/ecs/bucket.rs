//! A token bucket, by which ECS limits the rate of calls.

use jiff::Timestamp;

/// How many calls ECS accepts.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// At once, after a pause.
    pub burst: u32,
    /// Per second.
    pub per_second: u32,
}

/// The calls of RunTask that ECS accepts.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
pub const RUN_TASK: Accepted = Accepted { burst: 100, per_second: 40 };
/// Those of them that it accepts for Fargate.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>
pub const FARGATE: Accepted = Accepted { burst: 20, per_second: 20 };

/// A token bucket that allows `BURST` calls at once and `RATE` calls per second.
#[derive(Debug)]
pub(super) struct Bucket<const BURST: u32, const RATE: u32> {
    tokens: f64,
    at: Option<Timestamp>,
}

impl<const BURST: u32, const RATE: u32> Default for Bucket<BURST, RATE> {
    fn default() -> Self {
        Self { tokens: f64::from(BURST), at: None }
    }
}

impl<const BURST: u32, const RATE: u32> Bucket<BURST, RATE> {
    /// Takes a token. Returns whether there was one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let elapsed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.at = Some(now);
        self.tokens = (self.tokens + elapsed * f64::from(RATE)).min(f64::from(BURST));
        let has_room = self.tokens >= 1.0;
        if has_room {
            self.tokens -= 1.0;
        }
        has_room
    }
}
