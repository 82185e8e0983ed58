//! What is written is found again, and the oldest goes first.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tempfile::tempdir;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{HistoryQuery, LaunchState, Launches};
use trigger_core::launch::{Conclusion, LaunchRecord, Outcome};

use super::keeper::{Ended, Keeper};
use super::log::LogLine;
use super::{ENDED_MAX, NotRead, Runs};
use crate::happening::Stream;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_261_600 + second).expect("is a time")
}

/// Returns a launch that was recorded at this second. If it `failed`, it ended a second later.
fn launch(number: u32, second: i64, failed: bool) -> LaunchRecord {
    let id = format!("{number:04x}{number:028}");
    let (created, ended) = (at(second), at(second + 1));
    let text = format!(
        r#"{{
  "version": 2, "key": {{ "route": "r", "date": "2026-01-01", "id": "{id}" }}, "task": "t", "event_id": "e{number}",
  "identity": ["e", "{number}"], "event": {{ "text": "{{}}" }},
  "request": {{ "taskDefinition": "t", "startedBy": "ecs-trigger/r/2026-01-01/{id}/0", "clientToken": "{id}" }},
  "tasks": [{{ "arn": "arn:aws:ecs:r:a:task/default/f{number:031}", "attempt": 1, "since": "{created}" }}],
  "created": "{created}", "due": "{created}"
}}"#
    );
    let record = LaunchRecord::parse(&text).expect("is a record");
    let outcome = Outcome::DeadLettered("no".to_owned());
    LaunchRecord { ended: failed.then_some(Conclusion { at: ended, outcome }), ..record }
}

fn numbers(launches: &[LaunchRecord]) -> Vec<&str> {
    launches.iter().map(|record| record.event_id.as_str()).collect()
}

fn kept(project: &Path, launches: &[LaunchRecord]) -> (Keeper, Runs) {
    let keeper = Keeper::open(project, launches).expect("can be used");
    assert_eq!(keeper.take_problem(), None);
    (keeper, Runs::open(project))
}

#[test]
fn a_query_finds_launches_in_the_order_of_its_list() {
    let project = tempdir().expect("a folder");
    let launches = [launch(1, 10, true), launch(2, 30, false), launch(3, 20, true), launch(4, 5, false)];
    let (_, runs) = kept(project.path(), &launches);
    let found = |query: &HistoryQuery| numbers(&runs.history(query)).join(" ");
    let query = HistoryQuery::new;
    for (query, expected) in [
        (query(Launches::All), "e2 e3 e1 e4"),
        (query(Launches::Failed), "e3 e1"),
        (query(Launches::Open), "e4 e2"),
        (HistoryQuery { since: Some(at(10)), until: Some(at(30)), ..query(Launches::All) }, "e3 e1"),
        (HistoryQuery { route: Some("other".to_owned()), ..query(Launches::All) }, ""),
    ] {
        assert_eq!(found(&query), expected, "{query:?}");
    }
    assert_eq!(LaunchState::of(&runs.history(&query(Launches::Failed))[0]), LaunchState::DeadLettered);
    assert_eq!(Runs::open(Path::new("nowhere")).history(&query(Launches::All)), []);
}

#[test]
fn a_launch_is_found_by_its_name_by_a_prefix_of_its_id_and_by_its_task() {
    let project = tempdir().expect("a folder");
    let launches = [launch(0x11, 1, false), launch(0x12, 2, false)];
    let (_, runs) = kept(project.path(), &launches);
    let [first, second] = &launches;
    let unknown = |named: &str| Err(NotRead::Unknown(named.to_owned()));
    for (named, expected) in [
        (first.key.to_string(), Ok(first.clone())),
        (second.key.id.clone(), Ok(second.clone())),
        ("0011".to_owned(), Ok(first.clone())),
        ("r/2026-01-01/0012".to_owned(), Ok(second.clone())),
        ("other/2026-01-01/0012".to_owned(), unknown("other/2026-01-01/0012")),
        (format!("f{:031}", 0x12), Ok(second.clone())),
        (second.tasks[0].arn.clone(), Ok(second.clone())),
        ("9".to_owned(), unknown("9")),
    ] {
        assert_eq!(runs.read(&named), expected, "{named}");
    }
    let ambiguous = runs.read("001").expect_err("may be both");
    assert!(
        ambiguous.to_string().starts_with("2 launches have an id that begins with `001`, such as r/2026-01-01/001")
    );
    let record = project.path().join(".ecs-trigger/runs").join(&first.key.id).join("record.json");
    fs::write(record, "{").expect("is written");
    assert!(matches!(runs.read("0011"), Err(NotRead::Unreadable { .. })));
}

