//! The endpoint for tasks on this machine: S3 on the folders of buckets, SQS's JSON protocol on the folders of queues,
//! and the ECS agent's endpoint for task protection. With it, a container runs the same program here as on AWS.
//!
//! Only the tasks may call it. It listens on the loopback address only. A request names the access key id of this `dev`, which
//! other users do not know; S3's requests are signed with its secret too. Requests from web pages are
//! refused by their headers, even if the page's host name resolves to this machine.
//!
//! - `access` - who may call; `sqs` - SQS. S3 is in [`s3`](super::s3).
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>

mod access;
mod sqs;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::service::S3Service;
use s3s::{S3Error, S3ErrorCode, StdError};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use self::access::{Refused, Service, admit};
use self::sqs::Refusal;
use super::reach::Reach;
use super::s3;
use crate::folders::bucket::Bucket;
use crate::folders::own_changes::OwnChanges;
use crate::folders::queue::FolderQueue;
use crate::happening::Happening;

/// The port, unless another one is asked for or it is taken.
pub const PORT: u16 = 4599;
/// A larger request to SQS or the agent, in bytes, is refused.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// After a failed `accept`, the endpoint waits this long before it accepts again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What the endpoint's services remember.
#[derive(Debug, Default)]
pub struct EndpointState {
    /// The queues whose messages programs receive here.
    pub queues: Vec<FolderQueue>,
    /// The queues whose messages routes take; programs only send here.
    pub routed: Vec<FolderQueue>,
    /// The ids of tasks that are protected from scale-in.
    pub protected: HashSet<String>,
    /// When the message with a queue's name and a deduplication id was sent, and its id.
    deduplicated: HashMap<(String, String), (Instant, String)>,
}

impl EndpointState {
    /// Creates the state with queues whose messages programs receive, and queues whose messages routes take.
    pub fn new(queues: Vec<FolderQueue>, routed: Vec<FolderQueue>) -> Self {
        Self { queues, routed, ..Self::default() }
    }
}

/// The endpoint. It answers until the runtime that it was started in shuts down.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// How tasks reach it.
    pub reach: Reach,
    state: Arc<Mutex<EndpointState>>,
    buckets: s3::Buckets,
}

impl Endpoint {
    /// Starts the endpoint on this port of this machine; without a port on the usual one, or on a free one if that is
    /// taken.
    ///
    /// # Errors
    /// The port is taken, or the system gives no random bytes.
    pub async fn start(
        port: Option<u16>,
        buckets: Vec<Bucket>,
        state: EndpointState,
        own: OwnChanges,
        happenings: Sender<Happening>,
    ) -> io::Result<Self> {
        let bind = async |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = match (port, bind(port.unwrap_or(PORT)).await) {
            (None, Err(error)) if error.kind() == io::ErrorKind::AddrInUse => bind(0).await?,
            (_, listener) => listener?,
        };
        let reach = Reach::new(listener.local_addr()?.to_string())?;
        let state = Arc::new(Mutex::new(state));
        let known = s3::Buckets::default();
        known.set(buckets);
        let s3 = s3::service(known.clone(), own.clone(), &reach);
        let server = Server { reach: Arc::new(reach.clone()), state: Arc::clone(&state), s3, own, happenings };
        tokio::spawn(server.listen(listener));
        Ok(Self { reach, state, buckets: known })
    }

    /// Replaces the buckets, after a change of the config.
    pub fn set_buckets(&self, buckets: Vec<Bucket>) {
        self.buckets.set(buckets);
    }

    /// Locks the queues and the set of protected tasks.
    pub fn state(&self) -> MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, StdError>>;

#[derive(Clone)]
struct Server {
    reach: Arc<Reach>,
    state: Arc<Mutex<EndpointState>>,
    s3: S3Service,
    own: OwnChanges,
    happenings: Sender<Happening>,
}

impl Server {
    async fn listen(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // The process has too many open files; some of them close.
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let server = self.clone();
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    fn state(&self) -> MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match admit(&self.reach, &request) {
            Err(refused) => refusal(&request, &refused),
            Ok(Service::S3) => match self.s3.call(request.map(s3s::Body::from)).await {
                Ok(response) => response.map(BodyExt::boxed_unsync),
                Err(_) => s3_error(S3ErrorCode::InternalError, "the response could not be made"),
            },
            Ok(Service::Agent(task)) => match json_of(request).await {
                Ok(body) => json_response(200, &self.protect(&task, &body)),
                Err(refusal) => sqs_error(400, &refusal),
            },
            Ok(Service::Sqs { url }) => {
                let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
                let operation = target.and_then(|target| target.strip_prefix("AmazonSQS.")).unwrap_or_default();
                let operation = operation.to_owned();
                let answer = match json_of(request).await {
                    Ok(body) => self.operate(&operation, &body, &url).await,
                    Err(refusal) => Err(refusal),
                };
                match answer {
                    Ok(answer) => json_response(200, &answer),
                    Err(refusal) => sqs_error(400, &refusal),
                }
            }
        }
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

    async fn tell(&self, happening: Happening) {
        // Sending fails only when `dev` itself is ending.
        let _ = self.happenings.send(happening).await;
    }
}

/// Reads a request's JSON. A request without any, or with something else, is `null`.
async fn json_of(request: Request<Incoming>) -> Result<Value, Refusal> {
    match Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await {
        Ok(body) => Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)),
        Err(error) => Err(Refusal("InvalidParameterValue", format!("the request cannot be read: {error}"))),
    }
}

/// Answers a request that is refused in the words of the service that its sender expects.
fn refusal<T>(request: &Request<T>, refused: &Refused) -> Answer {
    let is_json = request.headers().contains_key("x-amz-target") || request.uri().path().contains("/agent/");
    match is_json {
        true => sqs_error(403, &Refusal("AccessDenied", refused.to_string())),
        false => s3_error(S3ErrorCode::AccessDenied, &refused.to_string()),
    }
}

fn s3_error(code: S3ErrorCode, message: &str) -> Answer {
    let response = S3Error::with_message(code, message.to_owned()).to_http_response();
    response.map(|response| response.map(BodyExt::boxed_unsync)).unwrap_or_default()
}

fn sqs_error(status: u16, refusal: &Refusal) -> Answer {
    let Refusal(code, message) = refusal;
    let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": message });
    let mut response = json_response(status, &body);
    if let Ok(code) = refusal.query_error().parse() {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn json_response(status: u16, body: &Value) -> Answer {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    let body = Full::from(body.to_string()).map_err(StdError::from).boxed_unsync();
    response.body(body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
