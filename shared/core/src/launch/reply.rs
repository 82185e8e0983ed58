//! What came of a RunTask call, and what that means for the launch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of one RunTask call, as ECS said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A reply that is no error. It may hold failures nevertheless, even nothing else.
    Tasks {
        /// The tasks that were started.
        task_arns: Vec<String>,
        /// Those that were not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<Failure>,
    },
    /// An error of ECS.
    Error {
        /// Its name, such as `ClusterNotFoundException`.
        code: String,
        /// Its message.
        message: String,
        /// For a `ConflictException`, the tasks that the client token started before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resource_ids: Vec<String>,
        /// Whether the status was 5xx: ECS itself failed, and may have started the tasks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_server: bool,
    },
    /// No reply came, or none that can be read: nobody knows whether anything was started.
    Nothing {
        /// What happened instead.
        message: String,
    },
}

/// An entry of RunTask's `failures`: a task that was not started, within a reply that is no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The container instance it failed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The reason, such as `RESOURCE:MEMORY`.
    pub reason: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)?;
        self.arn.iter().try_for_each(|arn| write!(formatter, " on {arn}"))?;
        self.detail.iter().try_for_each(|detail| write!(formatter, " ({detail})"))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks { failures, .. } if failures.is_empty() => {
                formatter.write_str("neither failures nor all tasks")
            }
            Self::Tasks { failures, .. } => {
                let failures: Vec<String> = failures.iter().map(Failure::to_string).collect();
                write!(formatter, "ECS could not start every task: {}", failures.join("; "))
            }
            Self::Error { code, message, .. } => write!(formatter, "{code}: {message}"),
            Self::Nothing { message } => write!(formatter, "no reply: {message}"),
        }
    }
}

/// What a reply means for the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every task that was asked for was started.
    Launched,
    /// An earlier call with the same client token had started them.
    AlreadyLaunched,
    /// Some or all were definitely not started, for want of capacity: the next attempt asks for what is missing.
    NextRung,
    /// They were definitely not started, as there are too many calls or tasks: the same call again, later.
    Busy {
        /// Whether it is calls that there are too many of.
        throttled: bool,
    },
    /// Nobody knows whether they were started: the same call again, with the same client token.
    InDoubt,
    /// They were not started, and trying again changes nothing.
    Permanent,
}

/// Errors that say that the call itself is wrong, or not allowed.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const PERMANENT: [&str; 11] = [
    "AccessDeniedException",
    "BlockedException",
    "ClientException",
    "ClusterNotFoundException",
    "ConstructionFailure",
    "InvalidParameterException",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "UnsupportedFeatureException",
    "UnsupportedOperationException",
    "ValidationException",
];

/// Words by which an error says that there were too many calls. Amazon EC2's reach us within an `InvalidParameterException`,
/// whose name says nothing of it.
const THROTTLED: [&str; 3] = ["rate exceeded", "errorcode: throttling", "too many requests"];

/// Names of errors that say so.
const THROTTLING: [&str; 3] = ["throttl", "toomanyrequests", "requestlimitexceeded"];

/// Words by which a `ClientException` says that a quota is used up: the tasks that hold it end.
const QUOTA: [&str; 4] = ["quota", "limit", "exceeded", "provisioning"];

/// Words by which an error says that there is no capacity for the tasks just now.
const CAPACITY: [&str; 2] = ["capacity is unavailable", "no container instances were found"];

impl Reply {
    /// What the reply means, if `asked` tasks were asked for.
    pub fn verdict(&self, asked: u32) -> Verdict {
        match self {
            Self::Tasks { task_arns, failures } if task_arns.is_empty() && failures.is_empty() => Verdict::InDoubt,
            Self::Tasks { task_arns, .. } if task_arns.len() >= asked as usize => Verdict::Launched,
            Self::Tasks { .. } => Verdict::NextRung,
            Self::Nothing { .. } | Self::Error { of_server: true, .. } => Verdict::InDoubt,
            Self::Error { code, resource_ids, .. } if code == "ConflictException" => match resource_ids.is_empty() {
                // Without its proof a conflict says nothing.
                true => Verdict::InDoubt,
                false => Verdict::AlreadyLaunched,
            },
            Self::Error { code, message, .. } => of_error(code, &message.to_lowercase()),
        }
    }

    /// Whether it is about this very token: no error that ECS gives before it looks at the token.
    pub(super) fn is_of_token(&self) -> bool {
        matches!(self, Self::Tasks { .. }) || !self.task_arns().is_empty()
    }

    /// The tasks that run, as far as the reply tells.
    pub fn task_arns(&self) -> &[String] {
        match self {
            Self::Tasks { task_arns, .. } => task_arns,
            Self::Error { resource_ids, .. } => resource_ids,
            Self::Nothing { .. } => &[],
        }
    }
}

fn of_error(code: &str, message: &str) -> Verdict {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let named = code.to_lowercase();
    if says(&THROTTLED) || THROTTLING.iter().any(|word| named.contains(word)) {
        Verdict::Busy { throttled: true }
    } else if says(&CAPACITY) {
        Verdict::NextRung
    } else if code == "ClientException" && says(&QUOTA) {
        Verdict::Busy { throttled: false }
    } else if PERMANENT.contains(&code) {
        Verdict::Permanent
    } else {
        Verdict::InDoubt
    }
}

#[cfg(test)]
mod tests;
