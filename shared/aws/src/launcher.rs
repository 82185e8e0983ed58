//! The launcher port on ECS.

use crate::clients::causes;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use aws_sdk_ecs::types;
use trigger_core::ecs::{
    CapacityProviderStrategyItem, ContainerExit, ContainerOverride, EbsTagSpecification, EphemeralStorage,
    ManagedEbsVolume, NetworkConfiguration, PlacementConstraint, PlacementStrategy, StoppedTask, Tag, TaskOverride,
    TaskRequest, VolumeConfiguration,
};
use trigger_core::launch::{Failure, Reply, SeenTask, TaskStatus};
use trigger_engine::ports::{Launcher, Unanswered};

/// A launcher that starts tasks on ECS.
#[derive(Debug, Clone)]
pub struct EcsLauncher {
    client: Client,
}

impl EcsLauncher {
    /// Creates a launcher that calls ECS through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Launcher for EcsLauncher {
    async fn run_task(&self, request: &TaskRequest) -> Reply {
        // The launch protocol repeats calls itself: it must know of each call whether it may have started something.
        let once = aws_sdk_ecs::config::Builder::new().retry_config(RetryConfig::disabled());
        match run_task(&self.client, request).customize().config_override(once).send().await {
            Ok(output) => tasks(&output),
            Err(error) => no_tasks(&error),
        }
    }

    async fn stop_task(&self, cluster: Option<&str>, task_arn: &str, reason: &str) -> Result<(), Unanswered> {
        let stop = self.client.stop_task().set_cluster(cluster.map(str::to_owned)).task(task_arn).reason(reason);
        match stop.send().await {
            Err(error) if !is_unknown(&error) => Err(Unanswered(causes(&error))),
            _ => Ok(()),
        }
    }

    async fn describe_tasks(&self, cluster: Option<&str>, task_arns: &[String]) -> Result<Vec<SeenTask>, Unanswered> {
        let describe = self.client.describe_tasks().set_cluster(cluster.map(str::to_owned));
        let described = match describe.set_tasks(Some(task_arns.to_vec())).send().await {
            Ok(described) => described,
            Err(error) if is_unknown(&error) => {
                return Ok(task_arns.iter().map(|arn| seen(arn, TaskStatus::Missing)).collect());
            }
            Err(error) => return Err(Unanswered(causes(&error))),
        };
        let missing = described.failures().iter().filter(|failure| failure.reason() == Some("MISSING"));
        let missing = missing.filter_map(|failure| failure.arn()).map(|arn| seen(arn, TaskStatus::Missing));
        Ok(described.tasks().iter().filter_map(seen_task).chain(missing).collect())
    }

    async fn find_tasks(&self, cluster: Option<&str>, started_by: &str) -> Result<Vec<String>, Unanswered> {
        let list = self.client.list_tasks().set_cluster(cluster.map(str::to_owned)).started_by(started_by);
        let mut pages = list.into_paginator().items().send();
        let mut task_arns = Vec::new();
        while let Some(arn) = pages.next().await {
            match arn {
                Ok(arn) => task_arns.push(arn),
                Err(error) if is_unknown(&error) => break,
                Err(error) => return Err(Unanswered(causes(&error))),
            }
        }
        Ok(task_arns)
    }
}

/// Returns whether ECS no longer knows the task or its cluster. Such a task stopped long ago, as did all tasks of a
/// deleted cluster.
fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let message = error.message().unwrap_or_default();
    match error.code() {
        Some("ClusterNotFoundException") => true,
        Some("InvalidParameterException") => message.contains("not found"),
        _ => false,
    }
}

fn seen(arn: &str, status: TaskStatus) -> SeenTask {
    SeenTask { arn: arn.to_owned(), attempt: None, status }
}

fn seen_task(task: &types::Task) -> Option<SeenTask> {
    let arn = task.task_arn()?;
    if task.last_status() != Some("STOPPED") {
        return Some(seen(arn, TaskStatus::Alive));
    }
    let exit = |container: &types::Container| ContainerExit {
        name: container.name().unwrap_or_default().to_owned(),
        exit_code: container.exit_code(),
        reason: container.reason().map(str::to_owned),
    };
    let stopped = StoppedTask {
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        containers: task.containers().iter().map(exit).collect(),
        vanished: false,
    };
    Some(seen(arn, TaskStatus::Stopped(stopped)))
}

