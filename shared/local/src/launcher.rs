//! The launcher port on processes of this machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::{Semaphore, mpsc::Sender, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use trigger_core::config::local::Local;
use trigger_core::ecs::{StoppedTask, TaskRequest};
use trigger_core::event::TaskStateChange;
use trigger_core::launch::{Reply, SeenTask, TaskStatus};
use trigger_engine::ports::{Launcher, Unanswered};

use crate::folders::bucket::{ACCOUNT, Bucket, REGION};
use crate::happening::{ContainerExit, Ending, Happening, Next, Stream};
use crate::payloads::with_local_event;
use crate::sandbox::process::{CannotRun, ContainerProcess, Surroundings, containers};
use crate::sandbox::reach::Reach;
use crate::sandbox::supervise::CANNOT_START;
use crate::workers::is_of_worker;

/// A longer line of output, in bytes, is split.
const LINE_BYTES_MAX: u64 = 1 << 16;
/// The reason of tasks that a person stopped together with `dev`.
const STOPPED_WITH_DEV: &str = "`dev` was stopped";
/// The output of a process that has ended is read for at most this long.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// A launcher that starts tasks as processes.
#[derive(Debug, Clone)]
pub struct LocalLauncher {
    /// The config's `local`: how tasks run on this machine.
    pub local: Option<Local>,
    /// The config's folder.
    pub folder: PathBuf,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Whether a Docker engine answers.
    pub docker: bool,
    /// The command that supervises a process; the process's own command is appended.
    pub supervisor: Vec<String>,
    /// Receives what happens.
    pub happenings: Sender<Happening>,
    /// The places for tasks that run at once; the other tasks wait.
    pub places: Arc<Semaphore>,
    /// Becomes true when all tasks must stop.
    pub stop: watch::Receiver<bool>,
    /// The tasks that were started.
    pub started: Arc<Mutex<Started>>,
    /// How many tasks were started whose end has not been shown yet.
    pub alive: Arc<AtomicUsize>,
    /// How tasks reach the endpoint.
    pub reach: Reach,
}

/// The tasks that were started.
#[derive(Debug, Default)]
pub struct Started {
    /// The tasks by client token; a repeated token starts nothing.
    by_token: HashMap<String, Vec<String>>,
    tasks: HashMap<String, LocalTask>,
    /// The calls that have not been shown yet.
    untold: Vec<Call>,
}

/// A call that started a task.
#[derive(Debug, Clone)]
pub struct Call {
    /// The request.
    pub request: TaskRequest,
    /// The ids of the tasks.
    pub tasks: Vec<String>,
}

/// A task of this machine.
#[derive(Debug)]
struct LocalTask {
    started_by: String,
    /// Whether the task is running. Before, it waits for a place.
    runs: bool,
    stop: watch::Sender<bool>,
    /// Why the task must stop, if it must.
    stop_reason: Option<String>,
    stopped: Option<StoppedTask>,
}

impl Started {
    /// Returns the tasks of this starter that wait or run and need not stop: their ARNs, and whether they run.
    pub fn of_starter(&self, started_by: &str) -> Vec<(String, bool)> {
        let is_meant =
            |task: &LocalTask| task.started_by == started_by && task.stopped.is_none() && !*task.stop.borrow();
        let meant = self.tasks.iter().filter(|(_, task)| is_meant(task));
        meant.map(|(arn, task)| (arn.clone(), task.runs)).collect()
    }

    /// Returns the ids of the tasks that have not stopped.
    pub fn alive(&self) -> Vec<String> {
        let alive = self.tasks.iter().filter(|(_, task)| task.stopped.is_none());
        let mut ids: Vec<String> = alive.filter_map(|(arn, _)| arn.rsplit('/').next()).map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// Returns the calls since the last time.
    pub fn take_untold(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.untold)
    }

    /// Returns the state change that ECS would send for a task.
    pub fn state_change(&self, id: &str) -> Option<TaskStateChange> {
        let (arn, task) = self.tasks.iter().find(|(arn, _)| arn.rsplit('/').next() == Some(id))?;
        let started_by = Some(task.started_by.clone());
        Some(TaskStateChange { task_arn: arn.clone(), started_by, stopped: task.stopped.clone() })
    }
}

