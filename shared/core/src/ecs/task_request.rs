//! The RunTask request as plain data.
//!
//! It serializes with AWS's own camelCase keys, and `aws ecs run-task --cli-input-json` accepts it. Unset fields are
//! omitted: a literal 0 would replace the task definition's value.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>

use serde::{Deserialize, Serialize};

use super::fargate::OnFargate;
use crate::text::decode::{choice, record};

/// One RunTask call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are RunTask's own; the config's elements document them")]
pub struct TaskRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_constraints: Vec<PlacementConstraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_strategy: Vec<PlacementStrategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<PropagateTags>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    pub started_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_execute_command: Option<bool>,
    #[serde(rename = "enableECSManagedTags", skip_serializing_if = "Option::is_none")]
    pub enable_ecs_managed_tags: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_configurations: Vec<VolumeConfiguration>,
    #[serde(default, skip_serializing_if = "TaskOverride::is_empty")]
    pub overrides: TaskOverride,
    pub client_token: String,
}

impl TaskRequest {
    /// Returns whether its tasks run on Fargate.
    pub fn on_fargate(&self) -> OnFargate {
        OnFargate::new(self.launch_type, &self.capacity_provider_strategy)
    }

    /// Returns the family of the task definition: its name without path, Region and revision.
    pub fn family(&self) -> &str {
        let name = self.task_definition.rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default()
    }

    /// Sets an environment variable in each container override that has it.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        let variables = self.overrides.container_overrides.iter_mut().flat_map(|container| &mut container.environment);
        variables.filter(|variable| variable.name == name).for_each(|variable| value.clone_into(&mut variable.value));
    }
}

/// The capacity that one attempt asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are RunTask's own; the config's elements document them")]
pub struct Capacity {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProviderStrategyItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

impl Capacity {
    /// Replaces the capacity of a request by this one.
    pub fn apply(&self, request: &mut TaskRequest) {
        let Self { launch_type, capacity_provider_strategy, platform_version, network_configuration, cpu, memory } =
            self.clone();
        request.launch_type = launch_type;
        request.capacity_provider_strategy = capacity_provider_strategy;
        request.platform_version = platform_version;
        request.network_configuration = network_configuration;
        request.overrides.cpu = cpu;
        request.overrides.memory = memory;
    }
}

choice! {
    /// The infrastructure that a task runs on. Cannot be combined with a capacity provider strategy.
    pub enum LaunchType {
        /// EC2 container instances of the cluster.
        Ec2 = "EC2",
        /// Fargate on demand. Fargate Spot needs a capacity provider strategy.
        Fargate = "FARGATE",
        /// Instances registered with ECS Anywhere.
        External = "EXTERNAL",
        /// ECS Managed Instances.
        ManagedInstances = "MANAGED_INSTANCES",
    }
}

choice! {
    /// Where a task gets tags from besides `tags`. RunTask refuses `SERVICE`.
    pub enum PropagateTags {
        /// From the task definition.
        TaskDefinition = "TASK_DEFINITION",
        /// No further tags.
        None = "NONE",
    }
}

record! {
    /// One capacity provider and its share of the tasks.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct CapacityProviderStrategyItem ("a mapping with `capacity_provider`") {
        /// The name of the capacity provider: `FARGATE`, `FARGATE_SPOT`, or one of the cluster's own.
        pub capacity_provider: String,
        /// Its share of the tasks, relative to the weights of the other items, 0 to 1000. At least one item has a
        /// weight above 0. Default: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(max = 1000))]
        pub weight: Option<u32>,
        /// The minimum number of tasks that run on it, 0 to 100,000. Only one item can have a base. Default: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(max = 100_000))]
        pub base: Option<u32>,
    }
}

/// The network of a task with the network mode `awsvpc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// The only kind that RunTask has.
    pub awsvpc_configuration: AwsvpcConfiguration,
}

record! {
    /// The network of a task whose task definition has the network mode `awsvpc`, as it always has on Fargate. RunTask
    /// refuses it for any other mode.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct AwsvpcConfiguration ("a mapping with `subnets`") {
        /// The ids of 1 to 16 subnets of one VPC.
        #[schemars(length(min = 1, max = 16))]
        pub subnets: Vec<String>,
        /// The ids of at most 5 security groups. Default: the default security group of the VPC.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = 5))]
        pub security_groups: Option<Vec<String>>,
        /// `ENABLED` or `DISABLED`: whether the task gets a public IP address. Default: `DISABLED`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub assign_public_ip: Option<AssignPublicIp>,
    }
}

choice! {
    /// Whether a task gets a public IP address.
    pub enum AssignPublicIp {
        /// The task gets one.
        Enabled = "ENABLED",
        /// The task gets none.
        Disabled = "DISABLED",
    }
}

record! {
    /// A rule that a container instance must meet. Not valid on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct PlacementConstraint ("a mapping with `type`") {
        /// The type of the constraint.
        #[serde(rename = "type")]
        pub kind as "type": PlacementConstraintType,
        /// An expression in the cluster query language, at most 2000 characters. Required for `memberOf`, and not valid
        /// for `distinctInstance`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = 2000))]
        pub expression: Option<String>,
    }
}

choice! {
    /// The type of a placement constraint.
    pub enum PlacementConstraintType {
        /// Each task runs on a different instance.
        DistinctInstance = "distinctInstance",
        /// Tasks run on the instances that the expression selects.
        MemberOf = "memberOf",
    }
}

