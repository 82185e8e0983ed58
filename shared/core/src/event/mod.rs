//! Decode: from a delivered text to one of the events we know, checked once, here.

mod envelope;
mod fields;
mod s3;

use std::sync::Arc;

pub use envelope::Envelope;
pub use s3::{S3_EVENT_SOURCE, S3Change, S3DetailType, S3Event, S3Object};

use crate::document::{Node, json};
use crate::identity::Identity;
use fields::Fields;

/// One event, as EventBridge delivers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What every event has.
    pub envelope: Envelope,
    /// What kind of event it is.
    pub kind: EventKind,
    /// The whole event as a tree.
    pub node: Node,
    /// The whole event as it was delivered.
    pub text: Arc<str>,
}

/// The closed list of events that are told apart.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// Amazon S3's own events about an object.
    S3(S3Event),
    /// Any other event: its `detail` is a JSON object of the sender's making.
    Other,
}

/// Why a text is not an event. None of these gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not JSON.
    #[error("the event is not JSON: {0}")]
    NotJson(#[from] json::SyntaxError),
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
}

impl Event {
    /// Decodes an EventBridge event.
    ///
    /// Values are taken as they are: EventBridge carries object keys raw, and decoding them would corrupt `+` and `%`.
    ///
    /// # Errors
    /// The text is not JSON, or lacks what an event of its kind always has.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        let event = Fields::root(&node)?;
        let envelope = Envelope::decode(&event)?;
        let kind = match S3DetailType::of(&envelope) {
            Some(detail_type) => EventKind::S3(S3Event::decode(detail_type, &event.object("detail")?)?),
            None => {
                event.object("detail")?;
                EventKind::Other
            }
        };
        Ok(Self { envelope, kind, node, text: text.into() })
    }

    /// What a repeated delivery of the same event shares.
    pub fn identity(&self) -> Identity {
        match &self.kind {
            EventKind::S3(event) => event.identity(&self.envelope),
            EventKind::Other => Identity::new(["event", &self.envelope.source, &self.envelope.id]),
        }
    }
}

#[cfg(test)]
mod tests;
