//! A worker of an SQS queue that ECS does not scale in while it works on a message.
//!
//! [`work`] receives messages and passes each to a handler: a [`command`] in the binary, a function in a program of
//! your own. While the worker has messages, it protects its task from scale-in ([`protection`]) and keeps the messages
//! invisible. When it has none, it gives the protection back. After SIGTERM it takes no more messages, and ends after
//! those it has.
//!
//! One receiver asks the queues, for as many messages as can be handled at once; each message gets a slot.

pub mod command;
mod lease;
pub mod protection;
pub mod queue;
mod receiver;
mod slot;

#[cfg(test)]
#[path = "../tests/stand_in/mod.rs"]
mod stand_in;

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

pub use lease::INVISIBLE_MAX;
use protection::Protection;
use queue::{Message, Queue};
use receiver::Receiver;

/// A worker's settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The queues. The worker asks them for messages in turn.
    pub queues: Vec<Queue>,
    /// How many messages the worker handles at once; 0 counts as 1.
    pub concurrency: usize,
    /// The worker ends after this time without a message. None: it never does, as a service would only start another.
    pub idle_exit: Option<Duration>,
    /// When a message becomes visible again after its first failure, at most [`INVISIBLE_MAX`] after its receive. Each
    /// further failure doubles the time, up to a quarter of an hour. None: when its visibility timeout is over.
    pub retry_delay: Option<Duration>,
    /// A message fails if its handler takes longer. None: the handler has nearly [`INVISIBLE_MAX`].
    pub timeout: Option<Duration>,
}

/// How many messages a worker handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were handled and deleted.
    pub done: u64,
    /// Messages that failed, or could not be deleted, and can be received again.
    pub failed: u64,
}

/// Signals to a handler while it works on a message.
#[derive(Debug, Clone)]
pub struct Notice {
    stopping: watch::Receiver<bool>,
    over: watch::Receiver<Option<String>>,
}

impl Notice {
    pub(crate) fn new(stopping: watch::Receiver<bool>, over: watch::Receiver<Option<String>>) -> Self {
        Self { stopping, over }
    }

    /// Creates a notice without signals, for a handler that is called without a worker.
    #[must_use]
    pub fn never() -> Self {
        Self::new(watch::channel(false).1, watch::channel(None).1)
    }

    /// Waits until the worker stops. The handler may finish its message.
    pub async fn stopping(&self) {
        if self.stopping.clone().wait_for(|stopping| *stopping).await.is_err() {
            pending().await
        }
    }

    /// Waits until the handler must end, and returns why: it took too long, or the message cannot be kept invisible.
    /// The message has failed then. A handler that still works after 15 seconds is dropped.
    pub async fn over(&self) -> String {
        let mut over = self.over.clone();
        let reason = over.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => pending().await,
        }
    }
}

/// Handles messages until SIGTERM or Ctrl-C, or until no message has come for [`Options::idle_exit`]. A message whose
/// `handler` fails can be received again; the others are deleted.
///
/// # Errors
/// The signal handlers cannot be installed.
pub async fn work<F, H>(options: Options, protection: Arc<Protection>, handler: H) -> io::Result<Summary>
where
    H: Fn(Message, Notice) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let (stop, stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut receiving = pin!(Receiver::new(options, protection, handler, stopping).run());
    loop {
        tokio::select! {
            summary = &mut receiving => return Ok(summary),
            _ = terminate.recv() => end(&stop),
            _ = interrupt.recv() => end(&stop),
        }
    }
}

fn end(stop: &watch::Sender<bool>) {
    if !stop.send_replace(true) {
        info!("asked to stop: the worker takes no more messages");
    }
}
