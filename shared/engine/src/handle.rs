//! One event from its delivery to its report.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use trigger_core::config::{Route, RoutingConfig};
use trigger_core::event::{DecodeError, Event, EventKind};
use trigger_core::plan::{Plan, PlanError, PlannedLaunch};
use trigger_core::schedule::Timeliness;

use crate::launcher::{LaunchError, Launched, Launcher};
use crate::payloads::Payloads;

/// How many launches of one event are asked for at once. With as many messages of a batch as are handled at once, these are no
/// more than RunTask takes in a second: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
const LAUNCHES_AT_ONCE: usize = 4;

/// The ports that an event's handling needs.
#[derive(Debug, Clone)]
pub struct Ports<L, P> {
    /// Starts tasks.
    pub launcher: L,
    /// Keeps events that do not fit into a launch.
    pub payloads: P,
}

/// What became of an event: one outcome for each launch of the routes that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchReport {
    /// The event's id.
    pub event_id: String,
    /// What a repeated delivery of the event shares.
    pub identity: String,
    /// The version of the config that decided.
    pub config_etag: Option<String>,
    /// The names of the routes that the event took; without any, it is ignored.
    pub routes: Vec<String>,
    /// What became of each launch. A route launches nothing for an empty list.
    pub launches: Vec<LaunchOutcome>,
    /// For a firing that came so late that this later one stands for it: it started nothing.
    pub superseded_by: Option<Timestamp>,
}

/// What became of one launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOutcome {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
    /// The element of the event's list that it was for.
    pub index: Option<usize>,
    /// RunTask's idempotency key.
    pub client_token: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The tasks were started.
    Launched {
        /// Their ARNs.
        task_arns: Vec<String>,
    },
    /// An earlier delivery had started them.
    Duplicate {
        /// Their ARNs.
        task_arns: Vec<String>,
    },
    /// They were not all started, or nobody knows.
    Failed(LaunchError),
}

/// Why an event has to be delivered again, and in the end dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventError {
    /// It is no event.
    Decode(DecodeError),
    /// Its tasks cannot be requested; nothing was started.
    Plan {
        /// The event's id.
        event_id: String,
        /// Every reason.
        errors: Vec<PlanError>,
    },
    /// It is a firing that came too late, and its schedule does not catch up; nothing was started.
    Missed {
        /// The event's id.
        event_id: String,
    },
    /// Not all of its tasks were started.
    Launch(LaunchReport),
}

impl EventError {
    /// The error's name, by which logs and metrics count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decode(_) => "DecodeError",
            Self::Plan { .. } => "PlanError",
            Self::Missed { .. } => "MissedFiring",
            Self::Launch(_) => "LaunchError",
        }
    }
}

impl std::error::Error for EventError {}

impl fmt::Display for EventError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(formatter),
            Self::Plan { event_id, errors } => {
                let reasons: Vec<String> = errors.iter().map(PlanError::to_string).collect();
                write!(formatter, "event {event_id}: {}", reasons.join("; "))
            }
            Self::Missed { event_id } => {
                write!(formatter, "event {event_id}: the firing comes too late, and its schedule does not catch up")
            }
            Self::Launch(report) => {
                let failed = report.launches.iter().filter_map(|launch| match &launch.outcome {
                    Outcome::Failed(error) => Some(format!("the route `{}`: {error}", launch.route)),
                    _ => None,
                });
                write!(formatter, "event {}: {}", report.event_id, failed.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// Matches, renders, launches and reports one decoded event. `now` decides whether a firing comes too late.
///
/// A launch that fails does not keep the event's others from theirs: delivered again, the event repeats every client token,
/// so that only what is missing is started.
///
/// # Errors
/// The event must be delivered again: at least one of its tasks was not started, as far as is known.
pub async fn handle(
    decoded: Result<Event, DecodeError>,
    config: &RoutingConfig,
    ports: &Ports<impl Launcher, impl Payloads>,
    now: Timestamp,
) -> Result<LaunchReport, EventError> {
    let event = decoded.map_err(EventError::Decode)?;
    let mut report = LaunchReport {
        event_id: event.id(),
        identity: event.identity().to_string(),
        config_etag: config.etag.clone(),
        routes: Vec::new(),
        launches: Vec::new(),
        superseded_by: None,
    };
    match timeliness(&event, config, now) {
        Timeliness::Due => {}
        Timeliness::Missed => return Err(EventError::Missed { event_id: report.event_id }),
        Timeliness::SupersededBy(next) => return Ok(LaunchReport { superseded_by: Some(next), ..report }),
    }
    let plan =
        Plan::new(config, &event).map_err(|errors| EventError::Plan { event_id: report.event_id.clone(), errors })?;
    let refused = &store_payloads(&plan, &event, &ports.payloads).await;
    let launches = plan.launches.into_iter().map(|planned| async move {
        match planned.payload_uri.as_ref().and_then(|uri| refused.get(uri)) {
            Some(error) => outcome(planned, Outcome::Failed(error.clone())),
            None => launch(planned, ports).await,
        }
    });
    report.launches = stream::iter(launches).buffered(LAUNCHES_AT_ONCE).collect().await;
    report.routes = plan.routes;
    match report.launches.iter().any(|launch| matches!(launch.outcome, Outcome::Failed(_))) {
        true => Err(EventError::Launch(report)),
        false => Ok(report),
    }
}

/// Whether the event starts its tasks, if it is a firing.
fn timeliness(event: &Event, config: &RoutingConfig, now: Timestamp) -> Timeliness {
    let EventKind::Firing(firing) = &event.kind else { return Timeliness::Due };
    let schedule =
        config.route_on_schedule(&firing.route).and_then(Route::schedule).filter(|schedule| schedule.enabled);
    schedule.map_or(Timeliness::Due, |schedule| schedule.timeliness(firing.scheduled_time, now))
}

async fn launch(planned: PlannedLaunch, ports: &Ports<impl Launcher, impl Payloads>) -> LaunchOutcome {
    let launched = match ports.launcher.launch(&planned.request).await {
        Ok(Launched { task_arns, already: false }) => Outcome::Launched { task_arns },
        Ok(Launched { task_arns, already: true }) => Outcome::Duplicate { task_arns },
        Err(error) => Outcome::Failed(error),
    };
    outcome(planned, launched)
}

fn outcome(planned: PlannedLaunch, outcome: Outcome) -> LaunchOutcome {
    let PlannedLaunch { route, task, index, request, .. } = planned;
    LaunchOutcome { route, task, index, client_token: request.client_token, outcome }
}

/// Puts the event where its tasks are told to read it, before they are started; returns the places where it could not be put.
async fn store_payloads(plan: &Plan, event: &Event, payloads: &impl Payloads) -> HashMap<String, LaunchError> {
    let uris: BTreeSet<&String> = plan.launches.iter().filter_map(|planned| planned.payload_uri.as_ref()).collect();
    let mut refused = HashMap::new();
    for uri in uris {
        if let Err(error) = payloads.put(uri, &event.text).await {
            refused.insert(uri.clone(), LaunchError::Payload { uri: uri.clone(), message: error.0 });
        }
    }
    refused
}

#[cfg(test)]
mod tests;
