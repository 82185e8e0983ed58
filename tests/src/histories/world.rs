//! The world of one simulated history: the time, ECS, the ledger, the dead-letter queue, and what may go wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::ecs::{ContainerExit, StoppedTask};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::DeadLetter;

use super::Mutation;
use super::rules;
use crate::ecs::{Ecs, Fortune};

/// What one history shares.
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

/// Chances of what may go wrong, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// A call does not get through.
    pub(super) refused: f64,
    /// A call gets through, and its reply does not get back.
    pub(super) lost: f64,
    /// A process ends at once.
    pub(super) crash: f64,
    /// Time passes for everybody while nothing happens.
    pub(super) freeze: f64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    pub(super) ecs: Ecs,
    pub(super) ledger: BTreeMap<String, Object>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) faults: Faults,
    pub(super) mutation: Option<Mutation>,
    /// How often something crashed, or a call or its reply was lost.
    pub(super) mishaps: u32,
    pub(super) violation: Option<String>,
    /// What happened, where that is wanted.
    pub(super) history: Option<Vec<String>>,
    versions: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) text: String,
    pub(super) version: String,
}

impl World {
    pub(super) fn new(seed: u64, begin: Timestamp, mutation: Option<Mutation>, tells: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: begin,
            ecs: Ecs::default(),
            ledger: BTreeMap::new(),
            dead_letters: Vec::new(),
            faults: Faults::default(),
            mutation,
            mishaps: 0,
            violation: None,
            history: tells.then(Vec::new),
            versions: 0,
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

    pub(super) fn put(&mut self, uri: &str, text: &str) -> String {
        self.versions += 1;
        let version = self.versions.to_string();
        self.ledger.insert(uri.to_owned(), Object { text: text.to_owned(), version: version.clone() });
        version
    }

    /// RunTask, and the rules that hold whenever tasks are started.
    pub(super) fn run_task(&mut self, request: &TaskRequest) -> trigger_core::launch::Reply {
        let before = self.ecs.tasks.len();
        let (now, rng) = (self.now, &mut self.rng);
        let reply = self.ecs.run_task(request, now, || fortune(rng));
        if self.ecs.tasks.len() > before {
            let broken = rules::whenever_tasks_start(&self.ecs, request);
            broken.into_iter().for_each(|rule| self.violate(|| rule));
        }
        reply
    }
}

/// How a task fares.
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

/// The launch of a request.
pub(super) fn launch_of(request: &TaskRequest) -> Option<LaunchKey> {
    LaunchKey::of_started_by(&request.started_by).map(|(key, _)| key)
}
