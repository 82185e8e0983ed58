//! The ports of scaling on this machine: folders as queues, processes as workers, a desired count as a service.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::Queue;
use trigger_core::event::identity::STARTED_BY_PREFIX;
use trigger_core::launch::{Pace, Reply};
use trigger_core::scaling::Minute;
use trigger_engine::ScalingPorts;
use trigger_engine::ports::{
    Clock, Depth, Launcher, Queues, ServiceCounts, SystemClock, TasksOf, Unanswered, WorkerTask, Workers,
};

use crate::LocalLauncher;
use crate::sandbox::endpoint::Endpoint;

/// The starter of a service's task begins with this, after the common prefix.
const SERVICES: &str = "services/";
const WORKERS: &str = "workers/";

/// Returns whether a task with this starter is a worker.
pub(crate) fn is_of_worker(started_by: &str) -> bool {
    let rest = started_by.strip_prefix(STARTED_BY_PREFIX).unwrap_or_default();
    rest.starts_with(SERVICES) || rest.starts_with(WORKERS)
}

fn starter(service: &str) -> String {
    format!("{STARTED_BY_PREFIX}{SERVICES}{service}")
}

/// The ports of scaling, together.
#[derive(Debug)]
pub struct LocalScaling {
    /// Starts processes.
    pub launcher: LocalLauncher,
    /// Knows the queues and which tasks are protected.
    pub endpoint: Endpoint,
    services: Mutex<Services>,
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Services {
    desired: BTreeMap<String, u32>,
    /// How many tasks were started: each call needs a client token of its own.
    started: u64,
}

impl LocalScaling {
    /// Creates the ports. Services start without tasks.
    pub fn new(launcher: LocalLauncher, endpoint: Endpoint) -> Self {
        Self { launcher, endpoint, services: Mutex::default(), pace: Mutex::default() }
    }

    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what ECS does for a service: starts missing tasks and stops surplus tasks that are not protected.
    ///
    /// # Errors
    /// A task cannot be started or stopped; the text is the reason.
    pub async fn settle(&self) -> Result<(), String> {
        let desired = self.services().desired.clone();
        for (service, desired) in desired {
            let tasks = self.launcher.started().of_starter(&starter(&service));
            let desired = desired as usize;
            let is_protected =
                |arn: &str| self.endpoint.state().protected.contains(arn.rsplit('/').next().unwrap_or_default());
            let idle: Vec<&String> = tasks.iter().map(|(arn, _)| arn).filter(|arn| !is_protected(arn)).collect();
            for arn in idle.iter().take(tasks.len().saturating_sub(desired)) {
                let stopped = self.launcher.stop_task(None, arn, "Scaling activity initiated by deployment").await;
                stopped.map_err(|error| error.to_string())?;
            }
            for _ in tasks.len()..desired {
                self.start(&service).await?;
            }
        }
        Ok(())
    }

    /// Stops all services. A task that handles a message is protected and can finish it.
    ///
    /// # Errors
    /// A task cannot be stopped; the text is the reason.
    pub async fn stop_services(&self) -> Result<(), String> {
        self.services().desired.values_mut().for_each(|desired| *desired = 0);
        self.settle().await
    }

    async fn start(&self, service: &str) -> Result<(), String> {
        let number = {
            let mut services = self.services();
            services.started += 1;
            services.started
        };
        // On this machine, a service has the name of its task definition.
        let family = service.rsplit('/').next().unwrap_or_default();
        let request = TaskRequest {
            task_definition: family.to_owned(),
            started_by: starter(service),
            client_token: format!("{:x}", Sha256::digest(format!("{service}#{number}#{}", std::process::id()))),
            ..TaskRequest::default()
        };
        match self.launcher.run_task(&request).await {
            Reply::Tasks { .. } => Ok(()),
            reply => Err(format!("the service `{service}` could not start a task: {reply}")),
        }
    }
}

impl ScalingPorts for LocalScaling {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn queues(&self) -> &impl Queues {
        self
    }

    fn workers(&self) -> &impl Workers {
        self
    }

    fn clock(&self) -> &impl Clock {
        &SystemClock
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}

impl Queues for LocalScaling {
    async fn depth(&self, queue: &Queue) -> Result<Depth, Unanswered> {
        let state = self.endpoint.state();
        let known = state.queues.iter().find(|known| known.queue.is(queue));
        let depth = known.map(|known| known.depth(Instant::now()));
        depth.ok_or_else(|| Unanswered(format!("a route takes the messages of the queue `{}`", queue.name)))
    }

    async fn minutes(
        &self,
        _: &[Queue],
        after: Timestamp,
        _: Timestamp,
    ) -> Result<(Vec<Minute>, Timestamp), Unanswered> {
        Ok((Vec::new(), after))
    }
}

impl Workers for LocalScaling {
    async fn services(
        &self,
        _: Option<&str>,
        names: &[String],
    ) -> Result<Vec<Result<ServiceCounts, Unanswered>>, Unanswered> {
        let counts = |name: &String| {
            let desired = self.services().desired.get(name).copied().unwrap_or_default();
            let tasks = self.launcher.started().of_starter(&starter(name));
            let running = u32::try_from(tasks.iter().filter(|(_, runs)| *runs).count()).unwrap_or(u32::MAX);
            let pending = u32::try_from(tasks.len()).unwrap_or(u32::MAX) - running;
            Ok(ServiceCounts { running, pending, desired, deployment_in_progress: false })
        };
        Ok(names.iter().map(counts).collect())
    }

    async fn set_desired(&self, _: Option<&str>, service: &str, count: u32) -> Result<(), Unanswered> {
        self.services().desired.insert(service.to_owned(), count);
        self.settle().await.map_err(Unanswered)
    }

    async fn protected(&self, _: Option<&str>, service: &str) -> Result<u32, Unanswered> {
        let tasks = self.launcher.started().of_starter(&starter(service));
        let state = self.endpoint.state();
        let protected =
            tasks.iter().filter(|(arn, _)| state.protected.contains(arn.rsplit('/').next().unwrap_or_default()));
        Ok(u32::try_from(protected.count()).unwrap_or(u32::MAX))
    }

    async fn tasks(&self, _: Option<&str>, of: TasksOf<'_>) -> Result<Vec<WorkerTask>, Unanswered> {
        let starter = match of {
            TasksOf::Service(service) => starter(service),
            TasksOf::StartedBy(started_by) => started_by.to_owned(),
        };
        let task = |(arn, is_running)| {
            // A process starts at once.
            WorkerTask { arn, is_running, start_delay: is_running.then_some(Duration::ZERO) }
        };
        Ok(self.launcher.started().of_starter(&starter).into_iter().map(task).collect())
    }
}
