//! Keeps a received message invisible until it is deleted or given back.

use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::queue::{CALL, Message, Queue, QueueError, silent};

/// SQS keeps a message invisible for at most this long after its receive, extensions included.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
pub const INVISIBLE_MAX: Duration = Duration::from_secs(12 * 3600);
/// So long before [`INVISIBLE_MAX`] the message's work must end. Longer than a handler gets to end.
const MARGIN: Duration = Duration::from_secs(60);
/// The shortest interval between two extensions of a message's visibility timeout.
const BEATS_MIN: Duration = Duration::from_millis(500);
/// The shortest time that SQS gets to answer a call about a message.
const ANSWER_MIN: Duration = Duration::from_millis(500);
/// The pause before the first repetition of a delete; each further one is twice as long, up to [`DELETE_PAUSE_MAX`].
const DELETE_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two attempts to delete a message.
const DELETE_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A received message that a task in the background keeps invisible. The task ends when the lease is dropped.
pub(crate) struct Lease {
    queue: Queue,
    message: Message,
    received_at: Instant,
    state: watch::Receiver<State>,
    /// Ends the background task when it is dropped.
    end: oneshot::Sender<()>,
    beats: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    invisible_until: Instant,
    /// Why the message can no longer be kept.
    lost: Option<Lost>,
}

/// Why a message can no longer be kept invisible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// [`INVISIBLE_MAX`] is nearly over.
    #[error("it took 12 hours, and SQS keeps no message invisible for longer; split the work into shorter messages")]
    TooLong,
    /// The receipt handle is stale.
    #[error("the message became visible too early, so another worker may have received it: {0}")]
    Stale(String),
    /// The queue no longer exists.
    #[error("the message is gone with its queue: {0}")]
    NoQueue(String),
}

impl Lease {
    /// Begins to keep a message invisible. `received_at` is the time just before the receive request, so that no
    /// extension goes beyond SQS's limit.
    pub(crate) fn new(queue: Queue, message: Message, received_at: Instant) -> Self {
        let (told, state) =
            watch::channel(State { invisible_until: received_at + queue.visibility_timeout(), lost: None });
        let (end, ended) = oneshot::channel();
        let beats = tokio::spawn(beat(queue.clone(), message.clone(), received_at, told, ended));
        Self { queue, message, received_at, state, end, beats }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Waits until the message can no longer be kept invisible.
    pub(crate) async fn lost(&self) -> Lost {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.lost.is_some()).await.map(|state| state.lost.clone()) {
            Ok(Some(lost)) => lost,
            // The background task has panicked.
            Ok(None) | Err(_) => Lost::Stale("its visibility timeout is no longer extended".to_owned()),
        }
    }

    /// Deletes the message, and repeats that as long as the message is invisible.
    ///
    /// # Errors
    /// SQS refused the calls or did not answer, or the receipt handle is stale. The message may be received again.
    pub(crate) async fn delete(self) -> Result<(), QueueError> {
        let (queue, message, _, invisible_until) = self.end().await;
        let mut pause = DELETE_PAUSE;
        loop {
            let Err(error) = in_time(&queue, invisible_until, queue.delete(&message)).await else { return Ok(()) };
            let left = invisible_until.saturating_duration_since(Instant::now());
            if left.is_zero() || matches!(error, QueueError::Stale(_) | QueueError::NoQueue(_)) {
                return Err(error);
            }
            warn!(message_id = message.id, %error, "cannot delete a handled message; trying again");
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(DELETE_PAUSE_MAX);
        }
    }

    /// Makes the message visible again after `delay`, or earlier if SQS's limit allows no more.
    pub(crate) async fn give_back(self, delay: Duration) {
        let (queue, message, received_at, _) = self.end().await;
        if let Err(error) = queue.change_visibility(&message, allowed(delay, received_at.elapsed())).await {
            warn!(message_id = message.id, %error, "cannot give the message back; it becomes visible later");
        }
    }

    /// Ends the background task, after its call to SQS if it makes one: the call must not follow the next.
    async fn end(self) -> (Queue, Message, Instant, Instant) {
        drop(self.end);
        let _ = self.beats.await;
        let invisible_until = self.state.borrow().invisible_until;
        (self.queue, self.message, self.received_at, invisible_until)
    }
}

