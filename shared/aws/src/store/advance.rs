//! Replaces the record of a launch, and what changes with it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Place, SetState, SlotsChange, SlotsChangeKind};
use trigger_core::storage::EXPIRES;
use trigger_engine::ports::{Change, StoreError, Stored};

use super::actions::{Action, Values};
use super::calls::Written;
use super::items::{Item, Key, number};
use super::{DynamoStore, items, new_writer};

/// Makes a change, if the table holds the version that it is based on.
pub(super) async fn advance(store: &DynamoStore, change: &Change) -> Result<Stored, StoreError> {
    let writer = new_writer();
    let actions = plan(change, &writer, Timestamp::now())?;
    if let Written::Refused(found) = store.write(&actions).await? {
        meaning(&found, &writer)?;
    }
    Ok(stored(change))
}

/// Writes two launches of one limit, the second of which takes the slot that the first one releases.
pub(super) async fn hand_over(
    store: &DynamoStore,
    released: &Change,
    taken: &Change,
) -> Result<[Stored; 2], StoreError> {
    let writer = new_writer();
    let actions = plan_both(released, taken, &writer, Timestamp::now())?;
    if let Written::Refused(found) = store.write(&actions).await? {
        match found.as_slice() {
            [Some(record), ..] if items::is_by(&writer, record) => {}
            [None, ..] => return Err(StoreError::NoSlots),
            _ => return Err(StoreError::Changed),
        }
    }
    Ok([released, taken].map(stored))
}

/// Returns what the table holds after a change.
fn stored(change: &Change) -> Stored {
    Stored { record: items::as_read(&change.record), version: change.version + 1 }
}

/// Returns the actions of a change. The record is the first.
fn plan(change: &Change, writer: &str, now: Timestamp) -> Result<Vec<Action>, StoreError> {
    let mut actions = vec![record(change, writer)?];
    if let Some(slots) = &change.slots {
        actions.extend(used(slots, now));
        actions.extend(place(slots, &change.record.key));
    }
    actions.extend(counts(&[change], now));
    Ok(actions)
}

/// Returns the actions of two changes that leave the number of taken slots as it is. The records are the first.
fn plan_both(released: &Change, taken: &Change, writer: &str, now: Timestamp) -> Result<Vec<Action>, StoreError> {
    let changes = [released, taken];
    let mut actions = vec![record(released, writer)?, record(taken, writer)?];
    actions.extend(changes.iter().filter_map(|change| place(change.slots.as_ref()?, &change.record.key)));
    actions.extend(counts(&changes, now));
    Ok(actions)
}

/// Returns the action that replaces a record, if the table holds the version that the change is based on.
fn record(change: &Change, writer: &str) -> Result<Action, StoreError> {
    let item = items::launch(&change.record, change.version + 1, writer)?;
    let record = Action::put(Key::launch(&change.record.key), item);
    Ok(record.only_if("#version = :version", vec![(":version", number(change.version))]))
}

/// Returns the action that takes or releases a slot.
fn used(slots: &SlotsChange, now: Timestamp) -> Option<Action> {
    let key = Key::used(&slots.limit);
    let by = |slots: i32| {
        let change = format!("ADD #used :slots SET #{EXPIRES} = :expires");
        Action::update(key, change, vec![(":slots", number(slots)), (":expires", items::limit_expires(now))])
    };
    match slots.kind {
        SlotsChangeKind::Take => {
            let condition = "attribute_not_exists(#used) OR #used < :max";
            Some(by(1).only_if(condition, vec![(":max", number(slots.max))]))
        }
        SlotsChangeKind::Release => Some(by(-1)),
        SlotsChangeKind::Leave | SlotsChangeKind::Join => None,
    }
}

/// Returns the action that changes the launch's place in line, if it has one.
fn place(slots: &SlotsChange, launch: &LaunchKey) -> Option<Action> {
    let key = Key::place(&slots.limit, slots.ticket?);
    let is_held = match slots.kind {
        SlotsChangeKind::Release | SlotsChangeKind::Leave => return Some(Action::delete(key)),
        SlotsChangeKind::Take => true,
        SlotsChangeKind::Join => false,
    };
    let place = Place { ticket: slots.ticket?, launch: launch.clone(), is_held };
    Some(Action::put(key, items::place(&slots.limit, &place)))
}

