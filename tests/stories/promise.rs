//! Each event starts its tasks once, or ends in the dead-letter queue with the reason. The stories use the real
//! functions, the emulator's S3 and SQS, and the model of ECS.

use std::sync::mpsc::channel;
use std::time::Duration;

use e2e::ecs::endpoint::Endpoint;
use e2e::{Emulator, Function, Proxy};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const CONFIG: &str = r#"
version: 1
storage: { bucket: state, prefix: ecs-trigger }
defaults:
  cluster: batch
  network: { subnets: [subnet-1] }
  overrides: { container_overrides: [{ name: app, command: ["{{ id }}"] }] }
  capacity:
    - capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]
    - capacity_provider_strategy: [{ capacity_provider: FARGATE, weight: 1 }]
tasks:
  import: { task_definition: import, retry: { attempts: 2, on: [{ exit_code: [75] }] } }
  report: { task_definition: report }
routes:
  - { name: uploads, on: { s3: { bucket: uploads } }, run: import }
  - { name: nightly, on: { schedule: rate(1 hour) }, run: report, concurrency: { max: 1, when_full: skip } }
  - { name: jobs, on: { queue: jobs }, run: import }
"#;

/// An account: the emulator with a config, a ledger and queues, and the model of ECS.
struct Account {
    emulator: Emulator,
    ecs: Endpoint,
}

impl Account {
    fn new() -> Self {
        let emulator = Emulator::start();
        emulator.aws(&["s3api", "create-bucket", "--bucket", "state"]);
        emulator.put_object("state", "config/ecs-trigger.yaml", CONFIG);
        emulator.aws(&["sqs", "create-queue", "--queue-name", "dead-letters"]);
        Self { emulator, ecs: Endpoint::start() }
    }

    fn function(&self, name: &str) -> Function {
        self.function_through(name, &self.emulator.endpoint)
    }

    /// Starts a function that reaches S3 through this endpoint.
    fn function_through(&self, name: &str, s3: &str) -> Function {
        let variables = [
            ("AWS_ENDPOINT_URL", self.emulator.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_S3", s3),
            ("AWS_ENDPOINT_URL_ECS", &self.ecs.endpoint),
            ("ECS_TRIGGER_CONFIG", "s3://state/config/ecs-trigger.yaml"),
            ("ECS_TRIGGER_DEAD_LETTER_QUEUE", &self.emulator.queue_url("dead-letters")),
        ];
        Function::start(name, &variables)
    }

    fn tasks(&self) -> Vec<String> {
        self.ecs.ecs().tasks.keys().cloned().collect()
    }

    /// Returns the keys and records of a route's launches.
    fn records(&self, route: &str) -> Vec<(String, Value)> {
        let prefix = format!("ecs-trigger/launches/{route}/");
        let listed = self.emulator.aws(&["s3api", "list-objects-v2", "--bucket", "state", "--prefix", &prefix]);
        let keys = listed["Contents"].as_array().into_iter().flatten().filter_map(|object| object["Key"].as_str());
        let record = |key: &str| {
            let text = self.emulator.get_object("state", key);
            (key.to_owned(), serde_json::from_str(&text).expect("is JSON"))
        };
        keys.map(record).collect()
    }

    /// Simulates the passing of time for a route's first launch: moves every time in its record back, and makes it due.
    fn pass(&self, route: &str, duration: SignedDuration) {
        let (key, mut record) = self.records(route).remove(0);
        earlier(&mut record, duration);
        self.emulator.put_object("state", &key, &record.to_string());
        let due = record["due"].as_str().expect("is due").to_owned();
        let launch = key.trim_start_matches("ecs-trigger/launches/").trim_end_matches(".json");
        self.emulator.put_object("state", &format!("ecs-trigger/due/{due}/launch/{launch}"), "");
    }

    fn dead_letter(&self) -> Value {
        serde_json::from_str(&self.emulator.receive("dead-letters", 1)[0]).expect("is JSON")
    }
}

/// Moves every time in a value back. The result is in whole seconds.
fn earlier(value: &mut Value, duration: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time - duration).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| earlier(value, duration)),
        Value::Object(fields) => fields.values_mut().for_each(|value| earlier(value, duration)),
        _ => {}
    }
}

