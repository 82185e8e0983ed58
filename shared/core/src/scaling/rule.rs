//! The three rules that compute how many workers are wanted.

use jiff::Timestamp;

use super::observation::Seen;
use super::{LatencyRule, Memory, Numbers, ScalingPolicy, StepRule, TargetRule};

/// The rule that computes how many workers are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalingRule {
    /// Enough workers that no message waits longer than is acceptable.
    Latency(LatencyRule),
    /// One worker for a number of waiting messages.
    Target(TargetRule),
    /// More or fewer workers, by the number of waiting messages.
    Step(StepRule),
}

/// How many workers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// If there are fewer workers, scale out to this many.
    pub out: u32,
    /// If there are more workers, scale in to this many at the lowest.
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

    /// Returns the least time between two scale-ins, in seconds.
    pub(super) fn scale_in_every(&self) -> f64 {
        match self {
            Self::Latency(rule) => rule.scale_in_every.as_secs_f64(),
            Self::Target(_) | Self::Step(_) => 0.0,
        }
    }
}

/// Rounds a number of workers up to a whole number.
pub(super) fn whole(workers: f64) -> u32 {
    // Ignore floating-point dust: 3.0000000001 is 3 workers.
    let workers = (workers - 1e-9).ceil();
    // NaN becomes 0, so it starts nothing.
    if workers > 0.0 { workers.min(f64::from(u32::MAX)) as u32 } else { 0 }
}
