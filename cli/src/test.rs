//! `ecs-trigger test`: do the config's sample events start what they should?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anstream::println;
use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};
use trigger_core::config::RoutingConfig;
use trigger_core::config::test::TestConfig;
use trigger_core::document::{Span, Spanned};
use trigger_core::expectation::{Actual, Difference, actual, differences, event_file, written};

use crate::config::{FILE_NAME, folder_of, load};
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
        self.result.is_ok() && self.differences.is_empty() && self.test.expect.is_some()
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
                tried.iter().for_each(|tried| print(&config, tried));
                let style = if failed == 0 { GREEN } else { RED };
                let passed = tried.len() - failed;
                println!("{style}{}: {passed} passed, {failed} failed{style:#}", counted(tried.len(), "test"));
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
    let differences = match (&test.expect, &result) {
        (Some(expect), Ok(actual)) => differences(expect, actual),
        _ => Vec::new(),
    };
    Tried { test, result, differences }
}

/// Writes what is into the files, at the places of what is expected; everything else in them stays as it stands.
fn update(config: &RoutingConfig, tried: &[Tried<'_>]) -> Result<(), Failed> {
    let mut edits: BTreeMap<usize, (Span, String)> = BTreeMap::new();
    for tried in tried.iter().filter(|tried| !tried.passed()) {
        let Ok(actual) = &tried.result else { continue };
        let edit = match &tried.test.expect {
            Some(expect) => (expect.span, written(Some(&expect.value), actual)),
            None => insertion(&config.source.text, tried.test.span, &written(None, actual)),
        };
        edits.insert(edit.0.start, edit);
    }
    for part in config.source.parts() {
        let within = part.start..=part.start + part.text.len();
        let mut text = part.text.to_owned();
        let own = edits.values().filter(|(span, _)| within.contains(&span.start));
        // From the end, so that the places before stay where they are.
        let own: Vec<_> = own.collect();
        for (span, replacement) in own.iter().rev() {
            text.replace_range(span.start - part.start..span.end - part.start, replacement);
        }
        if !own.is_empty() {
            fs::write(part.name, text).map_err(|error| Failed::File { path: part.name.into(), error })?;
            diagnostics::note(&format!("{}: {} written", part.name, counted(own.len(), "expectation")));
        }
    }
    Ok(())
}

/// Where and how an `expect` is added to a test: within the braces, or on a line of its own below the other keys.
fn insertion(text: &str, test: Span, expect: &str) -> (Span, String) {
    let written = &text[test.start..test.end];
    if written.starts_with('{') {
        let end = test.start + written.trim_end_matches('}').trim_end().len();
        return (Span::new(end, end), format!(", expect: {expect}"));
    }
    let column = text[..test.start].rfind('\n').map_or(test.start, |newline| test.start - newline - 1);
    let end = test.start + written.trim_end().len();
    (Span::new(end, end), format!("\n{}expect: {expect}", " ".repeat(column)))
}

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

fn print(config: &RoutingConfig, tried: &Tried<'_>) {
    let name = output::printable(&tried.test.name.0);
    let place = config.source.place(tried.test.name.span);
    if tried.passed() {
        return println!("{GREEN}ok{GREEN:#}   {name}");
    }
    println!("{RED}fail{RED:#} {name}  {DIM}{place}{DIM:#}");
    match &tried.result {
        Err(reason) => println!("     {}", output::printable(reason)),
        Ok(actual) if tried.test.expect.is_none() => {
            println!("     nothing is expected yet; `--update` writes what is: {}", written(None, actual));
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
        "differences": tried.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}
