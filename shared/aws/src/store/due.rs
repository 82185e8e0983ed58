//! What is due, by the index; and the launches that are postponed.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::ReturnValue;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::later;
use trigger_core::storage::{DUE_INDEX, DUE_KEY, DUE_SHARDS, ItemKind, TABLE_KEY};
use trigger_engine::ports::{Cursor, DuePage, StoreError, postponed_by};

use super::DynamoStore;
use super::actions::Action;
use super::calls::{Page, Query};
use super::items::{Item, Key, due_shard, number, number_in, sortable, text, text_in};

/// One page of each part of the index has at most this many launches.
const LAUNCHES_AT_ONCE: i32 = 1000;

/// Where the parts of the index go on. A part that has nothing more is not there.
type Positions = BTreeMap<u8, Option<Position>>;

/// The last launch that was listed of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    due: String,
    item: String,
    part: String,
}

/// Lists launches that are due: the next page of each part of the index.
pub(super) async fn list(store: &DynamoStore, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
    let positions = positions(after).map_err(|reason| store.unavailable(&reason))?;
    let queries: Vec<Query> = positions.iter().map(|(shard, after)| query(*shard, until, after.as_ref())).collect();
    let pages = try_join_all(queries.iter().map(|query| store.query(query))).await?;
    Ok(merged(positions.into_keys().zip(pages).collect()))
}

/// Makes a launch due later.
pub(super) async fn postpone(store: &DynamoStore, launch: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
    let key = Key::launch(launch);
    let found = store.get([key.clone()].into_iter()).await?;
    let Some(action) = found.get(&key).and_then(|item| later_than(key.clone(), item, now)) else { return Ok(()) };
    // If the write is refused, somebody has written the launch in the meantime, and with it a due time.
    store.write_one(&action, ReturnValue::None).await.map(drop)
}

/// Returns the action that postpones a launch, unless it has ended. The record is not read, because a launch whose
/// record cannot be read is postponed too.
fn later_than(key: Key, item: &Item, now: Timestamp) -> Option<Action> {
    item.get(DUE_KEY[1])?;
    let failures = number_in::<u32>(item, "failures").unwrap_or_default().saturating_add(1);
    let due = text(sortable(later(now, postponed_by(failures))));
    let changed = vec![(":due", due), (":failures", number(failures))];
    let version = item.get("version")?.clone();
    let update = Action::update(key, "SET #due = :due, #failures = :failures", changed);
    Some(update.only_if("#version = :version AND attribute_exists(#due)", vec![(":version", version)]))
}

/// Returns the query of the next page of a part.
fn query(shard: u8, until: Timestamp, after: Option<&Position>) -> Query {
    let start = |Position { due, item, part }: &Position| {
        let [shard_name, due_name] = DUE_KEY.map(str::to_owned);
        let key = Key { item: item.clone(), part: part.clone() };
        key.attributes().into_iter().chain([(shard_name, due_shard(shard)), (due_name, text(due))]).collect()
    };
    Query {
        index: Some(DUE_INDEX),
        condition: "#due_shard = :shard AND #due <= :until",
        values: vec![(":shard", due_shard(shard)), (":until", text(sortable(until)))],
        limit: Some(LAUNCHES_AT_ONCE),
        after: after.map(start),
    }
}

/// Returns the launches of the parts in the order of their times, and where to go on.
fn merged(pages: Vec<(u8, Page)>) -> DuePage {
    let key = |item: &Item| LaunchKey::parse(text_in(item, TABLE_KEY[0])?.strip_prefix(ItemKind::Launch.prefix())?);
    let items = pages.iter().flat_map(|(_, page)| &page.items);
    let mut due: Vec<(&str, LaunchKey)> =
        items.filter_map(|item| Some((text_in(item, DUE_KEY[1])?, key(item)?))).collect();
    due.sort();
    let next: Positions =
        pages.iter().filter_map(|(shard, page)| Some((*shard, Some(position(page.next.as_ref()?)?)))).collect();
    let cursor = || Cursor(serde_json::to_string(&next).unwrap_or_default());
    DuePage { launches: due.into_iter().map(|(_, key)| key).collect(), next: (!next.is_empty()).then(cursor) }
}

