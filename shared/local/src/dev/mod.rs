//! `ecs-trigger dev`: watches folders, turns files into events and messages, fires schedules, and starts processes.
//!
//! - `lock` - at most one `dev` runs a project; `reload` - a changed config applies; `changes` - what has changed in it;
//! - `sources` - files, messages and schedules; `objects` - the events of files; `watches` - the folders of buckets;
//!   `emitted` - events that other processes give to `dev`;
//! - `launches` - the launches in the ledger; `letters` - their dead letters; `scaling` - workers;
//! - `tasks` - the tasks that run; `about` - what they are about; `report` - what `dev` shows of the outcomes;
//! - `missing` - what is missing under `local`;
//! - [`requests`] - what other processes ask for; `asked` - how it is carried out;
//! - [`timetable`] - when schedules fire; [`clock`] - the time that they fire by.

mod about;
mod asked;
mod changes;
pub mod clock;
mod emitted;
mod launches;
mod letters;
mod lock;
mod missing;
mod objects;
mod reload;
mod report;
pub mod requests;
mod scaling;
mod sources;
mod tasks;
pub mod timetable;
mod watches;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
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
use trigger_core::launch::LaunchRecord;
use trigger_core::routing::RoutingConfig;
use trigger_engine::Scaler;

use self::clock::Clock;
use self::emitted::takes_events;
use self::letters::Letters;
use self::lock::Lock;
pub use self::lock::{Locked, is_running};
use self::objects::{Object, Objects};
use self::sources::{open_buckets, open_queues, other_queues};
use self::tasks::Running;
use self::timetable::Timetable;
use self::watches::Watches;
use crate::folders::bucket::Bucket;
use crate::folders::events::events;
use crate::folders::landing::Landed;
use crate::folders::own_changes::{OwnChange, OwnChanges};
use crate::folders::queue::FolderQueue;
pub use crate::happening::{About, ConfigChanges, ContainerExit, Element, Ending, Happening, Next, Start, Stream};
use crate::payloads::STATE_FOLDER;
use crate::runs::keeper::Keeper;
use crate::sandbox::endpoint::{Endpoint, EndpointState};
use crate::{
    Call, CannotOpen, EmbeddedStore, FolderDeadLetters, FolderPayloads, Here, LocalLauncher, LocalScaling, LocalWork,
    Started,
};

