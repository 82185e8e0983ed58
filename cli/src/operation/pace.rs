//! Work at the rate that a user gives.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use trigger_core::replay::Rate;

/// Work that keeps a rate.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
    next: Cell<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { pause: rate.after(1), next: Cell::new(Instant::now()) }
    }

    /// Waits until it is the turn of the next piece of work. After a pause, the rate is not made up for.
    pub(crate) async fn turn(&self) {
        let turn = self.next.get().max(Instant::now());
        self.next.set(turn + self.pause);
        sleep_until(turn).await;
    }
}
