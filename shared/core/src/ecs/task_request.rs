//! Everything that one launch needs: ECS's RunTask request as plain data.
//!
//! Serialised, it has AWS's own camelCase keys, so that `aws ecs run-task --cli-input-json` accepts it. What is not set is
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

    /// The task definition's family: its name without path, Region and revision.
    pub fn family(&self) -> &str {
        let name = self.task_definition.rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default()
    }
}

/// The capacity that one attempt to launch asks for.
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
    /// Puts it into a request, instead of whatever capacity that asks for.
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
    /// The infrastructure that a task runs on. Mutually exclusive with a capacity provider strategy.
    pub enum LaunchType {
        /// EC2 container instances of the cluster.
        Ec2 = "EC2",
        /// Fargate, on demand. (Fargate Spot goes by capacity provider strategy only.)
        Fargate = "FARGATE",
        /// Instances registered with ECS Anywhere.
        External = "EXTERNAL",
        /// ECS Managed Instances.
        ManagedInstances = "MANAGED_INSTANCES",
    }
}

choice! {
    /// Where a task's tags come from besides `tags`. (RunTask refuses `SERVICE`.)
    pub enum PropagateTags {
        /// From the task definition.
        TaskDefinition = "TASK_DEFINITION",
        /// From nowhere.
        None = "NONE",
    }
}

record! {
    /// One capacity provider and its share of the tasks.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct CapacityProviderStrategyItem ("a mapping with `capacity_provider`") {
        /// The capacity provider's name: `FARGATE`, `FARGATE_SPOT`, or one of the cluster's own.
        pub capacity_provider: String,
        /// Its share relative to the other items' weights, 0 to 1000. Default: 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(max = 1000))]
        pub weight: Option<u32>,
        /// How many tasks at least run on it, 0 to 100000; on one item only.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(max = 100_000))]
        pub base: Option<u32>,
    }
}

/// The network of an awsvpc task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// RunTask knows this one kind.
    pub awsvpc_configuration: AwsvpcConfiguration,
}

record! {
    /// The network of a task whose task definition has the network mode `awsvpc` (always so on Fargate); RunTask refuses it
    /// for any other.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct AwsvpcConfiguration ("a mapping with `subnets`") {
        /// The subnets' ids, 1 to 16, of one VPC.
        #[schemars(length(min = 1, max = 16))]
        pub subnets: Vec<String>,
        /// The security groups' ids, at most 5. Default: the VPC's default security group.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = 5))]
        pub security_groups: Option<Vec<String>>,
        /// Whether the task gets a public address. Default: `DISABLED`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub assign_public_ip: Option<AssignPublicIp>,
    }
}

choice! {
    /// Whether a task gets a public address.
    pub enum AssignPublicIp {
        /// It does.
        Enabled = "ENABLED",
        /// It does not.
        Disabled = "DISABLED",
    }
}

record! {
    /// A rule that a container instance must fulfil. Not on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct PlacementConstraint ("a mapping with `type`") {
        /// The kind of rule.
        #[serde(rename = "type")]
        pub kind as "type": PlacementConstraintType,
        /// A cluster query language expression, at most 2000 characters; for `memberOf` only.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = 2000))]
        pub expression: Option<String>,
    }
}

choice! {
    /// The kind of a placement constraint.
    pub enum PlacementConstraintType {
        /// Each task on an instance of its own.
        DistinctInstance = "distinctInstance",
        /// On instances that the expression selects.
        MemberOf = "memberOf",
    }
}

record! {
    /// How ECS chooses among container instances. Not on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct PlacementStrategy ("a mapping with `type`") {
        /// The way of choosing.
        #[serde(rename = "type")]
        pub kind as "type": PlacementStrategyType,
        /// What is spread over or packed by: `instanceId`, `attribute:ecs.availability-zone`, `cpu`, `memory`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub field: Option<String>,
    }
}

choice! {
    /// The way of choosing among container instances.
    pub enum PlacementStrategyType {
        /// Any.
        Random = "random",
        /// Evenly over the field's values.
        Spread = "spread",
        /// Where the least of the field (`cpu` or `memory`) remains.
        Binpack = "binpack",
    }
}

