//! `ecs-trigger validate`: checks a config.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::config::{FILE_NAME, parse, read, show};
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::output::{self, line};

/// Check a config.
///
/// Reports every error at once, each with its place and what to write instead, and warns about schedules in the past.
/// Does not call AWS. Exits with 3 if the config has errors.
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
        let source = read(&self.config)?;
        let parsed = parse(source.clone());
        let problems = match &parsed {
            Ok(config) => {
                let overlaps = if self.overlaps { config.overlaps() } else { Vec::new() };
                &[config.warnings.clone(), config.past_schedules(Timestamp::now()), overlaps].concat()
            }
            Err(problems) => problems,
        };
        if self.json {
            let mut said = diagnostics::all_as_json(&source, parsed.is_ok(), problems);
            if let Ok(config) = &parsed {
                said["ledger"] = if config.ledger().is_some() { "on" } else { "off" }.into();
            }
            output::json(&said)?;
        } else {
            show(&source, problems);
        }
        let config = parsed.map_err(|_| Failed::Config)?;
        if !self.json {
            let workers = match config.workers.len() {
                0 => String::new(),
                count => format!(" and {}", counted(count, "worker definition")),
            };
            line!("{}: valid, with {}{workers}", source.name, counted(config.routes.len(), "route"))?;
            if config.ledger().is_none() && !config.routes.is_empty() {
                line!("{WITHOUT_LEDGER}")?;
            }
        }
        Ok(())
    }
}
