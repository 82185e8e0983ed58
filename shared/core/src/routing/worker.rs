//! The workers of a queue.

use crate::event::Queue;
use crate::scaling::ScalingPolicy;
use crate::text::Span;

/// The workers of a queue.
#[derive(Debug)]
pub struct Worker {
    /// The name by which commands and logs know it.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The queues whose messages they take.
    pub queues: Vec<Queue>,
    /// What they are.
    pub runs_as: RunsAs,
    /// How many there are.
    pub policy: ScalingPolicy,
    /// After how long without a message one ends that is no service's task.
    pub idle_exit: std::time::Duration,
}

/// What workers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// The tasks of a service.
    Service {
        /// Its cluster. None: `default`.
        cluster: Option<String>,
        /// Its name or ARN.
        service: String,
    },
    /// Tasks of their own, by the position of the config's task.
    Task(usize),
}
