//! The workers of a queue.

use crate::event::Queue;
use crate::scaling::ScalingPolicy;
use crate::text::Span;

/// The workers of a queue.
#[derive(Debug)]
pub struct Worker {
    /// The name in commands, logs and metrics.
    pub name: String,
    /// The position in the config.
    pub span: Span,
    /// The queues whose messages the workers receive.
    pub queues: Vec<Queue>,
    /// How the workers run on ECS.
    pub runs_as: RunsAs,
    /// How many workers run.
    pub policy: ScalingPolicy,
    /// How long a worker that is not a service's task waits for a message before it ends.
    pub idle_exit: std::time::Duration,
}

/// How workers run on ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// As the tasks of a service.
    Service {
        /// The cluster; none: `default`.
        cluster: Option<String>,
        /// The name or ARN of the service.
        service: String,
    },
    /// As tasks of their own. Holds the position of the task in the config.
    Task(usize),
}
