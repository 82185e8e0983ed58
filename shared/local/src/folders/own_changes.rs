//! The changes that the endpoint makes in the buckets' folders.
//!
//! The endpoint announces its changes itself, with all that it knows about them. The watch sees them too, and must not
//! announce them again: it asks here which notifications are the endpoint's.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::folders::attributes::Attributes;
use crate::folders::bucket::Bucket;
use crate::folders::watch::{Changed, changed};

/// A change that the endpoint made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnChange {
    /// An object was created or deleted.
    Object {
        /// The bucket's name.
        bucket: String,
        /// `Object Created` or `Object Deleted`.
        detail_type: &'static str,
        /// The object's key.
        key: String,
        /// The event that S3 would send.
        event: String,
    },
    /// A message was sent to a queue.
    Message,
}

/// The endpoint's changes, for those that make them and for the watch.
#[derive(Debug, Clone)]
pub struct OwnChanges {
    recent: Arc<Mutex<Recent>>,
    announced: UnboundedSender<OwnChange>,
}

/// What the watch has to recognize.
#[derive(Debug, Default)]
struct Recent {
    /// The files that the endpoint wrote, each with the time of its last change.
    written: HashMap<PathBuf, Changed>,
    /// How many notifications of a removal are still to come, by path.
    removed: HashMap<PathBuf, usize>,
}

impl OwnChanges {
    /// Creates an empty record, and the receiver of the changes.
    pub fn new() -> (Self, UnboundedReceiver<OwnChange>) {
        let (announced, changes) = unbounded_channel();
        (Self { recent: Arc::default(), announced }, changes)
    }

    /// Moves a complete file to the path of an object, and announces the object. With `only_new`, an object that exists
    /// is left alone. Returns the metadata of the object's file, or `None` if the object was left alone.
    ///
    /// # Errors
    /// The file cannot be moved.
    pub fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        (file, path): (&Path, &Path),
        attributes: &Attributes,
        only_new: bool,
    ) -> io::Result<Option<Metadata>> {
        let mut recent = self.recent();
        if only_new && path.exists() {
            return Ok(None);
        }
        fs::create_dir_all(path.parent().unwrap_or(&bucket.folder))?;
        attributes.write(bucket, key, &fs::metadata(file)?)?;
        fs::rename(file, path)?;
        let metadata = fs::metadata(path)?;
        recent.written.extend(changed(path).map(|changed| (path.to_owned(), changed)));
        let event = bucket.created(key, &metadata, &attributes.etag, &attributes.reason);
        self.announce(bucket, "Object Created", key, event);
        Ok(Some(metadata))
    }

    /// Deletes the object at a path, with the folders that are empty then, and announces it. Deleting what does not exist
    /// succeeds, as in S3, and announces nothing.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn delete(&self, bucket: &Bucket, key: &str, path: &Path) -> io::Result<()> {
        let mut recent = self.recent();
        // A folder is not an object.
        if !fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
            return Ok(());
        }
        fs::remove_file(path)?;
        Attributes::remove(bucket, key)?;
        recent.written.remove(path);
        *recent.removed.entry(path.to_owned()).or_default() += 1;
        let folders = path.ancestors().skip(1).take_while(|folder| *folder != bucket.folder);
        // Stops at the first folder that still holds something.
        let _ = folders.map(fs::remove_dir).find(Result::is_err);
        self.announce(bucket, "Object Deleted", key, bucket.deleted(key, Timestamp::now()));
        Ok(())
    }

    /// Announces that a message was sent to a queue.
    pub fn sent(&self) {
        // Sending fails only when `dev` itself is ending.
        let _ = self.announced.send(OwnChange::Message);
    }

    /// Returns whether the file at this path is as the endpoint wrote it.
    pub fn wrote(&self, path: &Path) -> bool {
        let recent = self.recent();
        recent.written.get(path).is_some_and(|written| changed(path).as_ref() == Some(written))
    }

    /// Returns whether the endpoint removed the file that was at this path. Each removal counts once.
    pub fn take_removal(&self, path: &Path) -> bool {
        let mut recent = self.recent();
        let Some(left) = recent.removed.get_mut(path) else { return false };
        *left -= 1;
        if *left == 0 {
            recent.removed.remove(path);
        }
        true
    }

    /// Forgets the removals whose notifications the system has dropped.
    pub fn forget_removals(&self) {
        self.recent().removed.clear();
    }

    fn announce(&self, bucket: &Bucket, detail_type: &'static str, key: &str, event: String) {
        let change = OwnChange::Object { bucket: bucket.name.clone(), detail_type, key: key.to_owned(), event };
        // Sending fails only when `dev` itself is ending.
        let _ = self.announced.send(change);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