/// Returns the actions that count launches in their new states. No transaction may write the same item twice, so what
/// changes of one item is one action.
fn counts(changes: &[&Change], now: Timestamp) -> Vec<Action> {
    let mut by_item: BTreeMap<Key, BTreeMap<&str, i32>> = BTreeMap::new();
    for change in changes {
        let Some(set) = &change.set else { continue };
        let counts = by_item.entry(Key::counts(&set.set, &change.record.key)).or_default();
        for (state, by) in [(set.from, -1), (set.to, 1)] {
            if let Some(count) = count(state) {
                *counts.entry(count).or_default() += by;
            }
        }
    }
    by_item.into_iter().filter_map(|(key, counts)| add(key, &counts, now)).collect()
}

/// Returns the action that adds to the counts of a set.
fn add(key: Key, counts: &BTreeMap<&str, i32>, now: Timestamp) -> Option<Action> {
    const VALUES: [&str; 4] = [":first", ":second", ":third", ":fourth"];
    let changed: Vec<_> = counts.iter().filter(|(_, by)| **by != 0).zip(VALUES).collect();
    if changed.is_empty() {
        return None;
    }
    let added: Vec<String> = changed.iter().map(|((count, _), value)| format!("#{count} {value}")).collect();
    let mut values: Values = changed.iter().map(|((_, by), value)| (*value, number(by))).collect();
    values.push((":expires", items::expires(now)));
    let change = format!("ADD {} SET #{EXPIRES} = :expires", added.join(", "));
    Some(Action::update(key, change, values))
}

/// Returns the name of the count of launches in this state. Those that wait are not counted.
pub(super) fn count(state: SetState) -> Option<&'static str> {
    match state {
        SetState::Waiting => None,
        SetState::Running => Some("running"),
        SetState::Succeeded => Some("succeeded"),
        SetState::Failed => Some("failed"),
        SetState::Other => Some("other"),
    }
}