const SWEEP: &str = r#"{"sweep":true}"#;

fn uploaded(key: &str) -> String {
    json!({
        "version": "0", "id": "6f0e5b5e-0000-0000-0000-000000000001", "detail-type": "Object Created", "source": "aws.s3",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": {
            "bucket": { "name": "uploads" }, "reason": "PutObject",
            "object": { "key": key, "size": 1, "etag": "e", "sequencer": "0A" },
        },
    })
    .to_string()
}

fn fired(hour: u32) -> String {
    json!({
        "route": "nightly", "schedule_arn": "arn:aws:scheduler:us-east-1:000000000000:schedule/ecs-trigger/nightly",
        "scheduled_time": format!("2026-01-01T{hour:02}:00:00Z"), "execution_id": "x", "attempt_number": "1",
    })
    .to_string()
}

#[test]
fn an_event_that_is_delivered_twice_starts_one_task() {
    let account = Account::new();
    let function = account.function("event-trigger");
    function.invoke(&uploaded("a")).expect("is done");
    // S3 does not guarantee that a repeated notification has the same id.
    function.invoke(&uploaded("a").replace("000000000001", "000000000002")).expect("is done");
    assert_eq!(account.tasks().len(), 1);
    assert_eq!(account.ecs.ecs().calls.len(), 1, "the ledger knows the launch, so RunTask is not called again");
}

#[test]
fn a_function_that_is_killed_between_the_reply_and_the_ledger_starts_one_task() {
    let account = Account::new();
    let (killed, has_been_killed) = channel();
    let killer = std::sync::Arc::new(std::sync::Mutex::new(None::<Box<dyn Fn() + Send>>));
    let (kill, mut writes) = (std::sync::Arc::clone(&killer), 0);
    let address = account.emulator.endpoint.trim_start_matches("http://").to_owned();
    let proxy = Proxy::start(&address, move |request| {
        let is_write = request.starts_with("PUT /state/ecs-trigger/launches/");
        writes += u32::from(is_write);
        // The first write records the attempt, the second its reply.
        let strikes = is_write && writes == 2;
        if strikes {
            kill.lock().expect("not poisoned").as_ref().expect("is set")();
            killed.send(()).expect("is waited for");
        }
        strikes
    });
    let function = account.function_through("event-trigger", &proxy.endpoint);
    *killer.lock().expect("not poisoned") = Some(Box::new(function.killer()));
    function.send(&uploaded("a"));
    has_been_killed.recv_timeout(Duration::from_secs(60)).expect("RunTask was called, and its reply to be recorded");
    assert_eq!(account.tasks().len(), 1);
    assert_eq!(account.records("uploads")[0].1["tasks"], json!([]), "the tasks are not recorded");

    // A redelivery makes no call: the first caller may still be calling.
    account.function("event-trigger").invoke(&uploaded("a")).expect("the ledger has it");
    assert_eq!(account.ecs.ecs().calls.len(), 1);
    account.pass("uploads", SignedDuration::from_mins(10));
    account.function("task-lifecycle").invoke(SWEEP).expect("is swept");
    assert_eq!(account.tasks().len(), 1, "the same token starts nothing new");
    assert_eq!(account.records("uploads")[0].1["tasks"][0]["arn"], account.tasks()[0]);
}

