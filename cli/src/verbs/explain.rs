//! `ecs-trigger explain`: explains why an event matches a route, or why not.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use trigger_core::event::{Event, EventKind};
use trigger_core::pattern::evaluate::FlatEvent;
use trigger_core::pattern::explain::Explanation;
use trigger_core::routing::{EventPattern, EventSource};
use trigger_core::text::{Kind, Node, Source};

use crate::completion;
use crate::config::{Environment, FILE_NAME, load, route_of};
use crate::diagnostics;
use crate::exit::Failed;
use crate::explanation::{as_json, print, print_verdict};
use crate::normalization::only_in_form;
use crate::output::{self, line, printable};
use crate::sample::Sample;

/// Explain why an event matches a route, or why not.
///
/// Shows each field of the route's pattern with the event's value and the place in the config. Of several alternatives
/// in a pattern, shows the one that matches or the nearest miss. Starts nothing, and does not call AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger explain event.json
  ecs-trigger explain --config examples/quickstart --route csv-upload \\
    examples/quickstart/event.json
  ecs-trigger explain event.json --json | jq '.routes[] | select(.matches)'")]
pub(crate) struct Explain {
    #[command(flatten)]
    sample: Sample,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Explain this route only.
    #[arg(long, value_name = "NAME", add = completion::routes())]
    route: Option<String>,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let asked = self.sample.events(&config)?;
        let is_asked = |name: &str| self.route.as_ref().is_none_or(|route| route == name);
        let routes: Vec<_> = config.routes.iter().filter(|route| is_asked(&route.name)).collect();
        if let (Some(route), true) = (&self.route, routes.is_empty()) {
            route_of(&config, route)?;
        }
        let mut explained = Vec::new();
        let mut failed = false;
        for event in &asked.events {
            if asked.is_batch && !self.json {
                line!("message {}:", printable(&event.id()))?;
            }
            let note = note(event);
            if let (Some(note), false) = (note, self.json) {
                line!("{note}")?;
            }
            let flat = FlatEvent::new(&event.node);
            let mut of_event = Vec::new();
            for route in &routes {
                let answer = answer(&route.on, event, &route.name, &flat);
                if self.json {
                    let mut value = answer.as_json(&config.source);
                    value["route"] = route.name.as_str().into();
                    of_event.push(value);
                } else {
                    answer.print(&format!("the route {}", route.name), &config.source)?;
                }
            }
            if let Err(error) = config.matches(event) {
                diagnostics::error(&format!("{}: {error}", event.id()));
                failed = true;
            }
            let mut of_event = json!({ "event": event.identity().to_string(), "routes": of_event });
            if let Some(note) = note {
                of_event["note"] = note.into();
            }
            explained.push(of_event);
        }
        explained.extend(asked.ignored_as_json());
        match (self.json, explained.as_slice()) {
            (false, _) => asked.print_ignored()?,
            (true, [only]) if !asked.is_batch => output::json(only)?,
            (true, all) => output::json(&json!({ "events": all }))?,
        }
        asked.check()?;
        if failed { Err(Failed::Plan) } else { Ok(()) }
    }
}

/// Returns what is easily overlooked about an event.
fn note(event: &Event) -> Option<&'static str> {
    let is_text = matches!(event.node.get("body"), Some(Node { kind: Kind::String(_), .. }));
    let is_message = matches!(event.kind, EventKind::Message(_));
    (is_message && is_text).then_some("the body is text, not JSON: it has no fields below `body`")
}

/// Why an event matches a route, or why not.
enum Answer {
    /// The route's pattern decides. Also, the paths of the fields that differ only in their Unicode form.
    Pattern(Explanation, Vec<String>),
    /// The route's source decides, because the route has no pattern or does not take events of this kind.
    Source { matches: bool, reason: String },
}

fn answer(on: &EventSource, event: &Event, route: &str, flat: &FlatEvent<'_>) -> Answer {
    let source = |matches, reason: String| Answer::Source { matches, reason };
    let by_pattern = |pattern: &EventPattern| {
        let explanation = pattern.pattern.explain(flat);
        let differ_in_form = only_in_form(pattern, event, &explanation);
        Answer::Pattern(explanation, differ_in_form)
    };
    match (on, &event.kind) {
        (EventSource::Events(pattern), EventKind::EventBridge(_)) => by_pattern(pattern),
        (EventSource::Events(_), _) => source(false, "its source is EventBridge".to_owned()),
        (EventSource::Queue(of_queue), EventKind::Message(message)) if of_queue.queue.is(&message.queue) => {
            match &of_queue.pattern {
                Some(pattern) => by_pattern(pattern),
                None => source(true, "it takes every message of its queue".to_owned()),
            }
        }
        (EventSource::Queue(of_queue), _) => source(false, format!("its source is the queue {}", of_queue.queue.name)),
        (EventSource::Schedule(schedule), EventKind::Firing(firing)) if firing.route == route => match schedule.enabled
        {
            true => source(true, "the event is a firing of its schedule".to_owned()),
            false => source(false, "its schedule is disabled".to_owned()),
        },
        (EventSource::Schedule(schedule), _) => source(false, format!("its source is the schedule {}", schedule.text)),
    }
}

impl Answer {
    fn print(&self, what: &str, source: &Source) -> Result<(), Failed> {
        match self {
            Self::Pattern(explanation, differ_in_form) => {
                print(what, source, explanation)?;
                differ_in_form.iter().try_for_each(|path| {
                    line!("  {} differs only in its Unicode form (NFC, NFD): match both forms", printable(path))
                })
            }
            Self::Source { matches, reason } => {
                print_verdict(what, *matches)?;
                line!("  {reason}")
            }
        }
    }

    fn as_json(&self, source: &Source) -> Value {
        match self {
            Self::Pattern(explanation, differ_in_form) => {
                let mut shown = as_json(source, explanation);
                if !differ_in_form.is_empty() {
                    shown["differ_in_unicode_form"] = json!(differ_in_form);
                }
                shown
            }
            Self::Source { matches, reason } => json!({ "matches": matches, "reason": reason }),
        }
    }
}
