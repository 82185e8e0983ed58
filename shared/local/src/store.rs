//! The launch store port on a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use redb::{Builder, Database, TableDefinition};
use tokio::task::spawn_blocking;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::{CallTimes, LaunchRecord, LaunchSet, Line, Pool, Sequence, SetCounts};
use trigger_core::storage::KEPT_DAYS;
use trigger_engine::ports::{Begun, Change, Cursor, DuePage, HistoryPage, LaunchStore, StoreError, Stored};
use trigger_engine::{Item, StoreModel};

use crate::payloads::STATE_FOLDER;
use crate::runs::keeper::Keeper;

/// The file, in the state folder, that holds the launches.
const FILE: &str = "ledger.redb";
/// The items of [`StoreModel`]: the content of each by its name.
pub(crate) const ITEMS: TableDefinition<'static, &str, &str> = TableDefinition::new("items");
/// The bytes of the file that redb caches, instead of a gigabyte: reads are answered from memory.
const CACHE_BYTES: usize = 16 << 20;

/// A launch store in memory that a file below the project's folder keeps, from one run of `dev` to the next.
///
/// An operation answers once the file holds everything that the answer rests on, with redb's default durability: an
/// fsync for each transaction. Without it, redb holds transactions in the memory of the process, and a kill loses
/// them. Operations that run at the same time share a transaction, and so the fsync.
#[derive(Debug)]
pub struct EmbeddedStore {
    kept: Arc<Kept>,
    /// Held by the operation that writes the changes of all.
    writing: tokio::sync::Mutex<()>,
}

/// Why the launches of earlier runs are not available.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// The file is damaged, or of another version.
    #[error(
        "cannot read the ledger in {}: {reason}; delete the file to start with an empty ledger, in which every event \
         starts its tasks anew",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file or its folder cannot be used.
    #[error("cannot use {} for the ledger: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    database: Database,
    memory: Mutex<Memory>,
    /// Held while changes are written, so that what is older is never written later.
    order: Mutex<()>,
    /// Writes the records for other processes, once it is open.
    keeper: OnceLock<Keeper>,
}

#[derive(Debug, Default)]
struct Memory {
    model: StoreModel,
    /// The number of changes so far.
    changes: u64,
    /// The file holds this many of the changes.
    written: u64,
    /// The items that the file does not hold as they are now, each with the number of its last change.
    unwritten: BTreeMap<ItemName, u64>,
    /// Why a write failed. redb does not go on with an open file after that.
    failure: Option<StoreError>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ItemName {
    Launch(LaunchKey),
    Line(String),
    Sequence(String),
    Set(String),
}

impl ItemName {
    fn item(&self, model: &StoreModel) -> Item {
        match self {
            Self::Launch(key) => model.item_of_launch(key),
            Self::Line(limit) => model.item_of_line(limit),
            Self::Sequence(name) => model.item_of_sequence(name),
            Self::Set(name) => model.item_of_set(name),
        }
    }
}

impl EmbeddedStore {
    /// Opens the store below the project's folder, or creates it. Forgets launches that ended long ago.
    ///
    /// # Errors
    /// The file cannot be read or created.
    pub fn open(project: &Path) -> Result<Self, CannotOpen> {
        let path = project.join(STATE_FOLDER).join(FILE);
        match read(&path) {
            Ok((database, model)) => {
                let memory = Mutex::new(Memory { model, ..Memory::default() });
                let kept = Kept { path, database, memory, order: Mutex::default(), keeper: OnceLock::new() };
                Ok(Self { kept: Arc::new(kept), writing: tokio::sync::Mutex::default() })
            }
            Err(redb::Error::Io(error)) if !is_about_content(error.kind()) => {
                Err(CannotOpen::Unusable { path, reason: error.to_string() })
            }
            Err(error @ (redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch)) => {
                Err(CannotOpen::Unusable { path, reason: error.to_string() })
            }
            Err(error) => Err(CannotOpen::Unreadable { path, reason: error.to_string() }),
        }
    }

    /// Opens the files of the launches for other processes. From now on, each record that is written is there too.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(crate) fn keep_runs(&self, project: &Path) -> io::Result<Keeper> {
        let keeper = Keeper::open(project, self.kept.memory().model.launches())?;
        Ok(self.kept.keeper.get_or_init(|| keeper).clone())
    }

    /// Returns a launch.
    pub(crate) fn record(&self, key: &LaunchKey) -> Option<LaunchRecord> {
        self.kept.memory().model.read(key).map(|stored| stored.record)
    }

    /// Returns the launches that this is true of.
    pub(crate) fn find(&self, is_meant: impl Fn(&LaunchRecord) -> bool) -> Vec<LaunchRecord> {
        self.kept.memory().model.launches().filter(|record| is_meant(record)).cloned().collect()
    }

