//! The reply to a RunTask call, and what it means for the launch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of one RunTask call, as ECS reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The call succeeded. Some or all tasks may have failed to start nevertheless.
    Tasks {
        /// The tasks that were started.
        task_arns: Vec<String>,
        /// The tasks that were not started.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<Failure>,
    },
    /// ECS returned an error.
    Error {
        /// The error's name, such as `ClusterNotFoundException`.
        code: String,
        /// The error's message.
        message: String,
        /// For a `ConflictException`, the tasks that an earlier call with the client token started.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resource_ids: Vec<String>,
        /// Whether the status was 5xx: ECS itself failed, and may have started the tasks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_server: bool,
    },
    /// No readable reply came: it is unknown whether anything was started.
    Nothing {
        /// What happened instead.
        message: String,
    },
}

/// An entry of RunTask's `failures`: a task that was not started although the call returned no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The container instance on which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The reason, such as `RESOURCE:MEMORY`.
    pub reason: String,
    /// More details.
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
                formatter.write_str("ECS started fewer tasks than requested and gave no reason")
            }
            Self::Tasks { failures, .. } => {
                let failures: Vec<String> = failures.iter().map(Failure::to_string).collect();
                write!(formatter, "ECS could not start all tasks: {}", failures.join("; "))
            }
            Self::Error { code, message, .. } => write!(formatter, "{code}: {message}"),
            Self::Nothing { message } => write!(formatter, "no reply: {message}"),
        }
    }
}

/// Of a reply with more failures than this, the rest is not recorded: there may be one for each container instance.
const FAILURES_MAX: usize = 20;
/// The length of a shortened message, in bytes.
const SHORT_BYTES: usize = 100;

/// What a reply means for the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every requested task was started.
    Launched,
    /// An earlier call with the same client token had started tasks.
    AlreadyLaunched,
    /// Some or all tasks were definitely not started, because there was too little capacity. The next attempt asks for
    /// the missing ones.
    NextRung,
    /// The tasks were definitely not started, because there are too many calls or tasks. The same call is repeated
    /// later.
    Busy {
        /// Whether there were too many calls.
        throttled: bool,
    },
    /// It is unknown whether the tasks were started. The same call is repeated, with the same client token.
    InDoubt,
    /// The tasks were not started, and trying again would not help.
    Permanent,
}

/// The errors that mean that the call itself is wrong, or not allowed.
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

/// Phrases of an error's message that mean throttling.
const THROTTLED: [&str; 3] = ["rate exceeded", "request limit exceeded", "too many requests"];

/// Parts of an error's name that mean throttling.
const THROTTLING: [&str; 3] = ["throttl", "toomanyrequests", "requestlimitexceeded"];

/// Parts of a wrapped error's name that mean that another service failed for the moment.
const PASSING: [&str; 4] = ["unavailable", "internalerror", "internalfailure", "serviceexception"];

/// Phrases of a `ClientException`'s message that mean that a quota is used up. Tasks that use it end, so waiting helps.
const QUOTA: [&str; 4] = ["reached the limit", "limit exceeded", "quota", "tasks in provisioning"];

/// Phrases of an error's message that mean that there is no capacity at the moment.
const CAPACITY: [&str; 2] = ["capacity is unavailable", "no container instances were found"];

/// A phrase of the error of an account in which ECS's own role is just being made: it passes by itself.
/// Source: <https://github.com/aws/containers-roadmap/issues/2614>
const ROLE_NOT_READY: &str = "unable to assume the service linked role";

