//! The dead-letters port on a folder.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use trigger_core::launch::DeadLetter;
use trigger_engine::ports::{DeadLetters, NotSent};

/// A dead-letters port that writes files.
#[derive(Debug, Clone)]
pub struct FolderDeadLetters {
    /// The folder of the files.
    pub folder: PathBuf,
}

impl DeadLetters for FolderDeadLetters {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        let message = letter.message();
        let path = self.folder.join(format!("{:.16}.json", format!("{:x}", Sha256::digest(&message))));
        let written = fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, message));
        written.map_err(|error| NotSent::Failed(format!("{}: {error}", path.display())))
    }
}
