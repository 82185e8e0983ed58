//! The port that continues launches in another invocation.

use std::future::Future;
use std::time::Duration;

use trigger_core::event::identity::LaunchKey;

/// The longest delay of [`Work`]: that of an SQS message.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub const DELAY_MAX: Duration = Duration::from_mins(15);

/// One [`Work`] names at most this many launches: as many as an invocation starts within half a minute.
pub const LAUNCHES_MAX: usize = 25;

/// Takes launches that another invocation continues: an SQS queue, or a list on this machine.
///
/// Work may be lost, or done twice. It only makes launches continue sooner than the sweep finds them.
pub trait WorkQueue: Sync {
    /// Adds work.
    ///
    /// # Errors
    /// Some of the work was not added, as far as is known.
    fn add(&self, work: &[Work]) -> impl Future<Output = Result<(), NotAdded>> + Send;
}

/// Launches to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The launches, at most [`LAUNCHES_MAX`].
    pub launches: Vec<LaunchKey>,
    /// How long to wait before, at most [`DELAY_MAX`].
    pub delay: Duration,
}

/// Why work was not added, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the work queue did not answer: {0}")]
pub struct NotAdded(pub String);
