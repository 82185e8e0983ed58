//! When a file becomes an object: once nobody writes it any more.
//!
//! Where the system tells that a writer has closed a file (Linux), that is the moment. A file whose writing was not seen, or
//! on a system that does not tell, has landed when it stayed the same for [`SETTLE`]. Pure: time is an argument.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file must stay the same where nothing else tells that it is complete.
pub const SETTLE: Duration = Duration::from_secs(2);

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is there; who wrote it, and whether it is complete, is not known.
    Found,
    /// Someone writes it.
    Written,
    /// A writer has closed it, or it was moved here whole.
    Closed,
    /// It is gone.
    Removed,
}

/// What a file has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// It is complete: an object was created.
    Created(PathBuf),
    /// It is gone: an object was deleted.
    Deleted(PathBuf),
}

/// The files of which something is still to come.
#[derive(Debug)]
pub struct Landing {
    /// Whether the system tells when a writer closes a file.
    close_is_told: bool,
    /// When a file has landed if nothing more happens to it; `None`: not before its writer closes it.
    due: BTreeMap<PathBuf, Option<Instant>>,
}

impl Landing {
    /// No file yet.
    pub fn new(close_is_told: bool) -> Self {
        Self { close_is_told, due: BTreeMap::new() }
    }

    /// Takes note of a change; returns what a file became by it.
    pub fn change(&mut self, path: &Path, change: Change, now: Instant) -> Option<Landed> {
        match change {
            Change::Found => {
                self.due.entry(path.to_owned()).or_insert(Some(now + SETTLE));
                None
            }
            Change::Written => {
                let due = (!self.close_is_told).then(|| now + SETTLE);
                self.due.insert(path.to_owned(), due);
                None
            }
            Change::Closed => {
                self.due.remove(path);
                Some(Landed::Created(path.to_owned()))
            }
            Change::Removed => {
                // A file that never was an object is not deleted as one.
                let unborn = self.due.remove(path).is_some();
                (!unborn).then(|| Landed::Deleted(path.to_owned()))
            }
        }
    }

    /// The files that have landed by now, because nothing more happened to them.
    pub fn settled(&mut self, now: Instant) -> Vec<PathBuf> {
        let settled = self.due.extract_if(.., |_, due| due.is_some_and(|due| due <= now));
        settled.map(|(path, _)| path).collect()
    }

    /// When [`settled`](Self::settled) will next have something.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.values().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests;
