//! `ecs-trigger schema`: the config's JSON Schema.

use clap::Args;

use crate::exit::Failed;
use crate::output;

/// Print the JSON Schema of the routing config, for editors.
///
/// With `# yaml-language-server: $schema=ecs-trigger.schema.json` as a config's first line, editors complete and check it.
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
