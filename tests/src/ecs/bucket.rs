//! A token bucket, by which ECS limits the rate of calls.

use jiff::Timestamp;

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
