//! How tasks are launched: capacity, retries and concurrency.

use crate::ecs::{AwsvpcConfiguration, CapacityProviderStrategyItem, LaunchType};
use crate::launch::{RetryOn, WhenFull};
use crate::text::Spanned;
use crate::text::decode::{choice, record};
use crate::text::values::{Duration, OneOrMany, Text};

record! {
    /// One rung of a capacity ladder. A key that is left out keeps the task's value. A rung with `launch_type` or
    /// `capacity_provider_strategy` replaces both of the task's.
    pub struct CapacityConfig ("a mapping with `capacity_provider_strategy` or `launch_type`") {
        /// The launch type. Cannot be combined with `capacity_provider_strategy`.
        pub launch_type: Option<Spanned<LaunchType>>,
        /// The capacity providers and their weights, at most 20. Cannot be combined with `launch_type`.
        #[schemars(length(min = 1, max = 20))]
        pub capacity_provider_strategy: Option<Spanned<Vec<Spanned<CapacityProviderStrategyItem>>>>,
        /// The Fargate platform version.
        pub platform_version: Option<Spanned<String>>,
        /// The network of tasks on this rung, for example other subnets.
        pub network: Option<Spanned<AwsvpcConfiguration>>,
        /// The task's CPU, in CPU units (`1024`) or vCPUs (`1 vCPU`).
        pub cpu: Option<Spanned<Text>>,
        /// The task's memory, in MiB (`2048`) or GB (`2 GB`).
        pub memory: Option<Spanned<Text>>,
    }
}

record! {
    /// Which failed tasks are started again, and how often. A task is judged by the containers that
    /// `container_overrides` names, or by all of its containers if it names none. A failed task that is not started
    /// again is dead-lettered with its exit codes.
    pub struct RetryConfig ("a mapping with `attempts`") {
        /// How often a task is started at most, 1 to 20; with `1` it is never started again. Each copy is retried
        /// alone.
        #[schemars(range(min = 1, max = 20))]
        pub attempts: Spanned<u32>,
        /// Which failures are retried: one or a list of `spot_interruption`, `failed_to_start`, `timeout`,
        /// `{ exit_code: [137] }` and `any`. Default: `any`.
        pub on: Option<OneOrMany<RetryOn>>,
        /// How long to wait before the second start, at most 1h. The wait doubles before each further start, up to 1h.
        /// Default: 10s.
        #[schemars(example = &"30s")]
        pub backoff: Option<Duration>,
    }
}

record! {
    /// How many tasks of a route run at once.
    pub struct ConcurrencyConfig ("a mapping with `max`") {
        /// How many tasks run at most, at least 1.
        #[schemars(range(min = 1))]
        pub max: Spanned<u32>,
        /// A template. Tasks whose events render it to the same text are counted together. Default: all tasks of the
        /// route are counted together.
        #[schemars(example = &"{{ bucket }}")]
        pub key: Option<Spanned<Text>>,
        /// What happens to a launch when no slot is free: `queue` (it waits), `skip` or `replace` (the oldest
        /// launches are stopped). Default: `queue`.
        pub when_full: Option<WhenFull>,
    }
}

choice! {
    /// Whether launches are recorded.
    pub enum LedgerConfig {
        /// In the table of `storage`.
        On = "on",
        /// Launches are not recorded.
        Off = "off",
    }
}
