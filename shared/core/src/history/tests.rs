use expect_test::expect;
use jiff::Timestamp;

use super::{Filter, HistoryQuery, LaunchState, Launches, ObjectName, Summary, named, object};
use crate::event::Event;
use crate::event::identity::Identity;
use crate::fixtures::OBJECT_CREATED;
use crate::launch::{LaunchRecord, Skipped};
use crate::pattern::operator::Wildcard;

/// Returns the record of a launch by an event of S3, with further fields.
fn record(more: &str) -> LaunchRecord {
    let text = format!(
        r#"{{
            "version": 2, "key": {{ "route": "r", "date": "2026-01-31", "id": "{:032}" }}, "task": "t", "event_id": "e",
            "identity": ["s3", "Object Created", "uploads", "in/a.csv", "v", "0A"], "event": {{ "text": "{{}}" }},
            "request": {{ "taskDefinition": "t", "startedBy": "s", "clientToken": "c" }},
            "created": "2026-01-31T12:00:00.1239Z", "due": "2026-01-31T12:01:00Z" {more}
        }}"#,
        0
    );
    LaunchRecord::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const TASK: &str =
    r#", "tasks": [{ "arn": "arn:aws:ecs:us-east-1:1:task/batch/a1", "attempt": 0, "since": "2026-01-31T12:00:02Z" }]"#;
const UNDECIDED: &str = r#", "attempts": [{ "count": 1, "rung": 0, "client_token": "c", "opened": "2026-01-31T12:00:00Z",
    "undecided": { "reply": { "error": { "code": "ThrottlingException", "message": "Rate exceeded" } }, "times": 1,
    "since": "2026-01-31T12:00:00Z", "again": "2026-01-31T12:00:01Z" } }]"#;

