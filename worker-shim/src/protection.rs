//! The task's protection from scale-in, by the ECS agent's endpoint.
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

/// The environment variable by which the agent tells where it is.
pub const AGENT_VARIABLE: &str = "ECS_AGENT_URI";
/// How long a protection lasts if it is not renewed, so that a worker that broke down is not kept for ever.
const EXPIRES: Duration = Duration::from_secs(30 * 60);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long the agent has for an answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often the agent is asked, until a message is given back.
const ATTEMPTS: u32 = 3;

/// The task's protection.
#[derive(Debug)]
pub struct Protection {
    /// Where the agent is asked. None: the task is not protected, as it is of no service.
    agent: Option<Uri>,
    client: Client<HttpConnector, Full<Bytes>>,
    held: Mutex<Held>,
    /// The same for those who cannot wait.
    is_held: AtomicBool,
    /// Whether it was refused the last time.
    is_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    /// Messages that are worked on.
    messages: usize,
    is_protected: bool,
}

/// Why the task is not protected.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// The agent's address is none.
    #[error("{AGENT_VARIABLE} is `{0}`, which is no address")]
    Address(String),
    /// The agent does not answer.
    #[error("the ECS agent does not answer: {0}")]
    Unreachable(String),
    /// ECS refuses.
    #[error("ECS refuses: {0}")]
    Refused(String),
}

impl Protection {
    /// By the agent at this address; without one there is no protection.
    ///
    /// # Errors
    /// It is no address.
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

    /// Whether the task is protected.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Whether the task could not be protected the last time.
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Protects the task for one message more.
    ///
    /// # Errors
    /// It is not protected.
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

    /// A message is done with; the task stays protected, as another may come at once.
    pub async fn leave(&self) {
        self.held.lock().await.messages -= 1;
    }

    /// Gives the protection back, if no message is worked on.
    pub async fn release(&self) {
        let mut held = self.held.lock().await;
        if held.messages > 0 || !held.is_protected {
            return;
        }
        match self.put(false).await {
            Ok(()) => self.set(&mut held, false),
            Err(error) => warn!(%error, "the task stays protected for a while"),
        }
    }

    /// Renews the protection again and again.
    pub async fn renew(&self) {
        let mut times = interval(RENEWED_EVERY);
        times.tick().await;
        loop {
            times.tick().await;
            let held = self.held.lock().await;
            if held.is_protected
                && let Err(error) = self.put(true).await
            {
                warn!(%error, "the protection was not renewed; it is tried again");
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
            .map_err(|_| ProtectionError::Unreachable("no answer in time".to_owned()))??;
        debug!(enabled, %status, "asked for protection");
        refusal(status, &body).map_or(Ok(()), |reason| Err(ProtectionError::Refused(reason)))
    }
}

fn unreachable(error: impl std::error::Error) -> ProtectionError {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    ProtectionError::Unreachable(format!("{error}{source}"))
}

/// Why ECS refuses, if it does: as an error, or as a failure in a reply that is none.
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
    fn a_protection_is_no_refusal() {
        check(
            200,
            r#"{"protection":{"ExpirationDate":"2026-01-01T00:00:00Z","ProtectionEnabled":true,"TaskArn":"a"}}"#,
            None,
        );
    }

    #[test]
    fn a_failure_in_a_good_reply_is_a_refusal() {
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
