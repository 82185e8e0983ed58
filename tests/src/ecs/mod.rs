//! A model of ECS: what RunTask and related calls guarantee, and what they leave open.
//!
//! [`Ecs`] is a state machine without a clock or randomness of its own: every call receives the time, and the caller
//! sets what AWS leaves open ([`Behaviour`]), the capacity, and how tasks end ([`Fortune`]). The histories call it in
//! process; [`endpoint`] serves it over ECS's JSON protocol for the real binaries.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>.

mod bucket;
mod check;
pub mod endpoint;
mod task;

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::launch::{Failure, Reply, SeenTask, TaskStatus};

use bucket::Bucket;
pub use bucket::{Accepted, FARGATE, RUN_TASK};
pub use check::TaskDefinition;
pub use task::{Fortune, StateChange, Task};

/// ECS forgets a client token at the latest after this time.
const TOKEN_LIFE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// ECS forgets a client token this long after its last task has stopped.
const TOKEN_AFTER_TASKS: SignedDuration = SignedDuration::from_hours(1);
/// DescribeTasks shows a stopped task for this long.
const STOPPED_IS_SHOWN: SignedDuration = SignedDuration::from_hours(1);

/// Behavior that AWS leaves open.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// Whether a call that started no task consumes its client token [?]. If it does, the token replays the failures.
    pub failed_call_uses_token: bool,
    /// By how much ListTasks and DescribeTasks lag behind.
    pub lag: SignedDuration,
    /// Whether calls are throttled.
    pub throttles: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { failed_call_uses_token: true, lag: SignedDuration::from_secs(5), throttles: true }
    }
}

/// What ECS remembers of a client token.
#[derive(Debug)]
struct Token {
    request: TaskRequest,
    reply: Reply,
    at: Timestamp,
}

/// A model of ECS in one account and Region.
#[derive(Debug, Default)]
pub struct Ecs {
    /// The behavior that AWS leaves open.
    pub behaviour: Behaviour,
    /// The names of the clusters. If empty, every cluster exists.
    pub clusters: Vec<String>,
    /// The task definitions by family. If empty, every family exists.
    pub task_definitions: BTreeMap<String, TaskDefinition>,
    /// The number of tasks that still fit, by capacity provider or launch type. What is not listed has unlimited
    /// capacity.
    pub capacity: BTreeMap<String, u32>,
    /// All tasks ever started, by ARN.
    pub tasks: BTreeMap<String, Task>,
    /// The state changes that have not been taken yet.
    pub changes: Vec<StateChange>,
    /// The RunTask calls that were neither throttled, refused nor answered from a client token.
    pub calls: Vec<TaskRequest>,
    tokens: HashMap<(String, String), Token>,
    run_task: Bucket<{ RUN_TASK.burst }, { RUN_TASK.per_second }>,
    fargate: Bucket<{ FARGATE.burst }, { FARGATE.per_second }>,
}

impl Ecs {
    /// Returns the most tasks that have run at once.
    pub fn most_at_once(&self) -> usize {
        let stop = |task: &Task| task.stopped.as_ref().map_or(Timestamp::MAX, |(at, _)| *at);
        // A task that stops at the same time as another one starts comes first.
        let changes = self.tasks.values().flat_map(|task| [(task.started, 1), (stop(task), -1)]);
        let mut changes: Vec<(Timestamp, i32)> = changes.collect();
        changes.sort_unstable();
        let (mut running, mut most) = (0, 0);
        for (_, change) in changes {
            running += change;
            most = most.max(running);
        }
        usize::try_from(most).unwrap_or_default()
    }

    /// Answers RunTask. `fortune` decides how each task will run and end.
    pub fn run_task(&mut self, request: &TaskRequest, now: Timestamp, mut fortune: impl FnMut() -> Fortune) -> Reply {
        if self.behaviour.throttles && !self.run_task.take(now) {
            return error("ThrottlingException", "Rate exceeded");
        }
        if self.behaviour.throttles && provider(request).starts_with("FARGATE") && !self.fargate.take(now) {
            // Throttling by Fargate or EC2 reaches the caller in this form.
            return error("InvalidParameterException", "Rate exceeded (ErrorCode: Throttling)");
        }
        if let Err(refusal) = self.check(request) {
            return refusal;
        }
        let cluster = request.cluster.clone().unwrap_or_else(|| "default".to_owned());
        let key = (cluster, request.client_token.clone());
        if let Some(token) = self.tokens.get(&key).filter(|token| self.is_alive(token, now)) {
            return if token.request == *request { replay(token, now) } else { conflict(&token.reply) };
        }
        self.calls.push(request.clone());
        let reply = self.place(request, now, &mut fortune);
        if !reply.task_arns().is_empty() || self.behaviour.failed_call_uses_token {
            self.tokens.insert(key, Token { request: request.clone(), reply: reply.clone(), at: now });
        }
        reply
    }

