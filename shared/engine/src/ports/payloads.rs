//! The port that stores events which do not fit into a launch.

use std::future::Future;

/// Stores an event where its tasks can read it: in S3, or in a local folder.
pub trait Payloads: Sync {
    /// Stores an event's JSON at an `s3://` URI. Storing the same event again changes nothing.
    ///
    /// # Errors
    /// The event was not stored, as far as is known.
    fn put(&self, uri: &str, event: &str) -> impl Future<Output = Result<(), PayloadError>> + Send;

    /// Returns an event that was stored.
    ///
    /// # Errors
    /// The event could not be read.
    fn get(&self, uri: &str) -> impl Future<Output = Result<String, PayloadError>> + Send;
}

/// Why an event could not be stored or read, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PayloadError(pub String);
