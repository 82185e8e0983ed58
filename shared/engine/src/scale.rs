//! Scales workers: observes each worker's queues and tasks, lets the policy decide, and acts on the decision.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use trigger_core::launch::{Pace, Verdict};
use trigger_core::routing::{RoutingConfig, RunsAs, Worker};
use trigger_core::scaling::{Action, Memory, Observation, Reason, ScalingDecision, Unknown};

use crate::ports::{Clock, Depth, Launcher, Queues, ServiceCounts, TasksOf, Unanswered, Workers};

/// This many workers are handled at once: their calls share the account's rates.
const WORKERS_AT_ONCE: usize = 8;
/// A worker whose observation takes longer than this counts as unknown.
const LOOK_MAX: Duration = Duration::from_secs(8);
/// The minute's reading of the protection may take so long; a service has many tasks, and one call describes ten.
const PROTECTION_MAX: Duration = Duration::from_secs(3);
/// Metrics and start delays are read at this interval.
const METRICS_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// After a cold start, metrics are read this far back.
const METRICS_AT_FIRST: SignedDuration = SignedDuration::from_mins(8);
/// A started task that ECS does not list counts as starting for this long: ECS is eventually consistent.
const UNLISTED: SignedDuration = SignedDuration::from_secs(45);
/// A scaler that follows a lost one launches nothing for this long.
const SETTLED: SignedDuration = SignedDuration::from_secs(15);
/// A launch that the rate limit would delay longer than this is left to the next tick.
const PACE_MAX: SignedDuration = SignedDuration::from_secs(5);

/// The ports that scaling needs.
pub trait ScalingPorts: Sync {
    /// Returns the port that starts tasks.
    fn launcher(&self) -> &impl Launcher;
    /// Returns the port that observes queues.
    fn queues(&self) -> &impl Queues;
    /// Returns the port that observes and changes workers.
    fn workers(&self) -> &impl Workers;
    /// Returns the clock.
    fn clock(&self) -> &impl Clock;
    /// Returns the rate limit of RunTask calls.
    fn pace(&self) -> &Mutex<Pace>;
}

/// Scales all workers, and remembers what it learned about each while the function is warm. A new scaler learns it
/// again: see [`trigger_core::scaling::Memory`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scaler {
    remembered: HashMap<String, Remembered>,
    /// Whether another scaler was lost before this one, which may have started tasks that ECS does not list yet.
    #[serde(skip)]
    is_after_another: bool,
    /// When this scaler looked first.
    #[serde(skip)]
    begun: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    memory: Memory,
    /// When the last decision was made.
    decided_at: Option<Timestamp>,
    /// The end of the last minute whose metrics are known.
    metrics_until: Option<Timestamp>,
    /// When metrics were last read.
    metrics_read_at: Option<Timestamp>,
    /// The tasks whose start delays are known.
    started: HashSet<String>,
    /// The tasks that were started and are not listed yet, with the time. The ARN is missing if it is unknown whether
    /// the task was started.
    launched: Vec<(Timestamp, Option<String>)>,
}

/// What a tick saw, decided and did for one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerReport {
    /// The worker's name.
    pub worker: String,
    /// What the tick saw.
    pub observation: Observation,
    /// What the tick decided.
    pub decision: ScalingDecision,
    /// What could not be read or done, in words.
    pub problems: Vec<String>,
    /// How many tasks were started.
    pub launched: u32,
}

impl Scaler {
    /// Returns a scaler that knows nothing of one before it, and therefore launches nothing at first.
    pub fn after_another() -> Self {
        Self { is_after_another: true, ..Self::default() }
    }

    /// Scales every worker that is due. A failure of one worker does not affect the others.
    pub async fn tick(&mut self, config: &RoutingConfig, ports: &impl ScalingPorts) -> Vec<WorkerReport> {
        let now = ports.clock().now();
        self.remembered.retain(|name, _| config.worker(name).is_some());
        let begun = *self.begun.get_or_insert(now);
        let may_launch = !self.is_after_another || now.duration_since(begun) >= SETTLED;
        let due: Vec<&Worker> = config.workers.iter().filter(|worker| self.is_due(worker, now)).collect();
        let services = &services(&due, ports.workers(), ports.clock()).await;
        let looked = due.into_iter().map(|worker| {
            let remembered = self.remembered.get(&worker.name).cloned().unwrap_or_default();
            async move {
                let mut look = Look { config, worker, ports, remembered, may_launch, problems: Vec::new() };
                let report = look.look(services.get(&worker.name), now).await;
                (worker.name.clone(), look.remembered, report)
            }
        });
        let looked: Vec<_> = stream::iter(looked).buffered(WORKERS_AT_ONCE).collect().await;
        let remember = |(name, remembered, report)| {
            self.remembered.insert(name, remembered);
            report
        };
        looked.into_iter().map(remember).collect()
    }

