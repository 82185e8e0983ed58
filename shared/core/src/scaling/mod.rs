//! Scaling: a [`ScalingPolicy`] decides how many workers a queue needs, from an [`Observation`] and its [`Memory`], and
//! gives the reason.
//!
//! - [`observation`] is what a tick sees; [`memory`] is what the policy keeps from earlier ticks;
//! - [`rule`] computes how many workers are wanted: by [`latency`], by a [`target`] backlog per task, or by [`step`]s
//!   of queue depth;
//! - [`capacity`] sets the bounds, by time of day; [`blocked`] notices when more workers would not help;
//! - [`decision`] is what to do, with the reason and the numbers behind it.
//!
//! Anything that cannot be read is unknown, not zero, and then nothing changes.

pub mod blocked;
pub mod capacity;
pub mod decision;
pub mod latency;
pub mod memory;
pub mod observation;
pub mod rule;
pub mod step;
pub mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

pub use capacity::{Bounds, CapacitySchedule};
pub use decision::{Action, Numbers, Reason, ScalingDecision};
pub use latency::LatencyRule;
pub use memory::Memory;
pub use observation::{Minute, Observation, Unknown};
pub use rule::{Demand, ScalingRule};
pub use step::{StepAdjustment, StepRule};
pub use target::TargetRule;

use observation::Seen;

/// One tick starts at most this many tasks, which is Fargate's burst of launches in an account and Region.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>
pub const LAUNCHES_PER_TICK_MAX: u32 = 100;

/// The name of the object beside the config by which one scaler runs at a time.
pub const LEASE_NAME: &str = "queue-scaler.lease.json";

/// How the number of workers is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By the desired count of an ECS service. The service starts tasks, and stops tasks that are not protected.
    Service,
    /// By RunTask, for missing workers only. Each worker ends by itself when it has been idle for a while.
    RunTask,
}

/// The rule and the bounds by which the workers of a queue are scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingPolicy {
    /// How the number of workers is changed.
    pub mode: Mode,
    /// The bounds while no schedule sets others.
    pub bounds: Bounds,
    /// Bounds by time of day.
    pub schedules: Vec<CapacitySchedule>,
    /// How many messages one worker processes at once.
    pub concurrency: u32,
    /// Whether scaling is paused, so that nothing is changed.
    pub paused: bool,
    /// The time between two decisions.
    pub tick: Duration,
    /// The rule that computes how many workers are wanted.
    pub rule: ScalingRule,
    /// How long a message takes, until that is learned.
    pub msg_processing_time: ServiceTimePrior,
    /// How long a task takes to start, until that is learned.
    pub start_delay: StartDelay,
}

/// The processing time of a message that is assumed at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceTimePrior {
    /// The processing time in seconds.
    pub seconds: f64,
    /// The weight of the assumption, as a number of measured messages.
    pub messages: f64,
}

/// The time from a task's launch until it works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StartDelay {
    /// Always this many seconds.
    Fixed(f64),
    /// The average of the last tasks; this many seconds until a task has been measured.
    Learned(f64),
}

impl StartDelay {
    /// The assumed start delay on Fargate, in seconds.
    pub const FARGATE: f64 = 45.0;
    /// The assumed start delay on container instances, in seconds.
    pub const EC2: f64 = 10.0;
}

impl ScalingPolicy {
    /// Decides what to do about `observation`. Returns the decision and the memory for the next one.
    ///
    /// Without memory (`Memory::default()`), the policy scales out by the messages that it sees now, and does not scale
    /// in before it has seen enough.
    pub fn decide(&self, observation: &Observation, memory: Memory, now: Timestamp) -> (ScalingDecision, Memory) {
        let mut memory = memory.starting_at(now);
        memory.learn(observation, self, now);
        let bounds = self.bounds_at(now);
        let left_alone = memory.left_alone(memory.seconds(now));
        let seen = match Seen::of(observation, self.mode, self.concurrency, left_alone) {
            Ok(seen) => seen,
            Err(unknown) => return (ScalingDecision::hold(Reason::Unknown(unknown), bounds), memory),
        };
        memory.see(&seen, self.tick.as_secs_f64(), now);
        if self.paused {
            return (ScalingDecision::hold(Reason::Paused, bounds), memory);
        }
        let (mut demand, numbers) = self.rule.demand(&seen, &mut memory, self, now);
        let is_blocked = blocked::notice(&mut memory, &seen, self, now);
        let unblocked = demand;
        if is_blocked {
            demand = blocked::capped(demand, &seen, &mut memory, self, now);
        }
        let mut decision = match self.mode {
            Mode::Service => self.set_desired(demand, &seen, bounds, &mut memory, now),
            // While blocked there is no minimum: a worker that ends as soon as it starts would be replaced at every
            // tick.
            Mode::RunTask => self.launch(demand, &seen, if is_blocked { Bounds { min: 0, ..bounds } } else { bounds }),
        };
        if is_blocked && unblocked.out > demand.out && decision.action == Action::Hold {
            decision.reason =
                Reason::Blocked { visible: seen.visible, in_flight: seen.in_flight, running: seen.running };
        }
        decision.numbers = Some(numbers);
        decision.bounds = bounds;
        memory.ordered(&decision, &seen, now);
        (decision, memory)
    }

