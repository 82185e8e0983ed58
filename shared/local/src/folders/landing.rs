//! When a file becomes an object: once its writer is done.
//!
//! On Linux the system notifies when a writer closes a file: then the file has landed. On other systems, and if the
//! writing was not seen, a file has landed when it has not changed for [`SETTLE`].
//!
//! [`Landing`] is pure: changes and the time are arguments. [`is_complete`] reads a file's metadata and the clock;
//! [`files_being_written`] reads `/proc`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Where no notification shows that a file is complete, it counts as complete when it has not changed for this long.
pub const SETTLE: Duration = Duration::from_secs(2);

/// A change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The file was found; whether it is complete is not known.
    Found,
    /// The file was written to.
    Written,
    /// A writer closed the file, or the file was moved here whole.
    Closed,
    /// The file was removed.
    Removed,
}

/// An object that was created or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// The file at this path is complete.
    Created(PathBuf),
    /// The file at this path was removed.
    Deleted(PathBuf),
}

/// The files that have changed but not landed yet.
#[derive(Debug)]
pub struct Landing {
    /// Whether the system notifies when a writer closes a file.
    close_is_told: bool,
    /// When a file lands if it does not change again; `None` if it lands only when its writer closes it.
    due: BTreeMap<PathBuf, Option<Instant>>,
}

impl Landing {
    /// Creates an empty set. `close_is_told`: the system notifies when a writer closes a file.
    pub fn new(close_is_told: bool) -> Self {
        Self { close_is_told, due: BTreeMap::new() }
    }

    /// Records a change. Returns the object that it created or deleted, if any.
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
                // A file that never landed was never an object, so no object is deleted.
                let unborn = self.due.remove(path).is_some();
                (!unborn).then(|| Landed::Deleted(path.to_owned()))
            }
        }
    }

    /// Forgets a file that is an object already.
    pub fn forget(&mut self, path: &Path) {
        self.due.remove(path);
    }

    /// Returns the files that have landed by now because they did not change again.
    pub fn settled(&mut self, now: Instant) -> Vec<PathBuf> {
        let settled = self.due.extract_if(.., |_, due| due.is_some_and(|due| due <= now));
        settled.map(|(path, _)| path).collect()
    }

    /// Returns when [`settled`](Self::settled) has a file next.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.values().flatten().min().copied()
    }
}

/// Returns whether a file that was found is complete: no process is known to write it, and it has not changed for
/// [`SETTLE`].
pub fn is_complete(path: &Path, being_written: &HashSet<PathBuf>) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    // Waiting does not help for a file that is gone or was modified in the future.
    let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_none_or(|age| age >= SETTLE) && !being_written.contains(path)
}

/// Returns the files that processes of this user have open for writing. Only Linux lists them, in `/proc`.
pub fn files_being_written() -> HashSet<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let descriptors =
        processes.flat_map(|process| fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten());
    descriptors
        .filter(|descriptor| is_for_writing(&descriptor.path()))
        .filter_map(|file| fs::read_link(file.path()).ok())
        .collect()
}

/// Returns whether a descriptor such as `/proc/1/fd/3` is open for writing. Its flags are octal; the last digit is the
/// access mode.
fn is_for_writing(descriptor: &Path) -> bool {
    let (Some(process), Some(number)) = (descriptor.parent().and_then(Path::parent), descriptor.file_name()) else {
        return false;
    };
    let info = fs::read_to_string(process.join("fdinfo").join(number)).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.is_some_and(|flags| flags.trim_end().ends_with(['1', '2']))
}

#[cfg(test)]
mod tests;
