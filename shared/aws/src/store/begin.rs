//! Records new launches, as many as possible in one transaction.

use futures_util::{StreamExt, TryStreamExt, stream};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{LaunchRecord, Place, Slot};
use trigger_engine::ports::{Begun, StoreError};

use super::actions::Action;
use super::calls::{CALLS_AT_ONCE, Written};
use super::{DynamoStore, items, new_writer};

/// A transaction has at most this many actions.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const ACTIONS_MAX: usize = 100;
/// A transaction writes at most about this many bytes. DynamoDB accepts 4 MB, counted in its own way.
const BYTES_MAX: usize = 3_000_000;

/// The version of a launch that was just recorded.
const FIRST_VERSION: u64 = 1;

/// Records the launches that the table does not hold. Returns one answer for each.
pub(super) async fn begin(store: &DynamoStore, launches: &[LaunchRecord]) -> Result<Vec<Begun>, StoreError> {
    let writer = &new_writer();
    // Each part is made when its turn comes: ten thousand launches would need much memory at once.
    let parts = stream::iter(parts(launches, writer)).map(async |part| begin_part(store, part?, writer).await);
    let begun: Vec<Vec<Begun>> = parts.buffered(CALLS_AT_ONCE).try_collect().await?;
    Ok(begun.into_iter().flatten().collect())
}

/// Records the launches of one part. A transaction happens as a whole or not at all: if some of its launches are known,
/// it is repeated with the rest.
async fn begin_part(store: &DynamoStore, mut part: Vec<Beginning>, writer: &str) -> Result<Vec<Begun>, StoreError> {
    loop {
        let actions = actions(&part);
        if actions.is_empty() {
            return Ok(part.into_iter().filter_map(|launch| launch.begun).collect());
        }
        let written = store.write(&actions).await?;
        hear(&mut part, &written, writer)?;
    }
}

/// A launch that is to be recorded.
#[derive(Debug)]
struct Beginning {
    launch: LaunchKey,
    record: Action,
    /// The launch's place in line, if it waits.
    place: Option<Action>,
    /// Whether it was recorded, once that is known.
    begun: Option<Begun>,
}

impl Beginning {
    fn new(record: &LaunchRecord, writer: &str) -> Result<Self, StoreError> {
        let item = items::launch(record, FIRST_VERSION, writer)?;
        Ok(Self {
            launch: record.key.clone(),
            record: Action::put(items::Key::launch(&record.key), item).only_if_new(),
            place: place(record),
            begun: None,
        })
    }

    fn actions(&self) -> usize {
        1 + usize::from(self.place.is_some())
    }

    fn bytes(&self) -> usize {
        self.record.bytes() + self.place.as_ref().map_or(0, Action::bytes)
    }
}

/// Returns the action that adds a launch to its line, if it waits.
fn place(record: &LaunchRecord) -> Option<Action> {
    let limit = &record.concurrency.as_ref()?.slots;
    let ticket = record.ticket.filter(|_| record.slot == Some(Slot::Waiting))?;
    let place = Place { ticket, launch: record.key.clone(), is_held: false };
    Some(Action::put(items::Key::place(limit, ticket), items::place(limit, &place)))
}

/// Divides launches into parts that fit into one transaction each.
fn parts<'a>(
    launches: &'a [LaunchRecord],
    writer: &'a str,
) -> impl Iterator<Item = Result<Vec<Beginning>, StoreError>> + Send + 'a {
    let mut launches = launches.iter().map(|record| Beginning::new(record, writer)).peekable();
    std::iter::from_fn(move || {
        let mut part = match launches.next()? {
            Ok(launch) => vec![launch],
            Err(error) => return Some(Err(error)),
        };
        while let Some(Ok(launch)) = launches.next_if(|next| next.as_ref().is_ok_and(|next| has_room(&part, next))) {
            part.push(launch);
        }
        Some(Ok(part))
    })
}

/// Returns whether a part has room for a further launch. No transaction may write the same item twice.
fn has_room(part: &[Beginning], next: &Beginning) -> bool {
    let actions: usize = part.iter().map(Beginning::actions).sum();
    let bytes: usize = part.iter().map(Beginning::bytes).sum();
    actions + next.actions() <= ACTIONS_MAX
        && bytes + next.bytes() <= BYTES_MAX
        && part.iter().all(|launch| launch.launch != next.launch)
}

/// Returns the actions that record the launches whose outcome is still unknown: first the records, then the places.
fn actions(part: &[Beginning]) -> Vec<Action> {
    let open = part.iter().filter(|launch| launch.begun.is_none());
    let places = open.clone().filter_map(|launch| launch.place.clone());
    open.map(|launch| launch.record.clone()).chain(places).collect()
}

