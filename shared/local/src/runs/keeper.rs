//! Writes the launches of `dev` into files, and removes the oldest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Conclusion, LaunchRecord, Outcome};

use super::log::{LogFile, LogLine};
use super::{ENDED_MAX, RECORD, Runs};
use crate::folders::write_whole;
use crate::payloads::STATE_FOLDER;

/// Of the output of a container in one attempt, no more bytes than this are kept.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// The reason that is recorded for tasks and launches that an earlier `dev` left running.
pub(crate) const ENDED_WITH_DEV: &str = "`dev` ended before the task did";

/// Writes the launches' records and the output of their containers. What cannot be written is noted, and stops nothing.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    runs: Runs,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ended: Ended,
    /// The open files with output, by launch, attempt and container.
    logs: BTreeMap<(LaunchKey, u32, String), Log>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Log {
    file: File,
    length: u64,
}

/// The launches that have ended, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Ended {
    times: HashMap<String, Timestamp>,
    in_order: BTreeSet<(Timestamp, String)>,
}

impl Ended {
    /// Notes when a launch ended, or that it has not.
    pub(super) fn note(&mut self, id: &str, ended: Option<Timestamp>) {
        if let Some(before) = self.times.remove(id) {
            self.in_order.remove(&(before, id.to_owned()));
        }
        if let Some(at) = ended {
            self.times.insert(id.to_owned(), at);
            self.in_order.insert((at, id.to_owned()));
        }
    }

    /// Takes out the ids of the earliest launches, so that at most `max` are left.
    pub(super) fn take_surplus(&mut self, max: usize) -> Vec<String> {
        let mut surplus = Vec::new();
        while self.in_order.len() > max
            && let Some((_, id)) = self.in_order.pop_first()
        {
            self.times.remove(&id);
            surplus.push(id);
        }
        surplus
    }
}

impl Keeper {
    /// Opens the files of a project, of which the store, if there is one, knows these launches. Brings their records up to
    /// date, ends the launches that the store does not know, and removes the oldest.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(crate) fn open<'a>(project: &Path, known: impl IntoIterator<Item = &'a LaunchRecord>) -> io::Result<Self> {
        let runs = Runs::open(project);
        fs::create_dir_all(&runs.folder)?;
        let ignored = project.join(STATE_FOLDER).join(".gitignore");
        if !ignored.exists() {
            fs::write(ignored, "*\n")?;
        }
        let keeper = Self { runs, state: Arc::default() };
        keeper.catch_up(known.into_iter().collect(), Timestamp::now());
        Ok(keeper)
    }

    fn catch_up(&self, known: Vec<&LaunchRecord>, now: Timestamp) {
        let ids: HashSet<&str> = known.iter().map(|record| record.key.id.as_str()).collect();
        for id in self.runs.ids().iter().filter(|id| !ids.contains(id.as_str())) {
            match self.runs.record(id) {
                Ok(record) if record.ended.is_none() => {
                    let outcome = Outcome::DeadLettered(ENDED_WITH_DEV.to_owned());
                    let ended = Some(Conclusion { at: now, outcome });
                    self.keep(&LaunchRecord { concluding: None, ended, ..record });
                }
                Ok(record) => self.state().ended.note(id, record.ended.map(|ended| ended.at)),
                // Its record was never written, or is one of another release. It goes first.
                Err(_) => self.state().ended.note(id, Some(Timestamp::MIN)),
            }
        }
        let mut ended: Vec<&LaunchRecord> = known.iter().copied().filter(|record| record.ended.is_some()).collect();
        ended.sort_by_key(|record| std::cmp::Reverse(record.ended.as_ref().map(|ended| ended.at)));
        let open = known.iter().copied().filter(|record| record.ended.is_none());
        for record in ended.into_iter().take(ENDED_MAX).chain(open) {
            match self.runs.record(&record.key.id) {
                Ok(there) if there == *record => self.note_end(record),
                _ => self.keep(record),
            }
        }
        self.prune();
    }

    /// Writes the record of a launch, and removes the oldest launches if there are too many.
    pub(crate) fn keep(&self, record: &LaunchRecord) {
        let path = self.runs.folder_of(&record.key.id).join(RECORD);
        self.hear(write_whole(&path, &format!("{}\n", record.to_json())), &path);
        self.note_end(record);
        if record.ended.is_some() {
            self.prune();
        }
    }

    fn note_end(&self, record: &LaunchRecord) {
        self.state().ended.note(&record.key.id, record.ended.as_ref().map(|ended| ended.at));
    }

    fn prune(&self) {
        let surplus = self.state().ended.take_surplus(ENDED_MAX);
        for id in surplus {
            let folder = self.runs.folder_of(&id);
            self.hear(fs::remove_dir_all(&folder), &folder);
        }
    }

    /// Adds a line to the output of a container.
    pub(crate) fn add_line(&self, launch: &LaunchKey, attempt: u32, container: &str, line: &LogLine) {
        let folder = self.runs.folder_of(&launch.id);
        let path = LogFile::new(&folder, attempt, container).path;
        let mut state = self.state();
        let written = state.log(launch, attempt, container, &folder, &path).and_then(|log| log.add(line));
        drop(state);
        self.hear(written, &path);
    }

    /// Closes the files with the output of an attempt.
    pub(crate) fn close(&self, launch: &LaunchKey, attempt: u32) {
        self.state().logs.retain(|(of, number, _), _| (of, *number) != (launch, attempt));
    }

    /// Returns why something could not be written, once.
    pub(crate) fn take_problem(&self) -> Option<String> {
        self.state().problem.take()
    }

    fn hear(&self, result: io::Result<()>, path: &Path) {
        if let Err(error) = result {
            let problem = format!("cannot keep {}: {error}", path.display());
            self.state().problem.get_or_insert(problem);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the file with the output of a container; opens it if it is not open.
    fn log(
        &mut self,
        launch: &LaunchKey,
        attempt: u32,
        container: &str,
        folder: &Path,
        path: &Path,
    ) -> io::Result<&mut Log> {
        match self.logs.entry((launch.clone(), attempt, container.to_owned())) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(vacant) => {
                fs::create_dir_all(folder)?;
                let file = File::options().append(true).create(true).open(path)?;
                let length = file.metadata()?.len();
                Ok(vacant.insert(Log { file, length }))
            }
        }
    }
}

impl Log {
    fn add(&mut self, line: &LogLine) -> io::Result<()> {
        if self.length >= OUTPUT_BYTES_MAX {
            return Ok(());
        }
        let mut text = line.write() + "\n";
        self.length += text.len() as u64;
        if self.length >= OUTPUT_BYTES_MAX {
            let megabytes = OUTPUT_BYTES_MAX >> 20;
            let last = LogLine { text: format!("`dev` keeps {megabytes} MB of output, and no more"), ..line.clone() };
            text.push_str(&(last.write() + "\n"));
        }
        // In one write, so that no reader sees half a line.
        self.file.write_all(text.as_bytes())
    }
}
