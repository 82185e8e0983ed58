//! History: which launches there were, and what became of them.
//!
//! A [`HistoryQuery`] asks a launch store, and a [`Summary`] is what a list shows of a launch. What the store cannot
//! look up by an index, it filters by [`HistoryQuery::takes`], so that every store gives the same answer.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::event::identity::Identity;
use crate::launch::{Attempt, Conclusion, LaunchRecord, LaunchedTask, Outcome, Reply, Skipped, Slot};
use crate::pattern::operator::Wildcard;
use crate::storage::LIST_NAME_BYTES_MAX;

/// A page of history has at most this many launches.
pub const PAGE_MAX: usize = 1000;

/// A question about launches. Its times count in whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The list to read.
    pub of: Launches,
    /// Only launches of this route.
    pub route: Option<String>,
    /// Only launches whose [time](Self::time) is not before this one.
    pub since: Option<Timestamp>,
    /// Only launches whose [time](Self::time) is before this one.
    pub until: Option<Timestamp>,
    /// What else the launches have in common.
    pub filter: Filter,
    /// How many launches of the list to look at for one page, from 1 to [`PAGE_MAX`]: see [`Self::page_size`].
    pub page: usize,
}

/// A list of launches that a store can read without looking at others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launches {
    /// All, the latest recorded first.
    All,
    /// Those that were dead-lettered, the latest failure first.
    Failed,
    /// Those that events about this object made, the latest recorded first. An event that only S3's notifications have,
    /// such as a failed replication, does not count.
    Of(ObjectName),
    /// Those that have not ended, the one that is due next first.
    Open,
}

/// What launches have in common that a store knows only once it has read their records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The state is one of these. If empty, any.
    pub states: Vec<LaunchState>,
    /// The name of the task.
    pub task: Option<String>,
    /// The event's id.
    pub event_id: Option<String>,
    /// The [reason](reason) matches. A launch without a reason does not.
    pub reason: Option<Wildcard>,
    /// An ECS task of the launch has this ARN, or this id.
    pub ecs_task: Option<String>,
}

/// The name of an S3 object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ObjectName {
    pub bucket: String,
    pub key: String,
}

/// The state of a launch, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// It waits in line for its slots.
    Queued,
    /// No task has started yet.
    Starting,
    /// A task has started.
    Running,
    /// Its dead letter is being sent.
    Concluding,
    /// Every task succeeded.
    Succeeded,
    /// A person or a program stopped its tasks.
    Stopped,
    /// A later launch replaced it.
    Replaced,
    /// A person cancelled it.
    Cancelled,
    /// Nothing was started, because of the route's settings.
    Skipped,
    /// Its event is in the dead-letter queue.
    DeadLettered,
}

/// What a list shows of a launch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The launch's name.
    pub launch: String,
    /// The route's name.
    pub route: String,
    /// The name of the task.
    pub task: String,
    /// The position of the event's element, in a route with `for_each`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The state.
    pub state: LaunchState,
    /// When the launch was recorded.
    pub created: Timestamp,
    /// When its first ECS task was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The [reason](reason) for its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number of attempts.
    pub attempts: usize,
    /// The ARNs of its ECS tasks.
    pub ecs_tasks: Vec<String>,
    /// The event's id.
    pub event_id: String,
    /// The S3 object that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectName>,
}

impl HistoryQuery {
    /// Returns how many launches of the list to look at for one page.
    pub fn page_size(&self) -> usize {
        self.page.clamp(1, PAGE_MAX)
    }

    /// Returns the query of a list, whose pages have a hundred launches.
    pub fn new(of: Launches) -> Self {
        Self { of, route: None, since: None, until: None, filter: Filter::default(), page: 100 }
    }

