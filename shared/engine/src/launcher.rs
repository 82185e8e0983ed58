//! The port that starts tasks.

use std::fmt;
use std::future::Future;

use trigger_core::task_request::TaskRequest;

/// Starts tasks: on ECS by RunTask, on this machine as processes.
pub trait Launcher {
    /// Starts what `request` asks for, once for its client token.
    ///
    /// # Errors
    /// Not everything was started, or nobody knows.
    fn launch(&self, request: &TaskRequest) -> impl Future<Output = Result<Launched, LaunchError>> + Send;
}

/// The tasks of a request run, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The tasks' ARNs.
    pub task_arns: Vec<String>,
    /// Whether an earlier call with the same client token started them.
    pub already: bool,
}

/// Why a request's tasks do not all run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// ECS answered, and named tasks that it could not place. Only these are missing.
    #[error("ECS could not start every task: {}", list(.failures))]
    Failures {
        /// What is missing, and why.
        failures: Vec<Failure>,
        /// What was started nevertheless.
        task_arns: Vec<String>,
    },
    /// The request was refused: nothing was started.
    #[error("the launch was refused with {code}: {message}")]
    Refused {
        /// The error's name, such as `ClusterNotFoundException`.
        code: String,
        /// Its message.
        message: String,
    },
    /// The event, which does not fit into the launch, could not be put where its tasks read it: nothing was started.
    #[error("the event could not be put at {uri}: {message}")]
    Payload {
        /// Where it belongs.
        uri: String,
        /// Why.
        message: String,
    },
    /// No reply came: nobody knows whether anything was started.
    #[error("no reply to the launch: {message}")]
    NoReply {
        /// What happened instead.
        message: String,
    },
}

/// An entry of RunTask's `failures`: a task that was not started, within a reply that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The container instance it failed on.
    pub arn: Option<String>,
    /// The reason, such as `RESOURCE:MEMORY`.
    pub reason: String,
    /// More about it.
    pub detail: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)?;
        self.arn.iter().try_for_each(|arn| write!(formatter, " on {arn}"))?;
        self.detail.iter().try_for_each(|detail| write!(formatter, " ({detail})"))
    }
}

fn list(failures: &[Failure]) -> String {
    failures.iter().map(Failure::to_string).collect::<Vec<_>>().join("; ")
}
