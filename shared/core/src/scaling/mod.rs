//! How many workers a queue needs: a [`ScalingPolicy`] decides from an [`Observation`] and its [`Memory`], and says why.
//!
//! - [`observation`] - what is seen at a tick; [`memory`] - what earlier ticks leave behind;
//! - [`rule`] - how many workers are wanted: by [`latency`], by a [`target`] of backlog per task, or by [`step`]s of depth;
//! - [`capacity`] - between which bounds, by time of day; [`blocked`] - when more workers would not help;
//! - [`decision`] - what is to be done, the reason, and the numbers behind it.
//!
//! What is not known is never taken for zero: then nothing changes.

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

/// Tasks that one tick may start: Fargate's burst of launches in an account and Region.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>
pub const LAUNCHES_PER_TICK_MAX: u32 = 100;

/// How the number of workers is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By the desired count of an ECS service, which starts tasks and stops those that are not protected.
    Service,
    /// By RunTask: only what is missing is started, and each worker ends by itself when it has been idle for a while.
    RunTask,
}

/// By what rule, and between which bounds, the workers of a queue are scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingPolicy {
    /// How their number is changed.
    pub mode: Mode,
    /// The bounds while no schedule says otherwise.
    pub bounds: Bounds,
    /// Bounds by time of day.
    pub schedules: Vec<CapacitySchedule>,
    /// How many messages one worker works on at once.
    pub concurrency: u32,
    /// Whether nothing is to be changed.
    pub paused: bool,
    /// How often it is decided.
    pub tick: Duration,
    /// How many workers are wanted.
    pub rule: ScalingRule,
    /// How long a message takes, until it is known.
    pub msg_processing_time: ServiceTimePrior,
    /// How long a task takes to start, until it is known.
    pub start_delay: StartDelay,
}

/// How long a message takes, as far as is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceTimePrior {
    /// Seconds.
    pub seconds: f64,
    /// How many messages' experience this is worth.
    pub messages: f64,
}

/// How long a task takes from its launch until it works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StartDelay {
    /// So many seconds, whatever is seen.
    Fixed(f64),
    /// As the last tasks took; so many seconds until there were some.
    Learned(f64),
}

impl StartDelay {
    /// Until tasks of Fargate were seen to start: seconds.
    pub const FARGATE: f64 = 45.0;
    /// Until tasks on container instances were seen to start: seconds.
    pub const EC2: f64 = 10.0;
}

impl ScalingPolicy {
    /// What is to be done about `observation`, and what to remember of it.
    ///
    /// Without memory (`Memory::default()`) nothing is scaled in before enough was seen; what is scaled out is what the queue
    /// holds now.
    pub fn decide(&self, observation: &Observation, memory: Memory, now: Timestamp) -> (ScalingDecision, Memory) {
        let mut memory = memory.starting_at(now);
        memory.learn(observation, self, now);
        let bounds = self.bounds_at(now);
        let seen = match Seen::of(observation, self.mode) {
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
            // Workers that end as soon as they start are no minimum.
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

    /// The bounds that hold at a time.
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
        if desired > bounds.max {
            memory.scaled_in(now);
            return set(bounds.max, Reason::AboveMaximum { from: desired, max: bounds.max });
        }
        // Those that are protected would not be stopped, whatever a reading that lags says.
        let kept = demand.kept.max(seen.protected.unwrap_or(0)).clamp(bounds.min, bounds.max);
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
        if let Some(protected) = seen.protected.filter(|protected| *protected < seen.busy(self.concurrency)) {
            return decide(
                Action::Hold,
                Reason::BusyWorkersUnprotected { protected, busy: seen.busy(self.concurrency) },
            );
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
