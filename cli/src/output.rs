//! Prints results and messages, and makes untrusted text safe for a terminal. Nothing else in this crate prints.

use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use crate::exit::Failed;

/// Prints a line on standard output. Takes what `format!` takes; styles show only on a terminal.
macro_rules! line {
    ($($text:tt)*) => {
        $crate::output::text(&format!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use line;

/// Prints a line on standard error. Takes what `format!` takes; styles show only on a terminal.
macro_rules! message {
    ($($text:tt)*) => {
        $crate::output::on_stderr(&format!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use message;

/// Prints text on standard output.
///
/// # Errors
/// As for [`bytes`].
pub(crate) fn text(text: &str) -> Result<(), Failed> {
    let mut stdout = anstream::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints text on standard error. A failure is ignored: there is nowhere else to report it.
pub(crate) fn on_stderr(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Prints indented JSON.
///
/// # Errors
/// As for [`bytes`].
pub(crate) fn json(value: &Value) -> Result<(), Failed> {
    bytes(format!("{}\n", indented(value)).as_bytes())
}

/// Prints JSON on one line.
///
/// # Errors
/// As for [`bytes`].
pub(crate) fn json_line(value: &Value) -> Result<(), Failed> {
    bytes(format!("{}\n", escaped_in_json(&value.to_string())).as_bytes())
}

/// Prints bytes on standard output.
///
/// # Errors
/// Standard output cannot be written to. A closed pipe is not an error: a reader such as `head` stops early.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Judges the result of writing to standard output.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failed> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failed::Io(format!("cannot write output: {error}"))),
        _ => Ok(()),
    }
}

/// Returns indented JSON that cannot steer a terminal: inside its strings, such characters are JSON escapes.
pub(crate) fn indented(value: &Value) -> String {
    escaped_in_json(&format!("{value:#}"))
}

fn escaped_in_json(json: &str) -> String {
    // `serde_json` escapes the other control characters. These are all below U+10000, so one escape is enough.
    escaped(json, |c| c == '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

/// Escapes what could steer the terminal in untrusted text.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |_| false, |c| c.escape_default().to_string())
}

/// Does the same as [`printable`], but keeps line breaks.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |c| c == '\n', |c| c.escape_default().to_string())
}

/// Does the same as [`printable`] for a line that a process wrote, but keeps tabs and colors. Colors end with the line.
pub(crate) fn printable_output(line: &str) -> String {
    let mut printable = String::with_capacity(line.len());
    let mut rest = line;
    let mut is_colored = false;
    while let Some(start) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(start);
        let parameters = sequence[2..].find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':');
        let end = parameters.map(|length| 2 + length).filter(|end| sequence[*end..].starts_with('m'));
        // Without a color, the first character is escaped with the text before it.
        let kept = end.map_or(0, |end| end + 1);
        let plain = if kept == 0 { &rest[..=start] } else { before };
        printable.push_str(&escaped(plain, |c| c == '\t', |c| c.escape_default().to_string()));
        printable.push_str(&sequence[..kept]);
        is_colored |= kept > 0;
        rest = &rest[plain.len() + kept..];
    }
    printable.push_str(&escaped(rest, |c| c == '\t', |c| c.escape_default().to_string()));
    if is_colored {
        printable.push_str("\u{1b}[0m");
    }
    printable
}

/// Escapes control characters, and characters that reverse the direction of text, except those to keep.
fn escaped(text: &str, keep: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match steers && !keep(c) {
            true => printable.push_str(&escape(c)),
            false => printable.push(c),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{indented, printable, printable_lines, printable_output};

    /// A key that would erase the screen, color and reverse the text, and use a control character of one byte.
    const KEY: &str = "a\u{1b}[2J\u{1b}[31m\u{202e}gpj.exe\u{9b}\u{7f}\té\n";

    #[test]
    fn text_cannot_steer_the_terminal() {
        let escaped = "a\\u{1b}[2J\\u{1b}[31m\\u{202e}gpj.exe\\u{9b}\\u{7f}\\té";
        assert_eq!(printable(KEY), format!("{escaped}\\n"));
        assert_eq!(printable_lines(KEY), format!("{escaped}\n"));
    }

    #[test]
    fn json_cannot_steer_the_terminal_and_keeps_its_values() {
        let value = json!({ "key": KEY });
        let printed = indented(&value);
        assert_eq!(printed, "{\n  \"key\": \"a\\u001b[2J\\u001b[31m\\u202egpj.exe\\u009b\\u007f\\té\\n\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&printed).expect("is JSON"), value);
    }

    #[test]
    fn output_of_a_process_keeps_only_tabs_and_colors() {
        for (line, shown) in [
            ("a\tb", "a\tb"),
            ("\u{1b}[1;31mred\u{1b}[0m é", "\u{1b}[1;31mred\u{1b}[0m é\u{1b}[0m"),
            ("\u{1b}[38:5:1mred", "\u{1b}[38:5:1mred\u{1b}[0m"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{1b}[2\u{1b}[1mbold", "\\u{1b}[2\u{1b}[1mbold\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{202e}gpj\u{9b}1m\u{1b}[", "\\u{202e}gpj\\u{9b}1m\\u{1b}["),
            ("\r50 %", "\\r50 %"),
        ] {
            assert_eq!(printable_output(line), shown, "{line:?}");
        }
    }
}