    /// Returns when the next worker is due.
    pub fn next_due(&self, config: &RoutingConfig) -> Option<Timestamp> {
        config.workers.iter().map(|worker| self.due(worker)).min()
    }

    fn is_due(&self, worker: &Worker, now: Timestamp) -> bool {
        self.due(worker) <= now
    }

    /// Returns when a worker is due: at the beginning of the next tick. Ticks are counted from the epoch, so that a
    /// scaler that runs beside this one decides in the same ticks, and its calls have the same client tokens.
    fn due(&self, worker: &Worker) -> Timestamp {
        let decided_at = self.remembered.get(&worker.name).and_then(|remembered| remembered.decided_at);
        let tick = worker.policy.tick;
        let next = decided_at.and_then(|at| worker.policy.tick_of(at).checked_add(tick).ok());
        next.unwrap_or(Timestamp::MIN)
    }
}

/// Reads the counts of the workers' services with one call for each cluster. Returns them by the workers' names.
async fn services(
    due: &[&Worker],
    workers: &impl Workers,
    clock: &impl Clock,
) -> HashMap<String, Result<ServiceCounts, Unanswered>> {
    let mut by_cluster: BTreeMap<Option<&str>, Vec<(&str, String)>> = BTreeMap::new();
    for worker in due {
        if let RunsAs::Service { cluster, service } = &worker.runs_as {
            by_cluster.entry(cluster.as_deref()).or_default().push((&worker.name, service.clone()));
        }
    }
    let mut counts = HashMap::new();
    for (cluster, of_cluster) in by_cluster {
        let (names, services): (Vec<&str>, Vec<String>) = of_cluster.into_iter().unzip();
        let (asked, late) = (pin!(workers.services(cluster, &services)), pin!(clock.sleep(LOOK_MAX)));
        let answers = match select(asked, late).await {
            Either::Left((Ok(answers), _)) => answers,
            Either::Left((Err(error), _)) => vec![Err(error); services.len()],
            Either::Right(_) => vec![Err(Unanswered(format!("no answer in {} s", LOOK_MAX.as_secs()))); services.len()],
        };
        counts.extend(names.into_iter().map(str::to_owned).zip(answers));
    }
    counts
}

/// One tick of one worker.
struct Look<'a, P> {
    config: &'a RoutingConfig,
    worker: &'a Worker,
    ports: &'a P,
    remembered: Remembered,
    /// Whether ECS lists every task that an earlier scaler started.
    may_launch: bool,
    problems: Vec<String>,
}

