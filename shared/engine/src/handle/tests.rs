//! What becomes of an event. One door: [`check`].

use std::sync::Mutex;

use expect_test::{Expect, expect};
use jiff::Timestamp;
use trigger_core::config::RoutingConfig;
use trigger_core::document::Source;
use trigger_core::event::{Event, Firing};
use trigger_core::task_request::TaskRequest;

use super::{Ports, handle};
use crate::{Failure, LaunchError, Launched, Launcher, PayloadError, Payloads};

/// Answers launches in turn, and remembers what was asked for.
struct Script {
    answers: Mutex<Vec<Result<Launched, LaunchError>>>,
    asked: Mutex<Vec<String>>,
}

impl Launcher for Script {
    async fn launch(&self, request: &TaskRequest) -> Result<Launched, LaunchError> {
        self.asked.lock().expect("not poisoned").push(request.task_definition.clone());
        self.answers.lock().expect("not poisoned").remove(0)
    }
}

/// Remembers what was put, or refuses it.
#[derive(Default)]
struct Bucket {
    refuses: bool,
    put: Mutex<Vec<String>>,
}

impl Payloads for Bucket {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        if self.refuses {
            return Err(PayloadError("AccessDenied".to_owned()));
        }
        let shown = format!("{} characters at {}", event.len(), uri.split('/').take(4).collect::<Vec<_>>().join("/"));
        self.put.lock().expect("not poisoned").push(shown);
        Ok(())
    }
}

const CONFIG: &str = r#"
version: 1
tasks:
  a: { task_definition: a }
  b: { task_definition: b, reference_id: "{{ detail.reference }}" }
routes:
  - { name: first, on: { event_pattern: { source: [app] } }, run: a }
  - { name: second, on: { event_pattern: { detail: { both: [true] } } }, run: b }
"#;

fn event(detail: &str) -> String {
    format!(
        r#"{{"id":"e-1","source":"app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r","detail":{detail}}}"#
    )
}

fn started(arn: &str) -> Result<Launched, LaunchError> {
    Ok(Launched { task_arns: vec![arn.to_owned()], already: false })
}

fn no_memory() -> LaunchError {
    let failure =
        Failure { arn: Some("i-1".into()), reason: "RESOURCE:MEMORY".into(), detail: Some("2 GiB free".into()) };
    LaunchError::Failures { failures: vec![failure], task_arns: Vec::new() }
}

/// Handles an event with a launcher that gives these answers; shows what was asked for and what came of it.
async fn check(event: &str, answers: Vec<Result<Launched, LaunchError>>, expected: Expect) {
    let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("the config is valid");
    let script = Script { answers: Mutex::new(answers), asked: Mutex::new(Vec::new()) };
    let ports = Ports { launcher: script, payloads: Bucket::default() };
    let shown = match handle(Event::decode(event), &config, &ports, Timestamp::UNIX_EPOCH).await {
        Ok(report) => {
            report.launches.iter().map(|launch| format!("{}: {:?}\n", launch.route, launch.outcome)).collect()
        }
        Err(error) => format!("{}: {error}\n", error.kind()),
    };
    let asked = ports.launcher.asked.into_inner().expect("not poisoned").join(", ");
    expected.assert_eq(&format!("{shown}asked for: {asked}"));
}

