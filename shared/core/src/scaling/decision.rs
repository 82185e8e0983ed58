//! The decision about the number of workers, with its reason.

use std::fmt;

use serde::Serialize;

use super::observation::Seen;
use super::{Bounds, Memory, ScalingPolicy, Unknown};

/// What to do about the number of workers, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingDecision {
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The bounds that apply.
    pub bounds: Bounds,
    /// The numbers behind the decision. None if it was made without them.
    pub numbers: Option<Numbers>,
}

/// What to do about the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Change nothing.
    Hold,
    /// Set the service's desired count to this.
    SetDesired(u32),
    /// Start this many tasks.
    Launch(u32),
}

/// The reason for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Something that a decision needs is unknown.
    Unknown(Unknown),
    /// Scaling is paused.
    Paused,
    /// The scaler has just started, and ECS may not list yet what an earlier one started.
    JustStarted,
    /// More workers are needed.
    ScaleOut {
        /// The current count.
        from: u32,
        /// The new count.
        to: u32,
        /// The wanted count, before bounds.
        wanted: u32,
    },
    /// Fewer workers are enough.
    ScaleIn {
        /// The current count.
        from: u32,
        /// The new count.
        to: u32,
    },
    /// The current count is right.
    Enough {
        /// The current count.
        workers: u32,
    },
    /// More workers are wanted than the maximum allows.
    AtMaximum {
        /// The wanted count.
        wanted: u32,
        /// The maximum.
        max: u32,
    },
    /// There are fewer workers than the minimum.
    BelowMinimum {
        /// The current count.
        from: u32,
        /// The minimum.
        min: u32,
    },
    /// There are more workers than the maximum.
    AboveMaximum {
        /// The current count.
        from: u32,
        /// The new count: the maximum, or the busy workers if they are more.
        to: u32,
        /// The maximum.
        max: u32,
    },
    /// The service is replacing its tasks, which rules out scaling in.
    Deployment,
    /// The last scale-in was too recent.
    ScaledInJustNow,
    /// Some busy workers are not protected, so a scale-in could stop them.
    BusyWorkersUnprotected {
        /// How many workers are protected.
        protected: u32,
        /// How many workers are busy at least.
        busy: u32,
    },
    /// Messages wait although workers are idle, so more workers would not help.
    Blocked {
        /// How many messages wait.
        visible: u64,
        /// How many messages are in flight.
        in_flight: u64,
        /// How many workers run.
        running: u32,
    },
}

/// The numbers behind a decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// The number of messages that would be in progress at once if none waited, in Erlang. Only some rules compute it.
    pub offered_load: Option<f64>,
    /// The seconds of work that will wait at the horizon. Only some rules compute it.
    pub backlog_seconds: Option<f64>,
    /// The horizon: the seconds until workers that are started now are ready, plus one tick.
    pub horizon_seconds: f64,
    /// The average processing time of a message, in seconds.
    pub service_seconds: f64,
    /// The messages that can be received.
    pub visible: u64,
    /// The messages that were received and not deleted.
    pub in_flight: u64,
    /// Of these, the messages that no worker has: they wait for a retry, or their worker was lost.
    pub left_alone: u64,
}

impl Numbers {
    pub(super) fn of(seen: &Seen, memory: &Memory, policy: &ScalingPolicy) -> Self {
        Self {
            offered_load: None,
            backlog_seconds: None,
            horizon_seconds: memory.horizon(policy),
            service_seconds: memory.service_time(policy),
            visible: seen.visible,
            in_flight: seen.in_flight,
            left_alone: seen.in_flight.saturating_sub(seen.worked_on),
        }
    }
}

impl ScalingDecision {
    pub(super) fn hold(reason: Reason, bounds: Bounds) -> Self {
        Self { action: Action::Hold, reason, bounds, numbers: None }
    }

    /// Returns whether an operator should look into the decision: it holds because something is unknown, blocked, or
    /// busy and unprotected.
    pub fn is_alarming(&self) -> bool {
        matches!(self.reason, Reason::Unknown(_) | Reason::Blocked { .. } | Reason::BusyWorkersUnprotected { .. })
    }
}

/// Writes the reason, and the numbers behind it.
impl fmt::Display for ScalingDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(formatter)?;
        let Some(Numbers {
            offered_load, backlog_seconds, horizon_seconds, service_seconds, visible, in_flight, ..
        }) = self.numbers
        else {
            return Ok(());
        };
        write!(formatter, " ({visible} visible and {in_flight} in flight at {service_seconds:.1} s each")?;
        if let Some(load) = offered_load {
            write!(formatter, ", offered load {load:.1}")?;
        }
        if let Some(backlog) = backlog_seconds {
            write!(formatter, ", backlog in {horizon_seconds:.0} s: {backlog:.0} s of work")?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => write!(formatter, "hold: unknown: {unknown}"),
            Self::Paused => formatter.write_str("hold: paused"),
            Self::JustStarted => formatter
                .write_str("hold: the scaler has just started; ECS may not list yet what an earlier one started"),
            Self::ScaleOut { from, to, wanted } if to == wanted => write!(formatter, "scale out from {from} to {to}"),
            Self::ScaleOut { from, to, wanted } => {
                write!(formatter, "scale out from {from} to {to} of {wanted} wanted")
            }
            Self::ScaleIn { from, to } => write!(formatter, "scale in from {from} to {to}"),
            Self::Enough { workers } => write!(formatter, "hold: {workers} is enough"),
            Self::AtMaximum { wanted, max } => write!(formatter, "hold: at the maximum of {max}, {wanted} wanted"),
            Self::BelowMinimum { from, min } => write!(formatter, "scale out from {from} to the minimum of {min}"),
            Self::AboveMaximum { from, to, max } if to == max => {
                write!(formatter, "scale in from {from} to the maximum of {max}")
            }
            Self::AboveMaximum { from, to, max } => {
                write!(formatter, "scale in from {from} to {to}, which are busy, towards the maximum of {max}")
            }
            Self::Deployment => formatter.write_str("hold: fewer would be enough, but a deployment is in progress"),
            Self::ScaledInJustNow => {
                formatter.write_str("hold: fewer would be enough, but the last scale-in is too recent")
            }
            Self::BusyWorkersUnprotected { protected, busy } => write!(
                formatter,
                "hold: fewer would be enough, but a scale-in could stop a busy worker: at least {busy} busy, only \
                 {protected} protected"
            ),
            Self::Blocked { visible, in_flight, running } => write!(
                formatter,
                "hold: blocked, more workers would not help: {visible} waiting, {in_flight} in flight, {running} \
                 running; check whether workers start, and whether a message group is blocked"
            ),
        }
    }
}
