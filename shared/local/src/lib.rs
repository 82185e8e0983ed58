//! The engine's ports on this machine: folders as buckets and queues, processes as tasks.
//!
//! - [`folders`] - folders that stand for buckets and queues, and the events of their files;
//! - [`Here`] - every port: [`LocalLauncher`] by processes, [`FolderPayloads`], [`FolderLedger`] and [`FolderDeadLetters`] by folders;
//!   [`LocalScaling`] - the ports of scaling;
//! - [`sandbox`] - the processes of a task, and the endpoints that workers talk to;
//! - [`dev`] - all of it together: `ecs-trigger dev`; [`happening`] - what it reports.

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
