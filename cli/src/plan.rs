//! `ecs-trigger plan`: what would this event start?

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use trigger_core::config::RoutingConfig;
use trigger_core::event::{Event, EventKind};
use trigger_core::plan::{Plan as EventPlan, PlannedLaunch};

use crate::config::{FILE_NAME, load};
use crate::diagnostics;
use crate::exit::Failed;
use crate::files;
use crate::output::{self, printable};
use crate::sample::{firing, message};

/// Show what an event would start: the routes it takes, and the exact RunTask request of each.
///
/// The event is what a function is invoked with: an event of EventBridge, a batch of SQS messages, a firing of a schedule; or
/// with --queue a message's body, or with --schedule a firing made here. Nothing is asked of AWS and nothing is started. The
/// requests have AWS's own keys, so that `aws ecs run-task --cli-input-json` accepts them. Exits with 4 if the event is none,
/// with 5 if its tasks cannot be requested.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger plan event.json
  ecs-trigger plan --config examples/quickstart examples/quickstart/event.json
  ecs-trigger plan --queue jobs body.json
  ecs-trigger plan --schedule nightly --at 2026-12-31T18:00:00Z
  cat event.json | ecs-trigger plan - --json | jq '.launches[0].run_task'")]
pub(crate) struct Plan {
    /// The event as JSON: a file, or `-` for standard input.
    #[arg(required_unless_present = "schedule", conflicts_with = "schedule")]
    event: Option<PathBuf>,
    /// The config, or the folder that holds it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    /// Take the file for the body of a message of this queue.
    #[arg(long, value_name = "QUEUE", conflicts_with = "schedule")]
    queue: Option<String>,
    /// Take a firing of this route's schedule for the event.
    #[arg(long, value_name = "ROUTE")]
    schedule: Option<String>,
    /// The time of the firing. Default: the schedule's next.
    #[arg(long, value_name = "TIME", requires = "schedule")]
    at: Option<Timestamp>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, self.json)?;
        let events = self.events(&config)?;
        let mut plans = Vec::new();
        for event in events {
            let plan = EventPlan::new(&config, &event).map_err(|errors| {
                errors.iter().for_each(|error| diagnostics::error(&error.to_string()));
                Failed::Plan
            })?;
            plans.push((event, plan));
        }
        if self.json {
            let all: Vec<Value> = plans.iter().map(|(event, plan)| as_json(event, plan)).collect();
            return match all.as_slice() {
                [only] => output::json(only),
                _ => output::json(&json!({ "events": all })),
            };
        }
        if plans.is_empty() {
            anstream::println!("it holds no event: nothing would start");
        }
        plans.iter().for_each(|(event, plan)| print(event, plan));
        Ok(())
    }

    fn events(&self, config: &RoutingConfig) -> Result<Vec<Event>, Failed> {
        match (&self.event, &self.queue, &self.schedule) {
            (Some(body), Some(queue), _) => message(queue, &files::read(body)?),
            (Some(event), None, _) => files::events(config, event),
            (None, _, Some(route)) => Ok(vec![firing(config, route, self.at)?]),
            (None, ..) => Ok(Vec::new()),
        }
    }
}

fn as_json(event: &Event, plan: &EventPlan) -> Value {
    let launch = |launch: &PlannedLaunch| {
        let mut shown = json!({ "route": launch.route, "task": launch.task });
        if let Some(index) = launch.index {
            shown["index"] = index.into();
        }
        if let Some(uri) = &launch.payload_uri {
            shown["payload_uri"] = uri.as_str().into();
        }
        shown["run_task"] = json!(launch.request);
        shown
    };
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
    json!({ "event": of_event, "launches": plan.launches.iter().map(launch).collect::<Vec<_>>() })
}

fn print(event: &Event, plan: &EventPlan) {
    let what = match (&event.kind, event.event_bridge()) {
        (EventKind::Message(message), _) => format!("message of {}", message.queue.name),
        (EventKind::Firing(firing), _) => format!("firing of {}", firing.schedule()),
        (_, Some(event)) => format!("event {} {}", event.envelope.source, event.envelope.detail_type),
        _ => "event".to_owned(),
    };
    anstream::println!("{}", printable(&format!("{what}: {}", event.identity())));
    if plan.launches.is_empty() {
        anstream::println!("no route matches it: nothing would start");
    }
    for launch in &plan.launches {
        let element = launch.index.map(|index| format!(" for element {index}")).unwrap_or_default();
        anstream::println!("\nroute {} would run the task {}{element}:", launch.route, launch.task);
        if let Some(uri) = &launch.payload_uri {
            anstream::println!("the event does not fit into the overrides and would be put at {uri}");
        }
        anstream::println!("{:#}", json!(launch.request));
    }
}
