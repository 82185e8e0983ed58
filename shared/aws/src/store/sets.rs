//! Launch sets and their counts.

use trigger_core::launch::{LaunchSet, SetCounts, SetState};
use trigger_core::storage::EXPIRES;
use trigger_engine::ports::StoreError;

use super::DynamoStore;
use super::actions::Action;
use super::advance::count;
use super::calls::Query;
use super::items::{self, Item, Key, number, number_in, text, text_in};

/// Records a set. One that is recorded stays as it is.
pub(super) async fn record(store: &DynamoStore, set: &LaunchSet) -> Result<(), StoreError> {
    let put = Action::put(Key::set(&set.name), item(set)).only_if_new();
    store.write(&[put]).await.map(drop)
}

/// Reads a set and its counts.
pub(super) async fn read(store: &DynamoStore, name: &str) -> Result<Option<(LaunchSet, SetCounts)>, StoreError> {
    let values = vec![(":item", text(Key::set(name).item))];
    let page = store.query(&Query { condition: "#item = :item".to_owned(), values, ..Query::default() }).await?;
    Ok(set_in(name, &page.items).map(|set| (set, counts_in(&page.items))))
}

fn item(set: &LaunchSet) -> Item {
    Key::set(&set.name).with([
        ("event_id", text(&set.event_id)),
        ("total", number(set.total)),
        ("created", text(set.created.to_string())),
        (EXPIRES, items::expires(set.created)),
    ])
}

fn set_in(name: &str, items: &[Item]) -> Option<LaunchSet> {
    items.iter().find_map(|item| {
        Some(LaunchSet {
            name: name.to_owned(),
            event_id: text_in(item, "event_id")?.to_owned(),
            total: number_in(item, "total")?,
            created: text_in(item, "created")?.parse().ok()?,
        })
    })
}

fn counts_in(items: &[Item]) -> SetCounts {
    let sum = |state: SetState| -> i64 { items.iter().filter_map(|item| number_in::<i64>(item, count(state)?)).sum() };
    SetCounts {
        running: sum(SetState::Running),
        succeeded: sum(SetState::Succeeded),
        failed: sum(SetState::Failed),
        other: sum(SetState::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::record;

    #[test]
    fn a_set_is_read_with_the_sum_of_its_counts() {
        let created = "2026-01-31T12:00:00.123456789Z".parse().expect("is a time");
        let set = LaunchSet { name: "r/1".to_owned(), event_id: "e".to_owned(), total: 500, created };
        let key = Key::counts("r/1", &record(1).key);
        let items = [
            key.with([("running", number(-1)), ("succeeded", number(1))]),
            key.with([("running", number(3)), ("failed", number(2))]),
            item(&set),
        ];
        assert_eq!(set_in("r/1", &items), Some(set));
        assert_eq!(counts_in(&items), SetCounts { running: 2, succeeded: 1, failed: 2, other: 0 });
        assert_eq!(set_in("r/1", &items[..2]), None, "it counts before it is recorded");
    }
}
