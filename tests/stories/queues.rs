//! Messages start their tasks. The real function is mapped to the emulator's queues.

use std::collections::BTreeSet;

use e2e::Emulator;
use serde_json::{Value, json};

const CONFIG: &str = r#"
version: 1
storage: { bucket: config, prefix: state }
ledger: off
tasks:
  resize:
    cluster: batch
    task_definition: app
    overrides: { container_overrides: [{ name: app, command: [resize, "{{ body.image }}"] }] }
  import:
    cluster: batch
    task_definition: app
    overrides: { container_overrides: [{ name: app, command: [import, "{{ bucket }}", "{{ key }}", "{{ size }}"] }] }
  print:
    cluster: batch
    task_definition: app
    overrides: { container_overrides: [{ name: app, command: [print, "{{ body }}"] }] }
routes:
  - { name: jobs, on: { queue: jobs, unmatched: fail, event_pattern: { body: { kind: [resize] } } }, run: resize }
  - { name: ordered, on: { queue: ordered.fifo }, run: resize }
  - { name: texts, on: { queue: texts }, run: print, large_payload: s3 }
  - { name: uploads, on: { queue: uploads, s3: { bucket: uploads, key: { prefix: in/ } } }, run: import }
"#;

/// Creates an account with the function and a queue. The queue is mapped after it holds these messages, so they arrive
/// in one batch.
fn account(queue: &str, messages: &[(&str, Option<&str>)]) -> Emulator {
    let emulator = Emulator::start();
    emulator.deploy("sqs-trigger", CONFIG, "app", &[]);
    emulator.create_queue(queue);
    let entries = messages.iter().enumerate().map(|(index, (body, group))| {
        let mut entry = json!({ "Id": index.to_string(), "MessageBody": body });
        if let Some(group) = group {
            entry["MessageGroupId"] = (*group).into();
        }
        entry
    });
    let entries = Value::Array(entries.collect()).to_string();
    if !messages.is_empty() {
        let url = emulator.queue_url(queue);
        emulator.aws(&["sqs", "send-message-batch", "--queue-url", &url, "--entries", &entries]);
    }
    emulator.map_queue(queue, "sqs-trigger");
    emulator
}

