//! `tests`: sample events and what each must start.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::text::decode::{Decode, record, wrong_type};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Anything, Environment, Mapping, Text, Words};
use crate::text::{Kind, Node, Spanned};

record! {
    /// A sample event and what it must start. Exactly one of `event`, `message` and `firing`.
    #[schemars(
        extend("oneOf" = [{ "required": ["event"] }, { "required": ["message"] }, { "required": ["firing"] }])
    )]
    pub struct TestConfig ("a mapping with `name`, an event and `expect`") {
        /// What the test shows, as a sentence.
        pub name: Spanned<Text>,
        /// An EventBridge event, or anything else that a function is invoked with: the event itself, or the path of a
        /// JSON file relative to the main config's folder. An event that is written here may leave out the fields that
        /// every event has, such as `id`, `account`, `time` and `region`.
        pub event: Option<Spanned<SampleEvent>>,
        /// A message of a queue.
        pub message: Option<Spanned<SampleMessage>>,
        /// A firing of a schedule.
        pub firing: Option<Spanned<SampleFiring>>,
        /// What the event must start: `no route`, a launch, a list of launches, or `{ error: ... }`. Without it the
        /// test fails, and `ecs-trigger test --update` writes what the event does start.
        pub expect: Option<Spanned<Expect>>,
    }
}

record! {
    /// A message of a queue.
    pub struct SampleMessage ("a mapping with `queue` and `body`") {
        /// The name of the queue.
        pub queue: Spanned<String>,
        /// The body. A text is used as it is; any other value is written as JSON.
        pub body: Anything,
        /// The id of the message group, for a FIFO queue.
        pub group_id: Option<String>,
        /// The message attributes, by name.
        pub message_attributes: Option<Mapping<Text>>,
    }
}

record! {
    /// A firing of a schedule.
    pub struct SampleFiring ("a mapping with `route` and `time`") {
        /// The name of the route.
        pub route: Spanned<String>,
        /// The scheduled time, for example `2026-01-31T03:00:00Z`.
        pub time: Spanned<String>,
    }
}

/// A sample event, or the file that contains it.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleEvent {
    /// The path of a JSON file.
    File(String),
    /// The event itself.
    Inline(Node),
}

/// What an event must start.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// No launch: `no route`.
    NoRoute,
    /// These launches, in the order of the plan.
    Launches(Vec<ExpectLaunch>),
    /// An error instead of a launch. Its message must contain this text.
    Error(String),
    /// Not known yet: `expect:` is empty, and `ecs-trigger test --update` fills it in.
    NotWritten,
}

record! {
    /// An expected launch. Keys that are left out are not checked.
    pub struct ExpectLaunch ("a mapping with `route`, `task`, `command` or `environment`") {
        /// The name of the route.
        pub route: Option<Spanned<String>>,
        /// The name of the task.
        pub task: Option<Spanned<String>>,
        /// How many copies of the task are started.
        pub count: Option<u32>,
        /// The container that `command` and `environment` refer to. Default: the first.
        pub container: Option<String>,
        /// The exact command.
        pub command: Option<Words<Text>>,
        /// Environment variables and their values, written as in a task. Other variables are not checked.
        pub environment: Option<Environment<Text>>,
    }
}

record! {
    /// An expected error.
    pub struct ExpectError ("a mapping with `error`") {
        /// A text that the error's message must contain.
        pub error: Text,
    }
}

/// The value of `expect` for an event that no route takes.
pub const NO_ROUTE: &str = "no route";

impl Decode for SampleEvent {
    const EXPECTED: &'static str = "the path of a JSON file, or an event";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::String(path) if !path.is_empty() => Some(Self::File(path.clone())),
            Kind::Object(_) => Some(Self::Inline(node.clone())),
            _ => wrong_type(node, problems),
        }
    }
}

impl JsonSchema for SampleEvent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SampleEvent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"] })
    }
}

impl Decode for Expect {
    const EXPECTED: &'static str = "`no route`, a launch, a list of launches, or `{ error: ... }`";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::String(text) if text == NO_ROUTE => Some(Self::NoRoute),
            Kind::Null => Some(Self::NotWritten),
            Kind::Object(_) if node.get("error").is_some() => {
                ExpectError::decode(node, problems).map(|expected| Self::Error(expected.error.0))
            }
            Kind::Object(_) => ExpectLaunch::decode(node, problems).map(|launch| Self::Launches(vec![launch])),
            Kind::Array(_) => Vec::decode(node, problems).map(Self::Launches),
            _ => wrong_type(node, problems),
        }
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let launch = generator.subschema_for::<ExpectLaunch>();
        let error = generator.subschema_for::<ExpectError>();
        json_schema!({
            "description": "What an event must start.",
            "anyOf": [{ "const": NO_ROUTE }, { "const": null }, launch.clone(), { "type": "array", "items": launch }, error],
        })
    }
}