impl Launcher for LocalLauncher {
    async fn run_task(&self, request: &TaskRequest) -> Reply {
        let mut started = self.started();
        if let Some(task_arns) = started.by_token.get(&request.client_token) {
            // As ECS answers a repeated token: nothing is started.
            return Reply::Error {
                code: "ConflictException".to_owned(),
                message: "the client token was used before".to_owned(),
                resource_ids: task_arns.clone(),
                of_server: false,
            };
        }
        let tasks: Result<Vec<_>, _> = (0..request.count.unwrap_or(1)).map(|index| self.task(request, index)).collect();
        let tasks = match tasks {
            Ok(tasks) => tasks,
            Err(error) => {
                return Reply::Error {
                    code: "InvalidParameterException".to_owned(),
                    message: error.to_string(),
                    resource_ids: Vec::new(),
                    of_server: false,
                };
            }
        };
        let cluster = request.cluster.as_deref().unwrap_or("default");
        let arn = |id: &String| format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}");
        let task_arns: Vec<String> = tasks.iter().map(|(id, _)| arn(id)).collect();
        let ids = tasks.iter().map(|(id, _)| id.clone()).collect();
        started.untold.push(Call { request: request.clone(), tasks: ids });
        for ((id, processes), arn) in tasks.into_iter().zip(&task_arns) {
            let (stop, _) = watch::channel(*self.stop.borrow());
            let started_by = request.started_by.clone();
            let task = LocalTask { started_by, runs: false, stop: stop.clone(), stop_reason: None, stopped: None };
            started.tasks.insert(arn.clone(), task);
            self.alive.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(self.clone().run(id, arn.clone(), processes, stop));
        }
        started.by_token.insert(request.client_token.clone(), task_arns.clone());
        Reply::Tasks { task_arns, failures: Vec::new() }
    }

    async fn stop_task(&self, _: Option<&str>, task_arn: &str, reason: &str) -> Result<(), Unanswered> {
        if let Some(task) = self.started().tasks.get_mut(task_arn) {
            task.stop_reason.get_or_insert_with(|| reason.to_owned());
            task.stop.send_replace(true);
        }
        Ok(())
    }

    async fn describe_tasks(&self, _: Option<&str>, task_arns: &[String]) -> Result<Vec<SeenTask>, Unanswered> {
        let started = self.started();
        let seen = |arn: &String| {
            let status = match started.tasks.get(arn) {
                None => TaskStatus::Missing,
                Some(LocalTask { stopped: None, .. }) => TaskStatus::Alive,
                Some(LocalTask { stopped: Some(stopped), .. }) => TaskStatus::Stopped(stopped.clone()),
            };
            SeenTask { arn: arn.clone(), attempt: None, status }
        };
        Ok(task_arns.iter().map(seen).collect())
    }

    async fn find_tasks(&self, _: Option<&str>, started_by: &str) -> Result<Vec<String>, Unanswered> {
        let started = self.started();
        let runs = |(arn, task): (&String, &LocalTask)| {
            (task.started_by == started_by && task.stopped.is_none()).then(|| arn.clone())
        };
        Ok(started.tasks.iter().filter_map(runs).collect())
    }
}

