//! Many launches at once: large fan-outs, a crowded limit, and launch sets. The stories use the real functions, the
//! emulator's DynamoDB and SQS, and the model of ECS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Call, Function, Message, Passage, Proxy};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::launch::SetCounts;
use trigger_core::storage::ItemKind;

use crate::account::{Account, DYNAMODB, PATIENCE, SQS, SWEEP, writes_launches};

/// The most tasks of a customer that run at once.
const MAX: usize = 5;

const CONFIG: &str = r#"
version: 1
storage: { bucket: state, table: launches }
defaults: { cluster: batch, launch_type: EC2 }
tasks:
  element: { task_definition: element, overrides: { container_overrides: [{ name: app, command: ["{{ item }}"] }] } }
  job: { task_definition: job, overrides: { container_overrides: [{ name: app, command: ["{{ id }}"] }] } }
routes:
  - { name: fan-out, on: { event_pattern: { source: [my.app] } }, for_each: "{{ detail.elements }}", run: element }
  - { name: jobs, on: { queue: jobs }, run: job, concurrency: { key: "{{ body.customer }}", max: 5 } }
"#;

fn account() -> Account {
    let account = Account::new(CONFIG);
    account.ecs.ecs().behaviour.throttles = false;
    account
}

/// Returns an event with this many elements.
fn fan_out(elements: usize) -> String {
    json!({
        "version": "0", "id": "6f0e5b5e-0000-0000-0000-000000000001", "detail-type": "Work", "source": "my.app",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": { "elements": (0..elements).collect::<Vec<_>>() },
    })
    .to_string()
}

/// Returns the elements whose tasks were started.
fn started(account: &Account) -> Vec<usize> {
    let ecs = account.ecs.ecs();
    let element = |command: &[String]| command.first().and_then(|word| word.parse().ok());
    let commands = ecs.tasks.values().map(|task| &task.request.overrides.container_overrides[0].command);
    let mut elements: Vec<usize> = commands.map(|command| element(command).expect("is an element")).collect();
    elements.sort_unstable();
    elements
}

fn recorded(account: &Account) -> usize {
    account.table.items(ItemKind::Launch.prefix()).len()
}

/// Works off the work queue with two functions at once.
fn work_off(account: &Account) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| account.work_off(&account.function("task-lifecycle")));
        }
    });
}

#[test]
fn each_of_two_thousand_elements_starts_once_although_functions_are_killed() {
    const ELEMENTS: usize = 2000;
    let account = account();
    let _without_rate = account.table.without_rate();
    let event = fan_out(ELEMENTS);

    let mut writes = 0;
    let while_it_records = account.doomed("event-trigger", DYNAMODB, move |asked| {
        writes += usize::from(writes_launches(asked));
        writes == 10
    });
    while_it_records.invoke(&event);
    let some = recorded(&account);
    assert!(0 < some && some < ELEMENTS, "{some} launches are recorded");

    let mut batches = 0;
    let while_it_hands_over = account.doomed("event-trigger", SQS, move |asked| {
        batches += usize::from(asked.operation() == "SendMessageBatch");
        batches == 4
    });
    while_it_hands_over.invoke(&event);
    // It hands over the first part of the launches before it records the second one.
    assert_eq!((recorded(&account), account.tasks().len()), (ELEMENTS / 2, 0));
    let handed_over = account.work_left();
    assert!(0 < handed_over && handed_over * 25 < ELEMENTS, "{handed_over} messages tell of launches");
    account.function("event-trigger").invoke(&event).expect("all launches are recorded");

    let mut writes = 0;
    let while_it_works = account.doomed("task-lifecycle", DYNAMODB, move |asked| {
        writes += usize::from(writes_launches(asked));
        writes == 30
    });
    let message = account.take_work();
    while_it_works.invoke(&Message::batch(std::slice::from_ref(&message)));
    let some = account.tasks().len();
    assert!(0 < some && some < 25, "{some} tasks are started");
    account.emulator.give_back(&message);

    work_off(&account);
    // Other functions wait until a call that may be under way is certainly over.
    account.table.pass("fan-out", SignedDuration::from_mins(20), |record| record["tasks"] == json!([]));
    account.function("task-lifecycle").invoke(SWEEP).expect("is swept");
    work_off(&account);

    assert_eq!(started(&account), (0..ELEMENTS).collect::<Vec<_>>(), "each once");
    let records = account.records("fan-out");
    assert!(records.iter().all(|(_, record)| record["tasks"].as_array().is_some_and(|tasks| tasks.len() == 1)));
    let running = SetCounts { running: 2000, ..SetCounts::default() };
    assert_eq!(account.table.set("fan-out"), (Some(2000), running));
}

#[test]
fn a_redelivered_fan_out_costs_a_handful_of_requests() {
    let account = account();
    let proxy = Proxy::start(account.emulator.address(), |_| Passage::Pass);
    let function = account.function_with("event-trigger", &[(DYNAMODB, &proxy.endpoint)]);
    let requests = || {
        let before = proxy.calls().len();
        function.invoke(&fan_out(1000)).expect("is recorded");
        proxy.calls().len() - before
    };
    let (first, second) = (requests(), requests());
    println!("a fan-out of 1,000: {first} requests to DynamoDB, delivered again: {second}");
    assert_eq!((recorded(&account), account.work_left()), (1000, 40));
    assert!(first <= 30, "{first} requests");
    assert!(second <= 10, "{second} requests");
}

