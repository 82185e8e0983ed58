//! Serves the model over ECS's JSON protocol, for the real binaries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::ecs::{ContainerExit, StoppedTask};
use trigger_core::launch::{Reply, TaskStatus};

use super::{Behaviour, Ecs, Fortune};
use crate::harness::http::{Answer, Asked, Server};

/// A running endpoint. It stops when this value is dropped.
#[derive(Debug)]
pub struct Endpoint {
    /// The endpoint's URL.
    pub endpoint: String,
    ecs: Arc<Mutex<Ecs>>,
    _server: Server,
}

impl Endpoint {
    /// Serves an empty model. Its tasks run until StopTask or [`Endpoint::finish`] ends them.
    pub fn start() -> Self {
        let ecs = Ecs { behaviour: Behaviour { lag: SignedDuration::ZERO, ..Behaviour::default() }, ..Ecs::default() };
        let ecs = Arc::new(Mutex::new(ecs));
        let model = Arc::clone(&ecs);
        let server = Server::start(move |asked| answer(&asked, &mut lock(&model)));
        Self { endpoint: format!("http://{}", server.address), ecs, _server: server }
    }

    /// Locks the model and returns it.
    pub fn ecs(&self) -> MutexGuard<'_, Ecs> {
        lock(&self.ecs)
    }

    /// Answers a request as the endpoint does.
    pub(crate) fn answer(&self, asked: &Asked) -> Answer {
        answer(asked, &mut self.ecs())
    }

    /// Ends a task with an exit code. Returns the state change that EventBridge would deliver.
    ///
    /// # Panics
    /// The task does not exist or has already ended.
    pub fn finish(&self, arn: &str, exit_code: i32) -> String {
        let mut ecs = self.ecs();
        let stopped = StoppedTask {
            stop_code: Some("EssentialContainerExited".to_owned()),
            stopped_reason: Some("Essential container in task exited".to_owned()),
            containers: vec![ContainerExit { name: "app".to_owned(), exit_code: Some(exit_code), reason: None }],
            vanished: false,
        };
        let now = Timestamp::now();
        let task = ecs.tasks.get_mut(arn).unwrap_or_else(|| panic!("the task {arn} does not exist"));
        task.end_now(now, stopped);
        ecs.pass(now + SignedDuration::from_secs(1));
        let change = ecs.changes.drain(..).rfind(|change| change.is_stopped);
        change.unwrap_or_else(|| panic!("{arn} has not ended")).event
    }
}

fn lock(ecs: &Mutex<Ecs>) -> MutexGuard<'_, Ecs> {
    ecs.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(asked: &Asked, ecs: &mut Ecs) -> Answer {
    let now = Timestamp::now();
    ecs.pass(now);
    let body: Value = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
    let ok = |body: Value| Answer { status: 200, body: body.to_string(), ..Answer::default() };
    let arns = || -> Vec<String> {
        body["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    match asked.operation() {
        "RunTask" => match serde_json::from_str(&asked.body) {
            Ok(request) => reply(ecs.run_task(&request, now, for_long), ecs),
            Err(error) => refused("InvalidParameterException", &error.to_string(), &[]),
        },
        "StopTask" => {
            let known = ecs.stop_task(
                body["task"].as_str().unwrap_or_default(),
                body["reason"].as_str().unwrap_or_default(),
                now,
            );
            match known {
                true => ok(json!({ "task": { "taskArn": body["task"] } })),
                false => refused("InvalidParameterException", "The referenced task was not found.", &[]),
            }
        }
        "DescribeTasks" => {
            let (mut tasks, mut failures) = (Vec::new(), Vec::new());
            for seen in ecs.describe_tasks(&arns(), now) {
                match seen.status {
                    TaskStatus::Missing => failures.push(json!({ "arn": seen.arn, "reason": "MISSING" })),
                    _ => tasks.extend(ecs.tasks.get(&seen.arn).map(super::Task::as_json)),
                }
            }
            ok(json!({ "tasks": tasks, "failures": failures }))
        }
        "ListTasks" => ok(json!({ "taskArns": ecs.list_tasks(body["startedBy"].as_str().unwrap_or_default(), now) })),
        other => refused("UnknownOperationException", other, &[]),
    }
}

fn reply(reply: Reply, ecs: &Ecs) -> Answer {
    match reply {
        Reply::Tasks { task_arns, failures } => {
            let tasks: Vec<Value> =
                task_arns.iter().filter_map(|arn| ecs.tasks.get(arn)).map(super::Task::as_json).collect();
            let body = json!({ "tasks": tasks, "failures": failures }).to_string();
            Answer { status: 200, body, ..Answer::default() }
        }
        Reply::Error { code, message, resource_ids, .. } => refused(&code, &message, &resource_ids),
        Reply::Nothing { message } => refused("ServerException", &message, &[]),
    }
}

fn refused(code: &str, message: &str, resource_ids: &[String]) -> Answer {
    let body = json!({ "__type": code, "message": message, "resourceIds": resource_ids }).to_string();
    Answer { status: if code == "ServerException" { 500 } else { 400 }, body, ..Answer::default() }
}

/// Returns the fortune of a task that runs until it is stopped or finished.
fn for_long() -> Fortune {
    Fortune {
        pending: SignedDuration::ZERO,
        running: SignedDuration::from_hours(1000),
        end: StoppedTask::default(),
        stopping: SignedDuration::ZERO,
    }
}
