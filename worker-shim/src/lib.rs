//! A worker of an SQS queue that ECS does not stop in the midst of a message.
//!
//! [`work`] receives messages and gives each to a handler: of the binary, a [`command`]; of a program of yours, a function. While
//! messages are worked on the task is protected from scale-in ([`protection`]), and they stay invisible ([`queue`]). When there
//! are none the protection is given back. After SIGTERM no message is taken any more, and the worker ends with the last.

pub mod command;
pub mod protection;
pub mod queue;

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tracing::{error, info, warn};

use protection::Protection;
use queue::{Message, Queue};

/// How long one request for messages waits for some: after SIGTERM it is waited for, as what it brings would be lost for a while.
const LONG_POLL: Duration = Duration::from_secs(4);
/// How long it waits where there is something else to do soon: to give protection back, or to look at another queue.
const SHORT_POLL: Duration = Duration::from_secs(1);
/// How long to wait after SQS or the agent did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// How long at most, when it does not again and again.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often a message is kept invisible at most.
const BEATS_MIN: Duration = Duration::from_millis(500);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The queues, of which each in turn is asked for messages.
    pub queues: Vec<Queue>,
    /// How many messages are worked on at once.
    pub concurrency: usize,
    /// After how long without a message the worker ends. None: never, as a service would only start another.
    pub idle_exit: Option<Duration>,
    /// After how long a failed message can be received again. None: when its visibility timeout is over.
    pub retry_delay: Option<Duration>,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were done with, and deleted.
    pub done: u64,
    /// Messages that failed, and can be received again.
    pub failed: u64,
}