/// At most this many happenings wait to be shown; a process that writes faster has to wait.
const HAPPENINGS_MAX: usize = 1000;
/// The ledger is swept at this interval.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// At this interval `dev` checks which workers are due.
const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// Incomplete files and queues are checked at this interval.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The config and the requests of other processes are checked at this interval.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

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
    /// The port of the endpoint for S3 and SQS. Without it, the usual one, or a free one if that is taken.
    pub port: Option<u16>,
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
    #[error("the config has no routes and no workers; add a route, or name a folder under `local: buckets:`")]
    NoSource,
    #[error("cannot open the endpoint for S3 and SQS on this machine: {0}")]
    Endpoint(io::Error),
    #[error("the port {0} is taken; end what listens on it, or name another one with `--port`")]
    PortTaken(u16),
    #[error(transparent)]
    Ledger(#[from] CannotOpen),
    #[error(transparent)]
    Locked(#[from] Locked),
    #[error("cannot keep the launches in {}: {error}", folder.display())]
    Runs { folder: PathBuf, error: io::Error },
    #[error("cannot use the folder {} for the queue `{queue}`: {error}", folder.display())]
    Queue { queue: String, folder: PathBuf, error: io::Error },
    #[error("cannot watch the folders: {0}")]
    Watch(#[from] notify::Error),
}

impl DevError {
    fn endpoint(port: Option<u16>, error: io::Error) -> Self {
        match port {
            Some(port) if error.kind() == io::ErrorKind::AddrInUse => Self::PortTaken(port),
            _ => Self::Endpoint(error),
        }
    }
}

/// Runs until every task has ended (`once`) or until `interrupted`; passes what happens to `show` as it happens. Without
/// `once`, asks `reload` for the config again and again: it returns nothing unless the config has changed and is valid.
///
/// # Errors
/// The config has no source of events, another `dev` runs the project, the ledger cannot be opened, a folder cannot be
/// used or watched, or the endpoint's port is taken.
pub async fn run(
    options: Options,
    mut reload: impl FnMut() -> Option<RoutingConfig>,
    interrupted: impl Future<Output = ()>,
    mut show: impl FnMut(&Happening),
) -> Result<Summary, DevError> {
    let buckets = open_buckets(&options.config, &options.folder)?;
    let queues = open_queues(&options.config, &options.folder, options.config.queues())?;
    let others = other_queues(&options.config);
    let received = options.config.worker_queues().into_iter().chain(&others).collect();
    let received = open_queues(&options.config, &options.folder, received)?;
    let routed = queues.clone();
    let began = options.start_at.unwrap_or_else(|| whole_second(Timestamp::now()));
    let pretended = options.start_at.is_some() || options.speed != 1.0;
    let clock = if pretended { Clock::pretended(began, options.speed) } else { Clock::Real };
    let timetable = Timetable::new(&options.config, &options.folder, began, pretended);
    let has_workers = !options.config.workers.is_empty();
    let has_schedules = timetable.coming().next().is_some();
    let takes_events = takes_events(&options.config);
    if buckets.is_empty() && queues.is_empty() && !has_schedules && !has_workers && !takes_events {
        return Err(DevError::NoSource);
    }
    let _lock = Lock::take(&options.folder)?;
    let has_ledger = options.config.ledger().is_some();
    let store = has_ledger.then(|| EmbeddedStore::open(&options.folder)).transpose()?;
    let kept = match &store {
        Some(store) => store.keep_runs(&options.folder),
        None => Keeper::open(&options.folder, []),
    };
    let keeper = kept.map_err(|error| DevError::Runs { folder: options.folder.join(STATE_FOLDER), error })?;
    let (own, mut own_changes) = OwnChanges::new();
    let mut watches = (!options.once).then(|| Watches::new(own.clone()));
    if let Some(watches) = &watches {
        watches.add(buckets.iter().map(|bucket| bucket.folder.as_path()))?;
    }
    let (happenings, mut told) = mpsc::channel(HAPPENINGS_MAX);
    let (stop, stopping) = watch::channel(false);
    let state = EndpointState::new(received, routed);
    let endpoint = Endpoint::start(options.port, buckets.clone(), state, own, happenings.clone()).await;
    let endpoint = endpoint.map_err(|error| DevError::endpoint(options.port, error))?;
    let reach_file = endpoint.reach.write(&options.folder).map_err(|error| DevError::endpoint(None, error))?;
    let (url, file) = (endpoint.reach.url(), reach_file.path.clone());
    let launcher = LocalLauncher {
        local: options.config.local.clone(),
        folder: options.folder.clone(),
        docker: containers_run(options.config.local.as_ref()),
        buckets: buckets.clone(),
        supervisor: options.supervisor,
        happenings,
        places: Arc::new(Semaphore::new(options.tasks_max)),
        stop: stopping,
        started: Arc::new(Mutex::new(Started::default())),
        alive: Arc::default(),
        reach: endpoint.reach.clone(),
    };
    let scaling = has_workers.then(|| LocalScaling::new(launcher.clone(), endpoint.clone()));
    let dead_letters = FolderDeadLetters::of(&options.folder);
    let letters = Letters::new(dead_letters.folder.clone());
    let ports = Here {
        launcher,
        payloads: FolderPayloads { project: options.folder },
        store,
        work: has_ledger.then(LocalWork::default),
        dead_letters: has_ledger.then_some(dead_letters),
        pace: Mutex::default(),
    };
    let mut waiting: Vec<(Bucket, PathBuf)> = Vec::new();
    let mut objects = Objects::default();
    let mut dev = Dev {
        config: options.config,
        ports,
        queues,
        timetable,
        clock,
        endpoint,
        scaling,
        scaler: Scaler::default(),
        courses: HashMap::new(),
        last_problem: None,
        no_worker_since: None,
        show: &mut show,
        told_incomplete: HashSet::new(),
        summary: Summary::default(),
        keeper,
        letters,
        calls: Vec::new(),
        running: BTreeMap::new(),
        planned: HashMap::new(),
    };
    for bucket in &buckets {
        let files = bucket.files();
        let (name, folder) = (bucket.name.clone(), bucket.folder.clone());
        (dev.show)(&Happening::Watching { bucket: name, folder, files: files.len() });
        if options.once {
            waiting.extend(files.into_iter().map(|file| (bucket.clone(), file)));
        }
    }
    dev.introduce(options.once);
    if !options.once {
        (dev.show)(&Happening::Listening { url, file });
    }
    dev.resume().await;
    requests::remove_answers(&dev.ports.payloads.project);
    dev.carry_out_requests().await;
    let mut emitted = events(&dev.ports.payloads.project);
    dev.take_emitted(&mut emitted).await;
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
    let mut polls = interval(POLL_INTERVAL);
    // With `once`, workers go on until no worker's queue holds a message.
    let mut workers_work = has_workers;
    while !ending
        || workers_work
        || !waiting.is_empty()
        || !objects.is_empty()
        || queues_are_open
        || (!own_changes.is_empty() && !*stop.borrow())
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
                watches = None;
                waiting.clear();
                objects = Objects::default();
                queues_are_open = false;
                workers_work = false;
                stop.send_replace(true);
                dev.show_stopping();
            }
            Some(happening) = told.recv() => dev.tell(happening).await,
            _ = polls.tick(), if !*stop.borrow() => {
                if !options.once && let Some(config) = reload() {
                    dev.apply(config, watches.as_ref());
                    queues_are_open = !dev.queues.is_empty();
                }
                dev.carry_out_requests().await;
                dev.take_emitted(&mut emitted).await;
                dev.show_problem_of_keeper();
            }
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
            landed = next(&mut watches) => {
                let landed = landed?;
                let (Landed::Created(path) | Landed::Deleted(path)) = &landed;
                for bucket in dev.ports.launcher.buckets.iter().filter(|bucket| path.starts_with(&bucket.folder)) {
                    objects.add(bucket, landed.clone());
                }
            }
            Some(object) = objects.next(), if !objects.is_empty() => dev.object(object).await,
            Some(change) = own_changes.recv(), if !*stop.borrow() => match change {
                OwnChange::Object { bucket, detail_type, key, event } => {
                    dev.object(Object { bucket, detail_type, event: Ok((key, event)) }).await;
                }
                OwnChange::Message => {
                    queues_are_open = !dev.queues.is_empty();
                    workers_work = has_workers;
                }
            },
        }
    }
    Ok(dev.summary)
}

async fn next(watches: &mut Option<Watches>) -> notify::Result<Landed> {
    match watches {
        Some(watches) => watches.next().await,
        None => std::future::pending().await,
    }
}

/// Returns the second in which a time is: schedules fire at whole seconds.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
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
    endpoint: Endpoint,
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
    keeper: Keeper,
    letters: Letters,
    /// The calls that have not been shown yet.
    calls: Vec<Call>,
    /// The tasks that run or wait for a place, by their ids.
    running: BTreeMap<String, Running>,
    /// Without a ledger: the launches of the event that is being handled, by their ids.
    planned: HashMap<String, LaunchRecord>,
}

/// Returns whether containers with images can run.
fn containers_run(local: Option<&Local>) -> bool {
    uses_images(local) && docker_answers()
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
