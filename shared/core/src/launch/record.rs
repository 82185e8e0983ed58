//! The record of a launch in the launch store. It holds everything that is needed to continue the launch without the
//! config.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fate::{Fate, Retry, StopReason};
use super::reply::Reply;
use crate::ecs::{Capacity, StoppedTask, TaskRequest};
use crate::environment;
use crate::event::identity::{CallId, Identity, LaunchKey};
use crate::text::decode::choice;

/// The version of the record's format.
pub(crate) const VERSION: u32 = 2;

/// The record of one launch: the task to start, what was tried, and the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchRecord {
    /// The version of this format: 2.
    pub version: u32,
    /// The launch's name.
    pub key: LaunchKey,
    /// The name of the task that the route runs.
    pub task: String,
    /// The position of the event's element that the launch is for, in a route with `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The number of this copy, from 0, among those that the task's `count` asks for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copy: u32,
    /// The event's id.
    pub event_id: String,
    /// The event's identity, which repeated deliveries share.
    pub identity: Identity,
    /// A copy of the event.
    pub event: EventCopy,
    /// The task, as a config rendered it.
    #[serde(flatten)]
    pub rendered: Rendered,
    /// The number of the first attempt that follows the last rendering, if the task was rendered anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anew_from: Option<usize>,
    /// The limit on the tasks that run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The order of the events of one S3 object, if the route ignores older events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// The set that the launch belongs to, if the route makes several launches for the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// When the record was created.
    pub created: Timestamp,
    /// Whether the launch waits in line, has its slots, or has released them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The launch's ticket in the line for its slots. Tickets rise in the order of arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<u64>,
    /// Whether this is the latest launched event of its object, as far as was known before the first attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_latest: bool,
    /// The attempts, in order.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Every task that is known to have been started.
    #[serde(default)]
    pub tasks: Vec<LaunchedTask>,
    /// The attempts and retries before the launch's dead letter was redriven. They no longer count against the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Reopened>,
    /// The next attempt is not made before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why no further attempt is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// When the sweep must look at the launch again.
    pub due: Timestamp,
    /// The conclusion while it is being reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluding: Option<Conclusion>,
    /// The conclusion, once the launch has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Conclusion>,
}

/// A task as a config rendered it: what the launch gets from a later config, if ECS refuses its request for good or its
/// dead letter is redriven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// The version of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_etag: Option<String>,
    /// The request of the first attempt. Later attempts derive theirs from it.
    pub request: TaskRequest,
    /// The rungs of the capacity ladder, which attempts try in turn. If empty, the request's own capacity applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<Capacity>,
    /// The seconds after which a running task is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// When to start a failed task again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

impl Rendered {
    /// Returns whether this would make another call than the record's.
    pub fn differs_from(&self, record: &LaunchRecord) -> bool {
        let known = &record.rendered;
        let asked = TaskRequest { client_token: known.request.client_token.clone(), ..self.request.clone() };
        asked != known.request || self.capacity != known.capacity
    }
}

/// A copy of a launch's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventCopy {
    /// The event's JSON.
    Text(String),
    /// The URI of the event's JSON.
    Uri(String),
}

/// One attempt to start the launch's task. Its parameters never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The rung of the capacity ladder, by its position.
    pub rung: usize,
    /// RunTask's idempotency key.
    pub client_token: String,
    /// When the attempt was recorded, before its first call. Moved forward whenever it is certain that no call so far
    /// has started anything.
    pub opened: Timestamp,
    /// Whether a call may have started tasks that are not recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// When the current caller announced its call. Other processes do not call for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Timestamp>,
    /// The reply that settled the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// The last reply that left the attempt open, and when to call again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
}

/// A reply that leaves an attempt open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The reply.
    pub reply: Reply,
    /// How many such replies the attempt had.
    pub times: u32,
    /// When the first of them came.
    pub since: Timestamp,
    /// When to call again.
    pub again: Timestamp,
}

/// A task of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchedTask {
    /// The task's ARN.
    pub arn: String,
    /// The number of the attempt that started it.
    pub attempt: u32,
    /// When the task was first seen.
    pub since: Timestamp,
    /// Why the task has to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReason>,
    /// Whether ECS was asked to stop the task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop_asked: bool,
    /// How the task stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedTask>,
    /// Whether another task replaces this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retried: bool,
}

impl LaunchedTask {
    /// Returns whether the task runs or will run, as far as is known.
    pub fn is_alive(&self) -> bool {
        self.stopped.is_none()
    }

    /// Returns the task's id: the last part of its ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }
}

/// The progress of a launch when its dead letter was redriven last, or a person retried it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// The number of attempts.
    pub attempts: usize,
    /// The number of tasks that a retry had replaced.
    pub retried: u32,
    /// How often the launch was redriven or retried.
    pub times: u32,
}

/// The limit on the tasks of a route that run at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The name of the limit: the route's name, and a hash of the rendered `key`.
    pub slots: String,
    /// The most tasks that run at once.
    pub max: u32,
    /// What happens to a launch that finds too few slots free.
    pub when_full: WhenFull,
}

choice! {
    /// What happens to a launch that would exceed `max`.
    pub enum WhenFull {
        /// The launch waits. Waiting launches start in the order of arrival, as tasks end.
        Queue = "queue",
        /// The launch is recorded as skipped, and starts nothing.
        Skip = "skip",
        /// The oldest launch's tasks are stopped, and the new launch starts when they have stopped. A launch that still
        /// waits gives way to a later one.
        Replace = "replace",
    }
}

/// Whether a launch has its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// It waits in line.
    Waiting,
    /// It has its slots.
    Held,
    /// It has released its slots, or has left the line.
    Released,
}

