//! `ecs-trigger plan`: shows what an event would start.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use trigger_core::event::{Event, EventKind};
use trigger_core::launch::{Concurrency, Retry};
use trigger_core::plan::{Plan as EventPlan, PlanError, PlannedLaunch};

use crate::config::{Environment, FILE_NAME, load};
use crate::diagnostics;
use crate::exit::Failed;
use crate::output::{self, line, printable};
use crate::sample::Sample;

/// Show what an event would start.
///
/// Prints the routes that match the event, and the exact RunTask request of each. Starts nothing, and does not call
/// AWS. The requests have AWS's own keys, so `aws ecs run-task --cli-input-json` accepts them. Each message of a batch
/// is planned by itself.
///
/// Exits with 4 if the input is not a recognized event, and with 5 if its tasks cannot be requested.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger plan event.json
  ecs-trigger plan --config examples/quickstart \\
    examples/quickstart/event.json
  ecs-trigger plan --queue jobs body.json
  ecs-trigger plan --schedule nightly --at 2026-12-31T18:00:00Z
  cat event.json | ecs-trigger plan - --json | jq '.launches[0].run_task'

With --json, a batch of messages is printed as { \"events\": [...] }.")]
pub(crate) struct Plan {
    #[command(flatten)]
    sample: Sample,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let asked = self.sample.events(&config)?;
        let mut shown = Vec::new();
        let mut failed = false;
        for event in &asked.events {
            let (plan, errors) = match EventPlan::new(&config, event) {
                Ok(mut plan) => {
                    let refused = std::mem::take(&mut plan.refused);
                    (Some(plan), refused)
                }
                Err(errors) => (None, errors),
            };
            failed |= !errors.is_empty();
            match plan {
                Some(plan) if self.json => shown.push(with_errors(as_json(event, &plan), &errors)),
                Some(plan) => print(event, &plan)?,
                None if self.json && asked.is_batch => {
                    shown.push(with_errors(json!({ "event": event_as_json(event) }), &errors));
                }
                None => {}
            }
            for error in errors {
                let whose = match &event.kind {
                    EventKind::Message(message) if asked.is_batch => format!("message {}: ", message.message_id),
                    _ => String::new(),
                };
                diagnostics::error(&format!("{whose}{error}"));
            }
        }
        shown.extend(asked.ignored_as_json());
        let undecoded = asked.undecoded.iter();
        shown.extend(undecoded.map(|(id, reason)| json!({ "event": { "message_id": id }, "errors": [reason] })));
        match (self.json, asked.is_batch) {
            (true, true) => output::json(&json!({ "events": shown }))?,
            (true, false) => shown.iter().try_for_each(output::json)?,
            (false, _) => {}
        }
        if !self.json {
            asked.print_ignored()?;
            if asked.events.is_empty() && asked.undecoded.is_empty() {
                line!("the input contains no event: nothing would start")?;
            }
        }
        asked.check()?;
        if failed { Err(Failed::Plan) } else { Ok(()) }
    }
}

fn with_errors(mut shown: Value, errors: &[PlanError]) -> Value {
    if !errors.is_empty() {
        shown["errors"] = errors.iter().map(ToString::to_string).collect();
    }
    shown
}

/// Returns the plan of an event as JSON.
pub(crate) fn as_json(event: &Event, plan: &EventPlan) -> Value {
    let launch = |launch: &PlannedLaunch| {
        let mut shown = json!({ "route": launch.route, "task": launch.task });
        if let Some(index) = launch.index {
            shown["index"] = index.into();
        }
        if launch.copies > 1 {
            shown["copy"] = launch.copy.into();
            shown["copies"] = launch.copies.into();
        }
        if let Some(uri) = &launch.payload_uri {
            shown["payload_uri"] = uri.as_str().into();
        }
        shown["run_task"] = json!(launch.request);
        if !launch.capacity.is_empty() {
            shown["capacity"] = json!(launch.capacity);
        }
        if let Some(timeout) = launch.timeout {
            shown["timeout_seconds"] = timeout.as_secs().into();
        }
        if let Some(retry) = &launch.retry {
            shown["retry"] = json!(retry);
        }
        if let Some(concurrency) = &launch.concurrency {
            shown["concurrency"] = json!(concurrency);
        }
        if let Some(sequence) = &launch.sequence {
            shown["ignore_older"] = json!(sequence);
        }
        shown
    };
    let launches: Vec<Value> = plan.launches.iter().map(launch).collect();
    json!({ "event": event_as_json(event), "routes": plan.routes, "launches": launches })
}

