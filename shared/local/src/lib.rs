//! The engine's ports on this machine: folders as buckets and queues, processes as tasks.
//!
//! - [`bucket`] - a folder that stands for a bucket, and the events that S3 would send about its files;
//! - [`queue`] - a folder that stands for a queue; [`timetable`] - which schedules fire when, by a [`clock`];
//! - [`landing`] - when a file is an object: closed or stable, never half written; [`watch`] - what the folders do;
//! - [`Here`] - all ports: [`LocalLauncher`] by processes, [`FolderPayloads`], [`FolderLedger`] and [`FolderDeadLetters`] by folders;
//!   [`supervise`] - what keeps a process from outliving its task;
//! - [`LocalScaling`] - the ports of scaling; [`endpoint`] - SQS and the ECS agent, as workers talk to them;
//! - [`dev`] - all of it together: `ecs-trigger dev`.

pub mod bucket;
pub mod clock;
mod dead_letters;
pub mod dev;
pub mod endpoint;
pub mod landing;
mod launcher;
mod ledger;
mod payloads;
pub mod process;
pub mod queue;
pub mod supervise;
pub mod timetable;
pub mod watch;
mod workers;
mod world;

pub use dead_letters::FolderDeadLetters;
pub use launcher::{LocalLauncher, Started};
pub use ledger::FolderLedger;
pub use payloads::FolderPayloads;
pub use workers::LocalScaling;
pub use world::{Here, SystemClock};
