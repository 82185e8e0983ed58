//! Multipart uploads: a folder for each, with a file for each part.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use s3s::dto::{CompletedPart, ETag, MultipartUpload, Part as ListedPart};
use s3s::{S3Result, s3_error};
use serde_json::{Value, json};

use super::internal;
use super::reading::{modified, signed};
use super::writing::{unique, uploads};
use crate::folders::attributes::{Attributes, texts};
use crate::folders::bucket::{Bucket, md5_of};

/// S3 accepts parts up to this number.
const PARTS_MAX: i32 = 10_000;
/// S3 refuses a smaller part, in bytes, unless it is the last.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_BYTES_MIN: u64 = 5 << 20;
/// The file with what the object will have beside its content.
const ABOUT: &str = "upload.json";

/// The file of a part, and the part's ETag.
pub(super) type Part = (PathBuf, String);

/// An upload that was begun.
#[derive(Debug)]
pub(super) struct Upload {
    folder: PathBuf,
    about: Value,
}

impl Upload {
    /// Begins an upload; returns its id.
    pub(super) fn create(
        bucket: &Bucket,
        key: &str,
        headers: BTreeMap<String, String>,
        metadata: BTreeMap<String, String>,
    ) -> io::Result<String> {
        let id = unique();
        let folder = uploads(bucket).join(&id);
        fs::create_dir_all(&folder)?;
        let about = json!({ "key": key, "headers": headers, "metadata": metadata });
        fs::write(folder.join(ABOUT), about.to_string())?;
        Ok(id)
    }

    /// Opens the upload of this key with this id.
    pub(super) fn open(bucket: &Bucket, id: &str, key: &str) -> S3Result<Self> {
        // The id is part of a path.
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let folder = uploads(bucket).join(id);
        let about = is_id.then(|| read(&folder)).flatten().filter(|about| about["key"] == key);
        let about = about.ok_or_else(|| s3_error!(NoSuchUpload, "there is no upload `{id}` of `{key}`"))?;
        Ok(Self { folder, about })
    }

    /// Adds a part, or replaces it.
    pub(super) fn add(&self, number: i32, etag: &str, file: &Path) -> S3Result<()> {
        let before = self.parts().map_err(internal)?.remove(&number);
        let path = self.folder.join(format!("{number:05}-{etag}"));
        fs::rename(file, &path).map_err(internal)?;
        match before {
            Some((before, _)) if before != path => fs::remove_file(before).map_err(internal),
            _ => Ok(()),
        }
    }

    /// Returns the parts that a request names, in their order.
    pub(super) fn chosen(&self, named: &[CompletedPart]) -> S3Result<Vec<Part>> {
        if named.is_empty() {
            return Err(s3_error!(MalformedXML, "an upload needs at least one part"));
        }
        if !named.is_sorted_by(|one, other| one.part_number < other.part_number) {
            return Err(s3_error!(InvalidPartOrder, "the numbers of the parts must ascend"));
        }
        let mut parts = self.parts().map_err(internal)?;
        let mut chosen = Vec::new();
        for (position, part) in named.iter().enumerate() {
            let number = part.part_number.unwrap_or_default();
            let found = parts.remove(&number);
            let named_etag = part.e_tag.as_ref().map(ETag::value);
            let found = found.filter(|(_, etag)| named_etag.is_none_or(|named| named == etag));
            let found = found.ok_or_else(|| s3_error!(InvalidPart, "there is no part {number} with this ETag"))?;
            let size = fs::metadata(&found.0).map_err(internal)?.len();
            if size < PART_BYTES_MIN && position + 1 < named.len() {
                return Err(s3_error!(
                    EntityTooSmall,
                    "the part {number} has {size} bytes, fewer than {PART_BYTES_MIN}"
                ));
            }
            chosen.push(found);
        }
        Ok(chosen)
    }

    /// Returns what the object has beside its content.
    pub(super) fn attributes(&self, etag: String) -> Attributes {
        let reason = "CompleteMultipartUpload".to_owned();
        Attributes { etag, reason, headers: texts(&self.about["headers"]), metadata: texts(&self.about["metadata"]) }
    }

    pub(super) fn listed(&self) -> S3Result<Vec<ListedPart>> {
        let listed = |(number, (path, etag)): (i32, Part)| {
            let metadata = fs::metadata(path).map_err(internal)?;
            Ok(ListedPart {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(modified(&metadata)),
                part_number: Some(number),
                size: Some(signed(metadata.len())),
                ..ListedPart::default()
            })
        };
        self.parts().map_err(internal)?.into_iter().map(listed).collect()
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    fn parts(&self) -> io::Result<BTreeMap<i32, Part>> {
        let mut parts = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((number, etag)) = name.split_once('-')
                && let Ok(number) = number.parse()
            {
                parts.insert(number, (entry.path(), etag.to_owned()));
            }
        }
        Ok(parts)
    }
}

/// Returns the uploads of keys that begin with a prefix, by key.
pub(super) fn all(bucket: &Bucket, prefix: &str) -> Vec<MultipartUpload> {
    let entries = fs::read_dir(uploads(bucket)).into_iter().flatten().flatten();
    let upload = |entry: fs::DirEntry| {
        let key = read(&entry.path())?["key"].as_str().filter(|key| key.starts_with(prefix))?.to_owned();
        Some(MultipartUpload {
            initiated: fs::metadata(entry.path().join(ABOUT)).ok().map(|about| modified(&about)),
            key: Some(key),
            upload_id: Some(entry.file_name().to_string_lossy().into_owned()),
            ..MultipartUpload::default()
        })
    };
    let mut uploads: Vec<MultipartUpload> = entries.filter_map(upload).collect();
    uploads.sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
    uploads
}

fn read(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(folder.join(ABOUT)).ok()?).ok()
}

/// Checks the number of a part.
pub(super) fn number(number: i32) -> S3Result<i32> {
    match (1..=PARTS_MAX).contains(&number) {
        true => Ok(number),
        false => Err(s3_error!(InvalidArgument, "a part's number is between 1 and {PARTS_MAX}")),
    }
}

/// Copies a file, or a part of it, to a new file; returns the part's ETag.
pub(super) fn copy_part(from: &Path, range: Option<Range<u64>>, to: &Path) -> io::Result<String> {
    let mut from = File::open(from)?;
    let length = match &range {
        Some(range) => range.end - from.seek(SeekFrom::Start(range.start))?,
        None => u64::MAX,
    };
    io::copy(&mut from.take(length), &mut File::create_new(to)?)?;
    md5_of(&mut File::open(to)?)
}

/// Writes the parts one after the other to a new file; returns the ETag of the whole: the MD5 of the parts' MD5s, and
/// their number.
pub(super) fn join(parts: &[Part], to: &Path) -> S3Result<String> {
    let mut whole = File::create_new(to).map_err(internal)?;
    let mut hasher = Md5::new();
    for (path, etag) in parts {
        File::open(path).and_then(|mut part| io::copy(&mut part, &mut whole)).map_err(internal)?;
        let digit = |position| etag.get(position..position + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        hasher.update((0..etag.len()).step_by(2).filter_map(digit).collect::<Vec<u8>>());
    }
    Ok(format!("{:x}-{}", hasher.finalize(), parts.len()))
}
