//! SQS's JSON protocol on the folders of queues.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use trigger_core::event::Record;

use super::Server;
use crate::folders::bucket::{ACCOUNT, REGION};
use crate::folders::queue::{BODY_BYTES_MAX, FolderQueue, Outgoing, receipt_handle};
use crate::happening::Happening;

/// A queue is checked at this interval while a worker waits for a message.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// SQS waits at most this many seconds for a message.
const WAIT_MAX: u64 = 20;
/// A batch with more entries is refused.
const BATCH_MAX: usize = 10;
/// A FIFO queue drops a message with the deduplication id of one that was sent this long ago or less.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>
const DEDUPLICATION: Duration = Duration::from_secs(300);

/// A refused request: SQS's error code, and the reason.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) &'static str, pub(super) String);

impl Refusal {
    /// Returns the code that SQS's older protocol had for this error, which SDKs still show.
    pub(super) fn query_error(&self) -> String {
        let code = match self.0 {
            "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            plain @ ("InvalidParameterValue" | "MissingParameter" | "ReceiptHandleIsInvalid" | "InternalError") => {
                plain.to_owned()
            }
            other => format!("AWS.SimpleQueueService.{other}"),
        };
        format!("{code};Sender")
    }
}

/// A queue of the endpoint.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Its messages are received here.
    Own(usize),
    /// A route takes its messages: they are only sent here.
    Routed(usize),
}

impl Server {
    /// Carries out an operation of SQS. The queues' URLs begin with `url`.
    pub(super) async fn operate(&self, operation: &str, body: &Value, url: &str) -> Result<Value, Refusal> {
        let url_of = |name: &str| format!("{url}/{ACCOUNT}/{name}");
        match operation {
            "ListQueues" => {
                let prefix = body["QueueNamePrefix"].as_str().unwrap_or_default();
                let state = self.state();
                let names = state.queues.iter().chain(&state.routed).map(|queue| queue.queue.name.as_str());
                let mut urls: Vec<String> = names.filter(|name| name.starts_with(prefix)).map(url_of).collect();
                urls.sort();
                return Ok(json!({ "QueueUrls": urls }));
            }
            // Creating a queue that exists returns its URL.
            "GetQueueUrl" | "CreateQueue" => {
                let name = body["QueueName"].as_str().unwrap_or_default();
                self.place(name)?;
                return Ok(json!({ "QueueUrl": url_of(name) }));
            }
            "" => {
                let why = "`dev` knows only SQS's JSON protocol; use a release of the AWS SDK since November 2023";
                return Err(Refusal("UnsupportedOperation", why.to_owned()));
            }
            _ => {}
        }
        let url = body["QueueUrl"].as_str().unwrap_or_default();
        let place = self.place(url.rsplit('/').next().unwrap_or_default())?;
        match operation {
            "ReceiveMessage" => self.receive(own(place)?, body).await,
            "DeleteMessage" => self.delete(own(place)?, body),
            "DeleteMessageBatch" => own(place).and_then(|queue| batch(body, |entry| self.delete(queue, entry))),
            "ChangeMessageVisibility" => self.change_visibility(own(place)?, body),
            "ChangeMessageVisibilityBatch" => {
                own(place).and_then(|queue| batch(body, |entry| self.change_visibility(queue, entry)))
            }
            "SendMessage" => self.send(place, body),
            "SendMessageBatch" => {
                let bodies = body["Entries"].as_array().into_iter().flatten();
                let size: usize = bodies.map(|entry| entry["MessageBody"].as_str().unwrap_or_default().len()).sum();
                if size > BODY_BYTES_MAX {
                    let why = format!("the batch has {size} bytes; SQS accepts at most {BODY_BYTES_MAX}");
                    return Err(Refusal("BatchRequestTooLong", why));
                }
                batch(body, |entry| self.send(place, entry))
            }
            "PurgeQueue" => {
                let purged = self.with(place, FolderQueue::purge);
                purged.map(|()| json!({})).map_err(|error| Refusal("InternalError", error.to_string()))
            }
            "GetQueueAttributes" => Ok(json!({ "Attributes": self.with(place, |queue| attributes(queue)) })),
            other => Err(Refusal("UnsupportedOperation", format!("`dev` does not support the operation `{other}`"))),
        }
    }

