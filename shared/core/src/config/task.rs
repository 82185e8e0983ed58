//! `tasks`: what a route launches, as RunTask's parameters under the config's key names.

use super::launching::{CapacityConfig, RetryConfig};
use crate::ecs::{
    AwsvpcConfiguration, CapacityProviderStrategyItem, EnvironmentFile, EphemeralStorage, LaunchType,
    PlacementConstraint, PlacementStrategy, PropagateTags, ResourceRequirement, VolumeConfiguration,
};
use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, Environment, Mapping, Text, Words};

record! {
    /// What a launch asks of ECS: everything that RunTask takes. A key that is left out keeps the value of `defaults`,
    /// of the task definition or of the cluster.
    pub struct TaskSettings ("a mapping")
        near [
            ["command", "environment", "environment_files", "resource_requirements"]:
                "a container of `overrides`",
                "overrides: { container_overrides: [{ name: CONTAINER, KEY }] }";
            ["cpu", "memory", "task_role_arn", "execution_role_arn", "ephemeral_storage", "container_overrides"]:
                "`overrides`", "overrides: { KEY }";
            ["subnets", "security_groups", "assign_public_ip"]: "`network`", "network: { KEY }";
            ["concurrency", "for_each", "max_at_once", "ignore_older", "large_payload", "on"]: "a route",
                "routes: [{ name: NAME, ..., KEY }]";
            ["attempts", "backoff"]: "`retry`", "retry: { KEY }";
        ]
    {
        /// The name or ARN of the cluster. Default: the cluster `default`.
        pub cluster: Option<Spanned<String>>,
        /// The task definition: `family` (its latest active revision), `family:revision`, or an ARN. Required, here or
        /// under `defaults`.
        pub task_definition: Option<Spanned<String>>,
        /// How many copies of the task one event starts, 1 to 10,000. Each copy is a launch of its own, and finds its
        /// number in `ECS_TRIGGER_INDEX`. Default: 1.
        #[schemars(range(min = 1, max = 10_000), extend("default" = 1))]
        pub count: Option<Spanned<u32>>,
        /// The launch type. Cannot be combined with `capacity_provider_strategy`. Default: the cluster's default
        /// capacity provider strategy.
        pub launch_type: Option<Spanned<LaunchType>>,
        /// The capacity providers and their weights, at most 20. Cannot be combined with `launch_type`.
        #[schemars(length(min = 1, max = 20))]
        pub capacity_provider_strategy: Option<Spanned<Vec<Spanned<CapacityProviderStrategyItem>>>>,
        /// A capacity ladder of 1 to 10 rungs, which replaces `launch_type` and `capacity_provider_strategy`. If ECS
        /// has no capacity for a task on one rung, the launch asks on the next. After the last rung it waits and begins
        /// again with the first, if there is a ledger; otherwise it fails.
        #[schemars(length(min = 1, max = 10))]
        pub capacity: Option<Spanned<Vec<Spanned<CapacityConfig>>>>,
        /// How long a task may run, counted from its launch, at least 1s. A task that runs longer is stopped and has
        /// failed. Needs the ledger. Default: no limit.
        #[schemars(example = &"2h")]
        pub timeout: Option<Spanned<Duration>>,
        /// Which failed tasks are started again, and how often. Needs the ledger. Default: with the ledger, only a
        /// task that never started, up to five starts in all. A `retry` replaces this default.
        pub retry: Option<Spanned<RetryConfig>>,
        /// The Fargate platform version. Default: `LATEST`.
        pub platform_version: Option<Spanned<String>>,
        /// The network of a task with the network mode `awsvpc`. Required on Fargate, which always uses this mode.
        pub network: Option<Spanned<AwsvpcConfiguration>>,
        /// The task group. Default: the family of the task definition.
        pub group: Option<Spanned<String>>,
        /// Rules that a container instance must meet, at most 10. Not valid on Fargate.
        #[schemars(length(max = 10))]
        pub placement_constraints: Option<Spanned<Vec<Spanned<PlacementConstraint>>>>,
        /// How ECS chooses among container instances, at most 5 strategies. Not valid on Fargate.
        #[schemars(length(max = 5))]
        pub placement_strategy: Option<Spanned<Vec<Spanned<PlacementStrategy>>>>,
        /// `TASK_DEFINITION`: the task also gets the tags of its task definition. Default: `NONE`.
        pub propagate_tags: Option<Spanned<PropagateTags>>,
        /// The tags of the task, at most 50. Values may be templates.
        pub tags: Option<Mapping<Spanned<Text>>>,
        /// The task's `startedBy`. May be a template. Not valid with the ledger, which records the launch there.
        /// Default: `ecs-trigger/ROUTE`.
        pub started_by: Option<Spanned<Text>>,
        /// Whether ECS Exec is enabled for the task. It needs a task role. Default: false.
        pub enable_execute_command: Option<Spanned<bool>>,
        /// Whether ECS adds its own tags (cluster, service) to the task. Default: false.
        pub enable_ecs_managed_tags: Option<Spanned<bool>>,
        /// A reference of your own, at most 1024 characters. May be a template.
        pub reference_id: Option<Spanned<Text>>,
        /// The volumes that the task definition leaves to the launch (`configuredAtLaunch`).
        pub volume_configurations: Option<Vec<Spanned<VolumeConfiguration>>>,
        /// What the launch overrides in the task definition.
        pub overrides: Option<Overrides>,
    }
}

