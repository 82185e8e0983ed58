//! One launch at a time, by a warm function: from the event to the RunTask call, and what the store costs until the
//! task has ended.

use std::time::Duration;

use e2e::standin::{DynamoDbCall, Limits};
use serde_json::json;

use crate::account::{Account, Asked, DYNAMODB_LATENCY, uploaded};
use crate::report::Row;
use crate::sandbox::Binaries;

/// The launches before those that are measured, and these.
const WARM_UP: usize = 5;
const LAUNCHES: usize = 40;
/// The most dollars for a million launches.
const DOLLARS_MAX: f64 = 8.0;

/// What a launch needed before its RunTask call.
#[derive(Debug, Clone, Copy)]
struct ToCall {
    took: Duration,
    requests: usize,
    round_trips: usize,
}

pub(crate) fn measure(binaries: &Binaries) -> Vec<Row> {
    let account = Account::new(binaries, Limits::NEW_TABLE);
    let (trigger, lifecycle) = (account.sandbox("event-trigger"), account.sandbox("task-lifecycle"));
    let mut to_calls = Vec::new();
    let mut calls: Vec<DynamoDbCall> = Vec::new();
    for number in 0..WARM_UP + LAUNCHES {
        let invocation = account.invoke(&trigger, &uploaded(number));
        let of_launch = account.dynamodb.take_calls();
        let called = account.ecs.take_calls().first().map(|call| call.arrived);
        let arn = account.take_task();
        let ended = arn.map(|arn| account.invoke(&lifecycle, &account.ecs.model.finish(&arn, 0)));
        let of_end = account.dynamodb.take_calls();
        if number < WARM_UP || ended.is_none() {
            continue;
        }
        if let Some(called) = called {
            let before: Vec<&DynamoDbCall> = of_launch.iter().filter(|call| call.arrived < called).collect();
            let took = called.saturating_duration_since(invocation.handed);
            to_calls.push(ToCall { took, requests: before.len(), round_trips: round_trips(&before) });
        }
        calls.extend(of_launch.into_iter().chain(of_end));
    }
    to_calls.sort_by_key(|to_call| to_call.took);
    let asked = Asked::of(&calls);
    vec![to_call(&account, &to_calls), cost(&asked)]
}

fn to_call(account: &Account, to_calls: &[ToCall]) -> Row {
    let median = to_calls[to_calls.len() / 2];
    let worst = to_calls.iter().map(|to_call| to_call.round_trips).max().unwrap_or_default();
    let failed = account.timed_out.load(std::sync::atomic::Ordering::Relaxed);
    Row {
        work: "event to RunTask call, warm, one launch".to_owned(),
        measured: format!(
            "{worst} store round trip, with {} requests at once; median {:.1} ms, of which the store takes {}",
            median.requests,
            milliseconds(median.took),
            DYNAMODB_LATENCY.as_millis(),
        ),
        goal: "1 store round trip".to_owned(),
        is_met: worst == 1 && to_calls.len() == LAUNCHES && failed == 0,
        figures: json!({
            "launches": to_calls.len(),
            "round_trips": worst,
            "requests": median.requests,
            "median_ms": milliseconds(median.took),
            "longest_ms": to_calls.last().map(|to_call| milliseconds(to_call.took)),
        }),
    }
}

fn cost(asked: &Asked) -> Row {
    let dollars = asked.dollars_per_million(LAUNCHES);
    let per_launch = |units: f64| units / LAUNCHES as f64;
    Row {
        work: "store cost per million short launches".to_owned(),
        measured: format!(
            "${dollars:.2}: {:.1} write units and {:.1} read units in {:.1} requests each",
            per_launch(asked.write_units),
            per_launch(asked.read_units),
            per_launch(asked.requests as f64),
        ),
        goal: format!("<= ${DOLLARS_MAX}"),
        is_met: dollars <= DOLLARS_MAX,
        figures: json!({ "dollars": dollars, "launches": LAUNCHES, "store": asked.to_json() }),
    }
}

/// Returns how many requests had to wait for an earlier one.
fn round_trips(calls: &[&DynamoDbCall]) -> usize {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.answered);
    let mut last = None;
    let mut round_trips = 0;
    for call in calls {
        if last.is_none_or(|answered| call.arrived >= answered) {
            round_trips += 1;
            last = Some(call.answered);
        }
    }
    round_trips
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
