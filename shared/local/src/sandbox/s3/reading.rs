//! Objects and their content.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::stream::unfold;
use hyper::body::Bytes;
use s3s::dto::{ETag, ETagCondition, Metadata as UserMetadata, StreamingBlob, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::internal;
use crate::folders::attributes::{Attributes, PUT_OBJECT};
use crate::folders::bucket::{Bucket, md5_of};

/// Content is read in pieces of this many bytes.
const PIECE_BYTES: u64 = 256 << 10;
/// S3's type of an object whose writer named none.
const ANY_TYPE: &str = "binary/octet-stream";

/// What is known of an object.
#[derive(Debug)]
pub(super) struct Facts {
    /// Its file.
    pub(super) path: PathBuf,
    /// Its file's metadata.
    pub(super) metadata: Metadata,
    /// What it has beside its content.
    pub(super) attributes: Attributes,
}

impl Facts {
    /// Reads what is known of the object with this key.
    pub(super) fn read(bucket: &Bucket, key: &str, etags: &ETags) -> S3Result<Self> {
        let (path, metadata) = bucket.find(key).ok_or_else(|| s3_error!(NoSuchKey, "there is no object `{key}`"))?;
        let attributes = match Attributes::read(bucket, key, &metadata) {
            Some(attributes) => attributes,
            None => Attributes {
                etag: etags.of(&path, &metadata).map_err(internal)?,
                reason: PUT_OBJECT.to_owned(),
                headers: Default::default(),
                metadata: Default::default(),
            },
        };
        Ok(Self { path, metadata, attributes })
    }

    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.attributes.etag.clone())
    }

    pub(super) fn size(&self) -> i64 {
        signed(self.metadata.len())
    }

    pub(super) fn modified(&self) -> Timestamp {
        modified(&self.metadata)
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.attributes.headers.get(name).cloned()
    }

    pub(super) fn content_type(&self) -> String {
        self.header("content-type").unwrap_or_else(|| ANY_TYPE.to_owned())
    }

    pub(super) fn metadata(&self) -> Option<UserMetadata> {
        let metadata = &self.attributes.metadata;
        (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect())
    }
}

/// Returns a size as S3's numbers are.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Returns when a file was last written, in whole seconds, as HTTP dates are.
pub(super) fn modified(file: &Metadata) -> Timestamp {
    let modified = file.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(modified.as_secs()))
}

/// Under which conditions a request is carried out.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Returns whether a write must not replace an object.
    pub(super) fn is_for_new_only(&self) -> bool {
        self.if_none_match.as_ref().is_some_and(ETagCondition::is_any)
    }

    /// Returns whether a write needs the ETag of the object that it replaces.
    pub(super) fn name_an_etag(&self) -> bool {
        self.if_match.is_some()
    }

    /// Checks the conditions of an object that exists. As in HTTP, an ETag is more exact than a time, and replaces it.
    pub(super) fn check(&self, facts: &Facts) -> S3Result<()> {
        self.check_parts(&facts.etag(), &facts.modified())
    }

    fn check_parts(&self, etag: &ETag, modified: &Timestamp) -> S3Result<()> {
        let is_meant = |condition: &ETagCondition| condition.as_etag().is_none_or(|named| named.weak_cmp(etag));
        let is_wanted = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => is_meant(condition),
            (None, Some(since)) => modified <= since,
            (None, None) => true,
        };
        if !is_wanted {
            return Err(S3Error::new(S3ErrorCode::PreconditionFailed));
        }
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => is_meant(condition),
            (None, Some(since)) => modified <= since,
            (None, None) => false,
        };
        match is_known {
            true => Err(S3Error::new(S3ErrorCode::NotModified)),
            false => Ok(()),
        }
    }
}

/// Returns a part of an object's content, which is read while it is sent.
pub(super) async fn content(facts: &Facts, range: Range<u64>) -> S3Result<StreamingBlob> {
    let file = File::open(&facts.path).map_err(internal)?;
    // The object was replaced a moment ago: what was said of it is no longer true.
    if file.metadata().map_err(internal)?.ino() != facts.metadata.ino() {
        return Err(S3Error::with_message(S3ErrorCode::SlowDown, "the object is being replaced; try again"));
    }
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(range.start)).await.map_err(internal)?;
    let pieces = unfold((file, range.end - range.start), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; usize::try_from(left.min(PIECE_BYTES)).unwrap_or_default()];
        let read = match file.read(&mut piece).await {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the object was cut short")),
            read => read,
        };
        Some(match read {
            Ok(read) => {
                piece.truncate(read);
                (Ok(Bytes::from(piece)), (file, left - read as u64))
            }
            Err(error) => (Err(error), (file, 0)),
        })
    });
    Ok(StreamingBlob::wrap(pieces))
}

/// The ETags of files that have no attributes. Each file is read once, as long as it does not change.
#[derive(Debug, Clone, Default)]
pub(super) struct ETags {
    known: Arc<Mutex<HashMap<PathBuf, (Stamp, String)>>>,
}

/// What changes with a file: its size, and the time of its last change.
type Stamp = (u64, i64, i64);

impl ETags {
    fn of(&self, path: &Path, file: &Metadata) -> io::Result<String> {
        let known = self.known().get(path).filter(|(known, _)| *known == stamp(file)).map(|(_, etag)| etag.clone());
        if let Some(etag) = known {
            return Ok(etag);
        }
        let etag = md5_of(&mut File::open(path)?)?;
        // A file that has changed meanwhile is read again.
        if fs::metadata(path).is_ok_and(|now| stamp(&now) == stamp(file)) {
            self.learn(path, file, &etag);
        }
        Ok(etag)
    }

    pub(super) fn learn(&self, path: &Path, file: &Metadata, etag: &str) {
        self.known().insert(path.to_owned(), (stamp(file), etag.to_owned()));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stamp, String)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(file: &Metadata) -> Stamp {
    (file.size(), file.ctime(), file.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_sent_under_these_conditions() {
        let at = |seconds| Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds));
        let is = |etag: &str| Some(ETagCondition::ETag(ETag::Strong(etag.to_owned())));
        let (none, any) = (Conditions::default, || Some(ETagCondition::Any));
        let (failed, not_modified) = (Some("PreconditionFailed"), Some("NotModified"));
        for (conditions, expected) in [
            (none(), None),
            (Conditions { if_match: is("a"), ..none() }, None),
            (Conditions { if_match: is("b"), ..none() }, failed),
            (Conditions { if_match: any(), ..none() }, None),
            (Conditions { if_none_match: is("a"), ..none() }, not_modified),
            (Conditions { if_none_match: is("b"), ..none() }, None),
            (Conditions { if_modified_since: Some(at(10)), ..none() }, not_modified),
            (Conditions { if_modified_since: Some(at(9)), ..none() }, None),
            (Conditions { if_unmodified_since: Some(at(10)), ..none() }, None),
            (Conditions { if_unmodified_since: Some(at(9)), ..none() }, failed),
            (Conditions { if_match: is("a"), if_unmodified_since: Some(at(9)), ..none() }, None),
            (Conditions { if_none_match: is("b"), if_modified_since: Some(at(10)), ..none() }, None),
        ] {
            let checked = conditions.check_parts(&ETag::Strong("a".to_owned()), &at(10));
            assert_eq!(checked.as_ref().err().map(|error| error.code().as_str()), expected, "{conditions:?}");
        }
    }
}
