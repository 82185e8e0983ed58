//! How a file becomes an object at once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use tokio::io::AsyncWriteExt;

use super::internal;
use crate::folders::bucket::Bucket;
use crate::payloads::STATE_FOLDER;

/// What a `dev` that was killed has left behind is removed after this time. Another `dev` may share the bucket's folder,
/// so what is younger may be in use.
const LEFTOVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the folder for what is not an object yet. It is in the bucket's folder, so that a file can be moved from it to
/// any key at once.
pub(super) fn uploads(bucket: &Bucket) -> PathBuf {
    bucket.folder.join(STATE_FOLDER).join("uploads")
}

/// Removes what was begun long ago and never became an object.
pub(super) fn remove_leftovers(bucket: &Bucket) {
    for entry in fs::read_dir(uploads(bucket)).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > LEFTOVER) {
            // What cannot be removed is tried again by the next `dev`.
            let _ = match metadata.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
        }
    }
}

/// The path of a file that is not an object yet. If the file is not moved away, it is removed.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) path: PathBuf,
}

impl Temporary {
    pub(super) fn new(bucket: &Bucket) -> io::Result<Self> {
        let folder = uploads(bucket);
        fs::create_dir_all(&folder)?;
        Ok(Self { path: folder.join(unique()) })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Most often the file was moved away and is gone.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns a name that no other file of this machine has.
pub(super) fn unique() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{:024x}{:08x}{number:08x}", since_epoch.as_nanos(), std::process::id())
}

/// The MD5 of what was received.
#[derive(Debug)]
pub(super) struct Received([u8; 16]);

impl Received {
    pub(super) fn etag(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Writes a request's content to a new file while it arrives.
pub(super) async fn receive(
    content: Option<StreamingBlob>,
    path: &Path,
    content_md5: Option<&str>,
) -> S3Result<Received> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(internal)?;
    let mut hasher = Md5::new();
    if let Some(mut content) = content {
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(internal)?;
        }
    }
    file.flush().await.map_err(internal)?;
    let digest: [u8; 16] = hasher.finalize().into();
    match content_md5.is_some_and(|expected| STANDARD.encode(digest) != expected) {
        true => Err(s3_error!(BadDigest, "the content's MD5 is not the one in Content-MD5")),
        false => Ok(Received(digest)),
    }
}

/// Returns the headers that are set. `aws-chunked` says how the request was sent, not what the object is.
pub(super) fn headers<const N: usize>(all: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let clean = |value: String| {
        let parts: Vec<&str> = value.split(',').map(str::trim).filter(|part| *part != "aws-chunked").collect();
        (!parts.iter().all(|part| part.is_empty())).then(|| parts.join(", "))
    };
    let set = all.into_iter().filter_map(|(name, value)| {
        let value = match name {
            "content-encoding" => clean(value?)?,
            _ => value.filter(|value| !value.is_empty())?,
        };
        Some((name.to_owned(), value))
    });
    set.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_sending_is_not_an_encoding_of_the_object() {
        for (sent, kept) in [
            (None, None),
            (Some("gzip"), Some("gzip")),
            (Some("aws-chunked"), None),
            (Some("aws-chunked,gzip"), Some("gzip")),
            (Some("gzip, aws-chunked"), Some("gzip")),
        ] {
            let kept_of = headers([("content-encoding", sent.map(str::to_owned))]);
            assert_eq!(kept_of.get("content-encoding").map(String::as_str), kept, "{sent:?}");
        }
    }
}
