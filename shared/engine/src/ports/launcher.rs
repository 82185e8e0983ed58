//! The port that starts tasks.

use std::future::Future;

use trigger_core::ecs::TaskRequest;
use trigger_core::launch::{Reply, SeenTask};

/// Starts, stops and looks up tasks: on ECS, or as local processes.
pub trait Launcher: Sync {
    /// Starts the tasks of `request`. A repeated call with the same client token starts nothing more.
    fn run_task(&self, request: &TaskRequest) -> impl Future<Output = Reply> + Send;

    /// Asks ECS to stop a task. Stopping an already stopped or unknown task succeeds.
    ///
    /// # Errors
    /// The request may not have reached ECS.
    fn stop_task(
        &self,
        cluster: Option<&str>,
        task_arn: &str,
        reason: &str,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// Returns the status of at most 100 tasks.
    ///
    /// # Errors
    /// ECS did not answer.
    fn describe_tasks(
        &self,
        cluster: Option<&str>,
        task_arns: &[String],
    ) -> impl Future<Output = Result<Vec<SeenTask>, Unanswered>> + Send;

    /// Returns the tasks that run, or will run, with this `startedBy`.
    ///
    /// # Errors
    /// ECS did not answer.
    fn find_tasks(
        &self,
        cluster: Option<&str>,
        started_by: &str,
    ) -> impl Future<Output = Result<Vec<String>, Unanswered>> + Send;
}

/// Why a request has no answer, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ECS request failed: {0}")]
pub struct Unanswered(pub String);
