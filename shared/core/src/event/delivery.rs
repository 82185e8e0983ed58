//! Deliveries: decides once, here, what a function was invoked with.

use super::dead_letter::RedrivenLaunch;
use super::identity::LaunchKey;
use super::message::{self, Decoded, Record};
use super::opened::Opened;
use super::{DecodeError, Event, EventBridgeEvent, EventKind, Firing, TaskStateChange};
use super::{dead_letter, notification};
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
    /// The rule for stopped tasks, the work queue, or the sweep's schedule: a state change, work, or the sweep.
    TaskLifecycle,
}

impl Door {
    /// The doors of the functions that start tasks.
    const OF_EVENTS: [Self; 3] = [Self::EventBridge, Self::Schedule, Self::Queue];
}

/// What a function was invoked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// One event, from EventBridge or from a schedule.
    Event(Box<Event>),
    /// A batch of messages.
    Batch(Vec<Record>),
    /// The dead letter of a launch in the ledger, delivered again: the launch continues.
    Redrive(RedrivenLaunch),
    /// A change of a task's state.
    StateChange(TaskStateChange),
    /// Launches to continue, from the work queue.
    Work(Vec<LaunchKey>),
    /// The sweep, which resumes what is due.
    Sweep,
}

impl Delivery {
    /// Decodes what a function was invoked with.
    pub fn open(door: Door, text: &str) -> Opened<'_, Self> {
        Self::opened(text, |text| Self::decode(door, json::parse(text)?, text))
    }

    /// Decodes what some function that starts tasks would accept, for a tool that has only the text. `has_schedule`
    /// tells whether the route of this name is on a schedule: only a config says whose firing a rule's "Scheduled
    /// Event" is.
    ///
    /// Whatever one of these functions accepts is decoded as that function decodes it.
    pub fn open_any(text: &str, has_schedule: impl Fn(&str) -> bool) -> Opened<'_, Self> {
        Self::opened(text, |text| Self::decode_any(&json::parse(text)?, text, &has_schedule))
    }

    fn opened(text: &str, decode: impl Fn(&str) -> Result<Self, DecodeError>) -> Opened<'_, Self> {
        // Only functions have Lambda's records in their dead-letter queue: in any other queue they are somebody else's messages.
        let text = dead_letter::failed_invocation(text).unwrap_or(text);
        Opened::new(text, Self::Redrive, decode)
    }

    fn decode(door: Door, node: Node, text: &str) -> Result<Self, DecodeError> {
        match door {
            Door::EventBridge => event(node, text),
            Door::Schedule => firing(&node),
            Door::Queue => message::records(&node).map(Self::Batch),
            Door::TaskLifecycle if is_sweep(&node) => Ok(Self::Sweep),
            Door::TaskLifecycle if node.get("Records").is_some() => work(&node).map(Self::Work),
            Door::TaskLifecycle => TaskStateChange::decode(&node).map(Self::StateChange),
        }
    }

    fn decode_any(node: &Node, text: &str, has_schedule: &impl Fn(&str) -> bool) -> Result<Self, DecodeError> {
        if !matches!(node.kind, Kind::Object(_)) {
            return Err(DecodeError::NotAnObject { found: node.description() });
        }
        let nearest = nearest_door(node, has_schedule);
        let mut refused = None;
        for door in nearest.into_iter().chain(Door::OF_EVENTS) {
            match Self::decode(door, node.clone(), text) {
                Ok(delivery) => return Ok(delivery),
                Err(error) => refused = refused.or(nearest.map(|_| error)),
            }
        }
        let unknown = || refused.unwrap_or(DecodeError::UnknownDelivery);
        Err(notification::only_in_messages(node).map_or_else(unknown, DecodeError::OnlyInMessages))
    }

    /// Returns what there is to handle, for a tool: an event, or the content of each message with the message's id.
    pub fn contents(self) -> Vec<(Option<String>, Result<Decoded, DecodeError>)> {
        match self {
            Self::Event(event) => vec![(None, Ok(Decoded::Events(vec![*event])))],
            Self::Batch(records) => {
                let content = |record: &Record| (Some(record.message_id.clone()), record.open().content);
                records.iter().map(content).collect()
            }
            Self::Redrive(launch) => vec![(None, Ok(Decoded::Redrive(launch)))],
            Self::StateChange(_) | Self::Work(_) | Self::Sweep => vec![(None, Err(DecodeError::UnknownDelivery))],
        }
    }
}

/// Returns the door that a text is probably for. Its error says what the text lacks, such as the one field that an
/// event does not have.
fn nearest_door(node: &Node, has_schedule: &impl Fn(&str) -> bool) -> Option<Door> {
    let has_one_of = |fields: &[&str]| fields.iter().any(|field| node.get(field).is_some());
    if has_one_of(&["Records"]) {
        return Some(Door::Queue);
    }
    if has_one_of(&["schedule_arn", "scheduled_time"]) || Firing::decode(node).is_ok_and(|it| has_schedule(&it.route)) {
        return Some(Door::Schedule);
    }
    has_one_of(&["detail-type", "detail", "source"]).then_some(Door::EventBridge)
}

fn event(node: Node, text: &str) -> Result<Delivery, DecodeError> {
    let kind = EventKind::EventBridge(Box::new(EventBridgeEvent::decode(&node)?));
    Ok(Delivery::Event(Box::new(Event { kind, node, text: text.into() })))
}

fn firing(node: &Node) -> Result<Delivery, DecodeError> {
    Ok(Delivery::Event(Box::new(Firing::decode(node)?.into_event())))
}

/// Returns the launches that the messages of the work queue name.
fn work(node: &Node) -> Result<Vec<LaunchKey>, DecodeError> {
    let records = message::records(node)?;
    let mut launches = Vec::new();
    for record in &records {
        let body = json::parse(&record.body)?;
        let Some(Kind::Array(listed)) = body.get(WORK_FIELD).map(|listed| &listed.kind) else {
            return Err(DecodeError::UnknownDelivery);
        };
        launches.extend(listed.iter().filter_map(Node::as_str).filter_map(LaunchKey::parse));
    }
    Ok(launches)
}

/// Returns the message of the work queue that names launches.
pub fn work_message(launches: &[LaunchKey]) -> String {
    let launches: Vec<String> = launches.iter().map(LaunchKey::to_string).collect();
    serde_json::json!({ WORK_FIELD: launches }).to_string()
}

/// The field of a message of the work queue that names the launches.
const WORK_FIELD: &str = "continue";

/// Returns whether this is the input of the sweep's schedule, or the event of a rule with a schedule.
fn is_sweep(node: &Node) -> bool {
    node.get("sweep").is_some() || node.get("detail-type").and_then(Node::as_str) == Some("Scheduled Event")
}
