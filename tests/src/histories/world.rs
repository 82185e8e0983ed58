//! The world of one simulated history: the time, ECS, the launch store, the queues, and the faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::{ContainerExit, StoppedTask, TaskRequest};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::DeadLetter;
use trigger_engine::StoreModel;
use trigger_engine::ports::{DuePage, Work};

use super::Mutation;
use super::rules;
use crate::ecs::{Ecs, Fortune};

/// The world that all processes of a history share.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The probability of each fault, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// The request of a call gets lost.
    pub(super) refused: f64,
    /// The call has its effect, and its reply gets lost.
    pub(super) lost: f64,
    /// A process crashes.
    pub(super) crash: f64,
    /// All processes freeze while time passes.
    pub(super) freeze: f64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    pub(super) ecs: Ecs,
    pub(super) store: StoreModel,
    /// What the index of due launches showed at some earlier time: it may be old.
    pub(super) old_due: DuePage,
    /// The messages of the work queue, each with the time at which it is delivered.
    pub(super) work: Vec<(Timestamp, Work)>,
    /// Until then the store does not answer.
    pub(super) store_is_out_until: Option<Timestamp>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// In which order the launches came into line.
    pub(super) arrived: BTreeMap<LaunchKey, usize>,
    /// The launches whose dead letter was delivered again.
    pub(super) redriven: Vec<LaunchKey>,
    pub(super) faults: Faults,
    pub(super) mutation: Option<Mutation>,
    /// The number of crashes, lost requests and lost replies so far.
    pub(super) mishaps: u32,
    pub(super) violation: Option<String>,
    /// What happened, if it is to be told.
    pub(super) history: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, begin: Timestamp, mutation: Option<Mutation>, tells: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: begin,
            ecs: Ecs::default(),
            store: StoreModel::default(),
            old_due: DuePage::default(),
            work: Vec::new(),
            store_is_out_until: None,
            dead_letters: Vec::new(),
            arrived: BTreeMap::new(),
            redriven: Vec::new(),
            faults: Faults::default(),
            mutation,
            mishaps: 0,
            violation: None,
            history: tells.then(Vec::new),
        }
    }

    pub(super) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.rng.f64() < chance
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:.3} {}", self.now, what()));
        }
    }

    pub(super) fn violate(&mut self, rule: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let rule = rule();
            self.tell(|| format!("VIOLATION: {rule}"));
            self.violation = Some(rule);
        }
    }

    /// Notes that a launch has come into line.
    pub(super) fn arrive(&mut self, launch: &LaunchKey) {
        let number = self.arrived.len();
        self.arrived.insert(launch.clone(), number);
    }

    /// Calls RunTask, and checks the rules that must hold whenever tasks start.
    pub(super) fn run_task(&mut self, request: &TaskRequest) -> trigger_core::launch::Reply {
        let before = self.ecs.tasks.len();
        let (now, rng) = (self.now, &mut self.rng);
        let reply = self.ecs.run_task(request, now, || fortune(rng));
        if self.ecs.tasks.len() > before {
            let broken = rules::whenever_tasks_start(&self.ecs, request, &self.redriven);
            broken.into_iter().for_each(|rule| self.violate(|| rule));
        }
        reply
    }
}

/// Decides at random how a task runs and ends.
fn fortune(rng: &mut Rng) -> Fortune {
    let ended = |stop_code: &str, code: Option<i32>| StoppedTask {
        stop_code: Some(stop_code.to_owned()),
        stopped_reason: None,
        containers: vec![ContainerExit { name: "app".to_owned(), exit_code: code, reason: None }],
        vanished: false,
    };
    let end = match rng.u32(0..10) {
        0 => ended("EssentialContainerExited", Some(1)),
        1 => ended("SpotInterruption", Some(137)),
        2 => ended("TaskFailedToStart", None),
        _ => ended("EssentialContainerExited", Some(0)),
    };
    let seconds = |rng: &mut Rng, max: i64| SignedDuration::from_secs(rng.i64(1..=max));
    let long = if rng.bool() { 120 } else { 3 * 3600 };
    Fortune { pending: seconds(rng, 60), running: seconds(rng, long), end, stopping: seconds(rng, 120) }
}

/// Returns the launch that a request belongs to.
pub(super) fn launch_of(request: &TaskRequest) -> Option<LaunchKey> {
    LaunchKey::of_started_by(&request.started_by).map(|(key, _)| key)
}
