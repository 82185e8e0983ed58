//! A message of an SQS queue, whatever its body holds.

use jiff::Timestamp;

use super::delivery::Opened;
use super::fields::Fields;
use super::identity::{Identity, LaunchKey};
use super::notification::{self, Content};
use super::{DecodeError, Event, EventBridgeEvent, EventKind, Queue};
use crate::text::{Kind, Node, json};

/// Attributes that differ between two deliveries of one message. No template sees them: a request that is made of them would
/// not be the same request at the next delivery.
pub const UNSTABLE_ATTRIBUTES: [&str; 2] = ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"];

/// The fields of a message that is decoded, each where the message has it: what patterns match, and what templates see.
pub const MESSAGE_FIELDS: &[&str] = &["body", "queue", "message_id", "group_id", "attributes", "message_attributes"];

/// A message as SQS delivers it, before its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// SQS's id, the same at every delivery.
    pub message_id: String,
    /// The queue.
    pub queue: Queue,
    /// The body.
    pub body: String,
    /// SQS's attributes of the message, such as `SentTimestamp` and `MessageGroupId`.
    pub attributes: Vec<(String, String)>,
    /// The sender's attributes, each with its text; binary ones as base64.
    pub message_attributes: Vec<(String, String)>,
    /// What is wrong with the record itself.
    pub unreadable: Option<DecodeError>,
}

impl Record {
    /// Decodes the message, taken out of the dead letter that its body may be.
    pub fn open(&self) -> Opened<'_, Decoded> {
        Opened::new(&self.body, Decoded::Redrive, |body| Message::decode(self, body))
    }

    /// The message group of a FIFO queue, within which order is kept. (On a standard queue a group orders nothing.)
    pub fn group(&self) -> Option<&str> {
        self.attribute("MessageGroupId").filter(|_| self.queue.is_fifo())
    }

    /// How often the message was received, this time included.
    pub fn receive_count(&self) -> u32 {
        self.attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// When it was sent: the same at every delivery.
    pub fn sent(&self) -> Option<Timestamp> {
        self.attribute("SentTimestamp").and_then(|sent| Timestamp::from_millisecond(sent.parse().ok()?).ok())
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A message, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The queue.
    pub queue: Queue,
    /// SQS's id of the message.
    pub message_id: String,
    /// Its message group.
    pub group_id: Option<String>,
    /// SNS's topic and message id, where SNS wrapped it: the same even if SNS sends it to the queue twice.
    pub sns: Option<(String, String)>,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// The event that the body holds: EventBridge's, or one record of an S3 notification.
    pub event: Option<EventBridgeEvent>,
}

/// What a message comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// Its events: one, or one for each record of an S3 notification.
    Events(Vec<Event>),
    /// S3 tests a new notification configuration: nothing has happened.
    TestEvent,
    /// The dead letter of a launch in the ledger, sent again: the launch goes on.
    Redrive(LaunchKey),
}

impl Decoded {
    /// Returns the events: none for a test event or a dead letter.
    pub fn events(self) -> Vec<Event> {
        match self {
            Self::Events(events) => events,
            Self::TestEvent | Self::Redrive(_) => Vec::new(),
        }
    }
}

impl Message {
    /// Reads a message: plain text, JSON, an event of EventBridge, a notification of S3, each also in an envelope of SNS.
    ///
    /// A body that begins with `{` must be JSON; one that begins with `[` or `"` is JSON if it can be read as such. An S3
    /// notification makes an event of EventBridge's form of each of its records, the keys decoded.
    ///
    /// # Errors
    /// The body is not what it seems to be.
    fn decode(record: &Record, text: &str) -> Result<Decoded, DecodeError> {
        if let Some(error) = &record.unreadable {
            return Err(error.clone());
        }
        let mut message = Self {
            queue: record.queue.clone(),
            message_id: record.message_id.clone(),
            group_id: record.attribute("MessageGroupId").map(str::to_owned),
            sns: None,
            sent: record.sent(),
            event: None,
        };
        let mut attributes = record.message_attributes.clone();
        let mut body = body(text)?;
        if let Some(envelope) = notification::sns(&body)? {
            message.sns = Some((envelope.topic_arn, envelope.message_id));
            attributes.extend(envelope.attributes);
            body = self::body(&envelope.message)?;
        }
        let own_id = message.sns.as_ref().map_or(&message.message_id, |(_, id)| id);
        let bodies = match notification::content(&body, own_id)? {
            Content::TestEvent => return Ok(Decoded::TestEvent),
            Content::Plain => vec![(None, body)],
            Content::Event(event) => vec![(Some(*event), body)],
            Content::S3Records(records) => records.into_iter().map(|(event, body)| (Some(event), body)).collect(),
        };
        let event = |(event, body)| Self { event, ..message.clone() }.into_event(body, record, &attributes);
        Ok(Decoded::Events(bodies.into_iter().map(event).collect()))
    }

