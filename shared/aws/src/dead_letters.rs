//! The dead-letters port by SQS.

use aws_sdk_sqs::Client;
use trigger_core::launch::DeadLetter;
use trigger_engine::ports::{DeadLetters, NotSent};

use crate::clients::causes;

/// Sends dead letters to a queue.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    client: Client,
    queue_url: String,
}

impl SqsDeadLetters {
    /// Dead letters for the queue of this URL, sent through `client`.
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
