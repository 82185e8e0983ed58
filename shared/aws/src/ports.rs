//! The engine's ports on AWS, together.

use std::env;
use std::sync::Mutex;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use trigger_core::environment;
use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, DeadLetters, LaunchStore, Launcher, Payloads, Ports, SystemClock, WorkQueue};

use crate::{DynamoStore, EcsLauncher, S3Payloads, SqsDeadLetters, SqsWorkQueue, clients};

/// The ports of a function. The stack names the table and the queues in the environment: they stay the same while the
/// routing config changes.
#[derive(Debug)]
pub struct Aws {
    launcher: EcsLauncher,
    payloads: S3Payloads,
    store: Option<DynamoStore>,
    work: Option<SqsWorkQueue>,
    dead_letters: Option<SqsDeadLetters>,
    clock: SystemClock,
    pace: Mutex<Pace>,
}

/// Where a stack keeps what its functions share.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The name of the table with the launches.
    pub table: Option<String>,
    /// The URL of the work queue.
    pub work_queue: Option<String>,
    /// The URL of the dead-letter queue.
    pub dead_letter_queue: Option<String>,
}

impl Aws {
    /// Creates the ports for the account whose credentials are in the environment, and an S3 client.
    pub async fn new() -> (Self, Client) {
        let sdk_config = clients::sdk_config().await;
        let places = Places {
            table: set(environment::TABLE),
            work_queue: set(environment::WORK_QUEUE),
            dead_letter_queue: set(environment::DEAD_LETTER_QUEUE),
        };
        (Self::at(&sdk_config, places), clients::s3(&sdk_config))
    }

    /// Creates the ports of a stack.
    pub fn at(sdk_config: &SdkConfig, places: Places) -> Self {
        let sqs = clients::sqs(sdk_config);
        Self {
            launcher: EcsLauncher::new(clients::ecs(sdk_config)),
            payloads: S3Payloads::new(clients::s3(sdk_config)),
            store: places.table.map(|table| DynamoStore::new(clients::dynamodb(sdk_config), table)),
            work: places.work_queue.map(|url| SqsWorkQueue::new(sqs.clone(), url)),
            dead_letters: places.dead_letter_queue.map(|url| SqsDeadLetters::new(sqs, url)),
            clock: SystemClock,
            pace: Mutex::default(),
        }
    }

    /// Returns the first variable that a ledger needs and the environment lacks.
    pub(crate) fn lacks_for_ledger(&self) -> Option<&'static str> {
        let needed = [
            (environment::TABLE, self.store.is_some()),
            (environment::WORK_QUEUE, self.work.is_some()),
            (environment::DEAD_LETTER_QUEUE, self.dead_letters.is_some()),
        ];
        needed.into_iter().find(|(_, is_there)| !is_there).map(|(variable, _)| variable)
    }
}

/// Returns the value of a variable, unless it is empty.
fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

impl Ports for Aws {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn payloads(&self) -> &impl Payloads {
        &self.payloads
    }

    fn store(&self) -> Option<&impl LaunchStore> {
        self.store.as_ref()
    }

    fn work(&self) -> Option<&impl WorkQueue> {
        self.work.as_ref()
    }

    fn dead_letters(&self) -> Option<&impl DeadLetters> {
        self.dead_letters.as_ref()
    }

    fn clock(&self) -> &impl Clock {
        &self.clock
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}
