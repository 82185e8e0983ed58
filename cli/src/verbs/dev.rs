//! `ecs-trigger dev`: runs a project on this machine, with folders as buckets and queues, and processes as tasks.

use std::io;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use trigger_local::dev::{ContainerExit, DevError, Happening, Locked, Options, Stream, Summary, run};
use trigger_local::sandbox::supervise;

use crate::config::{Environment, folder_of, load};
use crate::diagnostics::{self, counted};
use crate::exit::{Failed, INTERRUPTED};
use crate::output::{self, line, message, printable, printable_output};
use crate::sample::time;

/// Run a project on this machine, without AWS or Docker.
///
/// Folders stand in for buckets. When a file lands in one, `dev` makes the event that EventBridge would send for it,
/// and handles the event with the same code as on AWS. It starts the task's containers as processes, as `local:` in the
/// config says, with the overrides applied. Folders stand in for queues too: each file is a message, and `ecs-trigger
/// send` writes one. Schedules fire. Ctrl-C stops the tasks; a second Ctrl-C ends `dev` at once. Only a container with
/// an `image` needs Docker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Process the files that are there, and end with the last task
  ecs-trigger dev examples/quickstart --once

  # Wait for new files
  ecs-trigger dev examples/quickstart

  # Fire what is due within a minute from this time
  ecs-trigger dev examples/nightly --once --at 2026-12-31T18:00:00Z

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
    /// Print what happens as JSON, one object per line.
    #[arg(long)]
    json: bool,
}

impl Dev {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.project, &self.environment, self.json)?;
        let folder = folder_of(&self.project);
        let options = Options {
            config,
            folder: folder.canonicalize().map_err(|error| Failed::File { path: folder, error })?,
            once: self.once,
            tasks_max: self.max_tasks.into(),
            supervisor: vec![std::env::current_exe()?.display().to_string(), "supervise".to_owned()],
            start_at: self.at,
            speed: self.speed,
        };
        let mut interrupted = false;
        let show = |happening: &Happening| {
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
        let ran = runtime.block_on(run(options, until_interrupted, show));
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
        | DevError::Bucket { .. }
        | DevError::Queue { .. }
        | DevError::Ledger(_)
        | DevError::Locked(Locked::Unusable { .. })
        | DevError::Watch(_) => Failed::Io(error.to_string()),
    }
}

/// Stop a process when `dev` ends (for internal use).
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

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
/// All lines of a task have the same color.
const TASK_COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];

fn print(happening: &Happening, once: bool) -> Result<(), Failed> {
    match happening {
        Happening::Watching { bucket, folder, files } if once => {
            line!("bucket {BOLD}{bucket}{BOLD:#}: folder {} ({})", folder.display(), counted(*files, "file"))
        }
        Happening::Watching { bucket, folder, files } => {
            let there = match files {
                0 => String::new(),
                _ => format!(" (ignoring {} already there; `--once` processes them)", counted(*files, "file")),
            };
            line!("bucket {BOLD}{bucket}{BOLD:#}: folder {}, waiting for new files{there}", folder.display())
        }
        Happening::WatchingQueue { queue, folder, messages } => {
            line!("queue {BOLD}{queue}{BOLD:#}: folder {} ({})", folder.display(), counted(*messages, "message"))
        }
        Happening::Scheduled { route, next } => match next {
            Some(next) => line!("{BOLD}{route}{BOLD:#} fires next at {next}"),
            None => line!("{BOLD}{route}{BOLD:#} never fires again"),
        },
        Happening::Fired { route, scheduled_time } => line!("{scheduled_time}: {BOLD}{route}{BOLD:#} fires"),
        Happening::Superseded { next } => line!("  {DIM}skipped: superseded by the firing at {next}{DIM:#}"),
        Happening::Message { queue, message_id, receive_count } => {
            let again = if *receive_count > 1 { format!(", received {receive_count} times") } else { String::new() };
            line!("message from {BOLD}{queue}{BOLD:#}: {}{again}", printable(message_id))
        }
        Happening::MessageIgnored { reason } => line!("  {DIM}ignored: {}{DIM:#}", printable(reason)),
        Happening::HeldBack => line!("  {DIM}returned to its queue: an earlier message of its group failed{DIM:#}"),
        Happening::DeadLettered { queue, file } => {
            message!("  {RED}dead letter{RED:#} from the queue {queue}: {}", printable(&file.display().to_string()));
            Ok(())
        }
        Happening::Object { detail_type, bucket, key } => {
            line!("{detail_type}: {BOLD}{bucket}/{}{BOLD:#}", printable(key))
        }
        Happening::Incomplete { bucket, key } => {
            line!("{DIM}{bucket}/{} is still being written{DIM:#}", printable(key))
        }
        Happening::Duplicate { route } => line!("  {DIM}{route} has already run for this event{DIM:#}"),
        Happening::Skipped { route, reason } => line!("  {DIM}{route} is skipped: {}{DIM:#}", printable(reason)),
        Happening::Deferred { route, reason } => line!("  {DIM}{route} waits: {}{DIM:#}", printable(reason)),
        Happening::EventDeadLettered { route, reason } => {
            message!("  {RED}dead letter{RED:#} from the route {route}: {}", printable(reason));
            Ok(())
        }
        Happening::Ignored => line!("  {DIM}no route matches{DIM:#}"),
        Happening::EmptyList { routes } => {
            line!("  {DIM}the `for_each` list is empty for {}{DIM:#}", routes.join(", "))
        }
        Happening::Launched { route, task_name, tasks } => {
            let tasks: Vec<String> = tasks.iter().map(|task| label(task)).collect();
            line!("  {route} runs {task_name} as {}", tasks.join(", "))
        }
        Happening::Scaling { worker, visible, in_flight, running, desired, reason, depths } => line!(
            "{BOLD}{worker}{BOLD:#} {} {visible} visible, {in_flight} in flight; {running} of {desired} workers; \
             {DIM}{}{DIM:#}",
            chart(depths),
            printable(reason)
        ),
        Happening::Refused { reason } => {
            message!("  {RED}error{RED:#}: {}", printable(reason));
            Ok(())
        }
        Happening::Output { task, container, stream, line } => {
            let bar = if *stream == Stream::Stderr { '!' } else { '|' };
            line!("{} {container} {bar} {}", label(task), printable_output(line))
        }
        Happening::Stopped { task, containers, duration } => {
            let exits: Vec<String> = containers.iter().map(exit).collect();
            line!("{} stopped after {}: {}", label(task), seconds(*duration), exits.join(", "))
        }
    }
}

