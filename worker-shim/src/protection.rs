//! Protects the task from scale-in through the ECS agent's endpoint.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};
use tracing::{debug, warn};

/// The environment variable with the ECS agent's address.
pub const AGENT_VARIABLE: &str = "ECS_AGENT_URI";
/// ECS ends a protection that is not renewed within this time, so a worker that hangs is not kept forever.
const EXPIRES: Duration = Duration::from_secs(30 * 60);
/// The interval at which the protection is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(10 * 60);
/// A request that the agent does not answer within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(3);
/// After this many failed requests to the agent, the message goes back to its queue.
const ATTEMPTS: u32 = 3;

/// The task's protection.
#[derive(Debug)]
pub struct Protection {
    /// The agent's endpoint. None: the task is never protected, for example because it belongs to no service.
    agent: Option<Uri>,
    client: Client<HttpConnector, Full<Bytes>>,
    held: Mutex<Held>,
    /// A copy of `Held::is_protected` that can be read without waiting for the lock.
    is_held: AtomicBool,
    /// Whether the last attempt to protect the task failed.
    is_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    messages: usize,
    is_protected: bool,
}

/// Why the task is not protected.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// The agent's address is invalid.
    #[error("`{0}` in {AGENT_VARIABLE} is not a valid address")]
    Address(String),
    /// The agent did not answer.
    #[error("the ECS agent did not answer: {0}")]
    Unreachable(String),
    /// ECS refused to change the protection.
    #[error("ECS refused to change the task's protection: {0}")]
    Refused(String),
}

impl Protection {
    /// Creates a protection that asks the agent at this address. Without an address the task is never protected.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn new(agent: Option<&str>) -> Result<Self, ProtectionError> {
        let address = |agent: &str| {
            let uri = format!("{}/task-protection/v1/state", agent.trim_end_matches('/')).parse();
            uri.map_err(|_| ProtectionError::Address(agent.to_owned()))
        };
        Ok(Self {
            agent: agent.map(address).transpose()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            held: Mutex::default(),
            is_held: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        })
    }

    /// Returns whether the task is protected.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Returns whether the last attempt to protect the task failed.
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Adds a message in progress, and protects the task if it is not protected yet.
    ///
    /// # Errors
    /// The agent did not answer, or ECS refused. The task is not protected, and the message is not counted.
    pub async fn hold(&self) -> Result<(), ProtectionError> {
        let mut held = self.held.lock().await;
        if !held.is_protected {
            let mut attempt = 1;
            while let Err(error) = self.put(true).await {
                if attempt == ATTEMPTS || matches!(error, ProtectionError::Refused(_)) {
                    self.is_refused.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                attempt += 1;
            }
            self.is_refused.store(false, Ordering::Relaxed);
            self.set(&mut held, self.agent.is_some());
        }
        held.messages += 1;
        Ok(())
    }

    /// Removes a message in progress. The task stays protected, as the next message may come at once.
    pub async fn leave(&self) {
        self.held.lock().await.messages -= 1;
    }

    /// Gives the protection back if no message is in progress.
    pub async fn release(&self) {
        let mut held = self.held.lock().await;
        if held.messages > 0 || !held.is_protected {
            return;
        }
        match self.put(false).await {
            Ok(()) => self.set(&mut held, false),
            Err(error) => warn!(%error, "cannot give the protection back; the task stays protected until it expires"),
        }
    }

    /// Renews the protection at a fixed interval, forever.
    pub async fn renew(&self) {
        let mut times = interval(RENEWED_EVERY);
        times.tick().await;
        loop {
            times.tick().await;
            let held = self.held.lock().await;
            if held.is_protected
                && let Err(error) = self.put(true).await
            {
                warn!(%error, "cannot renew the protection; trying again later");
            }
        }
    }

    fn set(&self, held: &mut Held, is_protected: bool) {
        held.is_protected = is_protected;
        self.is_held.store(is_protected, Ordering::Relaxed);
    }

    async fn put(&self, enabled: bool) -> Result<(), ProtectionError> {
        let Some(uri) = &self.agent else { return Ok(()) };
        let state = match enabled {
            true => json!({ "ProtectionEnabled": true, "ExpiresInMinutes": EXPIRES.as_secs() / 60 }),
            false => json!({ "ProtectionEnabled": false }),
        };
        let request = Request::builder().method(Method::PUT).uri(uri).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(state.to_string())).map_err(unreachable)?;
        let answered = async {
            let response = self.client.request(request).await.map_err(unreachable)?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(unreachable)?.to_bytes();
            Ok((status, body))
        };
        let (status, body) = timeout(TIMEOUT, answered)
            .await
            .map_err(|_| ProtectionError::Unreachable("no answer within the time limit".to_owned()))??;
        debug!(enabled, %status, "asked for protection");
        refusal(status, &body).map_or(Ok(()), |reason| Err(ProtectionError::Refused(reason)))
    }
}

fn unreachable(error: impl std::error::Error) -> ProtectionError {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    ProtectionError::Unreachable(format!("{error}{source}"))
}

/// Returns why ECS refused, if it did. A refusal is an error, or a `failure` in a reply with a success status.
fn refusal(status: StatusCode, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    if let Some(failure) = body.get("failure").filter(|failure| !failure.is_null()) {
        return Some(
            text(failure, "Detail").or_else(|| text(failure, "Reason")).unwrap_or_else(|| failure.to_string()),
        );
    }
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        return Some(text(error, "Message").or_else(|| text(error, "Code")).unwrap_or_else(|| error.to_string()));
    }
    (!status.is_success()).then(|| format!("status {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Option<&str>) {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        assert_eq!(refusal(status, body.as_bytes()).as_deref(), expected);
    }

    #[test]
    fn a_reply_with_a_protection_is_not_a_refusal() {
        check(
            200,
            r#"{"protection":{"ExpirationDate":"2026-01-01T00:00:00Z","ProtectionEnabled":true,"TaskArn":"a"}}"#,
            None,
        );
    }

    #[test]
    fn a_failure_in_a_successful_reply_is_a_refusal() {
        let body = r#"{"failure":{"Arn":"a","Detail":null,"Reason":"DEPLOYMENT_BLOCKED"}}"#;
        check(200, body, Some("DEPLOYMENT_BLOCKED"));
    }

    #[test]
    fn an_error_is_a_refusal() {
        let body = r#"{"error":{"Arn":"a","Code":"AccessDeniedException","Message":"not authorized"},"requestID":"1"}"#;
        check(400, body, Some("not authorized"));
        check(502, "<html>", Some("status 502 Bad Gateway"));
    }
}
