//! What an object has beside its content: the headers and the ETag that its writer gave it.
//!
//! A file has no room for these. They are in a file of their own, in a folder that is not part of the bucket. They belong
//! to one content: once the file changes, they are ignored.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::folders::bucket::Bucket;
use crate::folders::remove_if_there;
use crate::payloads::STATE_FOLDER;

/// S3's reason for an object that was written whole.
pub const PUT_OBJECT: &str = "PutObject";

/// The attributes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The ETag, without quotes.
    pub etag: String,
    /// How the object was written, as S3 says it: `PutObject`, `CopyObject` or `CompleteMultipartUpload`.
    pub reason: String,
    /// The headers that a response repeats, by name: `content-type` for example.
    pub headers: BTreeMap<String, String>,
    /// The user's own metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Attributes {
    /// Returns whether they say more than the file itself does.
    fn is_more_than_the_file(&self) -> bool {
        self.reason != PUT_OBJECT || !self.headers.is_empty() || !self.metadata.is_empty()
    }

    /// Reads the attributes of an object; `None` if it has none or its file has changed since.
    pub fn read(bucket: &Bucket, key: &str, file: &Metadata) -> Option<Self> {
        let stored: Value = serde_json::from_slice(&fs::read(path(bucket, key)).ok()?).ok()?;
        let text = |name: &str| stored[name].as_str().map(str::to_owned);
        (stored["content"] == content(file)).then_some(Self {
            etag: text("etag")?,
            reason: text("reason")?,
            headers: texts(&stored["headers"]),
            metadata: texts(&stored["metadata"]),
        })
    }

    /// Stores the attributes of the object that will have this file.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, bucket: &Bucket, key: &str, file: &Metadata) -> io::Result<()> {
        if !self.is_more_than_the_file() {
            return Self::remove(bucket, key);
        }
        let path = path(bucket, key);
        fs::create_dir_all(path.parent().unwrap_or(&bucket.folder))?;
        let text = json!({
            "key": key,
            "content": content(file),
            "etag": self.etag,
            "reason": self.reason,
            "headers": self.headers,
            "metadata": self.metadata,
        });
        fs::write(path, text.to_string())
    }

    /// Removes the attributes of an object, if it has any.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(bucket: &Bucket, key: &str) -> io::Result<()> {
        remove_if_there(&path(bucket, key))
    }
}

/// Returns the texts of a JSON object, by name.
pub(crate) fn texts(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Returns what changes with a file's content. Moving the file does not change it.
fn content(file: &Metadata) -> String {
    format!("{} bytes of {}.{:09}", file.size(), file.mtime(), file.mtime_nsec())
}

fn path(bucket: &Bucket, key: &str) -> PathBuf {
    bucket.folder.join(STATE_FOLDER).join("objects").join(format!("{:x}.json", Sha256::digest(key)))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn attributes_belong_to_one_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let bucket = Bucket::open("b", folder.path()).expect("can be opened");
        let (path, moved) = (bucket.folder.join("a"), bucket.folder.join("c"));
        fs::write(&path, "1").expect("is written");
        let file = || fs::metadata(&moved).expect("is there");
        let attributes = Attributes {
            etag: "e-2".to_owned(),
            reason: "CompleteMultipartUpload".to_owned(),
            headers: BTreeMap::from([("content-type".to_owned(), "text/csv".to_owned())]),
            metadata: BTreeMap::new(),
        };
        attributes.write(&bucket, "c", &fs::metadata(&path).expect("is there")).expect("is written");
        fs::rename(&path, &moved).expect("is moved");
        assert_eq!(Attributes::read(&bucket, "c", &file()), Some(attributes), "a move keeps them");
        let event = bucket.object_created(&moved).expect("is an object");
        assert!(
            event.contains("\"etag\":\"e-2\"") && event.contains("\"reason\":\"CompleteMultipartUpload\""),
            "{event}"
        );
        fs::write(&moved, "2").expect("is written");
        let later = file().modified().expect("is known") + std::time::Duration::from_secs(1);
        File::options().write(true).open(&moved).and_then(|file| file.set_modified(later)).expect("is set");
        assert_eq!(Attributes::read(&bucket, "c", &file()), None, "another content has none");
        assert_eq!(bucket.files(), [moved], "they are not objects");
    }
}
