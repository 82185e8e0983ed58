//! The port that starts tasks.

use std::future::Future;

use trigger_core::ecs::TaskRequest;
use trigger_core::launch::{Reply, SeenTask};

/// Starts, stops and looks up tasks: on ECS, or on this machine as processes.
pub trait Launcher: Sync {
    /// Starts what `request` asks for, once for its client token.
    fn run_task(&self, request: &TaskRequest) -> impl Future<Output = Reply> + Send;

    /// Asks for a task to be stopped. One that has stopped, or is not known, is no error.
    ///
    /// # Errors
    /// It may not have been asked for.
    fn stop_task(
        &self,
        cluster: Option<&str>,
        task_arn: &str,
        reason: &str,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// How tasks are, at most 100 of them.
    ///
    /// # Errors
    /// It cannot be said.
    fn describe_tasks(
        &self,
        cluster: Option<&str>,
        task_arns: &[String],
    ) -> impl Future<Output = Result<Vec<SeenTask>, Unanswered>> + Send;

    /// The tasks that run, or will, with this starter.
    ///
    /// # Errors
    /// It cannot be said.
    fn find_tasks(
        &self,
        cluster: Option<&str>,
        started_by: &str,
    ) -> impl Future<Output = Result<Vec<String>, Unanswered>> + Send;
}

/// Why a question has no answer: in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ECS does not answer: {0}")]
pub struct Unanswered(pub String);
