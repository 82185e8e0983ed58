//! Asks the queues for messages, for all slots of the worker.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::{error, warn};

use crate::lease::Lease;
use crate::protection::{Protection, ProtectionError};
use crate::queue::{Message, Queue, QueueError};
use crate::slot::{Admission, Outcome, Slot};
use crate::{Notice, Options, Summary};

/// The longest wait of one receive request. A stop waits for the request to end: SQS would hide a message that was
/// received and dropped until its visibility timeout is over.
const LONG_POLL: Duration = Duration::from_secs(4);
/// The wait of a receive request if the worker has something else to do soon: give protection back, or ask another
/// queue.
const SHORT_POLL: Duration = Duration::from_secs(1);
/// The pause after SQS or the agent did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest pause. While the task cannot be protected, each pause is twice the one before.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The part of a worker that receives messages, gives each a slot, and holds the protection meanwhile.
pub(crate) struct Receiver<H> {
    options: Options,
    protection: Arc<Protection>,
    handler: H,
    stopping: watch::Receiver<bool>,
    slots: JoinSet<Outcome>,
    summary: Summary,
    /// How many requests were made; it decides which queue comes next.
    turn: usize,
    /// Whether the last request found messages.
    found: bool,
    idle_since: Instant,
}

impl<F, H> Receiver<H>
where
    H: Fn(Message, Notice) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    pub(crate) fn new(
        options: Options,
        protection: Arc<Protection>,
        handler: H,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            options,
            protection,
            handler,
            stopping,
            slots: JoinSet::new(),
            summary: Summary::default(),
            turn: 0,
            found: true,
            idle_since: Instant::now(),
        }
    }

    /// Handles messages until the worker stops or is idle for too long, and then finishes those in progress.
    pub(crate) async fn run(mut self) -> Summary {
        let protection = Arc::clone(&self.protection);
        // A set, so that the renewal ends with this function, however it ends.
        let mut renewing = JoinSet::new();
        renewing.spawn(async move { protection.renew().await });
        loop {
            self.until_a_slot_is_free().await;
            if *self.stopping.borrow() || self.idle_exit_left().is_some_and(|left| left.is_zero()) {
                break;
            }
            self.found = self.look().await;
            self.count_ended();
            if !self.found && self.slots.is_empty() {
                self.protection.release().await;
            }
        }
        while let Some(ended) = self.slots.join_next().await {
            self.count(ended);
        }
        drop(renewing);
        self.protection.release().await;
        self.summary
    }

    fn free(&self) -> usize {
        self.options.concurrency.max(1).saturating_sub(self.slots.len())
    }

    /// Waits until a slot is free or the worker stops.
    async fn until_a_slot_is_free(&mut self) {
        self.count_ended();
        let mut stopping = self.stopping.clone();
        while self.free() == 0 {
            tokio::select! {
                ended = self.slots.join_next() => if let Some(ended) = ended { self.count(ended) },
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    fn count_ended(&mut self) {
        while let Some(ended) = self.slots.try_join_next() {
            self.count(ended);
        }
    }

    fn count(&mut self, ended: Result<Outcome, JoinError>) {
        self.idle_since = Instant::now();
        match ended {
            Ok(Outcome::Done) => self.summary.done += 1,
            Ok(Outcome::Failed) => self.summary.failed += 1,
            Ok(Outcome::NotStarted) => {}
            Err(error) => error!(%error, "a slot of the worker panicked; its message becomes visible later"),
        }
    }

    /// Asks for messages and starts them. Returns whether there were any.
    async fn look(&mut self) -> bool {
        let queues = self.options.queues.len();
        if queues > 1 && self.found {
            // The other queues may have messages too: ask each of them without waiting before waiting for one.
            for _ in 0..queues {
                if *self.stopping.borrow() {
                    return false;
                }
                if self.receive(Duration::ZERO).await {
                    return true;
                }
            }
        }
        self.receive(self.wait()).await
    }

    /// Returns how long the next receive request waits.
    fn wait(&self) -> Duration {
        let has_to_release = self.slots.is_empty() && self.protection.is_held();
        let usual = if self.options.queues.len() > 1 || has_to_release { SHORT_POLL } else { LONG_POLL };
        self.idle_exit_left().map_or(usual, |left| left.clamp(SHORT_POLL, usual))
    }

    /// Returns after what time without a message the worker ends. None: it does not, or has a message.
    fn idle_exit_left(&self) -> Option<Duration> {
        let idle_exit = self.options.idle_exit.filter(|_| self.slots.is_empty())?;
        Some(idle_exit.saturating_sub(self.idle_since.elapsed()))
    }

    /// Asks the next queue for as many messages as there are free slots, and starts them. Returns whether there were
    /// any.
    async fn receive(&mut self, wait: Duration) -> bool {
        let queues = &self.options.queues;
        let Some(queue) = queues.get(self.turn % queues.len().max(1)).cloned() else {
            self.pause(PAUSE).await;
            return false;
        };
        self.turn = self.turn.wrapping_add(1);
        let received_at = Instant::now();
        // Not cancelled by a stop: a message that arrives meanwhile would stay invisible until its visibility timeout
        // is over.
        match queue.receive(wait, queue.batch(self.free())).await {
            Ok(messages) if messages.is_empty() => false,
            Ok(messages) => {
                self.admit(&queue, messages, received_at).await;
                true
            }
            Err(error) => {
                warn!(%error, "cannot receive messages; trying again");
                self.pause(PAUSE).await;
                // Messages may wait meanwhile, unless they are gone with the queue.
                if !matches!(error, QueueError::NoQueue(_)) {
                    self.idle_since = Instant::now();
                }
                false
            }
        }
    }

    /// Gives each message a slot, which keeps it invisible, and starts them together when the task is protected.
    async fn admit(&mut self, queue: &Queue, messages: Vec<Message>, received_at: Instant) {
        let (admit, admission) = watch::channel(Admission::Pending);
        for message in messages {
            let slot = Slot {
                lease: Lease::new(queue.clone(), message, received_at),
                admission: admission.clone(),
                stopping: self.stopping.clone(),
                timeout: self.options.timeout,
                retry_delay: self.options.retry_delay,
            };
            let handler = self.handler.clone();
            self.slots.spawn(async move { slot.run(handler).await });
        }
        let mut stopping = self.stopping.clone();
        let protected = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => {
                admit.send_replace(Admission::Refused(Duration::ZERO));
                return;
            }
            protected = self.protection.hold() => protected,
        };
        match protected {
            Ok(()) => {
                admit.send_replace(Admission::Granted);
            }
            Err(error) => {
                warn!(%error, "cannot protect the task; its messages go back, and it takes none until it is protected");
                admit.send_replace(Admission::Refused(PAUSE));
                self.until_protected().await;
            }
        }
    }

    /// Waits until the task is protected or the worker stops. Until then the worker takes no message: each receive
    /// counts towards the queue's `maxReceiveCount`.
    async fn until_protected(&mut self) {
        let mut stopping = self.stopping.clone();
        let protecting = async {
            let mut pause = PAUSE;
            loop {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                match self.protection.hold().await {
                    Ok(()) => return,
                    Err(ProtectionError::Refused(_)) => {
                        // What is left of an earlier protection must not hold up the deployment that blocks the next.
                        self.count_ended();
                        if self.slots.is_empty() {
                            self.protection.release().await;
                        }
                    }
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            () = protecting => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        // It was not the queue that kept the worker waiting.
        self.idle_since = Instant::now();
    }

    async fn pause(&self, pause: Duration) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::queue::tests::queue;
    use crate::stand_in::Sqs;

    #[tokio::test]
    async fn what_is_left_of_a_protection_is_given_back_while_ecs_refuses_the_next_one() {
        let calls = AtomicUsize::new(0);
        let sqs = Sqs::start(move |call| {
            // The renewal, the message, and the first repetition.
            let refuses = call == "PutProtection" && (1..=3).contains(&calls.fetch_add(1, Ordering::Relaxed));
            refuses.then(|| (200, json!({ "failure": { "Arn": "a", "Reason": "DEPLOYMENT_BLOCKED" } })))
        });
        sqs.send("images", "a message");
        let protection = Arc::new(Protection::new(Some(&sqs.endpoint())).expect("is an address"));
        protection.hold().await.expect("the agent agrees");
        protection.renew_once().await;
        let options = Options {
            queues: vec![queue(&sqs, Duration::from_secs(60)).await],
            concurrency: 1,
            idle_exit: Some(Duration::from_secs(4)),
            retry_delay: None,
            timeout: None,
        };
        let (_stop, stopping) = watch::channel(false);
        let summary = Receiver::new(options, protection, |_, _| async { Ok(()) }, stopping).run().await;
        assert_eq!(summary, Summary { done: 1, failed: 0 });
        let asked = sqs.calls("PutProtection");
        let asked: Vec<_> = asked.iter().filter_map(|put| put["ProtectionEnabled"].as_bool()).collect();
        assert_eq!(asked, [true, true, true, true, false, true, false]);
    }
}