/// Returns what a refused change means, from the items that were found. If this writer wrote the record, the change was
/// made, and only its answer lost.
fn meaning(found: &[Option<Item>], writer: &str) -> Result<(), StoreError> {
    match found.first() {
        Some(Some(record)) if items::is_by(writer, record) => Ok(()),
        Some(Some(_)) => Err(StoreError::Changed),
        _ => Err(StoreError::NoSlots),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use trigger_core::launch::SetChange;

    use super::*;
    use crate::store::fixtures::{plan_text, record};

    /// Returns the change of the third version of a launch.
    fn change(slots: Option<SlotsChange>, set: Option<SetChange>) -> Change {
        Change { record: record(1), version: 3, slots, set }
    }

    fn slots(kind: SlotsChangeKind, ticket: Option<u64>) -> Option<SlotsChange> {
        Some(SlotsChange { limit: "r/limit".to_owned(), max: 5, ticket, kind })
    }

    fn set(from: SetState, to: SetState) -> Option<SetChange> {
        Some(SetChange { set: "r/set".to_owned(), from, to })
    }

    fn planned(change: &Change) -> Vec<Action> {
        plan(change, "own", Timestamp::UNIX_EPOCH).expect("has room")
    }

    /// Checks the actions beside the record.
    fn check(change: &Change, expected: &Expect) {
        expected.assert_eq(&plan_text(&planned(change)[1..]));
    }

    #[test]
    fn a_record_alone_is_one_write() {
        let expected = expect![[r#"
            put launch/r/2026-01-31/00000000000000000000000000000001 record
              at = "2026-01-31T12:01:00.123Z"
              created = "2026-01-31T12:00:00.000Z"
              list = "due/1"
              record = {...}
              route = "r/1"
              shard = "1"
              state = "starting"
              version = 4
              writer = "own"
              if #version = :version
              :version = 3
        "#]];
        expected.assert_eq(&plan_text(&planned(&change(None, None))));
    }

    #[test]
    fn slots_are_taken_and_released_with_the_record() {
        check(
            &change(slots(SlotsChangeKind::Take, Some(42)), None),
            &expect![[r#"
                update line/r/limit used
                  ADD #used :slots SET #expires = :expires
                  if attribute_not_exists(#used) OR #used < :max
                  :slots = 1
                  :expires = 34560000
                  :max = 5

                put line/r/limit place/00000000000000000042
                  held = Bool(true)
                  launch = "r/2026-01-31/00000000000000000000000000000001"
            "#]],
        );
        check(
            &change(slots(SlotsChangeKind::Take, None), None),
            &expect![[r#"
                update line/r/limit used
                  ADD #used :slots SET #expires = :expires
                  if attribute_not_exists(#used) OR #used < :max
                  :slots = 1
                  :expires = 34560000
                  :max = 5
            "#]],
        );
        check(
            &change(slots(SlotsChangeKind::Release, Some(42)), None),
            &expect![[r#"
                update line/r/limit used
                  ADD #used :slots SET #expires = :expires
                  :slots = -1
                  :expires = 34560000

                delete line/r/limit place/00000000000000000042
            "#]],
        );
        check(
            &change(slots(SlotsChangeKind::Leave, Some(42)), None),
            &expect![[r#"
            delete line/r/limit place/00000000000000000042
        "#]],
        );
        check(
            &change(slots(SlotsChangeKind::Join, Some(43)), None),
            &expect![[r#"
            put line/r/limit place/00000000000000000043
              held = Bool(false)
              launch = "r/2026-01-31/00000000000000000000000000000001"
        "#]],
        );
    }

    #[test]
    fn a_set_counts_its_launches_with_their_records() {
        check(
            &change(None, set(SetState::Waiting, SetState::Running)),
            &expect![[r#"
            update set/r/set counts/1
              ADD #running :first SET #expires = :expires
              :first = 1
              :expires = 7776000
        "#]],
        );
        check(
            &change(None, set(SetState::Running, SetState::Succeeded)),
            &expect![[r#"
            update set/r/set counts/1
              ADD #running :first, #succeeded :second SET #expires = :expires
              :first = -1
              :second = 1
              :expires = 7776000
        "#]],
        );
    }

    #[test]
    fn a_slot_is_handed_over_without_a_change_of_how_many_are_taken() {
        let mut released =
            change(slots(SlotsChangeKind::Release, Some(42)), set(SetState::Running, SetState::Succeeded));
        let taken = change(slots(SlotsChangeKind::Take, Some(43)), set(SetState::Waiting, SetState::Running));
        released.record.key = record(2).key;
        let both = plan_both(&released, &taken, "own", Timestamp::UNIX_EPOCH).expect("has room");
        expect![[r#"
            delete line/r/limit place/00000000000000000042

            put line/r/limit place/00000000000000000043
              held = Bool(true)
              launch = "r/2026-01-31/00000000000000000000000000000001"

            update set/r/set counts/1
              ADD #running :first SET #expires = :expires
              :first = 1
              :expires = 7776000

            update set/r/set counts/3
              ADD #running :first, #succeeded :second SET #expires = :expires
              :first = -1
              :second = 1
              :expires = 7776000
        "#]]
        .assert_eq(&plan_text(&both[2..]));
        released.record.key = taken.record.key.clone();
        let same = plan_both(&released, &taken, "own", Timestamp::UNIX_EPOCH).expect("has room");
        expect![[r#"
            update set/r/set counts/1
              ADD #succeeded :first SET #expires = :expires
              :first = 1
              :expires = 7776000
        "#]]
        .assert_eq(&plan_text(&same[4..]));
    }

    #[test]
    fn a_refused_change_is_told_by_what_was_found() {
        let by = |writer: &str| items::launch(&record(1), 4, writer).ok();
        let used = Some(Item::from([("used".to_owned(), number(5))]));
        assert_eq!(meaning(&[by("own")], "own"), Ok(()), "only the answer was lost");
        assert_eq!(meaning(&[by("other"), used.clone()], "own"), Err(StoreError::Changed));
        assert_eq!(meaning(&[Some(Item::new())], "own"), Err(StoreError::Changed), "there is no such launch");
        assert_eq!(meaning(&[None, used, None], "own"), Err(StoreError::NoSlots));
    }
}
