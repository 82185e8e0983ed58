//! A task: what a route runs.

use crate::ecs::{Capacity, TaskRequest};
use crate::launch::Retry;
use crate::template::Template;

/// A task: a RunTask request with templates for leaves.
#[derive(Debug)]
pub struct Task {
    /// Its name under `tasks`.
    pub name: String,
    /// What no event changes, on the first rung of the ladder.
    pub(crate) fixed: TaskRequest,
    /// The capacity ladder; none: the request's own.
    pub capacity: Vec<Capacity>,
    /// How long it may run.
    pub(crate) timeout: Option<std::time::Duration>,
    /// When it is started again.
    pub(crate) retry: Option<Retry>,
    /// Tags' values, by position.
    pub(crate) tags: Vec<Template>,
    /// None: `ecs-trigger/ROUTE`.
    pub(crate) started_by: Option<Template>,
    pub(crate) reference_id: Option<Template>,
    /// By the position of the container override.
    pub(crate) containers: Vec<ContainerTemplates>,
}

impl Task {
    /// The cluster that it runs in. None: `default`.
    pub fn cluster(&self) -> Option<&str> {
        self.fixed.cluster.as_deref()
    }

    /// Its task definition, as the config has it.
    pub fn task_definition(&self) -> &str {
        &self.fixed.task_definition
    }

    /// What its launches ask of RunTask, as far as no event changes it; on the first rung of the ladder.
    pub fn request(&self) -> &TaskRequest {
        &self.fixed
    }

    /// Its templates.
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
    /// Values, by the variable's position.
    pub(crate) environment: Vec<Template>,
}
