//! Asks before anything is changed.

use std::io::{self, BufRead, IsTerminal};
use std::thread;

use tokio::sync::oneshot;

use crate::exit::Failed;
use crate::output;

/// Asks the user, and returns whether the answer is yes.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::Refused(
            "standard input is not a terminal; pass --yes to skip the confirmation".to_owned(),
        ));
    }
    output::on_stderr(&format!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes)))
}

/// Does the same as [`confirmed`] for a verb that handles Ctrl-C itself.
///
/// # Errors
/// As of [`confirmed`], or the user pressed Ctrl-C.
pub(crate) async fn confirmed_or_interrupted(question: String) -> Result<bool, Failed> {
    let (tell, told) = oneshot::channel();
    // Nothing can stop the thread while it reads: it ends with the process.
    thread::spawn(move || tell.send(confirmed(&question)));
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Err(Failed::Interrupted),
        answer = told => answer.unwrap_or(Err(Failed::Interrupted)),
    }
}
