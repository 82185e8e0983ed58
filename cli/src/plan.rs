//! `ecs-trigger plan`: what would this event start?

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use trigger_core::event::Event;
use trigger_core::plan::{Plan as EventPlan, PlannedLaunch};

use crate::config::{FILE_NAME, load};
use crate::diagnostics;
use crate::exit::Failed;
use crate::files;
use crate::output::{self, printable};

/// Show what an event would start: the routes it takes, and the exact RunTask request of each.
///
/// Nothing is asked of AWS and nothing is started. The requests have AWS's own keys, so that
/// `aws ecs run-task --cli-input-json` accepts them. Exits with 4 if the event is none, with 5 if its tasks cannot be
/// requested.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger plan event.json
  ecs-trigger plan --config examples/quickstart examples/quickstart/event.json
  cat event.json | ecs-trigger plan - --json | jq '.launches[0].run_task'")]
pub(crate) struct Plan {
    /// An EventBridge event as JSON: a file, or `-` for standard input.
    event: PathBuf,
    /// The config, or the folder that holds it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, self.json)?;
        let event = files::event(&self.event)?;
        let plan = EventPlan::new(&config, &event).map_err(|errors| {
            errors.iter().for_each(|error| diagnostics::error(&error.to_string()));
            Failed::Plan
        })?;
        match self.json {
            true => output::json(&as_json(&event, &plan)),
            false => {
                print(&event, &plan);
                Ok(())
            }
        }
    }
}

fn as_json(event: &Event, plan: &EventPlan) -> Value {
    let launch =
        |launch: &PlannedLaunch| json!({ "route": launch.route, "task": launch.task, "run_task": launch.request });
    json!({
        "event": {
            "id": event.envelope.id,
            "source": event.envelope.source,
            "detail_type": event.envelope.detail_type,
            "identity": event.identity().to_string(),
        },
        "launches": plan.launches.iter().map(launch).collect::<Vec<_>>(),
    })
}

fn print(event: &Event, plan: &EventPlan) {
    let what = format!("event {} {}: {}", event.envelope.source, event.envelope.detail_type, event.identity());
    anstream::println!("{}", printable(&what));
    if plan.launches.is_empty() {
        anstream::println!("no route matches it: nothing would start");
    }
    for launch in &plan.launches {
        anstream::println!("\nroute {} would run the task {}:", launch.route, launch.task);
        anstream::println!("{:#}", json!(launch.request));
    }
}
