//! The port that stores launches.

use std::future::Future;

/// Stores small texts by their `s3://` URIs: in S3, or in a local folder. Writes are conditional: of two concurrent
/// writers one is refused.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub trait Ledger: Sync {
    /// Reads the text at a URI, if there is one.
    ///
    /// # Errors
    /// The ledger did not answer.
    fn read(&self, uri: &str) -> impl Future<Output = Result<Option<Entry>, LedgerError>> + Send;

    /// Writes a text if the current one is as `expected`. Returns the version of the written text.
    ///
    /// # Errors
    /// The current text is not as expected, so nothing was written. Or the ledger did not answer, and whether the text
    /// was written is unknown.
    fn write(
        &self,
        uri: &str,
        text: &str,
        expected: &Expected,
    ) -> impl Future<Output = Result<String, LedgerError>> + Send;

    /// Deletes the text at a URI, if there is one.
    ///
    /// # Errors
    /// The ledger did not answer, and whether the text was deleted is unknown.
    fn delete(&self, uri: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Returns the URIs that begin with `prefix` and sort after `after` and not after `until`: the first thousand, in
    /// order.
    ///
    /// # Errors
    /// The ledger did not answer.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        until: &str,
    ) -> impl Future<Output = Result<Vec<String>, LedgerError>> + Send;
}

/// A stored text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The text.
    pub text: String,
    /// The text's version: S3's ETag.
    pub version: String,
}

/// The condition of a write: what the URI must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing: the write has no condition.
    Anything,
    /// Nothing.
    Nothing,
    /// A text of this version.
    Version(String),
}

/// Why a ledger request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The current text is not as expected.
    #[error("another process changed the ledger entry in the meantime")]
    Changed,
    /// The ledger did not answer, or refused the request.
    #[error("the ledger request failed: {0}")]
    Unavailable(String),
}
