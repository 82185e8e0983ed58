//! More or fewer workers, by how many messages wait: step scaling.

use std::time::Duration;

use jiff::Timestamp;

use super::observation::Seen;
use super::{Demand, Memory, Mode, ScalingPolicy};

/// More or fewer workers, by how many messages wait. Unlike a step scaling policy, one message starts a worker where there is
/// none, and workers that are busy are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRule {
    /// The adjustments. Of those whose bounds hold, the one that changes most is made.
    pub adjustments: Vec<StepAdjustment>,
    /// How long there is between two adjustments.
    pub cooldown: Duration,
}

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepAdjustment {
    /// Messages that wait, at least.
    pub lower: Option<u64>,
    /// Messages that wait, at most.
    pub upper: Option<u64>,
    /// How many workers more, or if negative fewer.
    pub change: i32,
}

impl StepRule {
    pub(super) fn demand(&self, seen: &Seen, memory: &mut Memory, policy: &ScalingPolicy, now: Timestamp) -> Demand {
        let at = memory.seconds(now);
        let least = u32::from(seen.messages() > 0);
        let cooldown = self.cooldown.as_secs_f64();
        let still = Demand { out: least.max(seen.desired), kept: seen.desired };
        if memory.last_step.is_some_and(|last| at - last < cooldown) {
            return still;
        }
        let holds = |step: &&StepAdjustment| {
            step.lower.is_none_or(|lower| seen.visible >= lower) && step.upper.is_none_or(|upper| seen.visible <= upper)
        };
        let change = self.adjustments.iter().filter(holds).map(|step| step.change).max_by_key(|change| change.abs());
        match change {
            Some(change) if change > 0 => {
                memory.last_step = Some(at);
                let out = seen.desired.saturating_add(change.unsigned_abs());
                Demand { out, kept: out }
            }
            Some(change) if change < 0 && seen.desired > 0 && policy.mode == Mode::Service => {
                let mut kept = seen.desired.saturating_sub(change.unsigned_abs()).max(seen.busy(policy.concurrency));
                if memory.had_messages(0.0, policy.tick.as_secs_f64(), now) {
                    kept = kept.max(1);
                }
                if kept < seen.desired {
                    memory.last_step = Some(at);
                }
                Demand { out: least, kept }
            }
            _ => still,
        }
    }
}
