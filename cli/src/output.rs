//! Results on standard output, and texts of strangers on a terminal.

use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use crate::exit::Failed;

/// Prints JSON over several lines, byte for byte.
pub(crate) fn json(value: &Value) -> Result<(), Failed> {
    bytes(format!("{value:#}\n").as_bytes())
}

/// Prints JSON on one line, byte for byte.
pub(crate) fn json_line(value: &Value) -> Result<(), Failed> {
    bytes(format!("{value}\n").as_bytes())
}

/// Prints bytes. A reader that has read enough, as `head` does, is no error.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failed::Io(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

/// A text of unknown origin, its control characters escaped, so that it cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Tells what is being done.
pub(crate) fn step(text: &str) {
    anstream::eprintln!("{}", printable(text));
}
