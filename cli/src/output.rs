//! Prints results, and makes untrusted text safe for a terminal.

use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use crate::exit::Failed;

/// Prints indented JSON, byte for byte.
pub(crate) fn json(value: &Value) -> Result<(), Failed> {
    bytes(format!("{value:#}\n").as_bytes())
}

/// Prints JSON on one line, byte for byte.
pub(crate) fn json_line(value: &Value) -> Result<(), Failed> {
    bytes(format!("{value}\n").as_bytes())
}

/// Prints bytes. A closed pipe is not an error: a reader such as `head` stops early.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failed::Io(format!("cannot write output: {error}"))),
        _ => Ok(()),
    }
}

/// Escapes the control characters of untrusted text, which could otherwise steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
