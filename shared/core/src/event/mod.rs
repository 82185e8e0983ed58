//! Decode: from a delivered text to one of the events we know, checked once, here.

mod batch;
mod dead_letter;
mod delivery;
mod envelope;
mod event_bridge;
mod fields;
mod firing;
pub mod identity;
mod message;
mod notification;
mod queue;
mod s3;
mod task_state;
mod trace;

use std::sync::Arc;

use jiff::Timestamp;

pub use batch::rows;
pub use delivery::{Delivery, Door, Opened};
pub use envelope::Envelope;
pub use event_bridge::EventBridgeEvent;
pub use firing::{Firing, SCHEDULER_INPUT};
pub use message::{Decoded, MESSAGE_FIELDS, Message, Record, UNSTABLE_ATTRIBUTES};
pub use queue::{Queue, RECEIVES_MIN, SQS_TRIGGER_TIMEOUT_SECONDS, visibility_timeout_min};
pub use s3::{S3_EVENT_SOURCE, S3Change, S3DetailType, S3Event, S3Object};
pub use task_state::{SWEEP_INPUT, TaskStateChange};
pub use trace::TRACE_VARIABLES;

use crate::text::{Node, json};
use identity::Identity;

/// One event, from whatever source.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it comes from, and what only that source tells.
    pub kind: EventKind,
    /// The whole event as a tree: what event patterns match, and what templates see as `event`.
    pub node: Node,
    /// The same as JSON.
    pub text: Arc<str>,
}

/// The closed list of sources.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// EventBridge delivered it, by a rule.
    EventBridge(EventBridgeEvent),
    /// A schedule fired.
    Firing(Firing),
    /// A message of a queue.
    Message(Message),
}

/// Why a text is not an event. None of these gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not JSON.
    #[error("the event is not JSON: {0}")]
    NotJson(#[from] json::SyntaxError),
    /// A message's body begins as JSON does, and is not.
    #[error("the message's body is not JSON: {0}")]
    BodyNotJson(json::SyntaxError),
    /// The text is JSON, but no object.
    #[error("an event is a JSON object, found {found}")]
    NotAnObject {
        /// What was found.
        found: &'static str,
    },
    /// A field that every event of its kind has is not there, or is of another type.
    #[error("the event's `{field}` {problem}")]
    Field {
        /// The field's path, as in `detail.object.key`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is none of the deliveries that the functions know.
    #[error("this is neither an EventBridge event, nor a firing of a schedule, nor a batch of SQS messages")]
    UnknownDelivery,
}

impl Event {
    /// Decodes an event that EventBridge delivers by a rule.
    ///
    /// Values are taken as they are: EventBridge carries object keys raw, and decoding them would corrupt `+` and `%`.
    ///
    /// # Errors
    /// The text is not JSON, or lacks what an event of its kind always has.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        let kind = EventKind::EventBridge(EventBridgeEvent::decode(&node)?);
        Ok(Self { kind, node, text: text.into() })
    }

    /// Returns the event that S3 sends when an object is created; what S3 chooses, such as the time, is made up.
    pub(crate) fn object_created(bucket: &str, key: &str) -> Result<Self, DecodeError> {
        let event = serde_json::json!({
            "version": "0", "id": "00000000-0000-0000-0000-000000000000", "detail-type": "Object Created", "source": "aws.s3",
            "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
            "resources": [format!("arn:aws:s3:::{bucket}")],
            "detail": {
                "version": "0", "bucket": { "name": bucket }, "reason": "PutObject",
                "object": { "key": key, "size": 1, "etag": "0", "sequencer": "0" },
            },
        });
        Self::decode(&event.to_string())
    }

    /// The event's id, for people: EventBridge's, or SQS's message id, or schedule and time.
    pub fn id(&self) -> String {
        match &self.kind {
            EventKind::EventBridge(event) => event.envelope.id.clone(),
            EventKind::Firing(firing) => firing.to_string(),
            EventKind::Message(message) => message.id().to_owned(),
        }
    }

    /// What a repeated delivery of the same event shares.
    pub fn identity(&self) -> Identity {
        match &self.kind {
            EventKind::EventBridge(event) => event.identity(),
            EventKind::Firing(firing) => firing.identity(),
            EventKind::Message(message) => message.identity(),
        }
    }

    /// The day on which it happened, in UTC: `2026-01-31`. A repeated delivery shares it.
    ///
    /// [?] S3 does not say that a notification which it sends twice bears one time. Only if it bore two, on both sides of midnight,
    /// and came after the client token's life, would the ledger take it for another event.
    pub fn date(&self) -> String {
        self.time().unwrap_or_default().strftime("%Y-%m-%d").to_string()
    }

    /// When it happened, if it tells.
    pub fn time(&self) -> Option<Timestamp> {
        match &self.kind {
            EventKind::EventBridge(event) => event.time(),
            EventKind::Firing(firing) => Some(firing.scheduled_time),
            EventKind::Message(message) => message.event.as_ref().map_or(message.sent, EventBridgeEvent::time),
        }
    }

    /// S3's own event about an object, if it is one.
    pub fn s3(&self) -> Option<&S3Event> {
        self.event_bridge().and_then(|event| event.s3.as_ref())
    }

    /// The event of EventBridge's form that this is or that a message holds.
    pub fn event_bridge(&self) -> Option<&EventBridgeEvent> {
        match &self.kind {
            EventKind::EventBridge(event) => Some(event),
            EventKind::Message(message) => message.event.as_ref(),
            EventKind::Firing(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
