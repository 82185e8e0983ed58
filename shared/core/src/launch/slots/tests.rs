//! Which launches may run at once. All tests use [`Line`].

use proptest::prelude::*;

use super::{Slots, Taken};
use crate::event::identity::LaunchKey;
use crate::launch::{Concurrency, WhenFull};

fn key(name: &str) -> LaunchKey {
    LaunchKey { route: "r".to_owned(), date: "2026-01-01".to_owned(), id: name.to_owned() }
}

/// Slots with their limit.
struct Line {
    slots: Slots,
    concurrency: Concurrency,
}

impl Line {
    fn of(max: u32, when_full: WhenFull) -> Self {
        Self { slots: Slots::default(), concurrency: Concurrency { slots: "r/1".to_owned(), max, when_full } }
    }

    fn take(&mut self, name: &str, tasks: u32) -> Taken {
        self.slots.take(&key(name), tasks, &self.concurrency, false)
    }

    fn release(&mut self, name: &str) -> Vec<String> {
        let woken = self.slots.release(&key(name));
        woken.into_iter().map(|key| key.id).collect()
    }
}

fn waiting(stop: &[&str]) -> Taken {
    Taken::Waiting { stop: stop.iter().map(|name| key(name)).collect() }
}

#[test]
fn who_comes_when_all_are_taken_is_skipped() {
    let mut line = Line::of(2, WhenFull::Skip);
    assert_eq!([line.take("a", 1), line.take("b", 1), line.take("c", 1)], [Taken::Held, Taken::Held, Taken::Full]);
    assert_eq!(line.take("a", 1), Taken::Held, "a holder that asks again keeps its slots");
    line.release("a");
    assert_eq!(line.take("d", 1), Taken::Held);
}

#[test]
fn who_stands_in_line_comes_in_the_order_of_arrival_and_nobody_overtakes() {
    let mut line = Line::of(3, WhenFull::Queue);
    assert_eq!([line.take("a", 3), line.take("b", 2), line.take("c", 1)], [Taken::Held, waiting(&[]), waiting(&[])]);
    assert_eq!(line.take("b", 2), waiting(&[]), "a waiter that asks again keeps its place");
    assert_eq!(line.release("a"), ["b", "c"]);
    assert_eq!(line.take("d", 1), waiting(&[]));
    assert_eq!(line.release("c"), ["d"]);
}

#[test]
fn a_later_one_replaces_the_oldest_and_those_that_still_wait() {
    let mut line = Line::of(1, WhenFull::Replace);
    assert_eq!(line.take("a", 1), Taken::Held);
    assert_eq!(line.take("b", 1), waiting(&["a"]));
    assert_eq!(line.take("c", 1), waiting(&["a"]));
    assert_eq!(line.slots.take(&key("b"), 1, &line.concurrency, true), Taken::Superseded);
    assert_eq!(line.release("a"), ["c"]);
    assert_eq!(line.take("d", 1), waiting(&["c"]));
}

proptest! {
    /// In any order of taking and releasing, never more than `max` slots are taken, and no launch is left behind.
    #[test]
    fn never_more_than_max(
        steps in prop::collection::vec((0..8_usize, any::<bool>(), 1..=3_u32), 1..60),
        max in 3..=6_u32,
        when_full in prop::sample::select(vec![WhenFull::Queue, WhenFull::Skip, WhenFull::Replace]),
    ) {
        let mut line = Line::of(max, when_full);
        for (name, takes, tasks) in steps {
            let name = name.to_string();
            if takes { drop(line.take(&name, tasks)) } else { drop(line.release(&name)) }
            prop_assert!(line.slots.used() <= max);
        }
        for name in 0..8 {
            line.release(&name.to_string());
        }
        prop_assert!(line.slots.holders.is_empty() && line.slots.waiting.is_empty());
    }
}
