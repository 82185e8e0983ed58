//! The ports: the traits through which the engine does I/O. AWS, the local machine and the simulation implement them.

mod clock;
mod dead_letters;
mod launcher;
mod payloads;
mod scaling;
mod store;
mod work;

use std::sync::Mutex;

pub use clock::{Clock, SystemClock};
pub use dead_letters::{DeadLetters, NotSent};
pub use launcher::{Launcher, Unanswered};
pub use payloads::{PayloadError, Payloads};
pub use scaling::{Depth, Queues, ServiceCounts, TasksOf, WorkerTask, Workers};
pub use store::{Begun, Change, Cursor, DuePage, HistoryPage, LaunchStore, StoreError, Stored, postponed_by};
use trigger_core::launch::Pace;
pub use work::{DELAY_MAX, LAUNCHES_MAX, NotAdded, Work, WorkQueue};

/// The ports that handling events needs.
pub trait Ports: Sync {
    /// Returns the port that starts, stops and looks up tasks.
    fn launcher(&self) -> &impl Launcher;
    /// Returns the port that stores events which do not fit into a launch.
    fn payloads(&self) -> &impl Payloads;
    /// Returns the port that stores launches, if the config has a ledger.
    fn store(&self) -> Option<&impl LaunchStore>;
    /// Returns the port that continues launches in another invocation, if there is a ledger.
    fn work(&self) -> Option<&impl WorkQueue>;
    /// Returns the port that takes dead letters, if there is a dead-letter queue.
    fn dead_letters(&self) -> Option<&impl DeadLetters>;
    /// Returns the clock.
    fn clock(&self) -> &impl Clock;
    /// Returns this process's own rate limit of RunTask calls, which applies without a ledger and while the store does not
    /// answer.
    fn pace(&self) -> &Mutex<Pace>;
}
