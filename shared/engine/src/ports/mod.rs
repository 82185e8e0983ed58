//! The ports: the traits through which the engine does I/O. AWS, the local machine and the simulation implement them.

mod clock;
mod dead_letters;
mod launcher;
mod ledger;
mod payloads;
mod scaling;

use std::sync::Mutex;

pub use clock::{Clock, SystemClock};
pub use dead_letters::{DeadLetters, NotSent};
pub use launcher::{Launcher, Unanswered};
pub use ledger::{Entry, Expected, Ledger, LedgerError};
pub use payloads::{PayloadError, Payloads};
pub use scaling::{Depth, Queues, ServiceCounts, TasksOf, WorkerTask, Workers};
use trigger_core::launch::Pace;

/// The ports that handling events needs.
pub trait Ports: Sync {
    /// Returns the port that starts, stops and looks up tasks.
    fn launcher(&self) -> &impl Launcher;
    /// Returns the port that stores events which do not fit into a launch.
    fn payloads(&self) -> &impl Payloads;
    /// Returns the port that stores launches.
    fn ledger(&self) -> &impl Ledger;
    /// Returns the port that takes dead letters, if there is a dead-letter queue.
    fn dead_letters(&self) -> Option<&impl DeadLetters>;
    /// Returns the clock.
    fn clock(&self) -> &impl Clock;
    /// Returns the rate limit of RunTask calls.
    fn pace(&self) -> &Mutex<Pace>;
}
