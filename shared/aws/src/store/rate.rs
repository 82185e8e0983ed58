//! The rate of RunTask calls that all functions share.
//!
//! An item holds the time of the next call, in milliseconds with decimals. A reservation moves it on by one
//! write. After a pause, that write is another one than while the rate is in use; a function tries
//! first what fits what it saw last.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use trigger_core::launch::{CallTimes, Pool, later};
use trigger_engine::ports::StoreError;

use super::DynamoStore;
use super::actions::Action;
use super::calls::Written;
use super::items::{Item, Key, number, number_in};

/// Reserving fails after this many turns. Each was lost to a function that began to use the rate at the same moment.
const TURNS_MAX: u32 = 5;

/// A rate, as a process saw it last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeenRate {
    /// The time of the next call.
    next: Option<Timestamp>,
    /// Whether others used the rate when this process looked.
    is_shared: bool,
}

/// Reserves calls, or none if the first would have to wait longer than `longest`.
pub(super) async fn reserve(
    store: &DynamoStore,
    pool: Pool,
    calls: u32,
    now: Timestamp,
    longest: SignedDuration,
) -> Result<Option<CallTimes>, StoreError> {
    let floor = pool.rate().floor(now);
    let mut seen = store.seen_rate(pool);
    let mut seems_in_use = seen.is_shared || seen.next.is_some_and(|next| next >= floor);
    for _ in 0..TURNS_MAX {
        if !std::mem::replace(&mut seems_in_use, true) {
            let Some((times, next)) = pool.rate().reserve(None, calls, now, longest) else { return Ok(None) };
            if let Written::Done(_) = store.write_one(&set(pool, next, floor), ReturnValue::None).await? {
                store.see_rate(pool, SeenRate { next: Some(next), is_shared: false });
                return Ok(Some(times));
            }
            seen.is_shared = true;
        }
        let moved = store.write_one(&move_on(pool, calls, now, longest), ReturnValue::UpdatedOld).await?;
        let found = match moved {
            Written::Done(before) => {
                let first = next_call(&before).ok_or_else(|| store.unavailable("the answer has no time of a call"))?;
                let times = CallTimes { first, interval: pool.rate().interval() };
                store.see_rate(pool, SeenRate { next: Some(times.at(calls)), ..seen });
                return Ok(Some(times));
            }
            Written::Refused(found) => found.iter().flatten().find_map(next_call),
        };
        // The next turn starts the rate over if its time lies far back.
        seems_in_use = found.is_some_and(|next| next >= floor);
        seen = SeenRate { next: found, is_shared: seems_in_use };
        store.see_rate(pool, seen);
        if pool.rate().reserve(found, calls, now, longest).is_none() {
            return Ok(None);
        }
    }
    Err(store.unavailable("other functions reserve calls at the same moment, again and again"))
}

/// Makes all calls pause.
pub(super) async fn slow_down(store: &DynamoStore, pool: Pool, now: Timestamp) -> Result<(), StoreError> {
    let seen = store.seen_rate(pool);
    let next = pool.rate().after_throttle(seen.next, now);
    // If this is refused, others have moved the time on even further.
    store.write_one(&set(pool, next, next), ReturnValue::None).await?;
    store.see_rate(pool, SeenRate { next: Some(next), ..seen });
    Ok(())
}

/// Returns the action that reserves calls of a rate that is in use.
fn move_on(pool: Pool, calls: u32, now: Timestamp, longest: SignedDuration) -> Action {
    let taken = CallTimes { first: now, interval: pool.rate().interval() }.at(calls).duration_since(now);
    let change = "SET #next = #next + :taken";
    let update = Action::update(Key::rate(pool.as_str()), change, vec![(":taken", number(milliseconds(taken)))]);
    let limits = vec![(":floor", time(pool.rate().floor(now))), (":latest", time(later(now, longest)))];
    update.only_if("#next BETWEEN :floor AND :latest", limits)
}

/// Returns the action that sets the time of the next call, if it is before `before`.
fn set(pool: Pool, next: Timestamp, before: Timestamp) -> Action {
    let update = Action::update(Key::rate(pool.as_str()), "SET #next = :next", vec![(":next", time(next))]);
    update.only_if("attribute_not_exists(#next) OR #next < :before", vec![(":before", time(before))])
}

fn next_call(item: &Item) -> Option<Timestamp> {
    let milliseconds: f64 = number_in(item, "next")?;
    // An f64 holds the microseconds of any present-day time exactly.
    Timestamp::from_microsecond((milliseconds * 1000.0).round() as i64).ok()
}

fn time(time: Timestamp) -> AttributeValue {
    number(milliseconds(time.duration_since(Timestamp::UNIX_EPOCH)))
}

/// Returns a time in milliseconds, with its microseconds as decimals: with whole milliseconds, a call every 25.5 ms
/// would lose 2 % of its rate.
fn milliseconds(time: SignedDuration) -> String {
    let microseconds = time.as_micros();
    format!("{}.{:03}", microseconds / 1000, microseconds.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::store::fixtures::plan_text;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00.123456Z".parse().expect("is a time")
    }

    #[test]
    fn a_time_is_written_and_read_to_the_microsecond() {
        let item = Item::from([("next".to_owned(), time(now()))]);
        assert_eq!(next_call(&item), Some(now()));
        assert_eq!(
            next_call(&Item::from([("next".to_owned(), number("1769860800000"))])),
            "2026-01-31T12:00:00Z".parse().ok()
        );
        assert_eq!(next_call(&Item::new()), None);
    }

    #[test]
    fn calls_are_reserved_in_one_write_and_a_rate_that_rests_starts_over() {
        let second = SignedDuration::from_secs(1);
        let reserved = move_on(Pool::Fargate, 10, now(), second);
        let (_, next) = Pool::Fargate.rate().reserve(None, 10, now(), second).expect("is free");
        let started = set(Pool::Fargate, next, Pool::Fargate.rate().floor(now()));
        expect![[r#"
            update rate/fargate next
              SET #next = #next + :taken
              if #next BETWEEN :floor AND :latest
              :taken = 507.614
              :floor = 1769860799260.511
              :latest = 1769860801123.456

            update rate/fargate next
              SET #next = :next
              if attribute_not_exists(#next) OR #next < :before
              :next = 1769860799971.171
              :before = 1769860799260.511
        "#]]
        .assert_eq(&plan_text(&[reserved, started]));
    }
}
