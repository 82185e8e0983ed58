//! Each event starts its tasks once, or ends in the dead-letter queue with the reason. The stories use the real
//! functions, the emulator's DynamoDB, S3 and SQS, and the model of ECS.

use std::time::{Duration, Instant};

use e2e::{Message, Passage, Proxy};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::account::{Account, DYNAMODB, SWEEP, writes_launches};

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
  import: { task_definition: import, retry: { attempts: 2, backoff: 1s, on: [{ exit_code: [75] }] } }
  report: { task_definition: report }
routes:
  - { name: uploads, on: { s3: { bucket: uploads } }, run: import }
  - { name: nightly, on: { schedule: rate(1 hour) }, run: report, concurrency: { max: 1, when_full: skip } }
  - { name: jobs, on: { queue: jobs }, run: import }
"#;

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
    let account = Account::new(CONFIG);
    let function = account.function("event-trigger");
    function.invoke(&uploaded("a")).expect("is done");
    // S3 does not guarantee that a repeated notification has the same id.
    function.invoke(&uploaded("a").replace("000000000001", "000000000002")).expect("is done");
    assert_eq!(account.tasks().len(), 1);
    assert_eq!(account.ecs.ecs().calls.len(), 1, "the ledger knows the launch, so RunTask is not called again");
}

#[test]
fn a_function_that_is_killed_between_the_reply_and_the_ledger_starts_one_task() {
    let account = Account::new(CONFIG);
    let mut writes = 0;
    let doomed = account.doomed("event-trigger", DYNAMODB, move |asked| {
        writes += u32::from(writes_launches(asked));
        // The first write records the attempt, the second its reply.
        writes == 2
    });
    doomed.invoke(&uploaded("a"));
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
fn a_write_whose_answer_is_lost_is_recognized_and_delays_nothing() {
    let account = Account::new(CONFIG);
    let mut writes = 0;
    let proxy = Proxy::start(account.emulator.address(), move |asked| {
        writes += u32::from(writes_launches(asked));
        // The first write records the attempt, the second repeats it, the third records the reply.
        let loses = writes_launches(asked) && (writes == 1 || writes == 3);
        if loses { Passage::LoseResponse } else { Passage::Pass }
    });
    let function = account.function_with("event-trigger", &[(DYNAMODB, &proxy.endpoint)]);
    function.invoke(&uploaded("a")).expect("is done");
    assert_eq!(account.tasks().len(), 1, "the launch was not left to the sweep");
    assert_eq!(account.records("uploads")[0].1["tasks"][0]["arn"], account.tasks()[0]);
    function.invoke(&uploaded("a")).expect("is a duplicate");
    assert_eq!(account.ecs.ecs().calls.len(), 1);
}

#[test]
fn a_launch_that_finds_no_capacity_on_any_rung_is_made_later_and_once() {
    let account = Account::new(CONFIG);
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
    let account = Account::new(CONFIG);
    let batch = Message::batch(&[Message::new("jobs", "m-1", "{ not JSON")]);
    let answer = account.function("sqs-trigger").invoke(&batch).expect("is done");
    assert_eq!(answer["batchItemFailures"], json!([]), "it need not come again");
    let letter = account.dead_letter();
    assert_eq!(letter["event_text"], "{ not JSON");
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("not JSON")), "{letter}");
}

#[test]
fn a_launch_that_ecs_refuses_is_dead_lettered_with_its_event_route_and_attempts() {
    let account = Account::new(CONFIG);
    account.ecs.ecs().clusters = vec!["another".to_owned()];
    account.function("event-trigger").invoke(&uploaded("a")).expect("is dead-lettered");
    let letter = account.dead_letter();
    assert_eq!(letter["route"], "uploads");
    assert_eq!(letter["event"]["detail"]["object"]["key"], "a");
    assert_eq!(letter["attempts"][0]["reply"]["error"]["code"], "ClusterNotFoundException");
}

#[test]
fn a_firing_is_skipped_while_the_previous_one_runs_and_the_skip_is_recorded() {
    let account = Account::new(CONFIG);
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
    let account = Account::new(CONFIG);
    account.function("event-trigger").invoke(&uploaded("a")).expect("is launched");
    let lifecycle = account.function("task-lifecycle");
    let first = account.ecs.finish(&account.tasks()[0], 75);
    lifecycle.invoke(&first).expect("is recorded");
    let ended = Instant::now();
    assert_eq!(account.tasks().len(), 1, "the pause is not over");
    account.work_off(&lifecycle);
    assert_eq!(account.tasks().len(), 2, "started again");
    let after = ended.elapsed();
    assert!(Duration::from_secs(1) <= after && after < Duration::from_secs(6), "after {after:?} instead of 1 s");
    let attempt = |call: usize| account.ecs.ecs().calls[call].overrides.container_overrides[0].environment[2].clone();
    assert_eq!((attempt(0).value, attempt(1).value), ("0".to_owned(), "1".to_owned()), "the task sees its attempt");

    let second = account.ecs.finish(&account.tasks()[1], 75);
    lifecycle.invoke(&second).expect("is recorded");
    let letter = account.dead_letter();
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("exit code 75")), "{letter}");
    assert_eq!(letter["tasks"].as_array().map(Vec::len), Some(2));
}
