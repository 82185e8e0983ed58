//! What happens while `dev` runs, to be told to the user.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

/// Something to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A bucket is watched.
    Watching {
        /// The bucket's name.
        bucket: String,
        /// Its folder.
        folder: PathBuf,
        /// How many files lay there before.
        files: usize,
    },
    /// A queue's folder is looked into.
    WatchingQueue {
        /// The queue's name.
        queue: String,
        /// Its folder.
        folder: PathBuf,
        /// How many messages lay there before.
        messages: usize,
    },
    /// A schedule will fire.
    Scheduled {
        /// The route's name.
        route: String,
        /// When; never, if it has fired for the last time.
        next: Option<Timestamp>,
    },
    /// A schedule fires.
    Fired {
        /// The route's name.
        route: String,
        /// The time that it was due.
        scheduled_time: Timestamp,
    },
    /// A firing came too late, a later one stands for it.
    Superseded {
        /// The later one.
        next: Timestamp,
    },
    /// A message was received.
    Message {
        /// The queue's name.
        queue: String,
        /// The message's id.
        message_id: String,
        /// How often it was received, this time included.
        receive_count: u32,
    },
    /// S3's test of a notification was received.
    TestEvent,
    /// A message goes back to its queue, as an earlier one of its group failed.
    HeldBack,
    /// A message was received too often and is in the dead-letter folder now.
    DeadLettered {
        /// The queue's name.
        queue: String,
        /// Its file there.
        file: PathBuf,
    },
    /// A file landed, or went.
    Object {
        /// `Object Created` or `Object Deleted`.
        detail_type: &'static str,
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// No route takes the event.
    Ignored,
    /// The routes that take the event launch a task for each element of a list, and it has none.
    EmptyList {
        /// The routes' names.
        routes: Vec<String>,
    },
    /// A route started tasks.
    Launched {
        /// The route's name.
        route: String,
        /// The task's name.
        task_name: String,
        /// The tasks' ids.
        tasks: Vec<String>,
    },
    /// The route's tasks were all started by the same event before.
    Duplicate {
        /// The route's name.
        route: String,
    },
    /// Nothing is started, as the route wants it.
    Skipped {
        /// The route's name.
        route: String,
        /// Why.
        reason: String,
    },
    /// The launch is in the ledger, and goes on later.
    Deferred {
        /// The route's name.
        route: String,
        /// What it waits for.
        reason: String,
    },
    /// A launch has ended without its work being done; its event is among the dead letters.
    EventDeadLettered {
        /// The route's name.
        route: String,
        /// Why.
        reason: String,
    },
    /// A file is still being written, or was a moment ago; it is taken when it is complete.
    Incomplete {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// The number of a queue's workers changed, or its depth did.
    Scaling {
        /// The worker's name.
        worker: String,
        /// Messages that can be received.
        visible: u64,
        /// Messages that are worked on.
        in_flight: u64,
        /// Tasks that run.
        running: u32,
        /// Tasks that there should be.
        desired: u32,
        /// What was decided, and why.
        reason: String,
        /// The depths of the last ticks, the latest last.
        depths: Vec<u64>,
    },
    /// Something could not be done.
    Refused {
        /// What and why.
        reason: String,
    },
    /// A process wrote a line.
    Output {
        /// The task's id.
        task: String,
        /// The container's name.
        container: String,
        /// Where it was written to.
        stream: Stream,
        /// The line.
        line: String,
    },
    /// A task ended.
    Stopped {
        /// The task's id.
        task: String,
        /// How its containers ended.
        containers: Vec<ContainerExit>,
        /// How long it ran.
        duration: Duration,
    },
}

/// Where a process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// The container's name.
    pub container: String,
    /// Its exit code; 128 + n for signal n.
    pub code: u8,
    /// Whether the task ends with it and is judged by it.
    pub essential: bool,
}
