//! A folder as a bucket.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use md5::{Digest, Md5};

use super::object_events::{Created, deleted};
use crate::folders::attributes::{Attributes, PUT_OBJECT};
use crate::payloads::STATE_FOLDER;

/// The account that events on this machine come from.
pub const ACCOUNT: &str = "000000000000";
/// The Region that events on this machine come from.
pub const REGION: &str = "us-east-1";

/// A bucket, and the folder that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// The folder's canonical path.
    pub folder: PathBuf,
}

/// The reason why a path is not an object of a bucket.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotAnObject {
    #[error("{} points outside the bucket's folder {}", path.display(), folder.display())]
    Escapes { path: PathBuf, folder: PathBuf },
    #[error("{} cannot be an object: a key must be UTF-8", .0.display())]
    NotUtf8(PathBuf),
    #[error("{} cannot be an object: a key has at most 1024 bytes", .0.display())]
    TooLong(PathBuf),
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
}

/// The reason why no file of a bucket's folder can have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotAPath {
    #[error("a key has at most 1024 bytes")]
    TooLong,
    #[error("a part between two slashes is empty, as in `a//b`, `/a` or `a/`")]
    EmptyPart,
    #[error("a part is `.` or `..`")]
    Dots,
    #[error("a part is longer than 255 bytes")]
    LongPart,
    #[error("a part has a zero byte")]
    ZeroByte,
    #[error("a part is `{STATE_FOLDER}`, which holds the files of `dev` itself")]
    OwnFolder,
    #[error("a link leads out of the bucket's folder")]
    Escapes,
    #[error("it needs a folder where a file is, or a file where a folder is")]
    Occupied,
}

impl Bucket {
    /// Opens the bucket `name`; creates its folder if it is missing.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub fn open(name: &str, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { name: name.to_owned(), folder: folder.canonicalize()? })
    }

    /// Returns the raw key of a path in the folder.
    ///
    /// # Errors
    /// The path is outside the folder, not UTF-8 or too long for a key.
    pub fn key(&self, path: &Path) -> Result<String, NotAnObject> {
        let escapes = || NotAnObject::Escapes { path: path.to_owned(), folder: self.folder.clone() };
        let relative = path.strip_prefix(&self.folder).map_err(|_| escapes())?;
        let key = relative.to_str().ok_or_else(|| NotAnObject::NotUtf8(path.to_owned()))?;
        if key.len() > 1024 {
            return Err(NotAnObject::TooLong(path.to_owned()));
        }
        Ok(key.replace(std::path::MAIN_SEPARATOR, "/"))
    }

    /// Returns the `Object Created` event that S3 would send to EventBridge for the file.
    ///
    /// The event's id and sequencer come from the file itself, so an unchanged file makes the same event again.
    ///
    /// # Errors
    /// The path is not a regular file of this bucket, or cannot be read.
    pub fn object_created(&self, path: &Path) -> Result<String, NotAnObject> {
        let unreadable = |error| NotAnObject::Unreadable { path: path.to_owned(), error };
        let key = self.key(path)?;
        let real = path.canonicalize().map_err(unreadable)?;
        if !real.starts_with(&self.folder) {
            return Err(NotAnObject::Escapes { path: path.to_owned(), folder: self.folder.clone() });
        }
        // Checked before the file is opened: opening a named pipe would wait for its writer.
        let metadata = fs::metadata(&real).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(NotAnObject::NotAFile(path.to_owned()));
        }
        let (etag, reason) = match Attributes::read(self, &key, &metadata) {
            Some(attributes) => (attributes.etag, attributes.reason),
            None => (md5_of(&mut File::open(&real).map_err(unreadable)?).map_err(unreadable)?, PUT_OBJECT.to_owned()),
        };
        Ok(self.created(&key, &metadata, &etag, &reason))
    }

    /// Returns the `Object Created` event of an object with this key, file, ETag and reason.
    pub(crate) fn created(&self, key: &str, metadata: &Metadata, etag: &str, reason: &str) -> String {
        let (bucket, size, time) = (self.name.as_str(), metadata.len(), changed(metadata));
        Created { bucket, key, size, etag, reason, time }.event()
    }

    /// Returns the `Object Deleted` event that S3 would send to EventBridge for a removed file.
    ///
    /// # Errors
    /// As for [`Self::key`].
    pub fn object_deleted(&self, path: &Path, time: Timestamp) -> Result<String, NotAnObject> {
        Ok(self.deleted(&self.key(path)?, time))
    }

    /// Returns the `Object Deleted` event of an object with this key that was deleted at `time`.
    pub(crate) fn deleted(&self, key: &str, time: Timestamp) -> String {
        deleted(&self.name, key, time)
    }

    /// Returns the path of the object with this key, whether it exists or not.
    ///
    /// # Errors
    /// No file of the folder can have this key.
    pub fn path(&self, key: &str) -> Result<PathBuf, NotAPath> {
        check_key(key)?;
        let path = self.folder.join(key);
        let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.folder));
        // Missing folders will be created below the deepest one that exists, so only that one is checked.
        match folders.find_map(|folder| folder.canonicalize().ok()).ok_or(NotAPath::Escapes)? {
            outside if !outside.starts_with(&self.folder) => Err(NotAPath::Escapes),
            file if !file.is_dir() => Err(NotAPath::Occupied),
            _ => Ok(path),
        }
    }

    /// Returns the file of the object with this key, or `None` if there is no such object.
    pub fn find(&self, key: &str) -> Option<(PathBuf, Metadata)> {
        let real = self.path(key).ok()?.canonicalize().ok()?;
        let metadata = fs::metadata(&real).ok()?;
        (real.starts_with(&self.folder) && metadata.is_file()).then_some((real, metadata))
    }

    /// Returns every file in the folder, ordered by path. Links to other folders are not followed.
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder)
    }
}

/// Checks that the parts of a key can be names of files, on every system.
fn check_key(key: &str) -> Result<(), NotAPath> {
    let refused = |part: &str| match part {
        "" => Some(NotAPath::EmptyPart),
        "." | ".." => Some(NotAPath::Dots),
        STATE_FOLDER => Some(NotAPath::OwnFolder),
        long if long.len() > 255 => Some(NotAPath::LongPart),
        zero if zero.contains('\0') => Some(NotAPath::ZeroByte),
        _ => None,
    };
    match key.len() {
        0..=1024 => key.split('/').find_map(refused).map_or(Ok(()), Err),
        _ => Err(NotAPath::TooLong),
    }
}

/// Returns every file below `folder`, ordered by path, without the files of `dev` itself. Links to other folders are not
/// followed.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() == STATE_FOLDER => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}

/// Returns when a file was last written or put at its path.
///
/// # Errors
/// The file is gone, or its metadata cannot be read.
pub(crate) fn changed_at(path: &Path) -> io::Result<Timestamp> {
    Ok(changed(&fs::metadata(path)?))
}

/// Returns the time of the inode's last change. Unlike the content's modification time, it is new when a file is moved
/// or copied to its path again.
fn changed(metadata: &Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    Timestamp::new(metadata.ctime(), nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Returns the MD5 of the rest of a file, as hexadecimal digits.
pub(crate) fn md5_of(file: &mut impl Read) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{:x}", hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