impl<P: ScalingPorts> Look<'_, P> {
    async fn look(&mut self, service: Option<&Result<ServiceCounts, Unanswered>>, now: Timestamp) -> WorkerReport {
        let mut observation = self.observe_in_time(service, now).await;
        let policy = &self.worker.policy;
        let before = self.remembered.memory.clone();
        let (mut decision, mut memory) = policy.decide(&observation, before.clone(), now);
        if observation.protected.is_none() && self.is_scale_in(&decision, &observation) {
            // A scale-in must know the protection as it is now.
            observation.protected = self.protected().await;
            (decision, memory) = policy.decide(&observation, before, now);
            if observation.protected.is_none() && self.is_scale_in(&decision, &observation) {
                decision.action = Action::Hold;
                decision.reason = Reason::Unknown(Unknown(vec!["protected"]));
                memory = memory.undone(&self.remembered.memory);
            }
        }
        if !self.may_launch && matches!(decision.action, Action::Launch(_)) {
            decision.action = Action::Hold;
            decision.reason = Reason::JustStarted;
            memory = memory.undone(&self.remembered.memory);
        }
        self.remembered.decided_at = Some(now);
        let launched = match decision.action {
            Action::Hold => 0,
            Action::SetDesired(count) => {
                if !self.set_desired(count).await {
                    memory = memory.undone(&self.remembered.memory);
                }
                0
            }
            Action::Launch(count) => self.launch(count, now).await,
        };
        self.remembered.memory = memory;
        let problems = std::mem::take(&mut self.problems);
        WorkerReport { worker: self.worker.name.clone(), observation, decision, problems, launched }
    }

    fn is_scale_in(&self, decision: &ScalingDecision, observation: &Observation) -> bool {
        matches!(decision.action, Action::SetDesired(count) if observation.desired.is_some_and(|desired| count < desired))
    }

    fn note<T>(&mut self, result: Result<T, Unanswered>) -> Option<T> {
        result.map_err(|Unanswered(reason)| self.problems.push(reason)).ok()
    }

    /// Observes the worker. If that takes too long, everything is unknown, so that other workers do not have to wait.
    async fn observe_in_time(
        &mut self,
        service: Option<&Result<ServiceCounts, Unanswered>>,
        now: Timestamp,
    ) -> Observation {
        let clock = self.ports.clock();
        let observed = match select(pin!(self.observe(service, now)), pin!(clock.sleep(LOOK_MAX))).await {
            Either::Left((observation, _)) => Some(observation),
            Either::Right(_) => None,
        };
        observed.unwrap_or_else(|| {
            self.problems.push(format!("the worker could not be observed in {} s", LOOK_MAX.as_secs()));
            Observation::default()
        })
    }

    async fn observe(&mut self, service: Option<&Result<ServiceCounts, Unanswered>>, now: Timestamp) -> Observation {
        let mut observation = Observation::default();
        if let Some(depth) = self.depth().await {
            observation.visible = Some(depth.visible);
            observation.in_flight = Some(depth.in_flight);
            observation.delayed = Some(depth.delayed);
        }
        let metrics_are_due =
            self.remembered.metrics_read_at.is_none_or(|read_at| now.duration_since(read_at) >= METRICS_EVERY);
        if metrics_are_due {
            // Before the reads: what is slow must not be repeated at every tick.
            self.remembered.metrics_read_at = Some(now);
        }
        match (&self.worker.runs_as, service) {
            (RunsAs::Service { .. }, service) => {
                let counts = service.cloned().and_then(|service| self.note(service));
                observation.running = counts.map(|counts| counts.running);
                observation.pending = counts.map(|counts| counts.pending);
                observation.desired = counts.map(|counts| counts.desired);
                observation.deployment_in_progress = counts.map(|counts| counts.deployment_in_progress);
                if metrics_are_due && counts.is_some_and(|counts| counts.running > 0) {
                    observation.start_delays = self.start_delays_of_service().await;
                    // It tells how many messages in flight nobody works on.
                    if observation.in_flight.is_some_and(|in_flight| in_flight > 0) {
                        let clock = self.ports.clock();
                        let late = pin!(clock.sleep(PROTECTION_MAX));
                        observation.protected = match select(pin!(self.protected()), late).await {
                            Either::Left((protected, _)) => protected,
                            Either::Right(_) => None,
                        };
                    }
                }
            }
            (RunsAs::Task(_), _) => self.observe_tasks(&mut observation, now).await,
        }
        if metrics_are_due {
            let first = now.checked_sub(METRICS_AT_FIRST).unwrap_or(now);
            let after = self.remembered.metrics_until.unwrap_or(first);
            let read = self.ports.queues().minutes(&self.worker.queues, after, now).await;
            if let Some((minutes, until)) = self.note(read) {
                observation.minutes = minutes;
                self.remembered.metrics_until = Some(until);
            }
        }
        observation
    }

    /// Returns the messages of all queues together, or `None` if one queue cannot be read.
    async fn depth(&mut self) -> Option<Depth> {
        let queues = self.ports.queues();
        let depths: Vec<_> = stream::iter(&self.worker.queues)
            .map(|queue| queues.depth(queue))
            .buffered(WORKERS_AT_ONCE)
            .collect()
            .await;
        let depths: Option<Vec<Depth>> = depths.into_iter().map(|depth| self.note(depth)).collect();
        let add = |sum: Depth, depth: Depth| Depth {
            visible: sum.visible.saturating_add(depth.visible),
            in_flight: sum.in_flight.saturating_add(depth.in_flight),
            delayed: sum.delayed.saturating_add(depth.delayed),
        };
        depths.map(|depths| depths.into_iter().fold(Depth::default(), add))
    }

    fn cluster(&self) -> Option<&str> {
        match &self.worker.runs_as {
            RunsAs::Service { cluster, .. } => cluster.as_deref(),
            RunsAs::Task(_) => self.config.task_of_worker(self.worker).and_then(|task| task.cluster()),
        }
    }

    async fn observe_tasks(&mut self, observation: &mut Observation, now: Timestamp) {
        let started_by = self.worker.started_by();
        let listed = self.ports.workers().tasks(self.cluster(), TasksOf::StartedBy(&started_by)).await;
        let Some(tasks) = self.note(listed) else { return };
        self.remembered.launched.retain(|(at, arn)| {
            let is_listed = arn.as_ref().is_some_and(|arn| tasks.iter().any(|task| task.arn == *arn));
            !is_listed && now.duration_since(*at) < UNLISTED
        });
        let count = |is_running: bool| tasks.iter().filter(|task| task.is_running == is_running).count();
        let unlisted = self.remembered.launched.len();
        observation.running = u32::try_from(count(true)).ok();
        observation.pending = u32::try_from(count(false) + unlisted).ok();
        observation.desired = observation.running.zip(observation.pending).map(|(running, pending)| running + pending);
        observation.start_delays = self.new_start_delays(tasks);
    }

    async fn start_delays_of_service(&mut self) -> Vec<f64> {
        let RunsAs::Service { cluster, service } = &self.worker.runs_as else { return Vec::new() };
        let tasks = self.ports.workers().tasks(cluster.as_deref(), TasksOf::Service(service)).await;
        self.note(tasks).map(|tasks| self.new_start_delays(tasks)).unwrap_or_default()
    }

    /// Returns the start delays of the tasks that were not known to run before.
    fn new_start_delays(&mut self, tasks: Vec<crate::ports::WorkerTask>) -> Vec<f64> {
        let running: Vec<(String, Duration)> =
            tasks.into_iter().filter_map(|task| Some((task.arn, task.start_delay?))).collect();
        let is_new = |(arn, _): &&(String, Duration)| !self.remembered.started.contains(arn);
        let delays = running.iter().filter(is_new).map(|(_, delay)| delay.as_secs_f64()).collect();
        self.remembered.started = running.into_iter().map(|(arn, _)| arn).collect();
        delays
    }

    async fn protected(&mut self) -> Option<u32> {
        let RunsAs::Service { cluster, service } = &self.worker.runs_as else { return None };
        let protected = self.ports.workers().protected(cluster.as_deref(), service).await;
        self.note(protected)
    }

    /// Sets the desired count. Returns whether that succeeded.
    async fn set_desired(&mut self, count: u32) -> bool {
        let RunsAs::Service { cluster, service } = &self.worker.runs_as else { return false };
        let set = self.ports.workers().set_desired(cluster.as_deref(), service, count).await;
        self.note(set).is_some()
    }

    /// Starts tasks, ten per call, each call on the first rung that has capacity. Tasks that may have been started
    /// count as started for a while.
    async fn launch(&mut self, count: u32, now: Timestamp) -> u32 {
        let mut launched = 0;
        for launch in self.worker.launches(self.config, count, now) {
            for request in launch.rungs {
                let pause = self.pace(|pace| pace.take(self.ports.clock().now(), PACE_MAX));
                let Some(pause) = pause else {
                    self.problems.push("the RunTask rate limit is reached; the next tick starts the rest".to_owned());
                    return launched;
                };
                self.ports.clock().sleep(pause.unsigned_abs()).await;
                let asked = request.count.unwrap_or(1);
                let reply = self.ports.launcher().run_task(&request).await;
                let verdict = reply.verdict(asked);
                self.pace(|pace| pace.hear(&verdict));
                let arns = reply.task_arns();
                launched += u32::try_from(arns.len()).unwrap_or(u32::MAX);
                self.remembered.launched.extend(arns.iter().map(|arn| (now, Some(arn.clone()))));
                match verdict {
                    Verdict::Launched | Verdict::AlreadyLaunched => break,
                    // Some of the tasks were started. The next tick starts the rest.
                    Verdict::NextRung if !arns.is_empty() => break,
                    Verdict::NextRung => self.problems.push(reply.to_string()),
                    Verdict::InDoubt => {
                        self.remembered.launched.extend((0..asked).map(|_| (now, None)));
                        self.problems.push(reply.to_string());
                        return launched;
                    }
                    Verdict::Busy { .. } | Verdict::Permanent => {
                        self.problems.push(reply.to_string());
                        return launched;
                    }
                }
            }
        }
        launched
    }

    fn pace<T>(&self, change: impl FnOnce(&mut Pace) -> T) -> T {
        change(&mut self.ports.pace().lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
