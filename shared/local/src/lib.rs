//! The engine's ports on this machine: folders as buckets and queues, processes as tasks.
//!
//! - [`folders`] - folders as buckets and queues, and the events of their files;
//! - [`Here`] - the ports of a launch: [`LocalLauncher`] starts processes; [`EmbeddedStore`] is a file; [`LocalWork`]
//!   is in memory; [`FolderPayloads`] and [`FolderDeadLetters`] are folders; [`LocalScaling`] - the ports of scaling;
//! - [`sandbox`] - a task's processes, and the endpoints that workers call;
//! - [`dev`] - `ecs-trigger dev`, which puts all of it together; [`happening`] - what it reports; [`runs`] - the launches
//!   as files, for other processes.

mod dead_letters;
pub mod dev;
pub mod folders;
pub mod happening;
mod launcher;
mod payloads;
mod ports;
pub mod runs;
pub mod sandbox;
mod store;
mod work;
mod workers;

pub use dead_letters::FolderDeadLetters;
pub use launcher::{Call, LocalLauncher, Started};
pub use payloads::FolderPayloads;
pub use ports::Here;
pub use store::{CannotOpen, EmbeddedStore};
pub use work::LocalWork;
pub use workers::LocalScaling;
