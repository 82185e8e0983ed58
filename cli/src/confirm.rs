//! Asking before something is changed.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::Failed;

/// Asks a person, who says yes or no.
pub(crate) fn confirmed(question: &str) -> Result<bool, Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::Refused("there is nobody to ask: write --yes to go on without asking".to_owned()));
    }
    anstream::eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes)))
}
