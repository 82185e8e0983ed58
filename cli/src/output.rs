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

/// Escapes what could steer the terminal in untrusted text: control characters, and characters that reverse the direction of text.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}gpj.exe\u{9b}é"), "a\\u{1b}[31m\\u{202e}gpj.exe\\u{9b}é");
    }
}
