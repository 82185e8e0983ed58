//! The table's items: their keys, their attributes, and the launches in them.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::Value;
use sha2::{Digest, Sha256};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{self, LaunchState};
use trigger_core::launch::{LaunchRecord, Place};
use trigger_core::storage::{
    CREATED_SHARDS, DUE_SHARDS, EXPIRES, FAILED_LIST, Index, ItemKind, KEPT_DAYS, LIMIT_KEPT_DAYS, TABLE_KEY, due_list,
    known, pack, route_list, unpack,
};
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
    number(days_after(time, KEPT_DAYS))
}

/// Returns when the tickets and the count of a limit expire that change now.
pub(super) fn limit_expires(now: Timestamp) -> AttributeValue {
    number(days_after(now, LIMIT_KEPT_DAYS))
}

fn days_after(time: Timestamp, days: u32) -> i64 {
    time.as_second() + i64::from(days) * 24 * 60 * 60
}

/// Returns a time as text that sorts. What is less than a millisecond is left out.
pub(super) fn sortable(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Returns the item of a launch, with its entries in the indexes. While the launch has not ended, its due time is an
/// attribute and not in the record: so the index finds it, and
/// [`postpone`](trigger_engine::ports::LaunchStore::postpone) changes it alone.
///
/// # Errors
/// The record is too long.
pub(super) fn launch(record: &LaunchRecord, version: u64, writer: &str) -> Result<Item, StoreError> {
    let key = Key::launch(&record.key);
    let object = history::object(record).map(|object| object.to_string());
    let packed = pack(&json(record), &known(&key.item, object.as_deref()));
    let packed = packed.map_err(|error| StoreError::Unavailable(format!("cannot write {}: {error}", record.key)))?;
    let mut item = key.with([
        (RECORD, AttributeValue::B(Blob::new(packed))),
        ("version", number(version)),
        ("writer", text(writer)),
        ("state", text(LaunchState::of(record).as_str())),
    ]);
    add_entries(&mut item, record, object);
    if let Some(ended) = &record.ended {
        item.insert(EXPIRES.to_owned(), expires(ended.at));
    }
    if history::has_failed(record) {
        let reason = history::reason(record).unwrap_or_default();
        item.insert("reason".to_owned(), text(&reason[..reason.floor_char_boundary(REASON_BYTES)]));
    }
    Ok(item)
}

/// Adds the keys of a launch's entries in the indexes.
fn add_entries(item: &mut Item, record: &LaunchRecord, object: Option<String>) {
    let LaunchKey { route, .. } = &record.key;
    let created = text(sortable(record.created));
    let number = shard(&record.key, CREATED_SHARDS);
    add_entry(item, Index::Created, [text(number.to_string()), created.clone()]);
    add_entry(item, Index::Route, [text(route_list(route, number)), created.clone()]);
    if let Some(object) = object {
        add_entry(item, Index::Object, [text(object), created]);
    }
    match &record.ended {
        None => {
            let list = text(due_list(shard(&record.key, DUE_SHARDS)));
            add_entry(item, Index::Time, [list, text(sortable(rounded(record.due)))]);
        }
        Some(ended) if history::has_failed(record) => {
            let at = text(sortable(ended.at));
            add_entry(item, Index::Time, [text(FAILED_LIST), at.clone()]);
            add_entry(item, Index::Failures, [text(route), at]);
        }
        Some(_) => {}
    }
}

/// The attribute with the packed record.
const RECORD: &str = "record";
/// The start of the reason for a failure that an attribute shows has at most this many bytes.
const REASON_BYTES: usize = 200;

fn add_entry(item: &mut Item, index: Index, key: [AttributeValue; 2]) {
    item.extend(index.key().map(str::to_owned).into_iter().zip(key));
}

/// Returns when an open launch is due. A launch that has ended is never due.
pub(super) fn due_in(item: &Item) -> Option<&str> {
    let [list, at] = Index::Time.key().map(|name| text_in(item, name));
    at.filter(|_| list.is_some_and(|list| list != FAILED_LIST))
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
    let unreadable = |reason: String| StoreError::Unreadable { launch: launch.to_string(), reason };
    read(launch, item).map_err(unreadable)
}

/// Reads the launch in an item.
///
/// # Errors
/// The reason why it cannot be read.
pub(super) fn read(launch: &LaunchKey, item: &Item) -> Result<Stored, String> {
    let missing = |name: &str| format!("the attribute `{name}` is missing");
    let packed = item.get(RECORD).and_then(|record| record.as_b().ok()).ok_or_else(|| missing(RECORD))?;
    let version = number_in(item, "version").ok_or_else(|| missing("version"))?;
    let known = known(&Key::launch(launch).item, text_in(item, Index::Object.key()[0]));
    let text = unpack(packed.as_ref(), &known).map_err(|error| error.to_string())?;
    let record = match due_in(item) {
        None => LaunchRecord::parse(&text)?,
        Some(due) => {
            let mut json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            if let Some(fields) = json.as_object_mut() {
                fields.insert("due".to_owned(), due.into());
            }
            LaunchRecord::from_json(json)?
        }
    };
    Ok(Stored { record, version })
}

/// Returns whether an item was written last by this writer.
pub(super) fn is_by(writer: &str, item: &Item) -> bool {
    text_in(item, "writer") == Some(writer)
}

/// Returns the item of a place in line.
pub(super) fn place(limit: &str, place: &Place) -> Item {
    Key::place(limit, place.ticket)
        .with([("launch", text(place.launch.to_string())), ("held", AttributeValue::Bool(place.is_held))])
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
            is_held: *item.get("held")?.as_bool().ok()?,
        })
    };
    let reason = || format!("its place in line, with the ticket {ticket}, lacks an attribute");
    let unreadable = || StoreError::Unreadable { launch: launch.to_owned(), reason: reason() };
    place().map(Some).ok_or_else(unreadable)
}

/// Returns which of several items a launch belongs to. It is always the same.
fn shard(launch: &LaunchKey, shards: u8) -> u8 {
    let hash = Sha256::digest(launch.to_string());
    hash.first().copied().unwrap_or_default() % shards
}

/// Rounds a due time up, so that no sweep looks at a launch too early.
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

#[cfg(test)]
mod tests;
