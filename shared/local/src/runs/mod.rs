//! The launches of `dev` as files, which other processes read while `dev` runs: `.ecs-trigger/runs`.
//!
//! Each launch has a folder, named by its id, with its record and the output of its containers.
//!
//! - [`Runs`] - reads them;
//! - [`keeper`] - writes and prunes them, while `dev` runs;
//! - [`log`] - a line of output, and the names of the files with output.

pub(crate) mod keeper;
pub mod log;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{HistoryQuery, Launches, is_named};
use trigger_core::launch::LaunchRecord;

use self::log::LogFile;
use crate::payloads::STATE_FOLDER;

/// The folder of all launches, within [`STATE_FOLDER`].
const FOLDER: &str = "runs";
/// The file with a launch's record.
const RECORD: &str = "record.json";
/// The oldest launches that have ended are removed when there are more than this.
pub const ENDED_MAX: usize = 1000;
/// A message names at most this many of the launches that an id may mean.
const NAMED_MAX: usize = 3;

/// The launches of a project, as `dev` has written them.
#[derive(Debug, Clone)]
pub struct Runs {
    folder: PathBuf,
}

/// Why a launch cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// No launch has such an id.
    #[error("no launch and no task of this project has an id that begins with `{0}`")]
    Unknown(
        /// What was asked for.
        String,
    ),
    /// Several launches have such an id.
    #[error("{count} launches have an id that begins with `{prefix}`, such as {}; write more of it", examples.join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many launches it may mean.
        count: usize,
        /// The names of some of them.
        examples: Vec<String>,
    },
    /// The launch's record cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The record's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Runs {
    /// Opens the launches of the project in a folder. There are none if `dev` has not run there.
    pub fn open(project: &Path) -> Self {
        Self { folder: project.join(STATE_FOLDER).join(FOLDER) }
    }

    /// Returns all launches that a query asks for, in the order of its list. Leaves out those whose records cannot be read.
    pub fn history(&self, query: &HistoryQuery) -> Vec<LaunchRecord> {
        let records = self.ids().into_iter().filter_map(|id| self.record(&id).ok());
        sorted(records.filter(|record| query.takes(record)).collect(), query)
    }

    /// Returns the launch with this name, or with an id that begins with this text. The id may also be that of one of its
    /// tasks.
    ///
    /// # Errors
    /// There is no such launch, there are several, or its record cannot be read.
    pub fn read(&self, named: &str) -> Result<LaunchRecord, NotRead> {
        let id = named.rsplit('/').next().unwrap_or_default();
        let mut found = Vec::new();
        for id in self.ids().into_iter().filter(|known| known.starts_with(id)) {
            found.push(self.record(&id)?);
        }
        found.retain(|record| !named.contains('/') || record.key.to_string().starts_with(named));
        if found.is_empty() {
            let records = self.ids().into_iter().filter_map(|id| self.record(&id).ok());
            found = records.filter(|record| is_named(record, named)).collect();
        }
        only(found, named)
    }

    /// Returns the files with the output of a launch: by attempt, then by container.
    pub fn logs(&self, key: &LaunchKey) -> Vec<LogFile> {
        let entries = fs::read_dir(self.folder_of(&key.id)).into_iter().flatten().flatten();
        let mut files: Vec<LogFile> = entries.filter_map(|entry| LogFile::at(entry.path())).collect();
        files.sort();
        files
    }

    /// Returns the ids of all launches.
    fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn folder_of(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn record(&self, id: &str) -> Result<LaunchRecord, NotRead> {
        let path = self.folder_of(id).join(RECORD);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string());
        text.and_then(|text| LaunchRecord::parse(&text)).map_err(|reason| NotRead::Unreadable { path, reason })
    }
}

/// Sorts launches as the list of a query is sorted.
fn sorted(mut launches: Vec<LaunchRecord>, query: &HistoryQuery) -> Vec<LaunchRecord> {
    let place = |record: &LaunchRecord| -> (Timestamp, String) {
        let time = if query.of == Launches::Open { record.due } else { query.time(record) };
        (time, record.key.to_string())
    };
    launches.sort_by_cached_key(place);
    if query.of != Launches::Open {
        launches.reverse();
    }
    launches
}

/// Returns the only one of the launches that were found.
fn only(mut found: Vec<LaunchRecord>, named: &str) -> Result<LaunchRecord, NotRead> {
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(NotRead::Unknown(named.to_owned())),
        (Some(last), others) => {
            found.push(last);
            let examples = found.iter().take(NAMED_MAX).map(|record| record.key.to_string()).collect();
            Err(NotRead::Ambiguous { prefix: named.to_owned(), count: others + 1, examples })
        }
    }
}

#[cfg(test)]
mod tests;
