//! At most one `dev` runs a project: two would start the same events' tasks twice.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::payloads::STATE_FOLDER;

/// The file, in the state folder, that a running `dev` locks. It holds the process id.
const LOCK_FILE: &str = "dev.lock";

/// Why `dev` cannot have a project for itself.
#[derive(Debug, thiserror::Error)]
pub enum Locked {
    /// Another `dev` runs the project.
    #[error("another `ecs-trigger dev`{} already runs {}; stop it first", process_named(*pid), folder.display())]
    ByProcess {
        /// The project's folder.
        folder: PathBuf,
        /// The id of the other process, if it has written it already.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {error}", path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

fn process_named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// A project that no other `dev` runs, until this value is dropped. The operating system releases the lock when the
/// process ends, however it ends, so a file that is left behind locks nothing.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the project in `folder`.
    ///
    /// # Errors
    /// Another process has locked it, or the lock file cannot be used.
    pub(super) fn take(folder: &Path) -> Result<Self, Locked> {
        let path = folder.join(STATE_FOLDER).join(LOCK_FILE);
        let unusable = |error| Locked::Unusable { path: path.clone(), error };
        fs::create_dir_all(folder.join(STATE_FOLDER)).map_err(unusable)?;
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Without the id, the error still says what to do.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Locked::ByProcess { folder: folder.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

/// Returns whether `dev` runs the project in a folder.
pub fn is_running(folder: &Path) -> bool {
    let file = File::options().read(true).write(true).open(folder.join(STATE_FOLDER).join(LOCK_FILE));
    // A lock that was free is released again with the file.
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::{Lock, Locked, is_running};

    #[test]
    fn a_second_dev_is_refused_by_the_firsts_process_id_while_the_first_runs() {
        let project = tempdir().expect("a folder");
        assert!(!is_running(project.path()));
        let first = Lock::take(project.path()).expect("is free");
        assert!(is_running(project.path()));
        let refused = Lock::take(project.path()).expect_err("is taken");
        assert!(matches!(&refused, Locked::ByProcess { pid, .. } if *pid == Some(std::process::id())), "{refused}");
        drop(first);
        assert!(!is_running(project.path()));
        Lock::take(project.path()).expect("is free again");
    }

    #[test]
    fn a_file_that_a_dead_process_left_locks_nothing() {
        let project = tempdir().expect("a folder");
        fs::create_dir(project.path().join(".ecs-trigger")).expect("is made");
        let file = project.path().join(".ecs-trigger/dev.lock");
        fs::write(&file, "4194304 and more").expect("is written");
        let _lock = Lock::take(project.path()).expect("is free");
        assert_eq!(fs::read_to_string(file).expect("is there"), format!("{}\n", std::process::id()));
    }
}
