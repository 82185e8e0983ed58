//! The workers port: reads and changes services and tasks of ECS.

use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{DeploymentRolloutState, Service, Task};
use trigger_engine::ports::{ServiceCounts, TasksOf, Unanswered, WorkerTask, Workers};

use crate::clients::causes;

/// One DescribeServices call accepts at most this many services.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html>
const SERVICES_AT_ONCE: usize = 10;
/// One DescribeTasks call accepts at most this many tasks.
const TASKS_AT_ONCE: usize = 100;
/// One GetTaskProtection call accepts at most this many tasks.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_GetTaskProtection.html>
const PROTECTIONS_AT_ONCE: usize = 10;

/// A workers port on ECS.
#[derive(Debug, Clone)]
pub struct EcsWorkers {
    client: Client,
}

impl EcsWorkers {
    /// Creates a port that calls ECS through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn arns(&self, cluster: Option<&str>, of: TasksOf<'_>) -> Result<Vec<String>, Unanswered> {
        let list = self.client.list_tasks().set_cluster(cluster.map(str::to_owned));
        let list = match of {
            TasksOf::Service(service) => list.service_name(service),
            TasksOf::StartedBy(started_by) => list.started_by(started_by),
        };
        let mut pages = list.into_paginator().items().send();
        let mut arns = Vec::new();
        while let Some(arn) = pages.next().await {
            arns.push(arn.map_err(|error| Unanswered(causes(&error)))?);
        }
        Ok(arns)
    }
}

impl Workers for EcsWorkers {
    async fn services(
        &self,
        cluster: Option<&str>,
        names: &[String],
    ) -> Result<Vec<Result<ServiceCounts, Unanswered>>, Unanswered> {
        let mut answers = Vec::new();
        for names in names.chunks(SERVICES_AT_ONCE) {
            let describe = self.client.describe_services().set_cluster(cluster.map(str::to_owned));
            match describe.set_services(Some(names.to_vec())).send().await {
                Ok(described) => answers.extend(names.iter().map(|name| {
                    let is_named = |service: &&Service| {
                        service.service_name() == Some(name) || service.service_arn() == Some(name)
                    };
                    let service = described.services().iter().find(is_named);
                    service.map(counts).unwrap_or_else(|| Err(Unanswered(format!("no service is named `{name}`"))))
                })),
                Err(error) => {
                    let error = Unanswered(causes(&error));
                    answers.extend(names.iter().map(|_| Err(error.clone())));
                }
            }
        }
        Ok(answers)
    }

    async fn set_desired(&self, cluster: Option<&str>, service: &str, count: u32) -> Result<(), Unanswered> {
        let update = self.client.update_service().set_cluster(cluster.map(str::to_owned)).service(service);
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let updated = update.desired_count(count).send().await;
        updated.map(drop).map_err(|error| {
            Unanswered(format!("cannot set the desired count of `{service}` to {count}: {}", causes(&error)))
        })
    }

    async fn protected(&self, cluster: Option<&str>, service: &str) -> Result<u32, Unanswered> {
        let arns = self.arns(cluster, TasksOf::Service(service)).await?;
        let mut protected = 0;
        for arns in arns.chunks(PROTECTIONS_AT_ONCE) {
            let get = self.client.get_task_protection().set_tasks(Some(arns.to_vec()));
            // GetTaskProtection requires a cluster, even if it is the default one.
            let got = get.cluster(cluster.unwrap_or("default")).send().await;
            let got = got.map_err(|error| Unanswered(causes(&error)))?;
            protected += got.protected_tasks().iter().filter(|task| task.protection_enabled()).count();
        }
        Ok(u32::try_from(protected).unwrap_or(u32::MAX))
    }

    async fn tasks(&self, cluster: Option<&str>, of: TasksOf<'_>) -> Result<Vec<WorkerTask>, Unanswered> {
        let arns = self.arns(cluster, of).await?;
        let mut tasks = Vec::new();
        for arns in arns.chunks(TASKS_AT_ONCE) {
            let describe = self.client.describe_tasks().set_cluster(cluster.map(str::to_owned));
            let described = describe.set_tasks(Some(arns.to_vec())).send().await;
            let described = described.map_err(|error| Unanswered(causes(&error)))?;
            tasks.extend(described.tasks().iter().filter_map(worker_task));
        }
        Ok(tasks)
    }
}

fn counts(service: &Service) -> Result<ServiceCounts, Unanswered> {
    let name = service.service_name().unwrap_or_default();
    if service.status().is_some_and(|status| status != "ACTIVE") {
        let status = service.status().unwrap_or_default();
        return Err(Unanswered(format!("the service `{name}` is {status}")));
    }
    let count = |count: i32| u32::try_from(count).map_err(|_| Unanswered(format!("`{name}` reports {count} tasks")));
    let is_rolling_out = |state: Option<&DeploymentRolloutState>| state == Some(&DeploymentRolloutState::InProgress);
    let deployments = service.deployments();
    Ok(ServiceCounts {
        running: count(service.running_count())?,
        pending: count(service.pending_count())?,
        desired: count(service.desired_count())?,
        // A scale-out also shows as a rollout in progress. Tasks are replaced only if there is an older deployment too.
        deployment_in_progress: deployments.len() > 1
            && deployments.iter().any(|deployment| is_rolling_out(deployment.rollout_state())),
    })
}

/// Converts a task that is starting or running. Returns `None` for one that is stopping or has stopped.
fn worker_task(task: &Task) -> Option<WorkerTask> {
    let is_running = match task.last_status()? {
        "RUNNING" => true,
        "PROVISIONING" | "PENDING" | "ACTIVATING" => false,
        _ => return None,
    };
    if task.desired_status() == Some("STOPPED") {
        return None;
    }
    let seconds = |time: Option<&aws_sdk_ecs::primitives::DateTime>| time.map(|time| time.as_secs_f64());
    let started = seconds(task.started_at()).zip(seconds(task.created_at()));
    let start_delay = started.and_then(|(started, created)| Duration::try_from_secs_f64(started - created).ok());
    Some(WorkerTask { arn: task.task_arn()?.to_owned(), is_running, start_delay })
}

#[cfg(test)]
mod tests;
