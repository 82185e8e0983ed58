//! `ecs-trigger test`: do the config's sample events start what they should?

use std::fs;
use std::path::{Path, PathBuf};

use anstream::println;
use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};
use trigger_core::config::RoutingConfig;
use trigger_core::config::test::{Expect, TestConfig};
use trigger_core::document::{Source, Span, Spanned};
use trigger_core::expectation::{Actual, Difference, actual, differences, event_file, written};

use crate::config::{FILE_NAME, folder_of, load, parse};
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::output;

/// Try the config's own `tests`: what would each sample event start, and is it what is expected?
///
/// Nothing is asked of AWS and nothing is started. Exits with 1 if a test fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger test
  ecs-trigger test examples/quickstart
  ecs-trigger test --update && git diff")]
pub(crate) struct Test {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    /// Write what is into the config wherever something else is expected, or nothing yet.
    #[arg(long)]
    update: bool,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

/// What came of a test.
struct Tried<'a> {
    test: &'a Spanned<TestConfig>,
    result: Result<Actual, String>,
    differences: Vec<Difference>,
}

impl Tried<'_> {
    fn passed(&self) -> bool {
        self.result.is_ok() && self.differences.is_empty() && self.expect().is_some()
    }

    /// What is expected; nothing where it is not written yet.
    fn expect(&self) -> Option<&Spanned<Expect>> {
        self.test.expect.as_ref().filter(|expect| expect.value != Expect::NotWritten)
    }
}

impl Test {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, self.json)?;
        let folder = folder_of(&self.config);
        let tried: Vec<Tried<'_>> = config.tests.iter().map(|test| attempt(&config, test, &folder)).collect();
        let failed = tried.iter().filter(|tried| !tried.passed()).count();
        match self.json {
            true => {
                let results: Vec<Value> = tried.iter().map(|tried| as_json(&config, tried)).collect();
                output::json(&json!({ "passed": tried.len() - failed, "failed": failed, "tests": results }))?;
            }
            false => {
                tried.iter().for_each(|tried| print(&config, tried, self.update));
                let (style, what) = match (failed, self.update) {
                    (0, _) => (GREEN, "failed"),
                    (_, true) => (YELLOW, "new"),
                    (_, false) => (RED, "failed"),
                };
                let passed = tried.len() - failed;
                println!("{style}{}: {passed} passed, {failed} {what}{style:#}", counted(tried.len(), "test"));
            }
        }
        if failed == 0 {
            return Ok(());
        }
        if !self.update {
            return Err(Failed::Negative);
        }
        update(&config, &tried)?;
        // What is no event cannot be written down as expected.
        match tried.iter().any(|tried| tried.result.is_err()) {
            true => Err(Failed::Negative),
            false => Ok(()),
        }
    }
}

fn attempt<'a>(config: &RoutingConfig, test: &'a Spanned<TestConfig>, folder: &Path) -> Tried<'a> {
    let file = match event_file(test) {
        Some(path) => fs::read_to_string(folder.join(path)).map_err(|error| format!("{path}: {error}")),
        None => Ok(String::new()),
    };
    let result = file.and_then(|text| actual(config, test, &text).map_err(|error| error.to_string()));
    let mut tried = Tried { test, result, differences: Vec::new() };
    if let (Some(expect), Ok(actual)) = (tried.expect(), &tried.result) {
        tried.differences = differences(expect, actual);
    }
    tried
}

