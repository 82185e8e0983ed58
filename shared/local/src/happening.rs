//! What happens while `dev` runs, as it is shown to the user.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

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
    /// A schedule fires at this time next.
    Scheduled {
        route: String,
        /// `None` if the schedule never fires again.
        next: Option<Timestamp>,
    },
    /// A schedule fires.
    Fired { route: String, scheduled_time: Timestamp },
    /// A firing came too late; the later one at `next` replaces it.
    Superseded { next: Timestamp },
    /// A message was received.
    Message {
        queue: String,
        message_id: String,
        /// How often the message was received, this time included.
        receive_count: u32,
    },
    /// S3 or SNS sent a message about itself, which starts nothing.
    MessageIgnored { reason: String },
    /// A message returns to its queue because an earlier one of its group failed.
    HeldBack,
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
    },
    /// No route takes the event.
    Ignored,
    /// The routes that take the event have an empty `for_each` list.
    EmptyList { routes: Vec<String> },
    /// A route started tasks.
    Launched {
        route: String,
        task_name: String,
        /// The tasks' ids.
        tasks: Vec<String>,
    },
    /// An earlier delivery of the same event started all of the route's tasks.
    Duplicate { route: String },
    /// The route's settings forbid the launch.
    Skipped { route: String, reason: String },
    /// The launch is in the ledger and continues later.
    Deferred {
        route: String,
        /// What the launch waits for.
        reason: String,
    },
    /// A launch ended without its work being done; its event is among the dead letters.
    EventDeadLettered { route: String, reason: String },
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
    /// A process wrote a line.
    Output {
        /// The task's id.
        task: String,
        container: String,
        stream: Stream,
        line: String,
    },
    /// A task ended.
    Stopped {
        /// The task's id.
        task: String,
        containers: Vec<ContainerExit>,
        /// How long the task ran.
        duration: Duration,
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
