//! What scales workers in the simulation.

use jiff::{SignedDuration, Timestamp};
use trigger_core::scaling::{Action, Memory, Minute, Mode, Observation, ScalingPolicy};

/// What a scaler is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Seconds since the beginning.
    pub now: f64,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that are worked on.
    pub in_flight: u64,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// The service's desired count.
    pub desired: u32,
    /// Tasks that work on a message, and so are protected if they protect themselves.
    pub protected: u32,
    /// The part of the running tasks' places that is taken, from 0 to 1.
    pub busy: f64,
    /// How long tasks took to start that are ready since the last look: seconds.
    pub start_delays: Vec<f64>,
    /// What CloudWatch has to tell since the last look.
    pub minutes: Vec<Minute>,
}

/// What a scaler wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Hold,
    /// This desired count.
    Desired(u32),
    /// So many more tasks, which end by themselves.
    Launch(u32),
}

/// Scales workers.
pub trait Scaler {
    /// How often it looks: seconds.
    fn period(&self) -> f64;

    /// What it wants.
    fn look(&mut self, view: &View) -> Order;

    /// Whether its workers are protected while they work.
    fn protects(&self) -> bool {
        false
    }

    /// After how many seconds without a message a worker ends by itself, if it does.
    fn idle_exit(&self) -> Option<f64> {
        None
    }

    /// How many workers there are at the beginning.
    fn initial(&self) -> u32;
}

/// The policy of `trigger-core`.
#[derive(Debug, Clone)]
pub struct PolicyScaler {
    policy: ScalingPolicy,
    idle_exit: f64,
    memory: Memory,
}

impl PolicyScaler {
    /// With a policy; its workers end after `idle_exit` seconds without a message in mode `run_task`.
    pub fn new(policy: ScalingPolicy, idle_exit: f64) -> Self {
        Self { policy, idle_exit, memory: Memory::default() }
    }
}

impl Scaler for PolicyScaler {
    fn period(&self) -> f64 {
        self.policy.tick.as_secs_f64()
    }

    fn look(&mut self, view: &View) -> Order {
        let observation = Observation {
            visible: Some(view.visible),
            in_flight: Some(view.in_flight),
            delayed: Some(0),
            running: Some(view.running),
            pending: Some(view.pending),
            desired: Some(view.desired),
            deployment_in_progress: Some(false),
            protected: Some(view.protected),
            start_delays: view.start_delays.clone(),
            minutes: view.minutes.clone(),
        };
        let since = SignedDuration::try_from_secs_f64(view.now).unwrap_or_default();
        let now = Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::UNIX_EPOCH);
        let (decision, memory) = self.policy.decide(&observation, std::mem::take(&mut self.memory), now);
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
