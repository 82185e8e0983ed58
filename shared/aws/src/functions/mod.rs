//! What every function does around the engine: the config in force, the ports, the log.

mod scaler;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tracing::Instrument;
use trigger_core::environment::DEAD_LETTER_QUEUE;
use trigger_core::event::{DecodeError, Event, LifecycleEvent, Record};
use trigger_core::routing::RoutingConfig;
use trigger_engine::ports::Ports;
use trigger_engine::{
    Delivered, DriveError, EventError, MessageOutcome, Times, handle, handle_batch, handle_state_change, sweep,
};

use crate::config::ConfigSourceError;
use crate::{Aws, ConfigCache, telemetry};
pub use scaler::ScalerFunction;

/// A function.
#[derive(Debug)]
pub struct Function {
    configs: Arc<ConfigCache>,
    ports: Aws,
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no config to go on with.
    #[error(transparent)]
    Config(#[from] ConfigSourceError),
    /// The config has a ledger, and the environment no dead-letter queue.
    #[error(
        "the config has a ledger, which ends what cannot be launched in a dead-letter queue: set {DEAD_LETTER_QUEUE} to \
         the queue's URL, or write `ledger: off` in the config"
    )]
    NoDeadLetterQueue,
}

impl Function {
    /// Reads the config that the environment names, and makes the clients.
    ///
    /// # Errors
    /// There is no config to go on with, or what it needs is not there.
    pub async fn start() -> Result<Self, StartError> {
        let (ports, s3) = Aws::new().await;
        let configs = ConfigCache::load(s3).await?;
        if configs.current().ledger().is_some() && ports.dead_letters().is_none() {
            return Err(StartError::NoDeadLetterQueue);
        }
        Ok(Self { configs, ports })
    }

    /// Handles an event that was delivered as `text`, and logs what became of it.
    ///
    /// # Errors
    /// The event must be delivered again: raised, it makes Lambda do that, and in the end dead-letter it.
    pub async fn handle(
        &self,
        text: &str,
        event: Result<Event, DecodeError>,
        deadline: Timestamp,
    ) -> Result<(), EventError> {
        let started = Instant::now();
        let config = self.config_for(|config| event.as_ref().is_ok_and(|event| knows(config, event))).await;
        let handled = async {
            let delivered = Delivered { text, event, now: Timestamp::now(), deadline: Some(deadline) };
            let result = handle(delivered, &config, &self.ports).await;
            telemetry::report(&result, started.elapsed());
            match result {
                Err(error) if !error.is_settled() => Err(error),
                _ => Ok(()),
            }
        };
        handled.instrument(telemetry::span(&config)).await
    }

    /// The config in force; the latest one if that knows nothing of what has come: a new route's event may be here before its config is
    /// looked after.
    async fn config_for(&self, knows: impl Fn(&RoutingConfig) -> bool) -> Arc<RoutingConfig> {
        let config = self.configs.in_force().await;
        if knows(&config) { config } else { self.configs.latest().await }
    }

    /// Handles a decoded batch of messages, logs what became of each, and tells the ids of those that go back to their queue.
    ///
    /// # Errors
    /// It is no batch, and names no message that could go back alone: raised, all go back.
    pub async fn handle_batch(
        &self,
        decoded: Result<Vec<Record>, DecodeError>,
        deadline: Timestamp,
    ) -> Result<Vec<String>, EventError> {
        let started = Instant::now();
        let of_known_queue = |config: &RoutingConfig, record: &Record| {
            let mut known = config.queues().into_iter();
            known.any(|queue| queue.name == record.queue.name)
        };
        let knows_all =
            |records: &Vec<Record>, config: &RoutingConfig| records.iter().all(|record| of_known_queue(config, record));
        let config = self.config_for(|config| decoded.as_ref().is_ok_and(|records| knows_all(records, config))).await;
        let handled = async {
            let records = decoded.map_err(EventError::Decode).inspect_err(|error| {
                telemetry::report(&Err(error.clone()), started.elapsed());
            })?;
            let tell = |record: &Record, outcome: &MessageOutcome| {
                telemetry::report_message(record, outcome, started.elapsed());
            };
            let times = Times { now: Timestamp::now(), deadline: Some(deadline) };
            let outcomes = handle_batch(&records, &config, &self.ports, times, tell).await;
            let goes_back = records.iter().zip(&outcomes).filter(|(_, outcome)| outcome.goes_back());
            Ok(goes_back.map(|(record, _)| record.message_id.clone()).collect())
        };
        handled.instrument(telemetry::span(&config)).await
    }

    /// Sees to what comes after a launch, and logs what became of it.
    ///
    /// # Errors
    /// It must be delivered again.
    pub async fn look_after(&self, event: &LifecycleEvent, deadline: Timestamp) -> Result<(), DriveError> {
        let config = self.configs.in_force().await;
        let looked = async {
            match event {
                LifecycleEvent::TaskStateChange(change) => {
                    let result = handle_state_change(change, config.ledger(), &self.ports, Some(deadline)).await;
                    telemetry::report_state_change(change, &result);
                    result.map(drop)
                }
                LifecycleEvent::Sweep => self.sweep(&config, deadline).await,
            }
        };
        looked.instrument(telemetry::span(&config)).await
    }

    async fn sweep(&self, config: &RoutingConfig, deadline: Timestamp) -> Result<(), DriveError> {
        let Some(storage) = config.ledger() else { return Ok(()) };
        let result = sweep(storage, &self.ports, Some(deadline)).await;
        telemetry::report_sweep(&result);
        result.map(drop)
    }
}

/// Whether a route takes an event, as far as this config goes.
fn knows(config: &RoutingConfig, event: &Event) -> bool {
    config.matches(event).is_ok_and(|routes| !routes.is_empty())
}

/// When an invocation ends, as Lambda tells it: in milliseconds since 1970.
pub fn deadline(milliseconds: u64) -> Timestamp {
    let deadline = i64::try_from(milliseconds).ok().and_then(|deadline| Timestamp::from_millisecond(deadline).ok());
    deadline.unwrap_or(Timestamp::MAX)
}
