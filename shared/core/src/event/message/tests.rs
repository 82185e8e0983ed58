//! The events that messages are decoded to. Most tests use [`check`].

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Decoded, Queue, Record};
use crate::event::{Delivery, Door, EventKind, S3Change};
use crate::fixtures::{OBJECT_CREATED, event, s3_notification, sns};
use crate::text::json;

fn record(body: &str) -> Record {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Record {
        message_id: "m-1".to_owned(),
        queue: Queue::parse("arn:aws:sqs:eu-west-1:111122223333:jobs").expect("is a queue"),
        body: body.to_owned(),
        attributes: vec![pair("SentTimestamp", "1573251510774"), pair("ApproximateReceiveCount", "7")],
        message_attributes: vec![pair("kind", "resize")],
        unreadable: None,
    }
}

/// Decodes a body; shows each event's text, id and identity, or the error.
fn check(body: &str, expected: Expect) {
    let shown = match record(body).open().content {
        Err(error) => format!("error: {error}"),
        Ok(Decoded::Ignored(reason)) => format!("ignored: {reason}"),
        Ok(Decoded::Redrive(redriven)) => format!("the dead letter of {}", redriven.launch),
        Ok(Decoded::Events(events)) => {
            events.iter().map(|event| format!("{}\n  {}\n  {}\n", event.text, event.id(), event.identity())).collect()
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn json_is_a_value_and_its_numbers_keep_their_spelling() {
    check(
        r#" {"kind":"resize","price":1.50,"items":[1,"a"]}"#,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"kind":"resize","price":1.50,"items":[1,"a"]}}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        r#"["a"]"#,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":["a"]}
          m-1
          message/jobs/m-1
    "#]],
    );
}

#[test]
fn anything_else_is_text_as_it_stands() {
    check(
        "resize a.png\n",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"resize a.png\n"}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "007",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"007"}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":""}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        r#""quoted""#,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"quoted"}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        r#""quoted" and more"#,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"\"quoted\" and more"}
          m-1
          message/jobs/m-1
    "#]],
    );
}

#[test]
fn what_begins_with_a_brace_must_be_json() {
    check(
        "{not json",
        expect!["error: the message's body begins with `{` but is not JSON: expected a string, found `n` at byte 1"],
    );
    check(
        &"{\"a\":".repeat(100_000),
        expect![
            "error: the message's body begins with `{` but is not JSON: nested deeper than 512 levels at byte 2560"
        ],
    );
    let nested = |levels| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    check(&nested(505), expect!["error: the event's `body` is nested deeper than 504 levels"]);
    assert!(record(&nested(504)).open().content.is_ok());
}

#[test]
fn what_begins_with_a_bracket_is_json_or_text() {
    check(
        "[INFO] started",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"[INFO] started"}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "[1,",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"[1,"}
          m-1
          message/jobs/m-1
    "#]],
    );
    assert!(record(&"[".repeat(1 << 20)).open().content.is_ok());
}

fn s3_record(name: &str, key: &str, more: &str) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"1970-01-01T00:00:00.000Z","eventName":"{name}",
        "responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"c",
        "bucket":{{"name":"uploads","arn":"arn:aws:s3:::uploads"}},"object":{{"key":"{key}"{more}}}}}}}"#
    )
}

