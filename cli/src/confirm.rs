//! Asks before anything is changed.

use std::io::{self, BufRead, IsTerminal};

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
