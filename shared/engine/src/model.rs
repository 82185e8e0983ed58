//! A launch store in memory: what the operations of [`LaunchStore`](crate::ports::LaunchStore) mean, in one place. This
//! machine keeps it in a file, and the simulation breaks it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{HistoryQuery, Launches};
use trigger_core::launch::{
    CallTimes, LaunchRecord, LaunchSet, Line, Place, Pool, Sequence, SetChange, SetCounts, Slot, SlotsChange,
    SlotsChangeKind, later,
};

use crate::ports::{Begun, Change, Cursor, DuePage, HistoryPage, StoreError, Stored, postponed_by};

/// A list of what is due has at most this many launches.
const PAGE: usize = 1000;

/// A launch store in memory.
#[derive(Debug, Clone, Default)]
pub struct StoreModel {
    launches: BTreeMap<String, Launch>,
    due: BTreeSet<(Timestamp, String)>,
    lines: BTreeMap<String, StoredLine>,
    sequences: BTreeMap<String, String>,
    sets: BTreeMap<String, StoredSet>,
    rates: BTreeMap<String, Timestamp>,
}

/// One item of the store, as text: what a file needs to keep of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The item's name.
    pub name: String,
    /// The item's content, or nothing if the item is gone.
    pub content: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Launch {
    record: LaunchRecord,
    version: u64,
    /// When the launch is due. Nothing once it has ended.
    due: Option<Timestamp>,
    /// How often the launch could not be continued since it was written.
    failures: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct StoredLine {
    next_ticket: u64,
    used: u32,
    /// The launches with a place, and whether they hold a slot, by their tickets.
    places: BTreeMap<u64, (LaunchKey, bool)>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct StoredSet {
    set: Option<LaunchSet>,
    counts: SetCounts,
}

impl StoreModel {
    /// Draws tickets. Returns the first of them.
    pub fn draw_tickets(&mut self, limit: &str, count: u32) -> u64 {
        let line = self.lines.entry(limit.to_owned()).or_default();
        let first = line.next_ticket;
        line.next_ticket += u64::from(count);
        first
    }

    /// Records a launch if it is not known.
    pub fn begin(&mut self, record: &LaunchRecord) -> Begun {
        let key = record.key.to_string();
        if let Some(known) = self.launches.get(&key) {
            return Begun::Known(Box::new(known.stored()));
        }
        if record.slot == Some(Slot::Waiting)
            && let (Some(concurrency), Some(ticket)) = (&record.concurrency, record.ticket)
        {
            let line = self.lines.entry(concurrency.slots.clone()).or_default();
            line.places.insert(ticket, (record.key.clone(), false));
        }
        self.put(key, record.clone(), 1);
        Begun::New(1)
    }

    /// Reads a launch.
    pub fn read(&self, key: &LaunchKey) -> Option<Stored> {
        self.launches.get(&key.to_string()).map(Launch::stored)
    }

    /// Replaces a record, and what changes with it.
    ///
    /// # Errors
    /// The version is another one, or the slots are taken.
    pub fn advance(&mut self, change: &Change) -> Result<Stored, StoreError> {
        if self.version(&change.record.key) != Some(change.version) {
            return Err(StoreError::Changed);
        }
        if let Some(slots) = &change.slots {
            self.change_slots(slots, &change.record.key)?;
        }
        if let Some(set) = &change.set {
            self.count(set);
        }
        Ok(self.replace(change))
    }

    fn replace(&mut self, change: &Change) -> Stored {
        let (record, version) = (change.record.clone(), change.version + 1);
        self.put(record.key.to_string(), record.clone(), version);
        Stored { record, version }
    }

    /// Replaces the records of two launches: the first releases its slot, and the second takes it.
    ///
    /// # Errors
    /// The version of one of them is another one.
    pub fn hand_over(&mut self, released: &Change, taken: &Change) -> Result<[Stored; 2], StoreError> {
        if self.version(&released.record.key) != Some(released.version) {
            return Err(StoreError::Changed);
        }
        if self.version(&taken.record.key) != Some(taken.version) {
            return Err(StoreError::NoSlots);
        }
        if let (Some(leaves), Some(takes)) = (&released.slots, &taken.slots) {
            let line = self.lines.entry(takes.limit.clone()).or_default();
            leaves.ticket.map(|ticket| line.places.remove(&ticket));
            let place = takes.ticket.and_then(|ticket| line.places.get_mut(&ticket));
            place.into_iter().for_each(|(_, is_held)| *is_held = true);
        }
        Ok([released, taken].map(|change| {
            change.set.iter().for_each(|set| self.count(set));
            self.replace(change)
        }))
    }

    fn version(&self, launch: &LaunchKey) -> Option<u64> {
        self.launches.get(&launch.to_string()).map(|known| known.version)
    }

    /// Counts a launch of a set that changes its state.
    pub fn count(&mut self, change: &SetChange) {
        self.sets.entry(change.set.clone()).or_default().counts.count(change);
    }

    /// Changes the slots of a limit, and the launch's place in line.
    ///
    /// # Errors
    /// The slots are taken.
    pub fn change_slots(&mut self, change: &SlotsChange, launch: &LaunchKey) -> Result<(), StoreError> {
        let line = self.lines.entry(change.limit.clone()).or_default();
        match change.kind {
            SlotsChangeKind::Take if line.used >= change.max => return Err(StoreError::NoSlots),
            SlotsChangeKind::Take => {
                line.used += 1;
                let place = change.ticket.and_then(|ticket| line.places.get_mut(&ticket));
                place.into_iter().for_each(|(_, is_held)| *is_held = true);
            }
            SlotsChangeKind::Release => {
                line.used = line.used.saturating_sub(1);
                change.ticket.map(|ticket| line.places.remove(&ticket));
            }
            SlotsChangeKind::Leave => drop(change.ticket.map(|ticket| line.places.remove(&ticket))),
            SlotsChangeKind::Join => {
                change.ticket.map(|ticket| line.places.insert(ticket, (launch.clone(), false)));
            }
        }
        Ok(())
    }

    fn put(&mut self, key: String, record: LaunchRecord, version: u64) {
        let before = self.launches.get(&key).and_then(|launch| launch.due);
        before.map(|due| self.due.remove(&(due, key.clone())));
        let due = record.ended.is_none().then_some(record.due);
        due.map(|due| self.due.insert((due, key.clone())));
        self.launches.insert(key, Launch { record, version, due, failures: 0 });
    }

    /// Returns the line of a limit.
    pub fn line(&self, limit: &str) -> Line {
        let Some(line) = self.lines.get(limit) else { return Line::default() };
        let place = |(ticket, (launch, is_held)): (&u64, &(LaunchKey, bool))| Place {
            ticket: *ticket,
            launch: launch.clone(),
            is_held: *is_held,
        };
        Line { used: line.used, places: line.places.iter().map(place).collect() }
    }

    /// Returns every line that is in use.
    pub fn lines(&self) -> impl Iterator<Item = (&String, Line)> {
        self.lines.keys().map(|limit| (limit, self.line(limit)))
    }

    /// Records the latest launched event of an object. Returns false if a later one is recorded.
    pub fn take_turn(&mut self, sequence: &Sequence) -> bool {
        let rank = sequence.rank();
        let last = self.sequences.entry(sequence.name.clone()).or_default();
        if rank < *last {
            return false;
        }
        *last = rank;
        true
    }

    /// Records a launch set.
    pub fn record_set(&mut self, set: &LaunchSet) {
        self.sets.entry(set.name.clone()).or_default().set.get_or_insert_with(|| set.clone());
    }

    /// Returns a launch set and its counts.
    pub fn read_set(&self, name: &str) -> Option<(LaunchSet, SetCounts)> {
        let stored = self.sets.get(name)?;
        Some((stored.set.clone()?, stored.counts))
    }

    /// Returns what is due.
    pub fn due(&self, until: Timestamp, after: Option<Cursor>) -> DuePage {
        let after = after.as_ref().and_then(place_in);
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let later_ones = self.due.range((from, std::ops::Bound::Unbounded));
        let due: Vec<&(Timestamp, String)> = later_ones.take_while(|(at, _)| *at <= until).take(PAGE).collect();
        let next = due.last().filter(|_| due.len() == PAGE).map(|(at, key)| cursor(*at, key));
        DuePage { launches: due.iter().filter_map(|(_, key)| LaunchKey::parse(key)).collect(), next }
    }

    /// Returns launches that a query asks for.
    pub fn history(&self, query: &HistoryQuery, after: Option<&Cursor>) -> HistoryPage {
        let after = after.and_then(place_in);
        let in_order = |one: &(Timestamp, &str), other: &(Timestamp, &str)| match query.of {
            Launches::Open => one.cmp(other),
            Launches::All | Launches::Failed | Launches::Of(_) => other.cmp(one),
        };
        let taken = self.launches.iter().filter(|(_, launch)| query.takes(&launch.record));
        let mut found: Vec<_> = taken.map(|(key, launch)| ((launch.place_for(query), key.as_str()), launch)).collect();
        if let Some((at, key)) = &after {
            found.retain(|(place, _)| in_order(place, &(*at, key)).is_gt());
        }
        found.sort_by(|(one, _), (other, _)| in_order(one, other));
        let page = query.page_size();
        let next = found.get(page - 1).filter(|_| found.len() > page).map(|((at, key), _)| cursor(*at, key));
        let launches = found.into_iter().take(page).map(|(_, launch)| launch.stored()).collect();
        HistoryPage { launches, unreadable: Vec::new(), next }
    }

    /// Returns the first time at which a launch is due.
    pub fn first_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns every launch.
    pub fn launches(&self) -> impl Iterator<Item = &LaunchRecord> {
        self.launches.values().map(|launch| &launch.record)
    }

    /// Makes a launch due later.
    pub fn postpone(&mut self, key: &LaunchKey, now: Timestamp) {
        let key = key.to_string();
        let Some(launch) = self.launches.get_mut(&key) else { return };
        let Some(due) = launch.due else { return };
        launch.failures += 1;
        let later = later(now, postponed_by(launch.failures));
        launch.due = Some(later);
        self.due.remove(&(due, key.clone()));
        self.due.insert((later, key));
    }

    /// Reserves calls of RunTask.
    pub fn reserve_calls(
        &mut self,
        pool: Pool,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> Option<CallTimes> {
        let next = self.rates.get(pool.as_str()).copied();
        let (times, next) = pool.rate().reserve(next, calls, now, longest)?;
        self.rates.insert(pool.as_str().to_owned(), next);
        Some(times)
    }

    /// Makes all calls pause.
    pub fn slow_down(&mut self, pool: Pool, now: Timestamp) {
        let next = self.rates.get(pool.as_str()).copied();
        self.rates.insert(pool.as_str().to_owned(), pool.rate().after_throttle(next, now));
    }

    /// Returns the current content of a launch.
    pub fn item_of_launch(&self, key: &LaunchKey) -> Item {
        Item { name: format!("launch {key}"), content: self.launches.get(&key.to_string()).map(to_json) }
    }

    /// Returns the current content of a line.
    pub fn item_of_line(&self, limit: &str) -> Item {
        Item { name: format!("line {limit}"), content: self.lines.get(limit).map(to_json) }
    }

    /// Returns the current content of a launch set.
    pub fn item_of_set(&self, name: &str) -> Item {
        Item { name: format!("set {name}"), content: self.sets.get(name).map(to_json) }
    }

    /// Returns the current content of an object's sequence.
    pub fn item_of_sequence(&self, name: &str) -> Item {
        Item { name: format!("sequence {name}"), content: self.sequences.get(name).cloned() }
    }

    /// Adds an item that a file has kept.
    ///
    /// # Errors
    /// The item cannot be read.
    pub fn restore(&mut self, name: &str, content: &str) -> Result<(), String> {
        let (kind, name) = name.split_once(' ').ok_or_else(|| format!("unknown item `{name}`"))?;
        let unreadable = |error: serde_json::Error| error.to_string();
        match kind {
            "launch" => {
                let launch: Launch = serde_json::from_str(content).map_err(unreadable)?;
                launch.due.map(|due| self.due.insert((due, name.to_owned())));
                self.launches.insert(name.to_owned(), launch);
            }
            "line" => drop(self.lines.insert(name.to_owned(), serde_json::from_str(content).map_err(unreadable)?)),
            "set" => drop(self.sets.insert(name.to_owned(), serde_json::from_str(content).map_err(unreadable)?)),
            "sequence" => drop(self.sequences.insert(name.to_owned(), content.to_owned())),
            _ => return Err(format!("unknown item `{kind} {name}`")),
        }
        Ok(())
    }
}

impl Launch {
    /// Returns the time that sorts the launch in the list of a query.
    fn place_for(&self, query: &HistoryQuery) -> Timestamp {
        match query.of {
            Launches::Open => self.due.unwrap_or(self.record.due),
            Launches::All | Launches::Failed | Launches::Of(_) => query.time(&self.record),
        }
    }

    fn stored(&self) -> Stored {
        let due = self.due.unwrap_or(self.record.due);
        Stored { record: LaunchRecord { due, ..self.record.clone() }, version: self.version }
    }
}

/// Returns the cursor of what comes after a launch in a list that is sorted by times.
fn cursor(at: Timestamp, key: &str) -> Cursor {
    Cursor(format!("{at} {key}"))
}

fn place_in(Cursor(text): &Cursor) -> Option<(Timestamp, String)> {
    let (at, key) = text.split_once(' ')?;
    Some((at.parse().ok()?, key.to_owned()))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