#[test]
fn each_record_of_an_s3_notification_is_an_event_with_its_key_decoded() {
    let created = s3_record(
        "ObjectCreated:Put",
        "in/red+flower%2B%C3%A9.jpg",
        r#","size":1024,"eTag":"d41d","sequencer":"0055AED6DCD90281E5""#,
    );
    let deleted = s3_record("ObjectRemoved:DeleteMarkerCreated", "b", r#","versionId":"v","sequencer":"0056""#);
    check(
        &format!(r#"{{"Records":[{created},{deleted}]}}"#),
        expect![[r#"
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"id":"C3D13FE58DE4C810","source":"aws.s3","detail-type":"Object Created","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"in/red flower+é.jpg","size":1024,"etag":"d41d","sequencer":"0055AED6DCD90281E5"},"reason":"PutObject","configuration-id":"c","request-id":"C3D13FE58DE4C810"}}}
              C3D13FE58DE4C810
              s3/Object Created/uploads/in/red flower+é.jpg/d41d/0055AED6DCD90281E5
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"id":"C3D13FE58DE4C810","source":"aws.s3","detail-type":"Object Deleted","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"b","version-id":"v","sequencer":"0056"},"reason":"DeleteObject","deletion-type":"Delete Marker Created","configuration-id":"c","request-id":"C3D13FE58DE4C810"}}}
              C3D13FE58DE4C810
              s3/Object Deleted/uploads/b/v/0056
        "#]],
    );
}

#[test]
fn what_s3_tells_only_in_notifications_is_told_as_well() {
    let replication = s3_record("Replication:OperationFailedReplication", "b", "");
    let tagged = s3_record("ObjectTagging:Put", "b", r#","eTag":"e""#);
    check(
        &format!(r#"{{"Records":[{replication},{tagged}]}}"#),
        expect![[r#"
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"id":"C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/b","source":"aws.s3","detail-type":"Replication:OperationFailedReplication","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"b"},"configuration-id":"c","request-id":"C3D13FE58DE4C810"}}}
              C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/b
              message/jobs/m-1/C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/b
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"id":"C3D13FE58DE4C810","source":"aws.s3","detail-type":"Object Tags Added","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"b","etag":"e"},"configuration-id":"c","request-id":"C3D13FE58DE4C810"}}}
              C3D13FE58DE4C810
              s3/Object Tags Added/uploads/b/e/C3D13FE58DE4C810
        "#]],
    );
}

#[test]
fn nothing_that_a_notification_tells_is_lost() {
    let replication = r#","replicationEventData":{"replicationRuleId":"r","destinationBucket":"arn:aws:s3:::copies"}"#;
    let text = s3_notification("Replication:OperationFailedReplication", r#","versionId":"v""#, replication);
    check(
        &text,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"id":"C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/in/a b","source":"aws.s3","detail-type":"Replication:OperationFailedReplication","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"in/a b","size":10,"version-id":"v"},"requester":"AWS:AIDA","source-ip-address":"1.2.3.4","configuration-id":"c","replication-event-data":{"replicationRuleId":"r","destinationBucket":"arn:aws:s3:::copies"},"request-id":"C3D13FE58DE4C810"}}}
          C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/in/a b
          message/jobs/m-1/C3D13FE58DE4C810/Replication:OperationFailedReplication/uploads/in/a b
    "#]],
    );
    let events = record(&sns(&text)).open().content.expect("is a message").events();
    let EventKind::Message(message) = &events[0].kind else { panic!("is a message") };
    let s3 = events[0].s3().expect("is an event of S3");
    assert_eq!((s3.bucket.as_str(), s3.object.key.as_str(), &s3.change), ("uploads", "in/a b", &S3Change::Other));
    let written: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let kept = message.notification.as_deref().expect("is a notification");
    assert_eq!(serde_json::from_str::<serde_json::Value>(kept).expect("is JSON"), written);
}

#[test]
fn each_event_has_the_notification_with_its_own_record() {
    let one = |key: &str| s3_record("ObjectCreated:Put", key, r#","size":1,"sequencer":"1""#);
    let events = record(&format!(r#"{{"Records":[{},{}]}}"#, one("a"), one("b%2B"))).open().content.expect("is one");
    let keys = events.events().into_iter().map(|event| match event.kind {
        EventKind::Message(message) => {
            let kept: serde_json::Value =
                serde_json::from_str(message.notification.as_deref().expect("is a notification")).expect("is JSON");
            let keys =
                kept["Records"].as_array().expect("is a list").iter().map(|one| one["s3"]["object"]["key"].clone());
            serde_json::Value::from_iter(keys).to_string()
        }
        other => panic!("is no message: {other:?}"),
    });
    assert_eq!(keys.collect::<Vec<_>>(), [r#"["a"]"#, r#"["b%2B"]"#]);
    assert!(record(r#"{"Records":[]}"#).open().content.expect("is one").events()[0].s3().is_none());
}

#[test]
fn a_broken_s3_notification_is_an_error_that_names_the_record() {
    let good = s3_record("ObjectCreated:Put", "b", r#","size":1,"eTag":"e","sequencer":"1""#);
    let without_size = s3_record("ObjectCreated:Put", "b", r#","sequencer":"1""#);
    check(
        &format!(r#"{{"Records":[{good},{without_size}]}}"#),
        expect![
            "error: the event's `Records[1].s3` cannot become an EventBridge event: `detail.object.size` is missing"
        ],
    );
    let not_utf8 = s3_record("ObjectCreated:Put", "%FF", r#","size":1,"sequencer":"1""#);
    check(
        &format!(r#"{{"Records":[{not_utf8}]}}"#),
        expect!["error: the event's `Records[0].s3.object.key` is not UTF-8 after URL decoding: `%FF`"],
    );
    check(
        &format!(r#"{{"Records":[{good},7]}}"#),
        expect!["error: the event's `Records[1]` must be an object, found a number"],
    );
}

#[test]
fn a_test_event_of_s3_is_no_event() {
    check(
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"b","RequestId":"r","HostId":"h"}"#,
        expect!["ignored: S3 sent a test notification"],
    );
}

#[test]
fn a_question_of_sns_starts_nothing() {
    let message = |kind: &str| {
        format!(
            r#"{{"Type":"{kind}","MessageId":"165545c9","Token":"2336412f","TopicArn":"arn:aws:sns:us-west-2:123456789012:MyTopic","Message":"You have chosen to subscribe","SubscribeURL":"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"}}"#
        )
    };
    check(
        &message("SubscriptionConfirmation"),
        expect![
            "ignored: SNS asks to confirm a subscription of the topic `arn:aws:sns:us-west-2:123456789012:MyTopic`; subscribe the queue from the queue's own account, which needs no confirmation"
        ],
    );
    check(
        &message("UnsubscribeConfirmation"),
        expect![
            "ignored: SNS says that a subscription of the topic `arn:aws:sns:us-west-2:123456789012:MyTopic` was cancelled"
        ],
    );
    check(
        r#"{"Type":"SubscriptionConfirmation","TopicArn":"mine"}"#,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"Type":"SubscriptionConfirmation","TopicArn":"mine"}}
          m-1
          message/jobs/m-1
    "#]],
    );
}

#[test]
fn a_byte_order_mark_before_json_is_left_out() {
    check(
        "\u{feff}{\"kind\":\"resize\"}",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"kind":"resize"}}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "\u{feff}[1]",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":[1]}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "\u{feff}[INFO] started",
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":"﻿[INFO] started"}
          m-1
          message/jobs/m-1
    "#]],
    );
    check(
        "\u{feff}{broken",
        expect!["error: the message's body begins with `{` but is not JSON: expected a string, found `b` at byte 1"],
    );
    check(
        &sns("\u{feff}{\"kind\":\"resize\"}"),
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize","tenant":"a"},"body":{"kind":"resize"}}
          m-1
          sns/arn:aws:sns:us-west-2:123456789012:MyTopic/63a3f6b6
    "#]],
    );
}

#[test]
fn an_envelope_of_sns_is_taken_off() {
    check(
        &sns(r#"{"kind":"resize"}"#),
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize","tenant":"a"},"body":{"kind":"resize"}}
          m-1
          sns/arn:aws:sns:us-west-2:123456789012:MyTopic/63a3f6b6
    "#]],
    );
    check(
        &sns("Hello world!"),
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize","tenant":"a"},"body":"Hello world!"}
          m-1
          sns/arn:aws:sns:us-west-2:123456789012:MyTopic/63a3f6b6
    "#]],
    );
    let created = s3_record("ObjectCreated:Put", "a+b", r#","size":1,"eTag":"e","sequencer":"1""#);
    check(
        &sns(&format!(r#"{{"Records":[{created}]}}"#)),
        expect![[r#"
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize","tenant":"a"},"body":{"id":"C3D13FE58DE4C810","source":"aws.s3","detail-type":"Object Created","account":"","time":"1970-01-01T00:00:00.000Z","region":"us-west-2","resources":["arn:aws:s3:::uploads"],"detail":{"bucket":{"name":"uploads"},"object":{"key":"a b","size":1,"etag":"e","sequencer":"1"},"reason":"PutObject","configuration-id":"c","request-id":"C3D13FE58DE4C810"}}}
              C3D13FE58DE4C810
              s3/Object Created/uploads/a b/e/1
        "#]],
    );
    check(
        &sns("{broken"),
        expect!["error: the message's body begins with `{` but is not JSON: expected a string, found `b` at byte 1"],
    );
}

#[test]
fn an_event_of_eventbridge_keeps_its_id_and_identity() {
    check(
        &event("my.app", "order placed", r#"{"n":1}"#),
        expect![[r#"
            {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"version":"0","id":"e-1","detail-type":"order placed","source":"my.app","account":"111122223333","time":"2026-01-31T23:59:59Z","region":"eu-west-1","resources":[],"detail":{"n":1}}}
              e-1
              message/jobs/m-1/e-1
        "#]],
    );
    check(
        OBJECT_CREATED,
        expect![[r#"
        {"queue":"jobs","message_id":"m-1","attributes":{"SentTimestamp":"1573251510774"},"message_attributes":{"kind":"resize"},"body":{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Object Created","source":"aws.s3","account":"111122223333","time":"2021-11-12T00:00:00Z","region":"ca-central-1","resources":["arn:aws:s3:::uploads"],"detail":{"version":"0","bucket":{"name":"uploads"},"object":{"key":"incoming/report.tar.gz","size":5,"etag":"b1946ac92492d2347c6235b4d2611184","version-id":"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e","sequencer":"617f08299329d189"},"request-id":"N4N7GDK58NMKJ12R","requester":"123456789012","source-ip-address":"1.2.3.4","reason":"PutObject"}}}
          17793124-05d4-b198-2fde-7ededc63b103
          s3/Object Created/uploads/incoming/report.tar.gz/IYV3p45BT0ac8hjHg1houSdS1a.Mro8e/617f08299329d189
    "#]],
    );
    check(
        &event("aws.s3", "Object Created", r#"{"bucket":{"name":"b"}}"#),
        expect!["error: the event's `detail.object` is missing"],
    );
}

#[test]
fn queues_have_names_arns_and_urls() {
    let parse = |text: &str| match Queue::parse(text) {
        Some(Queue { name, region, account }) => format!("{name} {region:?} {account:?}"),
        None => format!("`{text}` is none"),
    };
    let texts = [
        "jobs",
        "jobs.fifo",
        "arn:aws:sqs:eu-west-1:111122223333:jobs",
        "arn:aws-cn:sqs:cn-north-1:111122223333:jobs.fifo",
        "https://sqs.eu-west-1.amazonaws.com/111122223333/jobs",
        "http://127.0.0.1:4566/000000000000/jobs",
        "arn:aws:sns:eu-west-1:111122223333:jobs",
        "https://example.com/jobs",
        "my jobs",
        "",
        ".fifo",
    ];
    expect![[r#"
        jobs None None
        jobs.fifo None None
        jobs Some("eu-west-1") Some("111122223333")
        jobs.fifo Some("cn-north-1") Some("111122223333")
        jobs Some("eu-west-1") Some("111122223333")
        jobs None Some("000000000000")
        `arn:aws:sns:eu-west-1:111122223333:jobs` is none
        `https://example.com/jobs` is none
        `my jobs` is none
        `` is none
        `.fifo` is none"#]]
    .assert_eq(&texts.map(parse).join("\n"));
    let queue = |text| Queue::parse(text).expect("is a queue");
    assert!(queue("jobs").is(&queue("arn:aws:sqs:eu-west-1:111122223333:jobs")));
    assert!(!queue("arn:aws:sqs:us-east-1:111122223333:jobs").is(&queue("arn:aws:sqs:eu-west-1:111122223333:jobs")));
}

/// Decodes a batch as Lambda delivers it; shows the records, or the error.
fn batch(text: &str, expected: Expect) {
    let shown = match Delivery::open(Door::Queue, text).content {
        Ok(Delivery::Batch(records)) => {
            records.iter().map(|record| format!("{record:?} group {:?}\n", record.group())).collect()
        }
        Ok(other) => format!("not a batch: {other:?}"),
        Err(error) => format!("error: {error}"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_batch_is_what_lambda_delivers() {
    batch(
        r#"{"Records":[{"messageId":"11d6ee51","receiptHandle":"AQEBBX8","body":"Test message.","attributes":{"ApproximateReceiveCount":"1",
        "SentTimestamp":"1573251510774","SequenceNumber":"18849496460467696128","MessageGroupId":"1","SenderId":"A","MessageDeduplicationId":"1",
        "ApproximateFirstReceiveTimestamp":"1573251510774"},"messageAttributes":{"text":{"stringValue":"v","stringListValues":[],"binaryListValues":[],
        "dataType":"String"},"bytes":{"binaryValue":"AQID","dataType":"Binary"}},"md5OfBody":"e4e6","eventSource":"aws:sqs",
        "eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:fifo.fifo","awsRegion":"us-east-2"}]}"#,
        expect![[r#"
            Record { message_id: "11d6ee51", queue: Queue { name: "fifo.fifo", region: Some("us-east-2"), account: Some("123456789012") }, body: "Test message.", attributes: [("ApproximateReceiveCount", "1"), ("SentTimestamp", "1573251510774"), ("SequenceNumber", "18849496460467696128"), ("MessageGroupId", "1"), ("SenderId", "A"), ("MessageDeduplicationId", "1"), ("ApproximateFirstReceiveTimestamp", "1573251510774")], message_attributes: [("text", "v"), ("bytes", "AQID")], unreadable: None } group Some("1")
        "#]],
    );
    batch(r#"{"Records":[]}"#, expect![[""]]);
}

#[test]
fn what_is_no_batch_is_an_error_that_names_the_place() {
    batch("{}", expect!["error: the event's `Records` is missing"]);
    batch(r#"{"Records":{}}"#, expect!["error: the event's `Records` must be a list, found a mapping"]);
    batch(r#"{"Records":["x"]}"#, expect!["error: the event's `Records[0]` must be an object, found a string"]);
    batch(
        r#"{"Records":[{"messageId":"a","body":"b"}]}"#,
        expect![[r#"
            Record { message_id: "a", queue: Queue { name: "", region: None, account: None }, body: "b", attributes: [], message_attributes: [], unreadable: Some(Field { field: "Records[0].eventSourceARN", problem: "is missing" }) } group None
        "#]],
    );
    batch(
        r#"{"Records":[{"messageId":1,"body":"b","eventSourceARN":"arn:aws:sqs:r:1:q"}]}"#,
        expect!["error: the event's `Records[0].messageId` must be a string, found a number"],
    );
    batch(
        r#"{"Records":[{"messageId":"a","body":"b","eventSourceARN":"arn:aws:sqs:r:1:q","attributes":{"a":1}}]}"#,
        expect![[r#"
            Record { message_id: "a", queue: Queue { name: "q", region: Some("r"), account: Some("1") }, body: "b", attributes: [], message_attributes: [], unreadable: Some(Field { field: "Records[0].attributes.a", problem: "has no string value" }) } group None
        "#]],
    );
}

proptest! {
    #[test]
    fn no_body_makes_the_decoder_panic(body in "[\\{\\[\"]?\\PC{0,60}") {
        let _ = record(&body).open().content;
    }

    #[test]
    fn a_text_is_the_same_text_in_the_event(body in "[a-zé0-9]\\PC{0,60}") {
        let Ok(Decoded::Events(events)) = record(&body).open().content else { panic!("a text is always decoded") };
        prop_assert_eq!(events[0].node.get("body").and_then(|node| node.as_str()), Some(body.as_str()));
        prop_assert_eq!(&json::parse(&events[0].text).expect("is JSON").get("body").and_then(|node| node.as_str().map(str::to_owned)), &Some(body));
    }
}
