//! The watches on the buckets' folders: one for those at the start, and one for those that each new config adds.

use std::path::Path;

use notify::Result;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::folders::landing::Landed;
use crate::folders::own_changes::OwnChanges;
use crate::folders::watch::Watch;

/// At most this many changes wait for the loop of `dev`.
const LANDED_MAX: usize = 1000;

/// The watches. They end when this value is dropped.
#[derive(Debug)]
pub(super) struct Watches {
    own: OwnChanges,
    sender: Sender<Result<Landed>>,
    landed: Receiver<Result<Landed>>,
}

impl Watches {
    pub(super) fn new(own: OwnChanges) -> Self {
        let (sender, landed) = channel(LANDED_MAX);
        Self { own, sender, landed }
    }

    /// Watches more folders.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn add<'a>(&self, folders: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        let mut folders = folders.into_iter().peekable();
        if folders.peek().is_none() {
            return Ok(());
        }
        let mut watch = Watch::start(folders, self.own.clone())?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    landed = watch.next() => {
                        let is_last = landed.is_err();
                        if sender.send(landed).await.is_err() || is_last {
                            break;
                        }
                    }
                    () = sender.closed() => break,
                }
            }
        });
        Ok(())
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// A watch ended.
    pub(super) async fn next(&mut self) -> Result<Landed> {
        match self.landed.recv().await {
            Some(landed) => landed,
            // This value holds a sender.
            None => std::future::pending().await,
        }
    }
}
