//! Changes in the buckets' folders, from the operating system's notifications.
//!
//! Notifications can miss files: those that appear in a new folder before it is watched, and those that the system
//! drops when too much happens at once. In both cases the folder is scanned again, and unknown files are announced.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep_until;

use crate::folders::bucket::files_below;
use crate::folders::landing::{Change, Landed, Landing, SETTLE};
use crate::folders::own_changes::OwnChanges;
use crate::payloads::STATE_FOLDER;

/// Whether the system notifies when a writer closes a file.
const CLOSE_IS_TOLD: bool = cfg!(target_os = "linux");

/// A watch on folders.
pub struct Watch {
    notifications: UnboundedReceiver<notify::Result<Event>>,
    landing: Landing,
    landed: Vec<Landed>,
    folders: Vec<PathBuf>,
    /// The endpoint's changes, which are announced already.
    own: OwnChanges,
    /// The objects: the files that were there before or were announced, each with the time of its last change.
    known: BTreeMap<PathBuf, Changed>,
    /// When the watch began. A file that has not changed since is not announced.
    started: Changed,
    /// Folders to scan again, and when.
    looks: Vec<(Instant, PathBuf)>,
    _watcher: RecommendedWatcher,
}

/// The time of a file's last change: seconds and nanoseconds.
pub(crate) type Changed = (i64, i64);

impl Watch {
    /// Starts to watch `folders` and everything below them, without the endpoint's own changes.
    ///
    /// # Errors
    /// The system refuses, for example because its limit of watches is reached.
    pub fn start<'a>(folders: impl IntoIterator<Item = &'a Path>, own: OwnChanges) -> notify::Result<Self> {
        let (sender, notifications) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |notification| {
            // Sending fails only when the watch itself has been dropped.
            let _ = sender.send(notification);
        })?;
        let folders: Vec<PathBuf> = folders.into_iter().map(Path::to_owned).collect();
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let known =
            folders.iter().flat_map(|folder| files_below(folder)).filter_map(|file| Some((changed(&file)?, file)));
        Ok(Self {
            known: known.map(|(changed, file)| (file, changed)).collect(),
            notifications,
            landing: Landing::new(CLOSE_IS_TOLD),
            landed: Vec::new(),
            folders,
            own,
            started: (i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX), i64::from(since_epoch.subsec_nanos())),
            looks: Vec::new(),
            _watcher: watcher,
        })
    }

    /// Waits for the next file that lands or is removed.
    ///
    /// # Errors
    /// The system stopped sending notifications.
    pub async fn next(&mut self) -> notify::Result<Landed> {
        loop {
            if let Some(landed) = self.landed.pop() {
                self.learn(&landed);
                return Ok(landed);
            }
            let due = self.landing.next_due().into_iter().chain(self.looks.iter().map(|(due, _)| *due)).min();
            let wait = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                notification = self.notifications.recv() => match notification {
                    Some(notification) => self.note(&notification?),
                    None => return Err(notify::Error::generic("the operating system no longer reports changes")),
                },
                () = wait => self.look(Instant::now()),
            }
        }
    }

    fn learn(&mut self, landed: &Landed) {
        match landed {
            Landed::Created(path) => self.known.extend(changed(path).map(|changed| (path.clone(), changed))),
            Landed::Deleted(path) => drop(self.known.remove(path)),
        }
    }

    fn note(&mut self, event: &Event) {
        let now = Instant::now();
        if event.need_rescan() {
            self.looks.extend(self.folders.iter().map(|folder| (now, folder.clone())));
            self.own.forget_removals();
        }
        if event.paths.iter().any(|path| self.is_of_dev(path)) {
            return;
        }
        if event.kind == EventKind::Create(CreateKind::Folder) {
            self.looks.extend(event.paths.iter().map(|folder| (now + SETTLE, folder.clone())));
        }
        for (path, change) in changes(event) {
            match change {
                Change::Removed if self.own.take_removal(&path) => {
                    self.known.remove(&path);
                }
                Change::Removed => self.removed(&path, now),
                _ if self.own.wrote(&path) => self.skip(path),
                change => self.landed.extend(self.landing.change(&path, change, now)),
            }
        }
        self.landed.reverse();
    }

    /// Returns whether a path is in a folder of `dev` itself, which is not part of the bucket.
    fn is_of_dev(&self, path: &Path) -> bool {
        let below = self.folders.iter().filter_map(|folder| path.strip_prefix(folder).ok());
        below.flat_map(Path::components).any(|part| part.as_os_str() == STATE_FOLDER)
    }

    /// Records a file that the endpoint has announced.
    fn skip(&mut self, path: PathBuf) {
        self.landing.forget(&path);
        self.known.extend(changed(&path).map(|changed| (path, changed)));
    }

    /// Records that a path is gone. If it was a folder, each of its files is gone.
    fn removed(&mut self, path: &Path, now: Instant) {
        let below = self.known.range(path.to_owned()..).map(|(file, _)| file).take_while(|file| file.starts_with(path));
        let mut gone: Vec<PathBuf> = below.cloned().collect();
        if gone.is_empty() {
            // Nothing at this path was announced; a file there may have been about to land.
            self.landing.change(path, Change::Removed, now);
        }
        for file in gone.drain(..) {
            self.landed.extend(self.landing.change(&file, Change::Removed, now));
        }
    }

    /// Does what is due: takes the files that have settled and scans folders again.
    fn look(&mut self, now: Instant) {
        let settled = self.landing.settled(now);
        self.landed.extend(settled.into_iter().rev().map(Landed::Created));
        let (due, later) = std::mem::take(&mut self.looks).into_iter().partition(|(due, _)| *due <= now);
        self.looks = later;
        let due: Vec<(Instant, PathBuf)> = due;
        for file in due.iter().flat_map(|(_, folder)| files_below(folder)) {
            let is_new = changed(&file)
                .is_some_and(|changed| changed >= self.started && self.known.get(&file) != Some(&changed));
            if is_new && !self.own.wrote(&file) && !self.landed.contains(&Landed::Created(file.clone())) {
                self.landing.change(&file, Change::Found, now);
            }
        }
    }
}

pub(crate) fn changed(file: &Path) -> Option<Changed> {
    fs::metadata(file).ok().map(|metadata| (metadata.ctime(), metadata.ctime_nsec()))
}

/// Converts a notification. A new folder may hold files that appeared before it was watched; they count as found.
fn changes(event: &Event) -> Vec<(PathBuf, Change)> {
    let all = |change| event.paths.iter().flat_map(move |path| of_path(path, change)).collect();
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => all(Change::Closed),
        EventKind::Create(CreateKind::Folder) => all(Change::Found),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => all(Change::Written),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => all(Change::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
        | EventKind::Remove(RemoveKind::File | RemoveKind::Any) => all(Change::Removed),
        EventKind::Modify(ModifyKind::Name(RenameMode::Any)) => {
            let change = |path: &Path| if path.exists() { Change::Closed } else { Change::Removed };
            event.paths.iter().flat_map(|path| of_path(path, change(path))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the change of a file, or of every file in a folder.
fn of_path(path: &Path, change: Change) -> Vec<(PathBuf, Change)> {
    if path.is_dir() {
        let change = if change == Change::Written { Change::Found } else { change };
        return files_below(path).into_iter().map(|file| (file, change)).collect();
    }
    vec![(path.to_owned(), change)]
}
