//! `ecs-trigger dev`: runs a project on this machine, with folders as buckets and queues, and processes as tasks.

mod json;
mod lines;
mod reload;

use std::io;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::thread;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use trigger_local::dev::{DevError, Happening, Locked, Options, Summary, run};
use trigger_local::sandbox::supervise;

use self::json::as_json;
use self::lines::{print, print_summary};
use self::reload::{Reload, only};
use crate::completion;
use crate::config::{Environment, folder_of, load};
use crate::diagnostics;
use crate::exit::{Failed, INTERRUPTED};
use crate::output;
use crate::sample::time;

/// Run a project on this machine, without AWS or Docker.
///
/// Folders stand in for buckets. When a file lands in one, `dev` makes the event that EventBridge would send for it,
/// and handles the event with the same code as on AWS. It starts the task's containers as processes, as `local:` in the
/// config says, with the overrides applied. Folders stand in for queues too: each file is a message, and `ecs-trigger
/// send` writes one. Schedules fire. A change of the config applies at once. Ctrl-C stops the tasks; a second Ctrl-C ends
/// `dev` at once. Only a container with an `image` needs Docker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Process the files that are there, and end with the last task
  ecs-trigger dev examples/quickstart --once

  # Wait for new files
  ecs-trigger dev examples/quickstart

  # Fire what is due within a minute from this time
  ecs-trigger dev examples/nightly --once --at 2026-12-31T18:00:00Z

  # Run one route, without what its tasks print
  ecs-trigger dev examples/jobs --route resize --quiet

  # Let an hour pass in a second
  ecs-trigger dev examples/nightly --speed 3600

Exits with 3 if the config has errors; with --once also with 1 if a task failed
or could not be started, and with 130 if it was interrupted.")]
pub(crate) struct Dev {
    /// The project's folder, or its config file.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Process the files and messages that are there, and end when the last task has ended.
    #[arg(long)]
    once: bool,
    /// Maximum number of tasks that run at once; further tasks wait.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    max_tasks: u16,
    /// Start the schedules' clock at this time, such as 2026-12-31T18:00:00Z. With --once, fire what is due within a
    /// minute from then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Run the schedules' clock N times as fast.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Port of the endpoint for S3 and SQS on this machine [default: 4599, or a free one if it is taken].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Run only this route, and no workers. Repeat it for several.
    #[arg(long, value_name = "NAME", add = completion::routes())]
    route: Vec<String>,
    /// Do not print what the tasks write. It is kept nevertheless.
    #[arg(long)]
    quiet: bool,
    /// Print what happens as JSON, one object per line.
    #[arg(long)]
    json: bool,
}

impl Dev {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = only(load(&self.project, &self.environment, self.json)?, &self.route)?;
        let folder = folder_of(&self.project);
        let (project, environment) = (self.project.clone(), self.environment.clone());
        let mut reload = Reload::new(project, environment, self.route.clone(), self.json, &config);
        let options = Options {
            config,
            folder: folder.canonicalize().map_err(|error| Failed::File { path: folder, error })?,
            once: self.once,
            tasks_max: self.max_tasks.into(),
            supervisor: vec![std::env::current_exe()?.display().to_string(), "supervise".to_owned()],
            start_at: self.at,
            speed: self.speed,
            port: self.port,
        };
        let mut interrupted = false;
        let show = |happening: &Happening| {
            if self.quiet && matches!(happening, Happening::Output { .. }) {
                return;
            }
            // Output that cannot be written does not stop the tasks.
            let _ = match self.json {
                true => output::json_line(&as_json(happening)),
                false => print(happening, self.once),
            };
        };
        let signal = first_signal()?;
        let until_interrupted = async {
            // Fails only when the thread that listens is gone, which it never is.
            interrupted = signal.await.is_ok();
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let ran = runtime.block_on(run(options, || reload.changed(), until_interrupted, show));
        // A large file may still be read; `dev` does not wait for that.
        runtime.shutdown_background();
        let summary = ran.map_err(failed)?;
        match self.json {
            true => output::json_line(&json!({ "summary": summary_json(summary) }))?,
            false => print_summary(summary)?,
        }
        match summary {
            _ if interrupted && self.once => Err(Failed::Interrupted),
            Summary { failed: 0, refused: 0, .. } => Ok(()),
            _ if self.once => Err(Failed::Negative),
            _ => Ok(()),
        }
    }
}

/// A faster clock is rejected: at this speed, a day passes in a second.
const SPEED_MAX: f64 = 86_400.0;

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| *speed > 0.0 && *speed <= SPEED_MAX);
    speed.ok_or_else(|| format!("write a number above 0 and at most {SPEED_MAX}, at which a day passes in a second"))
}

/// Returns what is sent at the first Ctrl-C or SIGTERM. The second ends `dev` at once, whatever it is doing: a thread of
/// its own listens. The tasks end with `dev`, because their supervisors notice.
fn first_signal() -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let (first, received) = oneshot::channel();
    thread::spawn(move || {
        runtime.block_on(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            next().await;
            // Fails only when `dev` is ending.
            let _ = first.send(());
            next().await;
            process::exit(INTERRUPTED.into());
        });
    });
    Ok(received)
}

fn failed(error: DevError) -> Failed {
    match error {
        DevError::NoSource | DevError::BucketName(_) => {
            diagnostics::error(&error.to_string());
            Failed::Config
        }
        DevError::Locked(Locked::ByProcess { .. }) => Failed::Refused(error.to_string()),
        DevError::Endpoint(_)
        | DevError::PortTaken(_)
        | DevError::Bucket { .. }
        | DevError::Queue { .. }
        | DevError::Ledger(_)
        | DevError::Locked(Locked::Unusable { .. })
        | DevError::Runs { .. }
        | DevError::Watch(_) => Failed::Io(error.to_string()),
    }
}

/// Stop a process when `dev` ends: `dev` runs this for each process of a task.
#[derive(Debug, Args)]
pub(crate) struct Supervise {
    /// The Docker container that the process is the client of.
    #[arg(long)]
    container: Option<String>,
    /// The process's command line.
    #[arg(last = true)]
    command: Vec<String>,
}

impl Supervise {
    pub(crate) fn run(self) -> ExitCode {
        ExitCode::from(supervise::supervise(&self.command, self.container.as_deref()))
    }
}

fn summary_json(summary: Summary) -> Value {
    let Summary { events, succeeded, failed, refused } = summary;
    json!({ "events": events, "succeeded": succeeded, "failed": failed, "refused": refused })
}