/// Works until SIGTERM (or Ctrl-C), or until no message came for a while. A message whose `handler` fails can be received again; the
/// others are deleted.
///
/// # Errors
/// Signals cannot be heard.
pub async fn work<F, H>(options: Options, protection: Arc<Protection>, handler: H) -> io::Result<Summary>
where
    H: Fn(Message) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let (stop, stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let places = options.concurrency.max(1);
    let shared = Arc::new(Shared {
        options,
        protection,
        stopping,
        busy: Mutex::new(Busy { messages: 0, idle_since: Instant::now(), is_over: false }),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let mut working = JoinSet::new();
    for place in 0..places {
        let (shared, handler) = (Arc::clone(&shared), handler.clone());
        working.spawn(async move { shared.place(place, handler).await });
    }
    let protection = Arc::clone(&shared.protection);
    let renewing = tokio::spawn(async move { protection.renew().await });
    loop {
        tokio::select! {
            ended = working.join_next() => match ended {
                None => break,
                Some(Err(error)) => error!(%error, "a message's worker broke down; the message can be received again"),
                Some(Ok(())) => {}
            },
            _ = terminate.recv() => end(&stop),
            _ = interrupt.recv() => end(&stop),
        }
    }
    renewing.abort();
    shared.protection.release().await;
    Ok(Summary { done: shared.done.load(Ordering::Relaxed), failed: shared.failed.load(Ordering::Relaxed) })
}

fn end(stop: &watch::Sender<bool>) {
    if !stop.send_replace(true) {
        info!("asked to end: no message is taken any more");
    }
}

/// What all places of a worker share.
struct Shared {
    options: Options,
    protection: Arc<Protection>,
    stopping: watch::Receiver<bool>,
    busy: Mutex<Busy>,
    done: AtomicU64,
    failed: AtomicU64,
}

/// How many messages are worked on, and since when there are none.
struct Busy {
    messages: usize,
    idle_since: Instant,
    /// Whether it was idle for so long that the worker ends: for all its places at once.
    is_over: bool,
}

impl Shared {
    /// One message after the other.
    async fn place<F, H>(&self, place: usize, handler: H)
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let queues = &self.options.queues;
        for turn in place.. {
            if self.protection.is_refused() {
                self.until_protected().await;
            }
            // Of several queues each is looked into before one of them is waited for.
            if queues.len() > 1 && self.look_into_each(turn, &handler).await {
                continue;
            }
            let (Some(wait), Some(queue)) = (self.wait(), queues.get(turn % queues.len().max(1))) else { return };
            if !self.receive(queue, wait, &handler).await && self.idle_for().is_some() {
                self.protection.release().await;
            }
        }
    }

    /// Takes a message of the first queue that has one, beginning with another at each turn; whether there was one.
    async fn look_into_each<F, H>(&self, turn: usize, handler: &H) -> bool
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let queues = &self.options.queues;
        for position in 0..queues.len() {
            if *self.stopping.borrow() {
                return false;
            }
            if self.receive(&queues[(turn + position) % queues.len()], Duration::ZERO, handler).await {
                return true;
            }
        }
        false
    }

    /// Waits for a message, and takes it; whether there was one.
    async fn receive<F, H>(&self, queue: &Queue, wait: Duration, handler: &H) -> bool
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        // Never given up before it ends: what it brings would be lost until its visibility timeout is over.
        match queue.receive(wait).await {
            Ok(Some(message)) => {
                self.take(queue, message, handler).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                warn!(%error, "no message could be asked for; it is tried again");
                self.pause(PAUSE).await;
                false
            }
        }
    }

    /// How long to wait for a message. None: no more of them are taken.
    fn wait(&self) -> Option<Duration> {
        if *self.stopping.borrow() {
            return None;
        }
        let usual = if self.options.queues.len() > 1 || self.protection.is_held() { SHORT_POLL } else { LONG_POLL };
        let Some(idle_exit) = self.options.idle_exit else { return Some(usual) };
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.messages > 0 {
            return Some(usual);
        }
        let left = idle_exit.saturating_sub(busy.idle_since.elapsed());
        busy.is_over |= left.is_zero();
        (!busy.is_over).then(|| left.clamp(SHORT_POLL, usual))
    }

    async fn take<F, H>(&self, queue: &Queue, message: Message, handler: &H)
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        if *self.stopping.borrow() {
            return self.give_back(queue, &message, Duration::ZERO).await;
        }
        self.began();
        if let Err(error) = self.protection.hold().await {
            warn!(%error, "the task could not be protected, so that no message is worked on");
            self.give_back(queue, &message, PAUSE).await;
            return self.ended();
        }
        let result = self.handle(queue, &message, handler).await;
        match result {
            Ok(()) => match queue.delete(&message).await {
                Ok(()) => drop(self.done.fetch_add(1, Ordering::Relaxed)),
                Err(error) => error!(message_id = message.id, %error, "a message is done, and could not be deleted"),
            },
            Err(reason) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                error!(message_id = message.id, receive_count = message.receive_count, reason, "a message failed");
                if let Some(delay) = self.options.retry_delay {
                    self.give_back(queue, &message, delay).await;
                }
            }
        }
        self.protection.leave().await;
        self.ended();
    }

    /// Waits until the task can be protected: until then no message is taken, as each time counts for its dead-letter queue.
    async fn until_protected(&self) {
        let mut pause = PAUSE;
        while !*self.stopping.borrow() {
            self.pause(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            if self.protection.hold().await.is_ok() {
                return self.protection.leave().await;
            }
        }
    }

    /// Handles a message, and keeps it invisible meanwhile.
    async fn handle<F, H>(&self, queue: &Queue, message: &Message, handler: &H) -> Result<(), String>
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut handling = tokio::spawn(handler(message.clone()));
        let mut beats = interval((queue.visibility_timeout() / 3).max(BEATS_MIN));
        beats.tick().await;
        loop {
            tokio::select! {
                handled = &mut handling => return handled.unwrap_or_else(|error| Err(error.to_string())),
                _ = beats.tick() => if let Err(error) = queue.keep_invisible(message).await {
                    warn!(message_id = message.id, %error, "the message may become visible before it is done");
                },
            }
        }
    }

    async fn give_back(&self, queue: &Queue, message: &Message, delay: Duration) {
        if let Err(error) = queue.give_back(message, delay).await {
            warn!(message_id = message.id, %error, "the message becomes visible only after its visibility timeout");
        }
    }

    fn began(&self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).messages += 1;
    }

    fn ended(&self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.messages -= 1;
        busy.idle_since = Instant::now();
    }

    /// How long there has been no message, if there is none.
    fn idle_for(&self) -> Option<Duration> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        (busy.messages == 0).then(|| busy.idle_since.elapsed())
    }

    async fn pause(&self, pause: Duration) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}
