//! Folders that stand for buckets and queues.
//!
//! - [`bucket`] - the events that S3 would send about the files of a folder; [`queue`] - a folder whose files are messages;
//! - [`landing`] - when a file is complete: closed or stable, never half written; [`watch`] - changes of the folders.

pub mod bucket;
pub mod landing;
pub mod queue;
pub mod watch;
