//! When a file becomes an object: once nobody writes it any more.
//!
//! Where the system tells that a writer has closed a file (Linux), that is the moment. A file whose writing was not seen, or
//! on a system that does not tell, has landed when it stayed the same for [`SETTLE`]. Pure: time is an argument.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

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

/// Whether a file that was found lying there is complete: nobody is known to write it, and it stayed the same for a while.
pub fn is_complete(path: &Path, being_written: &HashSet<PathBuf>) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    // What is gone or in the future will not become more complete by waiting.
    let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_none_or(|age| age >= SETTLE) && !being_written.contains(path)
}

/// The files that processes of this user have open for writing, as far as the system tells: Linux does, by `/proc`.
pub fn files_being_written() -> HashSet<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let descriptors =
        processes.flat_map(|process| fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten());
    descriptors
        .filter(|descriptor| is_for_writing(&descriptor.path()))
        .filter_map(|file| fs::read_link(file.path()).ok())
        .collect()
}

/// Whether a descriptor, such as `/proc/1/fd/3`, is for writing: its flags are octal, the last digit the access mode.
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
