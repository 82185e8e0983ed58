//! The dead-letters port on SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use trigger_core::launch::DeadLetter;
use trigger_core::metrics::Metric;
use trigger_engine::ports::{DeadLetters, NotSent};

use crate::clients::causes;
use crate::telemetry::metrics;

/// A dead-letters port that sends to an SQS queue.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    client: Client,
    queue_url: String,
}

impl SqsDeadLetters {
    /// Creates a port that sends to the queue with this URL through `client`.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

impl DeadLetters for SqsDeadLetters {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        let send = self.client.send_message().queue_url(&self.queue_url).message_body(letter.message());
        send.send().await.map(drop).map_err(|error| {
            metrics::count(Metric::DeadLettersUnsent);
            let reason = causes(&error);
            match error.code() {
                // The queue's own maximum may be below SQS's: 256 KiB was the most for a long time.
                Some("InvalidParameterValue") if reason.contains("shorter than") => NotSent::TooLong(reason),
                _ => NotSent::Failed(reason),
            }
        })
    }
}