fn event_as_json(event: &Event) -> Value {
    let mut of_event = json!({ "id": event.id() });
    match (&event.kind, event.event_bridge()) {
        (EventKind::Message(message), of_body) => {
            of_event["queue"] = message.queue.name.as_str().into();
            of_event["message_id"] = message.message_id.as_str().into();
            if let Some(of_body) = of_body {
                of_event["source"] = of_body.envelope.source.as_str().into();
                of_event["detail_type"] = of_body.envelope.detail_type.as_str().into();
            }
        }
        (EventKind::Firing(firing), _) => {
            of_event["schedule"] = firing.schedule().into();
            of_event["scheduled_time"] = firing.scheduled_time.to_string().into();
        }
        (_, Some(of_event_bridge)) => {
            of_event["source"] = of_event_bridge.envelope.source.as_str().into();
            of_event["detail_type"] = of_event_bridge.envelope.detail_type.as_str().into();
        }
        _ => {}
    }
    of_event["identity"] = event.identity().to_string().into();
    of_event
}

/// Prints the plan of an event.
pub(crate) fn print(event: &Event, plan: &EventPlan) -> Result<(), Failed> {
    let what = match (&event.kind, event.event_bridge()) {
        (EventKind::Message(message), _) => format!("message of {}", message.queue.name),
        (EventKind::Firing(firing), _) => format!("firing of {}", firing.schedule()),
        (_, Some(event)) => format!("event {} {}", event.envelope.source, event.envelope.detail_type),
        _ => "event".to_owned(),
    };
    line!("{}", printable(&format!("{what}: {}", event.identity())))?;
    match (plan.routes.as_slice(), plan.launches.as_slice(), &event.kind) {
        ([], _, EventKind::Firing(_)) => line!("its schedule is disabled: nothing would start")?,
        ([], ..) => line!("no route matches: nothing would start")?,
        (routes, [], _) => {
            line!("the `for_each` list is empty for {}: nothing would start", routes.join(", "))?;
        }
        _ => {}
    }
    for launch in &plan.launches {
        let element = launch.index.map(|index| format!(" for element {index}")).unwrap_or_default();
        let copy = match launch.copies {
            1 => String::new(),
            copies => format!(", copy {} of {copies}", launch.copy + 1),
        };
        line!("\nroute {} would run the task {}{element}{copy}:", launch.route, launch.task)?;
        if let Some(uri) = &launch.payload_uri {
            line!("the event is too large for the overrides and would be stored at {uri}")?;
        }
        output::json(&json!(launch.request))?;
        for capacity in launch.capacity.iter().skip(1) {
            line!("without capacity for that, the next attempt would use {}", json!(capacity))?;
        }
        if let Some(Concurrency { max, when_full, .. }) = &launch.concurrency {
            line!(
                "at most {max} tasks of the route (and `key`) run at once; beyond that, `when_full: {}` applies",
                when_full.as_str()
            )?;
        }
        if let Some(timeout) = launch.timeout {
            line!("a task that runs longer than {} s is stopped", timeout.as_secs())?;
        }
        if let Some(Retry { attempts, on, backoff_seconds }) = &launch.retry {
            line!(
                "a task starts at most {attempts} times in all, {backoff_seconds} s or more after a failure in {}",
                json!(on)
            )?;
        }
        if launch.sequence.is_some() {
            line!("ignored if a later event of the same object has already been launched")?;
        }
    }
    Ok(())
}
