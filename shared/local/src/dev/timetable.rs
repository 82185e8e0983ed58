//! When each schedule fires while `dev` runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use trigger_core::routing::{Route, RoutingConfig};
use trigger_core::schedule::{CatchUp, Schedule};

use crate::payloads::STATE_FOLDER;

/// A firing that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The scheduled time.
    pub time: Timestamp,
    /// The route's name.
    pub route: String,
}

/// The future firings of a config's schedules.
#[derive(Debug)]
pub struct Timetable {
    /// The start of the timetable.
    pub began: Timestamp,
    entries: Vec<Entry>,
    /// The file that records what has fired, for schedules that catch up.
    memory: Option<PathBuf>,
}

#[derive(Debug)]
struct Entry {
    route: String,
    schedule: Schedule,
    next: Option<Timestamp>,
    /// When the schedule began, which a rate counts from.
    began: Timestamp,
}

impl Entry {
    /// Creates the entry of a route's schedule, if that is enabled. It began at `began` and fires next after `after`.
    fn new(route: &Route, after: Timestamp, began: Timestamp) -> Option<Self> {
        let schedule = route.schedule().filter(|schedule| schedule.enabled)?.clone();
        let next = schedule.next_after(after, began);
        Some(Self { route: route.name.clone(), schedule, next, began })
    }
}

impl Timetable {
    /// Creates a timetable of the enabled schedules from `now` on. With a pretended clock, firings are not recorded.
    pub fn new(config: &RoutingConfig, project: &Path, now: Timestamp, pretended: bool) -> Self {
        // A firing at exactly `now` must be included.
        let just_before = now.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(now);
        Self {
            began: now,
            entries: config.routes.iter().filter_map(|route| Entry::new(route, just_before, now)).collect(),
            memory: (!pretended).then(|| project.join(STATE_FOLDER).join("schedules.json")),
        }
    }

    /// Takes the schedules from another version of the config. One that is new or has changed begins now.
    pub fn renew(&mut self, config: &RoutingConfig, now: Timestamp) {
        let mut before = std::mem::take(&mut self.entries);
        let entry = |route: &Route| {
            let new = Entry::new(route, now, now)?;
            let same = before.iter().position(|entry| entry.route == new.route && entry.schedule == new.schedule);
            Some(same.map_or(new, |position| before.swap_remove(position)))
        };
        self.entries = config.routes.iter().filter_map(entry).collect();
    }

    /// Returns each schedule's route and next firing.
    pub fn coming(&self) -> impl Iterator<Item = (&str, Option<Timestamp>)> {
        self.entries.iter().map(|entry| (entry.route.as_str(), entry.next))
    }

    /// Returns the time of the next firing of all schedules.
    pub fn next(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.next).min()
    }

    /// Returns the firings that are due, in order, and removes them.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            while let Some(time) = entry.next.filter(|time| *time <= now) {
                due.push(Due { time, route: entry.route.clone() });
                entry.next = entry.schedule.next_after(time, entry.began);
            }
        }
        due.sort();
        due
    }

    /// Returns the last firing that each schedule that catches up has missed since `dev` last ran for this project.
    pub fn missed(&self) -> Vec<Due> {
        let Some(memory) = &self.memory else { return Vec::new() };
        let remembered = read(memory);
        let missed = self.catching_up().filter_map(|entry| {
            let since = *remembered.get(&entry.route)?;
            let just_before = self.began.checked_sub(SignedDuration::from_nanos(1)).ok()?;
            let time = entry.schedule.last_in(since, just_before, since)?;
            Some(Due { time, route: entry.route.clone() })
        });
        missed.collect()
    }

    /// Records that everything up to `now` has fired.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember(&self, now: Timestamp) -> io::Result<()> {
        let Some(memory) = self.memory.as_ref().filter(|_| self.catching_up().next().is_some()) else { return Ok(()) };
        let times: BTreeMap<&str, String> =
            self.catching_up().map(|entry| (entry.route.as_str(), now.to_string())).collect();
        fs::create_dir_all(memory.parent().unwrap_or(memory))?;
        fs::write(memory, serde_json::to_string_pretty(&times)?)
    }

    fn catching_up(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.schedule.catch_up == Some(CatchUp::Last))
    }
}

/// Reads the recorded times. Returns nothing if the file is missing or invalid.
fn read(memory: &Path) -> BTreeMap<String, Timestamp> {
    let text = fs::read_to_string(memory).unwrap_or_default();
    let times: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
    times.into_iter().filter_map(|(route, time)| Some((route, time.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests;
