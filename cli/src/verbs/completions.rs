//! `ecs-trigger completions`: prints a shell completion script.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::Failed;
use crate::output;

/// Print a shell completion script.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger completions bash \\
    > ~/.local/share/bash-completion/completions/ecs-trigger
  ecs-trigger completions zsh > ~/.zfunc/_ecs-trigger
  ecs-trigger completions fish > ~/.config/fish/completions/ecs-trigger.fish")]
pub(crate) struct Completions {
    /// The shell to complete for.
    shell: Shell,
}

impl Completions {
    /// Prints the completion script for a command.
    pub(crate) fn run(self, mut command: Command) -> Result<(), Failed> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ecs-trigger", &mut script);
        output::bytes(&script)
    }
}
