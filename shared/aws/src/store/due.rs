//! What is due, by the index; and the launches that are postponed.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::later;
use trigger_core::storage::{DUE_SHARDS, Index, due_list};
use trigger_engine::ports::{Cursor, DuePage, StoreError, postponed_by};

use super::DynamoStore;
use super::actions::Action;
use super::items::{Item, Key, due_in, number, number_in, sortable, text};
use super::lists::{Listed, Lists};

/// One page of each list has at most this many launches.
const LAUNCHES_AT_ONCE: usize = 1000;

/// Lists launches that are due.
pub(super) async fn list(store: &DynamoStore, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
    let lists = open_lists(Some(until), LAUNCHES_AT_ONCE);
    let Listed { launches, next } = lists.read(store, after.as_ref(), usize::MAX, |_| true).await?;
    Ok(DuePage { launches, next })
}

/// Returns the lists of open launches: those that are due until a time, or all.
pub(super) fn open_lists(until: Option<Timestamp>, at_once: usize) -> Lists {
    let names = (0..DUE_SHARDS).map(due_list).collect();
    Lists { index: Index::Time, names, from: None, to: until, is_backward: false, at_once }
}

/// Makes a launch due later.
pub(super) async fn postpone(store: &DynamoStore, launch: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
    let key = Key::launch(launch);
    let found = store.get([key.clone()].into_iter()).await?;
    let Some(action) = found.get(&key).and_then(|item| later_than(key.clone(), item, now)) else { return Ok(()) };
    // If the write is refused, another process has written the launch, and with it a due time.
    store.write_one(&action, ReturnValue::None).await.map(drop)
}

/// Returns the action that postpones a launch, unless it has ended. The record is not read, because a launch whose
/// record cannot be read is postponed too.
fn later_than(key: Key, item: &Item, now: Timestamp) -> Option<Action> {
    due_in(item)?;
    let failures = number_in::<u32>(item, "failures").unwrap_or_default().saturating_add(1);
    let due = text(sortable(later(now, postponed_by(failures))));
    let [_, at] = Index::Time.key();
    let changed = vec![(":due", due), (":failures", number(failures))];
    let version = item.get("version")?.clone();
    let update = Action::update(key, format!("SET #{at} = :due, #failures = :failures"), changed);
    Some(update.only_if("#version = :version", vec![(":version", version)]))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::store::fixtures::{failed, plan_text, record};
    use crate::store::items;

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
        let mut item = items::launch(&record(1), 4, "w").expect("is short");
        expect![[r#"
            update launch/r/2026-01-31/00000000000000000000000000000001 record
              SET #at = :due, #failures = :failures
              if #version = :version
              :due = "1970-01-01T00:01:00.000Z"
              :failures = 1
              :version = 4
        "#]]
        .assert_eq(&plan_text(&Vec::from_iter(postponed(&item))));
        item.insert("failures".to_owned(), number(1));
        item.remove("record");
        expect![[r#"
            update launch/r/2026-01-31/00000000000000000000000000000001 record
              SET #at = :due, #failures = :failures
              if #version = :version
              :due = "1970-01-01T00:02:00.000Z"
              :failures = 2
              :version = 4
        "#]]
        .assert_eq(&plan_text(&Vec::from_iter(postponed(&item))));
        assert_eq!(postponed(&items::launch(&failed(1), 5, "w").expect("is short")), None, "it has ended");
    }
}
