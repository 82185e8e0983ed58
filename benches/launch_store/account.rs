//! An account of stand-ins, and the functions in it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use e2e::Message;
use e2e::standin::{self, DynamoDb, DynamoDbCall, Item, Limits, S3, SlowEcs, Sqs};
use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::{Index, ItemKind, TABLE_KEY, known, unpack};
use trigger_core::text::Source;

use crate::sandbox::{Binaries, Failed, Invocation, Sandbox};

/// The latencies of the services.
pub(crate) const DYNAMODB_LATENCY: Duration = Duration::from_millis(5);
pub(crate) const S3_LATENCY: Duration = Duration::from_millis(20);
pub(crate) const SQS_LATENCY: Duration = Duration::from_millis(10);
pub(crate) const ECS_LATENCY: Duration = Duration::from_millis(150);

/// The event source mapping of the work queue invokes this many functions at once.
const WORKERS: usize = 5;
/// The sweep's schedule, and its input.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
pub(crate) const SWEEP: &str = r#"{"sweep":true}"#;
/// A wait polls at this interval.
const MOMENT: Duration = Duration::from_millis(20);
const WORK: &str = "work";

const CONFIG: &str = r#"
version: 1
storage: { bucket: state, table: launches }
defaults: { cluster: batch, launch_type: FARGATE, network: { subnets: [subnet-1] } }
tasks:
  one: { task_definition: one, overrides: { container_overrides: [{ name: app, command: ["{{ id }}"] }] } }
  element: { task_definition: element, overrides: { container_overrides: [{ name: app, command: ["{{ item }}"] }] } }
  flaky:
    task_definition: flaky
    retry: { attempts: 2, backoff: 10s }
    overrides: { container_overrides: [{ name: app, command: ["{{ id }}"] }] }
  slow:
    task_definition: slow
    timeout: 90s
    overrides: { container_overrides: [{ name: app, command: ["{{ id }}"] }] }
routes:
  - { name: one, on: { s3: { bucket: uploads } }, run: one }
  - name: fan-out
    on: { event_pattern: { source: [bench.fan-out] } }
    for_each: "{{ detail.elements }}"
    run: element
  - { name: flaky, on: { event_pattern: { source: [bench.flaky] } }, run: flaky }
  - { name: slow, on: { event_pattern: { source: [bench.slow] } }, run: slow }
  - { name: jobs, on: { queue: jobs }, run: one, concurrency: { key: "{{ body.customer }}", max: 5, when_full: queue } }
"#;

/// Services with nothing in them but the config, and the functions' binaries.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) dynamodb: DynamoDb,
    pub(crate) s3: S3,
    pub(crate) sqs: Sqs,
    pub(crate) ecs: SlowEcs,
    binaries: Binaries,
    /// The tasks that were started and have not ended, and when they were started.
    running: Arc<Mutex<VecDeque<(String, Instant)>>>,
    pub(crate) ended: AtomicUsize,
    /// The invocations that did not answer in time, and those that raised an error.
    pub(crate) timed_out: AtomicUsize,
    pub(crate) raised: AtomicUsize,
    is_over: AtomicBool,
}

