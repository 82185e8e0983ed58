//! The lease of the scaler: of several invocations that run at once, one scales, and the next takes over from it within
//! a tick.
//!
//! The lease is an object beside the config, changed by conditional writes. Its holder extends it. A newer invocation
//! asks for it. The holder, which looks at every tick, gives it away together with what it remembers.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::warn;
use trigger_core::scaling::LEASE_NAME;
use trigger_engine::Scaler;

use crate::clients::causes;
use crate::config::ConfigSource;

/// The lease of an invocation that was lost ends after this time.
const LASTS: SignedDuration = SignedDuration::from_secs(30);
/// The holder extends its lease when less than this is left.
const EXTENDED_AT: SignedDuration = SignedDuration::from_secs(12);
/// While a tick goes on, the holder looks whether to extend its lease at this interval.
const EXTENDED_EVERY: Duration = Duration::from_secs(5);
/// A waiting invocation looks at the lease at this interval.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The lease, as one invocation sees it.
#[derive(Debug)]
pub(super) struct Lease {
    s3: Client,
    /// The bucket and the key. None if the config is a file: there is nothing to share then.
    place: Option<(String, String)>,
    /// The name of this invocation.
    own: String,
}

/// What the object says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    holder: String,
    until: Timestamp,
    /// The invocation that waits for the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// What the holder remembered when it gave the lease away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scaler: Option<Scaler>,
}

/// Why the lease could not be read or written.
enum Failure {
    /// Another invocation wrote it in the meantime.
    Changed,
    /// S3 did not answer, in words.
    Unavailable(String),
}

impl Lease {
    /// Returns the lease beside a config, for a new invocation.
    pub(super) fn new(s3: Client, config: &ConfigSource) -> Self {
        let place = match config.beside(LEASE_NAME) {
            ConfigSource::S3 { bucket, key } => Some((bucket, key)),
            ConfigSource::File { .. } => None,
        };
        let own = format!("{}-{}", std::process::id(), Timestamp::now().as_nanosecond());
        Self { s3, place, own }
    }

