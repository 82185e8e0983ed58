//! What the engine asks of the world. AWS, this machine and the simulation each implement it.

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

/// All ports of one world.
pub trait Ports: Sync {
    /// Starts, stops and looks up tasks.
    fn launcher(&self) -> &impl Launcher;
    /// Keeps events that do not fit into a launch.
    fn payloads(&self) -> &impl Payloads;
    /// Remembers launches.
    fn ledger(&self) -> &impl Ledger;
    /// Where events end whose tasks cannot be started, if there is such a place.
    fn dead_letters(&self) -> Option<&impl DeadLetters>;
    /// What time it is.
    fn clock(&self) -> &impl Clock;
    /// How fast launches go on.
    fn pace(&self) -> &Mutex<Pace>;
}
