//! The whole file.

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
    /// The routing config of ecs-trigger: which events start which ECS tasks. In any text, `${env:NAME}` or
    /// `${env:NAME:-default}` is replaced by an environment variable when the config is loaded; `$${env:` is taken literally.
    #[schemars(extend("anyOf" = [{ "required": ["tasks", "routes"] }, { "required": ["workers"] }]))]
    pub struct ConfigFile ("a mapping with `version`, `tasks` and `routes`") {
        /// The version of this file's format: 1.
        pub version: Version,
        /// Further files with `tasks`, `routes`, `workers` and `tests`, their paths relative to this one's folder (or key).
        #[schemars(extend("examples" = [["routes/imports.yaml"]]))]
        pub include: Option<Vec<Spanned<String>>>,
        /// The bucket for what has to outlive a call: large payloads, and the ledger.
        pub storage: Option<Storage>,
        /// Whether every launch is remembered in the bucket of `storage`. `off`: an event that is delivered again after the
        /// client token's life (an hour after its tasks stopped, a day at most) starts its tasks again; what finds no capacity on
        /// any rung is not tried later; and `timeout`, `retry`, `concurrency` and `ignore_older` cannot be used.
        /// Default: `on` where there is `storage`, else `off`.
        pub ledger: Option<Spanned<LedgerConfig>>,
        /// Settings that every task starts from. A task's own settings replace them; mappings (`tags`) are merged.
        pub defaults: Option<TaskSettings>,
        /// What can be launched, by name.
        pub tasks: Option<Mapping<Spanned<TaskSettings>>>,
        /// Which events launch it. Every route that matches an event launches its task.
        pub routes: Option<Vec<RouteConfig>>,
        /// Which queues have workers of their own, and how many.
        pub workers: Option<Vec<Spanned<WorkerConfig>>>,
        /// Sample events and what they must start: `ecs-trigger test` tries them.
        pub tests: Option<Vec<Spanned<TestConfig>>>,
        /// The CloudFormation stack that `ecs-trigger synth` and `deploy` make of this config.
        pub stack: Option<StackConfig>,
        /// How `ecs-trigger dev` runs the tasks on this machine. Without meaning on AWS.
        pub local: Option<Local>,
    }
}

record! {
    /// A file that the config includes.
    pub struct IncludedFile ("a mapping with `tasks`, `routes`, `workers` or `tests`") {
        /// The version of this file's format: 1. May be left out.
        pub version: Option<Version>,
        /// Further tasks.
        pub tasks: Option<Mapping<Spanned<TaskSettings>>>,
        /// Further routes.
        pub routes: Option<Vec<RouteConfig>>,
        /// Further workers.
        pub workers: Option<Vec<Spanned<WorkerConfig>>>,
        /// Further tests.
        pub tests: Option<Vec<Spanned<TestConfig>>>,
    }
}

impl ConfigFile {
    /// What can be launched, by name.
    pub(crate) fn tasks(&self) -> &Mapping<Spanned<TaskSettings>> {
        static NONE: Mapping<Spanned<TaskSettings>> = Mapping(Vec::new());
        self.tasks.as_ref().unwrap_or(&NONE)
    }

    /// Which events launch it.
    pub(crate) fn routes(&self) -> &[RouteConfig] {
        self.routes.as_deref().unwrap_or_default()
    }

    /// Reports what every file without workers has to have.
    pub(crate) fn check_whole(&self, start: Span, problems: &mut Vec<Diagnostic>) {
        if self.workers.is_some() {
            return;
        }
        let missing = [("tasks", self.tasks.is_none(), "a mapping"), ("routes", self.routes.is_none(), "a list")];
        for (key, _, expected) in missing.into_iter().filter(|(_, is_missing, _)| *is_missing) {
            let problem = Diagnostic::error(Span::new(start.start, start.start), format!("missing key `{key}`"));
            problems.push(problem.help(format!("add `{key}: ...`, {expected}")));
        }
    }

    /// Adds what an included file holds.
    pub(crate) fn add(&mut self, file: IncludedFile, problems: &mut Vec<Diagnostic>) {
        let tasks = file.tasks.unwrap_or_default();
        for (name, _) in tasks.0.iter().filter(|(name, _)| self.tasks().get(name).is_some()) {
            let problem = Diagnostic::error(name.span, format!("a task named `{}` stands in another file", name.value));
            problems.push(problem.help("give each task its own name"));
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
