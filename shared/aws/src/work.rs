//! The work-queue port on SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use futures_util::{StreamExt, stream};
use trigger_core::event::work_message;
use trigger_engine::ports::{DELAY_MAX, NotAdded, Work, WorkQueue};

use crate::clients::causes;

/// One SendMessageBatch call accepts at most this many messages.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const MESSAGES_AT_ONCE: usize = 10;
/// Further batches wait while this many are being sent.
const BATCHES_AT_ONCE: usize = 8;

/// A work queue in SQS. Each message is one [`Work`].
#[derive(Debug, Clone)]
pub struct SqsWorkQueue {
    client: Client,
    queue_url: String,
}

impl SqsWorkQueue {
    /// Creates a port that sends to the queue with this URL through `client`.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    async fn send(&self, batch: &[Work]) -> Result<(), NotAdded> {
        let entries = batch.iter().enumerate().map(|(position, work)| entry(position, work));
        let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|error| NotAdded(error.to_string()))?;
        let send = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        let sent = send.send().await.map_err(|error| NotAdded(causes(&error)))?;
        refused(sent.failed()).map_or(Ok(()), Err)
    }
}

impl WorkQueue for SqsWorkQueue {
    async fn add(&self, work: &[Work]) -> Result<(), NotAdded> {
        let batches: Vec<_> = work.chunks(MESSAGES_AT_ONCE).map(|batch| self.send(batch)).collect();
        // A batch that fails does not keep the others from the queue.
        let sent: Vec<Result<(), NotAdded>> = stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE).collect().await;
        sent.into_iter().collect()
    }
}

fn entry(position: usize, work: &Work) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let entry = SendMessageBatchRequestEntry::builder().id(position.to_string());
    entry.message_body(work_message(&work.launches)).delay_seconds(delay_seconds(work.delay)).build()
}

/// Returns a delay in whole seconds. It is rounded up, because a launch that continues too early only waits again.
fn delay_seconds(delay: Duration) -> i32 {
    let delay = delay.min(DELAY_MAX);
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Returns why SQS refused messages of a batch that it took otherwise, if it did.
fn refused(failed: &[BatchResultErrorEntry]) -> Option<NotAdded> {
    let first = failed.first()?;
    let (code, message) = (first.code(), first.message().unwrap_or_default());
    Some(NotAdded(format!("{} messages of a batch were refused: {code}: {message}", failed.len())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_sqs::types::BatchResultErrorEntry;
    use trigger_core::event::identity::LaunchKey;
    use trigger_engine::ports::{NotAdded, Work};

    use super::{delay_seconds, entry, refused};

    #[test]
    fn a_message_names_the_launches_and_its_delay_is_rounded_up() {
        let launch = LaunchKey::new("r", "2026-01-31", &"0".repeat(32));
        let work = Work { launches: vec![launch.clone()], delay: Duration::from_millis(9_001) };
        let entry = entry(3, &work).expect("is complete");
        assert_eq!((entry.id(), entry.delay_seconds()), ("3", Some(10)));
        assert_eq!(entry.message_body(), format!(r#"{{"continue":["{launch}"]}}"#));
    }

    #[test]
    fn a_delay_stays_within_what_sqs_accepts() {
        for (delay, seconds) in [(0, 0), (1, 1), (1_000, 1), (899_001, 900), (900_000, 900), (9_000_000, 900)] {
            assert_eq!(delay_seconds(Duration::from_millis(delay)), seconds, "{delay} ms");
        }
    }

    #[test]
    fn refused_messages_are_told_with_the_reason_of_the_first() {
        let failed = |id: &str, code: &str| {
            let entry = BatchResultErrorEntry::builder().id(id).code(code).message("not now").sender_fault(false);
            entry.build().expect("is complete")
        };
        assert_eq!(refused(&[]), None);
        let two = refused(&[failed("1", "InternalError"), failed("4", "Other")]);
        assert_eq!(two, Some(NotAdded("2 messages of a batch were refused: InternalError: not now".to_owned())));
    }
}
