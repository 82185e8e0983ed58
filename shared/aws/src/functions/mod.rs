//! What the functions have in common around the engine: the config in force, the ports and the log.

mod lease;
mod scaler;

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{DecodeError, Delivery, Door, Event, Opened, Record, RedrivenLaunch, TaskStateChange};
use trigger_core::routing::{MatchedEvent, RoutingConfig};
use trigger_engine::{
    Delivered, DriveError, EventError, LaunchReport, MessageOutcome, Times, continue_launches, handle, handle_batch,
    handle_state_change, redrive, sweep,
};

use crate::config::ConfigSourceError;
use crate::{Aws, ConfigCache, telemetry};
pub use scaler::ScalerFunction;

/// Work that is not done this long before Lambda ends the invocation is given up, so that its reply and its log line
/// still leave.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(2);

/// A function that handles deliveries, with its configs and its connections to AWS.
#[derive(Debug)]
pub struct Function {
    configs: Arc<ConfigCache>,
    ports: Aws,
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config cannot be loaded.
    #[error(transparent)]
    Config(#[from] ConfigSourceError),
    /// The config has a ledger, but the environment lacks a variable that a ledger needs.
    #[error(
        "the config has a ledger, which needs a table, a work queue and a dead-letter queue, but {0} is not set: run \
         `ecs-trigger deploy`, which sets it, set it yourself, or write `ledger: off` in the config"
    )]
    Incomplete(&'static str),
}

impl Function {
    /// Loads the config that the environment names, and creates the AWS clients.
    ///
    /// # Errors
    /// The config cannot be loaded, or it has a ledger and the environment lacks a variable that a ledger needs.
    pub async fn start() -> Result<Self, StartError> {
        let (ports, s3) = Aws::new().await;
        let configs = ConfigCache::load(s3).await?;
        if configs.current().ledger().is_some()
            && let Some(variable) = ports.lacks_for_ledger()
        {
            return Err(StartError::Incomplete(variable));
        }
        Ok(Self { configs, ports })
    }

    /// Handles what the function was invoked with, and logs the outcome. Returns the ids of the messages that go back
    /// to their queue.
    ///
    /// # Errors
    /// The whole delivery must be made again. The returned error makes Lambda repeat it and finally dead-letter it.
    pub async fn invoke(&self, door: Door, text: &str, deadline: Timestamp) -> Result<Vec<String>, InvokeError> {
        let started = Instant::now();
        let Opened { text, content } = Delivery::open(door, text);
        match content {
            Ok(Delivery::Batch(records)) => return Ok(self.handle_batch(&records, started, deadline).await),
            Ok(Delivery::StateChange(change)) => self.record(&change, deadline).await?,
            Ok(Delivery::Work(launches)) => self.work(&launches, deadline).await?,
            Ok(Delivery::Sweep) => self.sweep(deadline).await?,
            Ok(Delivery::Redrive(launch)) => self.redrive(&launch, started, deadline).await?,
            Ok(Delivery::Event(event)) => self.handle_event(&text, *event, started, deadline).await?,
            Err(error) => self.refuse(door, &text, error, started, deadline).await?,
        }
        Ok(Vec::new())
    }

    /// Handles an event by the config in force. If none of its routes takes the event, handles it by the latest config: a new
    /// route's event may arrive before its config.
    async fn handle_event(
        &self,
        text: &str,
        event: Event,
        started: Instant,
        deadline: Timestamp,
    ) -> Result<(), EventError> {
        let config = self.configs.in_force().await;
        let matched = config.match_event(event);
        if matched.is_taken() {
            return self.handle(text, Ok(matched), &config, started, deadline).await;
        }
        let latest = self.configs.latest().await;
        let matched = if Arc::ptr_eq(&latest, &config) { matched } else { latest.match_event(matched.event) };
        self.handle(text, Ok(matched), &latest, started, deadline).await
    }

    /// Reports a text that cannot be decoded. The dead-letter queue takes it if the text is the whole of one event; a batch and what is
    /// only about launches are raised.
    async fn refuse(
        &self,
        door: Door,
        text: &str,
        error: DecodeError,
        started: Instant,
        deadline: Timestamp,
    ) -> Result<(), EventError> {
        let config = self.configs.in_force().await;
        match door {
            Door::EventBridge | Door::Schedule => self.handle(text, Err(error), &config, started, deadline).await,
            Door::Queue | Door::TaskLifecycle => {
                let error = EventError::Decode(error);
                telemetry::span(&config).in_scope(|| unsettled(Err(error), started)).map_or(Ok(()), Err)
            }
        }
    }

    async fn handle(
        &self,
        text: &str,
        event: Result<MatchedEvent<'_>, DecodeError>,
        config: &RoutingConfig,
        started: Instant,
        deadline: Timestamp,
    ) -> Result<(), EventError> {
        let times = Times { now: Timestamp::now(), deadline: Some(deadline) };
        let handled = async {
            let handled = handle(Delivered { text, event, times }, config, &self.ports);
            unsettled(in_time(deadline, handled).await.unwrap_or(Err(EventError::OutOfTime)), started)
        };
        handled.instrument(telemetry::span(config)).await.map_or(Ok(()), Err)
    }

