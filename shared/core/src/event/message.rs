//! Messages of SQS queues: their records, their bodies, and the events in them.

use std::sync::Arc;

use jiff::Timestamp;

use super::dead_letter::RedrivenLaunch;
use super::fields::Fields;
use super::identity::Identity;
use super::notification::{self, Content, Ignored, S3Record};
use super::opened::Opened;
use super::{DecodeError, Event, EventBridgeEvent, EventKind, Queue};
use crate::text::{Kind, Node, json};

/// Attributes that differ between two deliveries of one message. Templates do not see them, because the next delivery
/// would then make a different request.
pub const UNSTABLE_ATTRIBUTES: [&str; 2] = ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"];

/// The fields of a decoded message that patterns match and templates see. A message lacks the ones that it has no value
/// for.
pub const MESSAGE_FIELDS: &[&str] = &["body", "queue", "message_id", "group_id", "attributes", "message_attributes"];

/// A record of a batch: a message as SQS delivers it, before its body is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// SQS's message id, the same at every delivery.
    pub message_id: String,
    /// The queue.
    pub queue: Queue,
    /// The body.
    pub body: String,
    /// The attributes that SQS sets, such as `SentTimestamp` and `MessageGroupId`.
    pub attributes: Vec<(String, String)>,
    /// The attributes that the sender set, each with its value as a text. Binary values are in base64.
    pub message_attributes: Vec<(String, String)>,
    /// What is wrong with the record, if it cannot be read.
    pub unreadable: Option<DecodeError>,
}

impl Record {
    /// Decodes the message. If its body is a dead letter, decodes the event in that letter instead.
    pub fn open(&self) -> Opened<'_, Decoded> {
        Opened::new(&self.body, Decoded::Redrive, |body| Message::decode(self, body))
    }

    /// Returns the message group of a FIFO queue, within which messages keep their order. (A group does not order the
    /// messages of a standard queue.)
    pub fn group(&self) -> Option<&str> {
        self.attribute("MessageGroupId").filter(|_| self.queue.is_fifo())
    }

    /// Returns how often the message was received, including this time.
    pub fn receive_count(&self) -> u32 {
        self.attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// Returns when the message was sent, the same at every delivery.
    pub fn sent(&self) -> Option<Timestamp> {
        self.attribute("SentTimestamp").and_then(|sent| Timestamp::from_millisecond(sent.parse().ok()?).ok())
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A decoded message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The queue.
    pub queue: Queue,
    /// SQS's message id.
    pub message_id: String,
    /// The message group, if the message has one.
    pub group_id: Option<String>,
    /// The topic's ARN and SNS's message id, if SNS wrapped the message. They are the same even if SNS sends the
    /// message to the queue twice.
    pub sns: Option<(String, String)>,
    /// When the message was sent, or published if SNS wrapped it.
    pub sent: Option<Timestamp>,
    /// The event in the body: EventBridge's, or one record of an S3 notification.
    pub event: Option<EventBridgeEvent>,
    /// The S3 notification with only this event's record, as S3 wrote it: `{"Records":[...]}` with its key encoded.
    /// Programs that read S3's notifications parse it.
    pub notification: Option<Arc<str>>,
}

/// The result of decoding a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// The message's events: one, or one for each record of an S3 notification.
    Events(Vec<Event>),
    /// A message of S3 or SNS about itself, which starts nothing.
    Ignored(Ignored),
    /// The dead letter of a launch in the ledger, delivered again: the launch continues.
    Redrive(RedrivenLaunch),
}

#[cfg(test)]
impl Decoded {
    /// Returns the events of a message that has some.
    pub(crate) fn events(self) -> Vec<Event> {
        match self {
            Self::Events(events) => events,
            other => panic!("is not an event: {other:?}"),
        }
    }
}

