//! `ecs-trigger scaling`: asks a worker's scaling policy for decisions.

use std::io::{self, BufRead};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::scaling::{Action, Memory, Observation};

use crate::completion;
use crate::config::{Environment, FILE_NAME, load, worker_of};
use crate::exit::Failed;
use crate::output;

/// Ask a worker's scaling policy for decisions.
#[derive(Debug, Args)]
pub(crate) struct Scaling {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Decide(Decide),
}

impl Scaling {
    pub(crate) fn run(self) -> Result<(), Failed> {
        match self.verb {
            Verb::Decide(decide) => decide.run(),
        }
    }
}

/// Read observations from standard input and print a decision for each.
///
/// Each line is one observation, a JSON object with `t` (in seconds) and the counts `visible`, `in_flight`, `delayed`,
/// `running`, `pending` and `desired`. It may also have `deployment_in_progress`, `protected`, `start_delays` (a list
/// of seconds) and `minutes` (a list of objects with `sent`, `deleted` and `in_flight`). A value that is `null` or left
/// out is unknown.
///
/// Each decision is one line of JSON with `t`, `desired` (the service's new desired count, or null), `launch` (the
/// number of tasks to start, or null) and `reason`.
///
/// Each line is answered at once, and the policy remembers it for the next line. You can replay a log, or drive the
/// policy from your own simulator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo '{\"t\":0,\"visible\":9,\"in_flight\":0,\"running\":0,\"pending\":0,\"desired\":0}' \\
    | ecs-trigger scaling decide
  ecs-trigger scaling decide --worker image-worker < observations.jsonl")]
struct Decide {
    /// The worker. Default: the config's only worker.
    #[arg(long, value_name = "NAME", add = completion::workers())]
    worker: Option<String>,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Add the numbers behind each decision: offered load, backlog, horizon, service time.
    #[arg(long)]
    numbers: bool,
}

impl Decide {
    fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, false)?;
        let worker = worker_of(&config, self.worker.as_deref())?;
        let mut memory = Memory::default();
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |reason: String| Failed::Usage(format!("line {number} of standard input: {reason}"));
            let (t, now, observation) = read(&line).map_err(wrong)?;
            let (decision, remembered) = worker.policy.decide(&observation, memory, now);
            memory = remembered;
            let (desired, launch) = match decision.action {
                Action::Hold => (None, None),
                Action::SetDesired(count) => (Some(count), None),
                Action::Launch(count) => (None, Some(count)),
            };
            let mut answer = json!({ "t": t, "desired": desired, "launch": launch, "reason": decision.to_string() });
            if self.numbers {
                answer["numbers"] = json!(decision.numbers);
            }
            output::json_line(&answer)?;
        }
        Ok(())
    }
}

/// Parses a line into its `t`, the time that `t` means, and the observation.
///
/// `t` counts seconds since 1970, which lets the policy's schedules apply to the times of a log.
fn read(line: &str) -> Result<(Value, Timestamp, Observation), String> {
    let help =
        "write an object such as {\"t\":0,\"visible\":1,\"in_flight\":0,\"running\":0,\"pending\":0,\"desired\":0}";
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}; {help}"))?;
    let t = value.get("t").cloned().unwrap_or(Value::Null);
    let seconds = t.as_f64().and_then(|t| SignedDuration::try_from_secs_f64(t).ok());
    let now = seconds.and_then(|seconds| Timestamp::UNIX_EPOCH.checked_add(seconds).ok());
    let now = now.ok_or_else(|| format!("`t` is not a time in seconds; {help}"))?;
    let observation = serde_json::from_value(value).map_err(|error| format!("{error}; {help}"))?;
    Ok((t, now, observation))
}