#[test]
fn a_launch_that_finds_no_capacity_on_any_rung_is_made_later_and_once() {
    let account = Account::new();
    account.ecs.ecs().capacity.extend([("FARGATE".to_owned(), 0), ("FARGATE_SPOT".to_owned(), 0)]);
    let function = account.function("event-trigger");
    function.invoke(&uploaded("a")).expect("the ledger has it");
    assert_eq!(account.ecs.ecs().calls.len(), 2, "each rung once");
    let lifecycle = account.function("task-lifecycle");
    lifecycle.invoke(SWEEP).expect("nothing is due yet");
    assert_eq!(account.ecs.ecs().calls.len(), 2);

    account.ecs.ecs().capacity.clear();
    account.pass("uploads", SignedDuration::from_mins(2));
    lifecycle.invoke(SWEEP).expect("is swept");
    assert_eq!(account.tasks().len(), 1);
    lifecycle.invoke(SWEEP).expect("is swept");
    function.invoke(&uploaded("a")).expect("is a duplicate");
    assert_eq!(account.tasks().len(), 1);
}

#[test]
fn a_message_that_is_not_an_event_is_dead_lettered_unchanged_and_with_the_reason() {
    let account = Account::new();
    let record = json!({
        "messageId": "m-1", "receiptHandle": "h", "body": "{ not JSON", "attributes": {}, "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:jobs", "awsRegion": "us-east-1",
    });
    let answer = account.function("sqs-trigger").invoke(&json!({ "Records": [record] }).to_string()).expect("is done");
    assert_eq!(answer["batchItemFailures"], json!([]), "it need not come again");
    let letter = account.dead_letter();
    assert_eq!(letter["event_text"], "{ not JSON");
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("not JSON")), "{letter}");
}

#[test]
fn a_launch_that_ecs_refuses_is_dead_lettered_with_its_event_route_and_attempts() {
    let account = Account::new();
    account.ecs.ecs().clusters = vec!["another".to_owned()];
    account.function("event-trigger").invoke(&uploaded("a")).expect("is dead-lettered");
    let letter = account.dead_letter();
    assert_eq!(letter["route"], "uploads");
    assert_eq!(letter["event"]["detail"]["object"]["key"], "a");
    assert_eq!(letter["attempts"][0]["reply"]["error"]["code"], "ClusterNotFoundException");
}

#[test]
fn a_firing_is_skipped_while_the_previous_one_runs_and_the_skip_is_recorded() {
    let account = Account::new();
    let schedule = account.function("schedule-trigger");
    schedule.invoke(&fired(1)).expect("is launched");
    schedule.invoke(&fired(2)).expect("is skipped");
    assert_eq!(account.tasks().len(), 1);
    let ended = |records: &[(String, Value)]| -> Vec<Value> {
        records.iter().map(|(_, record)| record["ended"]["outcome"].clone()).filter(|ended| !ended.is_null()).collect()
    };
    assert_eq!(ended(&account.records("nightly")), [json!({ "skipped": "full" })]);

    let stopped = account.ecs.finish(&account.tasks()[0], 0);
    let lifecycle = account.function("task-lifecycle");
    lifecycle.invoke(&stopped).expect("is recorded");
    lifecycle.invoke(&stopped).expect("comes twice");
    schedule.invoke(&fired(3)).expect("is launched");
    assert_eq!(account.tasks().len(), 2, "the slot is free again");
}

#[test]
fn a_task_that_fails_is_started_again_as_often_as_the_config_says_and_then_dead_lettered() {
    let account = Account::new();
    account.function("event-trigger").invoke(&uploaded("a")).expect("is launched");
    let lifecycle = account.function("task-lifecycle");
    let first = account.ecs.finish(&account.tasks()[0], 75);
    lifecycle.invoke(&first).expect("is recorded");
    account.pass("uploads", SignedDuration::from_mins(1));
    lifecycle.invoke(SWEEP).expect("is swept");
    assert_eq!(account.tasks().len(), 2, "started again");
    let attempt = |call: usize| account.ecs.ecs().calls[call].overrides.container_overrides[0].environment[2].clone();
    assert_eq!((attempt(0).value, attempt(1).value), ("0".to_owned(), "1".to_owned()), "the task sees its attempt");

    let second = account.ecs.finish(&account.tasks()[1], 75);
    lifecycle.invoke(&second).expect("is recorded");
    let letter = account.dead_letter();
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("exit code 75")), "{letter}");
    assert_eq!(letter["tasks"].as_array().map(Vec::len), Some(2));
}
