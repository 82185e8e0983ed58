use std::collections::BTreeSet;

use expect_test::expect;
use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::storage::{Index, due_list};
use trigger_engine::ports::Cursor;

use super::{Listed, Lists, merged};
use crate::store::actions::named;
use crate::store::calls::{Page, Query};
use crate::store::fixtures::record;
use crate::store::items::{Item, Key, sortable, text};

fn lists(count: u8, is_backward: bool) -> Lists {
    let names = (0..count).map(due_list).collect();
    Lists { index: Index::Time, names, from: None, to: None, is_backward, at_once: 2 }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("is a time")
}

fn launch(number: usize) -> LaunchKey {
    record(number).key
}

fn entry(list: &str, number: usize, second: i64) -> Item {
    let [partition, sort] = Index::Time.key();
    Key::launch(&launch(number)).with([(partition, text(list)), (sort, text(sortable(time(second))))])
}

/// A list with entries at these seconds, each of which is the number of its launch too.
type Entries<'a> = (&'a str, &'a [i64]);

/// Returns the page that DynamoDB returns for a query.
fn page(query: &Query, entries: &[Entries<'_>]) -> Page {
    let list =
        query.values.iter().find(|(name, _)| *name == ":list").map(|(_, value)| value.clone()).expect("is named");
    let (name, seconds) = entries.iter().find(|(name, _)| list == text(*name)).expect("is a list");
    let mut items: Vec<Item> = seconds.iter().map(|second| entry(name, *second as usize, *second)).collect();
    if query.is_backward {
        items.reverse();
    }
    if let Some(after) = &query.after {
        let position = items.iter().position(|item| item == after).expect("is an entry");
        items.drain(..=position);
    }
    let limit = query.limit.expect("is limited") as usize;
    let has_more = items.len() > limit;
    items.truncate(limit);
    Page { next: items.last().cloned().filter(|_| has_more), items }
}

/// Reads lists as far as they go. Returns the seconds on each page.
fn read(lists: &Lists, entries: &[Entries<'_>], most: usize, takes: impl Fn(&LaunchKey) -> bool) -> Vec<Vec<i64>> {
    let (mut pages, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let positions = lists.positions(after.as_ref()).expect("is a cursor");
        let part = |(list, position)| {
            let query = lists.query(list, Option::as_ref(&position)).expect("has a name");
            lists.part(list, position, page(&query, entries))
        };
        let listed = merged(positions.into_iter().map(part).collect(), lists.is_backward, most, &takes);
        let second = |launch: &LaunchKey| i64::from_str_radix(&launch.id, 16).expect("is a number");
        pages.push(listed.launches.iter().map(second).collect());
        after = listed.next;
        if after.is_none() {
            return pages;
        }
        assert!(pages.len() < 100, "it never ends: {pages:?}");
    }
}

#[test]
fn lists_are_merged_by_time_and_each_goes_on_where_it_stopped() {
    let entries: [Entries<'_>; 3] = [("due/0", &[1, 4, 5, 6, 7]), ("due/1", &[2, 3, 8]), ("due/2", &[])];
    let all = |_: &LaunchKey| true;
    // The first list may have more before 8, so the second page ends there.
    assert_eq!(read(&lists(3, false), &entries, 99, all), [vec![1, 2, 3], vec![4, 5], vec![6, 7, 8]]);
    assert_eq!(read(&lists(3, false), &entries, 2, all), [vec![1, 2], vec![3, 4], vec![5, 6], vec![7, 8]]);
    assert_eq!(read(&lists(3, true), &entries, 2, all), [vec![8, 7], vec![6, 5], vec![4, 3], vec![2, 1]]);
    let even = |launch: &LaunchKey| launch.id.ends_with(['2', '4', '6', '8']);
    assert_eq!(read(&lists(3, false), &entries, 2, even).concat(), [2, 4, 6, 8]);
    assert_eq!(read(&lists(1, false), &entries, 2, |_| false).concat(), [0; 0]);
}

#[test]
fn every_launch_is_on_one_page_and_in_order() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut seconds: [Vec<i64>; 3] = Default::default();
        (1..random.i64(2..40)).for_each(|second| seconds[random.usize(0..3)].push(second));
        let entries = [("due/0", &*seconds[0]), ("due/1", &*seconds[1]), ("due/2", &*seconds[2])];
        let lists = Lists { at_once: random.usize(1..5), ..lists(3, random.bool()) };
        let most = random.usize(1..10);
        let pages = read(&lists, &entries, most, |_| true);
        assert!(pages.iter().all(|page| page.len() <= most), "{pages:?}");
        let read = pages.concat();
        assert!(if lists.is_backward { read.iter().rev().is_sorted() } else { read.is_sorted() }, "{read:?}");
        assert_eq!(read.iter().copied().collect::<BTreeSet<_>>(), seconds.concat().into_iter().collect());
        assert_eq!(read.len(), seconds.concat().len(), "each once");
    }
}

#[test]
fn a_page_without_entries_is_not_the_end_if_it_has_a_next() {
    let lists = lists(1, false);
    let empty = Page { items: Vec::new(), next: Some(entry("due/0", 3, 3)) };
    let Listed { launches, next } = merged(vec![lists.part(0, None, empty)], false, 9, |_| true);
    assert_eq!(launches, []);
    let positions = lists.positions(next.as_ref()).expect("is a cursor");
    assert_eq!(positions[&0].as_ref().map(|position| position.at.as_str()), Some("1970-01-01T00:00:03.000Z"));
}

#[test]
fn a_query_names_its_list_and_its_times() {
    let line = |from: Option<i64>, to: Option<i64>| {
        let lists = Lists { from: from.map(time), to: to.map(time), ..lists(1, true) };
        let Query { condition, values, .. } = lists.query(0, None).expect("has a name");
        let mut values: Vec<_> = named(&values).unwrap_or_default().into_iter().collect();
        values.sort_by(|(one, _), (other, _)| one.cmp(other));
        let values = values.iter().map(|(name, value)| format!("{name} {}", value.as_s().expect("is text")));
        format!("{condition} [{}]\n", values.collect::<Vec<_>>().join(", "))
    };
    expect![[r#"
        #list = :list [:list due/0]
        #list = :list AND #at >= :from [:from 1970-01-01T00:00:01.000Z, :list due/0]
        #list = :list AND #at <= :to [:list due/0, :to 1970-01-01T00:00:02.000Z]
        #list = :list AND #at BETWEEN :from AND :to [:from 1970-01-01T00:00:01.000Z, :list due/0, :to 1970-01-01T00:00:02.000Z]
    "#]]
    .assert_eq(&[(None, None), (Some(1), None), (None, Some(2)), (Some(1), Some(2))].map(|(f, t)| line(f, t)).concat());
}

#[test]
fn a_position_is_that_of_its_lists_and_a_list_has_a_name() {
    assert!(lists(2, true).positions(Some(&Cursor("x".to_owned()))).is_err());
    assert!(lists(2, true).positions(Some(&Cursor(r#"{"2":null}"#.to_owned()))).is_err());
    let names = vec![String::new(), "r/0".to_owned(), "x".repeat(2049)];
    let positions = Lists { names, ..lists(1, true) }.positions(None).expect("needs no cursor");
    assert_eq!(positions.into_keys().collect::<Vec<_>>(), [1]);
}
