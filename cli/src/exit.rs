//! The exit codes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::diagnostics;
use crate::output;

/// The exit codes and what each means, for the help text.
pub(crate) const CODES: [(u8, &str); 10] = [
    (0, "success"),
    (
        1,
        "a task failed or could not be started (dev); a test failed (test); no match (pattern match); a case failed \
         (pattern check); something would change (diff --exit-code); a check failed (verify); a dead letter \
         stays (redrive); a launch did not succeed (run --wait) or was not changed (cancel, retry)",
    ),
    (
        2,
        "the command line is wrong; the answers make no valid config (init); the pattern or the event is invalid (pattern \
         match); an observation is invalid (scaling decide)",
    ),
    (3, "the config has errors"),
    (4, "the input is not a recognized event"),
    (5, "the event's tasks cannot be requested: a field is missing, or an AWS limit is exceeded"),
    (6, "a file cannot be read or written"),
    (7, "AWS refused a request, or cannot be reached; a deployment failed"),
    (
        8,
        "refused: it would lose data, the stack is not this config's, AWS would refuse the template, or it was not \
         confirmed; another dev runs the project (dev); the config exists (init)",
    ),
    (INTERRUPTED, "dev --once was interrupted, or dev was interrupted twice; another verb was interrupted"),
];

/// The exit code after Ctrl-C, as in a shell: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a verb did not succeed. An empty message means that the verb has printed the reason already.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The answer is no: a task failed, a pattern does not match, a case failed.
    #[error("")]
    Negative,
    /// The command line is wrong, or names something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The pattern, the event, or an answer given to `init` is invalid.
    #[error("")]
    Invalid,
    /// The config has errors.
    #[error("")]
    Config,
    /// The input is not a recognized event.
    #[error("")]
    Event,
    /// The event's tasks cannot be requested.
    #[error("")]
    Plan,
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File { path: PathBuf, error: io::Error },
    /// Output cannot be written, or a folder cannot be used.
    #[error("{0}")]
    Io(String),
    /// AWS refused a request, or could not be reached.
    #[cfg(feature = "aws")]
    #[error("{0}")]
    Aws(String),
    /// A deployment failed. The stack is rolled back, or the message names its status.
    #[cfg(feature = "aws")]
    #[error("{0}")]
    RolledBack(String),
    /// The verb would lose data, was not confirmed, or is already running.
    #[error("{0}")]
    Refused(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl Failed {
    fn code(&self) -> u8 {
        match self {
            Self::Negative => 1,
            Self::Usage(_) | Self::Invalid => 2,
            Self::Config => 3,
            Self::Event => 4,
            Self::Plan => 5,
            Self::File { .. } | Self::Io(_) => 6,
            #[cfg(feature = "aws")]
            Self::Aws(_) | Self::RolledBack(_) => 7,
            Self::Refused(_) => 8,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

/// Prints the failure, unless the verb has reported it already, and returns the exit code.
pub(crate) fn code(result: Result<(), Failed>) -> ExitCode {
    let Err(failed) = result else { return ExitCode::SUCCESS };
    let message = failed.to_string();
    if !message.is_empty() {
        diagnostics::error(&message);
    }
    ExitCode::from(failed.code())
}

/// Prints the help, the version or the error with which clap refuses a command line, and returns the exit code.
pub(crate) fn print_clap(answer: &clap::Error) -> ExitCode {
    match (answer.print(), u8::try_from(answer.exit_code())) {
        (printed, Ok(0)) => code(output::written(printed)),
        (_, other) => ExitCode::from(other.unwrap_or(2)),
    }
}
