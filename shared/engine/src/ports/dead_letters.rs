//! The port that takes dead letters.

use std::future::Future;

use trigger_core::launch::DeadLetter;

/// Takes dead letters: into a queue, or into a local folder.
pub trait DeadLetters: Sync {
    /// Sends a dead letter. A letter that is sent again may be there twice.
    ///
    /// # Errors
    /// The letter was not sent, as far as is known.
    fn send(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), NotSent>> + Send;
}

/// Why a dead letter could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The queue takes only shorter messages.
    #[error("the dead letter is too long for its queue: {0}")]
    TooLong(String),
    /// Anything else, in words.
    #[error("the dead letter could not be sent: {0}")]
    Failed(String),
}
