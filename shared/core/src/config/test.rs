//! `tests`: sample events, and what they must start.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::text::decode::{Decode, record, wrong_type};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Anything, Mapping, Text};
use crate::text::{Kind, Node, Spanned};

record! {
    /// A sample event and what it must start. Exactly one of `event`, `message` and `firing`.
    #[schemars(
        extend("oneOf" = [{ "required": ["event"] }, { "required": ["message"] }, { "required": ["firing"] }])
    )]
    pub struct TestConfig ("a mapping with `name`, an event and `expect`") {
        /// What the test shows, as a sentence.
        pub name: Spanned<Text>,
        /// An event of EventBridge (or any other delivery to a function): the path of a JSON file, relative to the main
        /// config's folder, or the event itself. There, what every event has (`id`, `account`, `time`, `region`) may be left out.
        pub event: Option<Spanned<SampleEvent>>,
        /// A message of a queue.
        pub message: Option<Spanned<SampleMessage>>,
        /// A firing of a schedule.
        pub firing: Option<Spanned<SampleFiring>>,
        /// What the event must start: `no route`, a launch, a list of launches, or `{ error: ... }`. Without it, the test
        /// fails; `ecs-trigger test --update` writes what is.
        pub expect: Option<Spanned<Expect>>,
    }
}

record! {
    /// A message of a queue.
    pub struct SampleMessage ("a mapping with `queue` and `body`") {
        /// The queue's name.
        pub queue: Spanned<String>,
        /// The body: a text as it is, anything else as JSON.
        pub body: Anything,
        /// The message group, of a FIFO queue.
        pub group_id: Option<String>,
        /// The sender's attributes.
        pub message_attributes: Option<Mapping<Text>>,
    }
}

record! {
    /// A firing of a schedule.
    pub struct SampleFiring ("a mapping with `route` and `time`") {
        /// The route's name.
        pub route: Spanned<String>,
        /// The scheduled time: `2026-01-31T03:00:00Z`.
        pub time: Spanned<String>,
    }
}

/// An event, or where it is.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleEvent {
    /// The path of a JSON file.
    File(String),
    /// The event.
    Inline(Node),
}

/// What an event must start.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Nothing: `no route`.
    NoRoute,
    /// These launches, in the order of the plan.
    Launches(Vec<ExpectLaunch>),
    /// Nothing, as it cannot be launched: the reason holds this text.
    Error(String),
    /// Nothing is said yet: `expect:`, to be written by `ecs-trigger test --update`.
    NotWritten,
}

record! {
    /// A launch that is expected. What is left out is not looked at.
    pub struct ExpectLaunch ("a mapping with `route`, `task`, `command` or `environment`") {
        /// The route's name.
        pub route: Option<Spanned<String>>,
        /// The task's name.
        pub task: Option<Spanned<String>>,
        /// How many copies it starts, in calls of ten.
        pub count: Option<u32>,
        /// The container that `command` and `environment` are of. Default: the first.
        pub container: Option<String>,
        /// The command, word for word.
        pub command: Option<Vec<Text>>,
        /// Environment variables that must have these values, among others.
        pub environment: Option<Mapping<Text>>,
    }
}

record! {
    /// An error that is expected.
    pub struct ExpectError ("a mapping with `error`") {
        /// A part of the reason.
        pub error: Text,
    }
}

/// `no route`, in the config's words.
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
