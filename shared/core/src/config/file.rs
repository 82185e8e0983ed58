//! The whole file.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Decode, record};
use super::local::Local;
use super::route::RouteConfig;
use super::task::TaskSettings;
use super::text::Mapping;
use crate::diagnostic::Diagnostic;
use crate::document::{Kind, Node, Spanned, json};

/// The version of the config's format.
pub const CONFIG_VERSION: u32 = 1;

/// `version: 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl Decode for Version {
    const EXPECTED: &'static str = "the number 1";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        if node.kind != Kind::Number(CONFIG_VERSION.to_string()) {
            let found = json::write(node);
            let problem = Diagnostic::error(node.span, format!("unknown version {found}"));
            problems.push(problem.help(format!("write `version: {CONFIG_VERSION}`")));
        }
        Some(Self)
    }

    fn fallback() -> Option<Self> {
        Some(Self)
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": CONFIG_VERSION })
    }
}

record! {
    /// The routing config of ecs-trigger: which events start which ECS tasks.
    pub struct ConfigFile ("a mapping with `version`, `tasks` and `routes`") {
        /// The version of this file's format: 1.
        pub version: Version,
        /// Settings that every task starts from. A task's own settings replace them; mappings (`tags`) are merged.
        pub defaults: Option<TaskSettings>,
        /// What can be launched, by name.
        pub tasks: Mapping<Spanned<TaskSettings>>,
        /// Which events launch it. Every route that matches an event launches its task.
        pub routes: Vec<RouteConfig>,
        /// How `ecs-trigger dev` runs the tasks on this machine. Without meaning on AWS.
        pub local: Option<Local>,
    }
}