/// The place of an event among the events of one S3 object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The name of the S3 object's sequence: the route's name, and a hash of bucket and key.
    pub name: String,
    /// The event's `sequencer`.
    pub sequencer: String,
}

/// Why a launch makes no further attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenUp {
    /// The route's settings rule the launch out.
    Skipped(Skipped),
    /// A later launch replaces this one.
    Replaced,
    /// A person cancelled it.
    Cancelled,
    /// An earlier call with the same token, but other parameters, has started tasks.
    Settled,
    /// A further attempt would not help, for this reason.
    Failed(String),
}

/// The final result of a launch, and when it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Conclusion {
    pub at: Timestamp,
    pub outcome: Outcome,
}

impl Conclusion {
    /// Returns whether the launch's event is in the dead-letter queue.
    pub fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::DeadLettered(_))
    }
}

/// The final result of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every task succeeded.
    Succeeded,
    /// A person or a program stopped tasks through `StopTask`; no task failed.
    Stopped,
    /// Tasks were stopped, or not started, because a later launch replaced this one.
    Replaced,
    /// Tasks were stopped, or not started, because a person cancelled the launch.
    Cancelled,
    /// Nothing was started, because of the route's settings.
    Skipped(Skipped),
    /// The event is in the dead-letter queue, for this reason.
    DeadLettered(String),
}

/// Why nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// The route already ran as many tasks as its `concurrency` allows.
    Full,
    /// A later event of the same object had already been launched.
    Older,
    /// The launch waited in line and gave way to a later one.
    Superseded,
}

impl Sequence {
    /// S3's sequencers have fewer characters than this.
    const LENGTH: usize = 64;

    /// Returns a text that sorts as the event's place in the sequence, for a store that compares texts.
    ///
    /// The shorter sequencer is padded with zeros on the right, then the two are compared as texts.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    pub fn rank(&self) -> String {
        format!("{:0<length$}", self.sequencer, length = Self::LENGTH).to_ascii_lowercase()
    }
}

impl LaunchRecord {
    /// Parses a record.
    ///
    /// # Errors
    /// The text is not a launch record, or the record has another version.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::checked(serde_json::from_str(text))
    }

    /// Returns the record that is this JSON.
    ///
    /// # Errors
    /// The JSON is not a launch record, or the record has another version.
    pub fn from_json(json: serde_json::Value) -> Result<Self, String> {
        Self::checked(serde_json::from_value(json))
    }

    fn checked(parsed: serde_json::Result<Self>) -> Result<Self, String> {
        let record = parsed.map_err(|error| error.to_string())?;
        match record.version {
            VERSION => Ok(record),
            version => Err(format!("it has version {version}; this ecs-trigger reads version {VERSION}")),
        }
    }

    /// Returns the record as JSON, which [`Self::parse`] reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the fate of a task that has stopped. The containers that the config names decide.
    pub fn fate(&self, task: &LaunchedTask) -> Option<Fate> {
        let containers = &self.rendered.request.overrides.container_overrides;
        let judged: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        task.stopped.as_ref().map(|stopped| stopped.fate(task.stop, &judged))
    }

    /// Returns how many tasks a retry has replaced or will replace.
    pub fn retried(&self) -> u32 {
        u32::try_from(self.tasks.iter().filter(|task| task.retried).count()).unwrap_or(u32::MAX)
    }

    /// Returns the number of the last attempt, if it has no reply yet.
    pub fn open_attempt(&self) -> Option<u32> {
        let last = u32::try_from(self.attempts.len()).ok()?.checked_sub(1)?;
        self.attempts.last().filter(|attempt| attempt.reply.is_none()).map(|_| last)
    }

    /// Returns whether the launch's task neither exists nor is requested by an open attempt.
    pub fn is_missing(&self) -> bool {
        self.open_attempt().is_none() && self.tasks.iter().all(|task| task.retried)
    }

    /// Returns how often the launch was redriven or retried.
    pub fn redrives(&self) -> u32 {
        self.reopened.map_or(0, |reopened| reopened.times)
    }

    /// Returns the client token of an attempt.
    pub fn client_token(&self, attempt: u32) -> String {
        CallId {
            cluster: self.rendered.request.cluster.as_deref().unwrap_or("default"),
            route: &self.key.route,
            task: &self.task,
            identity: &self.identity,
            index: self.index,
            attempt,
            copy: self.copy,
        }
        .client_token()
    }

    /// Returns an attempt's request to ECS, which is the same at every call.
    pub fn request_of(&self, number: u32, attempt: &Attempt) -> TaskRequest {
        let mut request = self.rendered.request.clone();
        if let Some(capacity) = self.rendered.capacity.get(attempt.rung) {
            capacity.apply(&mut request);
        }
        request.set_variable(environment::ATTEMPT, &number.to_string());
        if LaunchKey::of_started_by(&request.started_by).is_some() {
            request.started_by = self.key.started_by(number);
        }
        request.client_token.clone_from(&attempt.client_token);
        request
    }

    /// Returns how long a task may run.
    pub fn timeout(&self) -> Option<SignedDuration> {
        self.rendered.timeout_seconds.map(SignedDuration::from_secs)
    }
}

pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn sequencers_of_different_lengths_compare_as_s3_says() {
        let rank = |sequencer: &str| Sequence { name: "r/o".to_owned(), sequencer: sequencer.to_owned() }.rank();
        let is_before = |sequencer, other| rank(sequencer) < rank(other);
        for (earlier, later) in [("0001", "0002"), ("0001", "00011"), ("00019", "0002"), ("0A", "0B"), ("0a", "0B")] {
            assert!(is_before(earlier, later), "{earlier} {later}");
            assert!(!is_before(later, earlier), "{later} {earlier}");
        }
        assert!(!is_before("0002", "000200"), "the same place");
    }
}
