//! Folders as buckets and queues.
//!
//! - [`bucket`] - the events that S3 would send for a folder's files; [`object_events`] - what is in them;
//! - [`queue`] - a folder whose files are messages; [`events`] - a folder whose files are events;
//! - [`attributes`] - what an object has beside its content; [`own_changes`] - the changes that the endpoint makes;
//! - [`landing`] - when a file is complete: closed or stable, never half written; [`watch`] - changes in the folders.

pub mod attributes;
pub mod bucket;
pub mod events;
pub mod landing;
pub mod object_events;
pub mod own_changes;
pub mod queue;
pub mod watch;
