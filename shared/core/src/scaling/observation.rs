//! What is seen of a queue and its workers at a tick.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::Mode;

/// What is seen of a queue and its workers. Each part may be unknown, which is not zero.
///
/// As JSON, the unknown is `null` or left out. SQS's numbers are approximate, and lag behind by up to about a minute.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Messages that can be received: `ApproximateNumberOfMessages`.
    #[serde(default, deserialize_with = "count")]
    pub visible: Option<u64>,
    /// Messages that were received, and neither deleted nor given back: `ApproximateNumberOfMessagesNotVisible`.
    #[serde(default, deserialize_with = "count")]
    pub in_flight: Option<u64>,
    /// Messages that cannot be received yet: `ApproximateNumberOfMessagesDelayed`. They neither scale nor keep from scaling.
    #[serde(default, deserialize_with = "count")]
    pub delayed: Option<u64>,
    /// Tasks that run.
    #[serde(default, deserialize_with = "count")]
    pub running: Option<u32>,
    /// Tasks that start.
    #[serde(default, deserialize_with = "count")]
    pub pending: Option<u32>,
    /// The service's desired count. Without meaning in mode `run_task`.
    #[serde(default, deserialize_with = "count")]
    pub desired: Option<u32>,
    /// Whether the service replaces its tasks.
    #[serde(default)]
    pub deployment_in_progress: Option<bool>,
    /// How many tasks are protected from scale-in.
    #[serde(default, deserialize_with = "count")]
    pub protected: Option<u32>,
    /// How long tasks took from `createdAt` to `startedAt`, in seconds, the latest last.
    #[serde(default, deserialize_with = "list")]
    pub start_delays: Vec<f64>,
    /// What CloudWatch tells of minutes that have passed, the latest last.
    #[serde(default, deserialize_with = "list")]
    pub minutes: Vec<Minute>,
}

/// One minute of a queue's metrics. CloudWatch has it one to two minutes later.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
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

/// A count, written `3` or `3.0`.
fn count<'a, D: Deserializer<'a>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let whole = (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    let count = whole.and_then(|whole| T::try_from(whole).ok());
    count.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is no count")))
}

/// A list, or `null` for an empty one.
fn list<'a, D: Deserializer<'a>, T: Deserialize<'a>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What must be known for a decision, and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub Vec<&'static str>);

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}

/// An observation that tells all that a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that are being worked on.
    pub in_flight: u64,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start, those that ECS was asked for and does not show yet among them.
    pub pending: u32,
    /// The number of workers that is asked for now.
    pub desired: u32,
    /// Whether the service replaces its tasks.
    pub deployment_in_progress: bool,
    /// How many tasks are protected from scale-in, if that is known.
    pub protected: Option<u32>,
}

impl Seen {
    /// What is seen, or what is unknown of it.
    pub(super) fn of(observation: &Observation, mode: Mode) -> Result<Self, Unknown> {
        let Observation { visible, in_flight, running, pending, .. } = *observation;
        // With RunTask, tasks are all that is asked for.
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
            running,
            pending: pending.max(desired.saturating_sub(running)),
            desired,
            deployment_in_progress: observation.deployment_in_progress.unwrap_or(false),
            protected: observation.protected,
        })
    }

    /// All messages that workers have, or could have.
    pub fn messages(&self) -> u64 {
        self.visible.saturating_add(self.in_flight)
    }

    /// How many workers the messages in flight keep busy at least.
    pub fn busy(&self, concurrency: u32) -> u32 {
        u32::try_from(self.in_flight.div_ceil(u64::from(concurrency.max(1)))).unwrap_or(u32::MAX)
    }
}
