//! Workloads, scalers and seeds against each other.

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

/// What scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalerKind {
    /// Ours, by a service's desired count.
    Service,
    /// Ours, by RunTask.
    RunTask,
    /// Copilot's target tracking.
    Copilot,
    /// The same with a metric that counts tasks which start.
    CopilotIdeal,
    /// CDK's steps.
    Cdk,
    /// KEDA and the horizontal pod autoscaler.
    Keda,
    /// The plain rule.
    Ceil,
}

impl ScalerKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Service, Self::RunTask, Self::Copilot, Self::CopilotIdeal, Self::Cdk, Self::Keda, Self::Ceil];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::RunTask => "run_task",
            Self::Copilot => "copilot",
            Self::CopilotIdeal => "copilot-ideal",
            Self::Cdk => "cdk",
            Self::Keda => "keda",
            Self::Ceil => "ceil",
        }
    }

    /// Whether it is our policy.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Service | Self::RunTask)
    }

    /// The scaler.
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
            Self::Ceil => Box::new(Ceil::new(peer)),
        }
    }
}

/// What scalers are set to.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Ours.
    pub policy: ScalingPolicy,
    /// After how long without a message our workers end, in mode `run_task`.
    pub idle_exit: Duration,
    /// How long messages may wait, for peers: seconds.
    pub acceptable_latency: f64,
    /// How long a worker works on a message, for peers: seconds.
    pub msg_processing_time: f64,
}

impl Setting {
    /// Our policy as it comes, for messages that take `work` seconds.
    pub fn usual(max: u32, acceptable_latency: f64, work: f64) -> Self {
        let policy = ScalingPolicy {
            mode: Mode::Service,
            bounds: Bounds { min: 0, max },
            schedules: Vec::new(),
            concurrency: 1,
            paused: false,
            tick: Duration::from_secs(10),
            rule: ScalingRule::Latency(LatencyRule {
                acceptable_latency: Duration::from_secs_f64(acceptable_latency),
                scale_in_hold: Duration::from_secs(10),
                scale_in_every: Duration::from_secs(60),
                stability: 2.0,
            }),
            msg_processing_time: ServiceTimePrior { seconds: work, messages: 20.0 },
            start_delay: StartDelay::Learned(StartDelay::FARGATE),
        };
        Self { policy, idle_exit: Duration::from_secs(10), acceptable_latency, msg_processing_time: work }
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

/// One run that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The messages.
    pub workload: &'a Workload,
    /// What scales.
    pub kind: ScalerKind,
    /// What it is set to.
    pub setting: &'a Setting,
    /// Where from chance comes.
    pub seed: u64,
}

/// Makes the runs, on all processors; `done` hears of each that is done. The outcomes are in the order of the cases.
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
