//! The output of a container, line by line.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::happening::Stream;

/// The ending of the names of files with output.
const ENDING: &str = ".log";

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When `dev` received the line, in milliseconds.
    pub at: Timestamp,
    /// Where it was written to.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// The file with the output of one container in one attempt. Files sort by attempt, then by container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// The number of the attempt, from 0.
    pub attempt: u32,
    /// The container's name. Characters that a name on ECS cannot have are replaced by `_`.
    pub container: String,
    /// The file.
    pub path: PathBuf,
}

impl LogLine {
    /// Returns the line as a file holds it: the time, `|` for standard output or `!` for standard error, and the text.
    pub fn write(&self) -> String {
        let Self { at, stream, text } = self;
        let bar = if *stream == Stream::Stderr { '!' } else { '|' };
        format!("{at:.3} {bar} {text}")
    }

    /// Parses a line of a file.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ' ');
        let at = parts.next()?.parse().ok()?;
        let stream = match parts.next()? {
            "|" => Stream::Stdout,
            "!" => Stream::Stderr,
            _ => return None,
        };
        Some(Self { at, stream, text: parts.next()?.to_owned() })
    }
}

impl LogFile {
    /// Returns the file for the output of a container, in the folder of its launch.
    pub(super) fn new(folder: &Path, attempt: u32, container: &str) -> Self {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let container = container.replace(|c: char| !is_legal(c), "_");
        let path = folder.join(format!("{attempt}-{container}{ENDING}"));
        Self { attempt, container, path }
    }

    /// Returns what a path says of the output in it, or `None` if it is not a file with output.
    pub(super) fn at(path: PathBuf) -> Option<Self> {
        let (attempt, container) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once('-')?;
        Some(Self { attempt: attempt.parse().ok()?, container: container.to_owned(), path })
    }
}
