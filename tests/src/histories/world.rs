//! The world of one simulated history: the time, ECS, the launch store, the queues, and the faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::{ContainerExit, StoppedTask, TaskRequest};
use trigger_core::event::RedrivenLaunch;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{DeadLetter, Reply, SlotsChange};
use trigger_engine::StoreModel;
use trigger_engine::ports::{Change, DuePage, Stored, Work};

use super::Mutation;
use super::rules;
use crate::ecs::{Ecs, Fortune};

/// The names and words of refusals that pass: a quota is used up, or there are too many calls.
const BUSY: [(&str, &str); 2] = [
    ("ClientException", "You've reached the limit on the number of tasks you can run concurrently"),
    ("ThrottlingException", "Rate exceeded"),
];

/// The words of ECS's refusal when the earlier config has lost its permissions.
pub(super) const RETIRED: &str = "the earlier config may not run its tasks any more";
/// The version that the earlier config writes into its tasks' commands.
pub(super) const EARLIER: &str = "one";

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
    /// The same, of the first of several tries to reach the store.
    pub(super) lost_at_first: f64,
    /// ECS refuses a call for a while, or a queue a message.
    pub(super) busy: f64,
    /// A process crashes.
    pub(super) crash: f64,
    /// All processes freeze while time passes.
    pub(super) freeze: f64,
}

/// How often a launch was started again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    /// Because its dead letter was redriven: its task had failed.
    pub(super) redriven: usize,
    /// Because a person wanted it, however it had ended.
    pub(super) retried: usize,
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
    /// The events that were stored, by their URIs.
    pub(super) payloads: BTreeMap<String, String>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// In which order the launches came into line.
    pub(super) arrived: BTreeMap<LaunchKey, usize>,
    /// The dead letters that were delivered again.
    pub(super) redriven: Vec<RedrivenLaunch>,
    /// The launches that a person cancelled, and those that a person started again, each as often as that was tried.
    pub(super) cancelled: Vec<LaunchKey>,
    pub(super) retried: Vec<LaunchKey>,
    /// From then on, ECS refuses what the earlier config asks for: a deployment took its permissions away.
    pub(super) retires_at: Option<Timestamp>,
    pub(super) faults: Faults,
    pub(super) mutation: Option<Mutation>,
    /// Whether nothing but first replies of the store got lost so far.
    pub(super) loses_answers_of_writes_only: bool,
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
            payloads: BTreeMap::new(),
            dead_letters: Vec::new(),
            arrived: BTreeMap::new(),
            redriven: Vec::new(),
            cancelled: Vec::new(),
            retried: Vec::new(),
            retires_at: None,
            faults: Faults::default(),
            mutation,
            loses_answers_of_writes_only: false,
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

    /// Returns how often a launch was redriven, and started again by a person.
    pub(super) fn started_again(&self, key: &LaunchKey) -> Again {
        let redriven = self.redriven.iter().filter(|redriven| redriven.launch == *key).count();
        Again { redriven, retried: self.retried.iter().filter(|retried| *retried == key).count() }
    }

    /// Notes that a launch has come into line.
    pub(super) fn arrive(&mut self, launch: &LaunchKey) {
        let number = self.arrived.len();
        self.arrived.insert(launch.clone(), number);
    }

    /// Checks the rules that must hold whenever a launch takes slots.
    pub(super) fn check_slots(&mut self, taken: &SlotsChange, launch: &LaunchKey) {
        let broken = rules::whenever_slots_are_taken(&self.store, taken, launch, &self.arrived);
        broken.into_iter().for_each(|rule| self.violate(|| rule));
    }

    /// Returns whether an earlier try of a call has written these changes already, and only its answer was lost. `own`
    /// is what it wrote of the first one.
    pub(super) fn recognizes(&mut self, own: &Stored, changes: &[&Change]) -> bool {
        if self.store.read(&own.record.key).is_none_or(|now| now.version != own.version) {
            // Another process went on from the write whose answer was lost.
            self.loses_answers_of_writes_only = false;
            return false;
        }
        if self.mutation == Some(Mutation::CountTwice) {
            changes.iter().filter_map(|change| change.set.as_ref()).for_each(|set| self.store.count(set));
        }
        self.mutation != Some(Mutation::ForgetRetriedWrites)
    }

    /// Calls RunTask, and checks the rules that must hold whenever tasks start.
    pub(super) fn run_task(&mut self, request: &TaskRequest) -> Reply {
        let is_of_earlier = request.overrides.container_overrides[0].command[0] == EARLIER;
        if is_of_earlier && self.retires_at.is_some_and(|at| self.now >= at) {
            let (code, message) = ("AccessDeniedException".to_owned(), RETIRED.to_owned());
            return Reply::Error { code, message, resource_ids: Vec::new(), of_server: false };
        }
        if self.chance(self.faults.busy) {
            let (code, message) = BUSY[self.rng.usize(0..BUSY.len())];
            let (code, message) = (code.to_owned(), message.to_owned());
            return Reply::Error { code, message, resource_ids: Vec::new(), of_server: false };
        }
        let before = self.ecs.tasks.len();
        let (now, rng) = (self.now, &mut self.rng);
        let reply = self.ecs.run_task(request, now, || fortune(rng));
        if self.ecs.tasks.len() > before {
            let broken = rules::whenever_tasks_start(&self.ecs, request, |key| self.started_again(key));
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
