//! What happens while `dev` runs, as it is shown to the user.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use trigger_core::event::identity::LaunchKey;

/// What a happening of a launch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The route's name.
    pub route: String,
    /// The launch, if the event made one.
    pub launch: Option<LaunchKey>,
    /// The number of its attempt, from 0, if there is one.
    pub attempt: Option<u32>,
    /// The event's id.
    pub event_id: String,
    /// What the event is about, for people: the object's key, or the event's id.
    pub subject: String,
}

/// A start of a launch's task, among those that its `retry` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which start it is, from 1.
    pub number: u32,
    /// How many there are at most.
    pub max: u32,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Ending {
    Succeeded,
    Failed,
    /// It ran longer than its timeout.
    TimedOut,
    /// A person or a program stopped it.
    Stopped,
    /// A later launch replaced its launch.
    Replaced,
}

/// What follows the end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The task starts again.
    Again {
        /// The next start.
        start: Start,
        /// When.
        at: Timestamp,
    },
}

/// An element of the config.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// `route`, `task`, `worker`, or `setting` for any other key.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// What differs between two versions of the config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ConfigChanges {
    pub added: Vec<Element>,
    pub changed: Vec<Element>,
    pub removed: Vec<Element>,
}

/// Something that happened and is shown to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "most fields are plain by their names")]
pub enum Happening {
    /// A bucket is watched.
    Watching {
        bucket: String,
        folder: PathBuf,
        /// How many files were in the folder already.
        files: usize,
    },
    /// A queue's folder is watched.
    WatchingQueue {
        queue: String,
        folder: PathBuf,
        /// How many messages were in the folder already.
        messages: usize,
    },
    /// The endpoint for S3 and SQS listens.
    Listening {
        url: String,
        /// The file with its URL and credentials.
        file: PathBuf,
    },
    /// A schedule fires at this time next.
    Scheduled {
        route: String,
        /// `None` if the schedule never fires again.
        next: Option<Timestamp>,
    },
    /// A schedule fires.
    Fired { route: String, scheduled_time: Timestamp, event_id: String },
    /// A firing came too late; the later one at `next` replaces it.
    Superseded { event_id: String, next: Timestamp },
    /// A task definition or some of its containers have no entry under `local`.
    MissingLocal {
        /// The family, or the service of workers.
        task_definition: String,
        /// What to add to the config.
        snippet: String,
    },
    /// The config has changed, and the new one applies.
    ConfigChanged(ConfigChanges),
    /// The config has changed, but the one before still applies.
    ConfigKept { reason: String },
    /// `dev` was interrupted, and stops these tasks.
    Stopping {
        /// The tasks' ids, each with its launch unless it is a worker.
        tasks: Vec<(String, Option<About>)>,
    },
    /// Another process asked for something, and it was done or not.
    Requested {
        /// The request.
        request: String,
        /// What was done, or why nothing was.
        answer: Result<String, String>,
    },
    /// A message was received.
    Message {
        queue: String,
        message_id: String,
        /// How often the message was received, this time included.
        receive_count: u32,
    },
    /// S3 or SNS sent a message about itself, which starts nothing.
    MessageIgnored { message_id: String, reason: String },
    /// A message returns to its queue because an earlier one of its group failed.
    HeldBack { message_id: String },
    /// A message was received too often and is now in the dead-letter folder.
    DeadLettered {
        queue: String,
        /// The message's file in the dead-letter folder.
        file: PathBuf,
    },
    /// A file landed or was removed.
    Object {
        /// `Object Created` or `Object Deleted`.
        detail_type: &'static str,
        bucket: String,
        key: String,
        event_id: Option<String>,
    },
    /// Another process gave `dev` an event.
    Emitted { source: String, detail_type: String, event_id: String },
    /// No route takes the event.
    Ignored { event_id: String },
    /// The routes that take the event have an empty `for_each` list.
    EmptyList { event_id: String, routes: Vec<String> },
    /// A launch started its task.
    Launched {
        about: About,
        task_name: String,
        /// The task's id.
        task: String,
        start: Start,
    },
    /// An earlier delivery of the same event started the launch's task.
    Duplicate { about: About },
    /// The route's settings forbid the launch.
    Skipped { about: About, reason: String },
    /// The launch is in the ledger and continues later.
    Deferred {
        about: About,
        /// What the launch waits for.
        reason: String,
    },
    /// A launch ended without its work being done; its event is among the dead letters.
    EventDeadLettered { about: About, reason: String },
    /// The work of a dead letter was done after all; its file was moved.
    LetterClosed {
        about: About,
        /// The file now.
        file: PathBuf,
    },
    /// A file is still being written, or was a moment ago; `dev` takes it when it is complete.
    Incomplete { bucket: String, key: String },
    /// A worker's number of tasks or queue depth changed.
    Scaling {
        worker: String,
        /// Messages that can be received.
        visible: u64,
        /// Messages that were received and not yet deleted.
        in_flight: u64,
        /// Tasks that are running.
        running: u32,
        /// Tasks that there should be.
        desired: u32,
        /// The scaling decision and its reason.
        reason: String,
        /// The depths of the last ticks, the latest last.
        depths: Vec<u64>,
    },
    /// Something failed.
    Refused { reason: String },
    /// A launch failed for now, or for good.
    LaunchRefused { about: About, reason: String },
    /// A process wrote a line.
    Output {
        /// The task's id.
        task: String,
        /// The task's launch, unless the task is a worker.
        about: Option<About>,
        container: String,
        stream: Stream,
        line: String,
    },
    /// A task ended.
    Stopped {
        /// The task's id.
        task: String,
        /// The task's launch, unless the task is a worker.
        about: Option<About>,
        containers: Vec<ContainerExit>,
        /// How long the task ran.
        duration: Duration,
        ending: Ending,
        /// What follows.
        next: Next,
    },
}

/// A stream that a process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// The container's name.
    pub container: String,
    /// The exit code; 128 + n for signal n.
    pub code: u8,
    /// Whether the task ends with this container and is judged by its exit code.
    pub essential: bool,
}