    fn place(&self, name: &str) -> Result<Place, Refusal> {
        let state = self.state();
        let position = |queues: &[FolderQueue]| queues.iter().position(|queue| queue.queue.name == name);
        let own = position(&state.queues).map(Place::Own);
        own.or_else(|| position(&state.routed).map(Place::Routed)).ok_or_else(|| {
            let why = format!("the config has no queue `{name}`; name it in a route or under `local: queues:`");
            Refusal("QueueDoesNotExist", why)
        })
    }

    fn with<T>(&self, place: Place, act: impl FnOnce(&mut FolderQueue) -> T) -> T {
        let mut state = self.state();
        match place {
            Place::Own(position) => act(&mut state.queues[position]),
            Place::Routed(position) => act(&mut state.routed[position]),
        }
    }

    async fn receive(&self, queue: usize, body: &Value) -> Result<Value, Refusal> {
        let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1).clamp(1, 10) as usize;
        let timeout = body["VisibilityTimeout"].as_u64().map(Duration::from_secs);
        let wait = Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or(0).min(WAIT_MAX));
        let began = Instant::now();
        loop {
            let (look, name) = {
                let mut state = self.state();
                let queue = &mut state.queues[queue];
                (queue.receive(most, timeout, Instant::now()), queue.queue.name.clone())
            };
            for file in look.dead_lettered {
                self.tell(Happening::DeadLettered { queue: name.clone(), file }).await;
            }
            for (path, reason) in look.refused {
                let reason = format!("cannot receive {}: {reason}", path.display());
                self.tell(Happening::Refused { reason }).await;
            }
            let messages: Vec<Value> =
                look.received.iter().map(|received| message(&received.record, &received.path)).collect();
            if !messages.is_empty() {
                return Ok(json!({ "Messages": messages }));
            }
            if began.elapsed() >= wait {
                return Ok(json!({}));
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn delete(&self, queue: usize, body: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let queue = &mut state.queues[queue];
        // As in SQS, deleting a message that is gone succeeds.
        if let Some(path) = queue.received_by(body["ReceiptHandle"].as_str().unwrap_or_default()) {
            queue.delete(&path).map_err(|error| Refusal("InternalError", error.to_string()))?;
        }
        Ok(json!({}))
    }

    fn change_visibility(&self, queue: usize, body: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let queue = &mut state.queues[queue];
        let path = queue.received_by(body["ReceiptHandle"].as_str().unwrap_or_default());
        let path = path.ok_or_else(|| Refusal("ReceiptHandleIsInvalid", "the message is not in flight".to_owned()))?;
        let timeout = Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(0));
        queue.change_visibility(&path, timeout, Instant::now());
        Ok(json!({}))
    }

    fn send(&self, place: Place, body: &Value) -> Result<Value, Refusal> {
        let message = outgoing(body)?;
        let (name, is_fifo) = self.with(place, |queue| (queue.queue.name.clone(), queue.queue.is_fifo()));
        if is_fifo && message.group.is_none() {
            return Err(Refusal("MissingParameter", "a message of a FIFO queue needs a MessageGroupId".to_owned()));
        }
        let (now, sent_at) = (Instant::now(), Timestamp::now());
        let deduplication = body["MessageDeduplicationId"].as_str().filter(|_| is_fifo).map(|id| (name, id.to_owned()));
        let earlier = deduplication.as_ref().and_then(|id| self.state().sent_before(id, now));
        let is_new = earlier.is_none();
        let id = match earlier {
            Some(id) => id,
            None => self
                .with(place, |queue| queue.send(&message, sent_at))
                .map_err(|error| Refusal("InternalError", error.to_string()))?,
        };
        if is_new {
            self.own.sent();
            if let Some(deduplication) = deduplication {
                self.state().deduplicated.insert(deduplication, (now, id.clone()));
            }
        }
        let mut answer = json!({ "MessageId": id, "MD5OfMessageBody": md5_of(message.body.as_bytes()) });
        if let Some(attributes) = body["MessageAttributes"].as_object().filter(|attributes| !attributes.is_empty()) {
            answer["MD5OfMessageAttributes"] = md5_of(&canonical(attributes)).into();
        }
        if is_fifo {
            answer["SequenceNumber"] = format!("{:020}", sent_at.as_nanosecond()).into();
        }
        Ok(answer)
    }
}

impl super::EndpointState {
    /// Returns the id of the message that was sent with this deduplication id.
    fn sent_before(&mut self, id: &(String, String), now: Instant) -> Option<String> {
        self.deduplicated.retain(|_, (sent, _)| now.duration_since(*sent) <= DEDUPLICATION);
        self.deduplicated.get(id).map(|(_, id)| id.clone())
    }
}

