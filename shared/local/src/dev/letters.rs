//! The dead letters of a project: closed once the work of their events was done.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{ObjectName, object};
use trigger_core::launch::{LaunchRecord, Outcome};

/// The folder, within that of the dead letters, of those whose work was done.
const DONE: &str = "done";

/// The dead letters that are not closed.
#[derive(Debug)]
pub(super) struct Letters {
    folder: PathBuf,
    /// What was read of each file, so that it need not be read again.
    known: BTreeMap<OsString, Option<Letter>>,
}

/// What a dead letter is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter {
    launch: Option<LaunchKey>,
    event_id: Option<String>,
    route: Option<String>,
    object: Option<ObjectName>,
}

impl Letters {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, known: BTreeMap::new() }
    }

    /// Moves the letters whose work a launch has done, which has just ended. Returns their files. `record` looks up a
    /// launch, and `of_event` those that an event made.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub(super) fn close(
        &mut self,
        ended: &LaunchRecord,
        record: impl Fn(&LaunchKey) -> Option<LaunchRecord>,
        of_event: impl Fn(&str) -> Vec<LaunchRecord>,
    ) -> io::Result<Vec<PathBuf>> {
        if ended.ended.as_ref().is_none_or(|conclusion| conclusion.outcome != Outcome::Succeeded) {
            return Ok(Vec::new());
        }
        self.look();
        let mut closed = Vec::new();
        for (name, letter) in self.known.iter().filter_map(|(name, letter)| Some((name, letter.as_ref()?))) {
            let failed = letter.launch.as_ref().and_then(&record);
            if letter.is_done(failed.as_ref(), ended, &of_event) {
                let done = self.folder.join(DONE);
                fs::create_dir_all(&done)?;
                fs::rename(self.folder.join(name), done.join(name))?;
                closed.push(done.join(name));
            }
        }
        Ok(closed)
    }

    /// Reads the files that are new, and forgets those that are gone.
    fn look(&mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut known = std::mem::take(&mut self.known);
        self.known = files
            .map(|entry| {
                let name = entry.file_name();
                let letter = known.remove(&name).unwrap_or_else(|| Letter::read(&entry.path()));
                (name, letter)
            })
            .collect();
    }
}

impl Letter {
    fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let letter: Value = serde_json::from_str(text).ok()?;
        letter.get("dead_letter")?;
        let of = |pointer: &str| letter.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (bucket, key) = (of("/event/detail/bucket/name"), of("/event/detail/object/key"));
        Some(Self {
            launch: of("/launch").as_deref().and_then(LaunchKey::parse),
            event_id: of("/event_id"),
            route: of("/route"),
            object: bucket.zip(key).map(|(bucket, key)| ObjectName { bucket, key }),
        })
    }

    /// Returns whether a launch that succeeded has done the work of this letter: it is the letter's launch, or the same
    /// task of a later event about the same object. A letter without a launch is done once no launch has failed or is still
    /// open, either of its own event or of another event about its object.
    fn is_done(
        &self,
        failed: Option<&LaunchRecord>,
        ended: &LaunchRecord,
        of_event: impl Fn(&str) -> Vec<LaunchRecord>,
    ) -> bool {
        if let Some(launch) = &self.launch {
            let is_same_work = |failed: &LaunchRecord| {
                (&failed.key.route, &failed.task, failed.index, failed.copy)
                    == (&ended.key.route, &ended.task, ended.index, ended.copy)
                    && object(failed).is_some_and(|name| object(ended) == Some(name))
                    && failed.created < ended.created
            };
            return *launch == ended.key || failed.is_some_and(is_same_work);
        }
        let is_of_event = self.event_id.as_ref() == Some(&ended.event_id);
        let is_of_object = self.object.is_some() && self.object == object(ended);
        let is_of_route = self.route.as_ref().is_none_or(|route| *route == ended.key.route);
        let has_done = |record: &LaunchRecord| record.ended.as_ref().is_some_and(|conclusion| !conclusion.is_failure());
        is_of_route && (is_of_event || is_of_object) && of_event(&ended.event_id).iter().all(has_done)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use trigger_core::launch::{Conclusion, LaunchRecord, Outcome};

    use super::Letter;

    /// Returns a launch of an event about the object `b/KEY`. It `succeeded`, or has not ended.
    fn launch(number: u32, key: &str, succeeded: bool) -> LaunchRecord {
        let id = format!("{number:032}");
        let text = format!(
            r#"{{
  "version": 2, "key": {{ "route": "r", "date": "2026-01-01", "id": "{id}" }}, "task": "t", "event_id": "e{number}",
  "identity": ["s3", "Object Created", "b", "{key}", "", "{number}"], "event": {{ "text": "{{}}" }},
  "request": {{ "taskDefinition": "t", "startedBy": "s", "clientToken": "{id}" }},
  "created": "2026-01-01T10:00:0{number}Z", "due": "2026-01-01T10:00:00Z"
}}"#
        );
        let record = LaunchRecord::parse(&text).expect("is a record");
        let ended = Conclusion { at: Timestamp::UNIX_EPOCH, outcome: Outcome::Succeeded };
        LaunchRecord { ended: succeeded.then_some(ended), ..record }
    }

    #[test]
    fn a_letter_is_done_when_its_own_launch_or_a_later_one_about_its_object_succeeded() {
        let failed = launch(2, "k", false);
        let letter = format!(r#"{{"dead_letter":1,"reason":"no","launch":"{}","event":{{}}}}"#, failed.key);
        let letter = Letter::parse(&letter).expect("is a letter");
        let other_element = LaunchRecord { index: Some(1), ..launch(3, "k", true) };
        for (ended, is_done) in [
            (launch(2, "k", true), true),
            (launch(3, "k", true), true),
            (launch(1, "k", true), false),
            (launch(3, "other", true), false),
            (other_element, false),
        ] {
            assert_eq!(letter.is_done(Some(&failed), &ended, |_| Vec::new()), is_done, "{ended:?}");
        }
    }

    #[test]
    fn a_letter_without_a_launch_is_done_when_all_launches_of_its_event_or_object_succeeded() {
        let letter = r#"{"dead_letter":1,"reason":"no","event_id":"e1","route":"r","event":
            {"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":1}}}}"#;
        let letter = Letter::parse(letter).expect("is a letter");
        let [good, open] = [launch(1, "x", true), launch(1, "x", false)];
        for (ended, others, is_done) in [
            (good.clone(), vec![good.clone()], true),
            (good.clone(), vec![good.clone(), open], false),
            (launch(2, "k", true), vec![], true),
            (launch(2, "x", true), vec![], false),
        ] {
            assert_eq!(letter.is_done(None, &ended, |_| others.clone()), is_done, "{ended:?}");
        }
        assert_eq!(Letter::parse("[1]"), None);
    }
}
