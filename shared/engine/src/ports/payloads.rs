//! The port that keeps events that do not fit into a launch.

use std::future::Future;

/// Keeps an event where its tasks can read it: in S3, or in a folder of this machine.
pub trait Payloads: Sync {
    /// Puts an event's JSON at an `s3://` URI. Putting the same again changes nothing.
    ///
    /// # Errors
    /// It could not be put, as far as is known.
    fn put(&self, uri: &str, event: &str) -> impl Future<Output = Result<(), PayloadError>> + Send;
}

/// Why an event could not be put: in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PayloadError(pub String);
