//! How many workers are wanted: three ways to tell.

use jiff::Timestamp;

use super::observation::Seen;
use super::{LatencyRule, Memory, Numbers, ScalingPolicy, StepRule, TargetRule};

/// How many workers are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalingRule {
    /// As many as keep messages from waiting longer than is acceptable.
    Latency(LatencyRule),
    /// One for so many messages that wait.
    Target(TargetRule),
    /// More or fewer, by how many messages wait.
    Step(StepRule),
}

/// How many workers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// So many are started if there are fewer.
    pub out: u32,
    /// So many are kept if there are more.
    pub kept: u32,
}

impl ScalingRule {
    pub(super) fn demand(
        &self,
        seen: &Seen,
        memory: &mut Memory,
        policy: &ScalingPolicy,
        now: Timestamp,
    ) -> (Demand, Numbers) {
        let mut numbers = Numbers::of(seen, memory, policy);
        let demand = match self {
            Self::Latency(rule) => rule.demand(seen, memory, policy, now, &mut numbers),
            Self::Target(rule) => rule.demand(seen, memory, policy, now),
            Self::Step(rule) => rule.demand(seen, memory, policy, now),
        };
        (demand, numbers)
    }

    /// How long there is between two scale-ins: seconds.
    pub(super) fn scale_in_every(&self) -> f64 {
        match self {
            Self::Latency(rule) => rule.scale_in_every.as_secs_f64(),
            Self::Target(_) | Self::Step(_) => 0.0,
        }
    }
}

/// A number of workers that is at least `workers`.
pub(super) fn whole(workers: f64) -> u32 {
    // What a computation left over of a whole number is no worker.
    let workers = (workers - 1e-9).ceil();
    // What is no number is no reason to start anything.
    if workers > 0.0 { workers.min(f64::from(u32::MAX)) as u32 } else { 0 }
}