impl LocalLauncher {
    /// Locks the tasks that were started.
    pub fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self, request: &TaskRequest, index: u32) -> Result<(String, Vec<ContainerProcess>), CannotRun> {
        let id = format!("{}{index}", request.client_token.get(..31).unwrap_or_default());
        let request = &with_local_event(request.clone(), &self.folder);
        let (folder, buckets, is_worker) = (&self.folder, &self.buckets, is_of_worker(&request.started_by));
        let surroundings = Surroundings { folder, buckets, docker: self.docker, reach: &self.reach, is_worker };
        let mut processes = containers(self.local.as_ref(), request.family(), request, &id, &surroundings)?;
        // `worker-shim` is installed next to `ecs-trigger`.
        let own = self.supervisor.first().and_then(|program| Path::new(program).parent()).filter(|_| is_worker);
        for process in &mut processes {
            if let (Some(path), Some(own)) = (process.environment.get_mut("PATH"), own) {
                path.push_str(&format!(":{}", own.display()));
            }
        }
        Ok((id, processes))
    }

    /// Runs a task's containers until an essential one or all of them end, or all tasks must stop.
    async fn run(self, id: String, arn: String, processes: Vec<ContainerProcess>, stop_task: watch::Sender<bool>) {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let mut never_runs = *self.stop.borrow();
        if let Some(task) = self.started().tasks.get_mut(&arn) {
            task.runs = true;
            never_runs &= task.stop_reason.is_none();
        }
        let started = Instant::now();
        let stop = stop_task.subscribe();
        let mut running = JoinSet::new();
        for process in processes {
            running.spawn(self.clone().run_container(id.clone(), process, stop.clone()));
        }
        let mut containers = Vec::new();
        let mut stop_all = self.stop.clone();
        loop {
            tokio::select! {
                exit = running.join_next() => match exit {
                    Some(Ok(exit)) => {
                        if exit.essential {
                            stop_task.send_replace(true);
                        }
                        containers.push(exit);
                    }
                    Some(Err(_)) => {}
                    None => break,
                },
                Ok(()) = stop_all.changed() => {
                    let stops_already = stop_task.send_replace(true);
                    if let Some(task) = self.started().tasks.get_mut(&arn).filter(|_| !stops_already) {
                        task.stop_reason.get_or_insert_with(|| STOPPED_WITH_DEV.to_owned());
                    }
                }
            }
        }
        let duration = started.elapsed();
        if let Some(task) = self.started().tasks.get_mut(&arn) {
            task.stopped = Some(match never_runs {
                true => never_started(),
                false => stopped_as(&containers, task.stop_reason.clone()),
            });
        }
        // The loop of `dev` knows what the task was for and what follows.
        let (about, ending, next) = (None, Ending::Failed, Next::Nothing);
        self.tell(Happening::Stopped { task: id, about, containers, duration, ending, next }).await;
    }

    async fn run_container(
        self,
        task: String,
        process: ContainerProcess,
        mut stop: watch::Receiver<bool>,
    ) -> ContainerExit {
        let essential = process.essential;
        let container = process.name.clone();
        let exit = |code| ContainerExit { container: container.clone(), code, essential };
        if *stop.borrow() {
            return exit(u8::MAX);
        }
        let mut child = match self.command(&process).spawn() {
            Ok(child) => child,
            Err(error) => {
                let line = format!("cannot start in {}: {error}", process.folder.display());
                self.tell_line(task, container.clone(), Stream::Stderr, line).await;
                return exit(CANNOT_START);
            }
        };
        let mut outputs = JoinSet::new();
        let output = |stream| (self.clone(), task.clone(), container.clone(), stream);
        if let Some(stdout) = child.stdout.take() {
            outputs.spawn(tell_lines(output(Stream::Stdout), stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            outputs.spawn(tell_lines(output(Stream::Stderr), stderr));
        }
        let pipe = child.stdin.take();
        let status = tokio::select! {
            status = child.wait() => status,
            () = stopped(&mut stop) => {
                // The supervisor stops the process when the pipe closes.
                drop(pipe);
                child.wait().await
            }
        };
        let _ = timeout(LAST_OUTPUT, outputs.join_all()).await;
        let code = status.ok().and_then(|status| u8::try_from(status.code()?).ok());
        exit(code.unwrap_or(u8::MAX))
    }

    fn command(&self, process: &ContainerProcess) -> Command {
        let (program, arguments) = self.supervisor.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let mut command = Command::new(program);
        command.args(arguments);
        command.args(process.container.iter().flat_map(|name| ["--container", name]));
        command.arg("--").args(&process.command);
        // Otherwise Python holds output back that does not go to a terminal.
        command.env_clear().env("PYTHONUNBUFFERED", "1").envs(&process.environment).current_dir(&process.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a process group of its own, so Ctrl-C reaches only `dev`, which then stops the tasks in order.
        command.process_group(0);
        command
    }

    async fn tell_line(&self, task: String, container: String, stream: Stream, line: String) {
        self.tell(Happening::Output { task, about: None, container, stream, line }).await;
    }

    async fn tell(&self, happening: Happening) {
        // Sending fails only when `dev` itself is ending.
        let _ = self.happenings.send(happening).await;
    }
}

/// Returns how ECS would describe a task that was still waiting for its place when `dev` stopped.
fn never_started() -> StoppedTask {
    StoppedTask {
        stop_code: Some("TaskFailedToStart".to_owned()),
        stopped_reason: Some("`dev` was stopped before the task ran".to_owned()),
        ..StoppedTask::default()
    }
}

/// Returns how ECS would describe the stopped task.
fn stopped_as(containers: &[ContainerExit], stop_reason: Option<String>) -> StoppedTask {
    let code = if stop_reason.is_some() { "UserInitiated" } else { "EssentialContainerExited" };
    let exit = |exit: &ContainerExit| trigger_core::ecs::ContainerExit {
        name: exit.container.clone(),
        exit_code: Some(exit.code.into()),
        reason: None,
    };
    StoppedTask {
        stop_code: Some(code.to_owned()),
        stopped_reason: stop_reason,
        // A container that is not essential was stopped with the task, so its exit code means nothing.
        containers: containers.iter().filter(|container| container.essential).map(exit).collect(),
        vanished: false,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender is gone when no one can stop the task any more; the task stops then too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn tell_lines(
    (launcher, task, container, stream): (LocalLauncher, String, String, Stream),
    output: impl AsyncRead + Unpin,
) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
        launcher.tell_line(task.clone(), container.clone(), stream, text).await;
        line.clear();
    }
}
