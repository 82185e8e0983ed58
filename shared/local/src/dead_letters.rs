//! The dead-letters port on a folder.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::DeadLetter;
use trigger_engine::ports::{DeadLetters, NotSent};

use crate::folders::write_whole;
use crate::payloads::STATE_FOLDER;

/// A dead-letters port that writes files.
#[derive(Debug, Clone)]
pub struct FolderDeadLetters {
    /// The folder of the files.
    pub folder: PathBuf,
}

impl FolderDeadLetters {
    /// Returns the port of a project.
    pub fn of(project: &Path) -> Self {
        Self { folder: project.join(STATE_FOLDER).join("dead-letters") }
    }

    /// Returns the letters that are not closed: the name of each, its text, and when it was written.
    pub fn letters(&self) -> Vec<(String, String, Option<Timestamp>)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let letter = |path: PathBuf| {
            let name = path.file_stem()?.to_str().filter(|name| !name.starts_with('.'))?.to_owned();
            let written = path.metadata().and_then(|file| file.modified()).ok();
            let written = written.and_then(|written| Timestamp::try_from(written).ok());
            Some((name, fs::read_to_string(&path).ok()?, written))
        };
        let mut letters: Vec<_> = entries.filter_map(|entry| letter(entry.path())).collect();
        letters.sort();
        letters
    }
}

impl DeadLetters for FolderDeadLetters {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        let message = letter.message();
        // The letter of a launch that was redriven and failed again replaces the one before, which can start nothing more.
        let id = letter.launch.as_deref().and_then(LaunchKey::parse).map(|launch| launch.id);
        let name = id.unwrap_or_else(|| format!("{:.16}", format!("{:x}", Sha256::digest(&message))));
        let path = self.folder.join(format!("{name}.json"));
        write_whole(&path, &message).map_err(|error| NotSent::Failed(format!("{}: {error}", path.display())))
    }
}