impl Message {
    /// Decodes a message: plain text, JSON, an EventBridge event or an S3 notification, each also in an SNS envelope.
    ///
    /// A body that begins with `{` must be JSON. One that begins with `[` or `"` is JSON if it can be parsed as such,
    /// and text otherwise. A byte order mark before JSON is left out. Each record of an S3 notification becomes an
    /// event in EventBridge's format, with its key decoded.
    ///
    /// # Errors
    /// The record cannot be read, or its body begins with `{` but is not JSON, or the event in the body is not valid.
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
            notification: None,
        };
        let mut attributes = record.message_attributes.clone();
        let mut body = body(text)?;
        if let Some(ignored) = notification::ignored(&body) {
            return Ok(Decoded::Ignored(ignored));
        }
        if let Some(envelope) = notification::sns(&body)? {
            message.sns = Some((envelope.topic_arn, envelope.message_id));
            message.sent = envelope.published.or(message.sent);
            attributes.extend(envelope.attributes);
            body = self::body(&envelope.message)?;
            if let Some(ignored) = notification::ignored(&body) {
                return Ok(Decoded::Ignored(ignored));
            }
        }
        let own_id = message.sns.as_ref().map_or(&message.message_id, |(_, id)| id);
        let messages = match notification::content(&body, own_id)? {
            Content::Plain => vec![(message, body)],
            Content::Event(event) => vec![(Self { event: Some(*event), ..message }, body)],
            Content::S3Records(records) => {
                let of_record = |S3Record { event, body, notification }| {
                    (Self { event: Some(event), notification: Some(notification.into()), ..message.clone() }, body)
                };
                records.into_iter().map(of_record).collect()
            }
        };
        let event = |(message, body): (Self, Node)| message.into_event(body, record, &attributes);
        Ok(Decoded::Events(messages.into_iter().map(event).collect()))
    }

    /// Decodes the copy of a message's event, which [`Self::into_event`] wrote.
    pub(super) fn decode_copy(node: &Node) -> Result<Self, DecodeError> {
        let fields = Fields::root(node)?;
        let message_id = fields.string("message_id")?;
        let body = node.get("body").cloned().unwrap_or_else(|| Node::string(""));
        let sent =
            node.get("attributes").and_then(|attributes| attributes.get("SentTimestamp")?.as_str()?.parse().ok());
        let event = match notification::content(&body, &message_id)? {
            Content::Event(event) => Some(*event),
            Content::Plain | Content::S3Records(_) => None,
        };
        Ok(Self {
            queue: Queue::new(&fields.string("queue")?, None, None),
            group_id: fields.optional_string("group_id")?,
            message_id,
            sns: None,
            sent: sent.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
            event,
            notification: None,
        })
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
        Event { kind: EventKind::Message(Box::new(self)), node, text }
    }

    pub(super) fn id(&self) -> &str {
        self.event.as_ref().map_or(&self.message_id, |event| &event.envelope.id)
    }

    /// Returns the identity of the S3 or EventBridge event in the message. A message without one is identified by SNS's
    /// message id, or by SQS's, so two messages with the same content are two events. An event whose id does not have
    /// the form of EventBridge's ids was not sent by EventBridge: its identity contains the message's.
    pub(super) fn identity(&self) -> Identity {
        let event = match &self.event {
            Some(event) if event.identified_s3().is_some() || is_uuid(&event.envelope.id) => return event.identity(),
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

/// Parses a body: JSON if it begins like JSON, otherwise text. Bare numbers and words, such as `007`, stay texts.
fn body(text: &str) -> Result<Node, DecodeError> {
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    match json.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'{') => {
            let body = json::parse(json).map_err(DecodeError::BodyNotJson)?;
            match problem(&body) {
                Some(problem) => Err(DecodeError::Field { field: "body".to_owned(), problem }),
                None => Ok(body),
            }
        }
        // Plain texts can begin like this too: `[INFO] ...`, `"Quoted" ...`.
        Some(b'[' | b'"') => {
            let parsed = json::parse(json).ok().filter(|body| problem(body).is_none());
            Ok(parsed.unwrap_or_else(|| Node::string(text)))
        }
        _ => Ok(Node::string(text)),
    }
}

/// Returns why a body cannot be taken as JSON, if it cannot.
fn problem(body: &Node) -> Option<String> {
    // A pattern and a template could see different values.
    if let Some(key) = body.repeated_key() {
        return Some(format!("has the key `{key}` twice; send each key once"));
    }
    (depth(body) > BODY_DEPTH_MAX).then(|| format!("is nested deeper than {BODY_DEPTH_MAX} levels"))
}

/// A body that is nested deeper is refused, or is taken as text if it does not begin with `{`. The event adds some
/// levels around it.
const BODY_DEPTH_MAX: usize = json::DEPTH_MAX - 8;

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Kind::Object(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns whether an id has the form of EventBridge's ids.
fn is_uuid(id: &str) -> bool {
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Decodes a batch as Lambda delivers it: `{"Records": [...]}`.
pub(super) fn records(node: &Node) -> Result<Vec<Record>, DecodeError> {
    Fields::root(node)?.objects("Records")?.iter().map(record).collect()
}

/// Reads a record. A wrong source or message id is an error of the whole batch. Any other problem is kept in the record
/// and returned when the record is decoded, so only this message goes back to the queue.
fn record(fields: &Fields<'_>) -> Result<Record, DecodeError> {
    let source = fields.optional_string("eventSource")?;
    if let Some(source) = source.filter(|source| source != "aws:sqs") {
        let problem = format!("must be `aws:sqs`, found `{source}`; send S3 events to EventBridge or to an SQS queue");
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
    let error = || fields.error("eventSourceARN", format!("must be the ARN of an SQS queue, found `{arn}`"));
    Queue::parse(&arn).ok_or_else(error)
}

fn or_note<T>(result: Result<T, DecodeError>, unreadable: &mut Option<DecodeError>) -> Option<T> {
    result.map_err(|error| unreadable.get_or_insert(error).clone()).ok()
}

impl Fields<'_> {
    /// Returns the entries of an object, each with the text that `text` finds in its value.
    fn texts(&self, name: &str, text: impl Fn(&Node) -> Option<String>) -> Result<Vec<(String, String)>, DecodeError> {
        let Some(entries) = self.optional_entries(name)? else { return Ok(Vec::new()) };
        let pair = |entry: &crate::text::Entry| match (text(&entry.value), &entry.value.kind) {
            (Some(text), _) => Some(Ok((entry.key.value.clone(), text))),
            // An attribute without a string or binary value, such as a list, is left out.
            (None, Kind::Object(_) | Kind::Null) => None,
            (None, _) => {
                Some(Err(self.error(&format!("{name}.{}", entry.key.value), "has no string value".to_owned())))
            }
        };
        entries.iter().filter_map(pair).collect()
    }
}

#[cfg(test)]
mod tests;
