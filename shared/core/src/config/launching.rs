//! How a launch is made: on which capacity, how often, how many at once.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::ecs::{AwsvpcConfiguration, CapacityProviderStrategyItem, LaunchType};
use crate::launch::{RetryOn, WhenFull};
use crate::text::decode::{Decode, choice, record, unknown_word, wrong_type};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Duration, OneOrMany, Text};
use crate::text::{Kind, Node, Spanned};

record! {
    /// One rung of a capacity ladder: what an attempt asks for instead of the task's own.
    pub struct CapacityConfig ("a mapping with `capacity_provider_strategy` or `launch_type`") {
        /// The launch type. Not beside `capacity_provider_strategy`.
        pub launch_type: Option<Spanned<LaunchType>>,
        /// The capacity providers, at most 20. Not beside `launch_type`.
        #[schemars(length(min = 1, max = 20))]
        pub capacity_provider_strategy: Option<Spanned<Vec<Spanned<CapacityProviderStrategyItem>>>>,
        /// The Fargate platform version.
        pub platform_version: Option<Spanned<String>>,
        /// Another network: other subnets.
        pub network: Option<Spanned<AwsvpcConfiguration>>,
        /// The task's CPU: units (`1024`) or `1 vCPU`.
        pub cpu: Option<Spanned<Text>>,
        /// The task's memory: MiB (`2048`) or `2 GB`.
        pub memory: Option<Spanned<Text>>,
    }
}

record! {
    /// When a task that failed is started again. Tasks are judged by the containers that `container_overrides` names, or else by
    /// all of theirs. One that is not started again, or too often, is dead-lettered with its exit codes.
    pub struct RetryConfig ("a mapping with `attempts`") {
        /// How often a task is started at most, 1 to 20: `1` is never again. Copies of one launch share what they have: ten copies
        /// with `attempts: 2` are started again ten times together.
        #[schemars(range(min = 1, max = 20))]
        pub attempts: Spanned<u32>,
        /// After which failures: `spot_interruption`, `failed_to_start`, `timeout`, `{ exit_code: [137] }`, `any`. Default: any.
        pub on: Option<OneOrMany<RetryOn>>,
        /// How long to wait before the second start; twice as long before each further one, an hour at most; and until
        /// the next sweep, which comes once a minute. Default: 10s.
        #[schemars(example = &"30s")]
        pub backoff: Option<Duration>,
    }
}

impl Decode for RetryOn {
    const EXPECTED: &'static str =
        "a failure: `spot_interruption`, `failed_to_start`, `timeout`, `any` or `{ exit_code: [...] }`";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        const WORDS: [&str; 4] = ["spot_interruption", "failed_to_start", "timeout", "any"];
        if let Kind::Object(_) = node.kind {
            let codes = ExitCodes::decode(node, problems)?;
            let codes = codes.exit_code.0.iter().filter_map(|code| i32::try_from(*code).ok());
            return Some(Self::ExitCode(codes.collect()));
        }
        match node.as_str() {
            Some("spot_interruption") => Some(Self::SpotInterruption),
            Some("failed_to_start") => Some(Self::FailedToStart),
            Some("timeout") => Some(Self::Timeout),
            Some("any") => Some(Self::Any),
            Some(other) => {
                problems.push(unknown_word(node.span, other, &WORDS));
                None
            }
            None => wrong_type(node, problems),
        }
    }
}

record! {
    /// Exit codes of a container.
    pub struct ExitCodes ("a mapping with `exit_code`") {
        /// The codes, 1 to 255.
        pub exit_code: OneOrMany<u32>,
    }
}

impl JsonSchema for RetryOn {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let exit_codes = generator.subschema_for::<ExitCodes>();
        json_schema!({
            "description": "A failure after which a task is started again.",
            "anyOf": [{ "enum": ["spot_interruption", "failed_to_start", "timeout", "any"] }, exit_codes],
        })
    }
}

record! {
    /// How many tasks of a route run at once.
    pub struct ConcurrencyConfig ("a mapping with `max`") {
        /// How many tasks at most.
        #[schemars(range(min = 1))]
        pub max: Spanned<u32>,
        /// A template: tasks of events for which it makes the same text are counted together. Default: all of the route.
        #[schemars(example = &"{{ bucket }}")]
        pub key: Option<Spanned<Text>>,
        /// What becomes of a launch that finds all taken. Default: queue.
        pub when_full: Option<WhenFull>,
    }
}

choice! {
    /// Whether launches are remembered.
    pub enum LedgerConfig {
        /// In the bucket of `storage`.
        On = "on",
        /// Not at all.
        Off = "off",
    }
}
