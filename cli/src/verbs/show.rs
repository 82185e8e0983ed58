//! `ecs-trigger show`: tells the story of a launch.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use trigger_core::history::{Summary, timeline};
use trigger_core::launch::{EventCopy, LaunchRecord};

use crate::blocking::block_on;
use crate::exit::Failed;
use crate::operation::PlaceOptions;
use crate::operation::text::{colored, local, relative};
use crate::output::{self, line, printable, printable_lines};

/// Tell the whole story of a launch: its event, its request, its attempts, its tasks, and how it ended.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger show 3f1c0a9be2
  ecs-trigger show csv-upload/2026-01-31/3f1c0a9be27d4c118e0b6a5f43d29c07 --json
  ecs-trigger show 0123456789abcdef --local")]
pub(crate) struct Show {
    /// The launch: its name, the beginning of its id, or of the id of its ECS task.
    #[arg(value_name = "LAUNCH")]
    launch: String,
    /// Print the story as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Show {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let record = self.place.open().await?.find(&self.launch).await?;
            if self.json { output::json(&as_json(&record)) } else { print(&record) }
        })
    }
}

fn as_json(record: &LaunchRecord) -> Value {
    let moments = timeline(record).into_iter().map(|(at, what)| json!({ "at": at, "what": what }));
    json!({
        "summary": Summary::of(record),
        "timeline": moments.collect::<Vec<_>>(),
        "record": record,
    })
}

fn print(record: &LaunchRecord) -> Result<(), Failed> {
    let (launch, now) = (Summary::of(record), Timestamp::now());
    line!("{} {}", colored(launch.state, launch.state.as_str()), launch.launch)?;
    let about = launch.object.map_or_else(String::new, |object| format!(" about s3://{object}"));
    let mut facts = vec![
        ("route", format!("{}, task {}", launch.route, launch.task)),
        ("event", format!("{}{about}", launch.event_id)),
    ];
    facts.extend(launch.reason.map(|reason| ("reason", reason)));
    let request = &record.rendered.request;
    let cluster = request.cluster.as_deref().unwrap_or("default");
    facts.push(("request", format!("{} in the cluster {cluster}", request.task_definition)));
    for container in &request.overrides.container_overrides {
        if !container.command.is_empty() {
            facts.push(("command", format!("{}: {}", container.name, json!(container.command))));
        }
    }
    facts.extend(launch.ecs_tasks.into_iter().map(|arn| ("ECS task", arn)));
    for (name, fact) in facts {
        line!("  {name:9} {}", printable(&fact))?;
    }
    line!("\ntimeline ({})", relative(record.created, now))?;
    for (at, what) in timeline(record) {
        line!("  {}  {}", local(at), printable(&what))?;
    }
    line!("\nevent")?;
    match &record.event {
        EventCopy::Text(text) => {
            let json: Option<Value> = serde_json::from_str(text).ok();
            let shown = json.map_or_else(|| printable_lines(text), |json| output::indented(&json));
            shown.lines().try_for_each(|text| line!("  {text}"))
        }
        EventCopy::Uri(uri) => line!("  at {}", printable(uri)),
    }
}