    fn into_event(self, body: Node, record: &Record, message_attributes: &[(String, String)]) -> Event {
        let texts = |pairs: &mut dyn Iterator<Item = &(String, String)>| {
            Node::object(pairs.map(|(name, value)| (name.as_str(), Node::string(value))))
        };
        let stable = |(name, _): &&(String, String)| !UNSTABLE_ATTRIBUTES.contains(&name.as_str());
        let mut fields = vec![
            ("queue", Node::string(&self.queue.name)),
            ("message_id", Node::string(&self.message_id)),
            ("attributes", texts(&mut record.attributes.iter().filter(stable))),
            ("message_attributes", texts(&mut message_attributes.iter())),
            ("body", body),
        ];
        fields.extend(self.group_id.as_deref().map(|group| ("group_id", Node::string(group))));
        let node = Node::object(fields);
        let text = json::write(&node).into();
        Event { kind: EventKind::Message(self), node, text }
    }

    pub(super) fn id(&self) -> &str {
        self.event.as_ref().map_or(&self.message_id, |event| &event.envelope.id)
    }

    /// That of S3's or EventBridge's event in it; else SNS's id of the message, or SQS's. (Two messages of the same content
    /// are two. What only looks like an event, with an id that EventBridge does not make, is a message like others.)
    pub(super) fn identity(&self) -> Identity {
        let event = match &self.event {
            Some(event) if event.s3.is_some() || is_uuid(&event.envelope.id) => return event.identity(),
            Some(event) => Some(event.envelope.id.as_str()),
            None => None,
        };
        let message = match &self.sns {
            Some((topic_arn, message_id)) => ["sns", topic_arn, message_id],
            None => ["message", &self.queue.name, &self.message_id],
        };
        Identity::new(message.into_iter().chain(event))
    }
}

/// A body as a value: JSON where it begins like it, else text. Numbers and words stay the texts they are.
fn body(text: &str) -> Result<Node, DecodeError> {
    let body = match text.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'{') => json::parse(text).map_err(DecodeError::BodyNotJson)?,
        // Other texts begin so as well: `[INFO] ...`, `"Quoted" ...`.
        Some(b'[' | b'"') => {
            let parsed = json::parse(text).ok().filter(|body| depth(body) <= BODY_DEPTH_MAX);
            parsed.unwrap_or_else(|| Node::string(text))
        }
        _ => Node::string(text),
    };
    if depth(&body) > BODY_DEPTH_MAX {
        let field = "body".to_owned();
        return Err(DecodeError::Field { field, problem: format!("is nested deeper than {BODY_DEPTH_MAX} levels") });
    }
    Ok(body)
}

/// How deep a body may nest: around it, the event has some levels of its own.
const BODY_DEPTH_MAX: usize = json::DEPTH_MAX - 8;

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Kind::Object(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether an id has the form of those that EventBridge makes.
fn is_uuid(id: &str) -> bool {
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Reads a batch as Lambda delivers it: `{"Records": [...]}`.
pub(super) fn records(node: &Node) -> Result<Vec<Record>, DecodeError> {
    Fields::root(node)?.objects("Records")?.iter().map(record).collect()
}

/// A record of which nothing but its id has to be right: what else is wrong is told when it is decoded, so that it goes back
/// alone.
fn record(fields: &Fields<'_>) -> Result<Record, DecodeError> {
    let source = fields.optional_string("eventSource")?;
    if let Some(source) = source.filter(|source| source != "aws:sqs") {
        let problem =
            format!("is `{source}`; this takes messages of SQS (S3's events come by EventBridge or by a queue)");
        return Err(fields.error("eventSource", problem));
    }
    let message_id = fields.string("messageId")?;
    let mut unreadable = None;
    let queue = or_note(queue_of(fields), &mut unreadable).unwrap_or_else(|| Queue::new("", None, None));
    let attribute = |value: &Node| value.as_str().map(str::to_owned);
    let attributes = or_note(fields.texts("attributes", attribute), &mut unreadable).unwrap_or_default();
    let value = |value: &Node| ["stringValue", "binaryValue"].iter().find_map(|name| attribute(value.get(name)?));
    let message_attributes = or_note(fields.texts("messageAttributes", value), &mut unreadable).unwrap_or_default();
    let body = or_note(fields.string("body"), &mut unreadable).unwrap_or_default();
    Ok(Record { message_id, queue, body, attributes, message_attributes, unreadable })
}

fn queue_of(fields: &Fields<'_>) -> Result<Queue, DecodeError> {
    let arn = fields.string("eventSourceARN")?;
    let error = || fields.error("eventSourceARN", format!("must be the ARN of a queue, found `{arn}`"));
    Queue::parse(&arn).ok_or_else(error)
}

fn or_note<T>(result: Result<T, DecodeError>, unreadable: &mut Option<DecodeError>) -> Option<T> {
    result.map_err(|error| unreadable.get_or_insert(error).clone()).ok()
}

impl Fields<'_> {
    /// An object's entries, each with the text that `text` finds in its value.
    fn texts(&self, name: &str, text: impl Fn(&Node) -> Option<String>) -> Result<Vec<(String, String)>, DecodeError> {
        let Some(entries) = self.optional_entries(name)? else { return Ok(Vec::new()) };
        let pair = |entry: &crate::text::Entry| match (text(&entry.value), &entry.value.kind) {
            (Some(text), _) => Some(Ok((entry.key.value.clone(), text))),
            // An attribute without a value, as lists are delivered.
            (None, Kind::Object(_) | Kind::Null) => None,
            (None, _) => Some(Err(self.error(&format!("{name}.{}", entry.key.value), "must be a text".to_owned()))),
        };
        entries.iter().filter_map(pair).collect()
    }
}

#[cfg(test)]
mod tests;
