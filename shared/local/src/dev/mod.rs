//! `ecs-trigger dev`: folders are watched, files become events and messages, schedules fire, and events start processes.

pub mod clock;
pub mod timetable;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};
use trigger_core::config::local::Local;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Event, Firing, Queue, Record};
use trigger_core::launch::{self, Conclusion, LaunchRecord, Skipped};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::{Action, Observation};
use trigger_core::storage::BucketName;
use trigger_core::storage::DueFor;
use trigger_engine::ports::{Depth, Ledger};
use trigger_engine::{
    Delivered, EventError, LaunchReport, MessageOutcome, Outcome, Scaler, StateChangeOutcome, Times, WorkerReport,
    handle, handle_batch, handle_state_change, sweep,
};

use crate::dev::clock::Clock;
use crate::dev::timetable::{Due, Timetable};
use crate::folders::bucket::{Bucket, NotAnObject};
use crate::folders::landing::{Landed, files_being_written, is_complete};
use crate::folders::queue::{FolderQueue, Look, Received};
use crate::folders::watch::Watch;
pub use crate::happening::{ContainerExit, Happening, Stream};
use crate::payloads::STATE_FOLDER;
use crate::sandbox::endpoint::WorkerEndpoint;
use crate::{FolderDeadLetters, FolderLedger, FolderPayloads, Here, LocalLauncher, LocalScaling, Started};

/// How many happenings may wait to be told: a process that writes faster than it is told waits as well.
const HAPPENINGS_MAX: usize = 1000;
/// How often it is looked what is due in the ledger.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether a worker is due.
const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// How long messages may be left without a worker before `once` gives up.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// How many ticks' depths are told.
const DEPTHS_MAX: usize = 30;
/// How often files are looked at that are not complete.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What `dev` is asked to do.
#[derive(Debug)]
pub struct Options {
    /// The routing config.
    pub config: RoutingConfig,
    /// The config's folder.
    pub folder: PathBuf,
    /// Whether to take the files that are there, and end with the last task; else to wait for files.
    pub once: bool,
    /// How many tasks may run at once.
    pub tasks_max: usize,
    /// The command that supervises a process, to be followed by the process's own.
    pub supervisor: Vec<String>,
    /// The time that schedules begin at, instead of now. With `once`, what is due within a minute from then fires.
    pub start_at: Option<Timestamp>,
    /// How many times as fast as time passes the schedules' clock runs.
    pub speed: f64,
}

/// What it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events of files and schedules, and messages.
    pub events: usize,
    /// Tasks that ran and ended well.
    pub succeeded: usize,
    /// Tasks that ran and did not.
    pub failed: usize,
    /// Events whose tasks could not be started.
    pub refused: usize,
}