record! {
    /// How ECS chooses among container instances. Not valid on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct PlacementStrategy ("a mapping with `type`") {
        /// The type of the strategy.
        #[serde(rename = "type")]
        pub kind as "type": PlacementStrategyType,
        /// The field that the strategy applies to: `instanceId` or for example `attribute:ecs.availability-zone` for
        /// `spread`, `cpu` or `memory` for `binpack`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub field: Option<String>,
    }
}

choice! {
    /// The type of a placement strategy.
    pub enum PlacementStrategyType {
        /// Any instance.
        Random = "random",
        /// Tasks are spread evenly over the values of the field.
        Spread = "spread",
        /// Tasks run where the least of the field (`cpu` or `memory`) remains.
        Binpack = "binpack",
    }
}

record! {
    /// A tag.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Tag ("a mapping with `key` and `value`") {
        /// The key, at most 128 characters, which cannot begin with `aws:`.
        pub key: String,
        /// The value, at most 256 characters.
        pub value: String,
    }
}

record! {
    /// A volume that the task definition leaves to the launch (`configuredAtLaunch`).
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct VolumeConfiguration ("a mapping with `name`") {
        /// The name of the volume in the task definition.
        pub name: String,
        /// The EBS volume that ECS creates for the task.
        #[serde(rename = "managedEBSVolume", skip_serializing_if = "Option::is_none")]
        pub managed_ebs_volume as "managed_ebs_volume": Option<ManagedEbsVolume>,
    }
}

record! {
    /// An EBS volume that ECS creates for a task.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct ManagedEbsVolume ("a mapping with `role_arn`") {
        /// The ARN of the role with which ECS manages the volume.
        pub role_arn: String,
        /// Whether EBS encrypts the volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub encrypted: Option<bool>,
        /// The KMS key that encrypts the volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub kms_key_id: Option<String>,
        /// The volume type: `gp3`, `io2`, ...
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_type: Option<String>,
        /// The size in GiB. Required unless there is a `snapshot_id`.
        #[serde(rename = "sizeInGiB", skip_serializing_if = "Option::is_none")]
        pub size_in_gib as "size_in_gib": Option<u32>,
        /// The snapshot from which the volume is created.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub snapshot_id: Option<String>,
        /// The number of I/O operations per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub iops: Option<u32>,
        /// The throughput in MiB per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub throughput: Option<u32>,
        /// The rate, in MiB per second, at which a volume is filled from its snapshot.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_initialization_rate: Option<u32>,
        /// What happens to the volume when the task has stopped. Default: it is deleted.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub termination_policy: Option<TerminationPolicy>,
        /// The tags of the volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tag_specifications: Option<Vec<EbsTagSpecification>>,
        /// The file system: `xfs`, `ext4`, `ext3`, `ntfs`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub filesystem_type: Option<String>,
    }
}

record! {
    /// What happens to a volume when its task has stopped.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct TerminationPolicy ("a mapping with `delete_on_termination`") {
        /// Whether ECS deletes the volume.
        pub delete_on_termination: bool,
    }
}

record! {
    /// The tags of a volume.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct EbsTagSpecification ("a mapping with `resource_type`") {
        /// The type of resource that is tagged: `volume`.
        pub resource_type: EbsResourceType,
        /// The tags.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tags: Option<Vec<Tag>>,
        /// Where the volume gets further tags from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub propagate_tags: Option<PropagateTags>,
    }
}

choice! {
    /// The type of resource that a volume's tags apply to.
    pub enum EbsResourceType {
        /// The volume.
        Volume = "volume",
    }
}

/// What this launch overrides in the task definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are RunTask's own; the config's elements document them")]
pub struct TaskOverride {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub container_overrides: Vec<ContainerOverride>,
}

impl TaskOverride {
    /// Returns whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

record! {
    /// The task's ephemeral storage on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct EphemeralStorage ("a mapping with `size_in_gib`") {
        /// The size in GiB, 21 to 200.
        #[serde(rename = "sizeInGiB")]
        #[schemars(range(min = 21, max = 200))]
        pub size_in_gib as "size_in_gib": u32,
    }
}

/// What this launch overrides in one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are RunTask's own; the config's elements document them")]
pub struct ContainerOverride {
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentVariable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<EnvironmentFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_requirements: Vec<ResourceRequirement>,
}

/// An environment variable of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

record! {
    /// A file of environment variables in S3.
    #[derive(Eq, Serialize, Deserialize)]
    pub struct EnvironmentFile ("a mapping with `value`") {
        /// The ARN of the file, for example `arn:aws:s3:::bucket/file.env`.
        pub value: String,
        /// Where the file is stored: `s3`.
        #[serde(rename = "type")]
        pub kind as "type": EnvironmentFileType,
    }
}

choice! {
    /// Where an environment file is stored.
    pub enum EnvironmentFileType {
        /// In S3.
        S3 = "s3",
    }
}

record! {
    /// A resource that a container needs besides CPU and memory: GPUs or an accelerator.
    #[derive(Eq, Serialize, Deserialize)]
    pub struct ResourceRequirement ("a mapping with `type` and `value`") {
        /// The type of the resource.
        #[serde(rename = "type")]
        pub kind as "type": ResourceType,
        /// The number of GPUs, or the name of the accelerator.
        pub value: String,
    }
}

choice! {
    /// The type of a required resource.
    pub enum ResourceType {
        /// Physical GPUs.
        Gpu = "GPU",
        /// An Elastic Inference accelerator.
        InferenceAccelerator = "InferenceAccelerator",
    }
}
