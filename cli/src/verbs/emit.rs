//! `ecs-trigger emit`: gives an event of EventBridge to `dev`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use trigger_core::event::Event;
use trigger_core::routing::EventSource;
use trigger_local::folders::events::{completed, emit, events};
use trigger_local::folders::queue::BODY_BYTES_MAX;

use crate::config::{Environment, FILE_NAME, folder_of, load};
use crate::exit::Failed;
use crate::files::{not_decoded, not_json, read};
use crate::output;

/// Give an event of EventBridge to `dev`, for routes with an event pattern.
///
/// Writes the event into the folder `.ecs-trigger/events`, beside the config, and prints the event's id. The `dev` that
/// runs handles the event, otherwise the next one. As on a bus, an event needs only `source`, `detail-type` and
/// `detail`: it gets an id of its own, the time, an account and a Region where it has none. Does not call AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger emit event.json
  echo '{\"source\":\"shop\",\"detail-type\":\"Order placed\",\"detail\":{\"id\":7}}' \\
    | ecs-trigger emit -")]
pub(crate) struct Emit {
    /// The event as JSON: a file, or `-` for standard input.
    event: PathBuf,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Print the event's id as JSON.
    #[arg(long)]
    json: bool,
}

impl Emit {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        if !config.routes.iter().any(|route| matches!(route.on, EventSource::Events(_))) {
            return Err(Failed::Usage(
                "no route takes events of EventBridge; add one with `on: event_pattern` or `on: s3`, or `send` a message"
                    .to_owned(),
            ));
        }
        let source = read(&self.event)?;
        let now = Timestamp::now();
        let text = completed(&source.text, now).map_err(|error| not_json(&source, &error))?;
        let event = Event::decode(&text).map_err(|error| not_decoded(&source, &error))?;
        if text.len() > BODY_BYTES_MAX {
            let size = text.len();
            return Err(Failed::Usage(format!("the event has {size} bytes; `dev` accepts at most {BODY_BYTES_MAX}")));
        }
        let id = event.id();
        let folder = folder_of(&self.config);
        let emitted = emit(&folder, text, now);
        emitted.map_err(|error| Failed::File { path: events(&folder).folder, error })?;
        match self.json {
            true => output::json_line(&json!({ "event_id": id })),
            false => output::bytes(format!("{}\n", output::printable(&id)).as_bytes()),
        }
    }
}