/// Returns the depths of the last ticks as a bar chart, scaled to the highest of them.
fn chart(depths: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = depths.iter().copied().max().unwrap_or(0).max(1);
    let bar = |depth: &u64| BARS[usize::try_from(depth * 7 / highest).unwrap_or(7).min(7)];
    depths.iter().map(bar).collect()
}

fn label(task: &str) -> String {
    // Ids are the hexadecimal digits of a hash, so their sum spreads the colors evenly. The last digit tells the copies
    // of a task apart.
    let short: String = task.chars().take(7).chain(task.chars().last()).collect();
    let colour = task.bytes().map(usize::from).sum::<usize>() % TASK_COLOURS.len();
    let style = TASK_COLOURS[colour].on_default();
    format!("{style}{short}{style:#}")
}

fn exit(exit: &ContainerExit) -> String {
    let style = if exit.code == 0 { GREEN } else { RED };
    format!("{} {style}exit code {}{style:#}", exit.container, exit.code)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn print_summary(summary: Summary) -> Result<(), Failed> {
    let Summary { events, succeeded, failed, refused } = summary;
    let mut line = format!(
        "{}, {}: {succeeded} succeeded, {failed} failed",
        counted(events, "event"),
        counted(succeeded + failed, "task")
    );
    if refused > 0 {
        line.push_str(&format!("; {refused} refused"));
    }
    let style = if failed + refused == 0 { GREEN } else { RED };
    line!("{style}{line}{style:#}")
}

fn summary_json(summary: Summary) -> Value {
    let Summary { events, succeeded, failed, refused } = summary;
    json!({ "events": events, "succeeded": succeeded, "failed": failed, "refused": refused })
}

fn as_json(happening: &Happening) -> Value {
    match happening {
        Happening::Watching { bucket, folder, files } => {
            json!({ "watching": { "bucket": bucket, "folder": folder, "files": files } })
        }
        Happening::WatchingQueue { queue, folder, messages } => {
            json!({ "watching_queue": { "queue": queue, "folder": folder, "messages": messages } })
        }
        Happening::Scheduled { route, next } => {
            json!({ "scheduled": { "route": route, "next": next.map(|next| next.to_string()) } })
        }
        Happening::Fired { route, scheduled_time } => {
            json!({ "fired": { "route": route, "scheduled_time": scheduled_time.to_string() } })
        }
        Happening::Superseded { next } => json!({ "superseded": { "next": next.to_string() } }),
        Happening::Message { queue, message_id, receive_count } => {
            json!({ "message": { "queue": queue, "message_id": message_id, "receive_count": receive_count } })
        }
        Happening::MessageIgnored { reason } => json!({ "message_ignored": { "reason": reason } }),
        Happening::HeldBack => json!({ "held_back": {} }),
        Happening::DeadLettered { queue, file } => json!({ "dead_lettered": { "queue": queue, "file": file } }),
        Happening::Object { detail_type, bucket, key } => {
            json!({ "object": { "detail_type": detail_type, "bucket": bucket, "key": key } })
        }
        Happening::Ignored => json!({ "ignored": {} }),
        Happening::Duplicate { route } => json!({ "duplicate": { "route": route } }),
        Happening::Skipped { route, reason } => json!({ "skipped": { "route": route, "reason": reason } }),
        Happening::Deferred { route, reason } => json!({ "deferred": { "route": route, "reason": reason } }),
        Happening::EventDeadLettered { route, reason } => {
            json!({ "event_dead_lettered": { "route": route, "reason": reason } })
        }
        Happening::Scaling { worker, visible, in_flight, running, desired, reason, .. } => json!({ "scaling": {
            "worker": worker, "visible": visible, "in_flight": in_flight, "running": running, "desired": desired,
            "reason": reason,
        } }),
        Happening::Incomplete { bucket, key } => json!({ "incomplete": { "bucket": bucket, "key": key } }),
        Happening::EmptyList { routes } => json!({ "empty_list": { "routes": routes } }),
        Happening::Launched { route, task_name, tasks } => {
            json!({ "launched": { "route": route, "task_name": task_name, "tasks": tasks } })
        }
        Happening::Refused { reason } => json!({ "refused": { "reason": reason } }),
        Happening::Output { task, container, stream, line } => {
            let stream = if *stream == Stream::Stderr { "stderr" } else { "stdout" };
            json!({ "output": { "task": task, "container": container, "stream": stream, "line": line } })
        }
        Happening::Stopped { task, containers, duration } => {
            let exits: Vec<_> = containers
                .iter()
                .map(|exit| json!({ "container": exit.container, "exit_code": exit.code, "essential": exit.essential }))
                .collect();
            json!({ "stopped": { "task": task, "containers": exits, "duration_ms": duration.as_millis() } })
        }
    }
}
