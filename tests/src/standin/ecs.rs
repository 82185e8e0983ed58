//! The model of ECS behind a latency.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ecs::endpoint::Endpoint;
use crate::harness::http::Server;

/// A running model of ECS, each call of which takes some time. It stops when this value is dropped.
#[derive(Debug)]
pub struct SlowEcs {
    /// The endpoint's URL.
    pub endpoint: String,
    /// The model.
    pub model: Arc<Endpoint>,
    calls: Arc<Mutex<Vec<Call>>>,
    _server: Server,
}

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: String,
    /// When it arrived, before the latency.
    pub arrived: Instant,
    /// Whether it was refused.
    pub is_refused: bool,
    /// The request.
    pub request: Value,
}

impl SlowEcs {
    /// Starts a model. Before RunTask's caller hears that it started a task, `started` is called with the task's ARN.
    pub fn start(latency: Duration, started: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let model = Arc::new(Endpoint::start());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (told, served) = (Arc::clone(&calls), Arc::clone(&model));
        let server = Server::start(move |asked| {
            let arrived = Instant::now();
            thread::sleep(latency);
            let answer = served.answer(&asked);
            let operation = asked.operation().to_owned();
            if operation == "RunTask" {
                let reply: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
                let tasks = reply["tasks"].as_array().into_iter().flatten();
                tasks.filter_map(|task| task["taskArn"].as_str()).for_each(&started);
            }
            let request = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
            lock(&told).push(Call { operation, arrived, is_refused: answer.status != 200, request });
            answer
        });
        Self { endpoint: format!("http://{}", server.address), model, calls, _server: server }
    }

    /// Returns how many calls of an operation were answered and not taken.
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.calls).iter().filter(|call| call.operation == operation).count()
    }

    /// Returns the calls that were answered since the last time, and forgets them.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.calls))
    }
}

fn lock(calls: &Mutex<Vec<Call>>) -> MutexGuard<'_, Vec<Call>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}
