//! What the ledger remembers of a launch: everything that going on with it needs, so that no config is asked again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fate::{Fate, Retry, StopReason};
use super::reply::Reply;
use crate::ecs::{Capacity, StoppedTask, TaskRequest};
use crate::environment;
use crate::event::identity::{CallId, Identity, LaunchKey};
use crate::text::decode::choice;

/// The version of a record's form.
pub(crate) const VERSION: u32 = 1;

/// One launch: what is to be started, what was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchRecord {
    /// The version of this form: 1.
    pub version: u32,
    /// What it is called.
    pub key: LaunchKey,
    /// The name of the task that the route runs.
    pub task: String,
    /// The element of the event's list that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Which of the calls that the task's copies need.
    #[serde(default)]
    pub slice: u32,
    /// The event's id.
    pub event_id: String,
    /// What repeated deliveries of the event share.
    pub identity: Identity,
    /// The event itself.
    pub event: EventCopy,
    /// The version of the config that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_etag: Option<String>,
    /// What the first attempt asks for.
    pub request: TaskRequest,
    /// The capacity that attempts try in turn; none: what the request says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<Capacity>,
    /// How long a task may run before it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// When a task that failed is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How many run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The object that it is about, if older events of it are to be ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// When it was first recorded.
    pub created: Timestamp,
    /// Whether it has its slots, or stands in line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Whether no later event of its object was launched before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_latest: bool,
    /// What was tried, in order.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Every task that was started.
    #[serde(default)]
    pub tasks: Vec<LaunchedTask>,
    /// How many attempts and retries there were when its dead letter was sent again: what came before counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Reopened>,
    /// No attempt is made before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why no attempt is made any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// When somebody must look at it again: there is an entry of this time among those that are due.
    pub due: Timestamp,
    /// What it comes to, while that is being reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluding: Option<Conclusion>,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Conclusion>,
}

/// The event of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventCopy {
    /// Its JSON.
    Text(String),
    /// Where its JSON is.
    Uri(String),
}

/// One attempt to start what is missing. Its parameters never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many tasks it asks for.
    pub count: u32,
    /// Which capacity it asks for, by its position.
    pub rung: usize,
    /// RunTask's idempotency key.
    pub client_token: String,
    /// When it was recorded, before the first call; later, if since then it is certain that no call started anything.
    pub opened: Timestamp,
    /// Whether a call may have started tasks that nobody knows of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// Since when somebody calls: nobody else does for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Timestamp>,
    /// The reply that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// The last reply that left it open, and when to call again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
}

/// A reply that decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The reply.
    pub reply: Reply,
    /// How many there were of this attempt.
    pub times: u32,
    /// When the first came.
    pub since: Timestamp,
    /// When to call again.
    pub again: Timestamp,
}

/// A task of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchedTask {
    /// Its ARN.
    pub arn: String,
    /// The attempt that started it.
    pub attempt: u32,
    /// Since when it is known.
    pub since: Timestamp,
    /// Why it is to be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReason>,
    /// Whether ECS was asked to stop it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop_asked: bool,
    /// How it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedTask>,
    /// Whether another task takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retried: bool,
}

impl LaunchedTask {
    /// Whether it runs, or will, as far as is known.
    pub fn is_alive(&self) -> bool {
        self.stopped.is_none()
    }
}

/// Where a launch stood when its dead letter was sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// How many attempts there were.
    pub attempts: usize,
    /// How many tasks had others in their places.
    pub retried: u32,
}

/// How many tasks of a route run at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The name of the object that holds the slots: the route's, and a hash of its key.
    pub slots: String,
    /// How many tasks.
    pub max: u32,
    /// What becomes of a launch that finds no slot.
    pub when_full: WhenFull,
}

choice! {
    /// What becomes of a launch that finds all slots taken.
    pub enum WhenFull {
        /// It waits, in the order of arrival, and is started when slots are free.
        Queue = "queue",
        /// It is not started; that is recorded.
        Skip = "skip",
        /// The oldest task is stopped, and it is started when that has stopped. One that waits makes place for a later one.
        Replace = "replace",
    }
}

/// Where a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// It has its slots.
    Held,
    /// It stands in line.
    Waiting,
}

/// What orders the events of one object in S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The name of the ledger's object for it: the route's, and a hash of bucket and key.
    pub name: String,
    /// The event's own place in the order.
    pub sequencer: String,
}

/// Why no attempt is made any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenUp {
    /// Nothing is to be started.
    Skipped(Skipped),
    /// A later launch takes its place.
    Replaced,
    /// An earlier call, with other parameters, started what it asked for.
    Settled,
    /// It will not do, however often it is tried.
    Failed(String),
}

