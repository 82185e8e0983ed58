//! Folders as buckets and queues.
//!
//! - [`bucket`] - the events that S3 would send for a folder's files; [`object_events`] - what is in them;
//! - [`queue`] - a folder whose files are messages; [`events`] - a folder whose files are events;
//! - [`attributes`] - what an object has beside its content; [`own_changes`] - the changes that the endpoint makes;
//! - [`landing`] - when a file is complete: closed or stable, never half written; [`watch`] - changes in the folders.

pub mod attributes;
pub mod bucket;
pub mod events;
pub mod landing;
pub mod object_events;
pub mod own_changes;
pub mod queue;
pub mod watch;

use std::fs;
use std::io;
use std::path::Path;

/// Writes a file that others never see half written: it is hidden until it is whole. Creates its folder.
pub(crate) fn write_whole(path: &Path, content: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!(".{name}"));
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(&hidden, content)?;
    fs::rename(hidden, path)
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