record! {
    /// A tag.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Tag ("a mapping with `key` and `value`") {
        /// At most 128 characters, not starting with `aws:`.
        pub key: String,
        /// At most 256 characters.
        pub value: String,
    }
}

record! {
    /// A volume that the task definition leaves to the launch (`configuredAtLaunch`).
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct VolumeConfiguration ("a mapping with `name`") {
        /// The volume's name in the task definition.
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
        /// The role by which ECS manages the volume.
        pub role_arn: String,
        /// Whether the volume is encrypted.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub encrypted: Option<bool>,
        /// The key that encrypts it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub kms_key_id: Option<String>,
        /// The volume type: `gp3`, `io2`, ...
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_type: Option<String>,
        /// The size in GiB; needed unless there is a snapshot.
        #[serde(rename = "sizeInGiB", skip_serializing_if = "Option::is_none")]
        pub size_in_gib as "size_in_gib": Option<u32>,
        /// The snapshot that the volume is made from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub snapshot_id: Option<String>,
        /// I/O operations a second.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub iops: Option<u32>,
        /// Throughput in MiB a second.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub throughput: Option<u32>,
        /// The rate in MiB a second at which a volume of a snapshot is filled.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_initialization_rate: Option<u32>,
        /// What becomes of the volume when the task has stopped. Default: it is deleted.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub termination_policy: Option<TerminationPolicy>,
        /// Tags of the volume.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tag_specifications: Option<Vec<EbsTagSpecification>>,
        /// The file system: `xfs`, `ext4`, `ext3`, `ntfs`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub filesystem_type: Option<String>,
    }
}

record! {
    /// What becomes of a volume when its task has stopped.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct TerminationPolicy ("a mapping with `delete_on_termination`") {
        /// Whether the volume is deleted.
        pub delete_on_termination: bool,
    }
}

record! {
    /// Tags of a volume.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct EbsTagSpecification ("a mapping with `resource_type`") {
        /// What is tagged.
        pub resource_type: EbsResourceType,
        /// The tags.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tags: Option<Vec<Tag>>,
        /// Where further tags come from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub propagate_tags: Option<PropagateTags>,
    }
}

choice! {
    /// What is tagged with a volume's tags.
    pub enum EbsResourceType {
        /// The volume.
        Volume = "volume",
    }
}

/// What this launch changes in the task definition.
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
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

record! {
    /// The task's scratch space on Fargate.
    #[derive(Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct EphemeralStorage ("a mapping with `size_in_gib`") {
        /// The size in GiB, 21 to 200.
        #[serde(rename = "sizeInGiB")]
        #[schemars(range(min = 21, max = 200))]
        pub size_in_gib as "size_in_gib": u32,
    }
}

/// What this launch changes in one container.
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
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

record! {
    /// A file of environment variables in S3.
    #[derive(Eq, Serialize, Deserialize)]
    pub struct EnvironmentFile ("a mapping with `value`") {
        /// The file's ARN: `arn:aws:s3:::bucket/file.env`.
        pub value: String,
        /// Where the file lies.
        #[serde(rename = "type")]
        pub kind as "type": EnvironmentFileType,
    }
}

choice! {
    /// Where an environment file lies.
    pub enum EnvironmentFileType {
        /// In S3.
        S3 = "s3",
    }
}

record! {
    /// A resource that a container needs besides CPU and memory.
    #[derive(Eq, Serialize, Deserialize)]
    pub struct ResourceRequirement ("a mapping with `type` and `value`") {
        /// The kind of resource.
        #[serde(rename = "type")]
        pub kind as "type": ResourceType,
        /// How many GPUs, or which accelerator.
        pub value: String,
    }
}

choice! {
    /// The kind of a required resource.
    pub enum ResourceType {
        /// Physical GPUs.
        Gpu = "GPU",
        /// An Elastic Inference accelerator.
        InferenceAccelerator = "InferenceAccelerator",
    }
}
