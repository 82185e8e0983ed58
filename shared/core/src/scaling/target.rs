//! The target rule: one worker for a number of waiting messages, the backlog per task.

use std::time::Duration;

use jiff::Timestamp;

use super::observation::Seen;
use super::rule::whole;
use super::{Demand, Memory, ScalingPolicy};

/// One worker for every `backlog_per_task` waiting messages. Unlike a target tracking policy, the rule counts starting
/// tasks, always starts a worker for a single message, and keeps busy workers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetRule {
    /// The waiting messages for each worker.
    pub backlog_per_task: u32,
    /// How long fewer workers must be enough before a scale-in.
    pub scale_in_hold: Duration,
}

impl TargetRule {
    pub(super) fn demand(&self, seen: &Seen, memory: &mut Memory, policy: &ScalingPolicy, now: Timestamp) -> Demand {
        let mut wanted = whole(seen.visible as f64 / f64::from(self.backlog_per_task.max(1)));
        if seen.messages() > 0 {
            wanted = wanted.max(1);
        }
        let hold = self.scale_in_hold.as_secs_f64();
        let mut kept = wanted.max(seen.busy(policy.concurrency));
        if memory.had_messages(hold, policy.tick.as_secs_f64(), now) {
            kept = kept.max(1);
        }
        Demand { out: wanted, kept: memory.most_kept(kept, hold, policy.tick.as_secs_f64(), now) }
    }
}
