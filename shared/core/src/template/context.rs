//! What a template sees of an event.

use minijinja::Value;

use crate::document::{Kind, Node};
use crate::event::{Event, EventKind};

/// The names that every event gives to templates.
pub const EVENT_FIELDS: &[&str] =
    &["event", "id", "source", "detail_type", "account", "time", "region", "resources", "detail"];

/// The further names that S3's events give, each where the event has it.
pub const S3_FIELDS: &[&str] = &["bucket", "key", "size", "etag", "version_id", "sequencer", "reason"];

/// An event as templates see it.
#[derive(Debug, Clone)]
pub struct Context(Value);

impl Context {
    /// What templates see of `event`.
    pub fn new(event: &Event) -> Self {
        let envelope = &event.envelope;
        let detail = event.node.get("detail");
        let mut fields: Vec<(&str, Value)> = vec![
            ("event", value(&event.node)),
            ("id", Value::from(envelope.id.as_str())),
            ("source", Value::from(envelope.source.as_str())),
            ("detail_type", Value::from(envelope.detail_type.as_str())),
            ("account", Value::from(envelope.account.as_str())),
            ("time", Value::from(envelope.time.as_str())),
            ("region", Value::from(envelope.region.as_str())),
            ("resources", Value::from(envelope.resources.clone())),
            ("detail", detail.map(value).unwrap_or_default()),
        ];
        if let EventKind::S3(s3) = &event.kind {
            fields.push(("bucket", Value::from(s3.bucket.as_str())));
            let object = detail.and_then(|detail| detail.get("object"));
            let of_object = [
                ("key", "key"),
                ("size", "size"),
                ("etag", "etag"),
                ("version_id", "version-id"),
                ("sequencer", "sequencer"),
            ];
            fields.extend(of_object.into_iter().filter_map(|(name, key)| Some((name, value(object?.get(key)?)))));
            fields.extend(detail.and_then(|detail| detail.get("reason")).map(|reason| ("reason", value(reason))));
        }
        Self(Value::from_pairs(fields))
    }

    pub(super) fn value(&self) -> Value {
        self.0.clone()
    }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::from(()),
        Kind::Bool(value) => Value::from(*value),
        Kind::Number(text) => number(text),
        Kind::String(text) => Value::from(text.as_str()),
        Kind::Array(elements) => elements.iter().map(value).collect(),
        Kind::Object(entries) => {
            Value::from_pairs(entries.iter().map(|entry| (entry.key.as_str(), value(&entry.value))))
        }
    }
}

fn number(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        return Value::from(integer);
    }
    if let Ok(integer) = text.parse::<i128>() {
        return Value::from(integer);
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::from(float),
        _ => Value::from(text),
    }
}
