//! `ecs-trigger validate`: is the config right?

use std::path::PathBuf;

use clap::Args;

use crate::config::{FILE_NAME, parse, read, show};
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::output;

/// Check a routing config: every error at once, with its place and what to write instead.
///
/// Nothing is asked of AWS. Exits with 3 if the config has errors.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger validate
  ecs-trigger validate examples/quickstart --overlaps
  ecs-trigger validate --json | jq '.problems[] | select(.severity == \"error\")'")]
pub(crate) struct Validate {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    /// Warn also of routes that share events: each starts its task then.
    #[arg(long)]
    overlaps: bool,
    /// Print the problems as JSON.
    #[arg(long)]
    json: bool,
}

/// What is not promised then.
const WITHOUT_LEDGER: &str = "\
the ledger is off: an event that is delivered again after its client token's life (an hour after its tasks stopped, a day at
most) starts them again, and a launch without capacity on every rung ends as a failed event; `storage` turns the ledger on";

impl Validate {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let source = read(&self.config)?;
        let parsed = parse(source.clone());
        let problems = match &parsed {
            Ok(config) if self.overlaps => &[config.warnings.clone(), config.overlaps()].concat(),
            Ok(config) => &config.warnings,
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
                count => format!(" and {count} kind{} of workers", if count == 1 { "" } else { "s" }),
            };
            anstream::println!("{}: valid, with {}{workers}", source.name, counted(config.routes.len(), "route"));
            if config.ledger().is_none() && !config.routes.is_empty() {
                anstream::println!("{WITHOUT_LEDGER}");
            }
        }
        Ok(())
    }
}
