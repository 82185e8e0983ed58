//! `worker-shim`: a command for each message of a queue, in a container whose task ECS does not stop meanwhile.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use worker_shim::protection::{AGENT_VARIABLE, Protection};
use worker_shim::queue::{self, Queue};
use worker_shim::{Options, command, work};

/// Run a command for each message of an SQS queue.
///
/// The message's body is the command's standard input; its id, receive count, queue and group are SQS_MESSAGE_ID,
/// SQS_RECEIVE_COUNT, SQS_QUEUE_URL and SQS_MESSAGE_GROUP_ID. If the command exits with 0 the message is deleted; else it can be
/// received again after --retry-delay, and ends in the queue's dead-letter queue when that was too often. Meanwhile the message
/// stays invisible, and the task of a service is protected from scale-in. After SIGTERM no message is taken any more, and the shim
/// ends with the last: give the container a `stopTimeout` that is longer than a message takes.
#[derive(Debug, Parser)]
#[command(
    name = "worker-shim",
    version,
    after_help = "\
Examples:
  worker-shim --queue images -- /app/resize
  worker-shim --queue images --concurrency 4 --idle-exit 10s -- python3 resize.py

In a task that queue-scaler started, --queue, --concurrency and --idle-exit are set by ECS_TRIGGER_QUEUE,
ECS_TRIGGER_CONCURRENCY and ECS_TRIGGER_IDLE_EXIT: `worker-shim -- COMMAND` is enough.

Exits with 0 after SIGTERM, Ctrl-C or --idle-exit; with 2 if the command line is wrong; with 1 if it cannot begin."
)]
struct Shim {
    /// The queue's name, ARN or URL; several, separated by commas, are asked in turn.
    #[arg(long, env = "ECS_TRIGGER_QUEUE", value_name = "QUEUE", value_delimiter = ',', required = true)]
    queue: Vec<String>,
    /// How many messages to work on at once.
    #[arg(long, env = "ECS_TRIGGER_CONCURRENCY", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// End after so long without a message: for tasks of their own. A service's worker must not, as ECS would start another.
    #[arg(long, env = "ECS_TRIGGER_IDLE_EXIT", value_name = "TIME", value_parser = idle_exit)]
    idle_exit: Option<Duration>,
    /// How long a message stays invisible at a time; it is prolonged while the command runs.
    #[arg(long, value_name = "TIME", value_parser = visibility_timeout, default_value = "60s")]
    visibility_timeout: Duration,
    /// After how long a failed message can be received again.
    #[arg(long, value_name = "TIME", value_parser = retry_delay, default_value = "5s")]
    retry_delay: Duration,
    /// Whether to protect the task: `auto` does where ECS has an agent to ask (ECS_AGENT_URI) and no --idle-exit is set, as only
    /// services' tasks can be protected.
    #[arg(long, value_enum, default_value_t = Protect::Auto)]
    protection: Protect,
    /// The command, and its arguments. No shell reads them.
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
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).with_env_filter(filter).init();
    match shim.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!(%reason, "the worker cannot begin");
            ExitCode::FAILURE
        }
    }
}

impl Shim {
    async fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        let agent = std::env::var(AGENT_VARIABLE).ok().filter(|agent| !agent.is_empty());
        let protection = match (self.protection, agent, self.idle_exit) {
            (Protect::Off, ..) | (Protect::Auto, None, _) | (Protect::Auto, _, Some(_)) => Protection::new(None)?,
            (Protect::On, None, _) => {
                return Err(format!("{AGENT_VARIABLE} is not set: no agent could protect the task").into());
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
        };
        let command: Arc<[String]> = self.command.into();
        let handler = move |message| {
            let command = Arc::clone(&command);
            async move { command::run(&command, message).await }
        };
        let summary = work(options, Arc::new(protection), handler).await?;
        info!(done = summary.done, failed = summary.failed, "the worker has ended");
        Ok(())
    }
}

/// `90s`, `15m`; or seconds alone, as the environment has them.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "must be a length of time such as `90s` or `15m`".to_owned())
}

fn retry_delay(text: &str) -> Result<Duration, String> {
    let delay = duration(text)?;
    if delay <= Duration::from_secs(12 * 3600) { Ok(delay) } else { Err("must be at most 12h".to_owned()) }
}

fn idle_exit(text: &str) -> Result<Duration, String> {
    let idle_exit = duration(text)?;
    if idle_exit >= Duration::from_secs(1) { Ok(idle_exit) } else { Err("must be at least 1s".to_owned()) }
}

fn visibility_timeout(text: &str) -> Result<Duration, String> {
    // SQS takes 12 hours at most; less than 2 seconds could not be prolonged in time.
    let possible = Duration::from_secs(2)..=Duration::from_secs(12 * 3600);
    let timeout = duration(text)?;
    if possible.contains(&timeout) { Ok(timeout) } else { Err("must be from 2s to 12h".to_owned()) }
}