    /// Waits until this invocation holds the lease. Returns the scaler to go on with, or `None` if the invocation does
    /// not hold the lease by `deadline`.
    ///
    /// If S3 does not answer for as long as a lease lasts, the invocation scales without it. Two scalers at once do
    /// little harm; no scaler does more.
    pub(super) async fn take(&self, deadline: Timestamp) -> Option<Scaler> {
        let begun = Timestamp::now();
        for look in 0.. {
            match self.try_to_take(look == 0).await {
                Ok(Some(scaler)) => return Some(scaler),
                Ok(None) | Err(Failure::Changed) => {}
                Err(Failure::Unavailable(reason)) => {
                    if Timestamp::now().duration_since(begun) >= LASTS {
                        warn!(reason, "cannot use the scaler's lease; scaling without it");
                        return Some(Scaler::after_another());
                    }
                }
            }
            if Timestamp::now() >= deadline {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }

    /// Extends the lease if that is due. Returns false if another invocation holds it or waits for it, and gives it away
    /// with the scaler then.
    pub(super) async fn keep(&self, scaler: &Scaler) -> bool {
        match self.try_to_keep(Some(scaler)).await {
            Ok(is_kept) => is_kept,
            // The next look shows what the other invocation wrote.
            Err(Failure::Changed) => true,
            Err(Failure::Unavailable(reason)) => {
                warn!(reason, "cannot extend the scaler's lease");
                true
            }
        }
    }

    /// Extends the lease again and again while `work` goes on.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(EXTENDED_EVERY, work.as_mut()).await {
                Ok(done) => return done,
                // A failure shows at the next look.
                Err(_) => drop(self.try_to_keep(None).await),
            }
        }
    }

    /// Gives the lease away at the end of the invocation.
    pub(super) async fn give_away(&self, scaler: &Scaler) {
        let Ok(Some((state, version))) = self.read().await else { return };
        if state.holder == self.own {
            let state = State { until: Timestamp::now(), scaler: Some(scaler.clone()), ..state };
            // If that fails, the lease ends by itself.
            let _ = self.write(&state, Some(&version)).await;
        }
    }

    async fn try_to_take(&self, is_first: bool) -> Result<Option<Scaler>, Failure> {
        if self.place.is_none() {
            return Ok(Some(Scaler::after_another()));
        }
        let now = Timestamp::now();
        let own = self.state(now);
        // Without permission to list the bucket, S3 does not tell a missing object from a forbidden one. So the first
        // step is to create it.
        if is_first {
            match self.write(&own, None).await {
                Err(Failure::Changed) => {}
                written => return written.map(|()| Some(Scaler::after_another())),
            }
        }
        let Some((state, version)) = self.read().await? else { return Ok(None) };
        if state.holder == self.own || state.until <= now {
            self.write(&own, Some(&version)).await?;
            return Ok(Some(state.scaler.unwrap_or_else(Scaler::after_another)));
        }
        if state.next.as_ref() != Some(&self.own) {
            self.write(&State { next: Some(self.own.clone()), ..state }, Some(&version)).await?;
        }
        Ok(None)
    }

    /// Extends the lease if that is due. With a scaler, gives it away if another invocation waits for it.
    async fn try_to_keep(&self, scaler: Option<&Scaler>) -> Result<bool, Failure> {
        let Some((state, version)) = self.read().await? else { return Ok(true) };
        let now = Timestamp::now();
        if state.holder != self.own && state.until > now {
            return Ok(false);
        }
        if let (Some(_), Some(scaler)) = (&state.next, scaler) {
            self.write(&State { until: now, scaler: Some(scaler.clone()), ..state }, Some(&version)).await?;
            return Ok(false);
        }
        if state.until.duration_since(now) < EXTENDED_AT {
            let own = State { next: state.next, ..self.state(now) };
            self.write(&own, Some(&version)).await?;
        }
        Ok(true)
    }

    fn state(&self, now: Timestamp) -> State {
        let until = now.checked_add(LASTS).unwrap_or(now);
        State { holder: self.own.clone(), until, next: None, scaler: None }
    }

    async fn read(&self) -> Result<Option<(State, String)>, Failure> {
        let Some((bucket, key)) = &self.place else { return Ok(None) };
        let unavailable = |error: &dyn std::error::Error| Failure::Unavailable(causes(error));
        let got = self.s3.get_object().bucket(bucket).key(key).send().await.map_err(|error| unavailable(&error))?;
        let version = got.e_tag().unwrap_or_default().to_owned();
        let body = got.body.collect().await.map_err(|error| unavailable(&error))?.into_bytes();
        // Treat an unreadable lease as expired.
        let expired = || State { holder: String::new(), until: Timestamp::MIN, next: None, scaler: None };
        Ok(Some((serde_json::from_slice(&body).unwrap_or_else(|_| expired()), version)))
    }

    /// Writes the lease if its version is still this one; without a version, if there is none.
    async fn write(&self, state: &State, version: Option<&str>) -> Result<(), Failure> {
        let Some((bucket, key)) = &self.place else { return Ok(()) };
        let body = serde_json::to_vec(state).unwrap_or_default();
        let put = self.s3.put_object().bucket(bucket).key(key).content_type("application/json");
        let put = put.body(ByteStream::from(body));
        let put = match version {
            Some(version) => put.if_match(version),
            None => put.if_none_match("*"),
        };
        match put.send().await {
            Ok(_) => Ok(()),
            // 412: another version is there; 409: another write is under way.
            Err(error) if error.raw_response().is_some_and(|reply| matches!(reply.status().as_u16(), 409 | 412)) => {
                Err(Failure::Changed)
            }
            Err(error) => Err(Failure::Unavailable(causes(&error))),
        }
    }
}

#[cfg(test)]
mod tests;
