//! Handles one message.

use std::future::{Future, pending};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use crate::lease::{Lease, Lost};
use crate::queue::Message;
use crate::{Notice, command};

/// A handler that was told to end and still works after this time is dropped. Longer than a command gets.
const HANDLER_GRACE: Duration = command::GRACE.saturating_add(Duration::from_secs(5));
/// A failed message becomes visible again at the latest after this time, unless its first delay is longer.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(900);

/// A received message on its way through the worker.
pub(crate) struct Slot {
    pub(crate) lease: Lease,
    pub(crate) admission: watch::Receiver<Admission>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry_delay: Option<Duration>,
}

/// Whether the messages of a receive request may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The task is not protected yet.
    Pending,
    /// They may.
    Granted,
    /// They may not, and become visible again after this time.
    Refused(Duration),
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was handled and deleted.
    Done,
    /// It failed or could not be deleted.
    Failed,
    /// It went back before it was started.
    NotStarted,
}

/// Why a handler has to end before its work is done.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("it took longer than the timeout of {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl Slot {
    /// Handles the message when it may start, and deletes it or gives it back.
    pub(crate) async fn run<F, H>(mut self, handler: H) -> Outcome
    where
        H: Fn(Message, Notice) -> F,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let admission = self.admission.wait_for(|admission| *admission != Admission::Pending).await;
        // Without an answer, the receiver has ended.
        let refused = match admission.map(|admission| *admission) {
            Ok(Admission::Granted) => None,
            Ok(Admission::Refused(delay)) => Some(delay),
            Ok(Admission::Pending) | Err(_) => Some(Duration::ZERO),
        };
        if let Some(delay) = refused {
            self.lease.give_back(delay).await;
            return Outcome::NotStarted;
        }
        let message = self.lease.message();
        let (message_id, receive_count) = (message.id.clone(), message.receive_count);
        let failure = match self.handle(handler).await {
            Ok(Ok(())) => {
                return match self.lease.delete().await {
                    Ok(()) => Outcome::Done,
                    Err(error) => {
                        error!(message_id, %error, "cannot delete a handled message; it can be received again");
                        Outcome::Failed
                    }
                };
            }
            Ok(Err(reason)) => reason,
            Err(Cut::Lost(lost @ (Lost::Stale(_) | Lost::NoQueue(_)))) => {
                error!(message_id, receive_count, reason = %lost, "the message's work was ended");
                return Outcome::Failed;
            }
            Err(cut) => cut.to_string(),
        };
        error!(message_id, receive_count, reason = failure, "the message failed");
        if let Some(delay) = self.retry_delay {
            self.lease.give_back(retry_delay(delay, receive_count)).await;
        }
        Outcome::Failed
    }

    /// Runs the handler, and ends it early if the message's time is over.
    async fn handle<F, H>(&self, handler: H) -> Result<Result<(), String>, Cut>
    where
        H: Fn(Message, Notice) -> F,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (over, is_over) = watch::channel(None);
        // A task of its own, so that its panic is a failed message; in a set, so that it ends with this function.
        let mut handling = JoinSet::new();
        handling.spawn(handler(self.lease.message().clone(), Notice::new(self.stopping.clone(), is_over)));
        let cut = tokio::select! {
            handled = handling.join_next() => return Ok(match handled {
                Some(Ok(result)) => result,
                Some(Err(error)) => Err(error.to_string()),
                None => Err("it was not started".to_owned()),
            }),
            lost = self.lease.lost() => Cut::Lost(lost),
            cut = after(self.timeout) => cut,
        };
        over.send_replace(Some(cut.to_string()));
        if timeout(HANDLER_GRACE, handling.join_next()).await.is_err() {
            warn!(message_id = self.lease.message().id, "the handler did not end in time and is dropped");
            handling.shutdown().await;
        }
        Err(cut)
    }
}

async fn after(limit: Option<Duration>) -> Cut {
    match limit {
        Some(limit) => {
            sleep(limit).await;
            Cut::Timeout(limit)
        }
        None => pending().await,
    }
}

/// Returns when a message becomes visible again that failed for the `receive_count`th time: the first delay, doubled by
/// each further failure up to [`RETRY_DELAY_MAX`]. A message that always fails must not keep a worker busy for ever.
fn retry_delay(first: Duration, receive_count: u32) -> Duration {
    let doubled = 1_u32.checked_shl(receive_count.saturating_sub(1));
    let delay = first.saturating_mul(doubled.unwrap_or(u32::MAX));
    delay.min(RETRY_DELAY_MAX.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_retry_delay_up_to_a_quarter_of_an_hour() {
        let table =
            [(5, 1, 5), (5, 2, 10), (5, 4, 40), (5, 9, 900), (5, 1000, 900), (0, 7, 0), (3600, 3, 3600), (5, 0, 5)];
        for (first, receive_count, seconds) in table {
            let delay = retry_delay(Duration::from_secs(first), receive_count);
            assert_eq!(delay.as_secs(), seconds, "{first} s, receive {receive_count}");
        }
    }
}
