//! How a task ended, and whether that is a failure.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::ecs::{ContainerExit, StoppedTask};
use crate::text::decode::{Decode, record, unknown_word, wrong_type};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::OneOrMany;
use crate::text::{Kind, Node};

/// When to start a failed task again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often each task is started at most, including the first start.
    pub attempts: u32,
    /// The failures after which a task is started again.
    pub on: Vec<RetryOn>,
    /// The pause before the second start, in seconds. It doubles before each further start.
    pub backoff_seconds: i64,
}

/// A failure after which a task is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// The task lost its Spot capacity: Fargate Spot, or an EC2 Spot instance.
    SpotInterruption,
    /// The task stopped before its containers ran, for example because an image could not be pulled.
    FailedToStart,
    /// The task ran longer than its timeout.
    Timeout,
    /// A container exited with one of these codes.
    ExitCode(Vec<i32>),
    /// Any failure.
    Any,
}

impl Retry {
    /// Returns what applies to a task without `retry`: a task that never started is started again a few times.
    pub(super) fn if_never_started() -> Self {
        Self { attempts: 5, on: vec![RetryOn::FailedToStart], backoff_seconds: 10 }
    }
}

/// The failures that the config names by a word. Exit codes are written `{ exit_code: [...] }`.
const WORDS: [(&str, RetryOn); 4] = [
    ("spot_interruption", RetryOn::SpotInterruption),
    ("failed_to_start", RetryOn::FailedToStart),
    ("timeout", RetryOn::Timeout),
    ("any", RetryOn::Any),
];

impl Decode for RetryOn {
    const EXPECTED: &'static str =
        "a failure: `spot_interruption`, `failed_to_start`, `timeout`, `any` or `{ exit_code: [...] }`";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        if let Kind::Object(_) = node.kind {
            let codes = ExitCodes::decode(node, problems)?;
            let codes = codes.exit_code.0.iter().filter_map(|code| i32::try_from(*code).ok());
            return Some(Self::ExitCode(codes.collect()));
        }
        let Some(found) = node.as_str() else { return wrong_type(node, problems) };
        match WORDS.into_iter().find(|(word, _)| *word == found) {
            Some((_, failure)) => Some(failure),
            None => {
                problems.push(unknown_word(node.span, found, &WORDS.map(|(word, _)| word)));
                None
            }
        }
    }
}

record! {
    /// A container exits with one of these codes.
    pub struct ExitCodes ("a mapping with `exit_code`") {
        /// The exit code, or a list of exit codes, 1 to 255.
        pub exit_code: OneOrMany<u32>,
    }
}

impl JsonSchema for RetryOn {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let exit_codes = generator.subschema_for::<ExitCodes>();
        json_schema!({
            "description": "A failure after which a task is started again.",
            "anyOf": [{ "enum": WORDS.map(|(word, _)| word) }, exit_codes],
        })
    }
}

/// Why ecs-trigger stops a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The task ran longer than its timeout.
    Timeout,
    /// A later launch replaces the task's launch.
    Replaced,
    /// A person cancelled the task's launch.
    Cancelled,
}

impl StopReason {
    /// Returns the text for the task's `stoppedReason`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Timeout => "ecs-trigger: the task ran longer than its timeout",
            Self::Replaced => "ecs-trigger: a later launch replaced this one",
            Self::Cancelled => "ecs-trigger: the launch was cancelled",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It did its work.
    Succeeded,
    /// A person or a program stopped it through `StopTask`.
    Stopped,
    /// ecs-trigger stopped it because a later launch replaced its launch.
    Replaced,
    /// It lost its Spot capacity.
    SpotInterruption,
    /// It stopped before all of its containers had started.
    FailedToStart,
    /// It ran longer than its timeout.
    Timeout,
    /// A container exited with this code, which is not 0.
    ExitCode(i32),
    /// It failed in another way.
    Failed,
    /// How it ended is unknown: ECS forgot it before its end was observed.
    Vanished,
}