record! {
    /// What a launch overrides in the task definition. All overrides together have at most 8192 characters as JSON.
    #[derive(Default)]
    pub struct Overrides ("a mapping")
        near [
            ["command", "environment", "environment_files", "resource_requirements"]:
                "a container", "container_overrides: [{ name: CONTAINER, KEY }]";
        ]
    {
        /// The task's CPU, in CPU units (`1024`) or vCPUs (`1 vCPU`).
        pub cpu: Option<Spanned<Text>>,
        /// The task's memory, in MiB (`2048`) or GB (`2 GB`).
        pub memory: Option<Spanned<Text>>,
        /// The ARN of the task role, whose permissions the containers have.
        pub task_role_arn: Option<Spanned<String>>,
        /// The ARN of the task execution role, with which ECS starts the task.
        pub execution_role_arn: Option<Spanned<String>>,
        /// The task's ephemeral storage on Fargate.
        pub ephemeral_storage: Option<Spanned<EphemeralStorage>>,
        /// What the launch overrides in containers.
        pub container_overrides: Option<Vec<ContainerOverrideConfig>>,
    }
}

record! {
    /// What a launch overrides in one container. RunTask cannot override image, entry point, secrets or log
    /// configuration.
    pub struct ContainerOverrideConfig ("a mapping with `name`") {
        /// The name of the container in the task definition.
        pub name: Spanned<String>,
        /// The command, which replaces the image's CMD. Each word may be a template, and stays one word whatever it is
        /// filled with.
        pub command: Option<Spanned<Words<Spanned<Text>>>>,
        /// Environment variables, by name, or AWS's own list of `name` and `value`. Values may be templates. ecs-trigger
        /// adds `ECS_TRIGGER_ROUTE`, `ECS_TRIGGER_EVENT_ID` and `ECS_TRIGGER_ATTEMPT`; names that begin with
        /// `ECS_TRIGGER_` are reserved.
        pub environment: Option<Environment<Spanned<Text>>>,
        /// Files of environment variables in S3.
        pub environment_files: Option<Vec<EnvironmentFile>>,
        /// The container's CPU units, at least 1.
        #[schemars(range(min = 1))]
        pub cpu: Option<Spanned<u32>>,
        /// The container's hard memory limit in MiB, at least 4.
        #[schemars(range(min = 4))]
        pub memory: Option<Spanned<u32>>,
        /// The container's soft memory limit in MiB, at least 4.
        #[schemars(range(min = 4))]
        pub memory_reservation: Option<Spanned<u32>>,
        /// The GPUs and accelerators of the container.
        pub resource_requirements: Option<Vec<ResourceRequirement>>,
    }
}