    /// Returns the launches that have not ended.
    pub fn open_launches(&self) -> Vec<LaunchRecord> {
        self.find(|record| record.ended.is_none())
    }

    /// Returns whether launches have not ended, and can go on: after a failed write, none can in this run.
    pub fn has_open_launches(&self) -> bool {
        let memory = self.kept.memory();
        // Every launch that has not ended is due at some time.
        memory.failure.is_none() && memory.model.first_due().is_some()
    }

    /// Carries out an operation, which names the items that it changes.
    async fn answer<T>(&self, operation: impl FnOnce(&mut StoreModel) -> (T, Vec<ItemName>)) -> Result<T, StoreError> {
        let (answer, change) = {
            let mut memory = self.kept.memory();
            let (answer, changed) = operation(&mut memory.model);
            (answer, memory.note(changed))
        };
        // Also an answer that changes nothing waits: what it tells of must not be lost.
        self.until_written(change).await?;
        Ok(answer)
    }

    /// Waits until the file holds a change, and all before it.
    async fn until_written(&self, change: u64) -> Result<(), StoreError> {
        if let Some(outcome) = self.kept.memory().outcome(change) {
            return outcome;
        }
        let _turn = self.writing.lock().await;
        // While this one waited for its turn, another may have written the change.
        if let Some(outcome) = self.kept.memory().outcome(change) {
            return outcome;
        }
        let kept = Arc::clone(&self.kept);
        match spawn_blocking(move || kept.write()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.kept.fail(&error.to_string())),
            Err(panic) => Err(self.kept.fail(&panic.to_string())),
        }
    }
}

impl Kept {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a write failed, for every operation from now on.
    fn fail(&self, reason: &str) -> StoreError {
        let path = self.path.display();
        let reason = format!("cannot write {path}: {reason}; fix the cause, then start `dev` again");
        self.memory().failure.insert(StoreError::Unavailable(reason)).clone()
    }

    /// Writes all changes that the file does not hold.
    fn write(&self) -> Result<(), redb::Error> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = self.database.begin_write()?;
        let (items, records, written) = self.memory().unwritten_items();
        {
            let mut table = transaction.open_table(ITEMS)?;
            for Item { name, content } in &items {
                match content {
                    Some(content) => table.insert(name.as_str(), content.as_str())?,
                    None => table.remove(name.as_str())?,
                };
            }
        }
        transaction.commit()?;
        self.memory().note_written(written);
        if let Some(keeper) = self.keeper.get() {
            records.iter().for_each(|record| keeper.keep(record));
        }
        Ok(())
    }
}

impl Memory {
    /// Notes that an operation has changed items. Returns the number of the last change so far.
    fn note(&mut self, changed: Vec<ItemName>) -> u64 {
        if !changed.is_empty() {
            self.changes += 1;
        }
        let change = self.changes;
        self.unwritten.extend(changed.into_iter().map(|name| (name, change)));
        change
    }

    /// Returns whether the file holds a change, if that is decided.
    fn outcome(&self, change: u64) -> Option<Result<(), StoreError>> {
        if self.written >= change { Some(Ok(())) } else { self.failure.clone().map(Err) }
    }

    /// Returns the items that the file does not hold as they are now, the records among them, and the number of the last
    /// change in them.
    fn unwritten_items(&self) -> (Vec<Item>, Vec<LaunchRecord>, u64) {
        let record = |name: &ItemName| match name {
            ItemName::Launch(key) => self.model.read(key).map(|stored| stored.record),
            ItemName::Line(_) | ItemName::Sequence(_) | ItemName::Set(_) => None,
        };
        let records = self.unwritten.keys().filter_map(record).collect();
        (self.unwritten.keys().map(|name| name.item(&self.model)).collect(), records, self.changes)
    }

    /// Notes that the file holds this many changes.
    fn note_written(&mut self, written: u64) {
        self.written = self.written.max(written);
        self.unwritten.retain(|_, change| *change > written);
    }
}

/// Opens the file, or creates it, and reads its items.
fn read(path: &Path) -> Result<(Database, StoreModel), redb::Error> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    // With the check, a damaged file is an error; without, redb may panic.
    let mut builder = Builder::new();
    let database = builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create(path)?;
    let now = Timestamp::now();
    let mut model = StoreModel::default();
    let mut restored = Ok(());
    let transaction = database.begin_write()?;
    transaction.open_table(ITEMS)?.retain(|name, content| {
        let is_kept = !is_expired(name, content, now);
        if is_kept && let Err(reason) = model.restore(name, content) {
            restored = Err(redb::Error::Corrupted(format!("`{name}`: {reason}")));
        }
        is_kept
    })?;
    restored?;
    transaction.commit()?;
    Ok((database, model))
}

