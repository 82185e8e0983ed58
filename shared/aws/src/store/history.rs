//! What was launched, and what became of it.

use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{HistoryQuery, Launches};
use trigger_core::storage::{CREATED_SHARDS, FAILED_LIST, Index, route_list};
use trigger_engine::ports::{Cursor, HistoryPage, StoreError};

use super::DynamoStore;
use super::due::open_lists;
use super::items::{self, Key};
use super::lists::{Listed, Lists};

/// If a list has also launches of other routes, this many of each part are read at once. An entry has about 200 bytes.
const WITH_OTHER_ROUTES: usize = 1000;

/// Reads a page of launches: first their names, by an index, then their items.
pub(super) async fn list(
    store: &DynamoStore,
    query: &HistoryQuery,
    after: Option<Cursor>,
) -> Result<HistoryPage, StoreError> {
    let Some(lists) = lists(query) else { return Ok(HistoryPage::default()) };
    let takes = |launch: &LaunchKey| query.route.as_ref().is_none_or(|route| *route == launch.route);
    let Listed { launches, next } = lists.read(store, after.as_ref(), query.page_size(), takes).await?;
    let found = store.get(launches.iter().map(Key::launch)).await?;
    let mut history = HistoryPage { next, ..HistoryPage::default() };
    for launch in launches {
        // One that is not there has expired since the index was written.
        let Some(item) = found.get(&Key::launch(&launch)) else { continue };
        match items::read(&launch, item) {
            // The index may be old, and knows nothing of the filter.
            Ok(stored) if query.takes(&stored.record) => history.launches.push(stored),
            Ok(_) => {}
            Err(reason) => history.unreadable.push((launch, reason)),
        }
    }
    Ok(history)
}

/// Returns the lists that have the launches of a query, or nothing if its span is empty.
fn lists(query: &HistoryQuery) -> Option<Lists> {
    let numbers = 0..CREATED_SHARDS;
    let (index, names) = match (&query.of, &query.route) {
        // Their times are not those of the query.
        (Launches::Open, route) => {
            let at_once = if route.is_some() { WITH_OTHER_ROUTES } else { query.page_size() };
            return Some(open_lists(None, at_once));
        }
        (Launches::All, None) => (Index::Created, numbers.map(|number| number.to_string()).collect()),
        (Launches::All, Some(route)) => (Index::Route, numbers.map(|number| route_list(route, number)).collect()),
        (Launches::Failed, None) => (Index::Time, vec![FAILED_LIST.to_owned()]),
        (Launches::Failed, Some(route)) => (Index::Failures, vec![route.clone()]),
        (Launches::Of(object), _) => (Index::Object, vec![object.to_string()]),
    };
    let has_others = index == Index::Object && query.route.is_some();
    // A query's last millisecond is not part of its span, but of a range of texts.
    let last = query.until.map(|until| Timestamp::from_millisecond(until.as_millisecond() - 1));
    let to = last.transpose().ok()?;
    let is_empty = query.since.zip(to).is_some_and(|(from, to)| from.as_millisecond() > to.as_millisecond());
    (!is_empty).then(|| Lists {
        index,
        names,
        from: query.since,
        to,
        is_backward: true,
        at_once: if has_others { WITH_OTHER_ROUTES } else { query.page_size() },
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::Timestamp;
    use trigger_core::history::{HistoryQuery, Launches, ObjectName};

    use super::{Lists, lists};

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("is a time"))
    }

    #[test]
    fn a_query_reads_the_lists_that_have_its_launches() {
        let line = |of: &Launches, route: Option<&str>| {
            let route = route.map(str::to_owned);
            let Lists { index, names, is_backward, at_once, .. } =
                lists(&HistoryQuery { route, ..HistoryQuery::new(of.clone()) }).expect("has a span");
            let order = if is_backward { "backward" } else { "forward" };
            format!("{} {}: {order}, {at_once}\n", index.name(), names.join(", "))
        };
        let object = ObjectName { bucket: "uploads".to_owned(), key: "in/a.csv".to_owned() };
        let all = [Launches::All, Launches::Failed, Launches::Of(object), Launches::Open];
        let lines = all.iter().flat_map(|of| [line(of, None), line(of, Some("r"))]);
        expect![[r#"
            created 0, 1: backward, 100
            route r/0, r/1: backward, 100
            time failed: backward, 100
            failures r: backward, 100
            object uploads/in/a.csv: backward, 100
            object uploads/in/a.csv: backward, 1000
            time due/0, due/1, due/2, due/3: forward, 100
            time due/0, due/1, due/2, due/3: forward, 1000
        "#]]
        .assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn a_span_begins_with_its_first_millisecond_and_ends_before_its_last() {
        let span = |since: Option<Timestamp>, until: Option<Timestamp>| {
            let lists = lists(&HistoryQuery { since, until, ..HistoryQuery::new(Launches::All) })?;
            Some((lists.from, lists.to))
        };
        let (first, last) = (at("2026-01-31T12:00:00Z"), at("2026-01-31T12:00:00.005Z"));
        assert_eq!(span(first, last), Some((first, at("2026-01-31T12:00:00.004Z"))));
        assert_eq!(span(None, None), Some((None, None)));
        for until in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.0009Z", "2026-01-31T11:00:00Z"] {
            assert_eq!(span(first, at(until)), None, "{until}");
        }
        assert_eq!(span(None, Some(Timestamp::MIN)), None);
    }
}
