//! The lines of the launches that share a limit.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use trigger_core::launch::Line;
use trigger_core::storage::EXPIRES;
use trigger_engine::ports::StoreError;

use super::DynamoStore;
use super::actions::Action;
use super::calls::{Page, Query, Written};
use super::items::{self, Item, Key, number, number_in, text};

/// One page of a line has at most this many items, about 20 kB. Only the first that wait are needed.
const ITEMS_AT_ONCE: i32 = 200;

/// Draws tickets. Returns the first of them.
pub(super) async fn draw_tickets(store: &DynamoStore, limit: &str, count: u32) -> Result<u64, StoreError> {
    let draw = draw(limit, count, Timestamp::now());
    let Written::Done(drawn) = store.write_one(&draw, ReturnValue::UpdatedNew).await? else {
        return Err(store.unavailable("it refused tickets, which have no condition"));
    };
    let next: Option<u64> = number_in(&drawn, "next");
    let first = next.and_then(|next| next.checked_sub(u64::from(count)));
    first.ok_or_else(|| store.unavailable("the answer has no number of the next ticket"))
}

/// Returns the action that draws tickets.
fn draw(limit: &str, count: u32, now: Timestamp) -> Action {
    let values = vec![(":count", number(count)), (":expires", items::limit_expires(now))];
    Action::update(Key::tickets(limit), format!("ADD #next :count SET #{EXPIRES} = :expires"), values)
}

/// Reads a line: the slots that are taken, the launches that hold some, and at least the first that wait.
pub(super) async fn read(store: &DynamoStore, limit: &str) -> Result<Line, StoreError> {
    let mut seen = Seen::default();
    let mut query = partition(limit);
    loop {
        let page = store.query(&query).await?;
        seen.add(&page)?;
        query.after = page.next;
        if query.after.is_none() {
            return Ok(seen.line(0));
        }
        if seen.is_enough() {
            break;
        }
    }
    let used = match seen.used {
        Some(used) => used,
        None => used_in(store.get([Key::used(limit)].into_iter()).await?.get(&Key::used(limit))),
    };
    Ok(seen.line(used))
}

/// Returns the query of a line: the places by their tickets, then `tickets`, then `used`.
fn partition(limit: &str) -> Query {
    Query {
        condition: "#item = :item".to_owned(),
        values: vec![(":item", text(Key::used(limit).item))],
        limit: Some(ITEMS_AT_ONCE),
        ..Query::default()
    }
}

/// What was read of a line so far.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    line: Line,
    used: Option<u32>,
}

impl Seen {
    fn add(&mut self, page: &Page) -> Result<(), StoreError> {
        for item in &page.items {
            self.line.places.extend(items::place_in(item)?);
            if number_in::<i64>(item, "used").is_some() {
                self.used = Some(used_in(Some(item)));
            }
        }
        Ok(())
    }

    /// Returns whether the rest of the line can be left out. Slots are taken in the order of tickets, except by
    /// launches that drew their tickets at the same moment. So if the last place of a page waits, all that hold slots
    /// precede it.
    fn is_enough(&self) -> bool {
        self.line.places.last().is_some_and(|place| !place.is_held)
    }

    /// Returns the line. `used` counts if the number of taken slots was not on a page.
    fn line(self, used: u32) -> Line {
        Line { used: self.used.unwrap_or(used), ..self.line }
    }
}

fn used_in(item: Option<&Item>) -> u32 {
    let used: i64 = item.and_then(|item| number_in(item, "used")).unwrap_or_default();
    u32::try_from(used.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_core::launch::Place;

    use super::*;
    use crate::store::fixtures::{plan_text, record};

    fn place(ticket: u64, is_held: bool) -> Place {
        Place { ticket, launch: record(1).key, is_held }
    }

    fn page(places: &[Place]) -> Page {
        Page { items: places.iter().map(|place| items::place("r", place)).collect(), next: None }
    }

    #[test]
    fn tickets_are_drawn_in_one_write_and_are_kept_for_400_days() {
        expect![[r#"
            update line/r/limit tickets
              ADD #next :count SET #expires = :expires
              :count = 3
              :expires = 34560000
        "#]]
        .assert_eq(&plan_text(&[draw("r/limit", 3, Timestamp::UNIX_EPOCH)]));
    }

    #[test]
    fn a_line_is_read_from_its_parts() {
        let places = vec![place(7, true), place(12, false)];
        let mut page = page(&places);
        page.items.push(Key::tickets("r").with([("next", number(13))]));
        page.items.push(Key::used("r").with([("used", number(2))]));
        let mut seen = Seen::default();
        seen.add(&page).expect("can be read");
        assert_eq!(seen.line(0), Line { used: 2, places });
    }

    #[test]
    fn a_long_line_is_read_up_to_the_first_that_wait() {
        let mut seen = Seen::default();
        seen.add(&page(&[place(1, true), place(2, true)])).expect("can be read");
        assert!(!seen.is_enough(), "others may hold slots");
        seen.add(&page(&[place(3, true), place(4, false)])).expect("can be read");
        assert!(seen.is_enough());
        assert_eq!((seen.line.places.len(), seen.line(6).used), (4, 6));
    }

    #[test]
    fn a_place_that_cannot_be_read_is_an_error() {
        let mut broken = page(&[place(1, true)]);
        broken.items[0].remove("held");
        assert!(matches!(Seen::default().add(&broken), Err(StoreError::Unreadable { .. })));
    }
}
