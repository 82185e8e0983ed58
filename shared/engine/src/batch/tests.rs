//! The outcomes of batches. Most tests use [`check`].

use expect_test::{Expect, expect};
use jiff::Timestamp;
use trigger_core::event::{Queue, Record};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{MessageOutcome, handle_batch};
use crate::handle::Times;
use crate::scripted::{Scripted, refused, started};

/// Starts every task except those with the reference `refused`.
fn ecs() -> Scripted {
    let ecs = Scripted::new(|request, before| match request.reference_id.as_deref() {
        Some("refused") => refused("ClientException", "no"),
        Some("bug") => panic!("a poison record"),
        _ => started([before + 1]),
    });
    Scripted { dawdles: true, ..ecs }
}

fn references(world: &Scripted) -> Vec<String> {
    let asked = world.asked.lock().expect("not poisoned");
    let references = asked.iter().map(|request| request.reference_id.clone().unwrap_or_default());
    references.filter(|reference| reference != "refused").collect()
}

const TIMES: Times = Times { now: Timestamp::UNIX_EPOCH, deadline: None };

const CONFIG: &str = r#"
version: 1
tasks: { t: { task_definition: t, reference_id: "{{ body.job }}" }, u: { task_definition: u, reference_id: "{{ key }}" }, v: { task_definition: v } }
routes:
  - { name: jobs, on: { queue: jobs, event_pattern: { body: { job: [{ exists: true }] } } }, run: t }
  - { name: ordered, on: { queue: ordered.fifo, unmatched: fail, event_pattern: { body: { job: [{ exists: true }] } } }, run: t }
  - { name: lists, on: { queue: lists }, for_each: "{{ body }}", run: v }
  - { name: objects, on: { queue: jobs, s3: { bucket: uploads } }, run: u }
"#;

/// Handles messages, each written as `queue[/group] body`; shows the outcome of each, and the launches in their order.
async fn check(messages: &[&str], expected: Expect) {
    let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("the config is valid");
    let record = |(index, message): (usize, &&str)| {
        let (queue, body) = message.split_once(' ').expect("a queue and a body");
        let (queue, group) = queue.split_once('/').map_or((queue, None), |(queue, group)| (queue, Some(group)));
        Record {
            message_id: format!("m-{index}"),
            queue: Queue::parse(queue).expect("is a queue"),
            body: body.to_owned(),
            attributes: group.map(|group| ("MessageGroupId".to_owned(), group.to_owned())).into_iter().collect(),
            message_attributes: Vec::new(),
            unreadable: None,
        }
    };
    let records: Vec<Record> = messages.iter().enumerate().map(record).collect();
    let ports = ecs();
    let outcomes = handle_batch(&records, &config, &ports, TIMES, |_, _| {}).await;
    assert_eq!(outcomes.len(), records.len(), "every message has its outcome");
    let mut shown = String::new();
    for (record, outcome) in records.iter().zip(&outcomes) {
        let outcome = match outcome {
            MessageOutcome::Done(reports) => {
                let launches: Vec<String> = reports.iter().map(|report| report.launches.len().to_string()).collect();
                format!("done, launches: {}", launches.join(" and "))
            }
            MessageOutcome::Ignored(ignored) => format!("ignored: {ignored}"),
            MessageOutcome::Failed(reports) => {
                let said = reports.iter().map(|report| match report {
                    Ok(report) => format!("{} launched", report.launches.len()),
                    Err(error) => error.to_string(),
                });
                format!("goes back: {}", said.collect::<Vec<_>>().join("; "))
            }
            MessageOutcome::HeldBack => "goes back after another".to_owned(),
        };
        shown += &format!("{}: {outcome}\n", record.message_id);
    }
    let launched = references(&ports).join(" ");
    expected.assert_eq(&format!("{shown}launched: {launched}"));
}

