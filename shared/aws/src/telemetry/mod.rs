//! The functions' log: JSON lines, each complete in itself. A failure is logged once, here, where it is reported.

pub(crate) mod metrics;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use tracing::{Span, debug, error, error_span, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Ignored, Record, TaskStateChange};
use trigger_core::launch::{self, Conclusion};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::Action;
use trigger_engine::{
    Continued, DriveError, EventError, LaunchOutcome, LaunchReport, MessageOutcome, Outcome, StateChangeOutcome,
    SweepReport, WorkerReport,
};

/// Of an event with more launches than this, the launches are logged together.
const TOLD_ONE_BY_ONE_MAX: usize = 20;
/// Of a body that cannot be decoded, only this many bytes are logged.
const BODY_BYTES_MAX: usize = 256;

/// Sends log lines to standard output, where Lambda collects them. `RUST_LOG` sets the level; default: `info`.
pub fn init() {
    // An empty part would switch everything but errors off.
    let levels = std::env::var("RUST_LOG").unwrap_or_default();
    let levels: Vec<&str> = levels.split(',').filter(|level| !level.trim().is_empty()).collect();
    let levels = Some(levels.join(",")).filter(|levels| !levels.is_empty()).and_then(|levels| levels.parse().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// Returns the span of an event's handling. It adds the version of the config in force to each log line of every level.
pub fn span(config: &RoutingConfig) -> Span {
    error_span!("handle", config_etag = config.etag.as_deref())
}

/// Returns the process's exit code. Logs why the function stopped serving if that was an error.
pub fn exit_code(served: Result<(), impl Display>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!(%reason, "the function cannot serve events");
            ExitCode::FAILURE
        }
    }
}

/// Logs and counts the result of an event.
pub fn report(result: &Result<LaunchReport, EventError>, duration: Duration) {
    report_event(result, None, duration);
}

/// Logs and counts the result of an event, with the id of its message if it has one.
fn report_event(result: &Result<LaunchReport, EventError>, message_id: Option<&str>, duration: Duration) {
    metrics::of_event(result);
    let duration_ms = milliseconds(duration);
    if let Some(report) = result.as_ref().err().and_then(EventError::others) {
        launches(report, message_id, duration_ms);
    }
    match result {
        Ok(report) => launches(report, message_id, duration_ms),
        Err(EventError::Launch(report)) => launches(report, message_id, duration_ms),
        Err(EventError::Plan { event_id, errors, .. }) => {
            for failed in errors {
                let route = failed.route();
                error!(event_id, message_id, route, reason = %failed, duration_ms, "cannot build the task requests");
            }
        }
        Err(EventError::Missed { event_id }) => {
            error!(event_id, duration_ms, "the firing is too late, and its schedule does not catch up");
        }
        Err(EventError::Decode(reason)) => error!(%reason, duration_ms, "the payload is not a recognized event"),
        Err(EventError::Redrive { launch, reason }) => {
            error!(%launch, message_id, reason, duration_ms, "the launch of a redriven dead letter cannot be continued");
        }
        Err(error @ EventError::OutOfTime) => error!(message_id, duration_ms, "{error}"),
        Err(EventError::Panic { message }) => {
            error!(message_id, panic = message, duration_ms, "a bug of ecs-trigger: the message is delivered again");
        }
        Err(EventError::DeadLettered(reason)) => {
            error!(message_id, %reason, duration_ms, "the event was sent to the dead-letter queue");
        }
    }
}

