//! A task: what a route runs.

use crate::ecs::{Capacity, TaskRequest};
use crate::launch::Retry;
use crate::template::Template;

/// A task: a RunTask request whose values may be templates.
#[derive(Debug)]
pub struct Task {
    /// The name under `tasks`.
    pub name: String,
    /// How many copies one event, or one element of it, starts.
    pub(crate) copies: u32,
    /// The part of the request that no event changes, on the first rung of the ladder.
    pub(crate) fixed: TaskRequest,
    /// The capacity ladder; empty: the request's own capacity.
    pub capacity: Vec<Capacity>,
    /// How long the task may run.
    pub(crate) timeout: Option<std::time::Duration>,
    /// After which failures it is started again.
    pub(crate) retry: Option<Retry>,
    /// The values of the tags, by position.
    pub(crate) tags: Vec<Template>,
    /// `startedBy`; none: `ecs-trigger/ROUTE`.
    pub(crate) started_by: Option<Template>,
    pub(crate) reference_id: Option<Template>,
    /// By the position of the container override.
    pub(crate) containers: Vec<ContainerTemplates>,
}

impl Task {
    /// Returns the cluster that it runs in; none: `default`.
    pub fn cluster(&self) -> Option<&str> {
        self.fixed.cluster.as_deref()
    }

    /// Returns the task definition as it is written in the config.
    pub fn task_definition(&self) -> &str {
        &self.fixed.task_definition
    }

    /// Returns the part of its RunTask requests that no event changes, on the first rung of the ladder.
    pub fn request(&self) -> &TaskRequest {
        &self.fixed
    }

    /// Returns all of its templates.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let containers =
            self.containers.iter().flat_map(|container| container.command.iter().chain(&container.environment));
        self.tags.iter().chain(&self.started_by).chain(&self.reference_id).chain(containers)
    }
}

/// The templates of one container override.
#[derive(Debug)]
pub(crate) struct ContainerTemplates {
    pub(crate) command: Vec<Template>,
    /// The values, by the position of the variable.
    pub(crate) environment: Vec<Template>,
}
