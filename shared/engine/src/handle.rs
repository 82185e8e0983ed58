//! One event from its delivery to its report.

use std::fmt;

use trigger_core::config::RoutingConfig;
use trigger_core::event::{DecodeError, Event};
use trigger_core::plan::{Plan, PlanError, PlannedLaunch};

use crate::launcher::{LaunchError, Launched, Launcher};

/// What became of an event: one outcome for each route that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchReport {
    /// The event's id.
    pub event_id: String,
    /// What a repeated delivery of the event shares.
    pub identity: String,
    /// Empty where no route matched: the event is ignored.
    pub launches: Vec<LaunchOutcome>,
}

/// What became of one route's launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOutcome {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
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
    /// Not all of its tasks were started.
    Launch(LaunchReport),
}

impl EventError {
    /// The error's name, by which logs and metrics count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decode(_) => "DecodeError",
            Self::Plan { .. } => "PlanError",
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

/// Decodes, matches, renders, launches and reports one event.
///
/// A launch that fails does not keep the event's other routes from theirs: delivered again, the event repeats every client
/// token, so that only what is missing is started.
///
/// # Errors
/// The event must be delivered again: at least one of its tasks was not started, as far as is known.
pub async fn handle(
    delivered: &str,
    config: &RoutingConfig,
    launcher: &impl Launcher,
) -> Result<LaunchReport, EventError> {
    let event = Event::decode(delivered).map_err(EventError::Decode)?;
    let plan =
        Plan::new(config, &event).map_err(|errors| EventError::Plan { event_id: event.envelope.id.clone(), errors })?;
    let mut launches = Vec::with_capacity(plan.launches.len());
    for planned in plan.launches {
        let outcome = launch(&planned, launcher).await;
        let PlannedLaunch { route, task, request } = planned;
        launches.push(LaunchOutcome { route, task, client_token: request.client_token, outcome });
    }
    let report = LaunchReport { event_id: event.envelope.id.clone(), identity: event.identity().to_string(), launches };
    match report.launches.iter().any(|launch| matches!(launch.outcome, Outcome::Failed(_))) {
        true => Err(EventError::Launch(report)),
        false => Ok(report),
    }
}

async fn launch(planned: &PlannedLaunch, launcher: &impl Launcher) -> Outcome {
    match launcher.launch(&planned.request).await {
        Ok(Launched { task_arns, already: false }) => Outcome::Launched { task_arns },
        Ok(Launched { task_arns, already: true }) => Outcome::Duplicate { task_arns },
        Err(error) => Outcome::Failed(error),
    }
}

#[cfg(test)]
mod tests;
