//! The events that schedules' deliveries are decoded to. Most tests use [`check`].

use expect_test::{Expect, expect};

use super::SCHEDULER_INPUT;
use crate::event::{Delivery, Door};
use crate::fixtures::event;

fn check(text: &str, expected: Expect) {
    let shown = match Delivery::open(Door::Schedule, text).content {
        Ok(Delivery::Event(event)) => format!("{}\n{}\n{}", event.text, event.id(), event.identity()),
        Ok(other) => format!("not an event: {other:?}"),
        Err(error) => format!("error: {error}"),
    };
    expected.assert_eq(&shown);
}

const ARN: &str = "arn:aws:scheduler:us-east-1:111122223333:schedule/ecs-trigger/nightly";

/// Returns [`SCHEDULER_INPUT`] as Scheduler fills it in.
fn filled_in(attempt: &str) -> String {
    SCHEDULER_INPUT
        .replace("ROUTE", "nightly")
        .replace("<aws.scheduler.schedule-arn>", ARN)
        .replace("<aws.scheduler.scheduled-time>", "2022-03-22T18:59:43Z")
        .replace("<aws.scheduler.execution-id>", &format!("d32c5kddcf5bb8c{attempt}"))
        .replace("<aws.scheduler.attempt-number>", attempt)
}

#[test]
fn two_deliveries_of_a_firing_are_one_event() {
    check(
        &filled_in("1"),
        expect![[r#"
        {"route":"nightly","schedule":"nightly","schedule_arn":"arn:aws:scheduler:us-east-1:111122223333:schedule/ecs-trigger/nightly","scheduled_time":"2022-03-22T18:59:43Z"}
        nightly/2022-03-22T18:59:43Z
        schedule/arn:aws:scheduler:us-east-1:111122223333:schedule/ecs-trigger/nightly/2022-03-22T18:59:43Z"#]],
    );
    let firing = |attempt| Delivery::open(Door::Schedule, &filled_in(attempt)).content;
    assert_eq!(firing("1"), firing("2"));
}

#[test]
fn a_rule_with_a_schedule_names_the_route_by_its_own_name() {
    let sample = r#"{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events",
        "account":"123456789012","time":"2015-10-08T16:53:06Z","region":"us-east-1",
        "resources":["arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule"],"detail":{}}"#;
    check(
        sample,
        expect![[r#"
        {"route":"my-scheduled-rule","schedule":"my-scheduled-rule","schedule_arn":"arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule","scheduled_time":"2015-10-08T16:53:06Z"}
        my-scheduled-rule/2015-10-08T16:53:06Z
        schedule/arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule/2015-10-08T16:53:06Z"#]],
    );
}

#[test]
fn what_scheduler_sends_without_an_input_is_understood() {
    let sample = r#"{"version":"0","id":"49672d39","detail-type":"Scheduled Event","source":"aws.scheduler","account":"12345",
        "time":"2024-11-07T22:05:00Z","region":"eu-central-1",
        "resources":["arn:aws:scheduler:eu-central-1:12345:schedule/default/test-schedule"],"detail":"{}"}"#;
    check(
        sample,
        expect![[r#"
        {"route":"test-schedule","schedule":"test-schedule","schedule_arn":"arn:aws:scheduler:eu-central-1:12345:schedule/default/test-schedule","scheduled_time":"2024-11-07T22:05:00Z"}
        test-schedule/2024-11-07T22:05:00Z
        schedule/arn:aws:scheduler:eu-central-1:12345:schedule/default/test-schedule/2024-11-07T22:05:00Z"#]],
    );
}

#[test]
fn what_is_no_firing_is_an_error_that_names_the_field() {
    check(
        SCHEDULER_INPUT,
        expect![
            "error: the event's `scheduled_time` is the placeholder `<aws.scheduler.scheduled-time>`; let EventBridge Scheduler fill it in, or write a value"
        ],
    );
    check("{}", expect!["error: the event's `scheduled_time` is missing"]);
    check("[]", expect!["error: the event must be a JSON object, found a list"]);
    check("nothing", expect!["error: the event is not JSON: expected a value, found `n` at byte 0"]);
    check(
        r#"{"route":"r","schedule_arn":"a","scheduled_time":"tomorrow"}"#,
        expect!["error: the event's `scheduled_time` must be a time such as 2026-01-31T23:59:00Z, found `tomorrow`"],
    );
    check(
        r#"{"route":"r","schedule_arn":7,"scheduled_time":"2022-03-22T18:59:43Z"}"#,
        expect!["error: the event's `schedule_arn` must be a string, found a number"],
    );
    check(
        &event("my.app", "x", "{}"),
        expect!["error: the event's `detail-type` must be `Scheduled Event`, found `x`"],
    );
    check(
        &event("aws.events", "Scheduled Event", "{}"),
        expect!["error: the event's `resources` must contain the ARN of the rule or the schedule"],
    );
}