impl StoppedTask {
    /// Returns how the task ended. `stop` is why ecs-trigger stopped it, if it did. `judged` names the containers that
    /// decide; if it is empty, all of them do.
    ///
    /// Stop codes: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
    pub fn fate(&self, stop: Option<StopReason>, judged: &[&str]) -> Fate {
        if self.vanished {
            return Fate::Vanished;
        }
        match (self.stop_code.as_deref(), stop) {
            (Some("UserInitiated"), Some(StopReason::Timeout)) => Fate::Timeout,
            (Some("UserInitiated"), Some(StopReason::Replaced)) => Fate::Replaced,
            (Some("UserInitiated"), Some(StopReason::Cancelled) | None) => Fate::Stopped,
            (Some("TaskFailedToStart"), _) => Fate::FailedToStart,
            // ECS reports the Spot interruption of an EC2 instance as a termination notice.
            (Some("SpotInterruption" | "TerminationNotice"), _) => Fate::SpotInterruption,
            (Some("InfrastructureHealth" | "ServiceSchedulerInitiated"), _) => Fate::Failed,
            _ => self.by_exit_codes(judged),
        }
    }

    /// Returns whether the task did not start because there was too little capacity: another rung may have some.
    /// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    pub(super) fn lacks_capacity(&self) -> bool {
        let reasons = ["EMPTY CAPACITY PROVIDER", "RESOURCE:", "AGENT", "Capacity is unavailable"];
        self.did_not_start_because(&reasons)
    }

    /// Returns whether every further start would fail in the same way: the image does not exist.
    /// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html>
    pub(super) fn never_heals(&self) -> bool {
        self.did_not_start_because(&["CannotPull"])
            && self.did_not_start_because(&["not found", "manifest unknown", "does not exist", "no matching manifest"])
    }

    /// Returns whether a container ran: a task may fail to start after its first containers have ended.
    pub(super) fn has_run(&self) -> bool {
        self.containers.iter().any(|container| container.exit_code.is_some())
    }

    fn did_not_start_because(&self, reasons: &[&str]) -> bool {
        // On container instances only the container's reason says more than that the task failed to start.
        let of_containers = self.containers.iter().filter_map(|container| container.reason.as_ref());
        let mut said = self.stopped_reason.iter().chain(of_containers);
        self.stop_code.as_deref() == Some("TaskFailedToStart")
            && said.any(|said| reasons.iter().any(|reason| said.contains(reason)))
    }

    fn by_exit_codes(&self, judged: &[&str]) -> Fate {
        let named: Vec<&ContainerExit> =
            self.containers.iter().filter(|container| judged.contains(&container.name.as_str())).collect();
        let is_named = !named.is_empty();
        let deciding = if is_named { named } else { self.containers.iter().collect() };
        // Where no container is named, one without a code and without a reason is a sidecar that the main one did not wait for.
        let has_failed =
            |container: &&ContainerExit| container.exit_code.is_none() && (is_named || container.reason.is_some());
        match deciding.iter().filter_map(|container| container.exit_code).find(|code| *code != 0) {
            Some(code) => Fate::ExitCode(code),
            None if deciding.iter().any(has_failed) => Fate::Failed,
            None if deciding.iter().any(|container| container.exit_code == Some(0)) => Fate::Succeeded,
            None => Fate::Failed,
        }
    }
}

impl Fate {
    /// Returns whether the task failed to do the event's work.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Stopped | Self::Replaced)
    }

    /// Returns whether the task is started again. A task that vanished never is, as it may have done its work.
    pub fn is_retried(self, on: &[RetryOn]) -> bool {
        let is_retried = |reason: RetryOn| on.contains(&RetryOn::Any) || on.contains(&reason);
        match self {
            Self::Succeeded | Self::Stopped | Self::Replaced | Self::Vanished => false,
            Self::SpotInterruption => is_retried(RetryOn::SpotInterruption),
            Self::FailedToStart => is_retried(RetryOn::FailedToStart),
            Self::Timeout => is_retried(RetryOn::Timeout),
            Self::Failed => on.contains(&RetryOn::Any),
            Self::ExitCode(code) => on.iter().any(|on| match on {
                RetryOn::Any => true,
                RetryOn::ExitCode(codes) => codes.contains(&code),
                RetryOn::SpotInterruption | RetryOn::FailedToStart | RetryOn::Timeout => false,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