/// Writes what is into the files, at the places of what is expected; everything else in them stays as it stands.
fn update(config: &RoutingConfig, tried: &[Tried<'_>]) -> Result<(), Failed> {
    let mut edits: Vec<(Span, String)> = Vec::new();
    for tried in tried.iter().filter(|tried| !tried.passed()) {
        let Ok(actual) = &tried.result else { continue };
        edits.push(match &tried.test.expect {
            // Nothing, written after `expect:`, has no place of its own.
            Some(expect) if expect.value == Expect::NotWritten => {
                let (text, start) = (&config.source.text, expect.span.start);
                let key = text[..start].rfind("expect").unwrap_or(start);
                let end = text[key..].find(':').map_or(start, |colon| key + colon + 1);
                (Span::new(end, end), format!(" {}", written(None, actual)))
            }
            Some(expect) => (expect.span, written(Some(&expect.value), actual)),
            None => insertion(&config.source.text, tried.test, &written(None, actual)),
        });
    }
    edits.sort_by_key(|(span, _)| *span);
    let mut updated: Option<Source> = None;
    let mut files = Vec::new();
    for part in config.source.parts() {
        let within = part.start..=part.start + part.text.len();
        let own: Vec<_> = edits.iter().filter(|(span, _)| within.contains(&span.start)).collect();
        let mut text = part.text.to_owned();
        // From the end, so that the places before stay where they are.
        for (span, replacement) in own.iter().rev() {
            text.replace_range(span.start - part.start..span.end - part.start, replacement);
        }
        match &mut updated {
            None => updated = Some(Source::new(part.name, text.clone())),
            Some(source) => source.include(part.name, &text),
        }
        files.push((part.name, text, own.len()));
    }
    // What is written must be a config.
    if updated.is_none_or(|source| parse(source).is_err()) {
        return Err(Failed::Io("what would be written is no valid config; write the expectations by hand".to_owned()));
    }
    for (name, text, count) in files.into_iter().filter(|(_, _, count)| *count > 0) {
        fs::write(name, text).map_err(|error| Failed::File { path: name.into(), error })?;
        diagnostics::note(&format!("{name}: {} written", counted(count, "expectation")));
    }
    Ok(())
}

/// Where and how an `expect` is added to a test: within the braces, or on a line of its own below the other keys.
fn insertion(text: &str, test: &Spanned<TestConfig>, expect: &str) -> (Span, String) {
    let spans = [
        Some(test.name.span),
        test.event.as_ref().map(|event| event.span),
        test.message.as_ref().map(|message| message.span),
        test.firing.as_ref().map(|firing| firing.span),
    ];
    let end = spans.into_iter().flatten().map(|span| span.end).max().unwrap_or(test.span.end);
    if text[test.span.start..].starts_with('{') {
        return (Span::new(end, end), format!(", expect: {expect}"));
    }
    // Below the last key, whatever comment follows it on its line.
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let (line_end, newline) = if text[..line_end].ends_with('\r') { (line_end - 1, "\r\n") } else { (line_end, "\n") };
    let start = test.span.start;
    let column = text[..start].rfind('\n').map_or(start, |newline| start - newline - 1);
    (Span::new(line_end, line_end), format!("{newline}{}expect: {expect}", " ".repeat(column)))
}

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

fn print(config: &RoutingConfig, tried: &Tried<'_>, is_updated: bool) {
    let name = output::printable(&tried.test.name.0);
    let place = config.source.place(tried.test.name.span);
    if tried.passed() {
        return println!("{GREEN}ok{GREEN:#}   {name}");
    }
    match is_updated && tried.result.is_ok() {
        true => println!("{YELLOW}new{YELLOW:#}  {name}  {DIM}{place}{DIM:#}"),
        false => println!("{RED}fail{RED:#} {name}  {DIM}{place}{DIM:#}"),
    }
    match &tried.result {
        Err(reason) => println!("     {}", output::printable(reason)),
        Ok(actual) if tried.expect().is_none() => {
            let hint = if is_updated { "" } else { "; `--update` writes what is" };
            println!("     nothing is expected yet{hint}: {}", written(None, actual));
        }
        Ok(_) => {}
    }
    for Difference { what, expected, actual } in &tried.differences {
        println!("     {what}");
        println!("     {RED}- {}{RED:#}", output::printable(expected));
        println!("     {GREEN}+ {}{GREEN:#}", output::printable(actual));
    }
}

fn as_json(config: &RoutingConfig, tried: &Tried<'_>) -> Value {
    let place = config.source.line_column(tried.test.name.span.start);
    let difference = |difference: &Difference| json!({ "what": difference.what, "expected": difference.expected, "actual": difference.actual });
    json!({
        "name": tried.test.name.0,
        "file": config.source.part_at(tried.test.name.span.start).name,
        "line": place.line,
        "passed": tried.passed(),
        "error": tried.result.as_ref().err(),
        "actual": tried.result.as_ref().ok().map(|actual| written(None, actual)),
        "differences": tried.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}
