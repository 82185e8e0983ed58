//! `ecs-trigger test`: checks what the config's sample events would start.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};
use trigger_core::config::test::{Expect, TestConfig};
use trigger_core::expectation::{Actual, Difference, actual, differences, event_file, written};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, Span, Spanned};

use crate::config::{Environment, FILE_NAME, folder_of, load, parse};
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::output::{self, line, printable};

/// Run the config's own tests.
///
/// Each entry of `tests` has a sample event and what you expect it to start. `test` compares that with what the event
/// would start. It starts nothing, and does not call AWS. Exits with 1 if a test fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger test
  ecs-trigger test examples/quickstart
  ecs-trigger test --update && git diff")]
pub(crate) struct Test {
    /// The config file, or the folder that contains it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Write the actual result into the config, wherever an expectation differs or is missing.
    #[arg(long, conflicts_with = "environment")]
    update: bool,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

/// A test with its result.
struct Tried<'a> {
    test: &'a Spanned<TestConfig>,
    result: Result<Actual, String>,
    differences: Vec<Difference>,
}

impl Tried<'_> {
    fn passed(&self) -> bool {
        self.result.is_ok() && self.differences.is_empty() && self.expect().is_some()
    }

    /// Returns the test's expectation, if it has one yet.
    fn expect(&self) -> Option<&Spanned<Expect>> {
        self.test.expect.as_ref().filter(|expect| expect.value != Expect::NotWritten)
    }
}

impl Test {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let folder = folder_of(&self.config);
        let tried: Vec<Tried<'_>> = config.tests.iter().map(|test| attempt(&config, test, &folder)).collect();
        let failed = tried.iter().filter(|tried| !tried.passed()).count();
        match self.json {
            true => {
                let results: Vec<Value> = tried.iter().map(|tried| as_json(&config, tried)).collect();
                output::json(&json!({ "passed": tried.len() - failed, "failed": failed, "tests": results }))?;
            }
            false => {
                tried.iter().try_for_each(|tried| print(&config, tried, self.update))?;
                let (style, what) = match (failed, self.update) {
                    (0, _) => (GREEN, "failed"),
                    (_, true) => (YELLOW, "new"),
                    (_, false) => (RED, "failed"),
                };
                let passed = tried.len() - failed;
                line!("{style}{}: {passed} passed, {failed} {what}{style:#}", counted(tried.len(), "test"))?;
            }
        }
        if failed == 0 {
            return Ok(());
        }
        if !self.update {
            return Err(Failed::Negative);
        }
        update(&config, &tried, &folder)?;
        // A sample that cannot be read or decoded has no result to write as its expectation.
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

/// An edit of the config's text that makes a test pass.
struct Edit<'a> {
    test: &'a str,
    span: Span,
    text: String,
}

/// Writes the actual results over the expectations in the config's files, and leaves everything else in them unchanged.
fn update(config: &RoutingConfig, tried: &[Tried<'_>], folder: &Path) -> Result<(), Failed> {
    let mut edits: Vec<Edit<'_>> =
        tried.iter().filter(|tried| !tried.passed()).filter_map(|one| edit(config, one)).collect();
    edits.sort_by_key(|edit| edit.span);
    // An edit is left out if the edited config would be invalid or its tests would have other results.
    let keeps = |edits: &[Edit<'_>]| {
        let Ok(config) = parse(edited(config, edits)) else { return false };
        let results = config.tests.iter().map(|test| attempt(&config, test, folder).result);
        results.eq(tried.iter().map(|tried| tried.result.clone()))
    };
    let mut left_out = Vec::new();
    if !keeps(&edits) {
        let mut kept: Vec<Edit<'_>> = Vec::new();
        for edit in edits {
            kept.push(edit);
            if !keeps(&kept) {
                left_out.extend(kept.pop());
            }
        }
        edits = kept;
    }
    let source = edited(config, &edits);
    for (before, after) in config.source.parts().zip(source.parts()).filter(|(before, after)| before.text != after.text)
    {
        fs::write(after.name, after.text).map_err(|error| Failed::File { path: after.name.into(), error })?;
        diagnostics::note(&format!("wrote {}", before.name));
    }
    for edit in &left_out {
        let message = format!("the expectation of `{}` cannot be updated in place; write it by hand:", edit.test);
        diagnostics::error(&format!("{message} {}", edit.text.trim()));
    }
    if left_out.is_empty() { Ok(()) } else { Err(Failed::Negative) }
}

fn edit<'a>(config: &RoutingConfig, tried: &Tried<'a>) -> Option<Edit<'a>> {
    let text = &config.source.text;
    let actual = tried.result.as_ref().ok()?;
    let (span, text) = match &tried.test.expect {
        // An empty value after `expect:` has no span of its own, so the edit goes right behind the colon.
        Some(expect) if expect.value == Expect::NotWritten && is_nothing(text, expect.span) => {
            let start = expect.span.start;
            let key = text[..start].rfind("expect").unwrap_or(start);
            let end = text[key..].find(':').map_or(start, |colon| key + colon + 1);
            (Span::new(end, end), format!(" {}", written(None, actual)))
        }
        Some(expect) => {
            // The span of a block scalar extends to the next token.
            let length = text[expect.span.start..expect.span.end].trim_end().len();
            let span = Span::new(expect.span.start, expect.span.start + length);
            (span, written(tried.expect().map(|expect| &expect.value), actual))
        }
        None => insertion(text, tried.test, &written(None, actual)),
    };
    Some(Edit { test: &tried.test.name.0, span, text })
}

