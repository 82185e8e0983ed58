//! `routes`: which events launch which tasks.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::launching::ConcurrencyConfig;
use super::s3::S3Filter;
use crate::schedule::CatchUp;
use crate::text::decode::{Decode, choice, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Anything, Duration, OneOrMany, Text};
use crate::text::{Node, Spanned};

record! {
    /// A route: the events of one source launch one or more tasks.
    pub struct RouteConfig ("a mapping with `name`, `on` and `run`")
        near [
            ["s3", "event_pattern", "schedule", "queue", "timezone", "unmatched", "catch_up", "input"]:
                "`on`", "on: { KEY }";
            ["bucket", "key", "detail_type"]: "`s3`, under `on`", "on: { s3: { KEY } }";
            ["retry", "timeout", "count", "capacity", "cluster", "task_definition", "network", "launch_type", "tags",
             "overrides"]: "the task that the route runs", "tasks: { NAME: { KEY } }";
            ["command", "environment", "container_overrides"]: "the task that the route runs",
                "tasks: { NAME: { overrides: { container_overrides: [{ name: CONTAINER, ... }] } } }";
            ["max", "when_full"]: "`concurrency`", "concurrency: { KEY }";
        ]
    {
        /// The name of the route: 1 to 64 letters, digits, `-` and `_`. It is part of each launch's client token, so a
        /// renamed route may launch tasks again when an event is delivered again.
        #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"), example = &"csv-upload")]
        pub name: Spanned<String>,
        /// The events that launch the tasks.
        pub on: Spanned<On>,
        /// The name of the task under `tasks`, or a list of names. Each event launches all of them.
        pub run: OneOrMany<Spanned<String>>,
        /// A template of one `{{ ... }}` that picks a list from the event, as in `"{{ body.items }}"`. Each element of
        /// the list, at most 10,000, launches the route's tasks once. Templates see the element as `item` and its
        /// position, from 0, as `index`.
        #[schemars(example = &"{{ body.items }}")]
        pub for_each: Option<Spanned<Text>>,
        /// How many of the tasks that one event starts by `for_each` or `count` run at once. The others wait. Needs the
        /// ledger; not valid with `concurrency`. Default: no limit.
        #[schemars(range(min = 1))]
        pub max_at_once: Option<Spanned<u32>>,
        /// A limit on how many tasks of this route run at once. Needs the ledger. Default: no limit.
        pub concurrency: Option<Spanned<ConcurrencyConfig>>,
        /// Whether an event about an S3 object is ignored if a later event about the same object was launched before.
        /// S3 delivers events in any order. Only valid with `s3`; needs the ledger. Default: false.
        pub ignore_older: Option<Spanned<bool>>,
        /// What to do if the rendered overrides exceed ECS's limit of 8192 characters. `s3` stores the event in the
        /// bucket of `storage`, leaves out commands and environment variables with templates, and sets
        /// `ECS_TRIGGER_EVENT_URI` to the event's URI. Default: such an event is an error.
        pub large_payload: Option<Spanned<LargePayload>>,
    }
}

choice! {
    /// Where an event is stored that does not fit into the overrides.
    pub enum LargePayload {
        /// In the bucket of `storage`.
        S3 = "s3",
    }
}

