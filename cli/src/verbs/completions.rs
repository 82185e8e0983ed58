//! `ecs-trigger completions`: prints a shell completion script.

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::env::Shells;

use crate::completion::VARIABLE;
use crate::exit::Failed;
use crate::output;

/// The name of the command.
const COMMAND: &str = "ecs-trigger";
const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// Print a shell completion script.
///
/// With it, the shell completes verbs, options and files, and the names of the config's routes, schedules, queues and
/// workers. At each completion, the script runs `ecs-trigger`, which reads the config. It calls nothing else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger completions bash \\
    > ~/.local/share/bash-completion/completions/ecs-trigger
  ecs-trigger completions zsh > ~/.zfunc/_ecs-trigger
  ecs-trigger completions fish > ~/.config/fish/completions/ecs-trigger.fish")]
pub(crate) struct Completions {
    /// The shell to complete for.
    #[arg(value_parser = PossibleValuesParser::new(SHELLS))]
    shell: String,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let shells = Shells::builtins();
        let Some(shell) = shells.completer(&self.shell) else {
            return Err(Failed::Usage(format!(
                "`{}` is an unknown shell; name one of {}",
                self.shell,
                SHELLS.join(", ")
            )));
        };
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, COMMAND, COMMAND, COMMAND, &mut script)?;
        output::bytes(&script)
    }
}
