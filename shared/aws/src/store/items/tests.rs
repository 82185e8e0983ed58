use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::{ContainerExit, StoppedTask};
use trigger_core::event::{Decoded, Event};
use trigger_core::launch::{
    Answer, Conclusion, LaunchRecord, Outcome, Protocol, Reply, SeenTask, Step, TaskStatus, later,
};
use trigger_core::plan::Plan;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::{Index, pack};
use trigger_core::text::Source;
use trigger_engine::ports::{StoreError, Stored};

use super::{AttributeValue, Blob, Item, Key, as_read, due_in, launch, stored, text, text_in};
use crate::store::actions::Action;
use crate::store::fixtures::{failed, item_text, record, waiting};

fn item(record: &LaunchRecord) -> Item {
    launch(record, 1, "w").expect("is short")
}

#[test]
fn a_launch_is_read_as_it_was_written() {
    let ended = Some(Conclusion { at: record(1).created, outcome: Outcome::Succeeded });
    let ended = LaunchRecord { ended, due: "2026-01-31T12:00:00.123456Z".parse().expect("is a time"), ..record(1) };
    for record in [record(1), waiting(2, 42), ended, failed(3), short_launch(S3).remove(2)] {
        let item = launch(&record, 7, "w").expect("is short");
        assert_eq!(due_in(&item).is_some(), record.ended.is_none(), "only an open launch is due");
        assert_eq!(stored(&record.key, &item), Ok(Stored { record: as_read(&record), version: 7 }));
    }
}

#[test]
fn a_due_time_is_rounded_up_to_a_millisecond_and_may_change_without_the_record() {
    let mut record = record(1);
    record.due = "2026-01-31T12:00:00.1230001Z".parse().expect("is a time");
    let mut item = item(&record);
    assert_eq!(due_in(&item), Some("2026-01-31T12:00:00.124Z"));
    item.insert(Index::Time.key()[1].to_owned(), text("2026-01-31T13:00:00.000Z"));
    let read = stored(&record.key, &item).expect("can be read").record;
    assert_eq!(read.due.to_string(), "2026-01-31T13:00:00Z");
}

#[test]
fn a_launch_that_cannot_be_read_is_told_with_the_reason() {
    let key = record(1).key;
    let reason = |item: &Item| match stored(&key, item) {
        Err(StoreError::Unreadable { launch, reason }) if launch == key.to_string() => reason,
        other => panic!("{other:?}"),
    };
    let mut broken = item(&record(1));
    let later = record(1).to_json().replace("\"version\":2", "\"version\":9");
    let packed = pack(&later, &Key::launch(&key).item).expect("is short");
    broken.insert("record".to_owned(), AttributeValue::B(Blob::new(packed)));
    assert_eq!(reason(&broken), "it has version 9; this ecs-trigger reads version 2");
    broken.insert("record".to_owned(), AttributeValue::B(Blob::new("{}")));
    let reason_of_plain = reason(&broken);
    assert!(reason_of_plain.starts_with("the record is not packed as this ecs-trigger packs"), "{reason_of_plain}");
    broken.remove("record");
    assert_eq!(reason(&broken), "the attribute `record` is missing");
    assert!(reason(&item(&record(2))).starts_with("the record is not packed"), "it was packed for another launch");
}

