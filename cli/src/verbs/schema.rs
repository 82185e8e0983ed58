//! `ecs-trigger schema`: prints the config's JSON Schema.

use clap::Args;

use crate::exit::Failed;
use crate::output;

/// Print the config's JSON Schema, for editors.
///
/// Save it beside the config, and write `# yaml-language-server: $schema=ecs-trigger.schema.json` as the config's first
/// line: editors then complete and check the config.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger schema > ecs-trigger.schema.json")]
pub(crate) struct PrintSchema {}

impl PrintSchema {
    pub(crate) fn run(self) -> Result<(), Failed> {
        output::json(&trigger_core::config::schema())
    }
}
