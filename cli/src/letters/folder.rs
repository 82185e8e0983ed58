//! The dead letters of `dev`, which are files.

use std::path::Path;

use serde_json::{Value, json};
use trigger_core::dead_letters::{DeadMessage, Letter, Redelivery};
use trigger_core::event::{Decoded, Event, Record};
use trigger_core::routing::RoutingConfig;
use trigger_local::FolderDeadLetters;
use trigger_local::dev::requests::Request;

use crate::exit::Failed;
use crate::operation::Project;

/// Returns the letters of a project that are not closed, each with how it is delivered again.
pub(crate) fn letters(project: &Path, config: &RoutingConfig) -> Vec<(DeadMessage, Letter, Redelivery)> {
    let files = FolderDeadLetters::of(project).letters().into_iter();
    files
        .map(|(message_id, body, sent)| {
            let message = DeadMessage { message_id, body, attributes: Vec::new(), sent, given_up_by: None };
            let (letter, redelivery) = message.read(config);
            (message, letter, redelivery)
        })
        .collect()
}

/// Returns what to ask of `dev`, so that it delivers a letter again.
///
/// # Errors
/// The letter cannot be delivered, for this reason.
pub(crate) fn requests(
    message: &DeadMessage,
    redelivery: &Redelivery,
    config: &RoutingConfig,
) -> Result<Vec<Value>, String> {
    match redelivery {
        Redelivery::Launch(_) => Ok(serde_json::from_str(&message.body).into_iter().collect()),
        Redelivery::Event(event) => runs(event, config),
        Redelivery::Messages(records) => {
            let requests: Result<Vec<_>, _> = records.iter().map(|record| runs_of(record, config)).collect();
            Ok(requests?.concat())
        }
        Redelivery::Needless => Ok(Vec::new()),
        Redelivery::Stored(uri) => Err(format!("its event is at {uri}")),
        Redelivery::SendBack(queue) => Err(format!("it is a message of the queue {}", queue.name)),
        Redelivery::Impossible(reason) => Err(reason.clone()),
    }
}

/// Asks `dev` for something. Once it is known not to run, its answers are not awaited: it does this when it starts.
pub(crate) async fn ask(project: &Project, request: &Value, is_running: &mut bool) -> Result<(), Failed> {
    match is_running {
        true => *is_running = project.ask(request).await?.is_some(),
        false => drop(Request::put(&project.folder, request.to_string())?),
    }
    Ok(())
}

fn runs_of(record: &Record, config: &RoutingConfig) -> Result<Vec<Value>, String> {
    match record.open().content {
        Ok(Decoded::Events(events)) => {
            let runs: Result<Vec<_>, _> = events.iter().map(|event| runs(event, config)).collect();
            Ok(runs?.concat())
        }
        Ok(Decoded::Ignored(ignored)) => Err(ignored.to_string()),
        Ok(Decoded::Redrive(redriven)) => Err(format!("it is the dead letter of the launch {}", redriven.launch)),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns a request for each route that takes the event.
fn runs(event: &Event, config: &RoutingConfig) -> Result<Vec<Value>, String> {
    let routes = config.matches(event).map_err(|error| error.to_string())?;
    let copy: Value = serde_json::from_str(&event.text).map_err(|error| error.to_string())?;
    Ok(routes.into_iter().map(|route| json!({ "run": route.name, "event": copy })).collect())
}
