//! The ledger port on a folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use trigger_engine::ports::{Entry, Expected, Ledger, LedgerError};

use crate::payloads::STATE_FOLDER;

/// A ledger in a folder below the project's. It stays from one run of `dev` to the next.
#[derive(Debug, Clone)]
pub struct FolderLedger {
    folder: PathBuf,
    /// Held while a write compares versions and replaces the file, and while a delete removes empty folders.
    writing: Arc<Mutex<()>>,
}

impl FolderLedger {
    /// Opens the ledger below the project's folder. The first write creates it.
    pub fn open(project: &Path) -> Self {
        Self { folder: project.join(STATE_FOLDER).join("ledger"), writing: Arc::default() }
    }

    fn path(&self, uri: &str) -> PathBuf {
        self.folder.join(uri.strip_prefix("s3://").unwrap_or(uri))
    }

    /// Returns every file below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.flat_map(|path| if path.is_dir() { Self::files(&path) } else { vec![path] }).collect()
    }
}

impl Ledger for FolderLedger {
    async fn read(&self, uri: &str) -> Result<Option<Entry>, LedgerError> {
        match fs::read_to_string(self.path(uri)) {
            Ok(text) => Ok(Some(Entry { version: version(&text), text })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(uri, &error)),
        }
    }

    async fn write(&self, uri: &str, text: &str, expected: &Expected) -> Result<String, LedgerError> {
        let path = self.path(uri);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let there = fs::read_to_string(&path).ok();
        let is_as_expected = match expected {
            Expected::Anything => true,
            Expected::Nothing => there.is_none(),
            Expected::Version(expected) => there.is_some_and(|there| version(&there) == *expected),
        };
        if !is_as_expected {
            return Err(LedgerError::Changed);
        }
        let folder = path.parent().unwrap_or(&self.folder);
        // A rename is atomic: a reader finds the old text or the new one, never a part.
        let new = path.with_extension("new");
        let written =
            fs::create_dir_all(folder).and_then(|()| fs::write(&new, text)).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| unavailable(uri, &error))?;
        Ok(version(text))
    }

    async fn delete(&self, uri: &str) -> Result<(), LedgerError> {
        let path = self.path(uri);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unavailable(uri, &error)),
            _ => {}
        }
        // Each time that something is due has a folder; without this, lists would walk all of the past ones.
        let above = path.ancestors().skip(1).take_while(|folder| *folder != self.folder);
        let _ = above.map(fs::remove_dir).take_while(Result::is_ok).count();
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, until: &str) -> Result<Vec<String>, LedgerError> {
        let uri = |path: PathBuf| Some(format!("s3://{}", path.strip_prefix(&self.folder).ok()?.to_str()?));
        let files = Self::files(&self.path(prefix)).into_iter().filter_map(uri);
        let is_asked = |uri: &String| uri.as_str() <= until && after.is_none_or(|after| uri.as_str() > after);
        let mut uris: Vec<String> = files.filter(is_asked).collect();
        uris.sort_unstable();
        uris.truncate(1000);
        Ok(uris)
    }
}

fn version(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

fn unavailable(uri: &str, error: &io::Error) -> LedgerError {
    LedgerError::Unavailable(format!("{uri}: {error}"))
}

#[cfg(test)]
mod tests;