fn ended(outcome: &str) -> String {
    format!(r#"{TASK}, "ended": {{ "at": "2026-01-31T13:00:00Z", "outcome": {outcome} }}"#)
}

fn failed() -> LaunchRecord {
    record(&ended(r#"{ "dead_lettered": "the task a1: exit code 1" }"#))
}

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("is a time"))
}

#[test]
fn a_launch_is_in_the_lists_of_its_state_and_of_its_object() {
    let (open, failed, done) = (record(TASK), failed(), record(&ended("\"succeeded\"")));
    let other = Launches::Of(ObjectName { bucket: "uploads".to_owned(), key: "in/b.csv".to_owned() });
    let own = Launches::Of(ObjectName { bucket: "uploads".to_owned(), key: "in/a.csv".to_owned() });
    for (of, expected) in [
        (Launches::All, [true, true, true]),
        (Launches::Failed, [false, true, false]),
        (Launches::Open, [true, false, false]),
        (own, [true, true, true]),
        (other, [false, false, false]),
    ] {
        let mut query = HistoryQuery::new(of);
        assert_eq!([&open, &failed, &done].map(|record| query.takes(record)), expected, "{query:?}");
        query.route = Some("other".to_owned());
        assert!(!query.takes(&done) && !query.takes(&failed) && !query.takes(&open));
    }
}

#[test]
fn a_span_is_of_the_records_or_of_the_failures() {
    let failed = failed();
    for (of, since, until, expected) in [
        (Launches::All, "2026-01-31T12:00:00.1238Z", "2026-01-31T12:00:00.124Z", true),
        (Launches::All, "2026-01-31T12:00:00.124Z", "2026-01-31T14:00:00Z", false),
        (Launches::All, "2026-01-31T11:00:00Z", "2026-01-31T12:00:00.1239Z", false),
        (Launches::Failed, "2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z", false),
        (Launches::Failed, "2026-01-31T13:00:00Z", "2026-01-31T13:00:00.001Z", true),
    ] {
        let query = HistoryQuery { since: at(since), until: at(until), ..HistoryQuery::new(of) };
        assert_eq!(query.takes(&failed), expected, "{query:?}");
    }
}

#[test]
fn a_filter_takes_what_meets_all_of_its_conditions() {
    let failed = failed();
    let takes = |filter: Filter| HistoryQuery { filter, ..HistoryQuery::new(Launches::All) }.takes(&failed);
    let reason = |glob: &str| Filter { reason: Wildcard::parse(glob).ok(), ..Filter::default() };
    let task = |name: &str| Filter { task: Some(name.to_owned()), ..Filter::default() };
    let event = |id: &str| Filter { event_id: Some(id.to_owned()), ..Filter::default() };
    let ecs = |name: &str| Filter { ecs_task: Some(name.to_owned()), ..Filter::default() };
    let states = |states: &[LaunchState]| Filter { states: states.to_vec(), ..Filter::default() };
    assert!(takes(Filter::default()));
    for (taken, refused) in [
        (reason("*exit code 1"), reason("*exit code 2")),
        (task("t"), task("u")),
        (event("e"), event("f")),
        (ecs("a1"), ecs("1")),
        (ecs("arn:aws:ecs:us-east-1:1:task/batch/a1"), ecs("batch")),
        (states(&[LaunchState::Running, LaunchState::DeadLettered]), states(&[LaunchState::Running])),
        (Filter { task: Some("t".to_owned()), ..event("e") }, Filter { task: Some("u".to_owned()), ..event("e") }),
    ] {
        assert!(takes(taken.clone()), "{taken:?}");
        assert!(!takes(refused.clone()), "{refused:?}");
    }
    let done = record(&ended("\"succeeded\""));
    let any = HistoryQuery { filter: reason("*"), ..HistoryQuery::new(Launches::All) };
    assert!(any.takes(&failed) && !any.takes(&done), "it has no reason");
}

#[test]
fn a_launch_has_one_state_and_its_reason() {
    let concluding = r#", "concluding": { "at": "2026-01-31T13:00:00Z", "outcome": { "dead_lettered": "it failed" } }"#;
    let line = |more: &str| {
        let summary = Summary::of(&record(more));
        format!("{}: {}\n", summary.state.as_str(), summary.reason.unwrap_or_default())
    };
    let lines = [
        "",
        r#", "slot": "waiting""#,
        UNDECIDED,
        TASK,
        concluding,
        &ended("\"succeeded\""),
        &ended("\"stopped\""),
        &ended("\"replaced\""),
        &ended(r#"{ "skipped": "older" }"#),
        &ended(r#"{ "dead_lettered": "it failed" }"#),
    ];
    expect![[r#"
        starting: 
        queued: 
        starting: ThrottlingException: Rate exceeded
        running: 
        concluding: it failed
        succeeded: 
        stopped: 
        replaced: 
        skipped: a later event of this object was already launched
        dead_lettered: it failed
    "#]]
    .assert_eq(&lines.map(line).concat());
    for state in LaunchState::ALL {
        assert_eq!(serde_json::json!(state), state.as_str());
    }
    let reasons = [Skipped::Full, Skipped::Older, Skipped::Superseded].map(super::why_skipped);
    assert!(reasons[0] != reasons[1] && reasons[1] != reasons[2]);
}

#[test]
fn a_summary_has_what_a_list_shows() {
    expect![[r#"
        {
          "launch": "r/2026-01-31/00000000000000000000000000000000",
          "route": "r",
          "task": "t",
          "state": "dead_lettered",
          "created": "2026-01-31T12:00:00.1239Z",
          "started": "2026-01-31T12:00:02Z",
          "ended": "2026-01-31T13:00:00Z",
          "reason": "the task a1: exit code 1",
          "attempts": 0,
          "ecs_tasks": [
            "arn:aws:ecs:us-east-1:1:task/batch/a1"
          ],
          "event_id": "e",
          "object": {
            "bucket": "uploads",
            "key": "in/a.csv"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&Summary::of(&failed())).expect("is JSON"));
}

#[test]
fn the_identity_of_an_event_of_s3_names_its_object() {
    let event = Event::decode(OBJECT_CREATED).expect("is an event");
    let name = ObjectName { bucket: "uploads".to_owned(), key: "incoming/report.tar.gz".to_owned() };
    assert_eq!(named(&event.identity()), Some(name));
    assert_eq!(named(&Identity::new(["event", "s3", "uploads", "a", "b", "c"])), None);
    let mut long = record("");
    long.identity = Identity::new(["s3", "Object Created", "uploads", &"k".repeat(2048), "v", "0A"]);
    assert_eq!(object(&long), None, "no index could hold it");
}
