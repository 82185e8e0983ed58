//! The table's items: their keys, their attributes, and the launches in them.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::Value;
use sha2::{Digest, Sha256};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{LaunchRecord, Outcome, Place, Slot};
use trigger_core::storage::{DUE_KEY, DUE_SHARDS, EXPIRES, ItemKind, KEPT_DAYS, TABLE_KEY};
use trigger_engine::ports::{StoreError, Stored};

/// The attributes of an item by their names.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The counts of a set spread over this many items: a thousand launches may end within a second.
const COUNT_SHARDS: u8 = 8;
/// The start of the sort keys of all places in a line.
const PLACE: &str = "place/";

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The partition key.
    pub(super) item: String,
    /// The sort key.
    pub(super) part: String,
}

impl Key {
    /// Returns the key of a launch.
    pub(super) fn launch(launch: &LaunchKey) -> Self {
        Self::new(ItemKind::Launch, &launch.to_string(), "record")
    }

    /// Returns the key of the next ticket of a limit.
    pub(super) fn tickets(limit: &str) -> Self {
        Self::new(ItemKind::Line, limit, "tickets")
    }

    /// Returns the key of the number of slots that are taken.
    pub(super) fn used(limit: &str) -> Self {
        Self::new(ItemKind::Line, limit, "used")
    }

    /// Returns the key of a place in line. Places sort by their tickets.
    pub(super) fn place(limit: &str, ticket: u64) -> Self {
        Self::new(ItemKind::Line, limit, &format!("{PLACE}{ticket:020}"))
    }

    /// Returns the key of the last launched event of an object.
    pub(super) fn sequence(name: &str) -> Self {
        Self::new(ItemKind::Sequence, name, "last")
    }

    /// Returns the key of a launch set.
    pub(super) fn set(name: &str) -> Self {
        Self::new(ItemKind::Set, name, "set")
    }

    /// Returns the key of the counts of a set that a launch adds to.
    pub(super) fn counts(set: &str, launch: &LaunchKey) -> Self {
        Self::new(ItemKind::Set, set, &format!("counts/{}", shard(launch, COUNT_SHARDS)))
    }

    /// Returns the key of the calls of a pool.
    pub(super) fn rate(pool: &str) -> Self {
        Self::new(ItemKind::Rate, pool, "next")
    }

    fn new(kind: ItemKind, name: &str, part: &str) -> Self {
        Self { item: kind.key(name), part: part.to_owned() }
    }

    /// Returns the key of an item that was read.
    pub(super) fn of(item: &Item) -> Option<Self> {
        let [partition, sort] = TABLE_KEY.map(|name| text_in(item, name).map(str::to_owned));
        Some(Self { item: partition?, part: sort? })
    }

    /// Returns the attributes of the key.
    pub(super) fn attributes(&self) -> Item {
        let values = [text(&self.item), text(&self.part)];
        TABLE_KEY.map(str::to_owned).into_iter().zip(values).collect()
    }

    /// Returns an item with this key and further attributes.
    pub(super) fn with<const N: usize>(&self, attributes: [(&str, AttributeValue); N]) -> Item {
        let mut item = self.attributes();
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        item
    }
}

/// Returns a text as the value of an attribute.
pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Returns a number as the value of an attribute.
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Returns the value of a text attribute.
pub(super) fn text_in<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Returns the value of a number attribute.
pub(super) fn number_in<T: FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Returns when an item expires that is kept from `time` on. DynamoDB deletes it within days of that. Until it does,
/// the item counts like any other: a launch that is known for longer is not launched again.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
pub(super) fn expires(time: Timestamp) -> AttributeValue {
    number(time.as_second() + i64::from(KEPT_DAYS) * 24 * 60 * 60)
}

