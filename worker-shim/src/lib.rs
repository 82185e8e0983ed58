//! A worker of an SQS queue that ECS does not scale in while it works on a message.
//!
//! [`work`] receives messages and passes each to a handler: a [`command`] in the binary, a function in a program of
//! your own. While the worker has messages, it protects its task from scale-in ([`protection`]) and keeps the messages
//! invisible ([`queue`]). When it has none, it gives the protection back. After SIGTERM it takes no more messages, and
//! ends after those it has.

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
/// The shortest interval between two extensions of a message's visibility timeout.
const BEATS_MIN: Duration = Duration::from_millis(500);

/// A worker's settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The queues. The worker asks them for messages in turn.
    pub queues: Vec<Queue>,
    /// How many messages the worker handles at once; 0 counts as 1.
    pub concurrency: usize,
    /// The worker ends after this time without a message. None: it never does, as a service would only start another.
    pub idle_exit: Option<Duration>,
    /// When a failed message becomes visible again. None: when its visibility timeout is over.
    pub retry_delay: Option<Duration>,
}

/// How many messages a worker handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were handled and deleted.
    pub done: u64,
    /// Messages that failed and can be received again.
    pub failed: u64,
}

/// Handles messages until SIGTERM or Ctrl-C, or until no message has come for [`Options::idle_exit`]. A message whose
/// `handler` fails can be received again; the others are deleted.
///
/// # Errors
/// The signal handlers cannot be installed.
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
                Some(Err(error)) => error!(%error, "a place of the worker panicked; its message becomes visible later"),
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
        info!("asked to stop: the worker takes no more messages");
    }
}

/// The state that all places of a worker share. Each place handles one message at a time.
struct Shared {
    options: Options,
    protection: Arc<Protection>,
    stopping: watch::Receiver<bool>,
    busy: Mutex<Busy>,
    done: AtomicU64,
    failed: AtomicU64,
}

struct Busy {
    messages: usize,
    idle_since: Instant,
    /// Whether the idle exit has passed. Once set, every place ends.
    is_over: bool,
}

impl Shared {
    /// Handles one message after another until the worker stops.
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
            // With several queues, ask each of them without waiting before waiting for one.
            if queues.len() > 1 && self.look_into_each(turn, &handler).await {
                continue;
            }
            let (Some(wait), Some(queue)) = (self.wait(), queues.get(turn % queues.len().max(1))) else { return };
            if !self.receive(queue, wait, &handler).await && self.idle_for().is_some() {
                self.protection.release().await;
            }
        }
    }

    /// Asks each queue once without waiting, starting from another one at each turn, and handles the first message
    /// found. Returns whether there was one.
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

    /// Waits for a message and handles it. Returns whether there was one.
    async fn receive<F, H>(&self, queue: &Queue, wait: Duration, handler: &H) -> bool
    where
        H: Fn(Message) -> F + Sync,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        // Not cancelled by a stop: a message that arrives meanwhile would stay invisible until its visibility timeout
        // is over.
        match queue.receive(wait).await {
            Ok(Some(message)) => {
                self.take(queue, message, handler).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                warn!(%error, "cannot receive messages; trying again");
                self.pause(PAUSE).await;
                false
            }
        }
    }

    /// Returns how long to wait for a message, or none if the worker takes no more.
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
            warn!(%error, "cannot protect the task; the message goes back");
            self.give_back(queue, &message, PAUSE).await;
            return self.ended();
        }
        let result = self.handle(queue, &message, handler).await;
        match result {
            Ok(()) => match queue.delete(&message).await {
                Ok(()) => drop(self.done.fetch_add(1, Ordering::Relaxed)),
                Err(error) => error!(message_id = message.id, %error, "cannot delete a handled message"),
            },
            Err(reason) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                error!(message_id = message.id, receive_count = message.receive_count, reason, "the message failed");
                if let Some(delay) = self.options.retry_delay {
                    self.give_back(queue, &message, delay).await;
                }
            }
        }
        self.protection.leave().await;
        self.ended();
    }

    /// Waits until the task can be protected. Until then the worker takes no message: each receive counts towards the
    /// queue's `maxReceiveCount`.
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

    /// Runs the handler and keeps the message invisible meanwhile.
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
                    warn!(message_id = message.id, %error, "the message may become visible too early");
                },
            }
        }
    }

    async fn give_back(&self, queue: &Queue, message: &Message, delay: Duration) {
        if let Err(error) = queue.give_back(message, delay).await {
            warn!(message_id = message.id, %error, "cannot give the message back; it becomes visible later");
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

    /// Returns how long the worker has been idle, or none if it has a message.
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
