//! The config in force: the last good version of it, looked after while events are handled.

use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use tracing::{error, info};
use trigger_core::environment;
use trigger_core::metrics::Metric;
use trigger_core::routing::RoutingConfig;

use super::source::{ConfigSource, ConfigSourceError, Version};
use crate::telemetry::metrics;

/// How long a config is trusted otherwise.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The config in force. A changed version replaces it without a restart; one that is refused does not.
#[derive(Debug)]
pub struct ConfigCache {
    source: ConfigSource,
    s3: Client,
    max_age: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_force: Arc<RoutingConfig>,
    /// The version that was read last, perhaps a refused one.
    seen: Version,
    looked: Instant,
    /// Since when a look is under way.
    looking: Option<Instant>,
    /// Counts the looks: what one finds that was given up for lost does not count any more.
    look: u64,
    /// Why the last look failed, so that each reason is told once.
    trouble: Option<String>,
}

/// How old what was seen last may be for an event that no route is known for.
const MOMENT: Duration = Duration::from_secs(1);

/// After this, a look that has not ended was lost, as when Lambda froze the sandbox during it.
const LOST: Duration = Duration::from_secs(60);

impl ConfigCache {
    /// Reads the config that the environment names.
    ///
    /// # Errors
    /// It cannot be read, or is refused: there is none to go on with.
    pub async fn load(s3: Client) -> Result<Arc<Self>, ConfigSourceError> {
        let source = ConfigSource::from_environment()?;
        let seconds = env::var(environment::CONFIG_MAX_AGE).ok().and_then(|seconds| seconds.parse().ok());
        Self::read(source, s3, seconds.map_or(MAX_AGE, Duration::from_secs)).await
    }

    /// Reads the config of a place, to be trusted for `max_age`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn read(source: ConfigSource, s3: Client, max_age: Duration) -> Result<Arc<Self>, ConfigSourceError> {
        let unreadable =
            || ConfigSourceError::Unreadable { place: source.to_string(), reason: "nothing is there".into() };
        let seen = source.read(&s3, None).await?.ok_or_else(unreadable)?;
        let in_force = Arc::new(seen.parse().inspect_err(|_| metrics::count(Metric::ConfigRefused))?);
        let state = State { in_force, seen, looked: Instant::now(), looking: None, look: 0, trouble: None };
        Ok(Arc::new(Self { source, s3, max_age, state: Mutex::new(state) }))
    }

    /// The config in force. If it has not been looked after for a while, that begins in the background, and the next event may
    /// find a new one.
    pub fn current(self: &Arc<Self>) -> Arc<RoutingConfig> {
        let mut state = self.state();
        let is_looking = state.looking.is_some_and(|since| since.elapsed() < LOST);
        if !is_looking && state.looked.elapsed() >= self.max_age {
            state.looking = Some(Instant::now());
            state.look += 1;
            let (cache, seen, look) = (Arc::clone(self), state.seen.clone(), state.look);
            tokio::spawn(async move { cache.look(seen, look).await });
        }
        Arc::clone(&state.in_force)
    }

    /// The config in force, for a decision: one that was looked after long ago, as before a sandbox lay idle, is looked after first.
    pub async fn in_force(self: &Arc<Self>) -> Arc<RoutingConfig> {
        let is_stale = self.state().looked.elapsed() >= self.max_age * 2;
        if is_stale { self.latest().await } else { self.current() }
    }

    /// The config in force, looked after now: for an event that it knows nothing of, as it may come by a new route. Somebody who asks
    /// again and again is answered from what was seen a moment ago.
    pub async fn latest(self: &Arc<Self>) -> Arc<RoutingConfig> {
        let due = {
            let mut state = self.state();
            let is_due = state.looked.elapsed() >= self.max_age.min(MOMENT);
            is_due.then(|| {
                state.looking = Some(Instant::now());
                state.look += 1;
                (state.seen.clone(), state.look)
            })
        };
        if let Some((seen, look)) = due {
            self.look(seen, look).await;
        }
        Arc::clone(&self.state().in_force)
    }

    async fn look(&self, seen: Version, look: u64) {
        let read = self.source.read(&self.s3, Some(&seen)).await;
        let mut state = self.state();
        if state.look != look {
            return;
        }
        state.looking = None;
        state.looked = Instant::now();
        let version = match read {
            Ok(version) => {
                state.trouble = None;
                version
            }
            Err(reason) => {
                let reason = reason.to_string();
                if state.trouble.as_ref() != Some(&reason) {
                    let config_etag = state.in_force.etag.as_deref();
                    error!(config_etag, reason, "the config cannot be read any more; the one in force stays");
                    metrics::count(Metric::ConfigUnreadable);
                    state.trouble = Some(reason);
                }
                None
            }
        };
        let Some(version) = version else { return };
        let parsed = version.parse();
        let (new, in_force) = (version.etag(), state.in_force.etag.clone());
        match parsed {
            Ok(config) => {
                info!(config_etag = new, replaces = in_force, "a new config is in force");
                state.in_force = Arc::new(config);
            }
            Err(reason) => {
                error!(refused_etag = new, config_etag = in_force, %reason, "a new config is refused; the one in force stays");
                metrics::count(Metric::ConfigRefused);
            }
        }
        // A refused version is told once, not at every look.
        state.seen = version;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
