//! Deliveries: decides once, here, what a function was invoked with.

use super::dead_letter;
use super::identity::LaunchKey;
use super::message::{self, Record};
use super::opened::Opened;
use super::{DecodeError, Event, EventBridgeEvent, EventKind, Firing, TaskStateChange};
use crate::text::{Kind, Node, json};

/// What invokes a function. It determines which deliveries the function accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// An EventBridge rule: one event.
    EventBridge,
    /// EventBridge Scheduler, or a rule with a schedule: one firing.
    Schedule,
    /// An event source mapping of SQS: a batch of messages.
    Queue,
    /// The rule for stopped tasks, or the sweep's schedule: a state change, or the sweep.
    TaskLifecycle,
    /// A tool: the shape of the text decides.
    Any,
}

/// What a function was invoked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// One event, from EventBridge or from a schedule.
    Event(Box<Event>),
    /// A batch of messages.
    Batch(Vec<Record>),
    /// The dead letter of a launch in the ledger, delivered again: the launch continues.
    Redrive(LaunchKey),
    /// A change of a task's state.
    StateChange(TaskStateChange),
    /// The sweep, which resumes what is due.
    Sweep,
}

impl Delivery {
    /// Decodes what a function was invoked with.
    pub fn open(door: Door, text: &str) -> Opened<'_, Self> {
        // Only functions have Lambda's records in their dead-letter queue: in any other queue they are somebody else's messages.
        let text = dead_letter::failed_invocation(text).unwrap_or(text);
        Opened::new(text, Self::Redrive, |text| Self::decode(door, text))
    }

    fn decode(door: Door, text: &str) -> Result<Self, DecodeError> {
        let node = json::parse(text)?;
        match door {
            Door::EventBridge => event(node, text),
            Door::Schedule => firing(&node),
            Door::Queue => message::records(&node).map(Self::Batch),
            Door::TaskLifecycle if is_sweep(&node) => Ok(Self::Sweep),
            Door::TaskLifecycle => TaskStateChange::decode(&node).map(Self::StateChange),
            Door::Any => by_shape(node, text),
        }
    }
}

/// Decodes a delivery by its shape. A rule's "Scheduled Event" counts as an EventBridge event, because only a config
/// says whether a route has its schedule.
fn by_shape(node: Node, text: &str) -> Result<Delivery, DecodeError> {
    if !matches!(node.kind, Kind::Object(_)) {
        return Err(DecodeError::NotAnObject { found: node.description() });
    }
    if node.get("Records").is_some() {
        return message::records(&node).map(Delivery::Batch);
    }
    if node.get("schedule_arn").is_some() {
        return firing(&node);
    }
    // An incomplete event gets an error that names the missing field.
    match ["detail-type", "detail", "source"].iter().any(|field| node.get(field).is_some()) {
        true => event(node, text),
        false => Err(DecodeError::UnknownDelivery),
    }
}

fn event(node: Node, text: &str) -> Result<Delivery, DecodeError> {
    let kind = EventKind::EventBridge(EventBridgeEvent::decode(&node)?);
    Ok(Delivery::Event(Box::new(Event { kind, node, text: text.into() })))
}

fn firing(node: &Node) -> Result<Delivery, DecodeError> {
    Ok(Delivery::Event(Box::new(Firing::decode(node)?.into_event())))
}

/// Returns whether this is the input of the sweep's schedule, or the event of a rule with a schedule.
fn is_sweep(node: &Node) -> bool {
    node.get("sweep").is_some() || node.get("detail-type").and_then(Node::as_str) == Some("Scheduled Event")
}
