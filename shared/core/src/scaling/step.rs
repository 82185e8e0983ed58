//! The step rule: more or fewer workers, by the number of waiting messages.

use std::time::Duration;

use jiff::Timestamp;

use super::observation::Seen;
use super::{Demand, Memory, Mode, ScalingPolicy};

/// More or fewer workers, by the number of waiting messages. Unlike a step scaling policy, the rule starts a worker for
/// a single message if there is none, and keeps busy workers.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRule {
    /// The adjustments. If the bounds of several match, the one with the largest change applies.
    pub adjustments: Vec<StepAdjustment>,
    /// The least time between two adjustments.
    pub cooldown: Duration,
}

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepAdjustment {
    /// The adjustment applies from this many waiting messages.
    pub lower: Option<u64>,
    /// The adjustment applies up to this many waiting messages.
    pub upper: Option<u64>,
    /// How many workers to add, or to remove if negative.
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
