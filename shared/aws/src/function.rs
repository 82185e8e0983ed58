//! What every function that launches tasks does around the engine: the config in force, the ports, the log.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tracing::Instrument;
use trigger_core::event::{DecodeError, Event, Record};
use trigger_engine::{EventError, MessageOutcome, Ports, handle, handle_batch};

use crate::config_source::ConfigSourceError;
use crate::{ConfigCache, EcsLauncher, S3Payloads, clients, telemetry};

/// A function that launches tasks.
#[derive(Debug)]
pub struct Function {
    configs: Arc<ConfigCache>,
    ports: Ports<EcsLauncher, S3Payloads>,
}

impl Function {
    /// Reads the config that the environment names, and makes the clients.
    ///
    /// # Errors
    /// There is no config to go on with.
    pub async fn start() -> Result<Self, ConfigSourceError> {
        let sdk_config = clients::sdk_config().await;
        let s3 = clients::s3(&sdk_config);
        let configs = ConfigCache::load(s3.clone()).await?;
        let launcher = EcsLauncher::new(clients::ecs(&sdk_config));
        Ok(Self { configs, ports: Ports { launcher, payloads: S3Payloads::new(s3) } })
    }

    /// Handles a decoded event, and logs what became of it.
    ///
    /// # Errors
    /// The event must be delivered again: raised, it makes Lambda do that, and in the end dead-letter it.
    pub async fn handle(&self, decoded: Result<Event, DecodeError>) -> Result<(), EventError> {
        let (started, config) = (Instant::now(), self.configs.current());
        let handled = async {
            let result = handle(decoded, &config, &self.ports, Timestamp::now()).await;
            telemetry::report(&result, started.elapsed());
            result.map(drop)
        };
        handled.instrument(telemetry::span(&config)).await
    }

    /// Handles a decoded batch of messages, logs what became of each, and tells the ids of those that go back to their queue.
    ///
    /// # Errors
    /// It is no batch, and names no message that could go back alone: raised, all go back.
    pub async fn handle_batch(&self, decoded: Result<Vec<Record>, DecodeError>) -> Result<Vec<String>, EventError> {
        let (started, config) = (Instant::now(), self.configs.current());
        let handled = async {
            let records = decoded.map_err(EventError::Decode).inspect_err(|error| {
                telemetry::report(&Err(error.clone()), started.elapsed());
            })?;
            let tell = |record: &Record, outcome: &MessageOutcome| {
                telemetry::report_message(record, outcome, started.elapsed());
            };
            let outcomes = handle_batch(&records, &config, &self.ports, Timestamp::now(), tell).await;
            let goes_back = records.iter().zip(&outcomes).filter(|(_, outcome)| outcome.goes_back());
            Ok(goes_back.map(|(record, _)| record.message_id.clone()).collect())
        };
        handled.instrument(telemetry::span(&config)).await
    }
}
