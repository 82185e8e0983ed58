//! Protects the task from scale-in through the ECS agent's endpoint.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// The environment variable with the ECS agent's address.
pub const AGENT_VARIABLE: &str = "ECS_AGENT_URI";
/// ECS ends a protection that is not renewed within this time, so a worker that hangs is not kept forever.
const EXPIRES: Duration = Duration::from_secs(30 * 60);
/// The interval at which the protection is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(10 * 60);
/// The pause before a renewal that failed is tried again.
const RENEWED_AGAIN: Duration = Duration::from_secs(60);
/// A request that the agent does not answer within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(3);
/// After this many requests without an answer, the messages go back to their queue.
const ATTEMPTS: u32 = 3;

/// The task's protection.
#[derive(Debug)]
pub struct Protection {
    /// The agent's endpoint. None: the task is never protected, for example because it belongs to no service.
    agent: Option<Uri>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Locked during each request, so that a renewal never follows a release.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// A request was not answered, or not waited for: the task may be protected or not.
    Unsure,
    /// The worker holds the protection and renews it. After `sure_until` the task may be unprotected.
    Held {
        sure_until: Instant,
    },
}

impl State {
    fn is_protected(self) -> bool {
        matches!(self, Self::Held { sure_until } if Instant::now() < sure_until)
    }
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
            state: Mutex::new(State::Free),
        })
    }

    /// Returns whether the task is protected.
    pub fn is_held(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.is_protected())
    }

    /// Protects the task, if it is not protected or may lose its protection soon. The call can be given up at any time.
    ///
    /// # Errors
    /// The agent did not answer, or ECS refused. The task is not protected, or not for long.
    pub async fn hold(&self) -> Result<(), ProtectionError> {
        let mut state = self.state.lock().await;
        if self.agent.is_none() || state.is_protected() {
            return Ok(());
        }
        let was_free = *state == State::Free;
        if was_free {
            *state = State::Unsure;
        }
        let mut attempt = 1;
        loop {
            match self.protect().await {
                Ok(held) => {
                    *state = held;
                    return Ok(());
                }
                Err(error @ ProtectionError::Refused(_)) => {
                    // A refusal does not end a protection from before.
                    if was_free {
                        *state = State::Free;
                    }
                    return Err(error);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Gives the protection back, if the task has it or may have it.
    pub async fn release(&self) {
        let mut state = self.state.lock().await;
        if *state == State::Free {
            return;
        }
        *state = State::Unsure;
        match self.put(false).await {
            Ok(()) => *state = State::Free,
            Err(error) => warn!(%error, "cannot give the protection back; the task stays protected until it expires"),
        }
    }

    /// Renews the protection at a fixed interval, forever.
    pub async fn renew(&self) {
        let mut pause = RENEWED_EVERY;
        loop {
            sleep(pause).await;
            pause = self.renew_once().await;
        }
    }

    /// Renews the protection if it is held. Returns the pause before the next renewal.
    pub(crate) async fn renew_once(&self) -> Duration {
        let mut state = self.state.lock().await;
        if !matches!(*state, State::Held { .. }) {
            return RENEWED_EVERY;
        }
        match self.protect().await {
            Ok(held) => {
                *state = held;
                RENEWED_EVERY
            }
            Err(error) => {
                warn!(%error, "cannot renew the protection; trying again in a minute");
                // ECS lets the protection expire, so the next message has to ask again.
                if matches!(error, ProtectionError::Refused(_)) {
                    *state = State::Held { sure_until: Instant::now() };
                }
                RENEWED_AGAIN
            }
        }
    }

    /// Protects the task, or renews its protection. Returns the new state.
    async fn protect(&self) -> Result<State, ProtectionError> {
        let asked_at = Instant::now();
        self.put(true).await?;
        Ok(State::Held { sure_until: asked_at + EXPIRES })
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::stand_in::Sqs;

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

    /// Returns what the agent was asked: to protect the task, or not.
    fn asked(agent: &Sqs) -> Vec<bool> {
        agent.calls("PutProtection").iter().filter_map(|put| put["ProtectionEnabled"].as_bool()).collect()
    }

    #[tokio::test]
    async fn a_protection_that_was_not_waited_for_is_given_back() {
        let (answer, wait) = mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let agent = Sqs::start(move |_| {
            // Waits until the sender is dropped.
            wait.lock().expect("not poisoned").recv().ok();
            None
        });
        let protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        tokio::select! {
            _ = protection.hold() => panic!("the agent does not answer"),
            () = async { while asked(&agent).is_empty() { sleep(Duration::from_millis(10)).await } } => {}
        }
        drop(answer);
        assert!(!protection.is_held());
        protection.release().await;
        protection.release().await;
        assert_eq!(asked(&agent), [true, false]);
    }

    #[tokio::test]
    async fn a_protection_that_is_held_is_not_asked_for_again_unless_giving_it_back_failed() {
        let calls = AtomicUsize::new(0);
        let agent = Sqs::start(move |_| {
            let fails = calls.fetch_add(1, Ordering::Relaxed) == 1;
            fails.then(|| (400, json!({ "error": { "Code": "ThrottlingException" } })))
        });
        let protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        for _ in 0..3 {
            protection.hold().await.expect("the agent agrees");
        }
        assert!(protection.is_held());
        protection.release().await;
        assert!(!protection.is_held());
        protection.hold().await.expect("the agent agrees");
        assert_eq!(asked(&agent), [true, false, true]);
    }

    /// Starts an agent that refuses these calls, counted from 0.
    fn agent_that_refuses(refused: &'static [usize]) -> Sqs {
        let calls = AtomicUsize::new(0);
        Sqs::start(move |_| {
            let refuses = refused.contains(&calls.fetch_add(1, Ordering::Relaxed));
            refuses.then(|| (200, json!({ "failure": { "Arn": "a", "Reason": "DEPLOYMENT_BLOCKED" } })))
        })
    }

    #[tokio::test]
    async fn after_a_refused_renewal_the_next_message_asks_again_and_the_renewals_go_on() {
        let agent = agent_that_refuses(&[1, 2]);
        let protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        protection.hold().await.expect("the agent agrees");
        assert_eq!(protection.renew_once().await, RENEWED_AGAIN);
        assert!(!protection.is_held(), "the protection will expire");
        assert!(matches!(protection.hold().await, Err(ProtectionError::Refused(_))));
        assert_eq!(protection.renew_once().await, RENEWED_EVERY);
        assert!(protection.is_held(), "messages that run still need the protection");
        protection.hold().await.expect("the task is protected");
        assert_eq!(asked(&agent), [true; 4]);
    }

    #[tokio::test]
    async fn what_is_left_of_a_protection_is_given_back_although_the_next_one_was_refused() {
        let agent = agent_that_refuses(&[1, 2]);
        let protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        protection.hold().await.expect("the agent agrees");
        protection.renew_once().await;
        assert!(protection.hold().await.is_err());
        protection.release().await;
        assert_eq!(protection.renew_once().await, RENEWED_EVERY, "a renewal never follows a release");
        assert_eq!(asked(&agent), [true, true, true, false]);
    }

    #[tokio::test]
    async fn a_protection_that_has_expired_is_asked_for_again() {
        let agent = Sqs::start(|_| None);
        let protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        protection.hold().await.expect("the agent agrees");
        *protection.state.lock().await = State::Held { sure_until: Instant::now() };
        assert!(!protection.is_held());
        protection.hold().await.expect("the agent agrees");
        assert!(protection.is_held());
        assert_eq!(asked(&agent), [true, true]);
    }

    #[tokio::test]
    async fn an_agent_that_does_not_answer_a_renewal_leaves_the_protection_until_it_expires() {
        let agent = Sqs::start(|_| None);
        let mut protection = Protection::new(Some(&agent.endpoint())).expect("is an address");
        protection.hold().await.expect("the agent agrees");
        let held = *protection.state.lock().await;
        // Nothing listens there.
        protection.agent = Some(Uri::from_static("http://127.0.0.1:1/"));
        assert_eq!(protection.renew_once().await, RENEWED_AGAIN);
        assert_eq!(*protection.state.lock().await, held);
    }
}