#[test]
fn a_launch_is_in_the_lists_of_its_state() {
    let [begun, _, ended]: [LaunchRecord; 3] = short_launch(S3).try_into().expect("is written three times");
    let failed = LaunchRecord { ended: failed(1).ended, ..ended.clone() };
    let lists = |record: &LaunchRecord| {
        let item = item(record);
        let list = |index: Index| {
            let [partition, sort] = index.key().map(|name| text_in(&item, name));
            Some(format!("{}: {} {}\n", index.name(), partition?, sort?))
        };
        Index::ALL.into_iter().filter_map(list).collect::<String>()
    };
    expect![[r#"
        time: due/0 2026-01-31T12:04:01.359Z
        created: 0 2026-01-31T12:00:01.234Z
        route: csv-upload/0 2026-01-31T12:00:01.234Z
        object: acme-uploads/incoming/2026/01/31/orders-0042.csv 2026-01-31T12:00:01.234Z
    "#]]
    .assert_eq(&lists(&begun));
    expect![[r#"
        created: 0 2026-01-31T12:00:01.234Z
        route: csv-upload/0 2026-01-31T12:00:01.234Z
        object: acme-uploads/incoming/2026/01/31/orders-0042.csv 2026-01-31T12:00:01.234Z
    "#]]
    .assert_eq(&lists(&ended));
    expect![[r#"
        time: failed 2026-01-31T12:01:00.123Z
        created: 0 2026-01-31T12:00:01.234Z
        route: csv-upload/0 2026-01-31T12:00:01.234Z
        failures: csv-upload 2026-01-31T12:01:00.123Z
        object: acme-uploads/incoming/2026/01/31/orders-0042.csv 2026-01-31T12:00:01.234Z
    "#]]
    .assert_eq(&lists(&failed));
    expect![[r#"
        time: due/1 2026-01-31T12:04:01.359Z
        created: 1 2026-01-31T12:00:01.234Z
        route: thumbnails/1 2026-01-31T12:00:01.234Z
    "#]]
    .assert_eq(&lists(&short_launch(MESSAGE)[0]));
    expect![[r#"
        item
          at = "2026-01-31T12:01:00.123Z"
          created = "2026-01-31T12:00:01.234Z"
          expires = 1777636860
          failed_route = "csv-upload"
          list = "failed"
          object = "acme-uploads/incoming/2026/01/31/orders-0042.csv"
          reason = "it failed"
          record = {...}
          route = "csv-upload/0"
          shard = "0"
          state = "dead_lettered"
          version = 1
          writer = "w"
    "#]]
    .assert_eq(&format!("item\n{}", item_text(&item(&failed))));
}

/// A config with three routes, with settings as they are common.
const CONFIG: &str = r#"
version: 1
storage: { bucket: acme-ecs-trigger }
defaults:
  cluster: batch
  launch_type: FARGATE
  network: { subnets: [subnet-0a1b2c3d4e5f60718, subnet-18f7e6d5c4b3a2901], security_groups: [sg-0f1e2d3c4b5a69788] }
tasks:
  import-csv:
    task_definition: import-csv
    timeout: 1h
    retry: { attempts: 3 }
    overrides:
      container_overrides:
        - name: app
          command: [import, "s3://{{ bucket }}/{{ key }}"]
          environment: { OBJECT_SIZE: "{{ size }}" }
  report:
    task_definition: report
    overrides: { container_overrides: [{ name: app, command: ["{{ input.kind }}", "{{ scheduled.date }}"] }] }
  resize:
    task_definition: resize
    overrides: { container_overrides: [{ name: app, command: ["{{ body.image }}", "{{ body.width }}"] }] }
routes:
  - { name: csv-upload, on: { s3: { bucket: acme-uploads, key: { suffix: .csv } } }, run: import-csv }
  - { name: nightly, on: { schedule: cron(0 3 * * ? *), timezone: Asia/Seoul, input: { kind: daily } }, run: report }
  - { name: thumbnails, on: { queue: image-jobs }, run: resize }
"#;

const S3: &str = r#"{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Object Created",
"source":"aws.s3","account":"111122223333","time":"2026-01-31T12:00:00Z","region":"eu-central-1","resources":
["arn:aws:s3:::acme-uploads"],"detail":{"version":"0","bucket":{"name":"acme-uploads"},"object":{"key":
"incoming/2026/01/31/orders-0042.csv","size":184320,"etag":"b1946ac92492d2347c6235b4d2611184","version-id":
"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e","sequencer":"00617F08299329D189"},"request-id":"N4N7GDK58NMKJ12R","requester":
"111122223333","source-ip-address":"203.0.113.7","reason":"PutObject"}}"#;

const MESSAGE: &str = r#"{"Records":[{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEBwJnKyrHi",
"body":"{\"image\":\"photos/2026/01/0042.png\",\"width\":800,\"customer\":\"c-81723\"}","attributes":{
"ApproximateReceiveCount":"1","SentTimestamp":"1769860800123","SenderId":"AIDAIENQZJOLO23YVJ4VO",
"ApproximateFirstReceiveTimestamp":"1769860800149"},"messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3",
"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-central-1:111122223333:image-jobs","awsRegion":"eu-central-1"}]}"#;

const FIRING: &str = r#"{"route":"nightly","scheduled_time":"2026-01-31T18:00:00Z",
"schedule_arn":"arn:aws:scheduler:eu-central-1:111122223333:schedule/default/nightly"}"#;

/// Returns the records of a short launch as it is written: with its first attempt, with ECS's reply, and with its end.
fn short_launch(delivery: &str) -> Vec<LaunchRecord> {
    const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:task/batch/2bd3b5f7a1c94e0c8f1d6e7a90b4c352";
    let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let delivery = delivery.replace('\n', "");
    let (_, content) = config.open(&delivery).content.expect("is a delivery").contents().remove(0);
    let Ok(Decoded::Events(events)) = content else { panic!("{content:?}") };
    let event: &Event = &events[0];
    let planned = Plan::new(&config, event).expect("can be planned").launches.remove(0);
    let mut now: Timestamp = "2026-01-31T12:00:01.234567891Z".parse().expect("is a time");
    let etag = Some("\"9b2cf535f27731c974343645a3985328\"");
    let mut protocol = Protocol::begin(planned.record(event, None, etag, now));
    let mut written = Vec::new();
    loop {
        now = later(now, SignedDuration::from_micros(123_457));
        match protocol.next(now) {
            Step::Write => {
                // An earlier time stays, and so does the entry in the index.
                let due = written.last().map_or(protocol.due(now), |before: &LaunchRecord| before.due);
                written.push(LaunchRecord { due, ..protocol.record().clone() });
                protocol.written(due);
            }
            Step::RunTask(_) => {
                let reply = Reply::Tasks { task_arns: vec![ARN.to_owned()], failures: Vec::new() };
                protocol.hear(Answer::Replied { attempt: 0, reply, anew: Ok(None) }, now);
            }
            Step::Done => return written,
            _ => {
                now = later(now, SignedDuration::from_secs(97));
                let exit = ContainerExit { name: "app".to_owned(), exit_code: Some(0), reason: None };
                let stopped = StoppedTask {
                    stop_code: Some("EssentialContainerExited".to_owned()),
                    stopped_reason: Some("Essential container in task exited".to_owned()),
                    containers: vec![exit],
                    vanished: false,
                };
                let status = TaskStatus::Stopped(stopped);
                let seen = SeenTask { arn: ARN.to_owned(), attempt: Some(0), status };
                protocol.hear(Answer::Seen(vec![seen]), now);
            }
        }
    }
}

/// Returns how many write units a write takes: one for each KB of the item, and one for each entry of an index that it
/// adds or removes.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>
fn units(before: Option<&Item>, after: &Item) -> (usize, usize) {
    let bytes = |item: &Item| Action::put(Key { item: String::new(), part: String::new() }, item.clone()).bytes();
    let entry = |item: &Item, index: Index| {
        let [list, at] = index.key().map(|name| text_in(item, name).map(str::to_owned));
        list.zip(at)
    };
    let changed = |index: &Index| {
        let (before, after) = (before.and_then(|item| entry(item, *index)), entry(after, *index));
        if before == after { 0 } else { usize::from(before.is_some()) + usize::from(after.is_some()) }
    };
    let larger = before.map_or(0, bytes).max(bytes(after));
    (larger.div_ceil(1024), Index::ALL.iter().map(changed).sum())
}

/// Writes a line for each write of a short launch: the bytes of the record, of the packed one and of the item, and the
/// write units.
fn check_writes(delivery: &str, expected: &Expect) {
    let (mut lines, mut before) = (String::new(), None);
    for record in short_launch(delivery) {
        let item = launch(&record, 1, "0123456789abcdef").expect("is short");
        let packed = item["record"].as_b().expect("is binary").as_ref().len();
        let (of_item, of_entries) = units(before.as_ref(), &item);
        let bytes = Action::put(Key::launch(&record.key), item.clone()).bytes();
        let json = record.to_json().len();
        lines += &format!("{json} packed to {packed}, item {bytes}: {of_item} + {of_entries}\n");
        before = Some(item);
    }
    expected.assert_eq(&lines);
}

#[test]
fn a_short_launch_takes_one_unit_for_each_write_and_each_entry() {
    check_writes(
        S3,
        &expect![[r#"
            2187 packed to 457, item 724: 1 + 4
            2406 packed to 503, item 769: 1 + 0
            2625 packed to 522, item 772: 1 + 1
        "#]],
    );
    check_writes(
        MESSAGE,
        &expect![[r#"
            1572 packed to 369, item 582: 1 + 3
            1791 packed to 422, item 634: 1 + 0
            2010 packed to 444, item 640: 1 + 1
        "#]],
    );
    check_writes(
        FIRING,
        &expect![[r#"
            1473 packed to 289, item 496: 1 + 3
            1692 packed to 331, item 537: 1 + 0
            1911 packed to 349, item 539: 1 + 1
        "#]],
    );
}
