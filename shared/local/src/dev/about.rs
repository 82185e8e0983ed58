//! What `dev` says of a launch: what it is about, which start of its task it is, and what follows.

use jiff::Timestamp;
use trigger_core::event::Event;
use trigger_core::history::object;
use trigger_core::launch::{Fate, LaunchRecord, LaunchedTask};
use trigger_core::plan::Plan;
use trigger_core::routing::RoutingConfig;

use crate::happening::{About, ContainerExit, Ending, Next, Start};

/// Without `retry`, a task that never ran is started at most this many times.
const STARTS_IF_NEVER_RUN: u32 = 5;
/// The length of an event's id that is a UUID, and how many of its characters tell it from others.
const UUID_CHARACTERS: usize = 36;
const SHORT_CHARACTERS: usize = 8;

/// Returns what a launch is about.
pub(super) fn about(record: &LaunchRecord) -> About {
    let subject = object(record).map_or_else(|| subject_of_id(&record.event_id), |object| object.key);
    About {
        route: record.key.route.clone(),
        launch: Some(record.key.clone()),
        attempt: u32::try_from(record.attempts.len()).ok().and_then(|attempts| attempts.checked_sub(1)),
        event_id: record.event_id.clone(),
        subject: with_index(subject, record.index),
    }
}

/// Returns a short name for an event that is not about an object: the time of a firing, or the beginning of a message's id.
pub(super) fn subject_of_id(event_id: &str) -> String {
    let last = event_id.rsplit('/').next().unwrap_or_default();
    match last.get(..SHORT_CHARACTERS) {
        Some(short) if last.len() == UUID_CHARACTERS => short.to_owned(),
        _ => last.to_owned(),
    }
}

/// Adds the position of the element that a launch is for.
pub(super) fn with_index(subject: String, index: Option<usize>) -> String {
    match index {
        Some(index) => format!("{subject}[{index}]"),
        None => subject,
    }
}

/// Returns the start of a launch's task that comes next, or is under way.
pub(super) fn start(record: &LaunchRecord) -> Start {
    let before = record.reopened.map_or(0, |reopened| reopened.retried);
    let number = record.retried().saturating_sub(before) + 1;
    let max = match &record.rendered.retry {
        Some(retry) => retry.attempts,
        None if number > 1 => STARTS_IF_NEVER_RUN,
        None => 1,
    };
    Start { number, max }
}

/// Returns what follows a task that has stopped.
pub(super) fn next(record: &LaunchRecord, task: &LaunchedTask) -> Next {
    match task.retried && record.ended.is_none() {
        true => Next::Again { start: start(record), at: record.not_before.unwrap_or(Timestamp::MIN) },
        false => Next::Nothing,
    }
}

/// Returns how a task ended.
pub(super) fn ending(fate: Option<Fate>, containers: &[ContainerExit]) -> Ending {
    match fate {
        Some(Fate::Timeout) => Ending::TimedOut,
        Some(Fate::Stopped) => Ending::Stopped,
        Some(Fate::Replaced) => Ending::Replaced,
        _ if has_succeeded(containers) => Ending::Succeeded,
        _ => Ending::Failed,
    }
}

/// Returns whether all containers that count exited with 0. One that is not essential was stopped with the task, so its
/// exit code means nothing.
pub(super) fn has_succeeded(containers: &[ContainerExit]) -> bool {
    containers.iter().all(|exit| exit.code == 0 || !exit.essential)
}

/// Returns the records of the launches that an event makes. Without a ledger, nothing else has them.
pub(super) fn planned(config: &RoutingConfig, event: &Event, now: Timestamp) -> Vec<LaunchRecord> {
    let plan = Plan::of_routes(config, event, config.matches(event));
    plan.into_iter().flat_map(|plan| plan.launches).map(|launch| launch.record(event, None, None, now)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use trigger_core::launch::LaunchRecord;

    use super::{about, next, start, subject_of_id};
    use crate::happening::{Next, Start};

    /// Returns a launch whose task may start three times, and of whose tasks these were `retried`.
    fn launch(retried: &[bool], identity: &str) -> LaunchRecord {
        let task = |(attempt, retried): (usize, &bool)| {
            format!(r#"{{"arn":"a/{attempt}","attempt":{attempt},"since":"2026-01-01T10:00:00Z","retried":{retried}}}"#)
        };
        let tasks: Vec<String> = retried.iter().enumerate().map(task).collect();
        let text = format!(
            r#"{{
  "version": 2, "key": {{ "route": "r", "date": "2026-01-01", "id": "{:032}" }}, "task": "t",
  "event_id": "3f2a91bc-0000-4000-8000-000000000000", "identity": {identity}, "event": {{ "text": "{{}}" }},
  "request": {{ "taskDefinition": "t", "startedBy": "s", "clientToken": "c" }}, "tasks": [{}], "index": 2,
  "retry": {{ "attempts": 3, "on": ["any"], "backoff_seconds": 5 }}, "not_before": "2026-01-01T10:00:05Z",
  "created": "2026-01-01T10:00:00Z", "due": "2026-01-01T10:00:00Z"
}}"#,
            0,
            tasks.join(",")
        );
        LaunchRecord::parse(&text).expect("is a record")
    }

    #[test]
    fn starts_are_counted_from_one_and_from_the_last_redrive() {
        let at: Timestamp = "2026-01-01T10:00:05Z".parse().expect("is a time");
        for (retried, number) in [(&[][..], 1), (&[false], 1), (&[true], 2), (&[true, true], 3)] {
            let record = launch(retried, "[]");
            assert_eq!(start(&record), Start { number, max: 3 }, "{retried:?}");
            if let Some(last) = record.tasks.last() {
                let again = Next::Again { start: Start { number, max: 3 }, at };
                assert_eq!(next(&record, last), if last.retried { again } else { Next::Nothing });
            }
        }
        let mut redriven = launch(&[true, true, true], "[]");
        redriven.reopened = Some(trigger_core::launch::Reopened { attempts: 2, retried: 2, times: 1 });
        assert_eq!(start(&redriven), Start { number: 2, max: 3 });
        redriven.rendered.retry = None;
        assert_eq!(start(&redriven), Start { number: 2, max: 5 });
    }

    #[test]
    fn a_launch_is_about_its_object_or_its_event() {
        let of_object = r#"["s3","Object Created","b","in/a.csv","","1"]"#;
        assert_eq!(about(&launch(&[], of_object)).subject, "in/a.csv[2]");
        assert_eq!(about(&launch(&[], "[]")).subject, "3f2a91bc[2]");
        assert_eq!(subject_of_id("default/nightly/2026-01-01T18:00:00Z"), "2026-01-01T18:00:00Z");
        assert_eq!(subject_of_id("e"), "e");
    }
}