    /// Returns the beginning of the tick that a time is in. Ticks are counted from the epoch.
    pub fn tick_of(&self, time: Timestamp) -> Timestamp {
        let tick = i128::try_from(self.tick.as_nanos()).unwrap_or(i128::MAX).max(1);
        Timestamp::from_nanosecond(time.as_nanosecond().div_euclid(tick) * tick).unwrap_or(time)
    }

    /// Returns the bounds that apply at a time.
    pub fn bounds_at(&self, now: Timestamp) -> Bounds {
        capacity::bounds_at(self.bounds, &self.schedules, now)
    }

    fn set_desired(
        &self,
        demand: Demand,
        seen: &Seen,
        bounds: Bounds,
        memory: &mut Memory,
        now: Timestamp,
    ) -> ScalingDecision {
        let desired = seen.desired;
        let decide = |action, reason| ScalingDecision { action, reason, bounds, numbers: None };
        let set = |count: u32, reason| decide(Action::SetDesired(count), reason);
        let out = demand.out.clamp(bounds.min, bounds.max);
        if out > desired && demand.out > desired {
            let count = out.min(desired.saturating_add(LAUNCHES_PER_TICK_MAX));
            return set(count, Reason::ScaleOut { from: desired, to: count, wanted: demand.out });
        }
        if desired < bounds.min {
            return set(bounds.min, Reason::BelowMinimum { from: desired, min: bounds.min });
        }
        if seen.deployment_in_progress && desired > bounds.max.min(demand.kept) {
            return decide(Action::Hold, Reason::Deployment);
        }
        // A lower maximum must not stop busy workers either. ECS does not stop protected workers, even if a lagging
        // reading shows fewer busy ones.
        let busy = seen.busy(self.concurrency).max(seen.protected.unwrap_or(0));
        let unprotected = seen.protected.filter(|protected| *protected < seen.busy(self.concurrency));
        if desired > bounds.max.max(busy) {
            if let Some(protected) = unprotected {
                return decide(Action::Hold, Reason::BusyWorkersUnprotected { protected, busy });
            }
            memory.scaled_in(now);
            let to = bounds.max.max(busy);
            return set(to, Reason::AboveMaximum { from: desired, to, max: bounds.max });
        }
        let kept = demand.kept.clamp(bounds.min, bounds.max).max(busy);
        if kept >= desired {
            let reason = match demand.out > bounds.max {
                true => Reason::AtMaximum { wanted: demand.out, max: bounds.max },
                false => Reason::Enough { workers: desired },
            };
            return decide(Action::Hold, reason);
        }
        if !memory.may_scale_in(desired, kept, self.rule.scale_in_every(), now) {
            return decide(Action::Hold, Reason::ScaledInJustNow);
        }
        if let Some(protected) = unprotected {
            return decide(Action::Hold, Reason::BusyWorkersUnprotected { protected, busy });
        }
        memory.scaled_in(now);
        set(kept, Reason::ScaleIn { from: desired, to: kept })
    }

    fn launch(&self, demand: Demand, seen: &Seen, bounds: Bounds) -> ScalingDecision {
        let workers = seen.running.saturating_add(seen.pending);
        let wanted = demand.out.clamp(bounds.min, bounds.max);
        let missing = wanted.saturating_sub(workers).min(LAUNCHES_PER_TICK_MAX);
        let (action, reason) = match missing {
            0 if demand.out > bounds.max => (Action::Hold, Reason::AtMaximum { wanted: demand.out, max: bounds.max }),
            0 => (Action::Hold, Reason::Enough { workers }),
            _ if wanted > demand.out => {
                (Action::Launch(missing), Reason::BelowMinimum { from: workers, min: bounds.min })
            }
            _ => {
                let reason = Reason::ScaleOut { from: workers, to: workers + missing, wanted: demand.out };
                (Action::Launch(missing), reason)
            }
        };
        ScalingDecision { action, reason, bounds, numbers: None }
    }
}