/// Converts a successful reply, which may still contain failures.
fn tasks(output: &RunTaskOutput) -> Reply {
    let failure = |failure: &types::Failure| Failure {
        arn: failure.arn().map(str::to_owned),
        reason: failure.reason().unwrap_or("no reason given").to_owned(),
        detail: failure.detail().map(str::to_owned),
    };
    Reply::Tasks {
        task_arns: output.tasks().iter().filter_map(|task| task.task_arn()).map(str::to_owned).collect(),
        failures: output.failures().iter().map(failure).collect(),
    }
}

fn no_tasks(error: &SdkError<RunTaskError>) -> Reply {
    match error {
        SdkError::ServiceError(service) => Reply::Error {
            code: service.err().code().unwrap_or("an unknown error").to_owned(),
            message: service.err().message().unwrap_or("no message").to_owned(),
            resource_ids: match service.err() {
                RunTaskError::ConflictException(conflict) => conflict.resource_ids().to_vec(),
                _ => Vec::new(),
            },
            of_server: service.raw().status().is_server_error(),
        },
        SdkError::ConstructionFailure(_) => Reply::Error {
            code: "ConstructionFailure".to_owned(),
            message: causes(error),
            resource_ids: Vec::new(),
            of_server: false,
        },
        _ => Reply::Nothing { message: causes(error) },
    }
}

fn run_task(client: &Client, request: &TaskRequest) -> RunTaskFluentBuilder {
    let TaskRequest {
        cluster,
        task_definition,
        count,
        launch_type,
        capacity_provider_strategy,
        platform_version,
        network_configuration,
        group,
        placement_constraints,
        placement_strategy,
        propagate_tags,
        tags,
        started_by,
        enable_execute_command,
        enable_ecs_managed_tags,
        reference_id,
        volume_configurations,
        overrides,
        client_token,
    } = request;
    client
        .run_task()
        .set_cluster(cluster.clone())
        .task_definition(task_definition)
        .set_count(count.map(integer))
        .set_launch_type(launch_type.map(|launch_type| launch_type.as_str().into()))
        .set_capacity_provider_strategy(some(capacity_provider_strategy, strategy_item))
        .set_platform_version(platform_version.clone())
        .set_network_configuration(network_configuration.as_ref().map(network))
        .set_group(group.clone())
        .set_placement_constraints(some(placement_constraints, placement_constraint))
        .set_placement_strategy(some(placement_strategy, placement))
        .set_propagate_tags(propagate_tags.map(|propagate| propagate.as_str().into()))
        .set_tags(some(tags, tag))
        .started_by(started_by)
        .set_enable_execute_command(*enable_execute_command)
        .set_enable_ecs_managed_tags(*enable_ecs_managed_tags)
        .set_reference_id(reference_id.clone())
        .set_volume_configurations(some(volume_configurations, volume))
        .set_overrides((!overrides.is_empty()).then(|| task_override(overrides)))
        .client_token(client_token)
}

/// Converts a list. Returns `None` for an empty one, which leaves it out of the request.
fn some<T, U>(items: &[T], convert: impl Fn(&T) -> U) -> Option<Vec<U>> {
    (!items.is_empty()).then(|| items.iter().map(convert).collect())
}

/// Converts a number for the SDK. The config accepts no number that does not fit.
fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn strategy_item(item: &CapacityProviderStrategyItem) -> types::CapacityProviderStrategyItem {
    let builder = types::CapacityProviderStrategyItem::builder();
    let builder = item.weight.iter().fold(builder, |builder, weight| builder.weight(integer(*weight)));
    let builder = item.base.iter().fold(builder, |builder, base| builder.base(integer(*base)));
    required(builder.capacity_provider(&item.capacity_provider).build())
}

fn network(network: &NetworkConfiguration) -> types::NetworkConfiguration {
    let awsvpc = &network.awsvpc_configuration;
    let configuration = types::AwsVpcConfiguration::builder()
        .set_subnets(Some(awsvpc.subnets.clone()))
        .set_security_groups(awsvpc.security_groups.clone())
        .set_assign_public_ip(awsvpc.assign_public_ip.map(|assign| assign.as_str().into()));
    types::NetworkConfiguration::builder().awsvpc_configuration(required(configuration.build())).build()
}

fn placement_constraint(constraint: &PlacementConstraint) -> types::PlacementConstraint {
    types::PlacementConstraint::builder()
        .r#type(constraint.kind.as_str().into())
        .set_expression(constraint.expression.clone())
        .build()
}

