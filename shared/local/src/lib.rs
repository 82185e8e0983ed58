//! The engine's ports on this machine: folders as buckets and queues, processes as tasks.
//!
//! - [`folders`] - folders as buckets and queues, and the events of their files;
//! - [`Here`] - the ports of a launch: [`LocalLauncher`] starts processes; [`FolderPayloads`], [`FolderLedger`] and
//!   [`FolderDeadLetters`] are folders; [`LocalScaling`] - the ports of scaling;
//! - [`sandbox`] - a task's processes, and the endpoints that workers call;
//! - [`dev`] - `ecs-trigger dev`, which puts all of it together; [`happening`] - what it reports.

mod dead_letters;
pub mod dev;
pub mod folders;
pub mod happening;
mod launcher;
mod ledger;
mod payloads;
mod ports;
pub mod sandbox;
mod workers;

pub use dead_letters::FolderDeadLetters;
pub use launcher::{LocalLauncher, Started};
pub use ledger::FolderLedger;
pub use payloads::FolderPayloads;
pub use ports::Here;
pub use workers::LocalScaling;