/// Why `dev` cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A bucket's folder cannot be used.
    #[error("the folder {} of the bucket `{bucket}`: {error}", folder.display())]
    Bucket {
        /// The bucket's name.
        bucket: String,
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A name under `local: buckets:` names no bucket.
    #[error("`{0}`, under `local: buckets:`, cannot be a bucket's name")]
    BucketName(String),
    /// The config names no source of events that there is on this machine.
    #[error(
        "no route is about a bucket, a queue or a schedule, and there are no workers; give a route `on: s3`, `on: queue` or \
         `on: schedule`, or name a folder under `local: buckets:`"
    )]
    NoSource,
    /// Workers cannot be given a way to their queues.
    #[error("no port of this machine can be had for the workers' queues: {0}")]
    Endpoint(io::Error),
    /// What an earlier run left in the ledger cannot be removed.
    #[error("the ledger of an earlier run cannot be removed: {0}")]
    Ledger(io::Error),
    /// A queue's folder cannot be used.
    #[error("the folder {} of the queue `{queue}`: {error}", folder.display())]
    Queue {
        /// The queue's name.
        queue: String,
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The folders cannot be watched.
    #[error("the folders cannot be watched: {0}")]
    Watch(#[from] notify::Error),
}

/// Runs until every task has ended (`once`), or until `interrupted`; tells what happens as it happens.
///
/// # Errors
/// The folders cannot be used.
pub async fn run(
    options: Options,
    interrupted: impl Future<Output = ()>,
    mut show: impl FnMut(&Happening),
) -> Result<Summary, DevError> {
    let buckets = open_buckets(&options.config, &options.folder)?;
    let queues = open_queues(&options.config, &options.folder, options.config.queues())?;
    let worker_queues = open_queues(&options.config, &options.folder, options.config.worker_queues())?;
    // Whole seconds, as schedules have them.
    let now = || Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_else(|_| Timestamp::now());
    let began = options.start_at.unwrap_or_else(now);
    let pretended = options.start_at.is_some() || options.speed != 1.0;
    let clock = if pretended { Clock::pretended(began, options.speed) } else { Clock::Real };
    let timetable = Timetable::new(&options.config, &options.folder, began, pretended);
    let has_workers = !options.config.workers.is_empty();
    if buckets.is_empty() && queues.is_empty() && timetable.coming().next().is_none() && !has_workers {
        return Err(DevError::NoSource);
    }
    let mut watch = match options.once || buckets.is_empty() {
        true => None,
        false => Some(Watch::start(buckets.iter().map(|bucket| bucket.folder.as_path()))?),
    };
    let (happenings, mut told) = mpsc::channel(HAPPENINGS_MAX);
    let (stop, stopping) = watch::channel(false);
    let endpoint = match has_workers {
        true => Some(WorkerEndpoint::start(worker_queues, happenings.clone()).await.map_err(DevError::Endpoint)?),
        false => None,
    };
    let launcher = LocalLauncher {
        local: options.config.local.clone(),
        folder: options.folder.clone(),
        docker: uses_images(options.config.local.as_ref()) && docker_answers(),
        buckets: buckets.clone(),
        supervisor: options.supervisor,
        happenings,
        places: Arc::new(Semaphore::new(options.tasks_max)),
        stop: stopping,
        started: Arc::new(Mutex::new(Started::default())),
        alive: Arc::default(),
        worker_endpoint: endpoint.as_ref().map(|endpoint| endpoint.url.clone()),
    };
    let scaling = endpoint.map(|endpoint| LocalScaling::new(launcher.clone(), endpoint));
    let has_ledger = options.config.ledger().is_some();
    let dead_letters = FolderDeadLetters { folder: options.folder.join(STATE_FOLDER).join("dead-letters") };
    let ports = Here {
        launcher,
        ledger: FolderLedger::begin(&options.folder).map_err(DevError::Ledger)?,
        payloads: FolderPayloads { project: options.folder },
        dead_letters: has_ledger.then_some(dead_letters),
        pace: Mutex::default(),
    };
    let mut waiting: Vec<(&Bucket, PathBuf)> = Vec::new();
    let mut dev = Dev {
        config: options.config,
        ports,
        queues,
        timetable,
        clock,
        scaling,
        scaler: Scaler::default(),
        courses: HashMap::new(),
        last_problem: None,
        no_worker_since: None,
        show: &mut show,
        told_incomplete: HashSet::new(),
        summary: Summary::default(),
    };
    for bucket in &buckets {
        let files = bucket.files();
        let (name, folder) = (bucket.name.clone(), bucket.folder.clone());
        (dev.show)(&Happening::Watching { bucket: name, folder, files: files.len() });
        if options.once {
            waiting.extend(files.into_iter().map(|file| (bucket, file)));
        }
    }
    dev.introduce(options.once);
    // With `once`, until each message has been received.
    let mut queues_are_open = !dev.queues.is_empty();
    if options.once {
        dev.fire_once(options.start_at).await;
    } else {
        dev.catch_up().await;
    }
    let mut interrupted = std::pin::pin!(interrupted);
    let mut ending = options.once;
    let mut looks = interval(LOOK_INTERVAL);
    let mut sweeps = interval(SWEEP_INTERVAL);
    let mut ticks = interval(TICK_INTERVAL);
    // With `once`, until no worker's queue holds a message.
    let mut workers_work = has_workers;
    while !ending || workers_work || dev.is_busy(*stop.borrow()).await || !waiting.is_empty() || queues_are_open {
        let next_firing = dev.timetable.next().filter(|_| !ending).map(|time| clock.until(time));
        tokio::select! {
            _ = looks.tick(), if !waiting.is_empty() || queues_are_open => {
                dev.take_complete(&mut waiting).await;
                let took = dev.receive().await;
                if options.once && !took {
                    queues_are_open = dev.queues.iter().any(FolderQueue::has_unseen);
                }
            }
            () = pause(next_firing) => dev.fire_due().await,
            () = &mut interrupted, if !*stop.borrow() => {
                ending = true;
                watch = None;
                waiting.clear();
                queues_are_open = false;
                workers_work = false;
                stop.send_replace(true);
            }
            Some(happening) = told.recv() => dev.tell(&happening).await,
            _ = sweeps.tick(), if has_ledger && !*stop.borrow() => dev.sweep().await,
            _ = ticks.tick(), if has_workers && !*stop.borrow() => match workers_work {
                true => {
                    dev.scale().await;
                    workers_work = !(options.once && (dev.are_workers_done() || dev.are_workers_stuck()));
                }
                // Those that work on a message end it before.
                false => dev.stop_services().await,
            },
            landed = next(&mut watch) => dev.landed(&buckets, landed?).await,
        }
    }
    Ok(dev.summary)
}

async fn next(watch: &mut Option<Watch>) -> notify::Result<Landed> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

async fn pause(duration: Option<Duration>) {
    match duration {
        Some(duration) => sleep(duration).await,
        None => std::future::pending().await,
    }
}

struct Dev<'a, S> {
    config: RoutingConfig,
    ports: Here,
    queues: Vec<FolderQueue>,
    timetable: Timetable,
    clock: Clock,
    scaling: Option<LocalScaling>,
    scaler: Scaler,
    /// The depths of each worker's last ticks, and what was told of it last.
    courses: HashMap<String, (VecDeque<u64>, String)>,
    /// What went wrong with workers last.
    last_problem: Option<String>,
    /// Since when no worker has run.
    no_worker_since: Option<Instant>,
    show: &'a mut S,
    told_incomplete: HashSet<PathBuf>,
    summary: Summary,
}

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Tells where messages are taken from and when schedules fire.
    fn introduce(&mut self, once: bool) {
        for queue in &self.queues {
            (self.show)(&introduced(queue));
        }
        for queue in self
            .scaling
            .iter()
            .flat_map(|scaling| scaling.endpoint.state().queues.iter().map(introduced).collect::<Vec<_>>())
        {
            (self.show)(&queue);
        }
        for (route, next) in self.timetable.coming().filter(|_| !once) {
            (self.show)(&Happening::Scheduled { route: route.to_owned(), next });
        }
    }

    /// Looks after the workers that are due, and lets services do what they do by themselves.
    async fn scale(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        let reports = self.scaler.tick(&self.config, scaling).await;
        let settled = scaling.settle().await;
        for report in reports {
            self.tell_worker(report);
        }
        settled.unwrap_or_else(|reason| self.refuse_once(reason));
    }

    fn tell_worker(&mut self, report: WorkerReport) {
        let WorkerReport { worker, observation, decision, problems, .. } = report;
        problems.into_iter().for_each(|problem| self.refuse_once(format!("{worker}: {problem}")));
        let Observation { visible: Some(visible), in_flight: Some(in_flight), running: Some(running), .. } =
            observation
        else {
            return;
        };
        let desired = match decision.action {
            Action::SetDesired(count) => count,
            Action::Launch(count) => running + observation.pending.unwrap_or(0) + count,
            Action::Hold => observation.desired.unwrap_or(running),
        };
        let (depths, told) = self.courses.entry(worker.clone()).or_default();
        depths.push_back(visible + in_flight);
        depths.drain(..depths.len().saturating_sub(DEPTHS_MAX));
        let reason = decision.reason.to_string();
        let now = format!("{visible} {in_flight} {running} {desired} {reason}");
        if *told != now {
            *told = now;
            let depths = depths.iter().copied().collect();
            (self.show)(&Happening::Scaling { worker, visible, in_flight, running, desired, reason, depths });
        }
    }

    /// Whether no worker's queue holds a message.
    fn are_workers_done(&self) -> bool {
        self.scaling.as_ref().is_none_or(|scaling| {
            scaling.endpoint.state().queues.iter().all(|queue| queue.depth(Instant::now()) == Depth::default())
        })
    }

    /// Whether messages are left and no worker has run for a while; then that is told.
    fn are_workers_stuck(&mut self) -> bool {
        if self.ports.launcher.alive.load(Ordering::Relaxed) > 0 {
            self.no_worker_since = None;
            return false;
        }
        let since = *self.no_worker_since.get_or_insert_with(Instant::now);
        let is_stuck = since.elapsed() >= STUCK_AFTER;
        if is_stuck {
            let reason =
                "messages are left in workers' queues, and no worker takes them: see what was said of their tasks";
            self.refuse(reason.to_owned());
        }
        is_stuck
    }

    async fn stop_services(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        if let Err(reason) = scaling.stop_services().await {
            self.refuse(reason);
        }
    }

    /// Tells what goes wrong at every tick only when it is new.
    fn refuse_once(&mut self, reason: String) {
        if self.last_problem.as_ref() != Some(&reason) {
            self.last_problem = Some(reason.clone());
            self.refuse(reason);
        }
    }

    /// Fires what is due within a minute from a time, or without one what was missed; then no schedule fires any more.
    async fn fire_once(&mut self, start: Option<Timestamp>) {
        let Some(start) = start else { return self.catch_up().await };
        let end = start.checked_add(SignedDuration::from_secs(59)).unwrap_or(start);
        for due in self.timetable.take_due(end) {
            self.fire(due).await;
        }
    }

    /// Fires what was missed while this project did not run.
    async fn catch_up(&mut self) {
        for due in self.timetable.missed() {
            self.fire(due).await;
        }
        self.remember(self.timetable.began);
    }

    async fn fire_due(&mut self) {
        let now = self.clock.now();
        for due in self.timetable.take_due(now) {
            self.fire(due).await;
        }
        self.remember(now);
    }

    async fn fire(&mut self, due: Due) {
        let Due { time: scheduled_time, route } = due;
        self.summary.events += 1;
        let firing = Firing::local(&route, scheduled_time).into_event();
        (self.show)(&Happening::Fired { route, scheduled_time });
        // However fast a pretended clock runs, nothing comes too late by it.
        let now = if matches!(self.clock, Clock::Real) { self.clock.now() } else { scheduled_time };
        let text = firing.text.clone();
        let delivered = Delivered { text: &text, event: Ok(firing), now, deadline: None };
        let result = handle(delivered, &self.config, &self.ports).await;
        self.report(result);
    }

    fn remember(&mut self, now: Timestamp) {
        if let Err(error) = self.timetable.remember(now) {
            self.refuse(format!("what has fired cannot be written down: {error}"));
        }
    }

    /// Receives messages of each queue; whether there were any.
    async fn receive(&mut self) -> bool {
        let mut took = false;
        for position in 0..self.queues.len() {
            let Look { received, dead_lettered, refused } = self.queues[position].look(Instant::now());
            let queue = self.queues[position].queue.name.clone();
            for file in dead_lettered {
                (self.show)(&Happening::DeadLettered { queue: queue.clone(), file });
            }
            for (path, reason) in refused {
                self.refuse(format!("{} is no message: {reason}", path.display()));
            }
            if received.is_empty() {
                continue;
            }
            took = true;
            self.batch(position, received).await;
        }
        took
    }

    async fn batch(&mut self, position: usize, received: Vec<Received>) {
        let records: Vec<Record> = received.iter().map(|received| received.record.clone()).collect();
        let times = Times { now: self.clock.now(), deadline: None };
        let outcomes = handle_batch(&records, &self.config, &self.ports, times, |_, _| {}).await;
        for (received, outcome) in received.into_iter().zip(outcomes) {
            self.summary.events += 1;
            let record = &received.record;
            (self.show)(&Happening::Message {
                queue: record.queue.name.clone(),
                message_id: record.message_id.clone(),
                receive_count: record.receive_count(),
            });
            if !outcome.goes_back()
                && let Err(error) = self.queues[position].delete(&received.path)
            {
                self.refuse(format!("{} cannot be removed: {error}", received.path.display()));
            }
            match outcome {
                MessageOutcome::Done(reports) => reports.into_iter().for_each(|report| self.report(Ok(report))),
                MessageOutcome::Failed(results) => results.into_iter().for_each(|result| self.report(result)),
                MessageOutcome::TestEvent => (self.show)(&Happening::TestEvent),
                MessageOutcome::HeldBack => (self.show)(&Happening::HeldBack),
            }
        }
    }

    async fn landed(&mut self, buckets: &[Bucket], landed: Landed) {
        let (Landed::Created(path) | Landed::Deleted(path)) = &landed;
        for bucket in buckets.iter().filter(|bucket| path.starts_with(&bucket.folder)) {
            match &landed {
                Landed::Created(path) => self.object_created(bucket, path).await,
                Landed::Deleted(path) => {
                    let event = bucket.object_deleted(path, Timestamp::now());
                    self.object(bucket, path, "Object Deleted", event).await;
                }
            }
        }
    }

    /// Takes the files that are complete; the others go on waiting.
    async fn take_complete(&mut self, waiting: &mut Vec<(&Bucket, PathBuf)>) {
        if waiting.is_empty() {
            return;
        }
        let written = files_being_written();
        for (bucket, path) in std::mem::take(waiting) {
            if is_complete(&path, &written) {
                self.object_created(bucket, &path).await;
                continue;
            }
            if self.told_incomplete.insert(path.clone()) {
                let key = bucket.key(&path).unwrap_or_default();
                (self.show)(&Happening::Incomplete { bucket: bucket.name.clone(), key });
            }
            waiting.push((bucket, path));
        }
    }

    async fn object_created(&mut self, bucket: &Bucket, path: &Path) {
        // A large file takes a while to read; the tasks' output goes on meanwhile.
        let (of_bucket, of_path) = (bucket.clone(), path.to_owned());
        let Ok(event) = spawn_blocking(move || of_bucket.object_created(&of_path)).await else { return };
        self.object(bucket, path, "Object Created", event).await;
    }

    async fn object(
        &mut self,
        bucket: &Bucket,
        path: &Path,
        detail_type: &'static str,
        event: Result<String, NotAnObject>,
    ) {
        let (event, key) = match event.and_then(|event| Ok((event, bucket.key(path)?))) {
            Ok(event) => event,
            // Gone again before it could be read: its deletion is the next event.
            Err(NotAnObject::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(error.to_string()),
        };
        self.summary.events += 1;
        (self.show)(&Happening::Object { detail_type, bucket: bucket.name.clone(), key });
        let now = self.clock.now();
        let delivered = Delivered { text: &event, event: Event::decode(&event), now, deadline: None };
        let result = handle(delivered, &self.config, &self.ports).await;
        self.report(result);
    }

    fn report(&mut self, result: Result<LaunchReport, EventError>) {
        let report = match result {
            Ok(report) | Err(EventError::Launch(report)) => report,
            Err(error) => return self.refuse(error.to_string()),
        };
        match report.superseded_by {
            Some(next) => (self.show)(&Happening::Superseded { next }),
            None if report.routes.is_empty() => (self.show)(&Happening::Ignored),
            None if report.launches.is_empty() => (self.show)(&Happening::EmptyList { routes: report.routes }),
            None => {}
        }
        for launch in report.launches {
            match launch.outcome {
                Outcome::Launched { task_arns } => {
                    let tasks = task_arns.iter().filter_map(|arn| arn.rsplit('/').next()).map(str::to_owned).collect();
                    (self.show)(&Happening::Launched { route: launch.route, task_name: launch.task, tasks });
                }
                Outcome::Duplicate { .. } => (self.show)(&Happening::Duplicate { route: launch.route }),
                Outcome::Skipped(skipped) => {
                    let reason = why_skipped(skipped).to_owned();
                    (self.show)(&Happening::Skipped { route: launch.route, reason });
                }
                Outcome::Deferred { reason, .. } => {
                    (self.show)(&Happening::Deferred { route: launch.route, reason });
                }
                Outcome::DeadLettered { reason } => self.refuse(format!(
                    "the route `{}`: {reason}; the event is in {STATE_FOLDER}/dead-letters",
                    launch.route
                )),
                Outcome::Failed { reason } => self.refuse(format!("the route `{}`: {reason}", launch.route)),
            }
        }
        // They were told of just now.
        self.ports.launcher.started().take_untold();
    }

    /// Whether a task runs, or a launch waits for something. When all is to stop, nothing is waited for but tasks.
    async fn is_busy(&self, stops: bool) -> bool {
        if self.ports.launcher.alive.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let Some(storage) = self.config.ledger().filter(|_| !stops) else { return false };
        let due = self.ports.ledger.list(&storage.due_prefix(), None, &storage.due_until(Timestamp::MAX)).await;
        for due in due.unwrap_or_default().iter().filter_map(|uri| storage.parse_due(uri)) {
            let DueFor::Launch(key) = due.what else { continue };
            let entry = self.ports.ledger.read(&storage.launch_uri(&key)).await.ok().flatten();
            let record = entry.and_then(|entry| LaunchRecord::parse(&entry.text).ok());
            // What is left of one that has ended is nothing to wait for.
            if record.is_some_and(|record| record.ended.is_none()) {
                return true;
            }
        }
        false
    }

    /// Looks at what is due in the ledger.
    async fn sweep(&mut self) {
        let Some(storage) = self.config.ledger() else { return };
        match sweep(storage, &self.ports, None).await {
            Ok(report) => report.launches.iter().for_each(|(key, conclusion)| self.ended(key, conclusion.as_ref())),
            Err(error) => self.refuse(error.to_string()),
        }
        self.tell_untold();
    }

    /// Tells the ledger that a task has stopped.
    async fn stopped(&mut self, task: &str) {
        let change = self.ports.launcher.started().state_change(task);
        let (Some(change), Some(ledger)) = (change, self.config.ledger()) else { return };
        match handle_state_change(&change, Some(ledger), &self.ports, None).await {
            Ok(StateChangeOutcome::Recorded { launch, conclusion, others }) => {
                self.ended(&launch, conclusion.as_ref());
                others.iter().for_each(|(launch, conclusion)| self.ended(launch, conclusion.as_ref()));
            }
            Ok(StateChangeOutcome::Ignored) => {}
            Err(error) => self.refuse(error.to_string()),
        }
        self.tell_untold();
    }

    fn ended(&mut self, launch: &LaunchKey, conclusion: Option<&Conclusion>) {
        let route = launch.route.clone();
        match conclusion.map(|conclusion| &conclusion.outcome) {
            Some(launch::Outcome::DeadLettered(reason)) => {
                self.summary.refused += 1;
                (self.show)(&Happening::EventDeadLettered { route, reason: reason.clone() });
            }
            Some(launch::Outcome::Skipped(skipped)) => {
                (self.show)(&Happening::Skipped { route, reason: why_skipped(*skipped).to_owned() });
            }
            _ => {}
        }
    }

    /// Tells of tasks that no event started just now: those that waited, and those that are started again.
    fn tell_untold(&mut self) {
        let untold = self.ports.launcher.started().take_untold();
        for (started_by, tasks) in untold {
            let Some((key, _)) = LaunchKey::of_started_by(&started_by) else { continue };
            let route = self.config.routes.iter().find(|route| route.name == key.route);
            let names = route.into_iter().flat_map(|route| self.config.tasks(route)).map(|task| task.name.as_str());
            let task_name = names.collect::<Vec<_>>().join(", ");
            (self.show)(&Happening::Launched { route: key.route, task_name, tasks });
        }
    }

    fn refuse(&mut self, reason: String) {
        self.summary.refused += 1;
        (self.show)(&Happening::Refused { reason });
    }

    async fn tell(&mut self, happening: &Happening) {
        // Of a worker's queue: those of routes are told of where they are looked into.
        if matches!(happening, Happening::DeadLettered { .. }) {
            self.summary.refused += 1;
        }
        if let Happening::Stopped { containers, .. } = happening {
            self.ports.launcher.alive.fetch_sub(1, Ordering::Relaxed);
            // A container that is not essential was stopped with the task, in whatever state.
            match containers.iter().all(|exit| exit.code == 0 || !exit.essential) {
                true => self.summary.succeeded += 1,
                false => self.summary.failed += 1,
            }
        }
        (self.show)(happening);
        if let Happening::Stopped { task, .. } = happening
            && !*self.ports.launcher.stop.borrow()
        {
            self.stopped(task).await;
        }
    }
}