#[test]
fn output_is_kept_by_attempt_and_container_with_the_time_of_each_line() {
    let project = tempdir().expect("a folder");
    let record = launch(1, 0, false);
    let (keeper, runs) = kept(project.path(), std::slice::from_ref(&record));
    let line = |stream, text: &str| LogLine { at: at(0), stream, text: text.to_owned() };
    for (attempt, container, line) in [
        (10, "app", line(Stream::Stdout, "third")),
        (2, "log/router", line(Stream::Stdout, "")),
        (2, "app", line(Stream::Stderr, "first | !")),
        (2, "app", line(Stream::Stdout, "  second")),
    ] {
        keeper.add_line(&record.key, attempt, container, &line);
    }
    keeper.close(&record.key, 2);
    keeper.add_line(&record.key, 2, "app", &line(Stream::Stdout, "late"));
    let logs = runs.logs(&record.key);
    let names: Vec<(u32, &str)> = logs.iter().map(|file| (file.attempt, file.container.as_str())).collect();
    assert_eq!(names, [(2, "app"), (2, "log_router"), (10, "app")]);
    let text = fs::read_to_string(&logs[0].path).expect("is there");
    let written = "2026-01-01T10:00:00.000Z ! first | !\n2026-01-01T10:00:00.000Z |   second\n\
                   2026-01-01T10:00:00.000Z | late\n";
    assert_eq!(text, written);
    let lines: Vec<LogLine> = text.lines().map(|text| LogLine::parse(text).expect("is a line")).collect();
    assert_eq!(
        lines[..2],
        [line(Stream::Stderr, "first | !"), line(Stream::Stdout, "  second")],
        "as they were written"
    );
    for text in ["", "x", "2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z ? x", "now | x"] {
        assert_eq!(LogLine::parse(text), None, "{text:?}");
    }
    assert_eq!(runs.logs(&LaunchKey::new("r", "2026-01-01", "unknown")), []);
    assert_eq!(keeper.take_problem(), None);
}

#[test]
fn the_launches_that_ended_first_are_removed_first_and_open_ones_never() {
    let mut ended = Ended::default();
    for (id, second) in [("a", Some(3)), ("b", Some(1)), ("c", None), ("d", Some(2)), ("a", None), ("a", Some(9))] {
        ended.note(id, second.map(at));
    }
    assert_eq!(ended.take_surplus(3), [] as [String; 0]);
    assert_eq!(ended.take_surplus(1), ["b", "d"]);
    ended.note("a", None);
    assert_eq!(ended.take_surplus(0), [] as [String; 0], "it was reopened");
}

#[test]
fn a_thousand_ended_launches_are_kept() {
    let project = tempdir().expect("a folder");
    let (keeper, runs) = kept(project.path(), &[launch(0, -1, false)]);
    let max = u32::try_from(ENDED_MAX).expect("is small");
    for number in 1..=max + 2 {
        keeper.keep(&launch(number, number.into(), true));
    }
    assert_eq!(keeper.take_problem(), None);
    let left = runs.history(&HistoryQuery::new(Launches::All));
    let (last, open) = (left[ENDED_MAX - 1].event_id.as_str(), left[ENDED_MAX].event_id.as_str());
    assert_eq!((left.len(), last, open), (ENDED_MAX + 1, "e3", "e0"));
}

#[test]
fn at_the_start_the_files_say_what_the_store_says_and_launches_that_nobody_knows_have_ended() {
    let project = tempdir().expect("a folder");
    let (keeper, runs) = kept(project.path(), &[]);
    let [open, lost] = [launch(1, 1, false), launch(2, 2, false)];
    keeper.keep(&open);
    keeper.keep(&lost);
    let later = LaunchRecord { due: at(60), ..open };
    let missing = launch(3, 3, true);
    let ignored = fs::read_to_string(project.path().join(".ecs-trigger/.gitignore"));
    assert_eq!(ignored.expect("is there"), "*\n");
    kept(project.path(), &[later.clone(), missing.clone()]);
    assert_eq!(runs.read(&later.key.id), Ok(later));
    assert_eq!(runs.read(&missing.key.id), Ok(missing));
    let ended = runs.read(&lost.key.id).expect("is there").ended.expect("has ended");
    assert_eq!(ended.outcome, Outcome::DeadLettered("`dev` ended before the task did".to_owned()));
    assert!(Timestamp::now().duration_since(ended.at) < SignedDuration::from_mins(1));
}
