//! The endpoint for workers on this machine: SQS's JSON protocol on the folders of queues, and the ECS agent's endpoint
//! for task protection. With it, a worker runs the same program here as on AWS.
//!
//! Only the workers may call it. It listens on this machine only, and its URL holds a secret that other users do not know.
//! A web page that a browser on this machine shows is refused by its headers, also if its host name leads here.
//!
//! Sources: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use trigger_core::event::Record;

use crate::folders::bucket::ACCOUNT;
use crate::folders::queue::{FolderQueue, Outgoing, receipt_handle};
use crate::happening::Happening;

/// A queue is checked at this interval while a worker waits for a message.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// SQS waits at most this many seconds for a message.
const WAIT_MAX: u64 = 20;
/// The length of the URL's secret, in bytes.
const SECRET_BYTES: usize = 16;
/// A larger request, in bytes, is read as empty.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// The queues of workers, and which tasks are protected.
#[derive(Debug, Default)]
pub struct WorkerState {
    /// The queues.
    pub queues: Vec<FolderQueue>,
    /// The ids of tasks that are protected from scale-in.
    pub protected: HashSet<String>,
}

/// The endpoint. It answers as long as the runtime that it was started in.
#[derive(Debug, Clone)]
pub struct WorkerEndpoint {
    /// The endpoint's URL. It holds the secret.
    pub url: String,
    state: Arc<Mutex<WorkerState>>,
}

impl WorkerEndpoint {
    /// Starts the endpoint on a free port of this machine.
    ///
    /// # Errors
    /// No port is free, or the system gives no random bytes.
    pub async fn start(queues: Vec<FolderQueue>, happenings: Sender<Happening>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (host, path) = (listener.local_addr()?.to_string(), format!("/{}", secret()?));
        let url = format!("http://{host}{path}");
        let state = Arc::new(Mutex::new(WorkerState { queues, protected: HashSet::new() }));
        let server = Server { host, path, state: Arc::clone(&state), happenings };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, state })
    }

    /// Locks the queues and the set of protected tasks.
    pub fn state(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Server {
    /// The address that it listens on.
    host: String,
    /// What every path begins with: `/` and the secret.
    path: String,
    state: Arc<Mutex<WorkerState>>,
    happenings: Sender<Happening>,
}

/// A refused request: SQS's error code, and the reason.
struct Refusal(&'static str, String);

impl Server {
    fn state(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(path) = self.path_for_worker(&request) else {
            let why = "only the workers of this `dev` may call this endpoint, by the URL in their environment";
            return response(403, &json!({ "__type": "com.amazonaws.sqs#AccessDenied", "message": why }));
        };
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
        let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await;
        let body: Value =
            body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or(Value::Null);
        if let Some(task) = path.strip_prefix("/agent/").and_then(|path| path.strip_suffix("/task-protection/v1/state"))
        {
            return response(200, &self.protect(task, &body));
        }
        let operation = target.as_deref().and_then(|target| target.strip_prefix("AmazonSQS.")).unwrap_or_default();
        match self.operate(operation, &body).await {
            Ok(answer) => response(200, &answer),
            Err(Refusal(code, message)) => {
                response(400, &json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": message }))
            }
        }
    }

    /// Returns the path below the secret, or `None` if the request does not come from a worker.
    fn path_for_worker<T>(&self, request: &Request<T>) -> Option<String> {
        let path = request.uri().path().strip_prefix(&self.path)?;
        let is_whole = path.is_empty() || path.starts_with('/');
        (is_whole && is_for(&self.host, request.headers())).then(|| path.to_owned())
    }

    fn protect(&self, task: &str, body: &Value) -> Value {
        let mut state = self.state();
        let enabled = body["ProtectionEnabled"].as_bool();
        match enabled {
            Some(true) => drop(state.protected.insert(task.to_owned())),
            Some(false) => drop(state.protected.remove(task)),
            None => {}
        }
        json!({ "protection": { "ProtectionEnabled": state.protected.contains(task), "TaskArn": task } })
    }

    async fn operate(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        if operation == "GetQueueUrl" {
            let name = body["QueueName"].as_str().unwrap_or_default();
            self.position(name)?;
            return Ok(json!({ "QueueUrl": format!("http://{}{}/{ACCOUNT}/{name}", self.host, self.path) }));
        }
        let url = body["QueueUrl"].as_str().unwrap_or_default();
        let queue = self.position(url.rsplit('/').next().unwrap_or_default())?;
        match operation {
            "ReceiveMessage" => Ok(self.receive(queue, body).await),
            "DeleteMessage" => self.delete(queue, body).map(|()| json!({})),
            "ChangeMessageVisibility" => self.change_visibility(queue, body).map(|()| json!({})),
            "DeleteMessageBatch" => Ok(batch(body, |entry| self.delete(queue, entry))),
            "ChangeMessageVisibilityBatch" => Ok(batch(body, |entry| self.change_visibility(queue, entry))),
            "SendMessage" => self.send(queue, body),
            "GetQueueAttributes" => {
                let depth = self.state().queues[queue].depth(Instant::now());
                Ok(json!({ "Attributes": {
                    "ApproximateNumberOfMessages": depth.visible.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
                    "ApproximateNumberOfMessagesDelayed": "0",
                } }))
            }
            other => Err(Refusal("UnsupportedOperation", format!("`dev` does not support the operation `{other}`"))),
        }
    }

    fn position(&self, name: &str) -> Result<usize, Refusal> {
        let position = self.state().queues.iter().position(|queue| queue.queue.name == name);
        position.ok_or_else(|| Refusal("QueueDoesNotExist", format!("no worker has a queue `{name}`")))
    }

    async fn receive(&self, queue: usize, body: &Value) -> Value {
        let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1).clamp(1, 10) as usize;
        let timeout = body["VisibilityTimeout"].as_u64().map(Duration::from_secs);
        let wait = Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or(0).min(WAIT_MAX));
        let began = Instant::now();
        loop {
            let (look, name) = {
                let mut state = self.state();
                let queue = &mut state.queues[queue];
                (queue.receive(most, timeout, Instant::now()), queue.queue.name.clone())
            };
            for file in look.dead_lettered {
                self.tell(Happening::DeadLettered { queue: name.clone(), file }).await;
            }
            for (path, reason) in look.refused {
                self.tell(Happening::Refused { reason: format!("cannot receive {}: {reason}", path.display()) }).await;
            }
            let messages: Vec<Value> =
                look.received.iter().map(|received| message(&received.record, &received.path)).collect();
            if !messages.is_empty() {
                return json!({ "Messages": messages });
            }
            if began.elapsed() >= wait {
                return json!({});
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn delete(&self, queue: usize, body: &Value) -> Result<(), Refusal> {
        let mut state = self.state();
        let queue = &mut state.queues[queue];
        // As in SQS, deleting a message that is gone succeeds.
        let Some(path) = queue.received_by(body["ReceiptHandle"].as_str().unwrap_or_default()) else { return Ok(()) };
        queue.delete(&path).map_err(|error| Refusal("InternalError", error.to_string()))
    }

    fn change_visibility(&self, queue: usize, body: &Value) -> Result<(), Refusal> {
        let mut state = self.state();
        let queue = &mut state.queues[queue];
        let path = queue.received_by(body["ReceiptHandle"].as_str().unwrap_or_default());
        let path = path.ok_or_else(|| Refusal("ReceiptHandleIsInvalid", "the message is not in flight".to_owned()))?;
        let timeout = Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(0));
        queue.change_visibility(&path, timeout, Instant::now());
        Ok(())
    }

    fn send(&self, queue: usize, body: &Value) -> Result<Value, Refusal> {
        let attributes = body["MessageAttributes"].as_object().into_iter().flatten();
        let text = |value: &Value| value["StringValue"].as_str().map(str::to_owned);
        let message = Outgoing {
            body: body["MessageBody"].as_str().unwrap_or_default().to_owned(),
            group: body["MessageGroupId"].as_str().map(str::to_owned),
            attributes: attributes.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        };
        let sent = self.state().queues[queue].send(&message, Timestamp::now());
        let id = sent.map_err(|error| Refusal("InternalError", error.to_string()))?;
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5_of(&message.body) }))
    }

    async fn tell(&self, happening: Happening) {
        // Sending fails only when `dev` itself is ending.
        let _ = self.happenings.send(happening).await;
    }
}