/// What a launch came to, or comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// When that was decided.
    pub at: Timestamp,
    /// What.
    pub outcome: Outcome,
}

/// What a launch came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every task ran and ended well.
    Succeeded,
    /// Tasks were stopped by somebody, on purpose.
    Stopped,
    /// Tasks were stopped, or not started, for a later launch.
    Replaced,
    /// Nothing was started, as the route wants it.
    Skipped(Skipped),
    /// The event is in the dead-letter queue, for this reason.
    DeadLettered(String),
}

/// Why nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// As many tasks of the route ran as may.
    Full,
    /// A later event of the same object was launched before.
    Older,
    /// It stood in line, and a later one came.
    Superseded,
}

impl Sequence {
    /// Whether an event with this sequencer happened before one with the other.
    ///
    /// The shorter is padded with zeros on its right, then they compare as texts.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    pub fn is_before(sequencer: &str, other: &str) -> bool {
        let length = sequencer.len().max(other.len());
        let pad = |text: &str| format!("{text:0<length$}").to_ascii_lowercase();
        pad(sequencer) < pad(other)
    }
}

impl LaunchRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// It is none of ours, or of another version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match record.version {
            VERSION => Ok(record),
            version => Err(format!("a record of version {version}, this reads version {VERSION}")),
        }
    }

    /// The record as it lies in the ledger.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How many tasks it starts.
    pub fn count(&self) -> u32 {
        self.request.count.unwrap_or(1)
    }

    /// What a task has come to, if it has stopped: judged by the containers that the config names.
    pub fn fate(&self, task: &LaunchedTask) -> Option<Fate> {
        let containers = &self.request.overrides.container_overrides;
        let judged: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        task.stopped.as_ref().map(|stopped| stopped.fate(task.stop, &judged))
    }

    /// How many tasks have others in their places.
    pub fn retried(&self) -> u32 {
        u32::try_from(self.tasks.iter().filter(|task| task.retried).count()).unwrap_or(u32::MAX)
    }

    /// The number of the last attempt, if it has no reply yet.
    pub fn open_attempt(&self) -> Option<u32> {
        let last = u32::try_from(self.attempts.len()).ok()?.checked_sub(1)?;
        self.attempts.last().filter(|attempt| attempt.reply.is_none()).map(|_| last)
    }

    /// How many tasks are neither there, nor asked for by an open attempt.
    pub fn missing(&self) -> u32 {
        let there = self.tasks.iter().filter(|task| !task.retried);
        let asked = self.open_attempt().and_then(|number| self.attempts.get(number as usize)).map_or(0, |attempt| {
            let known = there.clone().filter(|task| Some(task.attempt) == self.open_attempt()).count();
            attempt.count.saturating_sub(u32::try_from(known).unwrap_or(u32::MAX))
        });
        self.count().saturating_sub(u32::try_from(there.count()).unwrap_or(u32::MAX)).saturating_sub(asked)
    }

    /// The client token of an attempt.
    pub fn client_token(&self, attempt: u32) -> String {
        CallId {
            cluster: self.request.cluster.as_deref().unwrap_or("default"),
            route: &self.key.route,
            task: &self.task,
            identity: &self.identity,
            index: self.index,
            attempt,
            slice: self.slice,
        }
        .client_token()
    }

    /// What an attempt asks of ECS: the same at every call.
    pub fn request_of(&self, number: u32, attempt: &Attempt) -> TaskRequest {
        let mut request = self.request.clone();
        if let Some(capacity) = self.capacity.get(attempt.rung) {
            capacity.apply(&mut request);
        }
        if attempt.count != self.count() {
            request.count = Some(attempt.count);
        }
        let variables =
            request.overrides.container_overrides.iter_mut().flat_map(|container| &mut container.environment);
        for variable in variables.filter(|variable| variable.name == environment::ATTEMPT) {
            variable.value = number.to_string();
        }
        if LaunchKey::of_started_by(&request.started_by).is_some() {
            request.started_by = self.key.started_by(number);
        }
        request.client_token.clone_from(&attempt.client_token);
        request
    }

    /// How long a task may run.
    pub fn timeout(&self) -> Option<SignedDuration> {
        self.timeout_seconds.map(SignedDuration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn sequencers_of_different_lengths_compare_as_s3_says() {
        for (earlier, later) in [("0001", "0002"), ("0001", "00011"), ("00019", "0002"), ("0A", "0B"), ("0a", "0B")] {
            assert!(Sequence::is_before(earlier, later), "{earlier} {later}");
            assert!(!Sequence::is_before(later, earlier), "{later} {earlier}");
        }
        assert!(!Sequence::is_before("0002", "000200"), "the same place");
    }
}
