//! The ports that scaling needs in addition to the launcher.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use trigger_core::event::Queue;
use trigger_core::scaling::Minute;

use super::Unanswered;

/// Observes queues.
pub trait Queues: Sync {
    /// Returns how many messages a queue has.
    ///
    /// # Errors
    /// The queue cannot be read. That is not the same as zero messages.
    fn depth(&self, queue: &Queue) -> impl Future<Output = Result<Depth, Unanswered>> + Send;

    /// Returns CloudWatch's minutes that ended after `after`, the latest last, and when the last of them ended. The
    /// numbers of several queues are added up. A port that reads no metrics returns no minutes.
    ///
    /// # Errors
    /// The metrics cannot be read.
    fn minutes(
        &self,
        queues: &[Queue],
        after: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(Vec<Minute>, Timestamp), Unanswered>> + Send;
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// The messages that can be received.
    pub visible: u64,
    /// The messages that were received, and neither deleted nor made visible again.
    pub in_flight: u64,
    /// The messages that cannot be received yet.
    pub delayed: u64,
}

/// Observes and changes workers.
pub trait Workers: Sync {
    /// Returns the task counts of services of a cluster: one answer for each name, in the order of `names`.
    ///
    /// # Errors
    /// None of the services can be read.
    fn services(
        &self,
        cluster: Option<&str>,
        names: &[String],
    ) -> impl Future<Output = Result<Vec<Result<ServiceCounts, Unanswered>>, Unanswered>> + Send;

    /// Sets a service's desired count.
    ///
    /// # Errors
    /// The count may not have been set.
    fn set_desired(
        &self,
        cluster: Option<&str>,
        service: &str,
        count: u32,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// Returns how many of a service's tasks are protected from scale-in.
    ///
    /// # Errors
    /// The protection cannot be read.
    fn protected(&self, cluster: Option<&str>, service: &str) -> impl Future<Output = Result<u32, Unanswered>> + Send;

    /// Returns the tasks that are starting or running.
    ///
    /// # Errors
    /// The tasks cannot be listed.
    fn tasks(
        &self,
        cluster: Option<&str>,
        of: TasksOf<'_>,
    ) -> impl Future<Output = Result<Vec<WorkerTask>, Unanswered>> + Send;
}

/// Which tasks to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TasksOf<'a> {
    /// The tasks of this service.
    Service(&'a str),
    /// The tasks with this `startedBy`.
    StartedBy(&'a str),
}

/// The task counts of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCounts {
    /// The tasks that run.
    pub running: u32,
    /// The tasks that are starting.
    pub pending: u32,
    /// The desired count.
    pub desired: u32,
    /// Whether the service is replacing its tasks.
    pub deployment_in_progress: bool,
}

/// A worker: a task that processes a queue's messages, or is starting to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTask {
    /// The task's ARN.
    pub arn: String,
    /// Whether the task runs. Otherwise it is starting.
    pub is_running: bool,
    /// How long the task took to start, if it runs.
    pub start_delay: Option<Duration>,
}