/// Logs and counts the outcome of a message.
pub fn report_message(record: &Record, outcome: &MessageOutcome, duration: Duration) {
    let (message_id, queue) = (&record.message_id, &record.queue.name);
    match outcome {
        MessageOutcome::Done(reports) => {
            for report in reports {
                metrics::of_launches(report);
                launches(report, Some(message_id), milliseconds(duration));
            }
        }
        MessageOutcome::Ignored(reason @ Ignored::SnsSubscription { .. }) => {
            warn!(message_id, queue, %reason, "the message starts nothing");
        }
        MessageOutcome::Ignored(reason) => info!(message_id, queue, %reason, "the message starts nothing"),
        MessageOutcome::HeldBack => {
            warn!(message_id, queue, "the message returns to its queue because an earlier one of its group failed");
        }
        MessageOutcome::Failed(results) => {
            for result in results {
                match result {
                    Err(EventError::Decode(reason)) => {
                        metrics::of_event(result);
                        let body = &record.body[..record.body.floor_char_boundary(BODY_BYTES_MAX)];
                        error!(message_id, queue, %reason, body, "cannot decode the message; it returns to its queue");
                    }
                    Err(EventError::DeadLettered(reason)) => {
                        metrics::of_event(result);
                        if let Some(report) = reason.others() {
                            launches(report, Some(message_id), milliseconds(duration));
                        }
                        let body = &record.body[..record.body.floor_char_boundary(BODY_BYTES_MAX)];
                        error!(message_id, queue, %reason, body, "the message was sent to the dead-letter queue");
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
    let LaunchReport { event_id, identity, replay, routes, launches, superseded_by, .. } = report;
    match superseded_by {
        Some(next) => {
            info!(event_id, message_id, identity, %next, duration_ms, "the firing was missed; a later one replaces it")
        }
        None if routes.is_empty() => {
            info!(event_id, message_id, identity, duration_ms, "no route matches the event; it is ignored");
        }
        None if launches.is_empty() => {
            info!(
                event_id,
                message_id,
                identity,
                ?routes,
                duration_ms,
                "the event's list is empty; nothing is launched"
            );
        }
        None => {}
    }
    if launches.len() > TOLD_ONE_BY_ONE_MAX {
        return set(report, message_id, duration_ms);
    }
    for launch in launches {
        let (route, task, index, client_token) = (&launch.route, &launch.task, launch.index, &launch.client_token);
        macro_rules! tell {
            ($level:ident, $($outcome:tt)*) => {
                $level!(event_id, message_id, identity, route, task, index, client_token, duration_ms, $($outcome)*)
            };
        }
        match &launch.outcome {
            Outcome::Launched { task_arns } => tell!(info, ?task_arns, "the task was launched"),
            Outcome::Duplicate { task_arns } => match replay {
                Some(replay) => {
                    tell!(
                        info,
                        ?task_arns,
                        replay,
                        "the task had already been launched: a replayed event keeps its id"
                    );
                }
                None => tell!(info, ?task_arns, "the task had already been launched"),
            },
            Outcome::Skipped(skipped) => tell!(info, ?skipped, "the launch was skipped, as its route demands"),
            Outcome::Deferred { until, reason } => {
                tell!(warn, %until, %reason, "the launch is recorded and continues later");
            }
            Outcome::DeadLettered { reason } => tell!(error, %reason, "the event was sent to the dead-letter queue"),
            Outcome::Failed { reason } => tell!(error, %reason, "the task could not be launched"),
        }
    }
}

/// Logs the launches of a large set together: one line for each kind of outcome, with the first launch of that kind.
fn set(report: &LaunchReport, message_id: Option<&str>, duration_ms: u64) {
    let LaunchReport { event_id, identity, launches, .. } = report;
    let mut kinds: BTreeMap<(&str, &str, &'static str), Vec<&LaunchOutcome>> = BTreeMap::new();
    for launch in launches {
        kinds.entry((&launch.route, &launch.task, launch.outcome.name())).or_default().push(launch);
    }
    for ((route, task, outcome), launches) in kinds {
        let (count, first) = (launches.len(), launches.first().map(|launch| &launch.outcome));
        let is_failure = launches.iter().any(|launch| launch.outcome.is_failure());
        macro_rules! tell {
            ($level:ident) => {
                $level!(
                    event_id,
                    message_id,
                    identity,
                    route,
                    task,
                    outcome,
                    count,
                    ?first,
                    duration_ms,
                    "launches of a set"
                )
            };
        }
        if is_failure { tell!(error) } else { tell!(info) }
    }
}

/// Logs the outcome of a task's state change.
pub fn report_state_change(change: &TaskStateChange, result: &Result<StateChangeOutcome, DriveError>) {
    let task_arn = &change.task_arn;
    match result {
        Ok(StateChangeOutcome::Ignored) => info!(task_arn, "the task is still running, or has no launch in the ledger"),
        Ok(StateChangeOutcome::Recorded { launch, conclusion, others }) => {
            info!(task_arn, %launch, "the task has stopped");
            conclusion.iter().for_each(|conclusion| concluded(launch, conclusion));
            others.iter().for_each(continued);
        }
        Err(reason) => error!(task_arn, %reason, "cannot record how the task ended"),
    }
}

/// Logs what became of launches that were due, or that another invocation left.
pub fn report_sweep(result: &Result<SweepReport, DriveError>) {
    match result {
        Ok(SweepReport { launches, failed, is_cut_short }) => {
            launches.iter().for_each(continued);
            failed.iter().for_each(|(launch, reason)| error!(%launch, %reason, "the launch cannot continue now"));
            if *is_cut_short {
                warn!("there was no time for all launches; the next sweep continues them");
            }
        }
        Err(reason) => error!(%reason, "cannot continue launches"),
    }
}

/// Logs the decision about a worker if it differs from the last one logged, and writes its metrics.
pub fn report_worker(report: &WorkerReport, told: &mut BTreeMap<String, String>) {
    let WorkerReport { worker, decision, problems, launched, .. } = report;
    for reason in problems {
        error!(worker, reason, "cannot read or change the worker; the next tick tries again");
    }
    let reason = decision.reason.to_string();
    let is_news = told.insert(worker.clone(), reason.clone()).as_ref() != Some(&reason);
    match decision.action {
        Action::Hold if decision.is_alarming() && is_news => warn!(worker, %decision, "the worker count stays"),
        Action::Hold if is_news => info!(worker, %decision, "the worker count stays"),
        Action::Hold => debug!(worker, %decision, "the worker count stays"),
        Action::SetDesired(desired) => info!(worker, desired, %decision, "the desired count was set"),
        Action::Launch(wanted) => info!(worker, wanted, launched, %decision, "tasks were started"),
    }
    metrics::of_worker(report);
}

fn continued(continued: &Continued) {
    let Continued { launch, has_launched, conclusion } = continued;
    if *has_launched {
        metrics::of_launched(launch);
        info!(%launch, "the task was launched");
    }
    match conclusion {
        Some(conclusion) => concluded(launch, conclusion),
        None if *has_launched => {}
        None => info!(%launch, "the launch was checked and continues"),
    }
}

fn concluded(launch: &LaunchKey, conclusion: &Conclusion) {
    metrics::of_conclusion(launch, conclusion);
    match &conclusion.outcome {
        launch::Outcome::DeadLettered(reason) => {
            error!(%launch, %reason, "the launch has ended; its event was sent to the dead-letter queue");
        }
        outcome => info!(%launch, ?outcome, "the launch has ended"),
    }
}
