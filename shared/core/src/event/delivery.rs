//! What a function is invoked with. A function is behind one source; tools tell the source by the shape.

use super::message::{self, Record};
use super::{DecodeError, Event, EventBridgeEvent, EventKind, Firing};
use crate::text::{Kind, Node, json};

/// What a function is invoked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// One event: of EventBridge, or of a schedule.
    Event(Box<Event>),
    /// A batch of messages.
    Batch(Vec<Record>),
}

impl Delivery {
    /// Decodes a delivery of any source. A rule's "Scheduled Event" is taken for an event of EventBridge.
    ///
    /// # Errors
    /// The text is none, or lacks what a delivery of its kind always has.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        if !matches!(node.kind, Kind::Object(_)) {
            return Err(DecodeError::NotAnObject { found: node.description() });
        }
        if node.get("Records").is_some() {
            return message::records(&node).map(Self::Batch);
        }
        if node.get("schedule_arn").is_some() {
            return Ok(Self::Event(Box::new(Firing::of(&node)?.into_event())));
        }
        // What nearly is an event is told what it lacks.
        if !["detail-type", "detail", "source"].iter().any(|field| node.get(field).is_some()) {
            return Err(DecodeError::UnknownDelivery);
        }
        let kind = EventKind::EventBridge(EventBridgeEvent::decode(&node)?);
        Ok(Self::Event(Box::new(Event { kind, node, text: text.into() })))
    }

    /// Decodes a batch of messages as Lambda delivers it.
    ///
    /// # Errors
    /// The text is none: it names no message that could be sent back alone.
    pub fn batch(text: &str) -> Result<Vec<Record>, DecodeError> {
        let node: Node = json::parse(text)?;
        message::records(&node)
    }
}
