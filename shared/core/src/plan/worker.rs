//! The RunTask requests that start workers of mode `run_task`.

use jiff::Timestamp;

use crate::ecs::{EnvironmentVariable, TaskRequest, limits};
use crate::environment;
use crate::event::Queue;
use crate::event::identity::{CallId, Identity, STARTED_BY_PREFIX};
use crate::routing::{RoutingConfig, RunsAs, Worker};

/// One RunTask call that starts workers, for each rung of the capacity ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerLaunch {
    /// The request on each rung. The next one is used if the rung before it has no capacity.
    pub rungs: Vec<TaskRequest>,
}

impl Worker {
    /// Returns the `startedBy` of the worker's tasks.
    pub fn started_by(&self) -> String {
        format!("{STARTED_BY_PREFIX}workers/{}", self.name)
    }

    /// Returns the calls that start `count` tasks, for a decision made at `decided_at`. Empty if the workers are tasks
    /// of a service.
    ///
    /// A call's client token names the worker, the tick and the call's number, so that a second scaler that decides in
    /// the same tick starts nothing twice.
    pub fn launches(&self, config: &RoutingConfig, count: u32, decided_at: Timestamp) -> Vec<WorkerLaunch> {
        let RunsAs::Task(position) = self.runs_as else { return Vec::new() };
        let Some(task) = config.task_at(position) else { return Vec::new() };
        let mut request = task.fixed.clone();
        request.started_by = self.started_by();
        // A worker's task has no placeholders, so the source of each template is its text.
        for (tag, value) in request.tags.iter_mut().zip(&task.tags) {
            value.source().clone_into(&mut tag.value);
        }
        request.reference_id = task.reference_id.as_ref().map(|reference| reference.source().to_owned());
        for (container, texts) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            container.command = texts.command.iter().map(|word| word.source().to_owned()).collect();
            for (variable, value) in container.environment.iter_mut().zip(&texts.environment) {
                value.source().clone_into(&mut variable.value);
            }
            container.environment.extend(self.variables());
        }
        let slices = count.div_ceil(limits::COUNT_MAX);
        let slice = |slice: u32| {
            let mut request = request.clone();
            request.count = Some((count - slice * limits::COUNT_MAX).min(limits::COUNT_MAX));
            let time = self.policy.tick_of(decided_at).to_string();
            let on_rung = |rung: usize| {
                let mut request = request.clone();
                if let Some(capacity) = task.capacity.get(rung) {
                    capacity.apply(&mut request);
                }
                request.client_token = CallId {
                    cluster: request.cluster.as_deref().unwrap_or("default"),
                    route: &self.name,
                    task: &task.name,
                    identity: &Identity::new(["worker", &time]),
                    index: None,
                    attempt: u32::try_from(rung).unwrap_or(u32::MAX),
                    copy: slice,
                }
                .client_token();
                request
            };
            WorkerLaunch { rungs: (0..task.capacity.len().max(1)).map(on_rung).collect() }
        };
        (0..slices).map(slice).collect()
    }

    /// Returns the variables of the worker's containers.
    fn variables(&self) -> impl Iterator<Item = EnvironmentVariable> {
        let queues: Vec<String> = self.queues.iter().map(Queue::to_string).collect();
        let variables = [
            (environment::WORKER, self.name.clone()),
            (environment::QUEUE, queues.join(",")),
            (environment::IDLE_EXIT, self.idle_exit.as_secs().to_string()),
            (environment::CONCURRENCY, self.policy.concurrency.to_string()),
        ];
        variables.into_iter().map(|(name, value)| EnvironmentVariable { name: name.to_owned(), value })
    }
}
