//! `ecs-trigger pattern match`: does what EventBridge's TestEventPattern does, offline.

use std::path::PathBuf;

use clap::Args;
use trigger_core::pattern::Pattern;
use trigger_core::pattern::evaluate::FlatEvent;
use trigger_core::pattern::lint::lint;
use trigger_core::text::{Kind, json};

use crate::config::show;
use crate::diagnostics;
use crate::exit::Failed;
use crate::explanation::{as_json, print};
use crate::files;
use crate::output;

/// The fields that EventBridge's TestEventPattern requires in an event.
const REQUIRED_FIELDS: [&str; 6] = ["id", "account", "source", "time", "region", "detail-type"];

/// Match a pattern against an event, and explain the result.
///
/// Does what EventBridge's TestEventPattern does, offline. Exits with 0 if the pattern matches, with 1 if it does not,
/// with 2 if the pattern or the event is invalid, and with 6 if a file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger pattern match --pattern pattern.json --event event.json
  aws events describe-rule --name csv-upload --query EventPattern \\
    --output text | ecs-trigger pattern match --pattern - --event event.json")]
pub(crate) struct Match {
    /// The event pattern as JSON: a file, or `-` for standard input.
    #[arg(long)]
    pattern: PathBuf,
    /// The event as JSON: a file, or `-` for standard input.
    #[arg(long)]
    event: PathBuf,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

impl Match {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let invalid = |failed| match failed {
            Failed::Event => Failed::Invalid,
            other => other,
        };
        let source = files::read(&self.pattern)?;
        let pattern = json::parse(&source.text).map_err(|error| invalid(files::not_json(&source, &error)))?;
        let parsed = Pattern::parse(&pattern).map_err(|problems| {
            show(&source, &problems);
            Failed::Invalid
        })?;
        show(&source, &lint(&pattern, &parsed));
        let event_source = files::read(&self.event)?;
        let event = json::parse(&event_source.text).map_err(|error| invalid(files::not_json(&event_source, &error)))?;
        if !matches!(event.kind, Kind::Object(_)) {
            diagnostics::error(&format!("{}: the event must be a JSON object", event_source.name));
            return Err(Failed::Invalid);
        }
        for missing in REQUIRED_FIELDS.iter().filter(|field| event.get(field).is_none()) {
            diagnostics::warning(&format!(
                "{}: EventBridge would refuse an event without `{missing}`; add it",
                event_source.name
            ));
        }
        let explanation = parsed.explain(&FlatEvent::new(&event));
        match self.json {
            true => output::json(&as_json(&source, &explanation))?,
            false => print("the pattern", &source, &explanation)?,
        }
        if explanation.matches { Ok(()) } else { Err(Failed::Negative) }
    }
}