#[tokio::test]
async fn every_route_that_matches_is_launched() {
    let answers = vec![started("arn:1"), started("arn:2")];
    check(
        &event(r#"{"both":true,"reference":"x"}"#),
        answers,
        expect![[r#"
        first: Launched { task_arns: ["arn:1"] }
        second: Launched { task_arns: ["arn:2"] }
        asked for: a, b"#]],
    )
    .await;
}

#[tokio::test]
async fn an_event_without_a_route_starts_nothing_and_is_no_error() {
    check(&event("{}").replace("app", "other"), vec![], expect!["asked for: "]).await;
}

#[tokio::test]
async fn a_repeated_delivery_is_a_duplicate_and_no_error() {
    let launched = Launched { task_arns: vec!["arn:1".into()], already: true };
    check(
        &event("{}"),
        vec![Ok(launched)],
        expect![[r#"
        first: Duplicate { task_arns: ["arn:1"] }
        asked for: a"#]],
    )
    .await;
}

#[tokio::test]
async fn a_failed_launch_does_not_keep_the_other_routes_from_theirs_and_is_raised() {
    let answers = vec![Err(no_memory()), started("arn:2")];
    check(
        &event(r#"{"both":true,"reference":"x"}"#),
        answers,
        expect![[r#"
        LaunchError: event e-1: the route `first`: ECS could not start every task: RESOURCE:MEMORY on i-1 (2 GiB free)
        asked for: a, b"#]],
    )
    .await;
}

#[tokio::test]
async fn a_launch_without_a_reply_is_raised() {
    let no_reply = LaunchError::NoReply { message: "the connection was reset".into() };
    check(
        &event("{}"),
        vec![Err(no_reply)],
        expect![[r#"
        LaunchError: event e-1: the route `first`: no reply to the launch: the connection was reset
        asked for: a"#]],
    )
    .await;
}

#[tokio::test]
async fn a_missing_field_is_raised_and_nothing_is_launched() {
    check(&event(r#"{"both":true}"#), vec![], expect![[r#"
        PlanError: event e-1: the route `second` cannot launch its task: c.yaml:5:46: the event has no `detail.reference` in the template "{{ detail.reference }}"
        asked for: "#]]).await;
}

#[tokio::test]
async fn what_is_no_event_is_raised() {
    check(
        "{}",
        vec![],
        expect![[r#"
        DecodeError: the event's `time` is missing
        asked for: "#]],
    )
    .await;
}

/// Handles a firing at a time; shows what came of it.
async fn fired(catch_up: &str, now: &str) -> String {
    let config = format!(
        "version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes: [{{ name: r, on: {{ schedule: rate(1 hour), catch_up: {catch_up} }}, run: t }}]\n"
    );
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let script = Script { answers: Mutex::new(vec![started("arn:1")]), asked: Mutex::new(Vec::new()) };
    let ports = Ports { launcher: script, payloads: Bucket::default() };
    let time = "2026-01-01T10:00:00Z".parse().expect("is a time");
    let event = Firing::local("r", time).into_event();
    match handle(Ok(event), &config, &ports, now.parse().expect("is a time")).await {
        Ok(report) => match report.superseded_by {
            Some(next) => format!("superseded by {next}"),
            None => format!("{} launched", report.launches.len()),
        },
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

#[tokio::test]
async fn a_firing_that_comes_late_is_launched_unless_the_schedule_says_otherwise() {
    assert_eq!(fired("none", "2026-01-01T10:10:00Z").await, "1 launched");
    assert_eq!(fired("last", "2026-01-01T10:59:00Z").await, "1 launched");
    assert_eq!(fired("last", "2026-01-01T11:00:00Z").await, "superseded by 2026-01-01T11:00:00Z");
    let missed =
        "MissedFiring: event r/2026-01-01T10:00:00Z: the firing comes too late, and its schedule does not catch up";
    assert_eq!(fired("none", "2026-01-01T10:11:00Z").await, missed);
}

/// Handles an event of 9,000 characters with a bucket; shows what was put, what was launched, and the outcome.
async fn large(payloads: Bucket) -> String {
    let config = r#"
version: 1
storage: { bucket: state, prefix: ecs-trigger }
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: app, command: ["{{ detail.text }}"] }] } } }
routes: [{ name: r, on: { event_pattern: { source: [app] } }, run: t, large_payload: s3 }]
"#;
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let script = Script { answers: Mutex::new(vec![started("arn:1")]), asked: Mutex::new(Vec::new()) };
    let ports = Ports { launcher: script, payloads };
    let event = Event::decode(&event(&format!(r#"{{"text":"{}"}}"#, "x".repeat(9000))));
    let outcome = match handle(event, &config, &ports, Timestamp::UNIX_EPOCH).await {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string().split("payloads/").next().expect("has a start").to_owned(),
    };
    let put = ports.payloads.put.into_inner().expect("not poisoned");
    let asked = ports.launcher.asked.into_inner().expect("not poisoned");
    format!("put {put:?}, launched {asked:?}: {outcome}")
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_put_before_its_task_is_launched() {
    expect![[r#"put ["9123 characters at s3://state/ecs-trigger"], launched ["t"]: done"#]]
        .assert_eq(&large(Bucket::default()).await);
    expect!["put [], launched []: event e-1: the route `r`: the event could not be put at s3://state/ecs-trigger/"]
        .assert_eq(&large(Bucket { refuses: true, put: Mutex::default() }).await);
}