fn why_skipped(skipped: Skipped) -> &'static str {
    match skipped {
        Skipped::Full => "as many of its tasks run as may",
        Skipped::Older => "a later event of this object was launched before",
        Skipped::Superseded => "a later event takes its place",
    }
}

/// The buckets that routes name, and those that `local` gives a folder.
fn open_buckets(config: &RoutingConfig, folder: &Path) -> Result<Vec<Bucket>, DevError> {
    let mapped = config.local.as_ref().and_then(|local| local.buckets.as_ref());
    let mut names = config.buckets();
    names.extend(mapped.iter().flat_map(|mapped| mapped.names()).filter(|name| !config.buckets().contains(name)));
    let open = |name: &str| {
        if !BucketName::is_valid(name) {
            return Err(DevError::BucketName(name.to_owned()));
        }
        let own = mapped.and_then(|mapped| mapped.get(name)).map(|folder| folder.value.clone());
        let folder = folder.join(own.unwrap_or_else(|| format!("buckets/{name}")));
        Bucket::open(name, &folder).map_err(|error| DevError::Bucket { bucket: name.to_owned(), folder, error })
    };
    names.into_iter().map(open).collect()
}

/// The queues that routes name, their folders made where they are missing.
fn introduced(queue: &FolderQueue) -> Happening {
    let (name, folder) = (queue.queue.name.clone(), queue.folder.clone());
    Happening::WatchingQueue { queue: name, folder, messages: queue.files().len() }
}

fn open_queues(config: &RoutingConfig, folder: &Path, named: Vec<&Queue>) -> Result<Vec<FolderQueue>, DevError> {
    let mut queues: Vec<FolderQueue> = Vec::new();
    for queue in named {
        let mut queue = FolderQueue::new(queue, config.local.as_ref(), folder);
        let opened = fs::create_dir_all(&queue.folder).and_then(|()| queue.folder.canonicalize());
        let failed = |error| DevError::Queue { queue: queue.queue.name.clone(), folder: queue.folder.clone(), error };
        let opened = opened.map_err(failed)?;
        if queues.iter().any(|other| other.folder == opened) {
            return Err(failed(io::Error::other(
                "another queue of the config has this folder as well; here only one of them can be tried",
            )));
        }
        queue.folder = opened;
        queues.push(queue);
    }
    Ok(queues)
}

fn uses_images(local: Option<&Local>) -> bool {
    let definitions = local.and_then(|local| local.task_definitions.as_ref());
    let mut containers = definitions
        .iter()
        .flat_map(|definitions| &definitions.0)
        .flat_map(|(_, definition)| &definition.container_definitions.0);
    containers.any(|(_, container)| container.image.is_some())
}

fn docker_answers() -> bool {
    let version =
        Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}