    /// Returns whether the answer contains a launch.
    pub fn takes(&self, record: &LaunchRecord) -> bool {
        let is_listed = match &self.of {
            Launches::All => true,
            Launches::Failed => has_failed(record),
            Launches::Of(name) => object(record).is_some_and(|object| object == *name),
            Launches::Open => record.ended.is_none(),
        };
        let is_of_route = self.route.as_ref().is_none_or(|route| *route == record.key.route);
        is_listed && is_of_route && self.spans(self.time(record)) && self.filter.takes(record)
    }

    /// Returns the time of a launch that `since` and `until` are about: that of its failure in a list of failed
    /// launches, otherwise that of its record. All lists but that of open launches are sorted by it.
    pub fn time(&self, record: &LaunchRecord) -> Timestamp {
        let failed = record.ended.as_ref().filter(|_| self.of == Launches::Failed);
        failed.map_or(record.created, |ended| ended.at)
    }

    fn spans(&self, time: Timestamp) -> bool {
        let time = time.as_millisecond();
        self.since.is_none_or(|since| since.as_millisecond() <= time)
            && self.until.is_none_or(|until| time < until.as_millisecond())
    }
}

impl Filter {
    fn takes(&self, record: &LaunchRecord) -> bool {
        let is_in = |task: &LaunchedTask, name: &String| task.arn == *name || task.id() == name;
        (self.states.is_empty() || self.states.contains(&LaunchState::of(record)))
            && self.task.as_ref().is_none_or(|task| *task == record.task)
            && self.event_id.as_ref().is_none_or(|id| *id == record.event_id)
            && self.reason.as_ref().is_none_or(|glob| reason(record).is_some_and(|reason| glob.matches(&reason)))
            && self.ecs_task.as_ref().is_none_or(|name| record.tasks.iter().any(|task| is_in(task, name)))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.bucket, self.key)
    }
}

impl LaunchState {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Concluding,
        Self::Succeeded,
        Self::Stopped,
        Self::Replaced,
        Self::Cancelled,
        Self::Skipped,
        Self::DeadLettered,
    ];

    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Concluding => "concluding",
            Self::Succeeded => "succeeded",
            Self::Stopped => "stopped",
            Self::Replaced => "replaced",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::DeadLettered => "dead_lettered",
        }
    }

    /// Returns the state of a launch.
    pub fn of(record: &LaunchRecord) -> Self {
        match record.ended.as_ref().map(|ended| &ended.outcome) {
            Some(Outcome::Succeeded) => Self::Succeeded,
            Some(Outcome::Stopped) => Self::Stopped,
            Some(Outcome::Replaced) => Self::Replaced,
            Some(Outcome::Cancelled) => Self::Cancelled,
            Some(Outcome::Skipped(_)) => Self::Skipped,
            Some(Outcome::DeadLettered(_)) => Self::DeadLettered,
            None if record.concluding.is_some() => Self::Concluding,
            None if !record.tasks.is_empty() => Self::Running,
            None if record.slot == Some(Slot::Waiting) => Self::Queued,
            None => Self::Starting,
        }
    }
}

impl Summary {
    /// Returns the summary of a launch.
    pub fn of(record: &LaunchRecord) -> Self {
        Self {
            launch: record.key.to_string(),
            route: record.key.route.clone(),
            task: record.task.clone(),
            index: record.index,
            state: LaunchState::of(record),
            created: record.created,
            started: record.tasks.iter().map(|task| task.since).min(),
            ended: record.ended.as_ref().map(|ended| ended.at),
            reason: reason(record),
            attempts: record.attempts.len(),
            ecs_tasks: record.tasks.iter().map(|task| task.arn.clone()).collect(),
            event_id: record.event_id.clone(),
            object: object(record),
        }
    }
}

/// Returns whether a text names a launch: it is the beginning of the launch's name or id, or of the id or ARN of one of
/// its ECS tasks.
pub fn is_named(record: &LaunchRecord, text: &str) -> bool {
    let of_task = |task: &LaunchedTask| task.arn.starts_with(text) || task.id().starts_with(text);
    record.key.id.starts_with(text) || record.key.to_string().starts_with(text) || record.tasks.iter().any(of_task)
}

