//! The port that tells the time.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time, and lets it pass.
pub trait Clock: Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Lets time pass.
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
