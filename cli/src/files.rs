//! Reads the files that a user names; `-` is standard input.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use trigger_core::event::DecodeError;
use trigger_core::text::Source;
use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::json::SyntaxError;

use crate::diagnostics;
use crate::exit::Failed;

/// Reads a file, or standard input if the path is `-`.
pub(crate) fn read(path: &Path) -> Result<Source, Failed> {
    let failed = |error: io::Error| Failed::File { path: path.to_owned(), error };
    if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(Source::new("<stdin>", text));
    }
    Ok(Source::new(path.display().to_string(), fs::read_to_string(path).map_err(failed)?))
}

/// Reports why a text cannot be decoded as an event.
pub(crate) fn not_decoded(source: &Source, error: &DecodeError) -> Failed {
    match error {
        DecodeError::NotJson(syntax) => not_json(source, syntax),
        _ => {
            diagnostics::error(&format!("{}: {error}", source.name));
            Failed::Event
        }
    }
}

/// Reports where a text is not valid JSON.
pub(crate) fn not_json(source: &Source, error: &SyntaxError) -> Failed {
    diagnostics::draw(source, &Diagnostic::error(error.span, format!("not JSON: {}", error.message)));
    Failed::Event
}
