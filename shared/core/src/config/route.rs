//! Which event launches which task.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Decode, record};
use super::s3::S3Filter;
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Spanned};

record! {
    /// A route: events of one kind launch one task.
    pub struct RouteConfig ("a mapping with `name`, `on` and `run`") {
        /// The route's name: letters, digits, `-` and `_`, at most 64. It is part of each launch's client token, so that a
        /// renamed route may launch again for an event that is delivered again.
        #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))]
        pub name: Spanned<String>,
        /// The events.
        pub on: Spanned<On>,
        /// The name of the task under `tasks`.
        pub run: Spanned<String>,
    }
}

record! {
    /// The events of a route: exactly one kind.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    pub struct On ("a mapping with `s3` or `event_pattern`") {
        /// Amazon S3's events about objects, in short form.
        pub s3: Option<S3Filter>,
        /// A whole event pattern, as EventBridge has them:
        /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>.
        pub event_pattern: Option<EventPattern>,
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