/// Returns whether a launch has ended in a dead letter.
pub fn has_failed(record: &LaunchRecord) -> bool {
    record.ended.as_ref().is_some_and(Conclusion::is_failure)
}

/// Returns why a launch failed or was skipped, or the last reply of ECS that left an open launch without its tasks.
pub fn reason(record: &LaunchRecord) -> Option<String> {
    match record.ended.as_ref().or(record.concluding.as_ref()).map(|conclusion| &conclusion.outcome) {
        Some(Outcome::DeadLettered(reason)) => Some(reason.clone()),
        Some(Outcome::Skipped(skipped)) => Some(why_skipped(*skipped).to_owned()),
        Some(Outcome::Succeeded | Outcome::Stopped | Outcome::Replaced | Outcome::Cancelled) => None,
        None => {
            let undecided = record.attempts.last().and_then(|last| last.undecided.as_ref());
            undecided.map(|undecided| undecided.reply.to_string())
        }
    }
}

/// Returns what happened to a launch, in the order of time.
pub fn timeline(record: &LaunchRecord) -> Vec<(Timestamp, String)> {
    let mut moments = vec![(record.created, format!("recorded, because of the event {}", record.event_id))];
    for (number, attempt) in record.attempts.iter().enumerate() {
        moments.push((attempt.opened, attempted(number, attempt)));
    }
    for task in &record.tasks {
        moments.push((task.since, format!("the task {} was started", task.id())));
    }
    moments.sort_by_key(|(at, _)| *at);
    let ended = record.tasks.iter().filter_map(|task| Some((task, task.stopped.as_ref()?)));
    let ended = ended.map(|(task, stopped)| {
        let next = if task.retried { "; another one replaces it" } else { "" };
        format!("the task {} stopped: {stopped}{next}", task.id())
    });
    let end = record.ended.as_ref().or(record.concluding.as_ref());
    let at = end.map_or_else(|| moments.last().map_or(record.created, |(at, _)| *at), |end| end.at);
    moments.extend(ended.map(|what| (at, what)));
    moments.extend(end.map(|end| (end.at, LaunchState::of(record).as_str().replace('_', "-"))));
    moments
}

fn attempted(number: usize, attempt: &Attempt) -> String {
    let what = match (&attempt.reply, &attempt.undecided) {
        (Some(Reply::Tasks { task_arns, failures }), _) if failures.is_empty() && !task_arns.is_empty() => {
            "ECS accepted it".to_owned()
        }
        (Some(reply), _) => reply.to_string(),
        (None, Some(undecided)) => format!("{}, {} times so far", undecided.reply, undecided.times),
        (None, None) => "no reply yet".to_owned(),
    };
    format!("attempt {} to start the task: {what}", number + 1)
}

/// Returns why a launch was skipped, in words.
pub fn why_skipped(skipped: Skipped) -> &'static str {
    match skipped {
        Skipped::Full => "its concurrency limit is reached",
        Skipped::Older => "a later event of this object was already launched",
        Skipped::Superseded => "a later event replaces it",
    }
}

/// Returns the object that a launch's event is about, if S3 sent the event. A name that is longer than S3 allows is
/// nothing that an index holds.
pub fn object(record: &LaunchRecord) -> Option<ObjectName> {
    let name = named(&record.identity)?;
    (name.to_string().len() <= LIST_NAME_BYTES_MAX).then_some(name)
}

/// Returns the object that the identity of an event of S3 contains.
fn named(identity: &Identity) -> Option<ObjectName> {
    let parts: Vec<&str> = identity.parts().collect();
    let ["s3", _, bucket, key, _, _] = parts.as_slice() else { return None };
    Some(ObjectName { bucket: (*bucket).to_owned(), key: (*key).to_owned() })
}

#[cfg(test)]
mod tests;