#[tokio::test]
async fn exactly_the_bad_messages_of_a_batch_go_back() {
    check(
        &[
            r#"jobs {"job":"1"}"#,
            "jobs {broken",
            r#"jobs {"job":"2"}"#,
            r#"jobs {"job":["no text"]}"#,
            r#"jobs {"job":"refused"}"#,
            r#"jobs {"other":1}"#,
            "jobs just text",
            r#"jobs {"Service":"Amazon S3","Event":"s3:TestEvent"}"#,
            r#"jobs {"Type":"SubscriptionConfirmation","MessageId":"m","Token":"t","TopicArn":"arn:aws:sns:r:1:t"}"#,
        ],
        expect![[r#"
            m-0: done, launches: 1
            m-1: goes back: the message's body begins with `{` but is not JSON: expected a string, found `b` at byte 1
            m-2: done, launches: 1
            m-3: goes back: event m-3: the route `jobs` cannot launch its task: c.yaml:3:53: a value is a list or an object; write it as JSON with `| tojson`, or pick a part of it (in the template "{{ body.job }}")
            m-4: goes back: event m-4: the route `jobs`: ClientException: no
            m-5: done, launches: 0
            m-6: done, launches: 0
            m-7: ignored: S3 sent a test notification
            m-8: ignored: SNS asks to confirm a subscription of the topic `arn:aws:sns:r:1:t`; subscribe the queue from the queue's own account, which needs no confirmation
            launched: 2 1"#]],
    )
    .await;
    check(&[], expect!["launched: "]).await;
}

#[tokio::test]
async fn a_group_keeps_its_order_and_stops_at_its_first_failure() {
    check(
        &[
            r#"ordered.fifo/a {"job":"a1"}"#,
            r#"ordered.fifo/b {"job":"b1"}"#,
            r#"ordered.fifo/a {"job":"a2"}"#,
            r#"ordered.fifo/b {"job":"refused"}"#,
            r#"ordered.fifo/a {"job":"a3"}"#,
            r#"ordered.fifo/b {"job":"b3"}"#,
            r#"ordered.fifo/b {"job":"b4"}"#,
        ],
        expect![[r#"
            m-0: done, launches: 1
            m-1: done, launches: 1
            m-2: done, launches: 1
            m-3: goes back: event m-3: the route `ordered`: ClientException: no
            m-4: done, launches: 1
            m-5: goes back after another
            m-6: goes back after another
            launched: b1 a1 a2 a3"#]],
    )
    .await;
}

#[tokio::test]
async fn a_message_that_must_be_taken_and_is_not_goes_back() {
    check(
        &[r#"ordered.fifo/a {"other":1}"#, r#"ordered.fifo/a {"job":"a2"}"#],
        expect![[r#"
        m-0: goes back: event m-0: no route takes the message, and `unmatched` of the queue `ordered.fifo` is `fail`
        m-1: goes back after another
        launched: "#]],
    )
    .await;
}

#[tokio::test]
async fn a_message_of_several_records_is_done_when_all_are() {
    let record = |key: &str| {
        format!(
            r#"{{"eventSource":"aws:s3","awsRegion":"r","eventTime":"2026-01-01T00:00:00.000Z","eventName":"ObjectCreated:Put",
            "s3":{{"bucket":{{"name":"uploads"}},"object":{{"key":"{key}","size":1,"sequencer":"1"}}}}}}"#
        )
    };
    let both = format!(r#"jobs {{"Records":[{},{}]}}"#, record("a+b"), record("refused"));
    let good = format!(r#"jobs {{"Records":[{},{}]}}"#, record("c"), record("d"));
    check(
        &[&both, &good],
        expect![[r#"
            m-0: goes back: 1 launched; event m-0: the route `objects`: ClientException: no
            m-1: done, launches: 1 and 1
            launched: c a b d"#]],
    )
    .await;
}

/// Handles messages; returns how many launches were in progress at once.
async fn at_once(messages: usize, body: &str) -> usize {
    let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("the config is valid");
    let record = |index: usize| Record {
        message_id: format!("m-{index}"),
        queue: Queue::parse("lists").expect("is a queue"),
        body: body.to_owned(),
        attributes: Vec::new(),
        message_attributes: Vec::new(),
        unreadable: None,
    };
    let records: Vec<Record> = (0..messages).map(record).collect();
    let ports = ecs();
    handle_batch(&records, &config, &ports, TIMES, |_, _| {}).await;
    ports.at_once.into_inner().expect("not poisoned").1
}

#[tokio::test]
async fn as_much_goes_on_at_once_as_run_task_takes_in_a_second_and_no_more() {
    assert_eq!(at_once(1, "[1,2,3,4,5,6,7,8,9]").await, 4);
    assert_eq!(at_once(30, "[1]").await, 10);
    assert_eq!(at_once(30, "[1,2,3,4,5,6,7,8,9]").await, 40);
}

#[tokio::test]
async fn a_bug_that_one_message_hits_sends_only_that_message_back() {
    check(
        &[r#"jobs {"job":"a"}"#, r#"jobs {"job":"bug"}"#, r#"jobs {"job":"b"}"#],
        expect![[r#"
            m-0: done, launches: 1
            m-1: goes back: a bug of ecs-trigger: a poison record
            m-2: done, launches: 1
            launched: b a bug"#]],
    )
    .await;
}
