//! What the tests of the store share.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use trigger_core::launch::{Conclusion, Concurrency, LaunchRecord, Outcome, Slot, WhenFull};

use super::actions::{Action, Values, Write};
use super::items::Item;

/// Returns the record of a launch that has not started. Each number is another launch.
pub(super) fn record(number: usize) -> LaunchRecord {
    let text = format!(
        r#"{{
            "version": 2, "key": {{ "route": "r", "date": "2026-01-31", "id": "{number:032x}" }}, "task": "t",
            "event_id": "e", "identity": ["e"], "event": {{ "text": "{{}}" }},
            "request": {{ "taskDefinition": "t", "count": 2, "startedBy": "s", "clientToken": "c" }},
            "created": "2026-01-31T12:00:00Z", "due": "2026-01-31T12:01:00.123Z"
        }}"#
    );
    LaunchRecord::parse(&text).expect("is a record")
}

/// Returns the record of a launch that waits in line.
pub(super) fn waiting(number: usize, ticket: u64) -> LaunchRecord {
    let concurrency = Concurrency { slots: "r/limit".to_owned(), max: 5, when_full: WhenFull::Queue };
    LaunchRecord { concurrency: Some(concurrency), slot: Some(Slot::Waiting), ticket: Some(ticket), ..record(number) }
}

/// Returns the record of a launch that was dead-lettered.
pub(super) fn failed(number: usize) -> LaunchRecord {
    let record = record(number);
    let at = record.due;
    LaunchRecord { ended: Some(Conclusion { at, outcome: Outcome::DeadLettered("it failed".to_owned()) }), ..record }
}

/// Returns what actions do, a paragraph for each.
pub(super) fn plan_text(actions: &[Action]) -> String {
    actions.iter().map(action_text).collect::<Vec<_>>().join("\n")
}

fn action_text(action: &Action) -> String {
    let key = format!("{} {}", action.key.item, action.key.part);
    let mut text = match &action.write {
        Write::Put(item) => format!("put {key}\n{}", item_text(item)),
        Write::Update(change) => format!("update {key}\n  {change}\n"),
        Write::Delete => format!("delete {key}\n"),
    };
    if let Some(condition) = action.condition {
        text += &format!("  if {condition}\n");
    }
    text + &values_text(&action.values)
}

/// Returns an item's attributes without its key, and without the packed record.
pub(super) fn item_text(item: &Item) -> String {
    let sorted: BTreeMap<_, _> = item.iter().filter(|(name, _)| !matches!(name.as_str(), "item" | "part")).collect();
    let line = |(name, value): (&String, &AttributeValue)| match name.as_str() {
        "record" => "  record = {...}\n".to_owned(),
        _ => format!("  {name} = {}\n", value_text(value)),
    };
    sorted.into_iter().map(line).collect()
}

fn values_text(values: &Values) -> String {
    values.iter().map(|(name, value)| format!("  {name} = {}\n", value_text(value))).collect()
}

fn value_text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("{text:?}"),
        AttributeValue::N(number) => number.clone(),
        other => format!("{other:?}"),
    }
}
