//! The formats of other AWS services in a message's body: S3 notifications, SNS envelopes, EventBridge events.

use std::fmt;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::fields::{Fields, cut};
use super::{DecodeError, EventBridgeEvent, S3_EVENT_SOURCE, S3DetailType};
use crate::text::{Kind, Node, json};

/// The content of a message's body.
pub(super) enum Content {
    /// The sender's own text or JSON.
    Plain,
    /// An event that EventBridge sent to the queue.
    Event(Box<EventBridgeEvent>),
    /// The records of an S3 notification.
    S3Records(Vec<S3Record>),
}

/// A record of an S3 notification.
pub(super) struct S3Record {
    /// The record as an event in EventBridge's format.
    pub(super) event: EventBridgeEvent,
    /// The same event as a tree.
    pub(super) body: Node,
    /// The notification as S3 wrote it, with this record only: `{"Records":[...]}`.
    pub(super) notification: String,
}

/// Why a message starts nothing, whatever the config says: the service itself speaks, and nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// S3 tested a new notification configuration.
    S3TestEvent,
    /// SNS asks to confirm a subscription of the queue.
    SnsSubscription {
        /// The topic's ARN, as the message names it.
        topic_arn: String,
    },
    /// SNS says that a subscription of the queue was cancelled.
    SnsUnsubscription {
        /// The topic's ARN, as the message names it.
        topic_arn: String,
    },
}

impl fmt::Display for Ignored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3TestEvent => formatter.write_str("S3 sent a test notification"),
            // The message's own link is not repeated: whoever has it can confirm the subscription.
            Self::SnsSubscription { topic_arn } => write!(
                formatter,
                "SNS asks to confirm a subscription of the topic `{topic_arn}`; subscribe the queue from the queue's own \
                 account, which needs no confirmation"
            ),
            Self::SnsUnsubscription { topic_arn } => {
                write!(formatter, "SNS says that a subscription of the topic `{topic_arn}` was cancelled")
            }
        }
    }
}

/// Returns why a body starts nothing, if it is a service's message about itself.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html>
pub(super) fn ignored(body: &Node) -> Option<Ignored> {
    let text = |name: &str| body.get(name).and_then(Node::as_str);
    if text("Event") == Some("s3:TestEvent") {
        return Some(Ignored::S3TestEvent);
    }
    let topic_arn = cut(text("TopicArn")?);
    match (text("Type")?, ["MessageId", "Token"].iter().all(|name| text(name).is_some())) {
        ("SubscriptionConfirmation", true) => Some(Ignored::SnsSubscription { topic_arn }),
        ("UnsubscribeConfirmation", true) => Some(Ignored::SnsUnsubscription { topic_arn }),
        _ => None,
    }
}

/// Returns what a text is, if a function gets such a text only as the body of a message.
pub(super) fn only_in_messages(text: &Node) -> Option<&'static str> {
    match (ignored(text), text.get("Type").and_then(Node::as_str), s3_records(text)) {
        (Some(Ignored::S3TestEvent), ..) => Some("the test event of an S3 notification"),
        (Some(_), ..) | (None, Some("Notification"), _) => Some("a message of SNS"),
        (None, _, Some(_)) => Some("an S3 notification"),
        (None, _, None) => None,
    }
}

/// Returns the records of a text, if it is an S3 notification.
fn s3_records(text: &Node) -> Option<&[Node]> {
    let Kind::Array(records) = &text.get("Records")?.kind else { return None };
    let of_s3 = |record: &Node| record.get("eventSource").and_then(Node::as_str) == Some("aws:s3");
    records.first().is_some_and(of_s3).then_some(records.as_slice())
}

/// A body that has all of these fields is an EventBridge event.
const EVENT_BRIDGE_FIELDS: [&str; 7] = ["id", "source", "detail-type", "account", "time", "region", "detail"];