/// Returns whether a request names this host and was not made by a web page. Browsers send `Origin` with every request
/// that can change something, and `Sec-Fetch-Site` with every request; programs send neither.
/// Source: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>
fn is_for(host: &str, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let is_this_host = hosts.next().is_some_and(|named| named == host) && hosts.next().is_none();
    is_this_host && !headers.contains_key(header::ORIGIN) && !headers.contains_key("sec-fetch-site")
}

/// Returns a secret that nobody can guess, as hexadecimal digits.
fn secret() -> io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn message(record: &Record, path: &std::path::Path) -> Value {
    let attributes: Map<String, Value> =
        record.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let of_sender: Map<String, Value> = record
        .message_attributes
        .iter()
        .map(|(name, value)| (name.clone(), json!({ "DataType": "String", "StringValue": value })))
        .collect();
    let mut message = json!({
        "MessageId": record.message_id,
        "ReceiptHandle": receipt_handle(path, record.receive_count()),
        "MD5OfBody": md5_of(&record.body),
        "Body": record.body,
        "Attributes": attributes,
    });
    if !of_sender.is_empty() {
        message["MessageAttributes"] = Value::Object(of_sender);
    }
    message
}

/// Runs an operation for each entry of a batch.
fn batch(body: &Value, each: impl Fn(&Value) -> Result<(), Refusal>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in body["Entries"].as_array().into_iter().flatten() {
        match each(entry) {
            Ok(()) => successful.push(json!({ "Id": entry["Id"] })),
            Err(Refusal(code, message)) => {
                failed.push(json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true }));
            }
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}

fn md5_of(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Full::from(body.to_string())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