fn placement(strategy: &PlacementStrategy) -> types::PlacementStrategy {
    types::PlacementStrategy::builder().r#type(strategy.kind.as_str().into()).set_field(strategy.field.clone()).build()
}

fn volume(volume: &VolumeConfiguration) -> types::TaskVolumeConfiguration {
    let managed = volume.managed_ebs_volume.as_ref().map(managed_ebs_volume);
    required(types::TaskVolumeConfiguration::builder().name(&volume.name).set_managed_ebs_volume(managed).build())
}

fn managed_ebs_volume(volume: &ManagedEbsVolume) -> types::TaskManagedEbsVolumeConfiguration {
    let builder = types::TaskManagedEbsVolumeConfiguration::builder()
        .role_arn(&volume.role_arn)
        .set_encrypted(volume.encrypted)
        .set_kms_key_id(volume.kms_key_id.clone())
        .set_volume_type(volume.volume_type.clone())
        .set_size_in_gib(volume.size_in_gib.map(integer))
        .set_snapshot_id(volume.snapshot_id.clone())
        .set_iops(volume.iops.map(integer))
        .set_throughput(volume.throughput.map(integer))
        .set_volume_initialization_rate(volume.volume_initialization_rate.map(integer))
        .set_termination_policy(volume.termination_policy.as_ref().map(|policy| {
            let deleted = policy.delete_on_termination;
            required(types::TaskManagedEbsVolumeTerminationPolicy::builder().delete_on_termination(deleted).build())
        }))
        .set_tag_specifications(volume.tag_specifications.as_deref().map(|tags| tags.iter().map(ebs_tags).collect()))
        .set_filesystem_type(volume.filesystem_type.as_deref().map(Into::into));
    required(builder.build())
}

fn ebs_tags(tags: &EbsTagSpecification) -> types::EbsTagSpecification {
    let builder = types::EbsTagSpecification::builder()
        .resource_type(tags.resource_type.as_str().into())
        .set_tags(tags.tags.as_deref().map(|tags| tags.iter().map(tag).collect()))
        .set_propagate_tags(tags.propagate_tags.map(|propagate| propagate.as_str().into()));
    required(builder.build())
}

fn tag(tag: &Tag) -> types::Tag {
    types::Tag::builder().key(&tag.key).value(&tag.value).build()
}

fn task_override(overrides: &TaskOverride) -> types::TaskOverride {
    types::TaskOverride::builder()
        .set_cpu(overrides.cpu.clone())
        .set_memory(overrides.memory.clone())
        .set_task_role_arn(overrides.task_role_arn.clone())
        .set_execution_role_arn(overrides.execution_role_arn.clone())
        .set_ephemeral_storage(overrides.ephemeral_storage.as_ref().map(ephemeral_storage))
        .set_container_overrides(some(&overrides.container_overrides, container_override))
        .build()
}

fn ephemeral_storage(storage: &EphemeralStorage) -> types::EphemeralStorage {
    types::EphemeralStorage::builder().size_in_gib(integer(storage.size_in_gib)).build()
}

fn container_override(container: &ContainerOverride) -> types::ContainerOverride {
    types::ContainerOverride::builder()
        .name(&container.name)
        .set_command(some(&container.command, String::clone))
        .set_environment(some(&container.environment, |variable| {
            types::KeyValuePair::builder().name(&variable.name).value(&variable.value).build()
        }))
        .set_environment_files(some(&container.environment_files, |file| {
            required(types::EnvironmentFile::builder().value(&file.value).r#type(file.kind.as_str().into()).build())
        }))
        .set_cpu(container.cpu.map(integer))
        .set_memory(container.memory.map(integer))
        .set_memory_reservation(container.memory_reservation.map(integer))
        .set_resource_requirements(some(&container.resource_requirements, |requirement| {
            let kind = requirement.kind.as_str().into();
            required(types::ResourceRequirement::builder().value(&requirement.value).r#type(kind).build())
        }))
        .build()
}

/// Unwraps a builder whose required fields were set just before: the types of the core always have a value for each.
#[expect(clippy::expect_used, reason = "cannot fail, whatever the input: see above")]
fn required<T>(built: Result<T, aws_sdk_ecs::error::BuildError>) -> T {
    built.expect("every required field is set")
}

#[cfg(test)]
mod tests;