/// Extends the visibility timeout again and again, until the lease ends or the message is lost.
async fn beat(
    queue: Queue,
    message: Message,
    received_at: Instant,
    state: watch::Sender<State>,
    mut ended: oneshot::Receiver<()>,
) {
    let every = (queue.visibility_timeout() / 3).max(BEATS_MIN);
    let over_at = received_at + (INVISIBLE_MAX - MARGIN);
    let mut pause = every;
    loop {
        let left = over_at.saturating_duration_since(Instant::now());
        tokio::select! {
            _ = &mut ended => return,
            () = sleep(pause.min(left)) => {}
        }
        let now = Instant::now();
        if now >= over_at {
            state.send_modify(|state| state.lost = Some(Lost::TooLong));
            return;
        }
        let timeout = allowed(queue.visibility_timeout(), now - received_at);
        let invisible_until = state.borrow().invisible_until;
        match in_time(&queue, invisible_until, queue.change_visibility(&message, timeout)).await {
            Ok(()) => {
                state.send_modify(|state| state.invisible_until = now + timeout);
                pause = every;
            }
            Err(QueueError::Stale(reason)) => {
                state.send_modify(|state| state.lost = Some(Lost::Stale(reason)));
                return;
            }
            Err(QueueError::NoQueue(reason)) => {
                state.send_modify(|state| state.lost = Some(Lost::NoQueue(reason)));
                return;
            }
            Err(error) => {
                warn!(message_id = message.id, %error, "the message may become visible too early; trying again");
                pause = every / 4;
            }
        }
    }
}

/// Makes a call about a message, and gives it up early enough to try again before the message becomes visible.
async fn in_time(
    queue: &Queue,
    invisible_until: Instant,
    call: impl Future<Output = Result<(), QueueError>>,
) -> Result<(), QueueError> {
    let left = invisible_until.saturating_duration_since(Instant::now());
    timeout(patience(left, queue.visibility_timeout()), call).await.unwrap_or_else(|_| Err(silent()))
}

/// Returns how long SQS may take to answer a call about a message that is invisible for `left`: a third of that time, so
/// that others can follow. A call that begins late gets a part of the visibility timeout: the message may be invisible
/// for a little longer than is known, or not yet received again.
fn patience(left: Duration, visibility_timeout: Duration) -> Duration {
    (left / 3).max(visibility_timeout / 12).max(ANSWER_MIN).min(CALL)
}