impl Account {
    pub(crate) fn new(binaries: &Binaries, limits: Limits) -> Self {
        let config = RoutingConfig::parse(Source::new("ecs-trigger.yaml", CONFIG)).expect("the config is valid");
        let running = Arc::new(Mutex::new(VecDeque::new()));
        let started = Arc::clone(&running);
        Self {
            dynamodb: DynamoDb::start(&config, DYNAMODB_LATENCY, limits),
            s3: S3::start(S3_LATENCY, &[("/state/ecs-trigger.yaml", CONFIG)]),
            sqs: Sqs::start(SQS_LATENCY),
            ecs: SlowEcs::start(ECS_LATENCY, move |arn| lock(&started).push_back((arn.to_owned(), Instant::now()))),
            binaries: binaries.clone(),
            running,
            ended: AtomicUsize::new(0),
            timed_out: AtomicUsize::new(0),
            raised: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Starts a function.
    pub(crate) fn sandbox(&self, name: &str) -> Sandbox {
        let (work, dead_letters) = (self.sqs.queue_url(WORK), self.sqs.queue_url("dead-letters"));
        let variables = [
            // The S3 client addresses buckets by paths if there is an endpoint for all services.
            ("AWS_ENDPOINT_URL", self.s3.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb.endpoint),
            ("AWS_ENDPOINT_URL_ECS", &self.ecs.endpoint),
            ("AWS_ENDPOINT_URL_SQS", &self.sqs.endpoint),
            ("ECS_TRIGGER_CONFIG", "s3://state/ecs-trigger.yaml"),
            ("ECS_TRIGGER_TABLE", &self.dynamodb.table),
            ("ECS_TRIGGER_WORK_QUEUE", &work),
            ("ECS_TRIGGER_DEAD_LETTER_QUEUE", &dead_letters),
        ];
        Sandbox::start(&self.binaries, name, &variables)
    }

    /// Invokes a function, and counts it if it fails.
    pub(crate) fn invoke(&self, sandbox: &Sandbox, event: &str) -> Invocation {
        let invocation = sandbox.invoke(event);
        match &invocation.result {
            Ok(_) => {}
            Err(Failed::TimedOut) => drop(self.timed_out.fetch_add(1, Ordering::Relaxed)),
            Err(Failed::Raised(error)) => {
                eprintln!("a function raised {error}");
                self.raised.fetch_add(1, Ordering::Relaxed);
            }
        }
        invocation
    }

    /// Works off the work queue as its event source mapping does, and sweeps every minute, until it is over.
    pub(crate) fn work_off<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let lifecycle = self.sandbox("task-lifecycle");
                while !self.is_over() {
                    let Some(message) = self.sqs.take(WORK, Instant::now() + MOMENT) else { continue };
                    let invocation = self.invoke(&lifecycle, &Message::batch(std::slice::from_ref(&message)));
                    if invocation.result.is_err() {
                        self.sqs.give_back(&message);
                    }
                }
            });
        }
        scope.spawn(|| {
            let lifecycle = self.sandbox("task-lifecycle");
            let mut swept = Instant::now();
            while !self.is_over() {
                if swept.elapsed() >= SWEEP_EVERY {
                    self.invoke(&lifecycle, SWEEP);
                    swept += SWEEP_EVERY;
                }
                thread::sleep(MOMENT);
            }
        });
    }

    /// Ends each task once it has run for some time, by one of `functions` at once, until it is over.
    pub(crate) fn end_tasks<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, functions: usize, after: Duration) {
        for _ in 0..functions {
            scope.spawn(move || {
                let lifecycle = self.sandbox("task-lifecycle");
                while !self.is_over() {
                    match self.next_to_end(after) {
                        Some(arn) => {
                            self.invoke(&lifecycle, &self.ecs.model.finish(&arn, 0));
                            self.ended.fetch_add(1, Ordering::Relaxed);
                        }
                        None => thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        }
    }

    fn next_to_end(&self, after: Duration) -> Option<String> {
        let mut running = lock(&self.running);
        let is_over = running.front().is_some_and(|(_, started)| started.elapsed() >= after);
        if is_over { running.pop_front().map(|(arn, _)| arn) } else { None }
    }

    /// Takes the task that was started first.
    pub(crate) fn take_task(&self) -> Option<String> {
        lock(&self.running).pop_front().map(|(arn, _)| arn)
    }

    /// Waits until something holds. Returns false if that takes longer than `patience`.
    pub(crate) fn wait_until(patience: Duration, holds: impl Fn() -> bool) -> bool {
        let began = Instant::now();
        while !holds() {
            if began.elapsed() > patience {
                return false;
            }
            thread::sleep(MOMENT);
        }
        true
    }

    /// Lets the functions of [`Account::work_off`] and [`Account::end_tasks`] end.
    pub(crate) fn is_done(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Returns how many launches are recorded.
    pub(crate) fn recorded(&self) -> usize {
        self.dynamodb.items(ItemKind::Launch.prefix()).len()
    }

    /// Returns the records of all launches.
    pub(crate) fn records(&self) -> Vec<Value> {
        let items = self.dynamodb.items(ItemKind::Launch.prefix());
        items.iter().map(|item| serde_json::from_str(&record_of(item)).expect("a record is JSON")).collect()
    }

    /// Returns how many slots are taken, of all limits together.
    pub(crate) fn slots(&self) -> i64 {
        let items = self.dynamodb.items(ItemKind::Line.prefix());
        items.iter().filter_map(|item| item.get("used")?.as_whole()).sum()
    }

    /// Returns how many tasks were started.
    pub(crate) fn tasks(&self) -> usize {
        self.ecs.model.ecs().tasks.len()
    }
}

/// Returns the JSON of the record in a launch's item.
pub(crate) fn record_of(item: &Item) -> String {
    let packed = item["record"].as_bytes().expect("has a record");
    unpack(packed, &known_of(item)).expect("is a record")
}

/// Returns what is known when the record of an item is unpacked.
pub(crate) fn known_of(item: &Item) -> String {
    let object = item.get(Index::Object.key()[0]).and_then(standin::Value::as_text);
    known(item[TABLE_KEY[0]].as_text().unwrap_or_default(), object)
}

/// Returns an event of EventBridge for the route whose source is `bench.ROUTE`.
pub(crate) fn event(route: &str, number: usize, detail: &Value) -> String {
    json!({
        "version": "0", "id": format!("6f0e5b5e-0000-0000-0000-{number:012}"), "detail-type": "Work",
        "source": format!("bench.{route}"), "account": "000000000000", "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1", "resources": [], "detail": detail,
    })
    .to_string()
}

/// Returns the event of an object that S3 has created.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
pub(crate) fn uploaded(number: usize) -> String {
    json!({
        "version": "0", "id": format!("17793124-05d4-b198-2fde-{number:012}"), "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:s3:::uploads"],
        "detail": {
            "version": "0", "bucket": { "name": "uploads" },
            "object": {
                "key": format!("incoming/2026/01/01/orders-{number:06}.csv"), "size": 4096,
                "etag": "b1946ac92492d2347c6235b4d2611184", "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
                "sequencer": format!("617f08299329{number:06x}"),
            },
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    })
    .to_string()
}

/// What was asked of the store.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) requests: usize,
    pub(crate) writes: usize,
    pub(crate) refused_writes: usize,
    pub(crate) throttled: usize,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    /// The number of requests by operation, and by the code of their refusal.
    pub(crate) by_operation: std::collections::BTreeMap<String, usize>,
}

impl Asked {
    pub(crate) fn of(calls: &[DynamoDbCall]) -> Self {
        let mut asked = Self::default();
        for call in calls {
            let is_write = !matches!(call.operation.as_str(), "Query" | "BatchGetItem");
            let refused = call.refused.as_deref();
            asked.requests += 1;
            asked.writes += usize::from(is_write);
            asked.refused_writes += usize::from(is_write && refused.is_some());
            asked.throttled += usize::from(refused.is_some_and(|codes| codes.contains("Throttling")));
            asked.write_units += call.write_units;
            asked.read_units += call.read_units;
            let name = refused.map_or(call.operation.clone(), |codes| format!("{} ({codes})", call.operation));
            *asked.by_operation.entry(name).or_default() += 1;
        }
        asked
    }

    /// Returns the price of a million launches like these, in US dollars.
    /// Source: <https://aws.amazon.com/dynamodb/pricing/on-demand/>, us-east-1.
    pub(crate) fn dollars_per_million(&self, launches: usize) -> f64 {
        (self.write_units * 0.625 + self.read_units * 0.125) / launches as f64
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "requests": self.requests,
            "writes": self.writes,
            "refused_writes": self.refused_writes,
            "throttled": self.throttled,
            "write_units": self.write_units,
            "read_units": self.read_units,
            "by_operation": self.by_operation,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