/// Reads a body. `id` is the message's id, for S3 records without a request id.
pub(super) fn content(body: &Node, id: &str) -> Result<Content, DecodeError> {
    if EVENT_BRIDGE_FIELDS.iter().all(|field| body.get(field).is_some()) {
        return Ok(Content::Event(Box::new(EventBridgeEvent::decode(body)?)));
    }
    if s3_records(body).is_none() {
        return Ok(Content::Plain);
    }
    let records = Fields::root(body)?.objects("Records")?;
    let events = records.iter().map(|record| s3_record(record, id)).collect::<Result<_, _>>()?;
    Ok(Content::S3Records(events))
}

/// Returns the event that EventBridge would deliver for a record of an S3 notification, except that the account is
/// unknown, the id is S3's request id, and `requester` is the principal's id. What only notifications have is kept too.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn s3_record(record: &Fields<'_>, id: &str) -> Result<S3Record, DecodeError> {
    let event_name = record.string("eventName")?;
    let s3 = record.object("s3")?;
    let (bucket, object) = (s3.object("bucket")?, s3.object("object")?);
    let bucket_name = bucket.string("name")?;
    let key = decode_key(&object, &object.string("key")?)?;
    let mut object_fields = vec![("key", Node::string(&key))];
    let carried = [("size", "size"), ("eTag", "etag"), ("versionId", "version-id"), ("sequencer", "sequencer")];
    object_fields.extend(carried.iter().filter_map(|(from, to)| Some((*to, object.node().get(from)?.clone()))));
    let (detail_type, reasons) = detail_type(&event_name);
    let mut detail =
        vec![("bucket", Node::object([("name", Node::string(&bucket_name))])), ("object", Node::object(object_fields))];
    detail.extend(reasons.iter().map(|(name, value)| (*name, Node::string(value))));
    let found = |path: &[&str]| path.iter().try_fold(record.node(), |node, name| node.get(name));
    detail.extend(ELSEWHERE.iter().filter_map(|(path, name)| Some((*name, found(path)?.clone()))));
    let request_id = found(&["responseElements", "x-amz-request-id"]).and_then(Node::as_str);
    detail.extend(request_id.map(|id| ("request-id", Node::string(id))));
    let id = match (request_id.unwrap_or(id), detail_type) {
        (id, Some(_)) => id.to_owned(),
        // EventBridge has no such event, so only the id distinguishes it from the request's other events.
        (id, None) => format!("{id}/{event_name}/{bucket_name}/{key}"),
    };
    let body = Node::object([
        ("id", Node::string(&id)),
        ("source", Node::string(S3_EVENT_SOURCE)),
        ("detail-type", Node::string(detail_type.map_or(event_name.as_str(), |known| known.as_str()))),
        ("account", Node::string("")),
        ("time", Node::string(&record.string("eventTime")?)),
        ("region", Node::string(&record.string("awsRegion")?)),
        ("resources", Node::array([Node::string(&format!("arn:aws:s3:::{bucket_name}"))])),
        ("detail", Node::object(detail)),
    ]);
    let event = EventBridgeEvent::decode(&body).map_err(|error| match error {
        DecodeError::Field { field, problem } => {
            record.error("s3", format!("cannot become an EventBridge event: `{field}` {problem}"))
        }
        other => other,
    })?;
    let notification = json::write(&Node::object([("Records", Node::array([record.node().clone()]))]));
    Ok(S3Record { event, body, notification })
}

/// Values that a record and the `detail` of an EventBridge event have in different places: the path in the record, and
/// the name in `detail`. EventBridge itself lacks the last two.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (&["userIdentity", "principalId"], "requester"),
    (&["requestParameters", "sourceIPAddress"], "source-ip-address"),
    (&["glacierEventData", "restoreEventData", "lifecycleRestorationExpiryTime"], "restore-expiry-time"),
    (&["glacierEventData", "restoreEventData", "lifecycleRestoreStorageClass"], "source-storage-class"),
    (&["lifecycleEventData", "transitionEventData", "destinationStorageClass"], "destination-storage-class"),
    (&["intelligentTieringEventData", "destinationAccessTier"], "destination-access-tier"),
    (&["s3", "configurationId"], "configuration-id"),
    (&["replicationEventData"], "replication-event-data"),
];

