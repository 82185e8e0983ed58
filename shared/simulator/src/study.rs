//! Runs many simulations: workloads by scalers by seeds.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use trigger_core::scaling::{Bounds, LatencyRule, Mode, ScalingPolicy, ScalingRule, ServiceTimePrior, StartDelay};

use crate::outcome::Outcome;
use crate::peers::{Cdk, Ceil, Copilot, Keda, PeerSetting};
use crate::scaler::{PolicyScaler, Scaler};
use crate::workload::Workload;
use crate::world::{Surroundings, simulate};

/// A kind of scaler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalerKind {
    /// Our policy, which sets a service's desired count.
    Service,
    /// Our policy, which calls RunTask.
    RunTask,
    /// Copilot's target tracking.
    Copilot,
    /// Copilot's target tracking with an ideal metric, which counts starting tasks and is available at once.
    CopilotIdeal,
    /// CDK's step scaling.
    Cdk,
    /// KEDA with the horizontal pod autoscaler.
    Keda,
    /// The same, with workers that are protected from scale-in while they have a message.
    KedaProtected,
    /// The plain rule: messages divided by the backlog per task.
    Ceil,
}

impl ScalerKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Service,
        Self::RunTask,
        Self::Copilot,
        Self::CopilotIdeal,
        Self::Cdk,
        Self::Keda,
        Self::KedaProtected,
        Self::Ceil,
    ];

    /// Returns the name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::RunTask => "run_task",
            Self::Copilot => "copilot",
            Self::CopilotIdeal => "copilot-ideal",
            Self::Cdk => "cdk",
            Self::Keda => "keda",
            Self::KedaProtected => "keda-protected",
            Self::Ceil => "ceil",
        }
    }

    /// Returns whether it is our policy.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Service | Self::RunTask)
    }

    /// Creates a scaler of this kind.
    pub fn scaler(self, setting: &Setting) -> Box<dyn Scaler> {
        let peer = setting.peer();
        let policy = |mode| {
            let policy = ScalingPolicy { mode, ..setting.policy.clone() };
            Box::new(PolicyScaler::new(policy, setting.idle_exit.as_secs_f64()))
        };
        match self {
            Self::Service => policy(Mode::Service),
            Self::RunTask => policy(Mode::RunTask),
            Self::Copilot => Box::new(Copilot::new(peer)),
            Self::CopilotIdeal => Box::new(Copilot::ideal(peer)),
            Self::Cdk => Box::new(Cdk::new(peer)),
            Self::Keda => Box::new(Keda::new(peer)),
            Self::KedaProtected => Box::new(Keda::protected(peer)),
            Self::Ceil => Box::new(Ceil::new(peer)),
        }
    }
}

/// The settings of all scalers.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Our policy.
    pub policy: ScalingPolicy,
    /// The time without a message after which our workers end, in mode `run_task`.
    pub idle_exit: Duration,
    /// For peers: how long messages may wait, in seconds.
    pub acceptable_latency: f64,
    /// For peers: how long a worker takes to handle a message, in seconds.
    pub msg_processing_time: f64,
}

impl Setting {
    /// Returns our policy's defaults, for messages that take `work` seconds.
    pub fn usual(max: u32, acceptable_latency: f64, work: f64) -> Self {
        let policy = ScalingPolicy {
            mode: Mode::Service,
            bounds: Bounds { min: 0, max },
            schedules: Vec::new(),
            concurrency: 1,
            paused: false,
            tick: Duration::from_secs(5),
            rule: ScalingRule::Latency(LatencyRule {
                acceptable_latency: Duration::from_secs_f64(acceptable_latency),
                scale_in_hold: Duration::from_secs(5),
                scale_in_every: Duration::from_secs(60),
                stability: 2.0,
            }),
            msg_processing_time: ServiceTimePrior { seconds: work, messages: 20.0 },
            start_delay: StartDelay::Learned(StartDelay::FARGATE),
        };
        Self { policy, idle_exit: Duration::from_secs(5), acceptable_latency, msg_processing_time: work }
    }

    fn peer(&self) -> PeerSetting {
        PeerSetting {
            min: self.policy.bounds.min,
            max: self.policy.bounds.max,
            acceptable_latency: self.acceptable_latency,
            msg_processing_time: self.msg_processing_time,
            concurrency: self.policy.concurrency,
        }
    }
}

/// A run to make.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// The kind of scaler.
    pub kind: ScalerKind,
    /// The scaler's settings.
    pub setting: &'a Setting,
    /// The seed of all randomness.
    pub seed: u64,
}

/// Makes the runs on all processors, and calls `done` after each. The outcomes are in the order of the cases.
pub fn run(cases: &[Case<'_>], surroundings: &Surroundings, done: impl Fn() + Sync) -> Vec<Outcome> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(position) else { return };
                    let mut scaler = case.kind.scaler(case.setting);
                    let outcome = simulate(case.workload, &mut *scaler, surroundings, case.seed);
                    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((position, outcome));
                    done();
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|(position, _)| *position);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
