//! `ecs-trigger validate`: checks a config.

use std::path::PathBuf;

use clap::Args;
use infra::{Body, Finding, Usage};
use jiff::Timestamp;
use serde_json::json;
use trigger_core::routing::RoutingConfig;

use crate::config::{Environment, FILE_NAME, read, recording, show};
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::output::{self, line};

/// Check a config.
///
/// Reports every error at once, each with its place and what to write instead, warns about schedules in the past and
/// about limits of AWS of which the stack uses more than 80 %, and names what AWS would refuse of the config's stack.
/// Does not call AWS. Exits with 3 if the config has errors, or its stack exceeds a limit.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger validate
  ecs-trigger validate examples/quickstart --overlaps
  ecs-trigger validate --json | jq '.problems[] | select(.severity == \"error\")'")]
pub(crate) struct Validate {
    /// The config file, or the folder that contains it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Also warn about routes that share events, each of which starts its own tasks.
    #[arg(long)]
    overlaps: bool,
    /// Print the problems as JSON.
    #[arg(long)]
    json: bool,
}

/// What a config without a ledger does not guarantee.
const WITHOUT_LEDGER: &str = "\
the ledger is off: a redelivered event starts its tasks again once its client
token has expired (1 hour after the tasks stop, 24 hours at most), and an event
fails if no rung has capacity for it; set `storage` to turn the ledger on";

impl Validate {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let source = read(&self.config, &self.environment)?;
        let (parsed, taken) = recording(|variables| RoutingConfig::parse_with(source.clone(), variables));
        let valid = parsed.as_ref().ok();
        let stack = valid.map(|config| Body::new(config, &infra::stack(config, &taken)));
        let storage = valid.and_then(|config| Some(Body::new(config, &infra::storage(config)?)));
        let limits: Vec<Usage> = stack.iter().flat_map(infra::usage).filter(Usage::is_near).collect();
        let refused: Vec<Finding> = stack.iter().chain(&storage).flat_map(infra::check).collect();
        let problems = match &parsed {
            Ok(config) => {
                let overlaps = if self.overlaps { config.overlaps() } else { Vec::new() };
                &[config.warnings.clone(), config.past_schedules(Timestamp::now()), overlaps].concat()
            }
            Err(problems) => problems,
        };
        let is_valid = parsed.is_ok() && refused.is_empty();
        if self.json {
            let mut said = diagnostics::all_as_json(&source, is_valid, problems);
            if let Ok(config) = &parsed {
                said["ledger"] = if config.ledger().is_some() { "on" } else { "off" }.into();
                said["limits"] = limits.iter().map(as_json).collect();
            }
            if !refused.is_empty() {
                said["refused_by_aws"] = refused.iter().map(ToString::to_string).collect();
            }
            output::json(&said)?;
        } else {
            show(&source, problems);
            let report = |finding: &Finding| format!("AWS would refuse the template: {finding}");
            refused.iter().for_each(|finding| diagnostics::error(&report(finding)));
        }
        let config = parsed.map_err(|_| Failed::Config)?;
        if !refused.is_empty() {
            return Err(Failed::Config);
        }
        if !self.json {
            let workers = match config.workers.len() {
                0 => String::new(),
                count => format!(" and {}", counted(count, "worker definition")),
            };
            line!("{}: valid, with {}{workers}", source.name, counted(config.routes.len(), "route"))?;
            if config.ledger().is_none() && !config.routes.is_empty() {
                line!("{WITHOUT_LEDGER}")?;
            }
            limits.iter().try_for_each(|limit| line!("{}", sentence(limit)))?;
        }
        Ok(())
    }
}

fn as_json(limit: &Usage) -> serde_json::Value {
    json!({ "limit": limit.what, "used": limit.used, "max": limit.max, "remedy": limit.remedy })
}

fn sentence(limit: &Usage) -> String {
    let Usage { what, used, max, .. } = limit;
    format!("{what} is {used}: {} % of AWS's limit of {max}", limit.percent())
}
