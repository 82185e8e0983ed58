//! Launches in the order of an index. What spreads over several lists of it is read from all of them at once, and
//! merged.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trigger_core::event::identity::LaunchKey;
use trigger_core::storage::{Index, ItemKind, LIST_NAME_BYTES_MAX};
use trigger_engine::ports::{Cursor, StoreError};

use super::DynamoStore;
use super::calls::{Page, Query};
use super::items::{Item, Key, sortable, text, text_in};

/// Lists of an index that are read as one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lists {
    pub(super) index: Index,
    /// Their names.
    pub(super) names: Vec<String>,
    /// The first time, if not all are asked for.
    pub(super) from: Option<Timestamp>,
    /// The last time, if not all are asked for.
    pub(super) to: Option<Timestamp>,
    /// Whether the latest comes first.
    pub(super) is_backward: bool,
    /// How many launches of each list are read at once.
    pub(super) at_once: usize,
}

/// The next launches of lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub(super) launches: Vec<LaunchKey>,
    /// Where to go on, if there may be more.
    pub(super) next: Option<Cursor>,
}

/// Where lists go on, by their numbers. One that has nothing more is not there.
type Positions = BTreeMap<usize, Option<Position>>;

/// The last launch that was taken from a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    at: String,
    item: String,
    part: String,
}

impl Lists {
    /// Reads the next launches: at most `most` that `takes` picks.
    pub(super) async fn read(
        &self,
        store: &DynamoStore,
        after: Option<&Cursor>,
        most: usize,
        takes: impl Fn(&LaunchKey) -> bool,
    ) -> Result<Listed, StoreError> {
        let positions = self.positions(after).map_err(|reason| store.unavailable(&reason))?;
        let queries: Vec<Query> =
            positions.iter().filter_map(|(list, after)| self.query(*list, after.as_ref())).collect();
        let pages = try_join_all(queries.iter().map(|query| store.query(query))).await?;
        let read = positions.into_iter().zip(pages).map(|((list, position), page)| self.part(list, position, page));
        Ok(merged(read.collect(), self.is_backward, most, takes))
    }

    fn positions(&self, after: Option<&Cursor>) -> Result<Positions, String> {
        let is_possible = |(list, _): &(usize, &String)| (1..=LIST_NAME_BYTES_MAX).contains(&self.names[*list].len());
        let Some(Cursor(after)) = after else {
            return Ok(self.names.iter().enumerate().filter(is_possible).map(|(list, _)| (list, None)).collect());
        };
        let positions: Positions = serde_json::from_str(after)
            .map_err(|error| format!("the position in the list is not readable: {error}"))?;
        match positions.keys().all(|list| *list < self.names.len()) {
            true => Ok(positions),
            false => Err("the position in the list is that of another list".to_owned()),
        }
    }

    /// Returns the query of the next launches of a list.
    fn query(&self, list: usize, after: Option<&Position>) -> Option<Query> {
        let name = self.names.get(list)?;
        let [partition, sort] = self.index.key();
        let mut condition = format!("#{partition} = :list");
        condition += &match (self.from, self.to) {
            (Some(_), Some(_)) => format!(" AND #{sort} BETWEEN :from AND :to"),
            (Some(_), None) => format!(" AND #{sort} >= :from"),
            (None, Some(_)) => format!(" AND #{sort} <= :to"),
            (None, None) => String::new(),
        };
        let times = [(":from", self.from), (":to", self.to)].into_iter();
        let times = times.filter_map(|(value, time)| Some((value, text(sortable(time?)))));
        let start = |Position { at, item, part }: &Position| {
            let key = Key { item: item.clone(), part: part.clone() };
            let of_index = [(partition.to_owned(), text(name)), (sort.to_owned(), text(at))];
            key.attributes().into_iter().chain(of_index).collect()
        };
        Some(Query {
            index: Some(self.index),
            condition,
            values: std::iter::once((":list", text(name))).chain(times).collect(),
            is_backward: self.is_backward,
            limit: Some(i32::try_from(self.at_once).unwrap_or(i32::MAX)),
            after: after.map(start),
        })
    }

    fn part(&self, list: usize, position: Option<Position>, page: Page) -> Part {
        let [_, sort] = self.index.key();
        let entries: VecDeque<Position> = page.items.iter().filter_map(|item| Position::of(item, sort)).collect();
        // An empty page is not the last one if it has a next.
        let skipped = page.next.as_ref().filter(|_| entries.is_empty()).and_then(|next| Position::of(next, sort));
        Part { list, position: skipped.or(position), entries, has_more: page.next.is_some() }
    }
}

impl Position {
    fn of(entry: &Item, sort: &str) -> Option<Self> {
        let Key { item, part } = Key::of(entry)?;
        Some(Self { at: text_in(entry, sort)?.to_owned(), item, part })
    }

    fn launch(&self) -> Option<LaunchKey> {
        LaunchKey::parse(self.item.strip_prefix(ItemKind::Launch.prefix())?)
    }
}

/// What was read of a list.
#[derive(Debug)]
struct Part {
    list: usize,
    /// The last launch that was taken from it.
    position: Option<Position>,
    /// The launches that were read, and not taken yet.
    entries: VecDeque<Position>,
    /// Whether there may be more behind them.
    has_more: bool,
}

impl Part {
    fn is_over(&self) -> bool {
        self.entries.is_empty() && !self.has_more
    }
}

/// Takes launches from the parts in the order of their times.
fn merged(mut parts: Vec<Part>, is_backward: bool, most: usize, takes: impl Fn(&LaunchKey) -> bool) -> Listed {
    let mut launches = Vec::new();
    // A list whose page is used up, but which has further pages, may contain the next launch.
    while launches.len() < most && parts.iter().all(|part| part.is_over() || !part.entries.is_empty()) {
        let waiting = parts.iter_mut().filter(|part| !part.entries.is_empty());
        let in_order = |one: &&mut Part, other: &&mut Part| {
            let [one, other] = [one, other].map(|part| part.entries.front().map(|entry| &entry.at));
            if is_backward { other.cmp(&one) } else { one.cmp(&other) }
        };
        let Some(part) = waiting.min_by(in_order) else { break };
        part.position = part.entries.pop_front();
        launches.extend(part.position.as_ref().and_then(Position::launch).filter(|launch| takes(launch)));
    }
    let open = parts.into_iter().filter(|part| !part.is_over());
    let next: Positions = open.map(|part| (part.list, part.position)).collect();
    let cursor = || Cursor(serde_json::to_string(&next).unwrap_or_default());
    Listed { launches, next: (!next.is_empty()).then(cursor) }
}

#[cfg(test)]
mod tests;
