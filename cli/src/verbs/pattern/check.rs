//! `ecs-trigger pattern check`: checks many patterns and events with known outcomes.

use std::path::PathBuf;

use clap::Args;
use trigger_core::pattern::Pattern;
use trigger_core::pattern::matcher::Matcher;
use trigger_core::text::{Kind, Node, Source, json};

use crate::diagnostics;
use crate::exit::Failed;
use crate::files;
use crate::output::{line, printable};

/// Check a list of patterns and events with known outcomes.
///
/// CASES is a JSON list of objects with the keys `name` (optional), `pattern_text`, `event_text` (optional), `expected`
/// and `quirk` (optional). `expected` is "match", "no_match", "exception" (the pattern or the event must be refused) or
/// "valid" (the pattern must load).
///
/// Prints every case whose outcome is not the expected one. A case with `"quirk": true` does not fail; such cases are
/// counted separately. Exits with 1 if a case failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger pattern check cases.json")]
pub(crate) struct Check {
    /// The cases: a file, or `-` for standard input.
    cases: PathBuf,
}

/// Returns the outcome of a case, in the words of `expected`.
fn outcome(pattern: &str, event: Option<&str>) -> &'static str {
    let Ok(pattern) = json::parse(pattern) else { return "exception" };
    let Ok(pattern) = Pattern::parse(&pattern) else { return "exception" };
    let Some(event) = event else { return "valid" };
    match Matcher::new([&pattern]).matches(event) {
        Ok(matched) if matched.is_empty() => "no_match",
        Ok(_) => "match",
        Err(_) => "exception",
    }
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let source = files::read(&self.cases)?;
        let cases = json::parse(&source.text).map_err(|error| files::not_json(&source, &error))?;
        let Kind::Array(cases) = &cases.kind else {
            diagnostics::error(&format!("{}: the cases must be a JSON list", source.name));
            return Err(Failed::Event);
        };
        let (mut passed, mut failed, mut quirks) = (0, 0, 0);
        for (index, case) in cases.iter().enumerate() {
            let text = |key: &str| case.get(key).and_then(Node::as_str);
            let (Some(pattern), Some(expected)) = (text("pattern_text"), text("expected")) else {
                return Err(incomplete(&source, index));
            };
            if !["match", "no_match", "exception", "valid"].contains(&expected) {
                let expected = printable(expected);
                diagnostics::error(&format!(
                    "{}: case #{index} expects `{expected}`; write `match`, `no_match`, `exception` or `valid`",
                    source.name
                ));
                return Err(Failed::Event);
            }
            // A case that only expects the pattern to load may still have an event.
            let event = text("event_text").filter(|_| expected != "valid");
            let got = outcome(pattern, event);
            let agrees = got == expected;
            let is_quirk = case.get("quirk").is_some_and(|quirk| quirk.kind == Kind::Bool(true));
            match (agrees, is_quirk) {
                (true, _) => passed += usize::from(!is_quirk),
                (false, true) => quirks += 1,
                (false, false) => failed += 1,
            }
            if !agrees {
                let mark = if is_quirk { " (quirk)" } else { "" };
                let name = printable(text("name").unwrap_or("(unnamed)"));
                line!("#{index} {name}: expected {expected}, got {got}{mark}")?;
            }
        }
        if quirks > 0 {
            line!("{} not followed", diagnostics::counted(quirks, "known quirk"))?;
        }
        line!("{passed} passed, {failed} failed")?;
        if failed > 0 { Err(Failed::Negative) } else { Ok(()) }
    }
}

fn incomplete(source: &Source, index: usize) -> Failed {
    diagnostics::error(&format!("{}: case #{index} needs the strings `pattern_text` and `expected`", source.name));
    Failed::Event
}
