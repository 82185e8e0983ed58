//! What a tick sees of a queue and its workers.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::Mode;

/// What a tick sees of a queue and its workers. Each part may be unknown, which is not the same as zero.
///
/// In JSON, an unknown part is `null` or left out. SQS's numbers are approximate, and lag by up to about a minute.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The messages that can be received: `ApproximateNumberOfMessages`.
    #[serde(default, deserialize_with = "count")]
    pub visible: Option<u64>,
    /// The messages that were received, and neither deleted nor made visible again:
    /// `ApproximateNumberOfMessagesNotVisible`.
    #[serde(default, deserialize_with = "count")]
    pub in_flight: Option<u64>,
    /// The messages that cannot be received yet: `ApproximateNumberOfMessagesDelayed`. They do not influence decisions.
    #[serde(default, deserialize_with = "count")]
    pub delayed: Option<u64>,
    /// The tasks that run.
    #[serde(default, deserialize_with = "count")]
    pub running: Option<u32>,
    /// The tasks that are starting.
    #[serde(default, deserialize_with = "count")]
    pub pending: Option<u32>,
    /// The service's desired count. Mode `run_task` ignores it.
    #[serde(default, deserialize_with = "count")]
    pub desired: Option<u32>,
    /// Whether the service is replacing its tasks.
    #[serde(default)]
    pub deployment_in_progress: Option<bool>,
    /// How many tasks are protected from scale-in.
    #[serde(default, deserialize_with = "count")]
    pub protected: Option<u32>,
    /// How long tasks took from `createdAt` to `startedAt`, in seconds, the latest last.
    #[serde(default, deserialize_with = "list")]
    pub start_delays: Vec<f64>,
    /// CloudWatch's metrics of past minutes, the latest last.
    #[serde(default, deserialize_with = "list")]
    pub minutes: Vec<Minute>,
}

/// One minute of a queue's metrics. CloudWatch shows it one to two minutes later.
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Minute {
    /// `NumberOfMessagesSent`, summed.
    #[serde(default)]
    pub sent: Option<f64>,
    /// `NumberOfMessagesDeleted`, summed.
    #[serde(default)]
    pub deleted: Option<f64>,
    /// `ApproximateNumberOfMessagesNotVisible`, on average.
    #[serde(default)]
    pub in_flight: Option<f64>,
}

/// Reads a count, written `3` or `3.0`.
fn count<'a, D: Deserializer<'a>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let whole = (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    let count = whole.and_then(|whole| T::try_from(whole).ok());
    count.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is not a count")))
}

/// Reads a list, or `null` as an empty list.
fn list<'a, D: Deserializer<'a>, T: Deserialize<'a>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The parts of an observation that a decision needs and that are unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub Vec<&'static str>);

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}

/// An observation without unknown parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The messages that can be received.
    pub visible: u64,
    /// The messages that were received and not deleted.
    pub in_flight: u64,
    /// The messages in flight that running workers can be processing. The others wait for a retry, or their worker was
    /// lost.
    pub worked_on: u64,
    /// The tasks that run.
    pub running: u32,
    /// The tasks that are starting, including requested tasks that ECS does not show yet.
    pub pending: u32,
    /// The desired count; in mode `run_task` the running and starting tasks.
    pub desired: u32,
    /// Whether the service is replacing its tasks.
    pub deployment_in_progress: bool,
    /// How many tasks are protected from scale-in, if that is known.
    pub protected: Option<u32>,
}

impl Seen {
    /// Returns the observation if every needed part is known, otherwise the unknown parts. `left_alone` messages are
    /// in flight, and no protected worker has them.
    pub(super) fn of(
        observation: &Observation,
        mode: Mode,
        concurrency: u32,
        left_alone: u64,
    ) -> Result<Self, Unknown> {
        let Observation { visible, in_flight, running, pending, .. } = *observation;
        // In mode `run_task` there is no desired count: the tasks are the workers that were requested.
        let desired = match mode {
            Mode::Service => observation.desired,
            Mode::RunTask => running.zip(pending).map(|(running, pending)| running.saturating_add(pending)),
        };
        let (Some(visible), Some(in_flight), Some(running), Some(pending), Some(desired)) =
            (visible, in_flight, running, pending, desired)
        else {
            let parts = [
                ("visible", visible.is_none()),
                ("in_flight", in_flight.is_none()),
                ("running", running.is_none()),
                ("pending", pending.is_none()),
                ("desired", mode == Mode::Service && desired.is_none()),
            ];
            return Err(Unknown(parts.into_iter().filter(|(_, unknown)| *unknown).map(|(name, _)| name).collect()));
        };
        Ok(Self {
            visible,
            in_flight,
            worked_on: in_flight.saturating_sub(left_alone).min(u64::from(running) * u64::from(concurrency)),
            running,
            pending: pending.max(desired.saturating_sub(running)),
            desired,
            deployment_in_progress: observation.deployment_in_progress.unwrap_or(false),
            protected: observation.protected,
        })
    }

    /// Returns the number of messages that wait or are worked on.
    pub fn messages(&self) -> u64 {
        self.visible.saturating_add(self.worked_on)
    }

    /// Returns how many workers the messages in flight keep busy at least.
    pub fn busy(&self, concurrency: u32) -> u32 {
        u32::try_from(self.worked_on.div_ceil(u64::from(concurrency.max(1)))).unwrap_or(u32::MAX)
    }
}