    fn place(&mut self, request: &TaskRequest, now: Timestamp, fortune: &mut impl FnMut() -> Fortune) -> Reply {
        let asked = request.count.unwrap_or(1);
        let provider = provider(request);
        let room = self.capacity.get_mut(&provider);
        let placed = room.as_ref().map_or(asked, |room| asked.min(**room));
        if let Some(room) = room {
            *room -= placed;
        }
        let task_arns: Vec<String> = (0..placed).map(|_| self.start(request, now, fortune())).collect();
        let reason = match provider.as_str() {
            "FARGATE" | "FARGATE_SPOT" => {
                "Capacity is unavailable at this time. Please try again later or in a different availability zone"
            }
            _ => "RESOURCE:MEMORY",
        };
        let failure = Failure { arn: None, reason: reason.to_owned(), detail: None };
        let failures = (placed..asked).map(|_| failure.clone()).collect();
        Reply::Tasks { task_arns, failures }
    }

    fn start(&mut self, request: &TaskRequest, now: Timestamp, fortune: Fortune) -> String {
        let cluster = request.cluster.as_deref().unwrap_or("default");
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/{cluster}/{:032x}", self.tasks.len() + 1);
        self.tasks.insert(arn.clone(), Task::new(arn.clone(), request.clone(), now, fortune));
        arn
    }

    /// Returns whether ECS still remembers a token: until an hour after its tasks, and at most a day.
    fn is_alive(&self, token: &Token, now: Timestamp) -> bool {
        let tasks = token.reply.task_arns().iter().filter_map(|arn| self.tasks.get(arn));
        let ended: Option<Vec<Timestamp>> = tasks.map(|task| task.stopped.as_ref().map(|(at, _)| *at)).collect();
        let over = ended.map(|times| times.into_iter().max().unwrap_or(token.at) + TOKEN_AFTER_TASKS);
        now < token.at + TOKEN_LIFE_MAX && over.is_none_or(|over| now < over)
    }

    /// Answers StopTask. Returns whether the task exists.
    pub fn stop_task(&mut self, arn: &str, reason: &str, now: Timestamp) -> bool {
        let Some(task) = self.tasks.get_mut(arn) else { return false };
        task.ask_to_stop(reason, now);
        true
    }

    /// Answers DescribeTasks.
    pub fn describe_tasks(&self, arns: &[String], now: Timestamp) -> Vec<SeenTask> {
        let seen = |arn: &String| {
            let task = self.tasks.get(arn).filter(|task| now.duration_since(task.started) >= self.behaviour.lag);
            let status = match task.map(|task| task.stopped_as_of(now, self.behaviour.lag)) {
                None => TaskStatus::Missing,
                Some(None) => TaskStatus::Alive,
                Some(Some((at, _))) if now.duration_since(at) >= STOPPED_IS_SHOWN => TaskStatus::Missing,
                Some(Some((_, stopped))) => TaskStatus::Stopped(stopped),
            };
            SeenTask { arn: arn.clone(), attempt: None, status }
        };
        arns.iter().map(seen).collect()
    }

    /// Answers ListTasks with `startedBy`: the tasks that are starting or running, as seen with the lag.
    pub fn list_tasks(&self, started_by: &str, now: Timestamp) -> Vec<String> {
        let runs = |task: &&Task| {
            task.request.started_by == started_by
                && now.duration_since(task.started) >= self.behaviour.lag
                && task.stopped_as_of(now, self.behaviour.lag).is_none()
        };
        self.tasks.values().filter(runs).map(|task| task.arn.clone()).collect()
    }

    /// Advances the time: tasks start running and stop, and stopped tasks free their capacity.
    pub fn pass(&mut self, now: Timestamp) {
        for task in self.tasks.values_mut() {
            let had_stopped = task.stopped.is_some();
            self.changes.extend(task.pass(now));
            if let (false, Some(_), Some(room)) =
                (had_stopped, &task.stopped, self.capacity.get_mut(&provider(&task.request)))
            {
                *room += 1;
            }
        }
    }

    /// Returns the time of the next state change of any task.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.tasks.values().filter_map(Task::next_change).min()
    }
}

/// Returns the capacity provider or launch type that a request's tasks run on.
fn provider(request: &TaskRequest) -> String {
    let strategy = request.capacity_provider_strategy.first().map(|item| item.capacity_provider.clone());
    let launch_type = request.launch_type.map(|launch_type| launch_type.as_str().to_owned());
    strategy.or(launch_type).unwrap_or_else(|| "FARGATE".to_owned())
}

fn error(code: &str, message: &str) -> Reply {
    Reply::Error { code: code.to_owned(), message: message.to_owned(), resource_ids: Vec::new(), of_server: false }
}

/// Returns the original response. Failures over an hour old carry only a count.
fn replay(token: &Token, now: Timestamp) -> Reply {
    match &token.reply {
        Reply::Tasks { task_arns, failures } if now.duration_since(token.at) >= SignedDuration::from_hours(1) => {
            let reason = "MISSING".to_owned();
            let failures =
                failures.iter().map(|_| Failure { arn: None, reason: reason.clone(), detail: None }).collect();
            Reply::Tasks { task_arns: task_arns.clone(), failures }
        }
        reply => reply.clone(),
    }
}

fn conflict(reply: &Reply) -> Reply {
    Reply::Error {
        code: "ConflictException".to_owned(),
        message: "The client token was used for a task launch with other parameters".to_owned(),
        resource_ids: reply.task_arns().to_vec(),
        of_server: false,
    }
}
