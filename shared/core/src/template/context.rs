//! The values that an event provides to a template.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::Value;

use crate::event::{Event, EventBridgeEvent, EventKind, Firing, MESSAGE_FIELDS};
use crate::schedule::Schedule;
use crate::template::values::{Spellings, lenient, strict};
use crate::text::Node;

/// The names that every event provides to templates.
pub const EVENT_FIELDS: &[&str] = &["event", "id"];

/// The additional names of EventBridge's events, including events inside messages.
pub const EVENT_BRIDGE_FIELDS: &[&str] = &["source", "detail_type", "account", "time", "region", "resources", "detail"];

/// The additional names of S3's events; each is present if the event has it.
pub const S3_FIELDS: &[&str] = &["bucket", "key", "size", "etag", "version_id", "sequencer", "reason"];

/// The additional name of S3's events in a message that is an S3 notification.
pub const NOTIFICATION_FIELDS: &[&str] = &["notification"];

/// The additional names of a schedule's firings.
pub const SCHEDULE_FIELDS: &[&str] = &["schedule", "scheduled_time", "scheduled", "input"];

/// The additional names in a route with `for_each`.
pub const ELEMENT_FIELDS: &[&str] = &["item", "index"];

/// Returns every name that some event provides.
pub(crate) fn all_fields() -> Vec<&'static str> {
    [EVENT_FIELDS, EVENT_BRIDGE_FIELDS, S3_FIELDS, NOTIFICATION_FIELDS, SCHEDULE_FIELDS, MESSAGE_FIELDS, ELEMENT_FIELDS]
        .concat()
}

/// The values that templates see of one event.
#[derive(Debug, Clone)]
pub struct Context {
    fields: Vec<(&'static str, Value)>,
    /// The same fields as one value, for templates that provide for missing fields.
    value: Value,
    /// The same value for all other templates: looking up a missing field fails.
    strict: Value,
}

impl Context {
    /// Collects what templates see of `event`. For a firing, `schedule` is the schedule that fired.
    pub fn new(event: &Event, schedule: Option<&Schedule>) -> Self {
        let mut spellings = Spellings::default();
        let mut fields = vec![("event", spellings.value(&event.node)), ("id", Value::from(event.id()))];
        match &event.kind {
            EventKind::EventBridge(of_event) => event_bridge(of_event, &event.node, &mut fields, &mut spellings),
            EventKind::Firing(firing) => {
                fields.extend(firing_fields(firing, event.node.get("input"), schedule, &mut spellings));
            }
            EventKind::Message(message) => {
                let of_message = MESSAGE_FIELDS.iter();
                fields.extend(of_message.filter_map(|name| Some((*name, spellings.value(event.node.get(name)?)))));
                if let (Some(of_event), Some(body)) = (&message.event, event.node.get("body")) {
                    event_bridge(of_event, body, &mut fields, &mut spellings);
                }
                fields.extend(message.notification.as_deref().map(|text| ("notification", Value::from(text))));
            }
        }
        fields.push(spellings.into_field());
        Self::of(fields)
    }

    fn of(fields: Vec<(&'static str, Value)>) -> Self {
        let value = Value::from_pairs(fields.iter().cloned());
        let strict = strict(value.clone());
        Self { fields, value, strict }
    }

    /// Returns this context with an element of the event's list added.
    pub(crate) fn with_element(&self, index: usize, item: &Value) -> Self {
        let mut fields = self.fields.clone();
        fields.extend([("index", Value::from(index)), ("item", lenient(item))]);
        Self::of(fields)
    }

    /// Returns the value in which a missing field is undefined, for `default` and `is defined`.
    pub(super) fn lenient(&self) -> Value {
        self.value.clone()
    }

    /// Returns the value in which looking up a missing field fails.
    pub(super) fn strict(&self) -> Value {
        self.strict.clone()
    }
}

fn event_bridge(
    event: &EventBridgeEvent,
    node: &Node,
    fields: &mut Vec<(&'static str, Value)>,
    spellings: &mut Spellings,
) {
    let envelope = &event.envelope;
    let detail = node.get("detail");
    fields.extend([
        ("source", Value::from(envelope.source.as_str())),
        ("detail_type", Value::from(envelope.detail_type.as_str())),
        ("account", Value::from(envelope.account.as_str())),
        ("time", Value::from(envelope.time.as_str())),
        ("region", Value::from(envelope.region.as_str())),
        ("resources", Value::from(envelope.resources.clone())),
        ("detail", detail.map(|detail| spellings.value(detail)).unwrap_or_default()),
    ]);
    let Some(s3) = &event.s3 else { return };
    fields.push(("bucket", Value::from(s3.bucket.as_str())));
    let object = detail.and_then(|detail| detail.get("object"));
    let of_object =
        [("key", "key"), ("size", "size"), ("etag", "etag"), ("version_id", "version-id"), ("sequencer", "sequencer")];
    fields.extend(of_object.into_iter().filter_map(|(name, key)| Some((name, spellings.value(object?.get(key)?)))));
    fields.extend(detail.and_then(|detail| detail.get("reason")).map(|reason| ("reason", spellings.value(reason))));
}

fn firing_fields(
    firing: &Firing,
    input: Option<&Node>,
    schedule: Option<&Schedule>,
    spellings: &mut Spellings,
) -> Vec<(&'static str, Value)> {
    let timezone = schedule.map_or(TimeZone::UTC, |schedule| schedule.timezone.clone());
    let empty = Node::object([]);
    let of_schedule = schedule.and_then(|schedule| schedule.input.as_ref()).unwrap_or(&empty);
    let changed = input.map(|input| of_schedule.with(input));
    vec![
        ("schedule", Value::from(firing.schedule())),
        ("scheduled_time", Value::from(firing.scheduled_time.to_string())),
        ("scheduled", scheduled(firing.scheduled_time, timezone)),
        // `input` is always present: without values, a `default` in a template still applies to each field of it.
        ("input", spellings.value(changed.as_ref().unwrap_or(of_schedule))),
    ]
}

/// Returns the parts of a time in a zone. Each part is a text, padded with zeros for paths and dates.
fn scheduled(time: Timestamp, timezone: TimeZone) -> Value {
    let zoned = time.to_zoned(timezone);
    let parts = [
        ("year", "%Y"),
        ("month", "%m"),
        ("day", "%d"),
        ("hour", "%H"),
        ("minute", "%M"),
        ("second", "%S"),
        ("date", "%F"),
        ("time", "%T"),
        ("datetime", "%FT%T%:z"),
        ("offset", "%:z"),
        ("weekday", "%a"),
        ("day_of_year", "%j"),
        ("week", "%V"),
        ("week_year", "%G"),
    ];
    let timezone = zoned.time_zone().iana_name().unwrap_or("UTC").to_owned();
    let parts = parts.map(|(name, format)| (name, Value::from(zoned.strftime(format).to_string())));
    Value::from_pairs(parts.into_iter().chain([("timezone", Value::from(timezone))]))
}
