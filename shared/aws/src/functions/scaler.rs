//! The function that scales workers: runs scaling ticks until the next invocation takes over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument;
use trigger_core::launch::Pace;
use trigger_engine::ScalingPorts;
use trigger_engine::ports::{Clock, Launcher, Queues, SystemClock, Workers};

use super::lease::Lease;
use crate::config::{ConfigSource, ConfigSourceError};
use crate::{ConfigCache, EcsLauncher, EcsWorkers, SqsQueues, clients, telemetry};

/// No tick starts later than this before Lambda ends the invocation.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// The function that scales workers.
#[derive(Debug)]
pub struct ScalerFunction {
    configs: Arc<ConfigCache>,
    /// Where the lease is.
    source: ConfigSource,
    s3: Client,
    ports: AwsScaling,
    told: AsyncMutex<BTreeMap<String, String>>,
}

#[derive(Debug)]
struct AwsScaling {
    launcher: EcsLauncher,
    queues: SqsQueues,
    workers: EcsWorkers,
    clock: SystemClock,
    pace: Mutex<Pace>,
}

impl ScalingPorts for AwsScaling {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn queues(&self) -> &impl Queues {
        &self.queues
    }

    fn workers(&self) -> &impl Workers {
        &self.workers
    }

    fn clock(&self) -> &impl Clock {
        &self.clock
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}

impl ScalerFunction {
    /// Reads the config that the environment names and creates the clients.
    ///
    /// # Errors
    /// The config cannot be read or is invalid.
    pub async fn start() -> Result<Self, ConfigSourceError> {
        let sdk_config = clients::sdk_config().await;
        let (source, s3) = (ConfigSource::from_environment()?, clients::s3(&sdk_config));
        let configs = ConfigCache::load(s3.clone()).await?;
        let ecs = clients::ecs(&sdk_config);
        let ports = AwsScaling {
            launcher: EcsLauncher::new(ecs.clone()),
            queues: SqsQueues::new(clients::sqs(&sdk_config), clients::cloudwatch(&sdk_config)),
            workers: EcsWorkers::new(ecs),
            clock: SystemClock,
            pace: Mutex::default(),
        };
        Ok(Self { configs, source, s3, ports, told: AsyncMutex::default() })
    }

    /// Runs scaling ticks for all workers until the next invocation takes over, or this one is nearly over.
    ///
    /// The schedule starts an invocation somewhere in each minute. Each one scales until the next one is there, so that
    /// one scales at a time, without a gap.
    pub async fn scale(&self, deadline: Timestamp) {
        // The decision last logged for each worker.
        let told = &mut *self.told.lock().await;
        let until = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let lease = Lease::new(self.s3.clone(), &self.source);
        let Some(mut scaler) = lease.take(until).await else { return };
        while lease.keep(&scaler).await {
            let config = self.configs.current();
            let looked = async {
                for report in lease.during(scaler.tick(&config, &self.ports)).await {
                    telemetry::report_worker(&report, told);
                }
            };
            looked.instrument(telemetry::span(&config)).await;
            let Some(next) = scaler.next_due(&config).filter(|next| *next <= until) else {
                return lease.give_away(&scaler).await;
            };
            let pause = next.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()).await;
        }
    }
}
