//! What the buckets' folders do, by the system's own notifications.

use std::path::{Path, PathBuf};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep_until;

use crate::bucket::files_below;
use crate::landing::{Change, Landed, Landing};

/// Whether notifications tell when a writer closes a file.
const CLOSE_IS_TOLD: bool = cfg!(target_os = "linux");

/// Watches folders.
pub struct Watch {
    notifications: UnboundedReceiver<notify::Result<Event>>,
    landing: Landing,
    landed: Vec<Landed>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches `folders` and everything below them from now on.
    ///
    /// # Errors
    /// The system refuses, as when its number of watches is used up.
    pub fn start<'a>(folders: impl IntoIterator<Item = &'a Path>) -> notify::Result<Self> {
        let (sender, notifications) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |notification| {
            // The receiver is gone only when the watch itself is.
            let _ = sender.send(notification);
        })?;
        for folder in folders {
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        Ok(Self { notifications, landing: Landing::new(CLOSE_IS_TOLD), landed: Vec::new(), _watcher: watcher })
    }

    /// Waits for the next file that lands or goes.
    ///
    /// # Errors
    /// The system no longer notifies.
    pub async fn next(&mut self) -> notify::Result<Landed> {
        loop {
            if let Some(landed) = self.landed.pop() {
                return Ok(landed);
            }
            let due = self.landing.next_due();
            let settle = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                notification = self.notifications.recv() => match notification {
                    Some(notification) => self.note(&notification?),
                    None => return Err(notify::Error::generic("the system no longer notifies of changes")),
                },
                () = settle => {
                    let settled = self.landing.settled(Instant::now());
                    self.landed.extend(settled.into_iter().rev().map(Landed::Created));
                }
            }
        }
    }

    fn note(&mut self, event: &Event) {
        let now = Instant::now();
        for (path, change) in changes(event) {
            self.landed.extend(self.landing.change(&path, change, now));
        }
        self.landed.reverse();
    }
}

/// A notification in our words. A folder that appears may hold files that appeared before it was watched: they are found.
fn changes(event: &Event) -> Vec<(PathBuf, Change)> {
    let whole = |change| event.paths.iter().flat_map(move |path| of_path(path, change)).collect();
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => whole(Change::Closed),
        EventKind::Create(CreateKind::Folder) => whole(Change::Found),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => whole(Change::Written),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => whole(Change::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => gone(&event.paths),
        EventKind::Modify(ModifyKind::Name(RenameMode::Any)) => event
            .paths
            .iter()
            .flat_map(
                |path| if path.exists() { of_path(path, Change::Closed) } else { gone(std::slice::from_ref(path)) },
            )
            .collect(),
        EventKind::Remove(RemoveKind::File | RemoveKind::Any) => gone(&event.paths),
        _ => Vec::new(),
    }
}

/// The change of a file, or of every file in a folder.
fn of_path(path: &Path, change: Change) -> Vec<(PathBuf, Change)> {
    if path.is_dir() {
        return files_below(path)
            .into_iter()
            .map(|file| (file, if change == Change::Written { Change::Found } else { change }))
            .collect();
    }
    vec![(path.to_owned(), change)]
}

fn gone(paths: &[PathBuf]) -> Vec<(PathBuf, Change)> {
    paths.iter().map(|path| (path.clone(), Change::Removed)).collect()
}
