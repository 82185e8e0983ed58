//! The ports that scaling needs besides the launcher.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use trigger_core::event::Queue;
use trigger_core::scaling::Minute;

use super::Unanswered;

/// Sees queues.
pub trait Queues: Sync {
    /// How many messages a queue has.
    ///
    /// # Errors
    /// It cannot be said: which is not zero.
    fn depth(&self, queue: &Queue) -> impl Future<Output = Result<Depth, Unanswered>> + Send;

    /// The queues' minutes that CloudWatch has, of several queues added up: those that ended after `after`, the latest last; and
    /// when the last of them ended. Where metrics are not read there are none.
    ///
    /// # Errors
    /// It cannot be said.
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
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that were received, and neither deleted nor given back.
    pub in_flight: u64,
    /// Messages that cannot be received yet.
    pub delayed: u64,
}

/// Sees and changes workers.
pub trait Workers: Sync {
    /// How services of a cluster are: one answer for each name, in their order.
    ///
    /// # Errors
    /// It cannot be said of any.
    fn services(
        &self,
        cluster: Option<&str>,
        names: &[String],
    ) -> impl Future<Output = Result<Vec<Result<ServiceCounts, Unanswered>>, Unanswered>> + Send;

    /// Sets a service's desired count.
    ///
    /// # Errors
    /// It may not have been set.
    fn set_desired(
        &self,
        cluster: Option<&str>,
        service: &str,
        count: u32,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// How many of a service's tasks are protected from scale-in.
    ///
    /// # Errors
    /// It cannot be said.
    fn protected(&self, cluster: Option<&str>, service: &str) -> impl Future<Output = Result<u32, Unanswered>> + Send;

    /// Tasks that start or run.
    ///
    /// # Errors
    /// It cannot be said.
    fn tasks(
        &self,
        cluster: Option<&str>,
        of: TasksOf<'_>,
    ) -> impl Future<Output = Result<Vec<WorkerTask>, Unanswered>> + Send;
}

/// Whose tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TasksOf<'a> {
    /// A service's.
    Service(&'a str),
    /// Those that have this starter.
    StartedBy(&'a str),
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCounts {
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Tasks that there should be.
    pub desired: u32,
    /// Whether its tasks are being replaced.
    pub deployment_in_progress: bool,
}

/// A task that works on a queue, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTask {
    /// Its ARN.
    pub arn: String,
    /// Whether it runs; else it starts.
    pub is_running: bool,
    /// How long it took to start, if it runs.
    pub start_delay: Option<Duration>,
}