fn own(place: Place) -> Result<usize, Refusal> {
    match place {
        Place::Own(position) => Ok(position),
        Place::Routed(_) => Err(Refusal(
            "UnsupportedOperation",
            "a route takes the messages of this queue, so no program can receive them".to_owned(),
        )),
    }
}

/// Reads a message to be sent.
fn outgoing(body: &Value) -> Result<Outgoing, Refusal> {
    let text = body["MessageBody"].as_str().unwrap_or_default();
    if text.is_empty() {
        return Err(Refusal("MissingParameter", "a message needs a MessageBody that is not empty".to_owned()));
    }
    if text.len() > BODY_BYTES_MAX {
        let why = format!("the message has {} bytes; SQS accepts at most {BODY_BYTES_MAX}", text.len());
        return Err(Refusal("InvalidParameterValue", why));
    }
    let attribute = |(name, value): (&String, &Value)| match value["StringValue"].as_str() {
        Some(text) => Ok((name.clone(), text.to_owned())),
        None => {
            let why = format!("`dev` keeps only text: the message attribute `{name}` has no StringValue");
            Err(Refusal("UnsupportedOperation", why))
        }
    };
    let attributes = body["MessageAttributes"].as_object().into_iter().flatten().map(attribute);
    Ok(Outgoing {
        body: text.to_owned(),
        group: body["MessageGroupId"].as_str().map(str::to_owned),
        attributes: attributes.collect::<Result<_, _>>()?,
    })
}

fn attributes(queue: &FolderQueue) -> Value {
    let depth = queue.depth(Instant::now());
    let mut attributes = json!({
        "QueueArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", queue.queue.name),
        "ApproximateNumberOfMessages": depth.visible.to_string(),
        "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
        "ApproximateNumberOfMessagesDelayed": "0",
    });
    if queue.queue.is_fifo() {
        attributes["FifoQueue"] = "true".into();
    }
    attributes
}

fn message(record: &Record, path: &Path) -> Value {
    let attributes: Map<String, Value> =
        record.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let of_sender: Map<String, Value> = record
        .message_attributes
        .iter()
        .map(|(name, value)| (name.clone(), json!({ "DataType": "String", "StringValue": value })))
        .collect();
    let mut message = json!({
        "MessageId": record.message_id,
        "ReceiptHandle": receipt_handle(path, record.receive_count()),
        "MD5OfBody": md5_of(record.body.as_bytes()),
        "Body": record.body,
        "Attributes": attributes,
    });
    if !of_sender.is_empty() {
        message["MD5OfMessageAttributes"] = md5_of(&canonical(&of_sender)).into();
        message["MessageAttributes"] = Value::Object(of_sender);
    }
    message
}

/// Runs an operation for each entry of a batch.
fn batch(body: &Value, each: impl Fn(&Value) -> Result<Value, Refusal>) -> Result<Value, Refusal> {
    let entries = body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids: HashSet<&str> = entries.iter().filter_map(|entry| entry["Id"].as_str()).collect();
    match entries.len() {
        0 => return Err(Refusal("EmptyBatchRequest", "the batch has no entry".to_owned())),
        more if more > BATCH_MAX => {
            let why = format!("the batch has {more} entries; SQS accepts at most {BATCH_MAX}");
            return Err(Refusal("TooManyEntriesInBatchRequest", why));
        }
        all if all > ids.len() => {
            return Err(Refusal("BatchEntryIdsNotDistinct", "each entry needs an Id of its own".to_owned()));
        }
        _ => {}
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match each(entry) {
            Ok(mut answer) => {
                answer["Id"] = entry["Id"].clone();
                successful.push(answer);
            }
            Err(Refusal(code, message)) => {
                failed.push(json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true }));
            }
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

/// Returns what the digest of message attributes is made of: by name, the length and text of name, type and value.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn canonical(attributes: &Map<String, Value>) -> Vec<u8> {
    /// What stands before a text value; a binary value has 2.
    const TEXT: u8 = 1;
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut bytes = Vec::new();
    let add = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    for (name, value) in sorted {
        add(&mut bytes, name);
        add(&mut bytes, value["DataType"].as_str().unwrap_or_default());
        bytes.push(TEXT);
        add(&mut bytes, value["StringValue"].as_str().unwrap_or_default());
    }
    bytes
}

fn md5_of(bytes: &[u8]) -> String {
    format!("{:x}", Md5::digest(bytes))
}
