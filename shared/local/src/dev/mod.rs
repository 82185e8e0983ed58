//! `ecs-trigger dev`: watches folders, turns files into events and messages, fires schedules, and starts processes.
//!
//! - `lock` - at most one `dev` runs a project;
//! - `sources` - files, messages and schedules; `objects` - the events of files; `scaling` - workers;
//! - `launches` - the launches in the ledger; `report` - what `dev` shows of the outcomes;
//! - [`timetable`] - when schedules fire; [`clock`] - the time that they fire by.

pub mod clock;
mod launches;
mod lock;
mod objects;
mod report;
mod scaling;
mod sources;
pub mod timetable;

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{interval, sleep};
use trigger_core::config::local::Local;
use trigger_core::routing::RoutingConfig;
use trigger_engine::Scaler;

use self::clock::Clock;
use self::lock::Lock;
pub use self::lock::Locked;
use self::objects::Objects;
use self::sources::{open_buckets, open_queues};
use self::timetable::Timetable;
use crate::folders::bucket::Bucket;
use crate::folders::landing::Landed;
use crate::folders::queue::FolderQueue;
use crate::folders::watch::Watch;
pub use crate::happening::{ContainerExit, Happening, Stream};
use crate::payloads::STATE_FOLDER;
use crate::sandbox::endpoint::WorkerEndpoint;
use crate::{
    CannotOpen, EmbeddedStore, FolderDeadLetters, FolderPayloads, Here, LocalLauncher, LocalScaling, LocalWork, Started,
};

/// At most this many happenings wait to be shown; a process that writes faster has to wait.
const HAPPENINGS_MAX: usize = 1000;
/// The ledger is swept at this interval.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// At this interval `dev` checks which workers are due.
const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// Incomplete files and queues are checked at this interval.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What `dev` does, and with which project.
#[derive(Debug)]
pub struct Options {
    /// The routing config.
    pub config: RoutingConfig,
    /// The config's folder.
    pub folder: PathBuf,
    /// Whether to take the files and messages that are there and end with the last task, instead of waiting for more.
    pub once: bool,
    /// At most this many tasks run at once; the others wait.
    pub tasks_max: usize,
    /// The command that supervises a process; the process's own command is appended.
    pub supervisor: Vec<String>,
    /// When the schedules' clock starts, instead of now. With `once`, schedules due within a minute from then fire.
    pub start_at: Option<Timestamp>,
    /// The speed of the schedules' clock; 1 is real time.
    pub speed: f64,
}

/// The totals of a run of `dev`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events of files and schedules, and messages.
    pub events: usize,
    /// Tasks whose essential containers all exited with 0.
    pub succeeded: usize,
    /// Tasks that ended otherwise.
    pub failed: usize,
    /// Errors, dead letters included: mostly events whose tasks could not be started.
    pub refused: usize,
}

