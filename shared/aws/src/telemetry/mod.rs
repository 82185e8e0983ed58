//! What a function logs: JSON lines, each of which can be read alone. A failure is logged once, here, where it is reported.

pub(crate) mod metrics;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use tracing::{Span, debug, error, error_span, info, warn};
use tracing_subscriber::EnvFilter;
use trigger_core::event::Record;
use trigger_core::event::TaskStateChange;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{self, Conclusion};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::Action;
use trigger_engine::{
    DriveError, EventError, LaunchReport, MessageOutcome, Outcome, StateChangeOutcome, SweepReport, WorkerReport,
};

/// How many bytes of a body that cannot be decoded are logged.
const BODY_BYTES_MAX: usize = 256;

/// Sends log lines to standard output, from where Lambda takes them. `RUST_LOG` sets the level; default: `info`.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_env_filter(filter).init();
}

/// What every log line of an event's handling carries, of whatever level: the version of the config that decides.
pub fn span(config: &RoutingConfig) -> Span {
    error_span!("handle", config_etag = config.etag.as_deref())
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

/// Logs what became of an event, and counts it.
pub fn report(result: &Result<LaunchReport, EventError>, duration: Duration) {
    report_event(result, None, duration);
}

/// Logs what became of an event, and of which message it is.
fn report_event(result: &Result<LaunchReport, EventError>, message_id: Option<&str>, duration: Duration) {
    metrics::of_event(result);
    let duration_ms = milliseconds(duration);
    match result {
        Ok(report) => launches(report, message_id, duration_ms),
        Err(EventError::Launch(report)) => launches(report, message_id, duration_ms),
        Err(EventError::Plan { event_id, errors }) => {
            for failed in errors {
                let route = failed.route();
                error!(event_id, message_id, route, reason = %failed, duration_ms, "the event's tasks cannot be requested");
            }
        }
        Err(EventError::Missed { event_id }) => {
            error!(event_id, duration_ms, "the firing comes too late, and its schedule does not catch up");
        }
        Err(EventError::Decode(reason)) => error!(%reason, duration_ms, "the payload is no event"),
        Err(EventError::DeadLettered(reason)) => {
            error!(message_id, %reason, duration_ms, "the event is in the dead-letter queue");
        }
    }
}

/// Logs what became of a message.
pub fn report_message(record: &Record, outcome: &MessageOutcome, duration: Duration) {
    let (message_id, queue) = (&record.message_id, &record.queue.name);
    match outcome {
        MessageOutcome::Done(reports) => {
            for report in reports {
                metrics::of_launches(report);
                launches(report, Some(message_id), milliseconds(duration));
            }
        }
        MessageOutcome::TestEvent => info!(message_id, queue, "S3 tries out a notification, nothing has happened"),
        MessageOutcome::HeldBack => {
            warn!(message_id, queue, "the message goes back, as an earlier one of its group failed");
        }
        MessageOutcome::Failed(results) => {
            for result in results {
                match result {
                    Err(EventError::Decode(reason)) => {
                        metrics::of_event(result);
                        let body = &record.body[..record.body.floor_char_boundary(BODY_BYTES_MAX)];
                        error!(message_id, queue, %reason, body, "the message cannot be decoded, it goes back");
                    }
                    Err(EventError::DeadLettered(reason)) => {
                        metrics::of_event(result);
                        let body = &record.body[..record.body.floor_char_boundary(BODY_BYTES_MAX)];
                        error!(message_id, queue, %reason, body, "the message is in the dead-letter queue");
                    }
                    result => report_event(result, Some(message_id), duration),
                }
            }
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn launches(report: &LaunchReport, message_id: Option<&str>, duration_ms: u64) {
    let LaunchReport { event_id, identity, routes, launches, superseded_by, .. } = report;
    match superseded_by {
        Some(next) => {
            info!(event_id, message_id, identity, %next, duration_ms, "the firing was missed, a later one stands for it")
        }
        None if routes.is_empty() => {
            info!(event_id, message_id, identity, duration_ms, "no route matches the event, it is ignored");
        }
        None if launches.is_empty() => {
            info!(
                event_id,
                message_id,
                identity,
                ?routes,
                duration_ms,
                "the event's list is empty, nothing is launched"
            );
        }
        None => {}
    }
    for launch in launches {
        let (route, task, index, client_token) = (&launch.route, &launch.task, launch.index, &launch.client_token);
        macro_rules! tell {
            ($level:ident, $($outcome:tt)*) => {
                $level!(event_id, message_id, identity, route, task, index, client_token, duration_ms, $($outcome)*)
            };
        }
        match &launch.outcome {
            Outcome::Launched { task_arns } => tell!(info, ?task_arns, "the task is launched"),
            Outcome::Duplicate { task_arns } => tell!(info, ?task_arns, "the task was launched already"),
            Outcome::Skipped(skipped) => tell!(info, ?skipped, "the task is not launched, as the route wants it"),
            Outcome::Deferred { until, reason } => {
                tell!(warn, %until, %reason, "the launch is in the ledger, and goes on later");
            }
            Outcome::DeadLettered { reason } => tell!(error, %reason, "the event is in the dead-letter queue"),
            Outcome::Failed { reason } => tell!(error, %reason, "the task could not be launched"),
        }
    }
}

/// Logs what became of a task's state change.
pub fn report_state_change(change: &TaskStateChange, result: &Result<StateChangeOutcome, DriveError>) {
    let task_arn = &change.task_arn;
    match result {
        Ok(StateChangeOutcome::Ignored) => info!(task_arn, "the task is of no launch in the ledger, or still runs"),
        Ok(StateChangeOutcome::Recorded { launch, conclusion, others }) => {
            info!(task_arn, %launch, "the task has stopped");
            conclusion.iter().for_each(|conclusion| concluded(launch, conclusion));
            others.iter().for_each(|(launch, conclusion)| looked_at(launch, conclusion.as_ref()));
        }
        Err(reason) => error!(task_arn, %reason, "how the task ended could not be recorded"),
    }
}

/// Logs what a sweep came to.
pub fn report_sweep(result: &Result<SweepReport, DriveError>) {
    match result {
        Ok(SweepReport { launches, failed, is_cut_short }) => {
            launches.iter().for_each(|(launch, conclusion)| looked_at(launch, conclusion.as_ref()));
            failed
                .iter()
                .for_each(|(uri, reason)| error!(uri, %reason, "something that is due could not be looked at"));
            if *is_cut_short {
                warn!("there was more to do than there was time for; the next sweep goes on");
            }
        }
        Err(reason) => error!(%reason, "it cannot be said what is due"),
    }
}

/// Logs what was decided about a worker, if it is another decision than was told last, and puts its numbers into CloudWatch.
pub fn report_worker(report: &WorkerReport, told: &mut BTreeMap<String, String>) {
    let WorkerReport { worker, decision, problems, launched, .. } = report;
    for reason in problems {
        error!(worker, reason, "a worker could not be seen to or changed; it is tried again at the next tick");
    }
    let reason = decision.reason.to_string();
    let is_news = told.insert(worker.clone(), reason.clone()).as_ref() != Some(&reason);
    match decision.action {
        Action::Hold if decision.is_alarming() && is_news => warn!(worker, %decision, "held"),
        Action::Hold if is_news => info!(worker, %decision, "held"),
        Action::Hold => debug!(worker, %decision, "held"),
        Action::SetDesired(desired) => info!(worker, desired, %decision, "the desired count is set"),
        Action::Launch(wanted) => info!(worker, wanted, launched, %decision, "tasks are started"),
    }
    metrics::of_worker(report);
}

fn looked_at(launch: &LaunchKey, conclusion: Option<&Conclusion>) {
    match conclusion {
        Some(conclusion) => concluded(launch, conclusion),
        None => info!(%launch, "the launch was looked at, and goes on"),
    }
}

fn concluded(launch: &LaunchKey, conclusion: &Conclusion) {
    metrics::of_conclusion(launch, conclusion);
    match &conclusion.outcome {
        launch::Outcome::DeadLettered(reason) => {
            error!(%launch, %reason, "the launch has ended, its event is in the dead-letter queue");
        }
        outcome => info!(%launch, ?outcome, "the launch has ended"),
    }
}
