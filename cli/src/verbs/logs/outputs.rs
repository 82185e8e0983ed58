//! The output of one container in one attempt, and how it is read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
#[cfg(feature = "aws")]
use trigger_core::ecs::logs::Elsewhere;
use trigger_core::event::identity::LaunchKey;
use trigger_local::dev::Stream;
use trigger_local::runs::Runs;
use trigger_local::runs::log::LogLine;

#[cfg(feature = "aws")]
use super::streams::StreamReader;
use crate::exit::Failed;

/// A page of a file has at most this many lines.
const LINES_AT_ONCE: usize = 10_000;

/// The output of one container in one attempt.
#[derive(Debug)]
pub(super) struct Output {
    /// The number of the attempt, from 0.
    pub(super) attempt: u32,
    pub(super) container: String,
    /// The ARN of the ECS task.
    pub(super) ecs_task: Option<String>,
    pub(super) reader: Reader,
    /// Whether a line of it was printed.
    pub(super) has_lines: bool,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// `stdout` or `stderr`, if it is known.
    pub(super) stream: Option<&'static str>,
    pub(super) text: String,
}

/// The next lines of an output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) lines: Vec<(Timestamp, Line)>,
    /// Whether there are no more lines for now.
    pub(super) is_at_end: bool,
}

/// Reads an output from its beginning.
#[derive(Debug)]
pub(super) enum Reader {
    File(FileReader),
    #[cfg(feature = "aws")]
    Stream(StreamReader),
    /// The output cannot be read.
    #[cfg(feature = "aws")]
    Elsewhere(Elsewhere),
}

impl Reader {
    /// Reads the next lines.
    pub(super) async fn read(&mut self) -> Result<Page, Failed> {
        match self {
            Self::File(file) => file.read(),
            #[cfg(feature = "aws")]
            Self::Stream(stream) => stream.read().await,
            #[cfg(feature = "aws")]
            Self::Elsewhere(_) => Ok(Page { is_at_end: true, ..Page::default() }),
        }
    }

    /// Returns why the output may be empty although the container wrote something.
    pub(super) fn why_empty(&self) -> Option<String> {
        match self {
            #[cfg(feature = "aws")]
            Self::Stream(stream) => stream.why_empty(),
            _ => None,
        }
    }
}

/// The files that `dev` keeps.
#[derive(Debug, Default)]
pub(super) struct Files {
    found: HashSet<PathBuf>,
}

impl Files {
    /// Returns the outputs of a launch that were not found before.
    pub(super) fn find(&mut self, runs: &Runs, launch: &LaunchKey) -> Vec<Output> {
        let files = runs.logs(launch).into_iter();
        let new = files.filter(|file| self.found.insert(file.path.clone()));
        new.map(|file| Output {
            attempt: file.attempt,
            container: file.container,
            ecs_task: None,
            reader: Reader::File(FileReader { path: file.path, read: 0 }),
            has_lines: false,
        })
        .collect()
    }
}

/// Reads a file that may grow.
#[derive(Debug)]
pub(super) struct FileReader {
    path: PathBuf,
    /// The number of bytes that were read.
    read: u64,
}

impl FileReader {
    fn read(&mut self) -> Result<Page, Failed> {
        self.page(LINES_AT_ONCE).map_err(|error| Failed::File { path: self.path.clone(), error })
    }

    fn page(&mut self, most: usize) -> std::io::Result<Page> {
        let mut file = BufReader::new(File::open(&self.path)?);
        file.seek(SeekFrom::Start(self.read))?;
        let mut page = Page::default();
        while page.lines.len() < most {
            let mut bytes = Vec::new();
            let length = file.read_until(b'\n', &mut bytes)?;
            // A line without its end is still being written.
            if bytes.pop() != Some(b'\n') {
                page.is_at_end = true;
                break;
            }
            self.read += length as u64;
            let line = LogLine::parse(&String::from_utf8_lossy(&bytes));
            page.lines.extend(line.map(|LogLine { at, stream, text }| {
                let stream = if stream == Stream::Stderr { "stderr" } else { "stdout" };
                (at, Line { stream: Some(stream), text })
            }));
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::{FileReader, Page};

    #[test]
    fn a_file_that_grows_is_read_on_and_half_a_line_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0-app.log");
        let mut file = File::create(&path).expect("is made");
        let mut write = |text: &str| file.write_all(text.as_bytes()).expect("is written");
        let mut reader = FileReader { path, read: 0 };
        let mut next = |most| {
            let Page { lines, is_at_end } = reader.page(most).expect("can be read");
            let texts: Vec<String> =
                lines.into_iter().map(|(_, line)| format!("{} {}", line.stream.unwrap_or("?"), line.text)).collect();
            (texts.join(", "), is_at_end)
        };
        assert_eq!(next(9), (String::new(), true));
        write("2026-01-01T10:00:00.000Z | a\n2026-01-01T10:00:00.000Z ! b\nno line\n2026-01-01T10:00:01.000Z | c");
        assert_eq!(next(1), ("stdout a".to_owned(), false));
        assert_eq!(next(9), ("stderr b".to_owned(), true));
        write("d\n");
        assert_eq!(next(9), ("stdout cd".to_owned(), true));
        assert_eq!(next(9), (String::new(), true));
    }
}
