//! From changes of files to the events of their objects, beside `dev`'s loop.

use std::collections::VecDeque;
use std::path::PathBuf;

use jiff::Timestamp;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::folders::bucket::{Bucket, NotAnObject};
use crate::folders::landing::Landed;

/// The changes of files whose events are not made yet, in order. An event has its file's hash, which for a large file
/// takes a while to read, so a thread of its own reads.
#[derive(Debug, Default)]
pub(super) struct Objects {
    changes: VecDeque<(Bucket, Landed, Timestamp)>,
    reading: Option<JoinHandle<Object>>,
}

/// An object that was created or deleted.
#[derive(Debug)]
pub(super) struct Object {
    /// The bucket's name.
    pub(super) bucket: String,
    /// `Object Created` or `Object Deleted`.
    pub(super) detail_type: &'static str,
    /// The object's key and event.
    pub(super) event: Result<(String, String), NotAnObject>,
}

impl Objects {
    /// Adds a change that happened now.
    pub(super) fn add(&mut self, bucket: &Bucket, landed: Landed) {
        self.changes.push_back((bucket.clone(), landed, Timestamp::now()));
    }

    /// Returns whether each change's event was returned.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.reading.is_none()
    }

    /// Returns the next event, or `None` if there is none. A call that is dropped loses nothing.
    pub(super) async fn next(&mut self) -> Option<Object> {
        if self.reading.is_none() {
            let (bucket, landed, at) = self.changes.pop_front()?;
            self.reading = Some(spawn_blocking(move || Object::read(&bucket, &landed, at)));
        }
        let read = self.reading.as_mut()?.await;
        self.reading = None;
        read.ok()
    }
}

impl Object {
    fn read(bucket: &Bucket, landed: &Landed, at: Timestamp) -> Self {
        let key = |path: &PathBuf| bucket.key(path);
        let (detail_type, event) = match landed {
            Landed::Created(path) => {
                ("Object Created", bucket.object_created(path).and_then(|event| Ok((key(path)?, event))))
            }
            Landed::Deleted(path) => {
                ("Object Deleted", bucket.object_deleted(path, at).and_then(|event| Ok((key(path)?, event))))
            }
        };
        Self { bucket: bucket.name.clone(), detail_type, event }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tempfile::tempdir;

    use super::Objects;
    use crate::folders::bucket::Bucket;
    use crate::folders::landing::Landed;

    #[tokio::test]
    async fn events_come_in_the_order_of_the_changes_although_a_call_is_dropped() {
        let folder = tempdir().expect("a folder");
        let bucket = Bucket::open("b", folder.path()).expect("can be opened");
        let path = bucket.folder.join("a");
        fs::write(&path, "x").expect("is written");
        let mut objects = Objects::default();
        objects.add(&bucket, Landed::Created(path.clone()));
        objects.add(&bucket, Landed::Deleted(path));
        let _ = pin!(objects.next()).poll(&mut Context::from_waker(Waker::noop()));
        let mut types = Vec::new();
        while let Some(object) = objects.next().await {
            types.push((object.detail_type, object.event.expect("is an object").0));
        }
        assert_eq!(types, [("Object Created", "a".to_owned()), ("Object Deleted", "a".to_owned())]);
        assert!(objects.is_empty());
    }

    #[test]
    fn a_large_file_is_read_beside_the_loop() {
        let folder = tempdir().expect("a folder");
        let bucket = Bucket::open("b", folder.path()).expect("can be opened");
        let path = bucket.folder.join("large");
        // It has no blocks on the disk, and takes hours to read.
        File::create(&path).and_then(|file| file.set_len(1 << 43)).expect("is made");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("is built");
        let mut objects = Objects::default();
        objects.add(&bucket, Landed::Created(path));
        runtime.block_on(async {
            let polled = pin!(objects.next()).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        });
        assert!(!objects.is_empty());
        runtime.shutdown_background();
    }
}
