//! The launcher port by processes of this machine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::{Semaphore, mpsc::Sender, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use trigger_core::config::local::Local;
use trigger_core::task_request::TaskRequest;
use trigger_engine::{LaunchError, Launched, Launcher};

use crate::bucket::{ACCOUNT, Bucket, REGION};
use crate::dev::{ContainerExit, Happening, Stream};
use crate::payloads::with_local_event;
use crate::process::{ContainerProcess, Surroundings, containers};
use crate::supervise::CANNOT_START;

/// Where a line is cut that does not end.
const LINE_BYTES_MAX: u64 = 1 << 16;
/// How long a dead process's last output is waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Starts tasks as processes.
#[derive(Debug, Clone)]
pub struct LocalLauncher {
    /// How tasks run here.
    pub local: Option<Local>,
    /// The config's folder.
    pub folder: PathBuf,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Whether a Docker engine answers.
    pub docker: bool,
    /// The command that supervises a process, to be followed by the process's own.
    pub supervisor: Vec<String>,
    /// Where what happens is told.
    pub happenings: Sender<Happening>,
    /// How many tasks may run at once; the others wait.
    pub places: Arc<Semaphore>,
    /// Becomes true when every task is to stop.
    pub stop: watch::Receiver<bool>,
    /// The tasks by client token: a repeated launch starts nothing.
    pub launched: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

impl Launcher for LocalLauncher {
    async fn launch(&self, request: &TaskRequest) -> Result<Launched, LaunchError> {
        let mut launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task_arns) = launched.get(&request.client_token) {
            return Ok(Launched { task_arns: task_arns.clone(), already: true });
        }
        let tasks: Vec<(String, Vec<ContainerProcess>)> =
            (0..request.count.unwrap_or(1)).map(|index| self.task(request, index)).collect::<Result<_, _>>()?;
        let cluster = request.cluster.as_deref().unwrap_or("default");
        let arn = |id: &String| format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}");
        let task_arns: Vec<String> = tasks.iter().map(|(id, _)| arn(id)).collect();
        for (id, processes) in tasks {
            tokio::spawn(self.clone().run(id, processes));
        }
        launched.insert(request.client_token.clone(), task_arns.clone());
        Ok(Launched { task_arns, already: false })
    }
}

impl LocalLauncher {
    fn task(&self, request: &TaskRequest, index: u32) -> Result<(String, Vec<ContainerProcess>), LaunchError> {
        let id = format!("{}{index}", request.client_token.get(..31).unwrap_or_default());
        let request = &with_local_event(request.clone(), &self.folder);
        let surroundings = Surroundings { folder: &self.folder, buckets: &self.buckets, docker: self.docker };
        let processes = containers(self.local.as_ref(), request.family(), request, &id, &surroundings);
        let refused = |error: crate::process::CannotRun| LaunchError::Refused {
            code: "InvalidParameterException".to_owned(),
            message: error.to_string(),
        };
        Ok((id, processes.map_err(refused)?))
    }

    /// Runs a task's containers until one that is essential ends, or all do, or every task is to stop.
    async fn run(self, id: String, processes: Vec<ContainerProcess>) {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let started = Instant::now();
        let (stop_task, stop) = watch::channel(*self.stop.borrow());
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
                    stop_task.send_replace(true);
                }
            }
        }
        let duration = started.elapsed();
        self.tell(Happening::Stopped { task: id, containers, duration }).await;
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
                self.tell(Happening::Output { task, container: container.clone(), stream: Stream::Stderr, line }).await;
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
                // The supervisor ends the process when its pipe closes.
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
        command.env_clear().envs(&process.environment).current_dir(&process.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that Ctrl-C reaches `dev` alone, which then stops tasks in good order.
        command.process_group(0);
        command
    }

    async fn tell(&self, happening: Happening) {
        // Nobody listens any more only when `dev` itself is ending.
        let _ = self.happenings.send(happening).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can stop the task any more: the same as to stop it.
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
        launcher.tell(Happening::Output { task: task.clone(), container: container.clone(), stream, line: text }).await;
        line.clear();
    }
}
