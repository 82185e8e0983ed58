//! The launch store on DynamoDB: one table for everything that launches share.
//!
//! | operation | calls |
//! |---|---|
//! | `begin` | one conditional PutItem for one launch, TransactWriteItems for several, or with a place in line |
//! | `read` | BatchGetItem |
//! | `advance` | one conditional PutItem, or TransactWriteItems if slots or counts change with it |
//! | `line`, `read_set` | one consistent Query of a partition |
//! | `draw_tickets`, `take_turn`, `reserve_calls`, `slow_down` | UpdateItem |
//! | `record_set` | one conditional PutItem |
//! | `due` | a Query of each list of open launches |
//! | `postpone` | BatchGetItem and UpdateItem |
//! | `history` | a Query of each list that has the launches, and BatchGetItem for each hundred of them |
//!
//! Every read of the table is consistent; only its indexes are a moment old.
//!
//! The SDK repeats a call whose answer was lost. A conditional write that was made already is refused then, by itself.
//! So each write leaves the random name of its writer in the record, and a refused one looks whose record is there.
//!
//! - [`items`] - the items as attributes; [`actions`] - writes as data; [`calls`] - the calls and their answers;
//!   [`pauses`] - how often they are repeated;
//! - [`begin`], [`advance`], [`line`], [`sets`], [`due`], [`history`] and [`rate`] - the operations;
//! - [`lists`] - launches in the order of an index.

mod actions;
mod advance;
mod begin;
mod calls;
mod due;
#[cfg(test)]
mod fixtures;
mod history;
mod items;
mod line;
mod lists;
mod pauses;
mod rate;
mod sets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::{CallTimes, LaunchRecord, LaunchSet, Line, Pool, Sequence, SetCounts};
use trigger_core::storage::EXPIRES;
use trigger_engine::ports::{Begun, Change, Cursor, DuePage, HistoryPage, LaunchStore, StoreError, Stored};

use actions::Action;
use calls::Written;
use items::{Key, text};
use rate::SeenRate;

/// A launch store in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
    /// The rates, as this process saw them last.
    rates: Arc<Mutex<HashMap<Pool, SeenRate>>>,
}

impl DynamoStore {
    /// Creates a store that uses the table of this name through `client`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table, rates: Arc::default() }
    }

    fn seen_rate(&self, pool: Pool) -> SeenRate {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).get(&pool).copied().unwrap_or_default()
    }

    fn see_rate(&self, pool: Pool, seen: SeenRate) {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).insert(pool, seen);
    }
}

impl LaunchStore for DynamoStore {
    async fn draw_tickets(&self, limit: &str, count: u32) -> Result<u64, StoreError> {
        line::draw_tickets(self, limit, count).await
    }

    async fn begin(&self, launches: &[LaunchRecord]) -> Result<Vec<Begun>, StoreError> {
        begin::begin(self, launches).await
    }

    async fn read(&self, keys: &[LaunchKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let found = self.get(keys.iter().map(Key::launch)).await?;
        let stored = |launch: &LaunchKey| {
            let item = found.get(&Key::launch(launch));
            item.map(|item| items::stored(launch, item)).transpose()
        };
        keys.iter().map(stored).collect()
    }

    async fn advance(&self, change: &Change) -> Result<Stored, StoreError> {
        advance::advance(self, change).await
    }

    async fn hand_over(&self, released: &Change, taken: &Change) -> Result<[Stored; 2], StoreError> {
        advance::hand_over(self, released, taken).await
    }

    async fn line(&self, limit: &str) -> Result<Line, StoreError> {
        line::read(self, limit).await
    }

    async fn take_turn(&self, sequence: &Sequence, launch: &LaunchKey) -> Result<bool, StoreError> {
        let written = self.write_one(&turn(sequence, launch, Timestamp::now()), ReturnValue::None).await?;
        Ok(matches!(written, Written::Done(_)))
    }

    async fn record_set(&self, set: &LaunchSet) -> Result<(), StoreError> {
        sets::record(self, set).await
    }

    async fn read_set(&self, name: &str) -> Result<Option<(LaunchSet, SetCounts)>, StoreError> {
        sets::read(self, name).await
    }

    async fn due(&self, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
        due::list(self, until, after).await
    }

    async fn postpone(&self, key: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
        due::postpone(self, key, now).await
    }

    async fn history(&self, query: &HistoryQuery, after: Option<Cursor>) -> Result<HistoryPage, StoreError> {
        history::list(self, query, after).await
    }

    async fn reserve_calls(
        &self,
        pool: Pool,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> Result<Option<CallTimes>, StoreError> {
        rate::reserve(self, pool, calls, now, longest).await
    }

    async fn slow_down(&self, pool: Pool, now: Timestamp) -> Result<(), StoreError> {
        rate::slow_down(self, pool, now).await
    }
}

/// Returns the action that records the latest launched event of an object. An event may take its turn again.
fn turn(sequence: &Sequence, launch: &LaunchKey, now: Timestamp) -> Action {
    let change = format!("SET #rank = :rank, #launch = :launch, #{EXPIRES} = :expires");
    let launch = (":launch", text(launch.to_string()));
    let values = vec![(":rank", text(sequence.rank())), launch, (":expires", items::expires(now))];
    let update = Action::update(Key::sequence(&sequence.name), change, values);
    update.only_if("attribute_not_exists(#rank) OR #rank <= :rank", Vec::new())
}

/// Returns a random name for the writer of one operation. It need only differ from those of the same launch.
fn new_writer() -> String {
    format!("{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use fixtures::{plan_text, record};

    #[test]
    fn an_event_takes_its_turn_if_no_later_one_has() {
        let sequence = Sequence { name: "r/object".to_owned(), sequencer: "0A".to_owned() };
        let turn = turn(&sequence, &record(1).key, Timestamp::UNIX_EPOCH);
        expect![[r#"
            update sequence/r/object last
              SET #rank = :rank, #launch = :launch, #expires = :expires
              if attribute_not_exists(#rank) OR #rank <= :rank
              :rank = "0a00000000000000000000000000000000000000000000000000000000000000"
              :launch = "r/2026-01-31/00000000000000000000000000000001"
              :expires = 7776000
        "#]]
        .assert_eq(&plan_text(&[turn]));
    }

    #[test]
    fn writers_differ() {
        assert_ne!(new_writer(), new_writer());
        assert_eq!(new_writer().len(), 16);
    }
}
