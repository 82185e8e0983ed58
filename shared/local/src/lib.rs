//! The engine's ports on this machine: folders as buckets, processes as tasks.
//!
//! - [`bucket`] - a folder that stands for a bucket, and the events that S3 would send about its files;
//! - [`landing`] - when a file is an object: closed or stable, never half written; [`watch`] - what the folders do;
//! - [`LocalLauncher`] - the launcher port by processes; [`supervise`] - what keeps a process from outliving its task;
//! - [`dev`] - all of it together: `ecs-trigger dev`.

pub mod bucket;
pub mod dev;
pub mod landing;
mod launcher;
pub mod process;
pub mod supervise;
pub mod watch;

pub use launcher::LocalLauncher;
