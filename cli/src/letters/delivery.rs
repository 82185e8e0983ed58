//! Delivers dead letters again.

use std::sync::Mutex;

use trigger_aws::Aws;
use trigger_core::dead_letters::Redelivery;
use trigger_core::event::{Event, Record};
use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, DeadLetters, LaunchStore, Launcher, Payloads, Ports, WorkQueue};
use trigger_engine::{
    Delivered, EventError, LaunchReport, MessageOutcome, Times, handle, handle_batch, operate, redrive,
};

use super::{Mailbox, Pass, Received};
use crate::operation::Deployed;

const NO_ROUTE: &str = "no route of the config in force takes its event";

/// Delivers letters again, and deletes those that are recorded.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) deployed: &'a Deployed,
    pub(crate) mailbox: &'a Mailbox,
}

impl Delivery<'_> {
    /// Delivers a letter, and deletes it once that is recorded.
    ///
    /// # Errors
    /// The letter stays in its queue, for this reason.
    pub(crate) async fn deliver(&self, received: &Received) -> Result<(), String> {
        let (_, mut redelivery) = received.message.read(&self.deployed.config);
        if let Redelivery::Stored(uri) = &redelivery {
            let event = self.deployed.ports.payloads().get(uri).await.map_err(|error| error.to_string())?;
            redelivery = received.message.with_event(&event).read(&self.deployed.config).1;
        }
        self.carry_out(received, redelivery).await?;
        Pass::delete(&self.deployed.account.sqs, self.mailbox, received).await.map_err(|error| {
            format!("it was delivered, but not deleted: {error}; redrive it again, which starts nothing twice")
        })
    }

    async fn carry_out(&self, received: &Received, redelivery: Redelivery) -> Result<(), String> {
        let Deployed { account, config, ports, .. } = self.deployed;
        match redelivery {
            Redelivery::Launch(redriven) => {
                let deadline = operate::deadline(config, ports);
                redrive(&redriven, config, ports, deadline).await.map(drop).map_err(|error| error.to_string())
            }
            Redelivery::Event(event) => self.handle(*event).await,
            Redelivery::Messages(records) => self.handle_batch(&records).await,
            Redelivery::SendBack(_) => received.send_back(&account.sqs).await,
            Redelivery::Stored(uri) => Err(format!("its event is at {uri}")),
            Redelivery::Needless => Ok(()),
            Redelivery::Impossible(reason) => Err(reason),
        }
    }

    async fn handle(&self, event: Event) -> Result<(), String> {
        let (config, ports) = (&self.deployed.config, &WithoutLetters(&self.deployed.ports));
        let text = event.text.clone();
        let delivered = Delivered { text: &text, event: Ok(config.match_event(event)), times: self.times() };
        recorded(&handle(delivered, config, ports).await)
    }

    async fn handle_batch(&self, records: &[Record]) -> Result<(), String> {
        let (config, ports) = (&self.deployed.config, &WithoutLetters(&self.deployed.ports));
        for outcome in handle_batch(records, config, ports, self.times(), |_, _| {}).await {
            match outcome {
                MessageOutcome::Done(reports) => reports.into_iter().try_for_each(|report| recorded(&Ok(report)))?,
                MessageOutcome::Failed(results) => results.iter().try_for_each(recorded)?,
                MessageOutcome::Ignored(ignored) => return Err(ignored.to_string()),
                MessageOutcome::HeldBack => return Err("an earlier message of its group failed".to_owned()),
            }
        }
        Ok(())
    }

    /// Returns the times of a delivery.
    fn times(&self) -> Times {
        let Deployed { config, ports, .. } = self.deployed;
        operate::times(config, ports)
    }
}

fn recorded(result: &Result<LaunchReport, EventError>) -> Result<(), String> {
    match result {
        Ok(report) if report.routes.is_empty() => Err(NO_ROUTE.to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The ports of a stack without its dead-letter queue: an event that fails again keeps its letter, and needs no other.
struct WithoutLetters<'a>(&'a Aws);

impl Ports for WithoutLetters<'_> {
    fn launcher(&self) -> &impl Launcher {
        self.0.launcher()
    }

    fn payloads(&self) -> &impl Payloads {
        self.0.payloads()
    }

    fn store(&self) -> Option<&impl LaunchStore> {
        self.0.store()
    }

    fn work(&self) -> Option<&impl WorkQueue> {
        self.0.work()
    }

    fn dead_letters(&self) -> Option<&impl DeadLetters> {
        self.0.dead_letters().filter(|_| false)
    }

    fn clock(&self) -> &impl Clock {
        self.0.clock()
    }

    fn pace(&self) -> &Mutex<Pace> {
        self.0.pace()
    }
}