/// Returns a time as text that sorts.
pub(super) fn sortable(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Returns the item of a launch. While the launch has not ended, its due time is an attribute and not in the record: so
/// the index finds it, and [`postpone`](trigger_engine::ports::LaunchStore::postpone) changes it alone.
pub(super) fn launch(record: &LaunchRecord, version: u64, writer: &str) -> Item {
    let mut item = Key::launch(&record.key).with([
        ("record", text(json(record))),
        ("version", number(version)),
        ("writer", text(writer)),
        ("state", text(state(record))),
    ]);
    match &record.ended {
        Some(ended) => item.extend([(EXPIRES.to_owned(), expires(ended.at))]),
        None => {
            let values = [due_shard(shard(&record.key, DUE_SHARDS)), text(sortable(rounded(record.due)))];
            item.extend(DUE_KEY.map(str::to_owned).into_iter().zip(values));
        }
    }
    item
}

/// Returns a record as it will be read: its due time has whole milliseconds.
pub(super) fn as_read(record: &LaunchRecord) -> LaunchRecord {
    let due = if record.ended.is_some() { record.due } else { rounded(record.due) };
    LaunchRecord { due, ..record.clone() }
}

/// Reads the launch in an item.
///
/// # Errors
/// The item is not a launch, or a later ecs-trigger wrote it.
pub(super) fn stored(launch: &LaunchKey, item: &Item) -> Result<Stored, StoreError> {
    let read = || {
        let record = text_in(item, "record").ok_or("the attribute `record` is missing")?;
        let version = number_in(item, "version").ok_or("the attribute `version` is missing")?;
        let record = LaunchRecord::parse(&with_due(record, item)?)?;
        Ok(Stored { record, version })
    };
    read().map_err(|reason: String| StoreError::Unreadable { launch: launch.to_string(), reason })
}

/// Returns whether an item was written last by this writer.
pub(super) fn is_by(writer: &str, item: &Item) -> bool {
    text_in(item, "writer") == Some(writer)
}

/// Returns the item of a place in line.
pub(super) fn place(limit: &str, place: &Place) -> Item {
    Key::place(limit, place.ticket).with([
        ("launch", text(place.launch.to_string())),
        ("tasks", number(place.tasks)),
        ("held", AttributeValue::Bool(place.is_held)),
    ])
}

/// Reads the place in an item of a line, or nothing if the item holds something else of the line.
///
/// # Errors
/// The place cannot be read.
pub(super) fn place_in(item: &Item) -> Result<Option<Place>, StoreError> {
    let Some(ticket) = text_in(item, TABLE_KEY[1]).and_then(|part| part.strip_prefix(PLACE)) else { return Ok(None) };
    let launch = text_in(item, "launch").unwrap_or_default();
    let place = || {
        Some(Place {
            ticket: ticket.parse().ok()?,
            launch: LaunchKey::parse(launch)?,
            tasks: number_in(item, "tasks")?,
            is_held: *item.get("held")?.as_bool().ok()?,
        })
    };
    let reason = || format!("its place in line, with the ticket {ticket}, lacks an attribute");
    let unreadable = || StoreError::Unreadable { launch: launch.to_owned(), reason: reason() };
    place().map(Some).ok_or_else(unreadable)
}

/// Returns the partition key of a part of the index.
pub(super) fn due_shard(shard: u8) -> AttributeValue {
    text(shard.to_string())
}

/// Returns which of several items a launch belongs to. It is always the same.
fn shard(launch: &LaunchKey, shards: u8) -> u8 {
    let hash = Sha256::digest(launch.to_string());
    hash.first().copied().unwrap_or_default() % shards
}

/// Rounds a due time up: nobody looks at a launch too early.
fn rounded(due: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    due.round(up).unwrap_or(due)
}

fn json(record: &LaunchRecord) -> String {
    let mut json = serde_json::to_value(record).unwrap_or_default();
    if let Some(fields) = json.as_object_mut().filter(|_| record.ended.is_none()) {
        fields.shift_remove("due");
    }
    json.to_string()
}

fn with_due(record: &str, item: &Item) -> Result<String, String> {
    let Some(due) = text_in(item, DUE_KEY[1]) else { return Ok(record.to_owned()) };
    let mut json: Value = serde_json::from_str(record).map_err(|error| error.to_string())?;
    if let Some(fields) = json.as_object_mut() {
        fields.insert("due".to_owned(), due.into());
    }
    Ok(json.to_string())
}

/// Returns a launch's state in a word, for whoever looks at the table.
fn state(record: &LaunchRecord) -> &'static str {
    match record.ended.as_ref().map(|ended| &ended.outcome) {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::Stopped) => "stopped",
        Some(Outcome::Replaced) => "replaced",
        Some(Outcome::Skipped(_)) => "skipped",
        Some(Outcome::DeadLettered(_)) => "dead_lettered",
        None if record.concluding.is_some() => "concluding",
        None if !record.tasks.is_empty() => "running",
        None if record.slot == Some(Slot::Waiting) => "queued",
        None => "starting",
    }
}
