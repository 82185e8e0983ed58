//! A cluster whose tasks are processes on this machine. It serves ECS's JSON protocol for services with a desired count
//! and for RunTask, and the ECS agent's endpoint, through which tasks protect themselves.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::http::{Answer, Asked, Server};

/// A running cluster. It and its tasks end when this value is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The URL of ECS.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

#[derive(Debug)]
struct State {
    /// The command of every task's container, and its environment variables.
    command: Vec<String>,
    variables: Vec<(String, String)>,
    agent: String,
    services: BTreeMap<String, u32>,
    tasks: BTreeMap<String, Task>,
    started: usize,
    /// The calls so far: operation and body.
    calls: Vec<(String, Value)>,
    /// How many of the next calls are throttled.
    throttled: usize,
}

#[derive(Debug)]
struct Task {
    owner: Owner,
    process: Child,
    is_protected: bool,
    created_at: Timestamp,
    is_stopping: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Service(String),
    Starter(String),
}

impl Cluster {
    /// Starts a cluster whose tasks all run this command. Its services have no tasks at first.
    pub fn start(command: Vec<String>, variables: &[(&str, &str)], services: &[&str]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let state = Arc::new(Mutex::new(State {
            command,
            variables: variables.iter().map(own).collect(),
            agent: String::new(),
            services: services.iter().map(|name| ((*name).to_owned(), 0)).collect(),
            tasks: BTreeMap::new(),
            started: 0,
            calls: Vec::new(),
            throttled: 0,
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |asked| {
            let mut state = lock(&shared);
            state.settle();
            let answer = state.answer(&asked);
            state.settle();
            answer
        });
        lock(&state).agent = format!("http://{}/agent", server.address);
        Self { endpoint: format!("http://{}", server.address), state, _server: server }
    }

    /// Throttles the next calls.
    pub fn throttle(&self, calls: usize) {
        lock(&self.state).throttled = calls;
    }

    /// Sets a service's desired count as a person would by hand. [`Cluster::set`] does not return it.
    pub fn set_by_hand(&self, service: &str, count: u32) {
        let mut state = lock(&self.state);
        state.services.insert(service.to_owned(), count);
        state.settle();
    }

    /// Returns a service's desired count.
    pub fn desired(&self, service: &str) -> u32 {
        lock(&self.state).services.get(service).copied().unwrap_or_default()
    }

    /// Returns how many tasks are running.
    pub fn running(&self) -> usize {
        let mut state = lock(&self.state);
        state.settle();
        state.tasks.len()
    }

    /// Returns how many tasks were started so far.
    pub fn started(&self) -> usize {
        lock(&self.state).started
    }

    /// Returns all desired counts that UpdateService calls have set for a service.
    pub fn set(&self, service: &str) -> Vec<u64> {
        let state = lock(&self.state);
        let of_service =
            |(operation, body): &&(String, Value)| operation == "UpdateService" && body["service"] == service;
        state.calls.iter().filter(of_service).filter_map(|(_, body)| body["desiredCount"].as_u64()).collect()
    }

    /// Returns how often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        lock(&self.state).calls.iter().filter(|(name, _)| name == operation).count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for task in lock(&self.state).tasks.values_mut() {
            // An error means that the process has already ended.
            let _ = task.process.kill();
            let _ = task.process.wait();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Does what ECS does by itself: removes tasks that ended, starts a service's missing tasks, and stops its surplus
    /// tasks unless they are protected.
    fn settle(&mut self) {
        self.tasks.retain(|_, task| task.process.try_wait().is_ok_and(|ended| ended.is_none()));
        for (service, desired) in self.services.clone() {
            let owner = Owner::Service(service);
            let of_service = |task: &Task| task.owner == owner && !task.is_stopping;
            let count = self.tasks.values().filter(|task| of_service(task)).count();
            let desired = desired as usize;
            let surplus = self.tasks.values_mut().filter(|task| of_service(task) && !task.is_protected);
            for task in surplus.take(count.saturating_sub(desired)) {
                task.is_stopping = true;
                let process = i32::try_from(task.process.id()).ok().and_then(Pid::from_raw);
                // An error means that the process has already ended.
                let _ = process.map(|process| kill_process(process, Signal::TERM));
            }
            for _ in count..desired {
                let Owner::Service(service) = &owner else { continue };
                self.run(Owner::Service(service.clone()), &[]);
            }
        }
    }

    fn run(&mut self, owner: Owner, variables: &[(String, String)]) -> String {
        self.started += 1;
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/default/{:032x}", self.started);
        let (program, arguments) = self.command.split_first().unwrap_or_else(|| panic!("the command is empty"));
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("ECS_AGENT_URI", format!("{}/{}", self.agent, self.started))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let task = Task { owner, process, is_protected: false, created_at: Timestamp::now(), is_stopping: false };
        self.tasks.insert(arn.clone(), task);
        arn
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
        if let Some(path) = asked.path.strip_prefix("/agent/") {
            return self.protect(path, &body);
        }
        let operation = asked.operation();
        self.calls.push((operation.to_owned(), body.clone()));
        if self.throttled > 0 {
            self.throttled -= 1;
            return refused("ThrottlingException", "Rate exceeded");
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let arns = |key: &str| -> Vec<String> {
            body[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match operation {
            "DescribeServices" => {
                let (known, unknown): (Vec<String>, Vec<String>) =
                    arns("services").into_iter().partition(|name| self.services.contains_key(name));
                let services: Vec<Value> = known.iter().map(|name| self.service(name)).collect();
                let failures: Vec<Value> =
                    unknown.iter().map(|name| json!({ "arn": name, "reason": "MISSING" })).collect();
                ok(&json!({ "services": services, "failures": failures }))
            }
            "UpdateService" => {
                let count = body["desiredCount"].as_u64().and_then(|count| u32::try_from(count).ok());
                match (self.services.get_mut(&text("service")), count) {
                    (Some(desired), Some(count)) => {
                        *desired = count;
                        ok(&json!({ "service": self.service(&text("service")) }))
                    }
                    _ => refused("ServiceNotFoundException", "Service not found."),
                }
            }
            "ListTasks" => {
                let owner = match body["serviceName"].as_str() {
                    Some(service) => Owner::Service(service.to_owned()),
                    None => Owner::Starter(text("startedBy")),
                };
                let tasks = self.tasks.iter().filter(|(_, task)| task.owner == owner && !task.is_stopping);
                ok(&json!({ "taskArns": tasks.map(|(arn, _)| arn).collect::<Vec<_>>() }))
            }
            "DescribeTasks" => {
                let known =
                    arns("tasks").into_iter().filter_map(|arn| Some((self.tasks.get(&arn)?.as_json(&arn), arn)));
                ok(&json!({ "tasks": known.map(|(task, _)| task).collect::<Vec<_>>(), "failures": [] }))
            }
            "GetTaskProtection" => {
                let protection = |arn: String| {
                    let task = self.tasks.get(&arn)?;
                    Some(json!({ "taskArn": arn, "protectionEnabled": task.is_protected }))
                };
                let tasks: Vec<Value> = arns("tasks").into_iter().filter_map(protection).collect();
                ok(&json!({ "protectedTasks": tasks, "failures": [] }))
            }
            "RunTask" => {
                let variables: Vec<(String, String)> = body["overrides"]["containerOverrides"][0]["environment"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|pair| Some((pair["name"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned())))
                    .collect();
                let count = body["count"].as_u64().unwrap_or(1);
                let arns: Vec<String> =
                    (0..count).map(|_| self.run(Owner::Starter(text("startedBy")), &variables)).collect();
                let tasks: Vec<Value> = arns.iter().filter_map(|arn| Some(self.tasks.get(arn)?.as_json(arn))).collect();
                ok(&json!({ "tasks": tasks, "failures": [] }))
            }
            other => refused("UnknownOperationException", other),
        }
    }

    fn service(&self, name: &str) -> Value {
        let desired = self.services.get(name).copied().unwrap_or_default();
        let owner = Owner::Service(name.to_owned());
        let running = self.tasks.values().filter(|task| task.owner == owner && !task.is_stopping).count();
        json!({
            "serviceName": name, "status": "ACTIVE", "desiredCount": desired, "runningCount": running, "pendingCount": 0,
            "deployments": [{ "status": "PRIMARY", "rolloutState": "COMPLETED" }],
        })
    }

    fn protect(&mut self, path: &str, body: &Value) -> Answer {
        let number = path.split('/').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or_default();
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/default/{number:032x}");
        let (Some(task), Some(enabled)) = (self.tasks.get_mut(&arn), body["ProtectionEnabled"].as_bool()) else {
            return Answer {
                status: 400,
                body: json!({ "error": { "Code": "InvalidRequest" } }).to_string(),
                ..Answer::default()
            };
        };
        if task.is_stopping && enabled {
            let failure = json!({ "failure": { "Arn": arn, "Reason": "TASK_NOT_VALID" } });
            return ok(&failure);
        }
        task.is_protected = enabled;
        ok(&json!({ "protection": { "TaskArn": arn, "ProtectionEnabled": enabled } }))
    }
}

impl Task {
    fn as_json(&self, arn: &str) -> Value {
        let created_at = self.created_at.as_millisecond() as f64 / 1000.0;
        json!({
            "taskArn": arn, "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "createdAt": created_at,
            "startedAt": created_at + 0.1,
        })
    }
}

fn ok(body: &Value) -> Answer {
    Answer { status: 200, body: body.to_string(), ..Answer::default() }
}

fn refused(code: &str, message: &str) -> Answer {
    Answer { status: 400, body: json!({ "__type": code, "message": message }).to_string(), ..Answer::default() }
}
