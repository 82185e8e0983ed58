//! Receives SQS messages, and deletes them or gives them back.

use std::error::Error;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::time::timeout;

/// SQS hands out at most this many messages per request.
const BATCH_MAX: usize = 10;
/// A call that SQS does not answer within this time, repetitions included, has failed. A receive also waits for messages.
pub(crate) const CALL: Duration = Duration::from_secs(10);
/// SQS answers with one of these codes if a message is no longer in flight under its receipt handle. The first two are
/// documented; for a deleted message SQS answers with the third.
const STALE: [&str; 3] = ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"];
/// SQS answers with the first code if the queue does not exist. The second is the name of the same error in the reply's
/// body, which counts where the header `x-amzn-query-error` is missing, as in some stand-ins for SQS.
const NO_QUEUE: [&str; 2] = ["NonExistentQueue", "QueueDoesNotExist"];

/// An SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    visibility_timeout: Duration,
}

/// A received message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    pub(crate) receipt_handle: String,
}

/// Why a call to SQS failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// SQS refused the call or did not answer.
    #[error("SQS: {0}")]
    Call(String),
    /// The message is no longer in flight under its receipt handle.
    #[error("SQS: the receipt handle is stale: {0}")]
    Stale(String),
    /// The queue does not exist, or no longer.
    #[error("SQS: the queue does not exist: {0}")]
    NoQueue(String),
}

/// The variables with an endpoint for SQS; the first one that is set applies.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"];

/// Creates an SQS client from the environment: Region, credentials, and `AWS_ENDPOINT_URL` if it is not empty.
pub async fn client() -> Client {
    // Longer than a receive request waits, and short enough that a dead connection does not block the worker forever.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http()).timeout_config(timeouts);
    let mut config = aws_sdk_sqs::config::Builder::from(&config.load().await);
    // The SDK takes an empty variable for an endpoint, and panics.
    let endpoints = ENDPOINT_VARIABLES.map(|name| std::env::var(name).ok());
    if endpoints.iter().flatten().any(String::is_empty) {
        config.set_endpoint_url(endpoints.into_iter().flatten().find(|endpoint| !endpoint.is_empty()));
    }
    Client::from_conf(config.build())
}

/// Creates the HTTP client of an SQS client.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
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
                let got = got.map_err(|error| QueueError::Call(format!("queue `{queue}`: {}", causes(&error))))?;
                got.queue_url().unwrap_or_default().to_owned()
            }
        };
        Ok(Self { client, url, visibility_timeout })
    }

    /// Returns how long messages stay invisible at a time.
    pub fn visibility_timeout(&self) -> Duration {
        self.visibility_timeout
    }

    /// Returns how many messages a receive request may ask for if this many can be handled at once. The messages of a
    /// FIFO queue come one by one: those of one group must not be handled side by side, and a batch may hold several.
    pub(crate) fn batch(&self, free: usize) -> usize {
        if self.url.ends_with(".fifo") { 1 } else { free.min(BATCH_MAX) }
    }

    /// Waits up to `wait` for messages, and returns at most `most`.
    ///
    /// # Errors
    /// SQS refused the call or did not answer.
    pub async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<Message>, QueueError> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive
            .max_number_of_messages(i32::try_from(most).unwrap_or(i32::MAX))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(self.visibility_timeout))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let received = timeout(wait + CALL, receive.send()).await.map_err(|_| silent())?.map_err(of_queue)?;
        Ok(received.messages.unwrap_or_default().into_iter().map(|message| self.message(&message)).collect())
    }

    fn message(&self, message: &aws_sdk_sqs::types::Message) -> Message {
        let system = |name| message.attributes().and_then(|attributes| attributes.get(&name)).cloned();
        let texts = message.message_attributes().into_iter().flatten();
        let attributes = texts.filter_map(|(name, value)| Some((name.clone(), value.string_value()?.to_owned())));
        Message {
            id: message.message_id().unwrap_or_default().to_owned(),
            body: message.body().unwrap_or_default().to_owned(),
            queue_url: self.url.clone(),
            receive_count: system(MessageSystemAttributeName::ApproximateReceiveCount)
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            group_id: system(MessageSystemAttributeName::MessageGroupId),
            attributes: attributes.collect(),
            receipt_handle: message.receipt_handle().unwrap_or_default().to_owned(),
        }
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// SQS refused the call or did not answer; the message may not be deleted.
    pub async fn delete(&self, message: &Message) -> Result<(), QueueError> {
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt_handle);
        timeout(CALL, delete.send()).await.map_err(|_| silent())?.map(drop).map_err(of_message)
    }

    /// Makes a message visible again after `visible_after`.
    ///
    /// # Errors
    /// SQS refused the call or did not answer; the message becomes visible when its last timeout is over.
    pub async fn change_visibility(&self, message: &Message, visible_after: Duration) -> Result<(), QueueError> {
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(&message.receipt_handle).visibility_timeout(seconds(visible_after));
        timeout(CALL, change.send()).await.map_err(|_| silent())?.map(drop).map_err(of_message)
    }
}

/// Returns a duration in whole seconds, as SQS expects it.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// Returns the failure of a call about a queue.
fn of_queue<E: Error + ProvideErrorMetadata + 'static>(error: SdkError<E>) -> QueueError {
    let kind = if has_code(&error, &NO_QUEUE) { QueueError::NoQueue } else { QueueError::Call };
    kind(causes(&error))
}

/// Returns the failure of a call about a received message.
fn of_message<E: Error + ProvideErrorMetadata + 'static>(error: SdkError<E>) -> QueueError {
    if has_code(&error, &STALE) { QueueError::Stale(causes(&error)) } else { of_queue(error) }
}

/// Returns whether an error has one of these codes, with or without a namespace.
fn has_code(error: &impl ProvideErrorMetadata, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.iter().any(|known| code.ends_with(known)))
}

pub(crate) fn silent() -> QueueError {
    QueueError::Call("no answer within the time limit".to_owned())
}

/// Returns an error and its causes on one line.
fn causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_sdk_sqs::config::{Config, Credentials, Region};

    use super::*;
    use crate::stand_in::Sqs;

    /// Opens the queue `images` of a stand-in.
    pub(crate) async fn queue(sqs: &Sqs, visibility_timeout: Duration) -> Queue {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(http())
            .endpoint_url(sqs.endpoint());
        let client = Client::from_conf(config.build());
        Queue::open(client, &sqs.queue_url("images"), visibility_timeout).await.expect("is a URL")
    }
}