impl TaskSettings {
    /// Returns these settings, completed by those of `defaults`.
    pub(crate) fn over(self, defaults: &Self) -> Self {
        // The ways to choose capacity exclude each other, so a task that chooses one drops the defaults' others.
        let chooses_capacity =
            self.launch_type.is_some() || self.capacity_provider_strategy.is_some() || self.capacity.is_some();
        let capacity = |own: bool| own || !chooses_capacity;
        let own_launch_type = self.launch_type.is_some();
        let own_strategy = self.capacity_provider_strategy.is_some();
        let own_ladder = self.capacity.is_some();
        Self {
            cluster: self.cluster.or_else(|| defaults.cluster.clone()),
            task_definition: self.task_definition.or_else(|| defaults.task_definition.clone()),
            count: self.count.or_else(|| defaults.count.clone()),
            launch_type: self
                .launch_type
                .or_else(|| defaults.launch_type.clone().filter(|_| capacity(own_launch_type))),
            capacity_provider_strategy: self
                .capacity_provider_strategy
                .or_else(|| defaults.capacity_provider_strategy.clone().filter(|_| capacity(own_strategy))),
            capacity: self.capacity.or_else(|| defaults.capacity.clone().filter(|_| capacity(own_ladder))),
            timeout: self.timeout.or_else(|| defaults.timeout.clone()),
            retry: self.retry.or_else(|| defaults.retry.clone()),
            platform_version: self.platform_version.or_else(|| defaults.platform_version.clone()),
            network: self.network.or_else(|| defaults.network.clone()),
            group: self.group.or_else(|| defaults.group.clone()),
            placement_constraints: self.placement_constraints.or_else(|| defaults.placement_constraints.clone()),
            placement_strategy: self.placement_strategy.or_else(|| defaults.placement_strategy.clone()),
            propagate_tags: self.propagate_tags.or_else(|| defaults.propagate_tags.clone()),
            tags: merge(self.tags, defaults.tags.as_ref()),
            started_by: self.started_by.or_else(|| defaults.started_by.clone()),
            enable_execute_command: self.enable_execute_command.or_else(|| defaults.enable_execute_command.clone()),
            enable_ecs_managed_tags: self.enable_ecs_managed_tags.or_else(|| defaults.enable_ecs_managed_tags.clone()),
            reference_id: self.reference_id.or_else(|| defaults.reference_id.clone()),
            volume_configurations: self.volume_configurations.or_else(|| defaults.volume_configurations.clone()),
            overrides: match (self.overrides, &defaults.overrides) {
                (Some(own), Some(defaults)) => Some(own.over(defaults)),
                (own, defaults) => own.or_else(|| defaults.clone()),
            },
        }
    }
}

impl Overrides {
    fn over(self, defaults: &Self) -> Self {
        Self {
            cpu: self.cpu.or_else(|| defaults.cpu.clone()),
            memory: self.memory.or_else(|| defaults.memory.clone()),
            task_role_arn: self.task_role_arn.or_else(|| defaults.task_role_arn.clone()),
            execution_role_arn: self.execution_role_arn.or_else(|| defaults.execution_role_arn.clone()),
            ephemeral_storage: self.ephemeral_storage.or_else(|| defaults.ephemeral_storage.clone()),
            container_overrides: self.container_overrides.or_else(|| defaults.container_overrides.clone()),
        }
    }
}

fn merge<T: Clone>(own: Option<Mapping<T>>, defaults: Option<&Mapping<T>>) -> Option<Mapping<T>> {
    match (own, defaults) {
        (Some(own), Some(defaults)) => Some(own.over(defaults)),
        (own, defaults) => own.or_else(|| defaults.cloned()),
    }
}
