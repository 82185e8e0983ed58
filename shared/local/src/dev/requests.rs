//! What other processes ask of `dev`: a folder in which each file is a request. `dev` alone may change its store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::folders::write_whole;
use crate::payloads::STATE_FOLDER;

/// The folder of the requests, within [`STATE_FOLDER`].
const FOLDER: &str = "requests";
/// The ending of a request's file, and that of the file with its answer.
const REQUEST: &str = ".json";
const ANSWER: &str = ".answer";

/// A request that was put into the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    path: PathBuf,
    /// The text.
    pub text: String,
}

impl Request {
    /// Puts a request where the project's `dev` finds it, now or when it starts.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn put(project: &Path, text: String) -> io::Result<Self> {
        let folder = project.join(STATE_FOLDER).join(FOLDER);
        // Names sort in the order of the requests.
        let name = format!("{:020}-{}", Timestamp::now().as_nanosecond(), std::process::id());
        let path = folder.join(format!("{name}{REQUEST}"));
        write_whole(&path, &text)?;
        Ok(Self { path, text })
    }

    /// Returns the answer, if `dev` has given it, and removes it.
    pub fn take_answer(&self) -> Option<String> {
        let path = self.path.with_extension(&ANSWER[1..]);
        let answer = fs::read_to_string(&path).ok()?;
        // An answer that stays is removed when `dev` starts.
        let _ = fs::remove_file(path);
        Some(answer)
    }

    /// Answers the request, which is then done.
    ///
    /// # Errors
    /// The folder cannot be written to. The request may be carried out again.
    pub(super) fn answer(&self, answer: &str) -> io::Result<()> {
        let path = self.path.with_extension(&ANSWER[1..]);
        let hidden = self.path.with_extension("hidden");
        fs::write(&hidden, answer)?;
        fs::remove_file(&self.path)?;
        fs::rename(hidden, path)
    }
}

/// Returns the requests of a project, in their order.
pub(super) fn requests(project: &Path) -> Vec<Request> {
    files(project, REQUEST)
        .into_iter()
        .filter_map(|path| Some(Request { text: fs::read_to_string(&path).ok()?, path }))
        .collect()
}

/// Removes the answers that were never read.
pub(super) fn remove_answers(project: &Path) {
    for path in files(project, ANSWER) {
        let _ = fs::remove_file(path);
    }
}

fn files(project: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.join(STATE_FOLDER).join(FOLDER)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(ending) && !name.starts_with('.')
    };
    let mut files: Vec<PathBuf> = paths.filter(is_meant).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::{Request, remove_answers, requests};

    #[test]
    fn requests_come_in_their_order_and_are_answered_once() {
        let project = tempdir().expect("a folder");
        assert_eq!(requests(project.path()), []);
        let put = ["first", "second"].map(|text| Request::put(project.path(), text.to_owned()).expect("is put"));
        fs::write(project.path().join(".ecs-trigger/requests/.half.json"), "{").expect("is written");
        assert_eq!(requests(project.path()), put);
        assert_eq!(put[0].take_answer(), None);
        put[0].answer("done").expect("is answered");
        assert_eq!(requests(project.path()), put[1..]);
        assert_eq!((put[0].take_answer(), put[0].take_answer()), (Some("done".to_owned()), None));
        put[1].answer("unread").expect("is answered");
        remove_answers(project.path());
        assert_eq!(put[1].take_answer(), None);
    }
}