/// Applies edits, sorted by their spans, to the config's texts.
fn edited(config: &RoutingConfig, edits: &[Edit<'_>]) -> Source {
    let mut edited: Option<Source> = None;
    for part in config.source.parts() {
        let within = part.start..=part.start + part.text.len();
        let mut text = part.text.to_owned();
        // From the end, because an edit shifts everything behind it.
        for edit in edits.iter().rev().filter(|edit| within.contains(&edit.span.start)) {
            let place = edit.span.start - part.start..edit.span.end - part.start;
            if text.is_char_boundary(place.start) && text.is_char_boundary(place.end) {
                text.replace_range(place, &edit.text);
            }
        }
        match &mut edited {
            None => edited = Some(Source::new(part.name, text)),
            Some(source) => source.include(part.name, &text),
        }
    }
    edited.unwrap_or_else(|| config.source.clone())
}

/// Returns whether the value is empty, rather than an explicit `null` or `~`.
fn is_nothing(text: &str, span: Span) -> bool {
    !["null", "Null", "NULL", "~"].contains(&text[span.start..span.end].trim())
}

/// Returns where to add an `expect` to a test, and the text: within the braces, or on a line of its own below the other
/// keys.
fn insertion(text: &str, test: &Spanned<TestConfig>, expect: &str) -> (Span, String) {
    let spans = [
        Some(test.name.span),
        test.event.as_ref().map(|event| event.span),
        test.message.as_ref().map(|message| message.span),
        test.firing.as_ref().map(|firing| firing.span),
    ];
    let end = spans.into_iter().flatten().map(|span| span.end).max().unwrap_or(test.span.end);
    // The span of a block scalar extends to the next token.
    let end = text[..end].trim_end().len();
    if text[test.span.start..].starts_with('{') {
        return (Span::new(end, end), format!(", expect: {expect}"));
    }
    // Below the last key, after any comment on its line.
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

fn print(config: &RoutingConfig, tried: &Tried<'_>, is_updated: bool) -> Result<(), Failed> {
    let name = printable(&tried.test.name.0);
    let place = config.source.place(tried.test.name.span);
    if tried.passed() {
        return line!("{GREEN}ok{GREEN:#}   {name}");
    }
    match is_updated && tried.result.is_ok() {
        true => line!("{YELLOW}new{YELLOW:#}  {name}  {DIM}{place}{DIM:#}")?,
        false => line!("{RED}fail{RED:#} {name}  {DIM}{place}{DIM:#}")?,
    }
    match &tried.result {
        Err(reason) => line!("     {}", printable(reason))?,
        Ok(actual) if tried.expect().is_none() => {
            let hint = if is_updated { "" } else { "; `--update` writes it" };
            line!("     no expectation yet{hint}: {}", printable(&written(None, actual)))?;
        }
        Ok(_) => {}
    }
    for Difference { what, expected, actual } in &tried.differences {
        line!("     {what}")?;
        line!("     {RED}- {}{RED:#}", printable(expected))?;
        line!("     {GREEN}+ {}{GREEN:#}", printable(actual))?;
    }
    Ok(())
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
