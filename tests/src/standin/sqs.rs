//! A stand-in for SQS: it takes messages, and returns each once its delay is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Message;
use crate::harness::http::{Answer, Asked, Server};

/// A running stand-in. It stops when this value is dropped.
#[derive(Debug)]
pub struct Sqs {
    /// The endpoint's URL.
    pub endpoint: String,
    queues: Arc<Queues>,
    _server: Server,
}

#[derive(Debug, Default)]
struct Queues {
    state: Mutex<State>,
    has_more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The messages by queue, and by the time at which they are visible.
    messages: BTreeMap<String, BTreeMap<(Instant, usize), String>>,
    sent: usize,
    calls: usize,
}

impl Sqs {
    /// Starts a stand-in. A queue exists once it has a message.
    pub fn start(latency: Duration) -> Self {
        let queues = Arc::new(Queues::default());
        let shared = Arc::clone(&queues);
        let server = Server::start(move |asked| {
            thread::sleep(latency);
            shared.answer(&asked)
        });
        Self { endpoint: format!("http://{}", server.address), queues, _server: server }
    }

    /// Returns the URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.endpoint)
    }

    /// Takes the next message of a queue. Waits until one is visible, at most until `until`.
    pub fn take(&self, queue: &str, until: Instant) -> Option<Message> {
        let mut state = self.queues.lock();
        loop {
            let now = Instant::now();
            let messages = state.messages.entry(queue.to_owned()).or_default();
            let next = messages.first_key_value().map(|(key, _)| *key);
            if let Some(key) = next.filter(|(visible, _)| *visible <= now) {
                let body = messages.remove(&key).unwrap_or_default();
                return Some(Message::new(queue, &format!("m-{}", key.1), &body));
            }
            if now >= until {
                return None;
            }
            let wait = next.map_or(until, |(visible, _)| visible.min(until)).duration_since(now);
            let woken = self.queues.has_more.wait_timeout(state, wait);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns a message that was taken to its queue, as after a failed invocation.
    pub fn give_back(&self, message: &Message) {
        let mut state = self.queues.lock();
        state.sent += 1;
        let key = (Instant::now(), state.sent);
        state.messages.entry(message.queue.clone()).or_default().insert(key, message.body.clone());
        self.queues.has_more.notify_all();
    }

    /// Returns how many requests were answered.
    pub fn calls(&self) -> usize {
        self.queues.lock().calls
    }
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
        let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        let mut state = self.lock();
        state.calls += 1;
        let answer = match asked.operation() {
            "SendMessage" => json!({ "MessageId": state.send(queue, &body) }),
            "SendMessageBatch" => {
                let entries = body["Entries"].as_array().into_iter().flatten();
                let sent = entries.map(|entry| json!({ "Id": entry["Id"], "MessageId": state.send(queue, entry) }));
                json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] })
            }
            other => {
                let body = json!({ "__type": "com.amazonaws.sqs#UnsupportedOperation", "message": other });
                return Answer { status: 400, body: body.to_string(), ..Answer::default() };
            }
        };
        self.has_more.notify_all();
        Answer { status: 200, body: answer.to_string(), ..Answer::default() }
    }
}

impl State {
    fn send(&mut self, queue: &str, entry: &Value) -> String {
        self.sent += 1;
        let delay = Duration::from_secs(entry["DelaySeconds"].as_u64().unwrap_or_default());
        let body = entry["MessageBody"].as_str().unwrap_or_default().to_owned();
        let messages = self.messages.entry(queue.to_owned()).or_default();
        messages.insert((Instant::now() + delay, self.sent), body);
        format!("m-{}", self.sent)
    }
}
