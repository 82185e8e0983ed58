//! Which event launches which task.

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
    /// A route: events of one kind launch one task or several.
    pub struct RouteConfig ("a mapping with `name`, `on` and `run`") {
        /// The route's name: letters, digits, `-` and `_`, at most 64. It is part of each launch's client token, so that a
        /// renamed route may launch again for an event that is delivered again.
        #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"), example = &"csv-upload")]
        pub name: Spanned<String>,
        /// The events.
        pub on: Spanned<On>,
        /// The name of the task under `tasks`, or a list of names: then each event launches them all.
        pub run: OneOrMany<Spanned<String>>,
        /// A template of one `{{ ... }}` that picks a list of the event, as in `"{{ body.items }}"`. Each of its elements, at
        /// most 10,000, launches the task of its own; templates see the element as `item` and its position as `index`.
        #[schemars(example = &"{{ body.items }}")]
        pub for_each: Option<Spanned<Text>>,
        /// How many tasks of this route run at once. Default: any number.
        pub concurrency: Option<Spanned<ConcurrencyConfig>>,
        /// Whether an event about an object is ignored if a later one of the same object was launched before: S3 delivers events
        /// in any order. Default: false.
        pub ignore_older: Option<Spanned<bool>>,
        /// What to do when the rendered overrides have more than the 8192 characters that ECS takes. `s3`: the event is put
        /// into the bucket of `storage`; commands and environment variables with templates are left out, and the containers
        /// find the event by `ECS_TRIGGER_EVENT_URI`. Default: such an event is an error.
        pub large_payload: Option<Spanned<LargePayload>>,
    }
}

choice! {
    /// Where an event goes that does not fit into the overrides.
    pub enum LargePayload {
        /// Into the bucket of `storage`.
        S3 = "s3",
    }
}

record! {
    /// The events of a route: exactly one of `s3`, `event_pattern`, `schedule` and `queue`; beside `queue`, `s3` or
    /// `event_pattern` choose among its messages.
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
    pub struct On ("a mapping with `s3`, `event_pattern`, `schedule` or `queue`") {
        /// Amazon S3's events about objects, in short form.
        pub s3: Option<S3Filter>,
        /// A whole event pattern, as EventBridge has them:
        /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>. Beside `queue` it is held against
        /// the decoded message: `{ body: { kind: [resize] } }`.
        pub event_pattern: Option<EventPattern>,
        /// A schedule expression: `rate(5 minutes)`, `cron(0 3 * * ? *)` (minutes, hours, day-of-month, month, day-of-week,
        /// year), `at(2026-12-31T23:59:00)`.
        #[schemars(regex(pattern = r"^(rate|cron|at)\(.*\)$"), example = &"cron(0 3 * * ? *)", example = &"rate(5 minutes)")]
        pub schedule: Option<Spanned<String>>,
        /// The IANA name of the time zone of the schedule's times. Clocks set forward skip a time, clocks set back do not
        /// repeat it. Default: UTC.
        #[schemars(example = &"Asia/Seoul", extend("default" = "UTC"))]
        pub timezone: Option<Spanned<String>>,
        /// The schedule does not fire before this time: `2026-12-01T00:00:00` in its zone, or with an offset or `Z`.
        pub start: Option<Spanned<String>>,
        /// The schedule does not fire after this time.
        pub end: Option<Spanned<String>>,
        /// How much later than its time a firing may come, 1 minute to 24 hours, as EventBridge Scheduler chooses to spread
        /// the load. Default: not later.
        #[schemars(example = &"15m")]
        pub flexible_window: Option<Spanned<Duration>>,
        /// Whether the schedule fires. Default: enabled.
        pub state: Option<ScheduleState>,
        /// Values of your own that templates see as `input`.
        #[schemars(example = &serde_json::json!({ "report": "daily" }))]
        pub input: Option<Anything>,
        /// What becomes of firings that an outage delays. `none`: one that comes over 10 minutes late starts nothing, and is
        /// dead-lettered with that reason. `last`: one that comes so late, and when the next is due, is skipped, so that after an
        /// outage only the last starts its task. Default: each starts its task, however late.
        pub catch_up: Option<CatchUp>,
        /// The name, ARN or URL of an SQS queue. Several routes may share a queue.
        #[schemars(example = &"jobs", example = &"arn:aws:sqs:eu-west-1:111122223333:jobs.fifo")]
        pub queue: Option<Spanned<String>>,
        /// What becomes of a message of the queue that no route takes; where routes of one queue differ, `fail` holds.
        /// Default: ignore.
        pub unmatched: Option<Unmatched>,
    }
}

choice! {
    /// Whether a schedule fires.
    pub enum ScheduleState {
        /// It fires.
        Enabled = "enabled",
        /// It does not, until this is changed.
        Disabled = "disabled",
    }
}

choice! {
    /// What becomes of a message that no route takes.
    pub enum Unmatched {
        /// It is done with: deleted from the queue.
        Ignore = "ignore",
        /// It fails, and so ends in the queue's dead-letter queue.
        Fail = "fail",
    }
}

/// An event pattern as it stands in the config.
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
