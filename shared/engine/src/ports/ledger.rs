//! The port that remembers.

use std::future::Future;

/// Remembers small texts by their `s3://` URIs: in S3, or in a folder of this machine. Writes are conditional, so that of two who
/// write at once one learns that the other was there.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub trait Ledger: Sync {
    /// The text at a URI, if there is one.
    ///
    /// # Errors
    /// It cannot be said.
    fn read(&self, uri: &str) -> impl Future<Output = Result<Option<Entry>, LedgerError>> + Send;

    /// Writes a text, if what is there is as `expected`; returns its version.
    ///
    /// # Errors
    /// It is not as expected, and nothing was written; or it cannot be said whether it was.
    fn write(
        &self,
        uri: &str,
        text: &str,
        expected: &Expected,
    ) -> impl Future<Output = Result<String, LedgerError>> + Send;

    /// Removes what is at a URI, if there is something.
    ///
    /// # Errors
    /// It cannot be said whether it was removed.
    fn delete(&self, uri: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The URIs that begin with `prefix`, sort behind `after` and not behind `until`: the first thousand, in order.
    ///
    /// # Errors
    /// It cannot be said.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        until: &str,
    ) -> impl Future<Output = Result<Vec<String>, LedgerError>> + Send;
}

/// A text that was remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The text.
    pub text: String,
    /// Its version: S3's ETag.
    pub version: String,
}

/// What must be at a URI for something to be written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Anything,
    /// Nothing.
    Nothing,
    /// This version.
    Version(String),
}

/// Why something was not written, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// What is there is not as expected.
    #[error("somebody else wrote it meanwhile")]
    Changed,
    /// The ledger does not answer, or refuses.
    #[error("the ledger does not answer: {0}")]
    Unavailable(String),
}
