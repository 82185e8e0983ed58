//! The config in force: the last valid version, checked for changes while events are handled.

use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use tokio::sync::watch;
use tracing::{error, info};
use trigger_core::environment;
use trigger_core::metrics::Metric;
use trigger_core::routing::RoutingConfig;

use super::source::{ConfigSource, ConfigSourceError, Version};
use crate::telemetry::metrics;

/// A config older than this is checked for changes, unless [`environment::CONFIG_MAX_AGE`] sets another age.
const MAX_AGE: Duration = Duration::from_secs(30);
/// A longer [`environment::CONFIG_MAX_AGE`] counts as this.
const MAX_AGE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// The config in force. A new valid version replaces it without a restart; an invalid one does not.
#[derive(Debug)]
pub struct ConfigCache {
    source: ConfigSource,
    s3: Client,
    max_age: Duration,
    state: Mutex<State>,
    /// The number of the last check that has ended.
    checked: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    in_force: Arc<RoutingConfig>,
    /// The last version read, possibly a refused one.
    seen: Version,
    looked: Instant,
    /// When the check under way started.
    looking: Option<Instant>,
    /// Counts the checks. The result of a check that was given up as lost is ignored.
    look: u64,
    /// Why the last check failed; each reason is logged once.
    trouble: Option<String>,
}

/// An event that no known route takes causes a check only if the last check is at least this old.
const MOMENT: Duration = Duration::from_secs(1);

/// An event waits at most this long for the check of a stale config.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A check that takes longer than this counts as lost, for example because Lambda froze the sandbox during it.
const LOST: Duration = Duration::from_secs(60);

impl ConfigCache {
    /// Reads the config that the environment names.
    ///
    /// # Errors
    /// The config cannot be read or is invalid. There is no earlier version to fall back to.
    pub async fn load(s3: Client) -> Result<Arc<Self>, ConfigSourceError> {
        let source = ConfigSource::from_environment()?;
        let seconds = env::var(environment::CONFIG_MAX_AGE).ok().and_then(|seconds| seconds.parse().ok());
        let max_age = seconds.map_or(MAX_AGE, Duration::from_secs).min(MAX_AGE_LIMIT);
        Self::read(source, s3, max_age).await
    }

    /// Reads the config from `source`. It is checked for changes once its last check is `max_age` old.
    ///
    /// # Errors
    /// The config cannot be read or is invalid.
    pub async fn read(source: ConfigSource, s3: Client, max_age: Duration) -> Result<Arc<Self>, ConfigSourceError> {
        let unreadable =
            || ConfigSourceError::Unreadable { place: source.to_string(), reason: "it has no content".into() };
        let seen = source.read(&s3, None).await?.ok_or_else(unreadable)?;
        let in_force = Arc::new(seen.parse().inspect_err(|_| metrics::count(Metric::ConfigRefused))?);
        let state = State { in_force, seen, looked: Instant::now(), looking: None, look: 0, trouble: None };
        Ok(Arc::new(Self { source, s3, max_age, state: Mutex::new(state), checked: watch::Sender::new(0) }))
    }

    /// Returns the config in force. If the last check is older than the maximum age, starts a check in the background;
    /// a later event may then get a new version.
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

    /// Returns the config in force, to decide an event by. If the last check is twice the maximum age old, for example
    /// because the sandbox was idle, checks for changes first.
    pub async fn in_force(self: &Arc<Self>) -> Arc<RoutingConfig> {
        let is_stale = self.state().looked.elapsed() >= self.max_age * 2;
        if !is_stale {
            return self.current();
        }
        // A source that hangs must not hold up an event that the config in memory knows. The check goes on.
        let cache = Arc::clone(self);
        let latest = tokio::spawn(async move { cache.latest().await });
        match tokio::time::timeout(PATIENCE, latest).await {
            Ok(Ok(latest)) => latest,
            _ => Arc::clone(&self.state().in_force),
        }
    }

    /// Checks for changes now, then returns the config in force: for an event that the current version does not know,
    /// because it may come by a new route. Frequent calls share one check a second.
    pub async fn latest(self: &Arc<Self>) -> Arc<RoutingConfig> {
        enum Check {
            Recent,
            UnderWay(watch::Receiver<u64>),
            Due(Version, u64),
        }
        let check = {
            let mut state = self.state();
            let is_looking = state.looking.is_some_and(|since| since.elapsed() < LOST);
            if state.looked.elapsed() < self.max_age.min(MOMENT) {
                Check::Recent
            } else if is_looking {
                // A second check would only make the first one's result worthless.
                Check::UnderWay(self.checked.subscribe())
            } else {
                state.looking = Some(Instant::now());
                state.look += 1;
                Check::Due(state.seen.clone(), state.look)
            }
        };
        match check {
            Check::Recent => {}
            Check::UnderWay(mut checked) => drop(checked.changed().await),
            Check::Due(seen, look) => self.look(seen, look).await,
        }
        Arc::clone(&self.state().in_force)
    }

    async fn look(&self, seen: Version, look: u64) {
        let read = self.source.read(&self.s3, Some(&seen)).await;
        self.conclude(read, look);
        self.checked.send_replace(look);
    }

    fn conclude(&self, read: Result<Option<Version>, ConfigSourceError>, look: u64) {
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
                    error!(config_etag, reason, "cannot read the config; the version in force stays");
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
                error!(refused_etag = new, config_etag = in_force, %reason, "the new config is refused; the version in force stays");
                metrics::count(Metric::ConfigRefused);
            }
        }
        // A refused version counts as seen: it is logged once, not at every check.
        state.seen = version;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
