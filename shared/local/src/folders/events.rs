//! Events that are given to `dev`: the files of a folder, each with one event of EventBridge.

use std::io;
use std::path::Path;

use jiff::{Timestamp, Unit};
use serde_json::json;
use trigger_core::event::Queue;
use trigger_core::event::identity::id_of;
use trigger_core::text::Kind;
use trigger_core::text::json::{SyntaxError, parse};

use super::bucket::{ACCOUNT, REGION};
use super::queue::{FolderQueue, Outgoing};
use crate::payloads::STATE_FOLDER;

/// The name of the folder, within [`STATE_FOLDER`].
const FOLDER: &str = "events";

/// Returns the folder for events of a project. It works as a queue does: each file is taken once, in order.
pub fn events(project: &Path) -> FolderQueue {
    let queue = Queue { name: FOLDER.to_owned(), region: None, account: None };
    let state = project.join(STATE_FOLDER);
    let mut events = FolderQueue::new(&queue, None, project);
    events.folder = state.join(FOLDER);
    events.dead_letter_folder = state.join(format!("{FOLDER}-dead-letters"));
    events
}

/// Puts an event into the folder.
///
/// # Errors
/// The folder cannot be written to.
pub fn emit(project: &Path, event: String, now: Timestamp) -> io::Result<()> {
    events(project).send(&Outgoing { body: event, ..Outgoing::default() }, now)?;
    Ok(())
}

/// Adds what EventBridge adds to an event that is put on a bus, where it is missing: an id, a time, and where the event
/// comes from.
///
/// # Errors
/// The text is not JSON.
pub fn completed(text: &str, now: Timestamp) -> Result<String, SyntaxError> {
    let event = parse(text)?;
    let Kind::Object(entries) = &event.kind else { return Ok(text.to_owned()) };
    let usual = [
        ("version", json!("0")),
        ("id", json!(id_of(&[text, &now.as_nanosecond().to_string()]))),
        ("account", json!(ACCOUNT)),
        ("time", json!(now.round(Unit::Second).unwrap_or(now).to_string())),
        ("region", json!(REGION)),
        ("resources", json!([])),
    ];
    let missing = usual.iter().filter(|(key, _)| event.get(key).is_none());
    let added: Vec<String> = missing.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    // What is there stays as it is written: a number may have more digits than a float holds.
    let there = text.trim_end();
    let there = there.strip_suffix('}').unwrap_or(there);
    let separator = if entries.is_empty() || added.is_empty() { "" } else { "," };
    Ok(format!("{there}{separator}{}}}", added.join(",")))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::Timestamp;

    use super::{completed, emit, events};

    #[test]
    fn an_event_gets_what_eventbridge_adds_and_nothing_else_changes() {
        let now: Timestamp = "2026-01-31T03:00:00.5Z".parse().expect("is a time");
        let completed = |text: &str| completed(text, now).expect("is JSON");
        let event = completed(r#"{"source":"orders","detail-type":"Placed","detail":{"total":1.10}}"#);
        assert!(
            event.starts_with(
                r#"{"source":"orders","detail-type":"Placed","detail":{"total":1.10},"version":"0","id":""#
            )
        );
        let rest = r#","account":"000000000000","time":"2026-01-31T03:00:01Z","region":"us-east-1","resources":[]}"#;
        assert!(event.ends_with(rest), "{event}");
        assert_eq!(completed(&event), event);
        assert_eq!(completed("[1]"), "[1]");
    }

    #[test]
    fn events_are_taken_in_the_order_in_which_they_were_emitted() {
        let project = tempfile::tempdir().expect("a folder");
        let now = Timestamp::now();
        for (name, later) in [("a", 0), ("b", 1)] {
            let time = now.checked_add(jiff::SignedDuration::from_nanos(later)).expect("is a time");
            emit(project.path(), name.to_owned(), time).expect("is written");
        }
        let mut folder = events(project.path());
        let taken = folder.look(Instant::now()).received;
        assert_eq!(taken.iter().map(|event| event.record.body.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        for event in taken {
            folder.delete(&event.path).expect("is removed");
        }
        assert!(!folder.has_unseen());
    }
}