/// Returns EventBridge's detail-type for the name of an S3 notification event, and the fields that EventBridge adds to
/// `detail` for it.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html>
fn detail_type(event_name: &str) -> (Option<S3DetailType>, &'static [(&'static str, &'static str)]) {
    use S3DetailType as Type;
    // Notification configurations write the names with the prefix `s3:`, messages without it.
    let (detail_type, reasons): (_, &[_]) = match event_name.strip_prefix("s3:").unwrap_or(event_name) {
        "ObjectCreated:Put" => (Type::ObjectCreated, &[("reason", "PutObject")]),
        "ObjectCreated:Post" => (Type::ObjectCreated, &[("reason", "POST Object")]),
        "ObjectCreated:Copy" => (Type::ObjectCreated, &[("reason", "CopyObject")]),
        "ObjectCreated:CompleteMultipartUpload" => (Type::ObjectCreated, &[("reason", "CompleteMultipartUpload")]),
        "ObjectRemoved:Delete" => {
            (Type::ObjectDeleted, &[("reason", "DeleteObject"), ("deletion-type", "Permanently Deleted")])
        }
        "ObjectRemoved:DeleteMarkerCreated" => {
            (Type::ObjectDeleted, &[("reason", "DeleteObject"), ("deletion-type", "Delete Marker Created")])
        }
        "LifecycleExpiration:Delete" => {
            (Type::ObjectDeleted, &[("reason", "Lifecycle Expiration"), ("deletion-type", "Permanently Deleted")])
        }
        "LifecycleExpiration:DeleteMarkerCreated" => {
            (Type::ObjectDeleted, &[("reason", "Lifecycle Expiration"), ("deletion-type", "Delete Marker Created")])
        }
        "ObjectRestore:Post" => (Type::ObjectRestoreInitiated, &[]),
        "ObjectRestore:Completed" => (Type::ObjectRestoreCompleted, &[]),
        "ObjectRestore:Delete" => (Type::ObjectRestoreExpired, &[]),
        "LifecycleTransition" => (Type::ObjectStorageClassChanged, &[]),
        "IntelligentTiering" => (Type::ObjectAccessTierChanged, &[]),
        "ObjectAcl:Put" => (Type::ObjectAclUpdated, &[]),
        "ObjectTagging:Put" => (Type::ObjectTagsAdded, &[]),
        "ObjectTagging:Delete" => (Type::ObjectTagsDeleted, &[]),
        _ => return (None, &[]),
    };
    (Some(detail_type), reasons)
}

/// Decodes a key. Notifications URL-encode keys as HTML forms do: `red+flower%2B.jpg` is `red flower+.jpg`.
fn decode_key(object: &Fields<'_>, key: &str) -> Result<String, DecodeError> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(String::from).map_err(|_| object.error("key", format!("is not UTF-8 after URL decoding: `{key}`")))
}

/// The envelope in which SNS wraps a message, unless raw message delivery is on.
pub(super) struct SnsEnvelope {
    pub(super) topic_arn: String,
    pub(super) message_id: String,
    pub(super) message: String,
    /// When SNS received the message. It is the same even if SNS sends the message twice.
    pub(super) published: Option<Timestamp>,
    pub(super) attributes: Vec<(String, String)>,
}

/// Returns the SNS envelope that a body is, if it is one.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
pub(super) fn sns(body: &Node) -> Result<Option<SnsEnvelope>, DecodeError> {
    let is_envelope = body.get("Type").and_then(Node::as_str) == Some("Notification")
        && ["TopicArn", "MessageId", "Message"].iter().all(|field| body.get(field).is_some());
    if !is_envelope {
        return Ok(None);
    }
    let fields = Fields::root(body)?;
    let attribute =
        |entry: &crate::text::Entry| Some((entry.key.value.clone(), entry.value.get("Value")?.as_str()?.to_owned()));
    let attributes = fields.optional_entries("MessageAttributes")?.unwrap_or_default();
    Ok(Some(SnsEnvelope {
        topic_arn: fields.string("TopicArn")?,
        message_id: fields.string("MessageId")?,
        message: fields.string("Message")?,
        published: body.get("Timestamp").and_then(Node::as_str).and_then(|time| time.parse().ok()),
        attributes: attributes.iter().filter_map(attribute).collect(),
    }))
}
