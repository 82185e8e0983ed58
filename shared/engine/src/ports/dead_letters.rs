//! The port that takes events whose tasks cannot be started.

use std::future::Future;

use trigger_core::launch::DeadLetter;

/// Takes events whose tasks cannot be started: a queue, or a folder of this machine.
pub trait DeadLetters: Sync {
    /// Sends one. Sent again, it may be there twice.
    ///
    /// # Errors
    /// It was not sent, as far as is known.
    fn send(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), NotSent>> + Send;
}

/// Why a dead letter could not be sent: in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dead-letter queue does not answer: {0}")]
pub struct NotSent(pub String);
