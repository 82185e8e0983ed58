//! What a function logs: JSON lines, each of which can be read alone. A failure is logged once, here, where it is reported.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use trigger_engine::{EventError, LaunchReport, Outcome};

/// Sends log lines to standard output, from where Lambda takes them. `RUST_LOG` sets the level; default: `info`.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_env_filter(filter).init();
}

/// Logs why a function stopped serving, if it is an error.
pub fn exit_code(served: Result<(), impl Display>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!(%reason, "the function cannot serve events");
            ExitCode::FAILURE
        }
    }
}

/// Logs what became of an event.
pub fn report(result: &Result<LaunchReport, EventError>, duration: Duration) {
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(report) => launches(report, duration_ms),
        Err(EventError::Launch(report)) => launches(report, duration_ms),
        Err(EventError::Plan { event_id, errors }) => {
            for failed in errors {
                let route = failed.route();
                error!(event_id, route, reason = %failed, duration_ms, "the event's tasks cannot be requested");
            }
        }
        Err(EventError::Decode(reason)) => error!(%reason, duration_ms, "the payload is no event"),
    }
}

fn launches(report: &LaunchReport, duration_ms: u64) {
    let LaunchReport { event_id, identity, launches } = report;
    if launches.is_empty() {
        info!(event_id, identity, duration_ms, "no route matches the event, it is ignored");
    }
    for launch in launches {
        let (route, task, client_token) = (&launch.route, &launch.task, &launch.client_token);
        match &launch.outcome {
            Outcome::Launched { task_arns } => {
                info!(event_id, identity, route, task, client_token, ?task_arns, duration_ms, "the task is launched");
            }
            Outcome::Duplicate { task_arns } => {
                info!(
                    event_id,
                    identity,
                    route,
                    task,
                    client_token,
                    ?task_arns,
                    duration_ms,
                    "the task was launched already"
                );
            }
            Outcome::Failed(reason) => {
                error!(event_id, identity, route, task, client_token, %reason, duration_ms, "the task could not be launched");
            }
        }
    }
}