    async fn redrive(&self, launch: &RedrivenLaunch, started: Instant, deadline: Timestamp) -> Result<(), EventError> {
        let config = self.configs.in_force().await;
        let redriven = async {
            let redriven = redrive(launch, &config, &self.ports, Some(deadline));
            unsettled(in_time(deadline, redriven).await.unwrap_or(Err(EventError::OutOfTime)), started)
        };
        redriven.instrument(telemetry::span(&config)).await.map_or(Ok(()), Err)
    }

    async fn handle_batch(&self, records: &[Record], started: Instant, deadline: Timestamp) -> Vec<String> {
        let config = self.config_for(records).await;
        let handled = async {
            let settled = Mutex::new(HashSet::new());
            let tell = |record: &Record, outcome: &MessageOutcome| {
                telemetry::report_message(record, outcome, started.elapsed());
                if !outcome.goes_back() {
                    settled.lock().unwrap_or_else(PoisonError::into_inner).insert(record.message_id.clone());
                }
            };
            let times = Times { now: Timestamp::now(), deadline: Some(deadline) };
            if in_time(deadline, handle_batch(records, &config, &self.ports, times, tell)).await.is_none() {
                telemetry::report(&Err(EventError::OutOfTime), started.elapsed());
            }
            // Without an outcome, a message goes back: one that hangs must not take the others of its batch along.
            let settled = settled.into_inner().unwrap_or_else(PoisonError::into_inner);
            records.iter().map(|record| record.message_id.clone()).filter(|id| !settled.contains(id)).collect()
        };
        handled.instrument(telemetry::span(&config)).await
    }

    /// Returns the config in force, or the latest one if no route of it is on a record's queue.
    async fn config_for(&self, records: &[Record]) -> Arc<RoutingConfig> {
        let config = self.configs.in_force().await;
        let is_known = |record: &Record| config.queues().into_iter().any(|queue| queue.name == record.queue.name);
        if records.iter().all(is_known) { config } else { self.configs.latest().await }
    }

    /// Records how a task ended, and does what follows.
    async fn record(&self, change: &TaskStateChange, deadline: Timestamp) -> Result<(), DriveError> {
        let config = self.configs.in_force().await;
        let recorded = handle_state_change(change, &config, &self.ports, Some(deadline));
        logged(&config, deadline, recorded, |result| telemetry::report_state_change(change, result)).await
    }

    /// Looks at everything that is due.
    async fn sweep(&self, deadline: Timestamp) -> Result<(), DriveError> {
        let config = self.configs.in_force().await;
        let swept = sweep(&config, &self.ports, Some(deadline));
        logged(&config, deadline, swept, telemetry::report_sweep).await
    }

    /// Continues launches from the work queue.
    async fn work(&self, launches: &[LaunchKey], deadline: Timestamp) -> Result<(), DriveError> {
        let config = self.configs.in_force().await;
        let continued = async { Ok(continue_launches(launches, &config, &self.ports, Some(deadline)).await) };
        logged(&config, deadline, continued, telemetry::report_sweep).await
    }
}

/// Waits for what becomes of launches, until the deadline, and logs it.
async fn logged<T>(
    config: &RoutingConfig,
    deadline: Timestamp,
    work: impl Future<Output = Result<T, DriveError>>,
    log: impl FnOnce(&Result<T, DriveError>),
) -> Result<(), DriveError> {
    let done = async {
        let result = in_time(deadline, work).await.unwrap_or(Err(DriveError::OutOfTime));
        log(&result);
        result.map(drop)
    };
    done.instrument(telemetry::span(config)).await
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// An event must be delivered again.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A launch could not be continued.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

impl InvokeError {
    /// Returns the error's name, by which Lambda reports it and logs count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(error) => error.kind(),
            Self::Drive(error) => error.kind(),
        }
    }
}

/// Waits for a result as long as the invocation can still tell Lambda what became of it.
async fn in_time<T>(deadline: Timestamp, work: impl Future<Output = T>) -> Option<T> {
    let left = deadline.duration_since(Timestamp::now()) - LAST_WORDS;
    tokio::time::timeout(Duration::try_from(left).unwrap_or_default(), work).await.ok()
}

/// Reports the result of an event. Returns its error if the event must be delivered again; one in the dead-letter queue need not be.
fn unsettled(result: Result<LaunchReport, EventError>, started: Instant) -> Option<EventError> {
    telemetry::report(&result, started.elapsed());
    result.err().filter(|error| !error.is_settled())
}

/// When an invocation ends, as Lambda tells it: in milliseconds since 1970.
pub fn deadline(milliseconds: u64) -> Timestamp {
    let deadline = i64::try_from(milliseconds).ok().and_then(|deadline| Timestamp::from_millisecond(deadline).ok());
    deadline.unwrap_or(Timestamp::MAX)
}
