//! `ecs-trigger dev`: folders are watched, files become events, events start processes.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::interval;
use trigger_core::config::RoutingConfig;
use trigger_core::config::local::Local;
use trigger_core::config::s3::BucketName;
use trigger_engine::{EventError, LaunchReport, Outcome, handle};

use crate::LocalLauncher;
use crate::bucket::{Bucket, NotAnObject};
use crate::landing::{Landed, files_being_written, is_complete};
use crate::watch::Watch;

/// How many happenings may wait to be told: a process that writes faster than it is told waits as well.
const HAPPENINGS_MAX: usize = 1000;
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
}

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
    /// A route started tasks.
    Launched {
        /// The route's name.
        route: String,
        /// The task's name.
        task_name: String,
        /// The tasks' ids.
        tasks: Vec<String>,
    },
    /// The route's tasks were started by the same event before.
    Duplicate {
        /// The route's name.
        route: String,
    },
    /// A file is still being written, or was a moment ago; it is taken when it is complete.
    Incomplete {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
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

/// What it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events of files.
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
    /// The config names no bucket.
    #[error(
        "no route is about a bucket; `dev` takes files, so give a route `on: s3`, or name a folder under `local: buckets:`"
    )]
    NoBucket,
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
    let mut watch = match options.once {
        true => None,
        false => Some(Watch::start(buckets.iter().map(|bucket| bucket.folder.as_path()))?),
    };
    let (happenings, mut told) = mpsc::channel(HAPPENINGS_MAX);
    let (stop, stopping) = watch::channel(false);
    let launcher = LocalLauncher {
        local: options.config.local.clone(),
        folder: options.folder,
        docker: uses_images(options.config.local.as_ref()) && docker_answers(),
        buckets: buckets.clone(),
        supervisor: options.supervisor,
        happenings,
        places: Arc::new(Semaphore::new(options.tasks_max)),
        stop: stopping,
        launched: Arc::new(Mutex::new(HashMap::new())),
    };
    let mut waiting: Vec<(&Bucket, PathBuf)> = Vec::new();
    let mut dev = Dev {
        config: options.config,
        launcher,
        show: &mut show,
        running: 0,
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
    let mut interrupted = std::pin::pin!(interrupted);
    let mut ending = options.once;
    let mut looks = interval(LOOK_INTERVAL);
    while !ending || dev.running > 0 || !waiting.is_empty() {
        tokio::select! {
            _ = looks.tick(), if !waiting.is_empty() => dev.take_complete(&mut waiting).await,
            () = &mut interrupted, if !*stop.borrow() => {
                ending = true;
                watch = None;
                waiting.clear();
                stop.send_replace(true);
            }
            Some(happening) = told.recv() => dev.tell(&happening),
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

struct Dev<'a, S> {
    config: RoutingConfig,
    launcher: LocalLauncher,
    show: &'a mut S,
    running: usize,
    told_incomplete: HashSet<PathBuf>,
    summary: Summary,
}

impl<S: FnMut(&Happening)> Dev<'_, S> {
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
        let result = handle(&event, &self.config, &self.launcher).await;
        self.report(result);
    }

    fn report(&mut self, result: Result<LaunchReport, EventError>) {
        let report = match result {
            Ok(report) | Err(EventError::Launch(report)) => report,
            Err(error) => return self.refuse(error.to_string()),
        };
        if report.launches.is_empty() {
            (self.show)(&Happening::Ignored);
        }
        for launch in report.launches {
            match launch.outcome {
                Outcome::Launched { task_arns } => {
                    self.running += task_arns.len();
                    let tasks = task_arns.iter().filter_map(|arn| arn.rsplit('/').next()).map(str::to_owned).collect();
                    (self.show)(&Happening::Launched { route: launch.route, task_name: launch.task, tasks });
                }
                Outcome::Duplicate { .. } => (self.show)(&Happening::Duplicate { route: launch.route }),
                Outcome::Failed(error) => self.refuse(format!("the route `{}`: {error}", launch.route)),
            }
        }
    }

    fn refuse(&mut self, reason: String) {
        self.summary.refused += 1;
        (self.show)(&Happening::Refused { reason });
    }

    fn tell(&mut self, happening: &Happening) {
        if let Happening::Stopped { containers, .. } = happening {
            self.running -= 1;
            // A container that is not essential was stopped with the task, in whatever state.
            match containers.iter().all(|exit| exit.code == 0 || !exit.essential) {
                true => self.summary.succeeded += 1,
                false => self.summary.failed += 1,
            }
        }
        (self.show)(happening);
    }
}

/// The buckets that routes name, and those that `local` gives a folder.
fn open_buckets(config: &RoutingConfig, folder: &Path) -> Result<Vec<Bucket>, DevError> {
    let mapped = config.local.as_ref().and_then(|local| local.buckets.as_ref());
    let mut names = config.buckets();
    names.extend(mapped.iter().flat_map(|mapped| mapped.names()).filter(|name| !config.buckets().contains(name)));
    if names.is_empty() {
        return Err(DevError::NoBucket);
    }
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