/// Returns how long a message that was received `age` ago may still stay invisible, at most `wanted`.
fn allowed(wanted: Duration, age: Duration) -> Duration {
    wanted.min(INVISIBLE_MAX.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::queue::tests::queue;
    use crate::stand_in::Sqs;

    /// A test fails if it waits longer than this.
    const PATIENCE: Duration = Duration::from_secs(20);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_message_stays_invisible_for_twelve_hours_at_most() {
        let minute = Duration::from_secs(60);
        for (wanted, age, expected) in [
            (minute, Duration::ZERO, minute),
            (minute, 11 * HOUR, minute),
            (12 * HOUR, Duration::ZERO, 12 * HOUR),
            (12 * HOUR, HOUR, 11 * HOUR),
            (2 * HOUR, 11 * HOUR, HOUR),
            (minute, 12 * HOUR, Duration::ZERO),
            (minute, 13 * HOUR, Duration::ZERO),
        ] {
            assert_eq!(allowed(wanted, age), expected, "{wanted:?} after {age:?}");
        }
    }

    #[test]
    fn a_call_that_hangs_leaves_time_for_others_before_the_message_becomes_visible() {
        for (visibility_timeout, left, expected) in [
            (60_000, 40_000, 10_000),
            (60_000, 25_000, 8_333),
            (60_000, 6_000, 5_000),
            (60_000, 0, 5_000),
            (10_000, 6_666, 2_222),
            (10_000, 900, 833),
            (2_000, 1_333, 500),
            (2_000, 0, 500),
            (43_200_000, 0, 10_000),
        ] {
            let milliseconds = Duration::from_millis;
            let patience = patience(milliseconds(left), milliseconds(visibility_timeout));
            assert_eq!(patience.as_millis(), expected, "{left} of {visibility_timeout}");
        }
    }

    /// Starts an SQS that never answers the first call with this name.
    fn sqs_that_hangs_once(hung: &'static str) -> Sqs {
        let has_hung = AtomicBool::new(false);
        Sqs::start(move |call| {
            if call == hung && !has_hung.swap(true, Ordering::Relaxed) {
                loop {
                    std::thread::park();
                }
            }
            None
        })
    }

    #[tokio::test]
    async fn a_message_stays_invisible_although_an_extension_hangs() {
        let sqs = sqs_that_hangs_once("ChangeMessageVisibility");
        sqs.send("images", "a message");
        let _lease = lease(&sqs, Duration::from_secs(3), Duration::ZERO).await;
        let other_worker = queue(&sqs, Duration::from_secs(3)).await;
        assert_eq!(other_worker.receive(Duration::from_secs(4), 1).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_delete_that_hangs_is_repeated_while_the_message_is_invisible() {
        let sqs = sqs_that_hangs_once("DeleteMessage");
        sqs.send("images", "a message");
        assert_eq!(lease(&sqs, Duration::from_secs(3), Duration::ZERO).await.delete().await, Ok(()));
        assert_eq!(sqs.calls("DeleteMessage").len(), 2);
    }

    /// Receives the one message of a queue, as if it were received `age` ago.
    async fn lease(sqs: &Sqs, visibility_timeout: Duration, age: Duration) -> Lease {
        let queue = queue(sqs, visibility_timeout).await;
        let message = queue.receive(Duration::ZERO, 1).await.expect("SQS answers").pop().expect("there is one");
        Lease::new(queue, message, Instant::now().checked_sub(age).expect("is a time"))
    }

    #[tokio::test]
    async fn a_message_is_lost_before_twelve_hours_are_over_and_goes_back_within_them() {
        let sqs = Sqs::start(|_| None);
        sqs.send("images", "a message");
        let age = INVISIBLE_MAX - MARGIN - Duration::from_millis(700);
        let lease = lease(&sqs, 12 * HOUR, age).await;
        assert_eq!(timeout(PATIENCE, lease.lost()).await, Ok(Lost::TooLong));
        lease.give_back(HOUR).await;
        let changes = sqs.calls("ChangeMessageVisibility");
        let given_back = changes.last().and_then(|change| change["VisibilityTimeout"].as_u64());
        assert!(given_back.is_some_and(|seconds| (50..=60).contains(&seconds)), "{changes:?}");
    }

    #[tokio::test]
    async fn a_stale_handle_or_a_missing_queue_ends_the_lease_and_other_failures_are_tried_again() {
        for (code, queue_is_gone) in [
            ("com.amazonaws.sqs#ReceiptHandleIsInvalid", false),
            ("com.amazonaws.sqs#MessageNotInflight", false),
            ("com.amazon.coral.service#InvalidParameterValueException", false),
            ("com.amazonaws.sqs#QueueDoesNotExist", true),
            // Without the header.
            ("MessageNotInflight", false),
            ("QueueDoesNotExist", true),
        ] {
            let failed = AtomicBool::new(false);
            let sqs = Sqs::start(move |call| match call {
                "ChangeMessageVisibility" if !failed.swap(true, Ordering::Relaxed) => {
                    Some((403, json!({ "__type": "AccessDeniedException", "message": "not now" })))
                }
                "ChangeMessageVisibility" => Some((400, json!({ "__type": code, "message": "it is gone" }))),
                _ => None,
            });
            sqs.send("images", "a message");
            let lease = lease(&sqs, Duration::from_secs(2), Duration::ZERO).await;
            let lost = timeout(PATIENCE, lease.lost()).await.expect("is noticed");
            assert!(lost.to_string().contains("it is gone"), "{code}: {lost:?}");
            assert_eq!(matches!(lost, Lost::NoQueue(_)), queue_is_gone, "{code}: {lost:?}");
            assert_eq!(sqs.calls("ChangeMessageVisibility").len(), 2, "{code}");
        }
    }

    #[tokio::test]
    async fn a_delete_is_repeated_while_the_message_is_invisible() {
        let refused = || Some((403, json!({ "__type": "AccessDeniedException", "message": "not now" })));
        let left = AtomicUsize::new(2);
        let sqs = Sqs::start(move |call| {
            let fails = call == "DeleteMessage"
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            if fails { refused() } else { None }
        });
        sqs.send("images", "a message");
        assert_eq!(lease(&sqs, Duration::from_secs(30), Duration::ZERO).await.delete().await, Ok(()));
        assert_eq!(sqs.calls("DeleteMessage").len(), 3);

        let sqs = Sqs::start(move |call| if call == "DeleteMessage" { refused() } else { None });
        sqs.send("images", "a message");
        let began = Instant::now();
        let deleted = lease(&sqs, Duration::from_secs(2), Duration::ZERO).await.delete().await;
        assert!(deleted.is_err_and(|error| error.to_string().contains("not now")));
        assert!(began.elapsed() >= Duration::from_secs(2), "it is tried until the message is visible");
        let tried: Vec<Value> = sqs.calls("DeleteMessage");
        assert!(tried.len() >= 3, "{tried:?}");
    }
}
