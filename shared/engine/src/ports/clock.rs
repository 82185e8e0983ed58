//! The clock.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time, and waits.
pub trait Clock: Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits for this long.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's clock, which AWS and this machine share.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
