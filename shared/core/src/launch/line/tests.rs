//! Which launches may run at once.

use proptest::prelude::*;

use super::{Line, MakeRoom, Place, Turn};
use crate::event::identity::LaunchKey;
use crate::launch::WhenFull;

fn key(name: &str) -> LaunchKey {
    LaunchKey { route: "r".to_owned(), date: "2026-01-01".to_owned(), id: name.to_owned() }
}

/// Returns a line: `A2` holds two slots, `a2` waits for two.
fn line(places: &str) -> Line {
    let place = |(ticket, text): (usize, &str)| {
        let (name, tasks) = text.split_at(1);
        Place {
            ticket: ticket as u64,
            launch: key(&name.to_lowercase()),
            tasks: tasks.parse().expect("is a number"),
            is_held: name.chars().all(char::is_uppercase),
        }
    };
    let places: Vec<Place> = places.split_whitespace().enumerate().map(place).collect();
    let used = places.iter().filter(|place| place.is_held).map(|place| place.tasks).sum();
    Line { used, places }
}

fn turn(places: &str, name: &str, when_full: WhenFull) -> String {
    match line(places).turn(&key(name), 1, 3, when_full) {
        Turn::Other(place) => format!("first {}", place.launch.id),
        turn => format!("{turn:?}"),
    }
}

#[test]
fn the_first_in_line_is_next_and_nobody_overtakes() {
    let table = [
        ("a1", "a", "Own"),
        ("A1 b1 c1", "b", "Own"),
        ("A1 b1 c1", "c", "first b"),
        ("A3 b1 c1", "b", "Waits"),
        // `b` needs more than is free, and `c`, which would fit, waits behind it.
        ("A2 b2 c1", "c", "Waits"),
        ("a1 B3", "a", "Waits"),
    ];
    for (places, name, expected) in table {
        assert_eq!(turn(places, name, WhenFull::Queue), expected, "{places}");
    }
}

#[test]
fn who_skips_asks_only_whether_a_slot_is_free() {
    let of = |used| Line { used, places: Vec::new() }.turn(&key("a"), 1, 3, WhenFull::Skip);
    assert_eq!([of(0), of(2), of(3)], [Turn::Own, Turn::Own, Turn::Full]);
}

#[test]
fn the_latest_launches_replace_the_oldest_and_those_that_still_wait() {
    let table = [
        ("A1 b1", 1, "", "a"),
        ("A1 b1 c1", 1, "b", "a"),
        ("b1 c1", 1, "b", ""),
        ("A1 B1 c1", 2, "", "a"),
        ("A1 B1 c1 d1 e1", 2, "c", "a b"),
        ("A1 b1", 2, "", ""),
        ("A2 B1 c1", 3, "", "a"),
        ("A1", 1, "", ""),
    ];
    let keys = |names: &str| names.split_whitespace().map(key).collect::<Vec<_>>();
    for (places, max, superseded, replaced) in table {
        let expected = MakeRoom { superseded: keys(superseded), replaced: keys(replaced) };
        assert_eq!(line(places).make_room(max), expected, "{places} of {max}");
    }
}

proptest! {
    /// Whoever makes room leaves enough of it for the last launch, and stops no more than that needs.
    #[test]
    fn room_is_made_for_the_last_and_not_for_more(
        places in prop::collection::vec((1..=3_u32, any::<bool>()), 1..12),
        max in 3..=6_u32,
    ) {
        let (mut used, mut line) = (0, Line::default());
        for (ticket, (tasks, is_held)) in places.into_iter().enumerate() {
            let is_held = is_held && used + tasks <= max;
            used += if is_held { tasks } else { 0 };
            line.places.push(Place { ticket: ticket as u64, launch: key(&ticket.to_string()), tasks, is_held });
        }
        line.used = used;
        let room = line.make_room(max);
        let tasks = |is_held: bool, gone: &[LaunchKey]| -> u32 {
            let there = line.places.iter().filter(|place| place.is_held == is_held && !gone.contains(&place.launch));
            there.map(|place| place.tasks).sum()
        };
        let (holding, waiting) = (tasks(true, &room.replaced), tasks(false, &room.superseded));
        prop_assert!(holding + waiting <= max);
        let without_last: Vec<LaunchKey> = room.replaced.iter().rev().skip(1).cloned().collect();
        let is_needed = room.replaced.is_empty() || tasks(true, &without_last) + waiting > max;
        prop_assert!(is_needed, "{room:?}");
        let last = line.places.last().map(|place| place.launch.clone());
        prop_assert!(last.is_some_and(|last| !room.superseded.contains(&last)));
    }
}
