//! The engine's ports on this machine: folders as buckets and queues, processes as tasks.
//!
//! - [`bucket`] - a folder that stands for a bucket, and the events that S3 would send about its files;
//! - [`queue`] - a folder that stands for a queue; [`timetable`] - which schedules fire when, by a [`clock`];
//! - [`landing`] - when a file is an object: closed or stable, never half written; [`watch`] - what the folders do;
//! - [`LocalLauncher`] - the launcher port by processes; [`supervise`] - what keeps a process from outliving its task;
//! - [`dev`] - all of it together: `ecs-trigger dev`.

pub mod bucket;
pub mod clock;
pub mod dev;
pub mod landing;
mod launcher;
mod payloads;
pub mod process;
pub mod queue;
pub mod supervise;
pub mod timetable;
pub mod watch;

pub use launcher::LocalLauncher;
pub use payloads::FolderPayloads;
