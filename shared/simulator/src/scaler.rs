//! The scalers of the simulation.

use jiff::{SignedDuration, Timestamp};
use trigger_core::scaling::{Action, Memory, Minute, Mode, Observation, ScalingPolicy};

/// What a scaler sees at a look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Seconds since the start.
    pub now: f64,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages in progress.
    pub in_flight: u64,
    /// Running tasks.
    pub running: u32,
    /// Starting tasks.
    pub pending: u32,
    /// The service's desired count.
    pub desired: u32,
    /// Tasks with a message. They are protected if the scaler's workers protect themselves.
    pub protected: u32,
    /// The fraction of the running tasks' capacity for messages that is in use, from 0 to 1.
    pub busy: f64,
    /// The start delays of the tasks that became ready since the last look, in seconds.
    pub start_delays: Vec<f64>,
    /// The minutes that CloudWatch has published since the last look.
    pub minutes: Vec<Minute>,
}

/// What a scaler orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// No change.
    Hold,
    /// This desired count.
    Desired(u32),
    /// Start this many more tasks, which end by themselves.
    Launch(u32),
}

/// A policy that scales workers.
pub trait Scaler {
    /// Returns the interval between two looks, in seconds.
    fn period(&self) -> f64;

    /// Decides what to do.
    fn look(&mut self, view: &View) -> Order;

    /// Returns whether workers are protected from scale-in while they have a message.
    fn protects(&self) -> bool {
        false
    }

    /// Returns after how many seconds without a message a worker ends by itself, if it does.
    fn idle_exit(&self) -> Option<f64> {
        None
    }

    /// Returns how many workers run at the start.
    fn initial(&self) -> u32;
}

/// A scaler with the policy of `trigger-core`.
#[derive(Debug, Clone)]
pub struct PolicyScaler {
    policy: ScalingPolicy,
    idle_exit: f64,
    memory: Memory,
    protection_read_at: f64,
}

impl PolicyScaler {
    /// Creates a scaler. In mode `run_task` its workers end after `idle_exit` seconds without a message.
    pub fn new(policy: ScalingPolicy, idle_exit: f64) -> Self {
        Self { policy, idle_exit, memory: Memory::default(), protection_read_at: f64::NEG_INFINITY }
    }
}

impl Scaler for PolicyScaler {
    fn period(&self) -> f64 {
        self.policy.tick.as_secs_f64()
    }

    fn look(&mut self, view: &View) -> Order {
        let mut observation = Observation {
            visible: Some(view.visible),
            in_flight: Some(view.in_flight),
            delayed: Some(0),
            running: Some(view.running),
            pending: Some(view.pending),
            desired: Some(view.desired),
            deployment_in_progress: Some(false),
            protected: None,
            start_delays: view.start_delays.clone(),
            minutes: view.minutes.clone(),
        };
        let since = SignedDuration::try_from_secs_f64(view.now).unwrap_or_default();
        let now = Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::UNIX_EPOCH);
        // The protection is read once a minute, and before each scale-in.
        if view.now - self.protection_read_at >= 60.0 {
            self.protection_read_at = view.now;
            observation.protected = Some(view.protected);
        }
        let before = std::mem::take(&mut self.memory);
        let (mut decision, mut memory) = self.policy.decide(&observation, before.clone(), now);
        let is_scale_in = matches!(decision.action, Action::SetDesired(count) if count < view.desired);
        if is_scale_in && observation.protected.is_none() {
            observation.protected = Some(view.protected);
            (decision, memory) = self.policy.decide(&observation, before, now);
        }
        self.memory = memory;
        match decision.action {
            Action::Hold => Order::Hold,
            Action::SetDesired(count) => Order::Desired(count),
            Action::Launch(count) => Order::Launch(count),
        }
    }

    fn protects(&self) -> bool {
        true
    }

    fn idle_exit(&self) -> Option<f64> {
        (self.policy.mode == Mode::RunTask).then_some(self.idle_exit)
    }

    fn initial(&self) -> u32 {
        self.policy.bounds.min
    }
}
