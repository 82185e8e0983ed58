//! The lease of the scaler: of several invocations that run at once, one scales, and the next takes over from it within
//! a tick.
//!
//! The lease is an object beside the config, changed by conditional writes. Its holder extends it. A newer invocation
//! asks for it, and the holder, which looks at every tick, gives it away.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::warn;
use trigger_core::scaling::LEASE_NAME;

use crate::clients::causes;
use crate::config::ConfigSource;

/// The lease of an invocation that was lost ends after this time.
const LASTS: SignedDuration = SignedDuration::from_secs(30);
/// The holder extends its lease when less than this is left.
const EXTENDED_AT: SignedDuration = SignedDuration::from_secs(12);
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    holder: String,
    until: Timestamp,
    /// The invocation that waits for the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
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

    /// Waits until this invocation holds the lease. Returns false if it does not by `deadline`.
    ///
    /// If S3 does not answer, the invocation scales without the lease: two scalers at once do little harm, and none
    /// would.
    pub(super) async fn take(&self, deadline: Timestamp) -> bool {
        for look in 0.. {
            match self.try_to_take(look == 0).await {
                Ok(true) => return true,
                Ok(false) | Err(Failure::Changed) => {}
                Err(Failure::Unavailable(reason)) => {
                    warn!(reason, "cannot use the scaler's lease; scaling without it");
                    return true;
                }
            }
            if Timestamp::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Extends the lease if that is due. Returns false if another invocation holds it or waits for it, and gives it away
    /// then.
    pub(super) async fn keep(&self) -> bool {
        match self.try_to_keep().await {
            Ok(is_kept) => is_kept,
            // The next look shows what the other invocation wrote.
            Err(Failure::Changed) => true,
            Err(Failure::Unavailable(reason)) => {
                warn!(reason, "cannot extend the scaler's lease");
                true
            }
        }
    }

    async fn try_to_take(&self, is_first: bool) -> Result<bool, Failure> {
        if self.place.is_none() {
            return Ok(true);
        }
        let now = Timestamp::now();
        let own = self.state(now);
        // Without permission to list the bucket, S3 does not tell a missing object from a forbidden one: so the first
        // step is to create it.
        if is_first {
            match self.write(&own, None).await {
                Err(Failure::Changed) => {}
                written => return written.map(|()| true),
            }
        }
        let Some((state, version)) = self.read().await? else { return Ok(false) };
        if state.holder == self.own || state.until <= now {
            return self.write(&own, Some(&version)).await.map(|()| true);
        }
        if state.next.as_ref() != Some(&self.own) {
            self.write(&State { next: Some(self.own.clone()), ..state }, Some(&version)).await?;
        }
        Ok(false)
    }

    async fn try_to_keep(&self) -> Result<bool, Failure> {
        let Some((state, version)) = self.read().await? else { return Ok(self.place.is_none()) };
        if state.holder != self.own {
            return Ok(false);
        }
        let now = Timestamp::now();
        if state.next.is_some() {
            self.write(&State { until: now, ..state }, Some(&version)).await?;
            return Ok(false);
        }
        if state.until.duration_since(now) < EXTENDED_AT {
            let own = self.state(now);
            self.write(&own, Some(&version)).await?;
        }
        Ok(true)
    }

    fn state(&self, now: Timestamp) -> State {
        State { holder: self.own.clone(), until: now.checked_add(LASTS).unwrap_or(now), next: None }
    }

    async fn read(&self) -> Result<Option<(State, String)>, Failure> {
        let Some((bucket, key)) = &self.place else { return Ok(None) };
        let unavailable = |error: &dyn std::error::Error| Failure::Unavailable(causes(error));
        let got = self.s3.get_object().bucket(bucket).key(key).send().await.map_err(|error| unavailable(&error))?;
        let version = got.e_tag().unwrap_or_default().to_owned();
        let body = got.body.collect().await.map_err(|error| unavailable(&error))?.into_bytes();
        // An object that is no lease is as good as one that is over.
        let state = serde_json::from_slice(&body);
        let over = State { holder: String::new(), until: Timestamp::MIN, next: None };
        Ok(Some((state.unwrap_or(over), version)))
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
