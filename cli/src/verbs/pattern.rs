//! `ecs-trigger pattern`: tries event patterns offline.

mod check;
mod test;

use clap::{Args, Subcommand};

use crate::exit::Failed;

/// Try event patterns offline, with EventBridge's semantics.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger pattern match --pattern pattern.json --event event.json
  ecs-trigger pattern check cases.json")]
pub(crate) struct Pattern {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Match(test::Match),
    Check(check::Check),
}

impl Pattern {
    pub(crate) fn run(self) -> Result<(), Failed> {
        match self.verb {
            Verb::Match(verb) => verb.run(),
            Verb::Check(verb) => verb.run(),
        }
    }
}