/// Returns whether an item is a launch that ended more than [`KEPT_DAYS`] ago.
fn is_expired(name: &str, content: &str, now: Timestamp) -> bool {
    let kept = SignedDuration::from_hours(24 * i64::from(KEPT_DAYS));
    let Ok(limit) = now.checked_sub(kept) else { return false };
    let Some(key) = name.strip_prefix("launch ").and_then(LaunchKey::parse) else { return false };
    // A launch ends after the day of its event, so most contents need not be read for this.
    if key.date > limit.to_string() {
        return false;
    }
    let mut only = StoreModel::default();
    let ended = |record: &LaunchRecord| record.ended.as_ref().is_some_and(|ended| ended.at < limit);
    only.restore(name, content).is_ok() && only.launches().all(ended)
}

/// Returns whether an error is about what is in a file, and not about the access to it.
fn is_about_content(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

impl LaunchStore for EmbeddedStore {
    async fn draw_tickets(&self, limit: &str, count: u32) -> Result<u64, StoreError> {
        self.answer(|model| (model.draw_tickets(limit, count), vec![ItemName::Line(limit.to_owned())])).await
    }

    async fn begin(&self, launches: &[LaunchRecord]) -> Result<Vec<Begun>, StoreError> {
        self.answer(|model| {
            let begun: Vec<Begun> = launches.iter().map(|record| model.begin(record)).collect();
            let new = begun.iter().zip(launches).filter(|(begun, _)| matches!(begun, Begun::New(_)));
            let changed = new.flat_map(|(_, record)| {
                let line = record.concurrency.iter().map(|concurrency| ItemName::Line(concurrency.slots.clone()));
                line.chain([ItemName::Launch(record.key.clone())])
            });
            let changed = changed.collect();
            (begun, changed)
        })
        .await
    }

    async fn read(&self, keys: &[LaunchKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.answer(|model| (keys.iter().map(|key| model.read(key)).collect(), Vec::new())).await
    }

    async fn advance(&self, change: &Change) -> Result<Stored, StoreError> {
        self.answer(|model| {
            let advanced = model.advance(change);
            let changed = if advanced.is_ok() { changed_by(change).collect() } else { Vec::new() };
            (advanced, changed)
        })
        .await?
    }

    async fn hand_over(&self, released: &Change, taken: &Change) -> Result<[Stored; 2], StoreError> {
        self.answer(|model| {
            let both = model.hand_over(released, taken);
            let changed =
                if both.is_ok() { changed_by(released).chain(changed_by(taken)).collect() } else { Vec::new() };
            (both, changed)
        })
        .await?
    }

    async fn line(&self, limit: &str) -> Result<Line, StoreError> {
        self.answer(|model| (model.line(limit), Vec::new())).await
    }

    async fn take_turn(&self, sequence: &Sequence, _: &LaunchKey) -> Result<bool, StoreError> {
        self.answer(|model| match model.take_turn(sequence) {
            true => (true, vec![ItemName::Sequence(sequence.name.clone())]),
            false => (false, Vec::new()),
        })
        .await
    }

    async fn record_set(&self, set: &LaunchSet) -> Result<(), StoreError> {
        self.answer(|model| (model.record_set(set), vec![ItemName::Set(set.name.clone())])).await
    }

    async fn read_set(&self, name: &str) -> Result<Option<(LaunchSet, SetCounts)>, StoreError> {
        self.answer(|model| (model.read_set(name), Vec::new())).await
    }

    async fn due(&self, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
        self.answer(|model| (model.due(until, after), Vec::new())).await
    }

    async fn postpone(&self, key: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
        self.answer(|model| (model.postpone(key, now), vec![ItemName::Launch(key.clone())])).await
    }

    async fn history(&self, query: &HistoryQuery, after: Option<Cursor>) -> Result<HistoryPage, StoreError> {
        self.answer(|model| (model.history(query, after.as_ref()), Vec::new())).await
    }

    /// This machine's processes have no rate limit.
    async fn reserve_calls(
        &self,
        _: Pool,
        _: u32,
        now: Timestamp,
        _: SignedDuration,
    ) -> Result<Option<CallTimes>, StoreError> {
        Ok(Some(CallTimes { first: now, interval: SignedDuration::ZERO }))
    }

    async fn slow_down(&self, _: Pool, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Returns the items that a change writes.
fn changed_by(change: &Change) -> impl Iterator<Item = ItemName> {
    let line = change.slots.iter().map(|slots| ItemName::Line(slots.limit.clone()));
    let set = change.set.iter().map(|set| ItemName::Set(set.set.clone()));
    std::iter::once(ItemName::Launch(change.record.key.clone())).chain(line).chain(set)
}

#[cfg(test)]
mod tests;
