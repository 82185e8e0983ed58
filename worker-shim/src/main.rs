//! `worker-shim`: runs a command for each message of a queue, and protects its ECS task from scale-in meanwhile.

mod keeper;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use tracing::{error, info};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use worker_shim::command::CommandHandler;
use worker_shim::protection::{AGENT_VARIABLE, Protection};
use worker_shim::queue::{self, Queue};
use worker_shim::{INVISIBLE_MAX, Options, work};

/// Run a command for each message of an SQS queue.
///
/// The command reads the message's body from standard input, and its id, receive count, queue URL and group from
/// SQS_MESSAGE_ID, SQS_RECEIVE_COUNT, SQS_QUEUE_URL and SQS_MESSAGE_GROUP_ID. If the command exits with 0, the shim
/// deletes the message. Otherwise the message becomes visible again after --retry-delay; the queue's redrive policy
/// says how often. While the command runs, the message stays invisible, for at most 12 hours, and the task of a service is
/// protected from scale-in. What the command leaves behind in its process group is killed when it ends. After SIGTERM the
/// shim takes no more messages and ends with the last one: give the container a `stopTimeout` that is longer than a
/// message takes.
#[derive(Debug, Parser)]
#[command(
    name = "worker-shim",
    version,
    after_help = "\
Examples:
  worker-shim --queue images -- /app/resize
  worker-shim --queue images --concurrency 4 --idle-exit 10s -- python3 resize.py

In a task that queue-scaler started, ECS_TRIGGER_QUEUE, ECS_TRIGGER_CONCURRENCY and ECS_TRIGGER_IDLE_EXIT set --queue,
--concurrency and --idle-exit: `worker-shim -- COMMAND` is enough.

Exit codes: 0 after SIGTERM, Ctrl-C or --idle-exit; 1 if the worker cannot start; 2 if the command line is wrong."
)]
struct Shim {
    /// The queue's name, ARN or URL; separate several by commas, and each is asked in turn.
    #[arg(long, env = "ECS_TRIGGER_QUEUE", value_name = "QUEUE", value_delimiter = ',', required = true)]
    queue: Vec<String>,
    /// How many messages to handle at once.
    #[arg(long, env = "ECS_TRIGGER_CONCURRENCY", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// End after this time without a message. Not for a service's workers: ECS would start another.
    #[arg(long, env = "ECS_TRIGGER_IDLE_EXIT", value_name = "TIME", value_parser = idle_exit)]
    idle_exit: Option<Duration>,
    /// How long a message stays invisible at a time; the shim extends it while the command runs.
    #[arg(long, value_name = "TIME", value_parser = visibility_timeout, default_value = "60s")]
    visibility_timeout: Duration,
    /// How long a message stays invisible after its first failure. Each further failure doubles the time, up to 15
    /// minutes. SQS allows 12 hours after the receive.
    #[arg(long, value_name = "TIME", value_parser = retry_delay, default_value = "5s")]
    retry_delay: Duration,
    /// End a command that takes longer: SIGTERM, and SIGKILL 10 seconds later. Its message fails. Default: just under
    /// 12 hours, as SQS keeps no message invisible for longer.
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// On SIGTERM, also send SIGTERM to the commands that run. Without this option they get no signal and finish.
    #[arg(long)]
    forward_sigterm: bool,
    /// Whether to protect the task from scale-in. ECS protects only services' tasks: `auto` protects the task if
    /// ECS_AGENT_URI is set and --idle-exit is not.
    #[arg(long, value_enum, default_value_t = Protect::Auto)]
    protection: Protect,
    /// Set by the keeper.
    #[arg(long = keeper::KEPT, hide = true)]
    kept: bool,
    /// The command and its arguments; no shell reads them.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protect {
    Auto,
    On,
    Off,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let shim = Shim::parse();
    // An empty part would switch everything but errors off.
    let levels = std::env::var("RUST_LOG").unwrap_or_default();
    let levels: Vec<&str> = levels.split(',').filter(|level| !level.trim().is_empty()).collect();
    let levels = Some(levels.join(",")).filter(|levels| !levels.is_empty()).and_then(|levels| levels.parse().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(levels).init();
    let ended = match shim.kept {
        false => keeper::keep().await.map_err(Into::into),
        true => tokio::select! {
            ended = shim.run() => ended.map(|()| ExitCode::SUCCESS),
            // The commands end when the runtime does.
            () = keeper::gone() => return ExitCode::FAILURE,
        },
    };
    ended.unwrap_or_else(|reason| {
        error!(%reason, "the worker cannot start");
        ExitCode::FAILURE
    })
}

impl Shim {
    async fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        let agent = std::env::var(AGENT_VARIABLE).ok().filter(|agent| !agent.is_empty());
        let protection = match (self.protection, agent, self.idle_exit) {
            (Protect::Off, ..) | (Protect::Auto, None, _) | (Protect::Auto, _, Some(_)) => Protection::new(None)?,
            (Protect::On, None, _) => {
                return Err(format!("no ECS agent: {AGENT_VARIABLE} is not set; use `--protection auto`").into());
            }
            (_, Some(agent), _) => Protection::new(Some(&agent))?,
        };
        let client = queue::client().await;
        let mut queues = Vec::new();
        for queue in &self.queue {
            queues.push(Queue::open(client.clone(), queue, self.visibility_timeout).await?);
        }
        let options = Options {
            queues,
            concurrency: self.concurrency.into(),
            idle_exit: self.idle_exit,
            retry_delay: Some(self.retry_delay),
            timeout: self.timeout,
        };
        let command = CommandHandler::new(self.command, self.forward_sigterm);
        let handler = move |message, notice| command.clone().run(message, notice);
        let summary = work(options, Arc::new(protection), handler).await?;
        info!(done = summary.done, failed = summary.failed, "the worker has ended");
        Ok(())
    }
}

/// Parses `90s` or `15m`, or a plain number of seconds, as queue-scaler sets it in the environment.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "not a valid duration; write for example `90s` or `15m`".to_owned())
}

fn retry_delay(text: &str) -> Result<Duration, String> {
    let delay = duration(text)?;
    if delay <= INVISIBLE_MAX { Ok(delay) } else { Err("must be at most 12h".to_owned()) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let possible = Duration::from_secs(1)..INVISIBLE_MAX;
    let timeout = duration(text)?;
    if possible.contains(&timeout) { Ok(timeout) } else { Err("must be at least 1s, and less than 12h".to_owned()) }
}

fn idle_exit(text: &str) -> Result<Duration, String> {
    let idle_exit = duration(text)?;
    if idle_exit >= Duration::from_secs(1) { Ok(idle_exit) } else { Err("must be at least 1s".to_owned()) }
}

fn visibility_timeout(text: &str) -> Result<Duration, String> {
    // SQS allows at most 12 hours. A timeout below 2 seconds could not be extended in time.
    let possible = Duration::from_secs(2)..=INVISIBLE_MAX;
    let timeout = duration(text)?;
    if possible.contains(&timeout) { Ok(timeout) } else { Err("must be from 2s to 12h".to_owned()) }
}
