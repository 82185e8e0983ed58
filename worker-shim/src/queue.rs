//! Receives SQS messages, and deletes them or gives them back.

use std::error::Error;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// An SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    visibility_timeout: Duration,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's id.
    pub id: String,
    /// The message's body.
    pub body: String,
    /// The queue's URL.
    pub queue_url: String,
    /// How often the message was received, this receive included.
    pub receive_count: u32,
    /// The message group, if the message has one.
    pub group_id: Option<String>,
    /// The message attributes that have a string value.
    pub attributes: Vec<(String, String)>,
    receipt_handle: String,
}

/// Why a call to SQS failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SQS: {0}")]
pub struct QueueError(pub String);

/// Creates an SQS client from the environment: Region, credentials, and `AWS_ENDPOINT_URL` if it is set.
pub async fn client() -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    // Longer than a receive request waits, and short enough that a dead connection does not block the worker forever.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build();
    Client::new(
        &aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).load().await,
    )
}

impl Queue {
    /// Opens the queue with this name, ARN or URL. Its messages stay invisible for `visibility_timeout` at a time.
    ///
    /// # Errors
    /// The queue does not exist, or SQS did not answer.
    pub async fn open(client: Client, queue: &str, visibility_timeout: Duration) -> Result<Self, QueueError> {
        let url = match queue.contains("://") {
            true => queue.to_owned(),
            false => {
                let (account, name) = match queue.split(':').collect::<Vec<_>>().as_slice() {
                    ["arn", _, "sqs", _, account, name] => (Some((*account).to_owned()), *name),
                    _ => (None, queue),
                };
                let get = client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(account);
                let got = get.send().await;
                let got = got.map_err(|error| QueueError(format!("queue `{queue}`: {}", causes(&error))))?;
                got.queue_url().unwrap_or_default().to_owned()
            }
        };
        Ok(Self { client, url, visibility_timeout })
    }

    /// Returns how long messages stay invisible at a time.
    pub fn visibility_timeout(&self) -> Duration {
        self.visibility_timeout
    }

    /// Waits up to `wait` for a message.
    ///
    /// # Errors
    /// SQS refused the call or did not answer.
    pub async fn receive(&self, wait: Duration) -> Result<Option<Message>, QueueError> {
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(1);
        let receive = receive
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(self.visibility_timeout))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let mut received = receive.send().await.map_err(refused)?;
        let Some(message) = received.messages.as_mut().and_then(Vec::pop) else { return Ok(None) };
        let system = |name| message.attributes().and_then(|attributes| attributes.get(&name)).cloned();
        let texts = message.message_attributes().into_iter().flatten();
        let attributes = texts.filter_map(|(name, value)| Some((name.clone(), value.string_value()?.to_owned())));
        Ok(Some(Message {
            id: message.message_id().unwrap_or_default().to_owned(),
            body: message.body().unwrap_or_default().to_owned(),
            queue_url: self.url.clone(),
            receive_count: system(MessageSystemAttributeName::ApproximateReceiveCount)
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            group_id: system(MessageSystemAttributeName::MessageGroupId),
            attributes: attributes.collect(),
            receipt_handle: message.receipt_handle().unwrap_or_default().to_owned(),
        }))
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// SQS refused the call or did not answer; the message may not be deleted.
    pub async fn delete(&self, message: &Message) -> Result<(), QueueError> {
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt_handle);
        delete.send().await.map(drop).map_err(refused)
    }

    /// Keeps a message invisible for another visibility timeout.
    ///
    /// # Errors
    /// SQS refused the call or did not answer; the message may become visible.
    pub async fn keep_invisible(&self, message: &Message) -> Result<(), QueueError> {
        self.change_visibility(message, self.visibility_timeout).await
    }

    /// Makes a message visible again after `delay`.
    ///
    /// # Errors
    /// SQS refused the call or did not answer; the message may become visible only after its visibility timeout.
    pub async fn give_back(&self, message: &Message, delay: Duration) -> Result<(), QueueError> {
        self.change_visibility(message, delay).await
    }

    async fn change_visibility(&self, message: &Message, timeout: Duration) -> Result<(), QueueError> {
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(&message.receipt_handle).visibility_timeout(seconds(timeout));
        change.send().await.map(drop).map_err(refused)
    }
}

/// Returns a duration in whole seconds, as SQS expects it.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn refused(error: impl Error) -> QueueError {
    QueueError(causes(&error))
}

/// Returns an error and its causes on one line.
fn causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
