//! The *decode* step: turns a delivered text into an event and checks it, once, here.

mod batch;
mod changed;
mod dead_letter;
mod delivery;
mod envelope;
mod event_bridge;
mod fields;
mod firing;
pub mod identity;
mod message;
mod notification;
mod opened;
mod queue;
mod s3;
mod task_state;
mod trace;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use batch::rows;
pub use changed::{Change, ChangeError};
pub use dead_letter::RedrivenLaunch;
pub use delivery::{Delivery, Door, work_message};
pub use envelope::Envelope;
pub use event_bridge::EventBridgeEvent;
pub use firing::{Firing, SCHEDULER_INPUT};
pub use message::{Decoded, MESSAGE_FIELDS, Message, Record, UNSTABLE_ATTRIBUTES};
pub use notification::Ignored;
pub use opened::Opened;
pub use queue::{Queue, RECEIVES_MIN, SQS_TRIGGER_TIMEOUT_SECONDS, visibility_timeout_min};
pub(crate) use s3::sequencer;
pub use s3::{S3_EVENT_SOURCE, S3Change, S3DetailType, S3Event, S3Object};
pub use task_state::{SWEEP_INPUT, TaskStateChange};
pub use trace::TRACE_VARIABLES;

use crate::text::{Node, json};
use identity::Identity;

/// An event, whatever its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The source, with the data that only this source has.
    pub kind: EventKind,
    /// The whole event as a tree. Event patterns match it, and templates see it as `event`.
    pub node: Node,
    /// The whole event as JSON.
    pub text: Arc<str>,
}

/// The kinds of events, one for each kind of event source.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// An event that an EventBridge rule delivered.
    EventBridge(Box<EventBridgeEvent>),
    /// A firing of a schedule.
    Firing(Firing),
    /// A message of a queue.
    Message(Box<Message>),
}

/// Why a text is not an event. A retry never helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not JSON.
    #[error("the event is not JSON: {0}")]
    NotJson(#[from] json::SyntaxError),
    /// A message's body begins with `{` but is not JSON.
    #[error("the message's body begins with `{{` but is not JSON: {0}")]
    BodyNotJson(json::SyntaxError),
    /// The text is JSON, but not an object.
    #[error("the event must be a JSON object, found {found}")]
    NotAnObject {
        /// The type that was found, such as `a list`.
        found: &'static str,
    },
    /// A field is missing, or its value is not valid.
    #[error("the event's `{field}` {problem}")]
    Field {
        /// The field's path, as in `detail.object.key`.
        field: String,
        /// What is wrong with it, such as `is missing`.
        problem: String,
    },
    /// The text is a JSON object, but none of the deliveries that a function accepts.
    #[error(
        "the input is not an EventBridge event, a firing of a schedule or a batch of SQS messages; an EventBridge event \
         has `source`, `detail-type` and `detail`; the body of a message needs `--queue QUEUE`, or `message:` in a test"
    )]
    UnknownDelivery,
    /// A function gets such a text only as the body of a message.
    #[error(
        "the input is {0}, which reaches a function only as the body of a message; give its queue with `--queue QUEUE`, \
         or write it under `message:` in a test"
    )]
    OnlyInMessages(
        /// What the text is, such as `an S3 notification`.
        &'static str,
    ),
}

impl Event {
    /// Decodes an event that an EventBridge rule delivered.
    ///
    /// Values are taken unchanged: EventBridge does not encode object keys, so decoding them would corrupt `+` and `%`.
    ///
    /// # Errors
    /// The text is not JSON, or it lacks a field that every event of its kind has.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        let kind = EventKind::EventBridge(Box::new(EventBridgeEvent::decode(&node)?));
        Ok(Self { kind, node, text: text.into() })
    }

    /// Decodes the copy of an event in a launch record or a dead letter: the event's own JSON, [`Self::text`].
    ///
    /// The copy of a message lacks what only its delivery had: the envelope of SNS, and S3's notification as S3 wrote
    /// it. So identity and `notification` may differ from those of the delivered event.
    ///
    /// # Errors
    /// The text is not an event's JSON.
    pub fn decode_copy(text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        let kind = if node.get("detail-type").is_some() {
            EventKind::EventBridge(Box::new(EventBridgeEvent::decode(&node)?))
        } else if node.get("schedule_arn").is_some() {
            let input = node.get("input").cloned();
            return Ok(Firing::decode(&node)?.into_event_with(input));
        } else {
            EventKind::Message(Box::new(Message::decode_copy(&node)?))
        };
        Ok(Self { kind, node, text: text.into() })
    }

    /// Returns an event like the one that S3 sends when an object is created. Values that S3 would choose, such as the
    /// time, are made up.
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

    /// Returns the event's id for people: EventBridge's event id, SQS's message id, or the schedule and the time.
    pub fn id(&self) -> String {
        match &self.kind {
            EventKind::EventBridge(event) => event.envelope.id.clone(),
            EventKind::Firing(firing) => firing.to_string(),
            EventKind::Message(message) => message.id().to_owned(),
        }
    }

    /// Returns what every delivery of the same event shares.
    pub fn identity(&self) -> Identity {
        match &self.kind {
            EventKind::EventBridge(event) => event.identity(),
            EventKind::Firing(firing) => firing.identity(),
            EventKind::Message(message) => message.identity(),
        }
    }

    /// Returns the day on which the event happened, in UTC: `2026-01-31`. Every delivery of the event has the same day.
    ///
    /// [?] S3 does not document that a notification has the same time when it is sent twice. The ledger would take the
    /// second one for another event if the two times were on different days and the second came after the client
    /// token's lifetime.
    pub fn date(&self) -> String {
        self.time().unwrap_or_default().to_zoned(TimeZone::UTC).date().to_string()
    }

    /// Returns when the event happened, if the event contains a valid time.
    pub fn time(&self) -> Option<Timestamp> {
        match &self.kind {
            EventKind::EventBridge(event) => event.time(),
            EventKind::Firing(firing) => Some(firing.scheduled_time),
            EventKind::Message(message) => message.event.as_ref().map_or(message.sent, EventBridgeEvent::time),
        }
    }

    /// Returns S3's own data about an object, if S3 sent the event.
    pub fn s3(&self) -> Option<&S3Event> {
        self.event_bridge().and_then(|event| event.s3.as_ref())
    }

    /// Returns the name of the replay if the event was replayed from an EventBridge archive. A replayed event keeps its
    /// id, so it has the identity of the event that was archived.
    /// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>
    pub fn replay_name(&self) -> Option<&str> {
        let event = match &self.kind {
            EventKind::EventBridge(_) => &self.node,
            EventKind::Message(message) if message.event.is_some() => self.node.get("body")?,
            EventKind::Message(_) | EventKind::Firing(_) => return None,
        };
        event.get("replay-name")?.as_str()
    }

    /// Returns the event in EventBridge's format: this event itself, or the one in the message's body.
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
