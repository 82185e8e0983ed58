//! The dead-letters port on SQS.

use aws_sdk_sqs::Client;
use trigger_core::launch::DeadLetter;
use trigger_engine::ports::{DeadLetters, NotSent};

use crate::clients::causes;

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
        send.send().await.map(drop).map_err(|error| NotSent(causes(&error)))
    }
}
