//! Events that make many launches.

use std::thread;
use std::time::{Duration, Instant};

use e2e::ecs::FARGATE;
use e2e::standin::{EcsCall, Limits};
use serde_json::json;

use crate::account::{Account, Asked, event};
use crate::report::Row;
use crate::sandbox::{Binaries, TIMEOUT};

/// The most elements of an event.
const ELEMENTS: usize = 10_000;
/// The longest time to start all, relative to ECS's rate.
const RATIO_MAX: f64 = 1.05;
/// The share of a processor that a function of 256 MiB has: one at 1,769 MiB.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const SHARE: f64 = 256.0 / 1769.0;

/// Measures how long it takes to record all launches of an event, with an empty table.
pub(crate) fn recorded(binaries: &Binaries) -> Row {
    let new = record(binaries, Limits::NEW_TABLE);
    let warm = record(binaries, Limits::WARM_TABLE);
    let is_good = |run: &Recorded| run.recorded == ELEMENTS && run.is_answered && run.took < TIMEOUT;
    Row {
        work: "`for_each` 10,000: recorded and answered".to_owned(),
        measured: format!(
            "{:.1} s in a new table, {:.1} s in one that had load before; {} requests, {} of them throttled, {:.1} \
             write units for each launch; the function needs {:.1} s of a processor, which are {:.0} s with 256 MiB",
            new.took.as_secs_f64(),
            warm.took.as_secs_f64(),
            new.asked.requests,
            new.asked.throttled,
            new.asked.write_units / ELEMENTS as f64,
            new.processor.as_secs_f64(),
            new.processor.as_secs_f64() / SHARE,
        ),
        goal: "within one delivery of 60 s".to_owned(),
        is_met: is_good(&new) && is_good(&warm),
        figures: json!({ "new_table": new.to_json(), "warm_table": warm.to_json() }),
    }
}

struct Recorded {
    took: Duration,
    processor: Duration,
    is_answered: bool,
    recorded: usize,
    asked: Asked,
    requests_to_s3: usize,
    requests_to_sqs: usize,
}

impl Recorded {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "seconds": self.took.as_secs_f64(),
            "processor_seconds": self.processor.as_secs_f64(),
            "answered": self.is_answered,
            "recorded": self.recorded,
            "store": self.asked.to_json(),
            "s3_requests": self.requests_to_s3,
            "sqs_requests": self.requests_to_sqs,
        })
    }
}

fn record(binaries: &Binaries, limits: Limits) -> Recorded {
    let account = Account::new(binaries, limits);
    let trigger = account.sandbox("event-trigger");
    let loads = account.s3.calls();
    let before = trigger.processor_time();
    let invocation = account.invoke(&trigger, &elements(ELEMENTS));
    Recorded {
        took: invocation.took,
        processor: trigger.processor_time().saturating_sub(before),
        is_answered: invocation.result.is_ok(),
        recorded: account.recorded(),
        asked: Asked::of(&account.dynamodb.take_calls()),
        requests_to_s3: account.s3.calls() - loads,
        requests_to_sqs: account.sqs.calls(),
    }
}

/// Measures how long it takes to start all launches of an event, relative to what ECS's rate allows.
pub(crate) fn started(binaries: &Binaries, is_full: bool) -> Row {
    let elements = if is_full { ELEMENTS } else { ELEMENTS / 10 };
    let account = Account::new(binaries, Limits::NEW_TABLE);
    let limit = elements.saturating_sub(FARGATE.burst as usize) as f64 / f64::from(FARGATE.per_second);
    let (began, answered_after) = thread::scope(|scope| {
        account.work_off(scope);
        let trigger = account.sandbox("event-trigger");
        let invocation = account.invoke(&trigger, &self::elements(elements));
        let patience = Duration::from_secs_f64(limit * 2.0 + 60.0);
        Account::wait_until(patience, || account.tasks() == elements);
        account.is_done();
        (invocation.handed, invocation.took)
    });
    let calls: Vec<EcsCall> = account.ecs.take_calls().into_iter().filter(|call| call.operation == "RunTask").collect();
    let accepted = calls.iter().filter(|call| !call.is_refused).map(|call| call.arrived);
    let (first, last) = (accepted.clone().min().unwrap_or(began), accepted.max().unwrap_or(began));
    let took = last.duration_since(began).as_secs_f64();
    let throttled = calls.iter().filter(|call| call.is_refused).count();
    let asked = Asked::of(&account.dynamodb.take_calls());
    let ratio = took / limit;
    let tasks = account.tasks();
    Row {
        work: format!("`for_each` {}: all started", thousands(elements)),
        measured: format!(
            "{took:.1} s from the event, {ratio:.3} x the {limit:.1} s that ECS's rate sets (the first call after {:.1} s; \
             from there {:.3} x); {:.1} % of the calls throttled; {:.1} write units for each launch until it runs",
            seconds_between(began, first),
            seconds_between(first, last) / limit,
            throttled as f64 * 100.0 / calls.len().max(1) as f64,
            asked.write_units / elements as f64,
        ),
        goal: format!("<= {RATIO_MAX} x the limit that ECS's rate sets"),
        is_met: ratio <= RATIO_MAX && tasks == elements,
        figures: json!({
            "elements": elements,
            "started": tasks,
            "seconds": took,
            "limit_seconds": limit,
            "ratio": ratio,
            "first_call_seconds": seconds_between(began, first),
            "answered_seconds": answered_after.as_secs_f64(),
            "calls": calls.len(),
            "throttled_calls": throttled,
            "sqs_requests": account.sqs.calls(),
            "store": asked.to_json(),
        }),
    }
}

fn elements(count: usize) -> String {
    event("fan-out", 0, &json!({ "elements": (0..count).collect::<Vec<_>>() }))
}

fn seconds_between(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

fn thousands(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}