record! {
    /// The event source of a route: exactly one of `s3`, `event_pattern`, `schedule` and `queue`. With `queue`, `s3` or
    /// `event_pattern` selects messages.
    #[schemars(
        extend("oneOf" = [
            { "required": ["schedule"] },
            { "required": ["queue"], "not": { "required": ["s3", "event_pattern"] } },
            { "required": ["s3"], "not": { "required": ["queue"] } },
            { "required": ["event_pattern"], "not": { "required": ["queue"] } },
        ]),
        extend("dependentRequired" = {
            "timezone": ["schedule"], "start": ["schedule"], "end": ["schedule"], "flexible_window": ["schedule"],
            "state": ["schedule"], "input": ["schedule"], "catch_up": ["schedule"], "unmatched": ["queue"],
        })
    )]
    pub struct On ("a mapping with `s3`, `event_pattern`, `schedule` or `queue`")
        near [
            ["bucket", "key"]: "`s3`", "s3: { KEY }";
            ["prefix", "suffix", "wildcard"]: "`key` of `s3`", "s3: { bucket: BUCKET, key: { KEY } }";
            ["detail_type"]: "`s3`", "s3: { bucket: BUCKET, KEY }";
            ["source", "detail-type", "detail", "body", "message_attributes"]: "`event_pattern`", "event_pattern: { KEY }";
            ["cron", "rate", "at"]: "`schedule`", "schedule: cron(0 3 * * ? *)";
            ["run", "for_each", "max_at_once", "concurrency", "ignore_older", "large_payload"]: "the route, beside `on`", "on: { ... }, KEY";
        ]
    {
        /// S3's events about objects, selected by bucket and key. With `queue`: those that come through the queue.
        pub s3: Option<S3Filter>,
        /// An EventBridge event pattern:
        /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>. With `queue`, it is
        /// matched against the decoded message, for example `{ body: { kind: [resize] } }`.
        pub event_pattern: Option<EventPattern>,
        /// An EventBridge Scheduler expression: `rate(5 minutes)`, `cron(0 3 * * ? *)` (minutes, hours, day-of-month,
        /// month, day-of-week, year) or `at(2026-12-31T23:59:00)`.
        #[schemars(regex(pattern = r"^(rate|cron|at)\(.*\)$"), example = &"cron(0 3 * * ? *)", example = &"rate(5 minutes)")]
        pub schedule: Option<Spanned<String>>,
        /// The IANA name of the time zone of the schedule's times. A time that is skipped when clocks are set forward
        /// does not fire; a time that repeats when clocks are set back fires once. Default: UTC.
        #[schemars(example = &"Asia/Seoul", extend("default" = "UTC"))]
        pub timezone: Option<Spanned<String>>,
        /// The schedule does not fire before this time: `2026-12-01T00:00:00` in the schedule's time zone, or with an
        /// offset or `Z`.
        pub start: Option<Spanned<String>>,
        /// The schedule does not fire after this time, which is written like `start`.
        pub end: Option<Spanned<String>>,
        /// How much later than its time a firing may come, 1 minute to 24 hours in whole minutes. EventBridge Scheduler
        /// chooses the delay, to spread the load. Default: no delay.
        #[schemars(example = &"15m")]
        pub flexible_window: Option<Spanned<Duration>>,
        /// Whether the schedule fires: `enabled` or `disabled`. Default: `enabled`.
        pub state: Option<ScheduleState>,
        /// Values of your own, which templates see as `input`.
        #[schemars(example = &serde_json::json!({ "report": "daily" }))]
        pub input: Option<Anything>,
        /// What happens to firings that an outage delays. `none`: a firing that is over 10 minutes late starts nothing
        /// and is dead-lettered. `last`: a firing that is over 10 minutes late is skipped if the next one is already
        /// due, so only the last delayed firing starts its tasks. The 10 minutes count from the end of
        /// `flexible_window`. Default: every firing starts its tasks, however late.
        pub catch_up: Option<CatchUp>,
        /// The name, ARN or URL of an SQS queue. Several routes may share a queue.
        #[schemars(example = &"jobs", example = &"arn:aws:sqs:eu-west-1:111122223333:jobs.fifo")]
        pub queue: Option<Spanned<String>>,
        /// What happens to a message of the queue that no route takes: `ignore` deletes it, `fail` dead-letters it.
        /// If routes of one queue differ, `fail` applies. Default: `ignore`.
        pub unmatched: Option<Unmatched>,
    }
}

choice! {
    /// Whether a schedule fires.
    pub enum ScheduleState {
        /// The schedule fires.
        Enabled = "enabled",
        /// The schedule does not fire.
        Disabled = "disabled",
    }
}

choice! {
    /// What happens to a message that no route takes.
    pub enum Unmatched {
        /// The message is deleted from the queue.
        Ignore = "ignore",
        /// The message fails: it is dead-lettered, or goes back to its queue if ecs-trigger has no dead-letter queue.
        Fail = "fail",
    }
}

/// An event pattern as it is written in the config.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPattern(pub Node);

impl Decode for EventPattern {
    const EXPECTED: &'static str = "an event pattern";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        Node::decode(node, problems).map(Self)
    }
}

impl JsonSchema for EventPattern {
    fn schema_name() -> Cow<'static, str> {
        "EventPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "An EventBridge event pattern.", "type": "object", "minProperties": 1 })
    }
}