fn position(key: &Item) -> Option<Position> {
    let Key { item, part } = Key::of(key)?;
    Some(Position { due: text_in(key, DUE_KEY[1])?.to_owned(), item, part })
}

fn positions(after: Option<Cursor>) -> Result<Positions, String> {
    match after {
        None => Ok((0..DUE_SHARDS).map(|shard| (shard, None)).collect()),
        Some(Cursor(text)) => serde_json::from_str(&text).map_err(|error| format!("`{text}` is not a cursor: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::store::fixtures::{plan_text, record};
    use crate::store::items;

    fn entry(number: usize, second: i64) -> Item {
        let due = Timestamp::from_second(second).expect("is a time");
        let key = Key::launch(&record(number).key);
        key.with([(DUE_KEY[0], due_shard(0)), (DUE_KEY[1], text(sortable(due)))])
    }

    #[test]
    fn the_parts_are_merged_by_time_and_each_goes_on_where_it_stopped() {
        let first = Page { items: vec![entry(1, 10), entry(2, 30)], next: Some(entry(2, 30)) };
        let second = Page { items: vec![entry(3, 20)], next: None };
        let page = merged(vec![(0, first), (2, second)]);
        assert_eq!(page.launches, [record(1).key, record(3).key, record(2).key]);
        let positions = positions(page.next).expect("is a cursor");
        assert_eq!(positions.keys().copied().collect::<Vec<_>>(), [0], "the other part has nothing more");
        let next = query(0, Timestamp::UNIX_EPOCH, positions[&0].as_ref());
        assert_eq!(next.after, Some(entry(2, 30)));
        assert_eq!(merged(vec![(0, Page::default())]), DuePage::default());
    }

    #[test]
    fn without_a_cursor_every_part_is_listed_from_its_beginning() {
        let positions = positions(None).expect("needs no cursor");
        assert_eq!(positions.len(), usize::from(DUE_SHARDS));
        assert!(positions.values().all(Option::is_none));
        assert!(super::positions(Some(Cursor("x".to_owned()))).is_err());
    }

    #[test]
    fn times_sort_as_text() {
        let texts = ["1970-01-01T00:00:00Z", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.05Z", "2026-01-31T12:00:01Z"];
        let sorted = texts.map(|text| sortable(text.parse().expect("is a time")));
        assert!(sorted.is_sorted(), "{sorted:?}");
    }

    #[test]
    fn a_launch_is_postponed_for_longer_each_time_until_it_is_written_or_ends() {
        let key = Key::launch(&record(1).key);
        let postponed = |item: &Item| later_than(key.clone(), item, Timestamp::UNIX_EPOCH);
        let mut item = items::launch(&record(1), 4, "w");
        expect![[r#"
            update launch/r/2026-01-31/00000000000000000000000000000001 record
              SET #due = :due, #failures = :failures
              if #version = :version AND attribute_exists(#due)
              :due = "1970-01-01T00:01:00.000Z"
              :failures = 1
              :version = 4
        "#]]
        .assert_eq(&plan_text(&Vec::from_iter(postponed(&item))));
        item.insert("failures".to_owned(), number(1));
        item.remove("record");
        expect![[r#"
            update launch/r/2026-01-31/00000000000000000000000000000001 record
              SET #due = :due, #failures = :failures
              if #version = :version AND attribute_exists(#due)
              :due = "1970-01-01T00:02:00.000Z"
              :failures = 2
              :version = 4
        "#]]
        .assert_eq(&plan_text(&Vec::from_iter(postponed(&item))));
        item.remove("due");
        assert_eq!(postponed(&item), None, "it has ended");
    }
}
