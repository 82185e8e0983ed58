//! What is to be done about the number of workers, and why.

use std::fmt;

use serde::Serialize;

use super::observation::Seen;
use super::{Bounds, Memory, ScalingPolicy, Unknown};

/// What is to be done, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingDecision {
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The bounds that hold.
    pub bounds: Bounds,
    /// What it was decided by. None where nothing could be.
    pub numbers: Option<Numbers>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Hold,
    /// The service's desired count becomes this.
    SetDesired(u32),
    /// So many tasks are started.
    Launch(u32),
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Something that must be known is not.
    Unknown(Unknown),
    /// Scaling is paused.
    Paused,
    /// More workers are needed.
    ScaleOut {
        /// How many there are.
        from: u32,
        /// How many there will be.
        to: u32,
        /// How many were wanted, before bounds.
        wanted: u32,
    },
    /// Fewer workers are enough.
    ScaleIn {
        /// How many there are.
        from: u32,
        /// How many there will be.
        to: u32,
    },
    /// There are enough, and not too many.
    Enough {
        /// How many.
        workers: u32,
    },
    /// More are wanted than there may be.
    AtMaximum {
        /// How many are wanted.
        wanted: u32,
        /// How many there may be.
        max: u32,
    },
    /// There are fewer than there must be.
    BelowMinimum {
        /// How many there are.
        from: u32,
        /// How many there must be.
        min: u32,
    },
    /// There are more than there may be.
    AboveMaximum {
        /// How many there are.
        from: u32,
        /// How many there may be.
        max: u32,
    },
    /// Nothing is scaled in while the service replaces its tasks.
    Deployment,
    /// The last scale-in was only just now.
    ScaledInJustNow,
    /// Workers that are busy are not protected, so that a scale-in could stop them.
    BusyWorkersUnprotected {
        /// How many are protected.
        protected: u32,
        /// How many are busy at least.
        busy: u32,
    },
    /// Messages wait, and workers have nothing to do: more of them would not help.
    Blocked {
        /// Messages that wait.
        visible: u64,
        /// Messages that are worked on.
        in_flight: u64,
        /// Tasks that run.
        running: u32,
    },
}

/// What it was decided by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// Messages that would be worked on at once if none waited, in Erlang. Not every rule asks for it.
    pub offered_load: Option<f64>,
    /// Seconds of work that will still wait when workers that are asked for now are ready. Not every rule asks for it.
    pub backlog_seconds: Option<f64>,
    /// Seconds until workers that are asked for now are ready.
    pub horizon_seconds: f64,
    /// Seconds that a message takes, on average.
    pub service_seconds: f64,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that are worked on.
    pub in_flight: u64,
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
        }
    }
}

impl ScalingDecision {
    pub(super) fn hold(reason: Reason, bounds: Bounds) -> Self {
        Self { action: Action::Hold, reason, bounds, numbers: None }
    }

    /// Whether somebody should look: what is needed cannot be had, or cannot be seen.
    pub fn is_alarming(&self) -> bool {
        matches!(self.reason, Reason::Unknown(_) | Reason::Blocked { .. } | Reason::BusyWorkersUnprotected { .. })
    }
}

/// The reason, and the numbers behind it.
impl fmt::Display for ScalingDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(formatter)?;
        let Some(Numbers { offered_load, backlog_seconds, horizon_seconds, service_seconds, visible, in_flight }) =
            self.numbers
        else {
            return Ok(());
        };
        write!(formatter, " ({visible} visible and {in_flight} in flight at {service_seconds:.1} s each")?;
        if let Some(load) = offered_load {
            write!(formatter, ", offered load {load:.1}")?;
        }
        if let Some(backlog) = backlog_seconds {
            write!(formatter, ", backlog {backlog:.0} s of work in {horizon_seconds:.0} s")?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(unknown) => write!(formatter, "hold: not known: {unknown}"),
            Self::Paused => formatter.write_str("hold: paused"),
            Self::ScaleOut { from, to, wanted } if to == wanted => write!(formatter, "scale out from {from} to {to}"),
            Self::ScaleOut { from, to, wanted } => {
                write!(formatter, "scale out from {from} to {to}, of {wanted} that are wanted")
            }
            Self::ScaleIn { from, to } => write!(formatter, "scale in from {from} to {to}"),
            Self::Enough { workers } => write!(formatter, "hold: {workers} are enough"),
            Self::AtMaximum { wanted, max } => write!(formatter, "hold: {wanted} are wanted, {max} is the maximum"),
            Self::BelowMinimum { from, min } => write!(formatter, "from {from} to the minimum, {min}"),
            Self::AboveMaximum { from, max } => write!(formatter, "from {from} to the maximum, {max}"),
            Self::Deployment => formatter.write_str("hold: fewer are enough, and a deployment is in progress"),
            Self::ScaledInJustNow => formatter.write_str("hold: fewer are enough, and it was scaled in just now"),
            Self::BusyWorkersUnprotected { protected, busy } => write!(
                formatter,
                "hold: fewer are enough, but at least {busy} are busy and only {protected} protected, so that busy ones could be \
                 stopped"
            ),
            Self::Blocked { visible, in_flight, running } => write!(
                formatter,
                "hold: {visible} messages wait, and {running} running workers have {in_flight} in flight: more would not help; \
                 look whether workers start, and whether a message group is blocked"
            ),
        }
    }
}
