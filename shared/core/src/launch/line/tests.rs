//! Which launches may run at once.

use proptest::prelude::*;

use super::{Line, MakeRoom, Place, Turn};
use crate::event::identity::LaunchKey;
use crate::launch::WhenFull;

fn key(name: &str) -> LaunchKey {
    LaunchKey { route: "r".to_owned(), date: "2026-01-01".to_owned(), id: name.to_owned() }
}

/// Returns a line: `A` holds a slot, `a` waits for one.
fn line(places: &str) -> Line {
    let place = |(ticket, name): (usize, &str)| Place {
        ticket: ticket as u64,
        launch: key(&name.to_lowercase()),
        is_held: name.chars().all(char::is_uppercase),
    };
    let places: Vec<Place> = places.split_whitespace().enumerate().map(place).collect();
    let used = places.iter().filter(|place| place.is_held).count();
    Line { used: u32::try_from(used).expect("is small"), places }
}

fn turn(places: &str, name: &str) -> String {
    match line(places).turn(&key(name), 2, WhenFull::Queue) {
        Turn::Other(place) => format!("first {}", place.launch.id),
        turn => format!("{turn:?}"),
    }
}

#[test]
fn the_first_in_line_is_next_and_nobody_overtakes() {
    let table = [
        ("a", "a", "Own"),
        ("A b c", "b", "Own"),
        ("A b c", "c", "first b"),
        ("A B c d", "c", "Waits"),
        ("a B", "a", "Own"),
        ("a B C", "a", "Waits"),
    ];
    for (places, name, expected) in table {
        assert_eq!(turn(places, name), expected, "{places}");
    }
}

#[test]
fn who_skips_asks_only_whether_a_slot_is_free() {
    let of = |used| Line { used, places: Vec::new() }.turn(&key("a"), 3, WhenFull::Skip);
    assert_eq!([of(0), of(2), of(3)], [Turn::Own, Turn::Own, Turn::Full]);
}

#[test]
fn the_latest_launches_replace_the_oldest_and_those_that_still_wait() {
    let table = [
        ("A b", 1, "", "a"),
        ("A b c", 1, "b", "a"),
        ("b c", 1, "b", ""),
        ("A B c", 2, "", "a"),
        ("A B c d e", 2, "c", "a b"),
        ("A b", 2, "", ""),
        ("A", 1, "", ""),
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
        places in prop::collection::vec(any::<bool>(), 1..12),
        max in 1..=6_u32,
    ) {
        let mut line = Line::default();
        for (ticket, is_held) in places.into_iter().enumerate() {
            let is_held = is_held && line.used < max;
            line.used += u32::from(is_held);
            line.places.push(Place { ticket: ticket as u64, launch: key(&ticket.to_string()), is_held });
        }
        let room = line.make_room(max);
        let left = |is_held: bool, gone: &[LaunchKey]| {
            line.places.iter().filter(|place| place.is_held == is_held && !gone.contains(&place.launch)).count()
        };
        let (holding, waiting) = (left(true, &room.replaced), left(false, &room.superseded));
        prop_assert!(holding + waiting <= max as usize);
        prop_assert!(room.replaced.is_empty() || holding + 1 + waiting > max as usize, "{room:?}");
        let last = line.places.last().map(|place| place.launch.clone());
        prop_assert!(last.is_some_and(|last| !room.superseded.contains(&last)));
    }
}
