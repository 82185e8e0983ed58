//! The function that scales workers: runs scaling ticks until its minute is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument;
use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, Launcher, Queues, SystemClock, Workers};
use trigger_engine::{Scaler, ScalingPorts};

use crate::config::ConfigSourceError;
use crate::{ConfigCache, EcsLauncher, EcsWorkers, SqsQueues, clients, telemetry};

/// No tick starts later than this after an invocation began; the schedule starts the next invocation after a minute.
const LOOKS_FOR: SignedDuration = SignedDuration::from_secs(55);
/// No tick starts later than this before Lambda ends the invocation.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// The function that scales workers.
#[derive(Debug)]
pub struct ScalerFunction {
    configs: Arc<ConfigCache>,
    ports: AwsScaling,
    /// The scaler, which remembers while the function is warm, and the decision last logged for each worker.
    state: AsyncMutex<(Scaler, BTreeMap<String, String>)>,
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
        let configs = ConfigCache::load(clients::s3(&sdk_config)).await?;
        let ecs = clients::ecs(&sdk_config);
        let ports = AwsScaling {
            launcher: EcsLauncher::new(ecs.clone()),
            queues: SqsQueues::new(clients::sqs(&sdk_config), clients::cloudwatch(&sdk_config)),
            workers: EcsWorkers::new(ecs),
            clock: SystemClock,
            pace: Mutex::default(),
        };
        Ok(Self { configs, ports, state: AsyncMutex::default() })
    }

    /// Runs scaling ticks for all workers until the minute or the invocation is nearly over.
    pub async fn scale(&self, deadline: Timestamp) {
        let (scaler, told) = &mut *self.state.lock().await;
        let now = Timestamp::now();
        let minute = now.checked_add(LOOKS_FOR).unwrap_or(now);
        let until = deadline.checked_sub(MARGIN).unwrap_or(deadline).min(minute);
        loop {
            let config = self.configs.current();
            let looked = async {
                for report in scaler.tick(&config, &self.ports).await {
                    telemetry::report_worker(&report, told);
                }
            };
            looked.instrument(telemetry::span(&config)).await;
            let Some(next) = scaler.next_due(&config) else { return };
            if next > until {
                return;
            }
            let pause = next.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()).await;
        }
    }
}