impl Reply {
    /// Returns what the reply means for a call that asked for `asked` tasks.
    pub fn verdict(&self, asked: u32) -> Verdict {
        match self {
            Self::Tasks { task_arns, failures } if task_arns.is_empty() && failures.is_empty() => Verdict::InDoubt,
            Self::Tasks { task_arns, .. } if task_arns.len() >= asked as usize => Verdict::Launched,
            Self::Tasks { .. } => Verdict::NextRung,
            Self::Nothing { .. } | Self::Error { of_server: true, .. } => Verdict::InDoubt,
            Self::Error { code, resource_ids, .. } if code == "ConflictException" => match resource_ids.is_empty() {
                // A conflict that names no tasks does not prove that any were started.
                true => Verdict::InDoubt,
                false => Verdict::AlreadyLaunched,
            },
            Self::Error { code, message, .. } => of_error(code, &message.to_lowercase()),
        }
    }

    /// Returns whether the reply is about this client token, and not an error that ECS returns before it checks the
    /// token.
    pub(super) fn is_of_token(&self) -> bool {
        matches!(self, Self::Tasks { .. }) || !self.task_arns().is_empty()
    }

    /// Returns whether waiting cannot help: no container instance meets the task's constraints.
    /// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    pub(super) fn never_heals(&self) -> bool {
        let is_unmet = |failure: &Failure| {
            failure.reason == "ATTRIBUTE"
                || failure.reason.to_lowercase().starts_with("memberof placement constraint unsatisfied")
        };
        matches!(self, Self::Tasks { failures, .. } if !failures.is_empty() && failures.iter().all(is_unmet))
    }

    /// Leaves out what is not needed to tell what the reply meant: all failures but the first, and the ends of long texts.
    pub(super) fn shorten(&mut self) {
        match self {
            Self::Tasks { failures, .. } => {
                failures.truncate(1);
                failures.iter_mut().for_each(|failure| failure.detail = None);
            }
            Self::Error { message, .. } | Self::Nothing { message } => {
                message.truncate(message.floor_char_boundary(SHORT_BYTES));
            }
        }
    }

    /// Leaves out failures of which there are too many to record.
    pub(super) fn within_limits(mut self) -> Self {
        if let Self::Tasks { failures, .. } = &mut self {
            failures.truncate(FAILURES_MAX);
        }
        self
    }

    /// Returns the started tasks that the reply names.
    pub fn task_arns(&self) -> &[String] {
        match self {
            Self::Tasks { task_arns, .. } => task_arns,
            Self::Error { resource_ids, .. } => resource_ids,
            Self::Nothing { .. } => &[],
        }
    }
}

fn of_error(code: &str, message: &str) -> Verdict {
    let (phrases, named) = (without_names(message), code.to_lowercase());
    let wrapped = wrapped_code(message).unwrap_or_default();
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&phrases, &THROTTLED) || has(&named, &THROTTLING) || has(wrapped, &THROTTLING) {
        Verdict::Busy { throttled: true }
    } else if has(&phrases, &CAPACITY) {
        Verdict::NextRung
    } else if has(wrapped, &PASSING)
        || has(&phrases, &[ROLE_NOT_READY])
        || (code == "ClientException" && has(&phrases, &QUOTA))
    {
        Verdict::Busy { throttled: false }
    } else if PERMANENT.contains(&code) {
        Verdict::Permanent
    } else {
        Verdict::InDoubt
    }
}

/// Returns the error of another service that ECS passes on: `(ErrorCode: X)` or `; ErrorCode: X)`.
fn wrapped_code(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("errorcode: ")?;
    rest.split([')', ';', ' ']).next()
}

/// Returns the message without what a user named: text in quotes or brackets, and ARNs. A role named `rate-limiter` is no throttle.
fn without_names(message: &str) -> String {
    let (mut outside, mut closing, mut before) = (String::new(), None, ' ');
    for character in message.chars() {
        match (closing, character) {
            (Some(close), _) if character == close => closing = None,
            (Some(_), _) => {}
            // Within a word it is an apostrophe.
            (None, '\'' | '"' | '`') if !before.is_alphanumeric() => closing = Some(character),
            (None, '[') => closing = Some(']'),
            (None, _) => outside.push(character),
        }
        before = character;
    }
    outside.split_whitespace().filter(|word| !word.starts_with("arn:")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
