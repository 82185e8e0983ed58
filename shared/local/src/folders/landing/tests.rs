//! When a file has landed. Most tests use [`check`].

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Change, Landed, Landing, SETTLE};

/// Something that happens to the file `a` at some time.
enum Step {
    Changes(Change),
    Waits(Duration),
}
use Change::{Closed, Found, Removed, Written};
use Step::{Changes, Waits};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1999);

/// Takes the steps one after the other; compares what the file became, in this order.
fn check(close_is_told: bool, steps: &[Step], expected: &[&str]) {
    let mut landing = Landing::new(close_is_told);
    let mut now = Instant::now();
    let mut became = Vec::new();
    for step in steps {
        match step {
            Changes(change) => became.extend(landing.change(Path::new("a"), *change, now).map(|landed| match landed {
                Landed::Created(_) => "created",
                Landed::Deleted(_) => "deleted",
            })),
            Waits(time) => now += *time,
        }
        became.extend(landing.settled(now).iter().map(|_| "created"));
    }
    assert_eq!(became, expected);
}

#[test]
fn a_file_lands_when_its_writer_closes_it() {
    check(true, &[Changes(Written), Waits(LONG), Changes(Written), Changes(Closed)], &["created"]);
}

#[test]
fn a_file_that_is_never_closed_never_lands_where_closing_is_told() {
    check(true, &[Changes(Written), Waits(LONG), Changes(Written), Waits(LONG)], &[]);
}

#[test]
fn a_file_whose_writing_was_not_seen_lands_when_it_stays_the_same() {
    check(true, &[Changes(Found), Waits(SHORT)], &[]);
    check(true, &[Changes(Found), Waits(SETTLE)], &["created"]);
    check(true, &[Changes(Found), Waits(SHORT), Changes(Written), Waits(LONG), Changes(Closed)], &["created"]);
}

#[test]
fn where_closing_is_not_told_every_write_starts_the_wait_again() {
    check(false, &[Changes(Written), Waits(SHORT), Changes(Written), Waits(SHORT)], &[]);
    check(false, &[Changes(Written), Waits(SHORT), Changes(Written), Waits(SETTLE)], &["created"]);
}

#[test]
fn a_file_written_again_lands_again() {
    check(true, &[Changes(Written), Changes(Closed), Changes(Written), Changes(Closed)], &["created", "created"]);
}

#[test]
fn only_what_landed_is_deleted() {
    check(true, &[Changes(Written), Changes(Removed), Waits(LONG)], &[]);
    check(true, &[Changes(Written), Changes(Closed), Changes(Removed)], &["created", "deleted"]);
}

#[test]
fn the_next_wait_is_the_nearest() {
    let (mut landing, now) = (Landing::new(true), Instant::now());
    assert_eq!(landing.next_due(), None);
    landing.change(Path::new("a"), Found, now);
    landing.change(Path::new("b"), Found, now + SHORT);
    landing.change(Path::new("c"), Written, now);
    assert_eq!(landing.next_due(), Some(now + SETTLE));
}
