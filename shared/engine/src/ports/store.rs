//! The port that stores launches.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::{
    CallTimes, LaunchRecord, LaunchSet, Line, Pool, Sequence, SetChange, SetCounts, SlotsChange,
};

/// Stores launches, and what launches share: in a DynamoDB table, in a file on this machine, or in the simulation.
///
/// Each operation happens as a whole or not at all. If it fails as [`StoreError::Unavailable`], it is unknown which of
/// the two.
pub trait LaunchStore: Sync {
    /// Draws tickets for the line of a limit, and returns the first of them. Each is drawn once, and later ones are
    /// higher. An unused ticket does no harm.
    ///
    /// # Errors
    /// The store did not answer.
    fn draw_tickets(&self, limit: &str, count: u32) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Records the launches that the store does not know yet, each with its place in line if it waits. Returns one
    /// answer for each launch. They are recorded in parts of at most a hundred, so an error may leave some recorded.
    ///
    /// # Errors
    /// The store did not answer.
    fn begin(&self, launches: &[LaunchRecord]) -> impl Future<Output = Result<Vec<Begun>, StoreError>> + Send;

    /// Reads launches. Returns one answer for each key: nothing if the store does not know the launch.
    ///
    /// # Errors
    /// The store did not answer, or one of the records cannot be read.
    fn read(&self, keys: &[LaunchKey]) -> impl Future<Output = Result<Vec<Option<Stored>>, StoreError>> + Send;

    /// Replaces a launch's record, and changes the slots of its limit and the counts of its set with it.
    ///
    /// # Errors
    /// The store holds another version, or the slots are taken: nothing has changed. Or the store did not answer.
    fn advance(&self, change: &Change) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces the records of two launches of one limit: the first releases its slot, and the second takes it. How many
    /// slots are taken does not change, so launches that do this at the same time do not disturb each other.
    ///
    /// # Errors
    /// As of [`Self::advance`]: [`StoreError::Changed`] if the first launch has another version, and
    /// [`StoreError::NoSlots`] if the second one has. Nothing has changed.
    fn hand_over(
        &self,
        released: &Change,
        taken: &Change,
    ) -> impl Future<Output = Result<[Stored; 2], StoreError>> + Send;

    /// Returns the line of a limit: how many slots are taken, the launches that hold some, and at least the first that
    /// wait.
    ///
    /// # Errors
    /// The store did not answer.
    fn line(&self, limit: &str) -> impl Future<Output = Result<Line, StoreError>> + Send;

    /// Records a launch's event as the latest launched one of its object. Returns false if a later one is recorded.
    ///
    /// # Errors
    /// The store did not answer.
    fn take_turn(
        &self,
        sequence: &Sequence,
        launch: &LaunchKey,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records a launch set, whose launches are all recorded. Recording it again changes nothing.
    ///
    /// # Errors
    /// The store did not answer.
    fn record_set(&self, set: &LaunchSet) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns a launch set with its counts, if it is recorded.
    ///
    /// # Errors
    /// The store did not answer.
    fn read_set(&self, name: &str) -> impl Future<Output = Result<Option<(LaunchSet, SetCounts)>, StoreError>> + Send;

    /// Returns launches that are due until a time, and where to go on, if there are more. The list may be old: a launch
    /// of it may no longer be due, and one that just became due may be missing.
    ///
    /// # Errors
    /// The store did not answer.
    fn due(&self, until: Timestamp, after: Option<Cursor>) -> impl Future<Output = Result<DuePage, StoreError>> + Send;

    /// Makes a launch due later, because it cannot be continued now. The pause doubles each time, up to an hour, until
    /// the launch is written.
    ///
    /// # Errors
    /// The store did not answer.
    fn postpone(&self, key: &LaunchKey, now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns launches that a query asks for, in the order of its list, and where to go on. Launches of the same
    /// millisecond come in any order. The list may be a moment old, but what it says of a launch is what the store
    /// holds. A page may have fewer launches than the query asks for, or none, although there are more.
    ///
    /// # Errors
    /// The store did not answer.
    fn history(
        &self,
        query: &HistoryQuery,
        after: Option<Cursor>,
    ) -> impl Future<Output = Result<HistoryPage, StoreError>> + Send;

    /// Reserves calls of RunTask, or none if the first of them would have to wait longer than `longest`.
    ///
    /// # Errors
    /// The store did not answer.
    fn reserve_calls(
        &self,
        pool: Pool,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> impl Future<Output = Result<Option<CallTimes>, StoreError>> + Send;

    /// Makes all functions pause their calls for a moment, because ECS has throttled one.
    ///
    /// # Errors
    /// The store did not answer.
    fn slow_down(&self, pool: Pool, now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A record, and its version in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The record.
    pub record: LaunchRecord,
    /// The version, which rises with each change.
    pub version: u64,
}

/// Whether a launch was recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It was not known, and is recorded now, with this version.
    New(u64),
    /// It was recorded before.
    Known(Box<Stored>),
}

/// A new record for a launch, and what changes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The new record.
    pub record: LaunchRecord,
    /// The version that the store must hold.
    pub version: u64,
    /// How the slots of the launch's limit change.
    pub slots: Option<SlotsChange>,
    /// How the counts of the launch's set change.
    pub set: Option<SetChange>,
}

impl Change {
    /// Returns the change from what the store holds to a new record.
    pub fn new(stored: &Stored, record: LaunchRecord) -> Self {
        let slots = SlotsChange::between(&stored.record, &record);
        let set = SetChange::between(&stored.record, &record);
        Self { record, version: stored.version, slots, set }
    }
}

/// The position at which the next page of a list begins. Only the store that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A part of what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The launches, roughly in the order of their times.
    pub launches: Vec<LaunchKey>,
    /// Where to go on, if there are more.
    pub next: Option<Cursor>,
}

/// A part of the answer to a [`HistoryQuery`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryPage {
    /// The launches.
    pub launches: Vec<Stored>,
    /// The launches whose records cannot be read, each with the reason. The query's filter does not apply to them.
    pub unreadable: Vec<(LaunchKey, String)>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// Why an operation of the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store holds another version of the record.
    #[error("another process changed the launch in the meantime")]
    Changed,
    /// The slots are taken.
    #[error("another launch took the slots in the meantime")]
    NoSlots,
    /// A record cannot be read.
    #[error("cannot read the record of the launch {launch}: {reason}")]
    Unreadable {
        /// The launch.
        launch: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// The store did not answer, or refused the request.
    #[error("the launch store did not answer: {0}")]
    Unavailable(String),
}

/// The pause before a launch that failed this many times is tried again.
pub fn postponed_by(failures: u32) -> SignedDuration {
    let minutes = 1_i64.checked_shl(failures.saturating_sub(1)).unwrap_or(60).clamp(1, 60);
    SignedDuration::from_mins(minutes)
}
