//! The engine's ports on AWS, together.

use std::env;
use std::sync::Mutex;

use aws_sdk_s3::Client;
use trigger_core::environment;
use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, DeadLetters, Launcher, Ledger, Payloads, Ports, SystemClock};

use crate::dead_letters::SqsDeadLetters;
use crate::{EcsLauncher, S3Ledger, S3Payloads, clients};

/// The ports of a function.
#[derive(Debug)]
pub struct Aws {
    launcher: EcsLauncher,
    payloads: S3Payloads,
    ledger: S3Ledger,
    dead_letters: Option<SqsDeadLetters>,
    clock: SystemClock,
    pace: Mutex<Pace>,
}

impl Aws {
    /// Creates the ports for the account whose credentials are in the environment, and an S3 client.
    pub async fn new() -> (Self, Client) {
        let sdk_config = clients::sdk_config().await;
        let s3 = clients::s3(&sdk_config);
        let queue_url = env::var(environment::DEAD_LETTER_QUEUE).ok().filter(|url| !url.is_empty());
        let aws = Self {
            launcher: EcsLauncher::new(clients::ecs(&sdk_config)),
            payloads: S3Payloads::new(s3.clone()),
            ledger: S3Ledger::new(s3.clone()),
            dead_letters: queue_url.map(|url| SqsDeadLetters::new(clients::sqs(&sdk_config), url)),
            clock: SystemClock,
            pace: Mutex::default(),
        };
        (aws, s3)
    }
}

impl Ports for Aws {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn payloads(&self) -> &impl Payloads {
        &self.payloads
    }

    fn ledger(&self) -> &impl Ledger {
        &self.ledger
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
