//! How a task ended, and whether that is a failure.

use serde::{Deserialize, Serialize};

use crate::ecs::{ContainerExit, StoppedTask};

/// When a task that failed is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often each task is started at most.
    pub attempts: u32,
    /// For which failures.
    pub on: Vec<RetryOn>,
    /// How long to wait before the second start; twice as long before each further one.
    pub backoff_seconds: i64,
}

/// A failure after which a task is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// Its capacity was taken away: Fargate Spot, or an EC2 Spot instance.
    SpotInterruption,
    /// It stopped before its containers ran, as when an image cannot be pulled.
    FailedToStart,
    /// It ran longer than its timeout.
    Timeout,
    /// A container ended with one of these exit codes.
    ExitCode(Vec<i32>),
    /// Any failure.
    Any,
}

/// Why we stop a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It ran longer than it may.
    Timeout,
    /// A later launch takes its place.
    Replaced,
}

impl StopReason {
    /// What the task's `stoppedReason` will say.
    pub fn text(self) -> &'static str {
        match self {
            Self::Timeout => "ecs-trigger: it ran longer than its timeout",
            Self::Replaced => "ecs-trigger: a later launch takes its place",
        }
    }
}

/// What a task came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It did its work.
    Succeeded,
    /// Somebody stopped it, on purpose.
    Stopped,
    /// It was stopped for a later launch.
    Replaced,
    /// Its capacity was taken away.
    SpotInterruption,
    /// Its containers never ran.
    FailedToStart,
    /// It ran longer than its timeout.
    Timeout,
    /// A container failed.
    ExitCode(i32),
    /// It failed otherwise.
    Failed,
    /// Nobody knows.
    Vanished,
}

impl StoppedTask {
    /// What the task came to. `stop`: why we stopped it, if we did. `judged`: the containers that decide; none: all do.
    ///
    /// Stop codes: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
    pub fn fate(&self, stop: Option<StopReason>, judged: &[&str]) -> Fate {
        if self.vanished {
            return Fate::Vanished;
        }
        match (self.stop_code.as_deref(), stop) {
            (Some("UserInitiated"), Some(StopReason::Timeout)) => Fate::Timeout,
            (Some("UserInitiated"), Some(StopReason::Replaced)) => Fate::Replaced,
            (Some("UserInitiated"), None) => Fate::Stopped,
            (Some("TaskFailedToStart"), _) => Fate::FailedToStart,
            // An EC2 instance's Spot interruption comes as the notice of its termination.
            (Some("SpotInterruption" | "TerminationNotice"), _) => Fate::SpotInterruption,
            (Some("InfrastructureHealth" | "ServiceSchedulerInitiated"), _) => Fate::Failed,
            _ => self.by_exit_codes(judged),
        }
    }

    fn by_exit_codes(&self, judged: &[&str]) -> Fate {
        let counts = |container: &&ContainerExit| judged.contains(&container.name.as_str());
        let mut containers: Vec<&ContainerExit> = self.containers.iter().filter(counts).collect();
        if containers.is_empty() {
            containers = self.containers.iter().collect();
        }
        match containers.iter().filter_map(|container| container.exit_code).find(|code| *code != 0) {
            Some(code) => Fate::ExitCode(code),
            None if containers.iter().any(|container| container.exit_code == Some(0)) => Fate::Succeeded,
            None => Fate::Failed,
        }
    }
}

impl Fate {
    /// Whether the event's work was not done.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Stopped | Self::Replaced)
    }

    /// Whether the task is started again. Nobody knows whether one that vanished did its work: it never is.
    pub fn is_retried(self, on: &[RetryOn]) -> bool {
        self.is_failure()
            && self != Self::Vanished
            && on.iter().any(|on| match (on, self) {
                (RetryOn::Any, _)
                | (RetryOn::SpotInterruption, Self::SpotInterruption)
                | (RetryOn::FailedToStart, Self::FailedToStart)
                | (RetryOn::Timeout, Self::Timeout) => true,
                (RetryOn::ExitCode(codes), Self::ExitCode(code)) => codes.contains(&code),
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests;
