//! Many messages at once, whose launches share one limit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e2e::Message;
use e2e::standin::Limits;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::account::{Account, Asked};
use crate::report::Row;
use crate::sandbox::Binaries;

const MESSAGES: usize = 1000;
/// The messages of an invocation, and the invocations at once.
const BATCH: usize = 10;
const INVOCATIONS: usize = 50;
/// The most tasks of a customer that run at once.
const MAX: usize = 5;
const MAX_SLOTS: i64 = 5;
/// A task ends this long after it was started, and this many functions hear of ends at once.
const TASK: Duration = Duration::from_millis(50);
const ENDERS: usize = 8;
const WRITES_MAX: f64 = 8.0;
const REFUSED_MAX: f64 = 10.0;
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn measure(binaries: &Binaries) -> Row {
    let account = Account::new(binaries, Limits::NEW_TABLE);
    let message = |number| Message::new("jobs", &format!("m-{number:04}"), r#"{"customer":"a"}"#);
    let messages: Vec<Message> = (0..MESSAGES).map(message).collect();
    let batches: Mutex<Vec<&[Message]>> = Mutex::new(messages.chunks(BATCH).rev().collect());
    let longest = Mutex::new(Duration::ZERO);
    let came_again = Mutex::new(0);
    let most_slots = Cell::new(0);
    let began = thread::scope(|scope| {
        account.work_off(scope);
        account.end_tasks(scope, ENDERS, TASK);
        let triggers: Vec<_> = (0..INVOCATIONS).map(|_| account.sandbox("sqs-trigger")).collect();
        // Each function is warm: it has read its config.
        thread::sleep(Duration::from_secs(1));
        let began = Instant::now();
        for trigger in triggers {
            let (account, batches, longest, came_again) = (&account, &batches, &longest, &came_again);
            scope.spawn(move || {
                let next = || batches.lock().unwrap_or_else(PoisonError::into_inner).pop();
                while let Some(batch) = next() {
                    let invocation = account.invoke(&trigger, &Message::batch(batch));
                    let mut longest = longest.lock().unwrap_or_else(PoisonError::into_inner);
                    *longest = invocation.took.max(*longest);
                    let failed = match &invocation.result {
                        Ok(answer) => answer["batchItemFailures"].as_array().map_or(0, Vec::len),
                        Err(_) => batch.len(),
                    };
                    if failed > 0 {
                        *came_again.lock().unwrap_or_else(PoisonError::into_inner) += failed;
                        batches.lock().unwrap_or_else(PoisonError::into_inner).insert(0, batch);
                    }
                }
            });
        }
        Account::wait_until(PATIENCE, || {
            most_slots.set(account.slots().max(most_slots.get()));
            account.ended.load(Ordering::Relaxed) == MESSAGES
        });
        account.is_done();
        began
    });
    let took = began.elapsed();
    let longest = longest.into_inner().unwrap_or_else(PoisonError::into_inner);
    let came_again: usize = came_again.into_inner().unwrap_or_else(PoisonError::into_inner);
    row(&account, took, longest, came_again, most_slots.get())
}

fn row(account: &Account, took: Duration, longest: Duration, came_again: usize, most_slots: i64) -> Row {
    let calls = account.dynamodb.take_calls();
    let asked = Asked::of(&calls);
    let writes = asked.writes as f64 / MESSAGES as f64;
    let refused = asked.refused_writes as f64 * 100.0 / asked.writes.max(1) as f64;
    let timed_out = account.timed_out.load(Ordering::Relaxed);
    let most = account.ecs.model.ecs().most_at_once();
    let overtaken = most_overtaken(account);
    let is_done = account.ended.load(Ordering::Relaxed) == MESSAGES && account.tasks() == MESSAGES;
    let keeps_order = overtaken < MAX;
    Row {
        work: "1,000 messages, 50 invocations at once, one key, `max: 5, when_full: queue`".to_owned(),
        measured: format!(
            "{timed_out} time-outs (the longest invocation {:.1} s), {writes:.1} store writes for each launch, \
             {refused:.1} % of them refused, at most {most} tasks at once and {most_slots} slots taken, {}; {} launches in \
             {:.0} s, {} messages came again, {} requests throttled, {:.1} write and {:.1} read units for each launch",
            longest.as_secs_f64(),
            if keeps_order { "order kept" } else { "order broken" },
            account.ended.load(Ordering::Relaxed),
            took.as_secs_f64(),
            came_again,
            asked.throttled,
            asked.write_units / MESSAGES as f64,
            asked.read_units / MESSAGES as f64,
        ),
        goal: "no time-out, <= 8 store writes for each launch, <= 10 % refused, never 6 at once, order kept".to_owned(),
        is_met: timed_out == 0
            && writes <= WRITES_MAX
            && refused <= REFUSED_MAX
            && most <= MAX
            && most_slots <= MAX_SLOTS
            && keeps_order
            && is_done,
        figures: json!({
            "seconds": took.as_secs_f64(),
            "ended": account.ended.load(Ordering::Relaxed),
            "tasks": account.tasks(),
            "timed_out": timed_out,
            "raised": account.raised.load(Ordering::Relaxed),
            "longest_invocation_seconds": longest.as_secs_f64(),
            "messages_again": came_again,
            "writes_per_launch": writes,
            "refused_percent": refused,
            "most_at_once": most,
            "most_slots": most_slots,
            "most_overtaken": overtaken,
            "dollars_per_million": asked.dollars_per_million(MESSAGES),
            "sqs_requests": account.sqs.calls(),
            "store": asked.to_json(),
        }),
    }
}

/// Returns how many launches with later tickets started before a launch, at most. Those that hold slots at the same
/// time call RunTask in any order.
fn most_overtaken(account: &Account) -> usize {
    let ecs = account.ecs.model.ecs();
    let records = account.records();
    let start = |record: &Value| {
        let task = ecs.tasks.get(record["tasks"][0]["arn"].as_str()?)?;
        Some((record["ticket"].as_u64()?, task.started))
    };
    let started: BTreeMap<u64, Timestamp> = records.iter().filter_map(start).collect();
    let overtaken = started.iter().map(|(ticket, at)| started.range(ticket..).filter(|(_, then)| *then < at).count());
    overtaken.max().unwrap_or_default()
}
