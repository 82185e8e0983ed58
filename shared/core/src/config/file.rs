//! The root of the config: the main file, and the files that it includes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::launching::LedgerConfig;
use super::local::Local;
use super::route::RouteConfig;
use super::stack::StackConfig;
use super::task::TaskSettings;
use super::test::TestConfig;
use super::workers::WorkerConfig;
use crate::storage::Storage;
use crate::text::decode::{Decode, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::Mapping;
use crate::text::{Kind, Node, Span, Spanned, json};

/// The version of the config format.
pub const CONFIG_VERSION: u32 = 1;

/// The key `version`, whose only value is 1.
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
    /// The routing config of ecs-trigger: which events start which ECS tasks. In any value and any key, `${env:NAME}`
    /// and `${env:NAME:-default}` are replaced by an environment variable when the config is loaded; write `$${env:`
    /// for a literal `${env:`.
    #[schemars(extend("anyOf" = [{ "required": ["tasks", "routes"] }, { "required": ["workers"] }]))]
    pub struct ConfigFile ("a mapping with `version`, `tasks` and `routes`")
        near [
            ["cluster", "network", "launch_type", "capacity", "tags", "overrides", "retry", "timeout"]:
                "`defaults`", "defaults: { KEY }";
            ["bucket"]: "`storage`", "storage: { KEY }";
            ["queues", "alarm_topic", "log_retention_days"]: "`stack`", "stack: { KEY }";
        ]
    {
        /// The version of the config format. Must be 1.
        pub version: Version,
        /// More files whose `tasks`, `routes`, `workers` and `tests` are added to this config. Paths are relative to
        /// this file's folder; each file is in that folder or below it.
        #[schemars(extend("examples" = [["routes/imports.yaml"]]))]
        pub include: Option<Vec<Spanned<String>>>,
        /// The table for the ledger and the bucket for large payloads, which are not available without it.
        pub storage: Option<Storage>,
        /// Whether every launch is recorded in the table of `storage`. With `off`, an event that is delivered again
        /// after its client token expired (an hour after its tasks stopped, at most a day) starts its tasks again; a
        /// launch that finds no capacity on any rung is not tried again later; and `timeout`, `retry`, `concurrency`
        /// and `ignore_older` are not available. Default: `on` if there is `storage`, otherwise `off`.
        pub ledger: Option<Spanned<LedgerConfig>>,
        /// Settings that every task starts from. A task's own settings replace them; `tags` and `overrides` are merged
        /// key by key. A task that sets `launch_type`, `capacity_provider_strategy` or `capacity` inherits none of
        /// these three.
        pub defaults: Option<TaskSettings>,
        /// The tasks that routes and workers start, by name. Required unless there are `workers`.
        pub tasks: Option<Mapping<Spanned<TaskSettings>>>,
        /// Which events launch which tasks. Every route that matches an event launches its tasks. Required unless there
        /// are `workers`.
        pub routes: Option<Vec<RouteConfig>>,
        /// Which queues have workers, and how many workers run.
        pub workers: Option<Vec<Spanned<WorkerConfig>>>,
        /// Sample events and what each must start. `ecs-trigger test` runs them.
        pub tests: Option<Vec<Spanned<TestConfig>>>,
        /// Settings of the CloudFormation stack that `ecs-trigger synth` and `deploy` generate from this config.
        pub stack: Option<StackConfig>,
        /// How `ecs-trigger dev` runs tasks on this machine. AWS ignores it.
        pub local: Option<Local>,
    }
}

record! {
    /// A file that the config includes.
    pub struct IncludedFile ("a mapping with `tasks`, `routes`, `workers` or `tests`") {
        /// The version of the config format. Must be 1, and may be left out.
        pub version: Option<Version>,
        /// More tasks, by name.
        pub tasks: Option<Mapping<Spanned<TaskSettings>>>,
        /// More routes.
        pub routes: Option<Vec<RouteConfig>>,
        /// More workers.
        pub workers: Option<Vec<Spanned<WorkerConfig>>>,
        /// More tests.
        pub tests: Option<Vec<Spanned<TestConfig>>>,
    }
}

impl ConfigFile {
    pub(crate) fn tasks(&self) -> &Mapping<Spanned<TaskSettings>> {
        static NONE: Mapping<Spanned<TaskSettings>> = Mapping(Vec::new());
        self.tasks.as_ref().unwrap_or(&NONE)
    }

    pub(crate) fn routes(&self) -> &[RouteConfig] {
        self.routes.as_deref().unwrap_or_default()
    }

    /// Reports missing `tasks` and `routes`: every config without workers needs both.
    pub(crate) fn check_whole(&self, node: &Node, problems: &mut Vec<Diagnostic>) {
        if self.workers.is_some() {
            return;
        }
        let missing = [("tasks", self.tasks.is_none(), "a mapping"), ("routes", self.routes.is_none(), "a list")];
        // A value of another type was reported.
        let missing = missing.into_iter().filter(|(key, is_missing, _)| *is_missing && node.get(key).is_none());
        for (key, _, expected) in missing {
            let start = node.span.start;
            let problem = Diagnostic::error(Span::new(start, start), format!("missing key `{key}`"));
            problems.push(problem.help(format!("add `{key}: ...`, {expected}")));
        }
    }

    /// Adds the content of an included file.
    pub(crate) fn add(&mut self, file: IncludedFile, problems: &mut Vec<Diagnostic>) {
        let tasks = file.tasks.unwrap_or_default();
        for (name, _) in tasks.0.iter().filter(|(name, _)| self.tasks().get(name).is_some()) {
            let problem =
                Diagnostic::error(name.span, format!("duplicate task name `{}`, defined in another file", name.value));
            problems.push(problem.help("give each task a unique name"));
        }
        let new: Vec<_> = tasks.0.into_iter().filter(|(name, _)| self.tasks().get(name).is_none()).collect();
        if !new.is_empty() {
            self.tasks.get_or_insert_default().extend(Mapping(new));
        }
        if let Some(routes) = file.routes {
            self.routes.get_or_insert_default().extend(routes);
        }
        if let Some(workers) = file.workers {
            self.workers.get_or_insert_default().extend(workers);
        }
        self.tests.get_or_insert_default().extend(file.tests.unwrap_or_default());
    }
}