/// The reason why `dev` cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DevError {
    #[error("cannot use the folder {} for the bucket `{bucket}`: {error}", folder.display())]
    Bucket { bucket: String, folder: PathBuf, error: io::Error },
    #[error("`{0}` under `local: buckets:` is not a valid bucket name; use letters, digits, `.` and `-`")]
    BucketName(String),
    #[error(
        "the config has no route for a bucket, a queue or a schedule, and no workers; add a route with `on: s3`, \
         `on: queue` or `on: schedule`, or name a folder under `local: buckets:`"
    )]
    NoSource,
    #[error("cannot open a port on this machine for the workers' queues: {0}")]
    Endpoint(io::Error),
    #[error(transparent)]
    Ledger(#[from] CannotOpen),
    #[error(transparent)]
    Locked(#[from] Locked),
    #[error("cannot use the folder {} for the queue `{queue}`: {error}", folder.display())]
    Queue { queue: String, folder: PathBuf, error: io::Error },
    #[error("cannot watch the folders: {0}")]
    Watch(#[from] notify::Error),
}

/// Runs until every task has ended (`once`) or until `interrupted`; passes what happens to `show` as it happens.
///
/// # Errors
/// The config has no source of events, another `dev` runs the project, the ledger cannot be opened, a folder cannot be
/// used or watched, or no port is free for the workers' queues.
pub async fn run(
    options: Options,
    interrupted: impl Future<Output = ()>,
    mut show: impl FnMut(&Happening),
) -> Result<Summary, DevError> {
    let buckets = open_buckets(&options.config, &options.folder)?;
    let queues = open_queues(&options.config, &options.folder, options.config.queues())?;
    let worker_queues = open_queues(&options.config, &options.folder, options.config.worker_queues())?;
    // Schedules fire at whole seconds.
    let now = || Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_else(|_| Timestamp::now());
    let began = options.start_at.unwrap_or_else(now);
    let pretended = options.start_at.is_some() || options.speed != 1.0;
    let clock = if pretended { Clock::pretended(began, options.speed) } else { Clock::Real };
    let timetable = Timetable::new(&options.config, &options.folder, began, pretended);
    let has_workers = !options.config.workers.is_empty();
    if buckets.is_empty() && queues.is_empty() && timetable.coming().next().is_none() && !has_workers {
        return Err(DevError::NoSource);
    }
    let _lock = Lock::take(&options.folder)?;
    let has_ledger = options.config.ledger().is_some();
    let store = has_ledger.then(|| EmbeddedStore::open(&options.folder)).transpose()?;
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
    let dead_letters = FolderDeadLetters { folder: options.folder.join(STATE_FOLDER).join("dead-letters") };
    let ports = Here {
        launcher,
        payloads: FolderPayloads { project: options.folder },
        store,
        work: has_ledger.then(LocalWork::default),
        dead_letters: has_ledger.then_some(dead_letters),
        pace: Mutex::default(),
    };
    let mut waiting: Vec<(&Bucket, PathBuf)> = Vec::new();
    let mut objects = Objects::default();
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
    dev.resume().await;
    // With `once`, the queues close when each message has been received.
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
    // With `once`, workers go on until no worker's queue holds a message.
    let mut workers_work = has_workers;
    while !ending
        || workers_work
        || !waiting.is_empty()
        || !objects.is_empty()
        || queues_are_open
        || dev.is_busy(*stop.borrow())
    {
        let next_firing = dev.timetable.next().filter(|_| !ending).map(|time| clock.until(time));
        let next_work = dev.ports.work.as_ref().and_then(LocalWork::until_next);
        tokio::select! {
            _ = looks.tick(), if !waiting.is_empty() || queues_are_open => {
                dev.take_complete(&mut waiting, &mut objects);
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
                objects = Objects::default();
                queues_are_open = false;
                workers_work = false;
                stop.send_replace(true);
            }
            Some(happening) = told.recv() => dev.tell(&happening).await,
            () = pause(next_work), if !*stop.borrow() => dev.work().await,
            _ = sweeps.tick(), if has_ledger && !*stop.borrow() => dev.sweep().await,
            _ = ticks.tick(), if has_workers && !*stop.borrow() => match workers_work {
                true => {
                    dev.scale().await;
                    workers_work = !(options.once && (dev.are_workers_done() || dev.are_workers_stuck()));
                }
                // Workers that handle a message are protected, and stop later.
                false => dev.stop_services().await,
            },
            landed = next(&mut watch) => {
                let landed = landed?;
                let (Landed::Created(path) | Landed::Deleted(path)) = &landed;
                for bucket in buckets.iter().filter(|bucket| path.starts_with(&bucket.folder)) {
                    objects.add(bucket, landed.clone());
                }
            }
            Some(object) = objects.next(), if !objects.is_empty() => dev.object(object).await,
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
    /// The depths of each worker's last ticks, and the state that was shown last.
    courses: HashMap<String, (VecDeque<u64>, String)>,
    /// The last problem with workers or the ledger that was shown.
    last_problem: Option<String>,
    /// Since when no task has run.
    no_worker_since: Option<Instant>,
    show: &'a mut S,
    told_incomplete: HashSet<PathBuf>,
    summary: Summary,
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

#[cfg(test)]
mod tests;