/// Returns the commands of all launches in order. A call with a repeated client token does not count, as ECS launches
/// nothing.
fn launched(emulator: &Emulator, count: usize) -> Vec<String> {
    let mut calls = emulator.calls("RunTask", count);
    calls.reverse();
    let mut tokens = BTreeSet::new();
    calls.retain(|call| tokens.insert(call["clientToken"].to_string()));
    let command = |call: &Value| {
        let words = call["overrides"]["containerOverrides"][0]["command"].as_array().expect("has a command");
        words.iter().skip(1).filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    calls.iter().map(command).collect()
}

#[test]
fn of_a_batch_of_ten_with_three_bad_messages_seven_start_and_three_are_dead_lettered() {
    let bodies: Vec<String> = (0..10)
        .map(|number| match number {
            2 => format!("{{ not JSON {}", "x".repeat(1000)),
            5 => r#"{"kind":"resize"}"#.to_owned(),
            7 => r#"{"kind":"other"}"#.to_owned(),
            number => format!(r#"{{"kind":"resize","image":"{number}.png"}}"#),
        })
        .collect();
    let messages: Vec<(&str, Option<&str>)> = bodies.iter().map(|body| (body.as_str(), None)).collect();
    let emulator = account("jobs", &messages);

    let mut dead = emulator.receive("jobs-dead-letter", 3);
    dead.sort_unstable();
    let mut bad = [2, 5, 7].map(|number| bodies[number].clone());
    bad.sort_unstable();
    assert_eq!(dead, bad);
    let mut launched = launched(&emulator, 7);
    launched.sort_unstable();
    assert_eq!(launched, ["0.png", "1.png", "3.png", "4.png", "6.png", "8.png", "9.png"], "each once");

    let logs = emulator.logs("sqs-trigger");
    let said = |message: &str| logs.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    let not_decoded = said("cannot decode the message; it returns to its queue");
    assert_eq!(not_decoded.len(), 2, "once at each delivery");
    assert_eq!(not_decoded[0]["body"].as_str().map(str::len), Some(256));
    let launches = said("the task was launched");
    assert_eq!(launches.len(), 7);
    let etag = &launches[0]["span"]["config_etag"];
    assert!(etag.as_str().is_some_and(|etag| etag.len() == 32), "{:?}", launches[0]);
    assert!(logs.iter().filter(|line| line["level"].is_string()).all(|line| &line["span"]["config_etag"] == etag));
}

/// The messages after one that fails return to the queue with it, are received as often, and are dead-lettered with it.
#[test]
fn a_group_keeps_its_order_and_no_message_overtakes_one_that_fails() {
    let body = |image: &str| format!(r#"{{"image":"{image}"}}"#);
    let bodies =
        ["a1", "b1", "a2", "", "b3", "a3"].map(|image| if image.is_empty() { "{}".to_owned() } else { body(image) });
    let groups = ["a", "b", "a", "b", "b", "a"];
    let messages: Vec<(&str, Option<&str>)> =
        bodies.iter().zip(groups).map(|(body, group)| (body.as_str(), Some(group))).collect();
    let emulator = account("ordered.fifo", &messages);

    assert_eq!(emulator.receive("ordered-dead-letter.fifo", 2), ["{}".to_owned(), body("b3")]);
    let url = emulator.queue_url("ordered.fifo");
    let later = ["--message-body", &body("b4"), "--message-group-id", "b"];
    emulator.aws(&[&["sqs", "send-message", "--queue-url", &url][..], &later].concat());

    let launched = launched(&emulator, 5);
    let of_group = |group: &str| launched.iter().filter(|image| image.starts_with(group)).cloned().collect::<Vec<_>>();
    assert_eq!(of_group("a"), ["a1", "a2", "a3"]);
    assert_eq!(of_group("b"), ["b1", "b4"]);
}

#[test]
fn an_s3_notification_through_sns_into_sqs_starts_its_task_with_the_key_decoded() {
    let emulator = account("uploads", &[]);
    let topic = emulator.aws(&["sns", "create-topic", "--name", "uploads"])["TopicArn"].clone();
    let topic = topic.as_str().expect("has an ARN");
    let queue = "arn:aws:sqs:us-east-1:000000000000:uploads";
    emulator.aws(&["sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", queue]);
    emulator.aws(&["s3api", "create-bucket", "--bucket", "uploads"]);
    let notify =
        json!({ "TopicConfigurations": [{ "TopicArn": topic, "Events": ["s3:ObjectCreated:*"] }] }).to_string();
    let put = ["s3api", "put-bucket-notification-configuration", "--bucket", "uploads"];
    emulator.aws(&[&put[..], &["--notification-configuration", &notify]].concat());

    emulator.put_object("uploads", "out/other.csv", "x");
    let key = "in/a b+ü(1)&%20x.csv";
    emulator.put_object("uploads", key, "order\n");

    assert_eq!(launched(&emulator, 1), [format!("uploads {key} 6")]);
    let logs = emulator.logs("sqs-trigger");
    let told = logs.iter().any(|line| line["reason"] == "S3 sent a test notification");
    assert!(told, "S3's test event is logged");
}

#[test]
fn an_event_that_does_not_fit_is_in_s3_before_its_task_starts() {
    let text = "é".repeat(9000);
    let emulator = account("texts", &[(&text, None)]);
    let call = &emulator.calls("RunTask", 1)[0];
    let container = &call["overrides"]["containerOverrides"][0];
    assert!(container["command"].is_null(), "a command with a template is left out");
    let environment = container["environment"].as_array().expect("is a list");
    let uri = environment.iter().find(|variable| variable["name"] == "ECS_TRIGGER_EVENT_URI").expect("is set");
    let token = call["clientToken"].as_str().expect("has a token");
    assert_eq!(uri["value"], format!("s3://config/state/payloads/{token}.json"));
    let event: Value = serde_json::from_str(&emulator.get_object("config", &format!("state/payloads/{token}.json")))
        .expect("is the event");
    assert_eq!(event["body"], text);
}

#[test]
fn input_that_is_not_a_batch_is_an_error_and_an_empty_batch_succeeds() {
    let emulator = account("jobs", &[]);
    assert_eq!(emulator.invoke("sqs-trigger", r#"{"Records":[]}"#)["FunctionError"], Value::Null);
    let record = r#"{"messageId":"m-1","body":7,"eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:jobs"}"#;
    let nested = r#"{"a":"#.repeat(10_000);
    for no_batch in ["{}", "[]", "7", "null", r#"{"Records":[7]}"#, r#"{"Records":[{"eventSource":"aws:s3"}]}"#] {
        assert_eq!(emulator.invoke("sqs-trigger", no_batch)["FunctionError"], "Unhandled", "{no_batch}");
    }
    // The sandbox is still alive, and only the invalid record fails.
    for body in [record.to_owned(), record.replace('7', &serde_json::to_string(&nested).expect("is JSON"))] {
        let answer = emulator.invoke("sqs-trigger", &format!(r#"{{"Records":[{body}]}}"#));
        assert_eq!(answer["FunctionError"], Value::Null);
    }
    let logs = emulator.logs("sqs-trigger");
    let said: Vec<&str> = logs.iter().filter_map(|line| line["reason"].as_str()).collect();
    let (of_batches, of_records) = said.split_at(said.len() - 2);
    assert_eq!(of_batches.len(), 6, "{said:?}");
    assert!(of_records[0].contains("`Records[0].body` must be a string, found a number"), "{said:?}");
    assert!(of_records[1].contains("nested deeper than 512 levels"), "{said:?}");
}
