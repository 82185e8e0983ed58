//! What the exit codes mean.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::diagnostics;

/// The exit codes, for the help text.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    a task failed or could not be started (dev); a test failed (test); no match (pattern match); a case failed
       (pattern check); something would change (diff --exit-code); a check failed (verify)
  2    the command line is wrong; pattern or event are invalid (pattern match); an observation is none (scaling decide)
  3    the config has errors
  4    the event is no event
  5    the event's tasks cannot be requested: a missing field, a limit of AWS
  6    a file cannot be read or written
  7    AWS refused something, or cannot be reached; a deployment failed
  8    something is not done, as it would lose something, or was not confirmed
  130  dev --once was interrupted

Documentation: README.md";

/// Why a verb did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The answer is no: a task failed, a pattern does not match, a case failed. All is said.
    #[error("")]
    Negative,
    /// The command line names what is not there.
    #[error("{0}")]
    Usage(String),
    /// The pattern or the event is invalid; that has been shown.
    #[error("")]
    Invalid,
    /// The config has errors; they have been shown.
    #[error("")]
    Config,
    /// The event is none; said already where it was read.
    #[error("")]
    Event,
    /// The event's tasks cannot be requested.
    #[error("")]
    Plan,
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Output cannot be written, or a folder not be used.
    #[error("{0}")]
    Io(String),
    /// AWS refused something, or could not be reached.
    #[error("{0}")]
    Aws(String),
    /// A deployment failed: the stack is as it was, or says what it is.
    #[error("{0}")]
    RolledBack(String),
    /// It is not done: it would lose something, or was not confirmed.
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
            Self::Aws(_) | Self::RolledBack(_) => 7,
            Self::Refused(_) => 8,
            Self::Interrupted => 130,
        }
    }
}

/// The exit code; prints what has not been said yet.
pub(crate) fn code(result: Result<(), Failed>) -> ExitCode {
    let Err(failed) = result else { return ExitCode::SUCCESS };
    let message = failed.to_string();
    if !message.is_empty() {
        diagnostics::error(&message);
    }
    ExitCode::from(failed.code())
}
