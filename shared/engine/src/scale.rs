//! Workers: each queue is observed, the policy decides, and what it decides is done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use trigger_core::launch::{Pace, Verdict};
use trigger_core::routing::{RoutingConfig, RunsAs, Worker};
use trigger_core::scaling::{Action, Memory, Observation, Reason, ScalingDecision, Unknown};

use crate::ports::{Clock, Depth, Launcher, Queues, ServiceCounts, TasksOf, Unanswered, Workers};

/// How many workers are looked after at once: their calls share the account's rates.
const WORKERS_AT_ONCE: usize = 8;
/// How long it may take to see one worker.
const LOOK_MAX: Duration = Duration::from_secs(8);
/// How often metrics and start delays are read.
const METRICS_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// How far back metrics are read after a cold start.
const METRICS_AT_FIRST: SignedDuration = SignedDuration::from_mins(8);
/// How long a task that was started may not be listed yet: ECS is eventually consistent.
const UNLISTED: SignedDuration = SignedDuration::from_secs(45);
/// The longest wait for ECS's rate.
const PACE_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What scaling asks of the world.
pub trait ScalingPorts: Sync {
    /// Starts tasks.
    fn launcher(&self) -> &impl Launcher;
    /// Sees queues.
    fn queues(&self) -> &impl Queues;
    /// Sees and changes workers.
    fn workers(&self) -> &impl Workers;
    /// What time it is.
    fn clock(&self) -> &impl Clock;
    /// How fast launches go on.
    fn pace(&self) -> &Mutex<Pace>;
}

/// What is remembered of all workers while the function is warm. Without it much is learned again: see
/// [`trigger_core::scaling::Memory`].
#[derive(Debug, Default)]
pub struct Scaler {
    remembered: HashMap<String, Remembered>,
}

#[derive(Debug, Clone, Default)]
struct Remembered {
    memory: Memory,
    /// When it was decided last.
    decided_at: Option<Timestamp>,
    /// Until when metrics are known.
    metrics_until: Option<Timestamp>,
    /// When metrics were read last.
    metrics_read_at: Option<Timestamp>,
    /// Tasks whose start delays are known.
    started: HashSet<String>,
    /// Tasks that were started, and when: until they are listed.
    launched: Vec<(Timestamp, Option<String>)>,
}

/// What became of one worker at a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerReport {
    /// The worker's name.
    pub worker: String,
    /// What was seen.
    pub observation: Observation,
    /// What was decided.
    pub decision: ScalingDecision,
    /// What could not be seen or done, in words.
    pub problems: Vec<String>,
    /// Tasks that were started.
    pub launched: u32,
}

impl Scaler {
    /// Looks after every worker that is due; what is told of one does not depend on the others.
    pub async fn tick(&mut self, config: &RoutingConfig, ports: &impl ScalingPorts) -> Vec<WorkerReport> {
        let now = ports.clock().now();
        self.remembered.retain(|name, _| config.worker(name).is_some());
        let due: Vec<&Worker> = config.workers.iter().filter(|worker| self.is_due(worker, now)).collect();
        let services = &services(&due, ports.workers(), ports.clock()).await;
        let looked = due.into_iter().map(|worker| {
            let remembered = self.remembered.get(&worker.name).cloned().unwrap_or_default();
            async move {
                let mut look = Look { config, worker, ports, remembered, problems: Vec::new() };
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

    /// When the next worker is due.
    pub fn next_due(&self, config: &RoutingConfig) -> Option<Timestamp> {
        config.workers.iter().map(|worker| self.due(worker)).min()
    }

    fn is_due(&self, worker: &Worker, now: Timestamp) -> bool {
        self.due(worker) <= now
    }

    fn due(&self, worker: &Worker) -> Timestamp {
        let decided_at = self.remembered.get(&worker.name).and_then(|remembered| remembered.decided_at);
        decided_at.and_then(|at| at.checked_add(worker.policy.tick).ok()).unwrap_or(Timestamp::MIN)
    }
}

/// How the services among the workers are, by the workers' names: asked for by cluster.
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
            Either::Right(_) => vec![Err(Unanswered(format!("not within {} s", LOOK_MAX.as_secs()))); services.len()],
        };
        counts.extend(names.into_iter().map(str::to_owned).zip(answers));
    }
    counts
}

/// One look at one worker.
struct Look<'a, P> {
    config: &'a RoutingConfig,
    worker: &'a Worker,
    ports: &'a P,
    remembered: Remembered,
    problems: Vec<String>,
}

impl<P: ScalingPorts> Look<'_, P> {
    async fn look(&mut self, service: Option<&Result<ServiceCounts, Unanswered>>, now: Timestamp) -> WorkerReport {
        let mut observation = self.observe_in_time(service, now).await;
        let policy = &self.worker.policy;
        let before = self.remembered.memory.clone();
        let (mut decision, mut memory) = policy.decide(&observation, before.clone(), now);
        if self.is_scale_in(&decision, &observation) {
            // Only then it has to be known whether a busy worker could be stopped.
            observation.protected = self.protected().await;
            (decision, memory) = policy.decide(&observation, before, now);
            if observation.protected.is_none() && self.is_scale_in(&decision, &observation) {
                decision.action = Action::Hold;
                decision.reason = Reason::Unknown(Unknown(vec!["protected"]));
                memory = memory.undone(&self.remembered.memory);
            }
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

    /// What is seen before another worker's turn is late.
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
            self.problems.push(format!("nothing was told within {} s", LOOK_MAX.as_secs()));
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
        match (&self.worker.runs_as, service) {
            (RunsAs::Service { .. }, service) => {
                let counts = service.cloned().and_then(|service| self.note(service));
                observation.running = counts.map(|counts| counts.running);
                observation.pending = counts.map(|counts| counts.pending);
                observation.desired = counts.map(|counts| counts.desired);
                observation.deployment_in_progress = counts.map(|counts| counts.deployment_in_progress);
                if metrics_are_due && counts.is_some_and(|counts| counts.running > 0) {
                    observation.start_delays = self.start_delays_of_service().await;
                }
            }
            (RunsAs::Task(_), _) => self.observe_tasks(&mut observation, now).await,
        }
        if metrics_are_due {
            self.remembered.metrics_read_at = Some(now);
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

    /// The messages of all queues; unknown if one of them is.
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

    /// How long those took to start that were not known to run before.
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

    /// Sets the desired count; whether it is set.
    async fn set_desired(&mut self, count: u32) -> bool {
        let RunsAs::Service { cluster, service } = &self.worker.runs_as else { return false };
        let set = self.ports.workers().set_desired(cluster.as_deref(), service, count).await;
        self.note(set).is_some()
    }

    /// Starts tasks, ten by each call, each on the first rung that has capacity. What is not known to have failed counts as started
    /// for a while.
    async fn launch(&mut self, count: u32, now: Timestamp) -> u32 {
        let mut launched = 0;
        for launch in self.worker.launches(self.config, count, now) {
            for request in launch.rungs {
                let pause = self.pace(|pace| pace.take(self.ports.clock().now(), PACE_MAX));
                let Some(pause) = pause else {
                    self.problems.push("ECS's rate is used up; what is missing is started at the next tick".to_owned());
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
                    // Some of it may have been started: the rest is the next tick's.
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
