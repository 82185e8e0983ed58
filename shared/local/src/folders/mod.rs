//! Folders as buckets and queues.
//!
//! - [`bucket`] - the events that S3 would send for a folder's files; [`queue`] - a folder whose files are messages;
//! - [`landing`] - when a file is complete: closed or stable, never half written; [`watch`] - changes in the folders.

pub mod bucket;
pub mod landing;
pub mod queue;
pub mod watch;
