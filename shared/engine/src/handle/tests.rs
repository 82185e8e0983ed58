//! The outcomes of events. Most tests use [`check`] or [`check_with`].

use std::time::Duration;

use expect_test::{Expect, expect};
use jiff::Timestamp;
use trigger_core::event::{DecodeError, Delivery, Door, Event, Firing, Opened};
use trigger_core::launch::Reply;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Delivered, EventError, LaunchReport, Times, handle, redrive};
use crate::lifecycle::continue_launches;
use crate::scripted::{Scripted, no_memory, refused, started};

fn parse(config: impl Into<String>) -> RoutingConfig {
    RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid")
}

/// Handles a text that EventBridge delivers.
async fn deliver(config: &RoutingConfig, world: &Scripted, text: &str) -> Result<LaunchReport, EventError> {
    let Opened { text, content } = Delivery::open(Door::EventBridge, text);
    let event = match content {
        Ok(Delivery::Event(event)) => Ok(*event),
        Ok(Delivery::Redrive(launch)) => return redrive(&launch, config, world, None).await,
        Ok(other) => panic!("EventBridge does not deliver {other:?}"),
        Err(error) => Err(error),
    };
    handle_at(config, world, &text, event, Timestamp::UNIX_EPOCH).await
}

async fn handle_at(
    config: &RoutingConfig,
    world: &Scripted,
    text: &str,
    event: Result<Event, DecodeError>,
    now: Timestamp,
) -> Result<LaunchReport, EventError> {
    let event = event.map(|event| config.match_event(event));
    handle(Delivered { text, event, times: Times { now, deadline: None } }, config, world).await
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

/// Gives these replies, one after the other.
fn replies(replies: Vec<Reply>) -> Scripted {
    Scripted::new(move |_, before| replies[before].clone())
}

/// Handles an event; shows its outcomes and the tasks that were asked for.
async fn check(event: &str, world: Scripted, expected: Expect) {
    check_with(&parse(CONFIG), event, &world, expected).await;
}

async fn check_with(config: &RoutingConfig, event: &str, world: &Scripted, expected: Expect) {
    let before = world.asked.lock().expect("not poisoned").len();
    let shown = match deliver(config, world, event).await {
        Ok(report) => {
            report.launches.iter().map(|launch| format!("{}: {:?}\n", launch.route, launch.outcome)).collect()
        }
        Err(error) => {
            let settled = if error.is_settled() { " (dead-lettered)" } else { "" };
            format!("{}: {error}{settled}\n", error.kind())
        }
    };
    let asked = world.asked.lock().expect("not poisoned");
    let asked: Vec<&str> = asked[before..].iter().map(|request| request.task_definition.as_str()).collect();
    expected.assert_eq(&format!("{shown}asked for: {}", asked.join(", ")));
}

#[tokio::test]
async fn every_route_that_matches_is_launched() {
    let answers = Scripted::that_starts();
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
    check(&event("{}").replace("app", "other"), Scripted::that_starts(), expect!["asked for: "]).await;
}

#[tokio::test]
async fn a_repeated_delivery_is_a_duplicate_and_no_error() {
    let conflict = Reply::Error {
        code: "ConflictException".to_owned(),
        message: "m".to_owned(),
        resource_ids: vec!["arn:1".to_owned()],
        of_server: false,
    };
    check(
        &event("{}"),
        replies(vec![conflict]),
        expect![[r#"
        first: Duplicate { task_arns: ["arn:1"] }
        asked for: a"#]],
    )
    .await;
}

#[tokio::test]
async fn a_failed_launch_does_not_keep_the_other_routes_from_theirs_and_is_raised() {
    let answers = replies(vec![no_memory(), started([2])]);
    check(
        &event(r#"{"both":true,"reference":"x"}"#),
        answers,
        expect![[r#"
            LaunchError: event e-1: the route `first`: ECS could not start all tasks: RESOURCE:MEMORY on i-1 (2 GiB free)
            asked for: a, b"#]],
    )
    .await;
}

#[tokio::test]
async fn a_launch_without_a_reply_is_raised() {
    let no_reply = Reply::Nothing { message: "the connection was reset".into() };
    check(
        &event("{}"),
        Scripted::new(move |_, _| no_reply.clone()),
        expect![[r#"
            LaunchError: event e-1: the route `first`: no reply: the connection was reset
            asked for: a, a, a"#]],
    )
    .await;
}

#[tokio::test]
async fn a_missing_field_is_raised_and_nothing_is_launched() {
    check(&event(r#"{"both":true}"#), Scripted::that_starts(), expect![[r#"
        PlanError: event e-1: the route `second` cannot launch its task: c.yaml:5:46: the event has no `detail.reference` (in the template "{{ detail.reference }}")
        asked for: "#]]).await;
}

#[tokio::test]
async fn with_a_ledger_a_route_that_cannot_render_does_not_keep_the_others_from_their_launches() {
    let config =
        format!("{WITH_LEDGER}  - {{ name: other, on: {{ event_pattern: {{ source: [app] }} }}, run: broken }}\n");
    let broken = r#"  broken: { task_definition: b, tags: { a: "{{ detail.missing }}" } }"#;
    let config = config.replace("routes:\n", &format!("{broken}\nroutes:\n"));
    check_with(&parse(&config), &event("{}"), &Scripted::that_starts(), expect![[r#"
        PlanError: event e-1: the route `other` cannot launch its task: c.yaml:11:48: the event has no `detail.missing` (in the template "{{ detail.missing }}")
        asked for: t"#]]).await;
}

#[tokio::test]
async fn what_is_no_event_is_raised() {
    check(
        "{}",
        Scripted::that_starts(),
        expect![[r#"
        DecodeError: the event's `time` is missing
        asked for: "#]],
    )
    .await;
}

/// Handles a firing at a time; shows the outcome.
async fn fired(catch_up: &str, now: &str) -> String {
    let config = format!(
        "version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes: [{{ name: r, on: {{ schedule: rate(1 hour), catch_up: {catch_up} }}, run: t }}]\n"
    );
    let (config, world) = (parse(config), Scripted::that_starts());
    let time = "2026-01-01T10:00:00Z".parse().expect("is a time");
    let event = Firing::local("r", time).into_event();
    match handle_at(&config, &world, "", Ok(event), now.parse().expect("is a time")).await {
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
        "MissedFiring: event r/2026-01-01T10:00:00Z: the firing is too late for `catch_up: none` of its schedule";
    assert_eq!(fired("none", "2026-01-01T10:11:00Z").await, missed);
}

/// Handles an event of 9,000 characters; shows what was stored, what was launched, and the outcome.
async fn large(world: Scripted) -> String {
    let config = r#"
version: 1
storage: { bucket: state, prefix: ecs-trigger }
ledger: off
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: app, command: ["{{ detail.text }}"] }] } } }
routes: [{ name: r, on: { event_pattern: { source: [app] } }, run: t, large_payload: s3 }]
"#;
    let text = event(&format!(r#"{{"text":"{}"}}"#, "x".repeat(9000)));
    let outcome = match deliver(&parse(config), &world, &text).await {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string().split("payloads/").next().expect("has a start").to_owned(),
    };
    let asked = world.asked.into_inner().expect("not poisoned").len();
    format!("put {:?}, {asked} launched: {outcome}", world.put.into_inner().expect("not poisoned"))
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_put_before_its_task_is_launched() {
    expect![[r#"put ["9123 characters at s3://state/ecs-trigger"], 1 launched: done"#]]
        .assert_eq(&large(Scripted::that_starts()).await);
    expect!["put [], 0 launched: event e-1: the route `r`: cannot store the event at s3://state/ecs-trigger/"]
        .assert_eq(&large(Scripted { refuses_payloads: true, ..Scripted::that_starts() }).await);
}

const WITH_LEDGER: &str = r#"
version: 1
storage: { bucket: state }
defaults: { network: { subnets: [subnet-1] } }
tasks:
  t:
    task_definition: t
    capacity:
      - capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]
      - launch_type: FARGATE
routes:
  - { name: r, on: { event_pattern: { source: [app] } }, run: t }
  - { name: objects, on: { s3: { bucket: uploads } }, run: t, ignore_older: true }
  - { name: single, on: { event_pattern: { source: [single] } }, run: t, concurrency: { max: 1, when_full: skip } }
"#;

#[tokio::test]
async fn a_launch_in_the_ledger_is_not_made_again_however_late_the_event_comes_again() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::that_starts());
    check_with(
        &config,
        &event("{}"),
        &world,
        expect![[r#"
        r: Launched { task_arns: ["arn:1"] }
        asked for: t"#]],
    )
    .await;
    world.pass(Duration::from_secs(40 * 3600));
    check_with(
        &config,
        &event("{}"),
        &world,
        expect![[r#"
        r: Duplicate { task_arns: ["arn:1"] }
        asked for: "#]],
    )
    .await;
}

#[tokio::test]
async fn without_capacity_the_next_rung_is_tried_and_after_the_last_the_launch_waits_in_the_ledger() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::new(|_, _| no_memory()));
    check_with(&config, &event("{}"), &world, expect![[r#"
        r: Deferred { until: 2026-01-01T10:01:00Z, reason: "ECS could not start all tasks: RESOURCE:MEMORY on i-1 (2 GiB free)" }
        asked for: t, t"#]]).await;
    let asked = world.asked.into_inner().expect("not poisoned");
    assert_eq!(asked[0].capacity_provider_strategy[0].capacity_provider, "FARGATE_SPOT");
    assert_eq!(asked[1].launch_type.expect("is the second rung").as_str(), "FARGATE");
    assert_ne!(asked[0].client_token, asked[1].client_token, "a token that failed replays its failures");
}

#[tokio::test]
async fn a_call_without_a_reply_is_repeated_with_its_token_for_a_while() {
    let no_reply = Reply::Nothing { message: "timeout".to_owned() };
    let world = Scripted::new(move |_, before| if before < 2 { no_reply.clone() } else { started([1]) });
    check_with(
        &parse(WITH_LEDGER),
        &event("{}"),
        &world,
        expect![[r#"
        r: Launched { task_arns: ["arn:1"] }
        asked for: t, t, t"#]],
    )
    .await;
    let asked = world.asked.into_inner().expect("not poisoned");
    assert!(asked.iter().all(|request| *request == asked[0]), "the very same request each time");
}

#[tokio::test]
async fn what_will_never_do_is_dead_lettered_with_its_event_at_once() {
    let denied = refused("AccessDeniedException", "not you");
    let world = Scripted { takes_letters: true, ..Scripted::new(move |_, _| denied.clone()) };
    check_with(
        &parse(WITH_LEDGER),
        &event("{}"),
        &world,
        expect![[r#"
        r: DeadLettered { reason: "AccessDeniedException: not you" }
        asked for: t"#]],
    )
    .await;
    let letter = world.letters.into_inner().expect("not poisoned").remove(0);
    let message: serde_json::Value = serde_json::from_str(&letter.message()).expect("is JSON");
    assert_eq!(message["route"], "r");
    assert_eq!(message["event"]["detail-type"], "t", "the event as it was");
    assert_eq!(message["attempts"][0]["reply"]["error"]["code"], "AccessDeniedException");
}

#[tokio::test]
async fn without_a_dead_letter_queue_it_is_raised() {
    let denied = refused("AccessDeniedException", "not you");
    check(
        &event("{}"),
        Scripted::new(move |_, _| denied.clone()),
        expect![[r#"
        LaunchError: event e-1: the route `first`: AccessDeniedException: not you
        asked for: a"#]],
    )
    .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_planned_is_dead_lettered_as_it_came() {
    let world = Scripted { takes_letters: true, ..Scripted::that_starts() };
    check_with(&parse(CONFIG), &event(r#"{"both":true}"#), &world, expect![[r#"
        PlanError: event e-1: the route `second` cannot launch its task: c.yaml:5:46: the event has no `detail.reference` (in the template "{{ detail.reference }}") (dead-lettered)
        asked for: "#]]).await;
    check_with(
        &parse(CONFIG),
        "{",
        &world,
        expect![[r#"
        DecodeError: the event is not JSON: expected a string, found the end of the text at byte 1 (dead-lettered)
        asked for: "#]],
    )
    .await;
    let letters = world.letters.into_inner().expect("not poisoned");
    assert!(letters[0].message().contains(r#""event":{"id":"e-1""#), "{}", letters[0].message());
    assert!(letters[1].message().contains(r#""event_text":"{""#), "{}", letters[1].message());
}

#[tokio::test]
async fn an_event_whose_launch_cannot_be_recorded_is_raised_and_nothing_is_launched() {
    let world = Scripted { remembers: false, ..Scripted::that_starts() };
    check_with(
        &parse(WITH_LEDGER),
        &event("{}"),
        &world,
        expect![[r#"
        LaunchError: event e-1: the route `r`: the launch store did not answer: ThrottlingException
        asked for: "#]],
    )
    .await;
}

#[tokio::test]
async fn a_launch_that_finds_all_slots_taken_is_skipped_for_good() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::that_starts());
    let of = |id: &str| event("{}").replace("app", "single").replace("e-1", id);
    check_with(
        &config,
        &of("e-1"),
        &world,
        expect![[r#"
        single: Launched { task_arns: ["arn:1"] }
        asked for: t"#]],
    )
    .await;
    check_with(
        &config,
        &of("e-2"),
        &world,
        expect![[r#"
        single: Skipped(Full)
        asked for: "#]],
    )
    .await;
    check_with(
        &config,
        &of("e-2"),
        &world,
        expect![[r#"
        single: Skipped(Full)
        asked for: "#]],
    )
    .await;
}

#[tokio::test]
async fn an_event_of_an_object_is_ignored_after_a_later_one() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::that_starts());
    let of = |sequencer: &str| {
        let detail = format!(
            r#"{{"bucket":{{"name":"uploads"}},"object":{{"key":"k","size":1,"sequencer":"{sequencer}"}},"reason":"PutObject"}}"#
        );
        event(&detail).replace(r#""app","detail-type":"t""#, r#""aws.s3","detail-type":"Object Created""#)
    };
    check_with(
        &config,
        &of("0A"),
        &world,
        expect![[r#"
        objects: Launched { task_arns: ["arn:1"] }
        asked for: t"#]],
    )
    .await;
    check_with(
        &config,
        &of("09F"),
        &world,
        expect![[r#"
        objects: Skipped(Older)
        asked for: "#]],
    )
    .await;
    check_with(
        &config,
        &of("0A1"),
        &world,
        expect![[r#"
        objects: Launched { task_arns: ["arn:2"] }
        asked for: t"#]],
    )
    .await;
}

#[tokio::test]
async fn a_dead_letter_that_is_sent_again_has_its_launch_made() {
    let denied = refused("AccessDeniedException", "not you");
    let answers = move |_: &_, before| if before == 0 { denied.clone() } else { started([1]) };
    let (config, world) = (parse(WITH_LEDGER), Scripted { takes_letters: true, ..Scripted::new(answers) });
    check_with(
        &config,
        &event("{}"),
        &world,
        expect![[r#"
        r: DeadLettered { reason: "AccessDeniedException: not you" }
        asked for: t"#]],
    )
    .await;
    let letter = world.letters.lock().expect("not poisoned")[0].message();
    // The event alone counts as a repeated delivery.
    check_with(
        &config,
        &event("{}"),
        &world,
        expect![[r#"
        r: DeadLettered { reason: "AccessDeniedException: not you" }
        asked for: "#]],
    )
    .await;
    check_with(
        &config,
        &letter,
        &world,
        expect![[r#"
        r: Launched { task_arns: ["arn:1"] }
        asked for: t"#]],
    )
    .await;
    check_with(
        &config,
        &letter,
        &world,
        expect![[r#"
        r: Duplicate { task_arns: ["arn:1"] }
        asked for: "#]],
    )
    .await;
}

#[tokio::test]
async fn a_dead_letter_of_an_event_that_was_no_event_is_handled_as_that() {
    let (config, world) = (parse(CONFIG), Scripted::that_starts());
    let letter = format!(r#"{{"dead_letter":1,"reason":"was broken","event":{}}}"#, event("{}"));
    check_with(
        &config,
        &letter,
        &world,
        expect![[r#"
        first: Launched { task_arns: ["arn:1"] }
        asked for: a"#]],
    )
    .await;
}

#[tokio::test]
async fn an_error_after_a_call_without_a_reply_does_not_prove_that_nothing_was_started() {
    let denied = refused("AccessDeniedException", "not any more");
    let answers = move |_: &_, before| match before {
        0 => Reply::Nothing { message: "timeout".to_owned() },
        1 => denied.clone(),
        _ => started([1]),
    };
    check_with(
        &parse(WITH_LEDGER),
        &event("{}"),
        &Scripted::new(answers),
        expect![[r#"
        r: Launched { task_arns: ["arn:1"] }
        asked for: t, t, t"#]],
    )
    .await;
}

#[tokio::test]
async fn without_time_for_a_call_the_launch_is_recorded_for_the_sweep() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::that_starts());
    let now = "2026-01-01T10:00:00Z".parse().expect("is a time");
    let text = event("{}");
    let event = Event::decode(&text).map(|event| config.match_event(event));
    let delivered = Delivered { text: &text, event, times: Times { now, deadline: Some(now) } };
    let report = handle(delivered, &config, &world).await.expect("the ledger has it");
    expect![[r#"Deferred { until: 2026-01-01T10:15:00Z, reason: "it starts as soon as ECS's rate allows" }"#]]
        .assert_eq(&format!("{:?}", report.launches[0].outcome));
    let store = world.store.lock().expect("not poisoned");
    let record = store.launches().next().expect("is recorded");
    assert!(record.attempts.is_empty(), "no call was made");
    let work = world.work.lock().expect("not poisoned");
    assert_eq!(work[0].launches, std::slice::from_ref(&record.key), "another invocation makes it");
}

/// Routes whose events launch one task for each element of a list.
const FAN_OUT: &str = r#"
version: 1
storage: { bucket: state }
tasks: { t: { task_definition: t } }
routes:
  - { name: each, on: { event_pattern: { source: [app] } }, run: t, for_each: "{{ detail.list }}" }
"#;

fn fan_out(elements: usize) -> String {
    event(&format!(r#"{{"list":{:?}}}"#, (0..elements).collect::<Vec<_>>()))
}

#[tokio::test]
async fn a_large_set_is_recorded_in_full_and_started_from_the_work_queue() {
    let (config, world) = (parse(FAN_OUT), Scripted::that_starts());
    let report = deliver(&config, &world, &fan_out(250)).await.expect("is recorded");
    assert!(matches!(report.launches[249].outcome, super::Outcome::Deferred { .. }), "{:?}", report.launches[249]);
    assert_eq!(world.take_requests(), "read_set begin set");
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 0);
    let work = std::mem::take(&mut *world.work.lock().expect("not poisoned"));
    assert_eq!(work.iter().map(|work| work.launches.len()).collect::<Vec<_>>(), [25; 10]);
    // The event comes again: one read tells that all is recorded.
    let report = deliver(&config, &world, &fan_out(250)).await.expect("is known");
    assert!(report.launches.iter().all(|it| matches!(it.outcome, super::Outcome::Duplicate { .. })));
    assert_eq!(world.take_requests(), "read_set");
    for work in &work {
        continue_launches(&work.launches, &config, &world, None).await;
        world.pass(Duration::from_secs(30));
    }
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 250);
    let store = world.store.lock().expect("not poisoned");
    let set = store.launches().next().and_then(|record| record.set.clone()).expect("is of a set");
    let (set, counts) = store.read_set(&set).expect("is recorded");
    assert_eq!((set.total, counts.running), (250, 250));
}

#[tokio::test]
async fn one_write_stands_before_the_call_of_a_launch() {
    let (config, world) = (parse(WITH_LEDGER), Scripted::that_starts());
    deliver(&config, &world, &event("{}")).await.expect("is launched");
    assert_eq!(world.take_requests(), "begin advance", "the attempt and its reply");
}
