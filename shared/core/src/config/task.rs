//! What a route launches: RunTask's parameters, in the config's words.

use super::launching::{CapacityConfig, RetryConfig};
use crate::ecs::{
    AwsvpcConfiguration, CapacityProviderStrategyItem, EnvironmentFile, EphemeralStorage, LaunchType,
    PlacementConstraint, PlacementStrategy, PropagateTags, ResourceRequirement, VolumeConfiguration,
};
use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, Mapping, Text};

record! {
    /// Everything that RunTask takes. What is left out keeps the default's, the task definition's or the cluster's value.
    pub struct TaskSettings ("a mapping") {
        /// The cluster's name or ARN. Default: the cluster `default`.
        pub cluster: Option<Spanned<String>>,
        /// The task definition: `family` (its latest active revision), `family:revision`, or an ARN.
        pub task_definition: Option<Spanned<String>>,
        /// How many copies of the task one event starts, 1 to 10,000; ten by each call of RunTask. Default: 1.
        #[schemars(range(min = 1, max = 10_000), extend("default" = 1))]
        pub count: Option<Spanned<u32>>,
        /// The launch type. Not beside `capacity_provider_strategy`; with neither, the cluster's default strategy holds.
        pub launch_type: Option<Spanned<LaunchType>>,
        /// The capacity providers, at most 20. Not beside `launch_type`.
        #[schemars(length(min = 1, max = 20))]
        pub capacity_provider_strategy: Option<Spanned<Vec<Spanned<CapacityProviderStrategyItem>>>>,
        /// A ladder of capacity: when there is none for a task on one rung, the next is tried; after the last, the first again in a
        /// while. Instead of `launch_type` and `capacity_provider_strategy`.
        #[schemars(length(min = 1, max = 10))]
        pub capacity: Option<Spanned<Vec<Spanned<CapacityConfig>>>>,
        /// How long a task may run, from its launch: then it is stopped, and has failed. Default: for ever.
        #[schemars(example = &"2h")]
        pub timeout: Option<Spanned<Duration>>,
        /// When a task that failed is started again. Default: never.
        pub retry: Option<Spanned<RetryConfig>>,
        /// The Fargate platform version. Default: `LATEST`.
        pub platform_version: Option<Spanned<String>>,
        /// The network of a task whose network mode is `awsvpc`: always so on Fargate.
        pub network: Option<Spanned<AwsvpcConfiguration>>,
        /// The task group. Default: the task definition's family.
        pub group: Option<Spanned<String>>,
        /// Rules that a container instance must fulfil, at most 10. Not on Fargate.
        #[schemars(length(max = 10))]
        pub placement_constraints: Option<Spanned<Vec<Spanned<PlacementConstraint>>>>,
        /// How ECS chooses among container instances, at most 5. Not on Fargate.
        #[schemars(length(max = 5))]
        pub placement_strategy: Option<Spanned<Vec<Spanned<PlacementStrategy>>>>,
        /// Where the task's tags come from besides `tags`. Default: `NONE`.
        pub propagate_tags: Option<Spanned<PropagateTags>>,
        /// Tags of the task, at most 50. The values may be templates.
        pub tags: Option<Mapping<Spanned<Text>>>,
        /// What the task records as its starter; may be a template. Default: `ecs-trigger/ROUTE`.
        pub started_by: Option<Spanned<Text>>,
        /// Whether ECS Exec works in the task; it needs a task role. Default: false.
        pub enable_execute_command: Option<Spanned<bool>>,
        /// Whether ECS puts its own tags (cluster, service) on the task. Default: false.
        pub enable_ecs_managed_tags: Option<Spanned<bool>>,
        /// A reference of yours, at most 1024 characters; may be a template.
        pub reference_id: Option<Spanned<Text>>,
        /// Volumes that the task definition leaves to the launch (`configuredAtLaunch`).
        pub volume_configurations: Option<Vec<Spanned<VolumeConfiguration>>>,
        /// What the launch changes in the task definition.
        pub overrides: Option<Overrides>,
    }
}

record! {
    /// What the launch changes in the task definition. All overrides together hold at most 8192 characters of JSON.
    #[derive(Default)]
    pub struct Overrides ("a mapping") {
        /// The task's CPU: units (`1024`) or `1 vCPU`.
        pub cpu: Option<Spanned<Text>>,
        /// The task's memory: MiB (`2048`) or `2 GB`.
        pub memory: Option<Spanned<Text>>,
        /// The role that the task's containers act by.
        pub task_role_arn: Option<Spanned<String>>,
        /// The role by which ECS starts the task.
        pub execution_role_arn: Option<Spanned<String>>,
        /// The task's scratch space on Fargate.
        pub ephemeral_storage: Option<Spanned<EphemeralStorage>>,
        /// What the launch changes in containers.
        pub container_overrides: Option<Vec<ContainerOverrideConfig>>,
    }
}

record! {
    /// What the launch changes in one container. (RunTask cannot change image, entry point, secrets or logging.)
    pub struct ContainerOverrideConfig ("a mapping with `name`") {
        /// The container's name in the task definition.
        pub name: Spanned<String>,
        /// The command, which replaces the image's CMD; each word may be a template and stays one word whatever it holds.
        pub command: Option<Spanned<Vec<Spanned<Text>>>>,
        /// Environment variables by name; the values may be templates. `ECS_TRIGGER_ROUTE`, `ECS_TRIGGER_EVENT_ID` and
        /// `ECS_TRIGGER_ATTEMPT` are added; names that begin with `ECS_TRIGGER_` are taken.
        pub environment: Option<Mapping<Spanned<Text>>>,
        /// Files of environment variables in S3.
        pub environment_files: Option<Vec<EnvironmentFile>>,
        /// CPU units, at least 1.
        #[schemars(range(min = 1))]
        pub cpu: Option<Spanned<u32>>,
        /// The hard memory limit in MiB, at least 4.
        #[schemars(range(min = 4))]
        pub memory: Option<Spanned<u32>>,
        /// The soft memory limit in MiB, at least 4.
        #[schemars(range(min = 4))]
        pub memory_reservation: Option<Spanned<u32>>,
        /// GPUs and accelerators.
        pub resource_requirements: Option<Vec<ResourceRequirement>>,
    }
}

impl TaskSettings {
    /// These settings, and from `defaults` those that this does not have.
    pub(crate) fn over(self, defaults: &Self) -> Self {
        // The ways of naming capacity exclude each other, so that a task's choice of one unsets the defaults' other.
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
