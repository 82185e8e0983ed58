//! `ecs-trigger scaling`: what does the policy of a worker decide?

use std::io::{self, BufRead};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::scaling::{Action, Memory, Observation};

use crate::config::{FILE_NAME, load, worker_of};
use crate::exit::Failed;
use crate::output;

/// Ask the scaling policy of a worker.
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

/// Read observations from standard input, a line each, and print the decision about each.
///
/// An observation is JSON: `t` (seconds), `visible`, `in_flight`, `delayed`, `running`, `pending`, `desired` (counts), and where
/// they are known `deployment_in_progress`, `protected`, `start_delays` ([seconds]) and `minutes` ([{sent, deleted, in_flight}]).
/// What is `null` or left out is unknown. A decision is JSON: `t`, `desired` (the service's new count, or null), `launch` (tasks to
/// start, or null) and `reason`. Each line is answered at once, and remembered for the next: so a log can be replayed, or a
/// simulator of yours drive the policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo '{\"t\":0,\"visible\":42,\"in_flight\":0,\"running\":0,\"pending\":0,\"desired\":0}' | ecs-trigger scaling decide
  ecs-trigger scaling decide --worker image-worker < observations.jsonl")]
struct Decide {
    /// The worker. Not needed where the config has only one.
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// The config, or the folder that holds it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    /// Add the numbers behind each decision: offered load, backlog, horizon, service time.
    #[arg(long)]
    numbers: bool,
}

impl Decide {
    fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, false)?;
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

/// An observation, and its time as it was written and as it is meant: seconds since 1970, so that schedules hold for the times of a
/// log.
fn read(line: &str) -> Result<(Value, Timestamp, Observation), String> {
    let help =
        "write an object such as {\"t\":0,\"visible\":1,\"in_flight\":0,\"running\":0,\"pending\":0,\"desired\":0}";
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}; {help}"))?;
    let t = value.get("t").cloned().unwrap_or(Value::Null);
    let seconds = t.as_f64().and_then(|t| SignedDuration::try_from_secs_f64(t).ok());
    let now = seconds.and_then(|seconds| Timestamp::UNIX_EPOCH.checked_add(seconds).ok());
    let now = now.ok_or_else(|| format!("`t` is no time in seconds; {help}"))?;
    let observation = serde_json::from_value(value).map_err(|error| format!("{error}; {help}"))?;
    Ok((t, now, observation))
}