/// Notes what became of the [`actions`] of a part.
fn hear(part: &mut [Beginning], written: &Written<()>, writer: &str) -> Result<(), StoreError> {
    let open = part.iter_mut().filter(|launch| launch.begun.is_none());
    match written {
        Written::Done(()) => open.for_each(|launch| launch.begun = Some(Begun::New(FIRST_VERSION))),
        Written::Refused(found) => {
            for (launch, found) in open.zip(found) {
                let Some(item) = found else { continue };
                let stored = items::stored(&launch.launch, item)?;
                // The first try may have been made, and only its answer lost.
                let is_own = items::is_by(writer, item);
                launch.begun = Some(if is_own { Begun::New(stored.version) } else { Begun::Known(Box::new(stored)) });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_engine::ports::Stored;

    use super::*;
    use crate::store::fixtures::{plan_text, record, waiting};

    /// Returns digits that can be packed to half of their length.
    fn hex(length: usize) -> String {
        let mut random = fastrand::Rng::with_seed(length as u64);
        (0..length).map(|_| random.digit(16)).collect()
    }

    fn part(launches: &[LaunchRecord]) -> Vec<Beginning> {
        launches.iter().map(|record| Beginning::new(record, "own").expect("is short")).collect()
    }

    #[test]
    fn a_launch_is_recorded_if_it_is_new_and_one_that_waits_together_with_its_place() {
        expect![[r#"
            put launch/r/2026-01-31/00000000000000000000000000000001 record
              at = "2026-01-31T12:01:00.123Z"
              created = "2026-01-31T12:00:00.000Z"
              list = "due/1"
              record = {...}
              route = "r/1"
              shard = "1"
              state = "starting"
              version = 1
              writer = "own"
              if attribute_not_exists(#item)

            put launch/r/2026-01-31/00000000000000000000000000000002 record
              at = "2026-01-31T12:01:00.123Z"
              created = "2026-01-31T12:00:00.000Z"
              list = "due/3"
              record = {...}
              route = "r/1"
              shard = "1"
              state = "queued"
              version = 1
              writer = "own"
              if attribute_not_exists(#item)

            put line/r/limit place/00000000000000000042
              held = Bool(false)
              launch = "r/2026-01-31/00000000000000000000000000000002"
        "#]]
        .assert_eq(&plan_text(&actions(&part(&[record(1), waiting(2, 42)]))));
    }

    #[test]
    fn parts_fit_into_a_transaction() {
        let sizes = |launches: &[LaunchRecord]| -> Vec<usize> {
            parts(launches, "own").map(|part| part.expect("are short").len()).collect()
        };
        let launches = |count: usize| (0..count).map(record).collect::<Vec<_>>();
        assert_eq!(sizes(&launches(0)), [0; 0]);
        assert_eq!(sizes(&launches(1)), [1]);
        assert_eq!(sizes(&launches(250)), [100, 100, 50], "a hundred actions");
        let waiting: Vec<_> = (0..60).map(|number| waiting(number, number as u64)).collect();
        assert_eq!(sizes(&waiting), [50, 10], "two actions each");
        let mut large = launches(10);
        large.iter_mut().for_each(|record| record.event_id = hex(760_000));
        assert_eq!(sizes(&large), [7, 3], "three million bytes");
        large[4].event_id = hex(1_100_000);
        let error = parts(&large, "own").find_map(Result::err).expect("one is too long").to_string();
        assert!(error.contains("the record has more than 1048576 bytes"), "{error}");
        assert_eq!(sizes(&[record(1), record(1), record(2)]), [1, 2], "the same launch twice");
    }

    #[test]
    fn known_launches_leave_the_transaction_and_own_writes_are_recognized() {
        let known = record(1);
        let mut part = part(&[record(0), known.clone(), waiting(2, 7)]);
        let item = |record, version, writer| items::launch(record, version, writer).ok();
        let found = vec![None, item(&known, 5, "other"), item(&record(2), 1, "own"), None];
        hear(&mut part, &Written::Refused(found), "own").expect("can be read");
        assert_eq!(actions(&part).len(), 1, "only the first launch is left");
        hear(&mut part, &Written::Done(()), "own").expect("can be read");
        let begun: Vec<_> = part.into_iter().filter_map(|launch| launch.begun).collect();
        let known = Begun::Known(Box::new(Stored { record: known, version: 5 }));
        assert_eq!(begun, [Begun::New(1), known, Begun::New(1)]);
    }

    #[test]
    fn a_known_launch_that_cannot_be_read_is_an_error() {
        let mut part = part(&[record(1)]);
        let heard = hear(&mut part, &Written::Refused(vec![Some(items::Item::new())]), "own");
        assert!(matches!(heard, Err(StoreError::Unreadable { .. })), "{heard:?}");
    }
}