#[test]
fn the_counts_of_a_set_are_exact() {
    let account = account();
    let _without_rate = account.table.without_rate();
    account.function("event-trigger").invoke(&fan_out(500)).expect("is recorded");
    assert_eq!(account.table.set("fan-out"), (Some(500), SetCounts::default()));
    work_off(&account);
    let running = SetCounts { running: 500, ..SetCounts::default() };
    assert_eq!(account.table.set("fan-out"), (Some(500), running));

    let mut changes = Vec::new();
    for (number, arn) in account.tasks().iter().enumerate() {
        let change = account.ecs.finish(arn, i32::from(number % 10 == 0));
        // Some changes are delivered twice, to two functions at once.
        changes.extend(std::iter::repeat_n(change, 1 + usize::from(number % 7 == 0)));
    }
    let changes = Mutex::new(changes);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let lifecycle = account.function("task-lifecycle");
                let next = || changes.lock().expect("not poisoned").pop();
                while let Some(change) = next() {
                    lifecycle.invoke(&change).expect("is recorded");
                }
            });
        }
    });
    let counts = SetCounts { running: 0, succeeded: 450, failed: 50, other: 0 };
    assert_eq!(account.table.set("fan-out"), (Some(500), counts));
    assert_eq!(account.emulator.depth("dead-letters"), 50);
}

/// Ends the oldest tasks while enough of them run, and tells a function of it, until `total` tasks have ended.
fn end_tasks(account: &Account, lifecycle: &Function, ended: &Mutex<BTreeSet<String>>, total: usize) {
    // Three functions end tasks at once.
    const ENOUGH: usize = MAX - 2;
    let began = Instant::now();
    let next = || {
        let mut ended = ended.lock().expect("not poisoned");
        let tasks = account.tasks();
        let is_last = tasks.len() == total;
        let mut running = tasks.into_iter().filter(|arn| !ended.contains(arn)).collect::<Vec<_>>().into_iter();
        let next = running.next().filter(|_| is_last || running.len() + 1 >= ENOUGH);
        ended.extend(next.clone());
        (ended.len() == total, next)
    };
    loop {
        match next() {
            (_, Some(arn)) => drop(lifecycle.invoke(&account.ecs.finish(&arn, 0)).expect("is recorded")),
            (true, None) => return,
            (false, None) if account.work(lifecycle) => {}
            (false, None) => thread::park_timeout(Duration::from_millis(5)),
        }
        assert!(began.elapsed() < PATIENCE, "{} tasks were started", account.tasks().len());
    }
}

#[test]
fn two_hundred_messages_on_one_key_run_five_at_a_time_in_the_order_of_their_tickets() {
    const MESSAGES: usize = 200;
    let account = account();
    let proxy = Proxy::start(account.emulator.address(), |_| Passage::Pass);
    let start = |name: &str| account.function_with(name, &[(DYNAMODB, &proxy.endpoint)]);
    let message = |number| Message::new("jobs", &format!("m-{number:03}"), r#"{"customer":"a"}"#);
    let messages: Vec<Message> = (0..MESSAGES).map(message).collect();
    let ended = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for messages in messages.chunks(MESSAGES / 10) {
            let function = start("sqs-trigger");
            scope.spawn(move || {
                for batch in messages.chunks(10) {
                    let answer = function.invoke(&Message::batch(batch)).expect("is done");
                    assert_eq!(answer["batchItemFailures"], json!([]));
                }
            });
        }
        for _ in 0..3 {
            let (account, lifecycle, ended) = (&account, start("task-lifecycle"), &ended);
            scope.spawn(move || end_tasks(account, &lifecycle, ended, MESSAGES));
        }
    });

    let calls = proxy.calls();
    let refused = calls.iter().filter(|call| call.status != 200).count();
    println!(
        "200 messages on one key: {:.1} requests per launch, {:.1} % of them refused; {:?}",
        calls.len() as f64 / MESSAGES as f64,
        refused as f64 * 100.0 / calls.len() as f64,
        by_operation(&calls),
    );
    assert_eq!(account.ecs.ecs().most_at_once(), MAX);

    let mut started: Vec<(u64, Timestamp)> = Vec::new();
    for (key, record) in account.records("jobs") {
        assert_eq!(record["ended"]["outcome"], "succeeded", "{key}");
        let arn = record["tasks"][0]["arn"].as_str().expect("has a task");
        let ticket = record["ticket"].as_u64().expect("has a ticket");
        started.push((ticket, account.ecs.ecs().tasks[arn].started));
    }
    assert_eq!((started.len(), account.tasks().len()), (MESSAGES, MESSAGES), "each once");
    // Slots are taken in the order of the tickets. Those that have them call RunTask in any order.
    for (ticket, at) in &started {
        let overtaken = started.iter().filter(|(other, then)| other < ticket && then > at).count();
        assert!(overtaken < MAX, "the launch with ticket {ticket} has overtaken {overtaken} others");
    }
    let places = account.table.items(ItemKind::Line.prefix());
    let places: Vec<&Value> = places.iter().map(|item| &item["part"]).filter(|part| **part != "tickets").collect();
    assert_eq!(places, ["used"], "nobody has a place any more");
}

fn by_operation(calls: &[Call]) -> BTreeMap<(&str, u16), usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry((call.operation.as_str(), call.status)).or_default() += 1;
    }
    counts
}
