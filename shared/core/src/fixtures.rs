//! Events that tests share.

use crate::event::{Door, SCHEDULER_INPUT};
use crate::text::json::quote;

/// The `Object Created` event from S3's documentation.
pub(crate) const OBJECT_CREATED: &str = r#"{
  "version": "0",
  "id": "17793124-05d4-b198-2fde-7ededc63b103",
  "detail-type": "Object Created",
  "source": "aws.s3",
  "account": "111122223333",
  "time": "2021-11-12T00:00:00Z",
  "region": "ca-central-1",
  "resources": ["arn:aws:s3:::uploads"],
  "detail": {
    "version": "0",
    "bucket": { "name": "uploads" },
    "object": {
      "key": "incoming/report.tar.gz",
      "size": 5,
      "etag": "b1946ac92492d2347c6235b4d2611184",
      "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
      "sequencer": "617f08299329d189"
    },
    "request-id": "N4N7GDK58NMKJ12R",
    "requester": "123456789012",
    "source-ip-address": "1.2.3.4",
    "reason": "PutObject"
  }
}"#;

/// Returns an S3 event with this detail-type and detail.
pub(crate) fn s3_event(detail_type: &str, detail: &str) -> String {
    event("aws.s3", detail_type, detail)
}

/// Returns an event with this source, detail-type and detail.
pub(crate) fn event(source: &str, detail_type: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"e-1","detail-type":"{detail_type}","source":"{source}","account":"111122223333",
            "time":"2026-01-31T23:59:59Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
    )
}

/// Returns an `Object Created` event for this key.
pub(crate) fn object_created(key: &str) -> String {
    OBJECT_CREATED.replace(r#""incoming/report.tar.gz""#, &quote(key))
}

/// The event that Scheduler sends to a target without an input of its own. Its `detail` is a text.
pub(crate) const SCHEDULED_EVENT: &str = r#"{
  "version": "0",
  "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
  "detail-type": "Scheduled Event",
  "source": "aws.scheduler",
  "account": "111122223333",
  "time": "2026-12-31T18:00:00Z",
  "region": "eu-west-1",
  "resources": ["arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly"],
  "detail": "{}"
}"#;

/// Returns an S3 notification with a record of this event name about `in/a b`, with further fields of its object and of
/// the record.
pub(crate) fn s3_notification(name: &str, object: &str, more: &str) -> String {
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"1970-01-01T00:00:00.000Z","eventName":"{name}",
        "userIdentity":{{"principalId":"AWS:AIDA"}},"requestParameters":{{"sourceIPAddress":"1.2.3.4"}},
        "responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"F"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"c",
        "bucket":{{"name":"uploads","arn":"arn:aws:s3:::uploads"}},"object":{{"key":"in/a+b","size":10{object}}}}}{more}}}]}}"#
    )
}

/// Returns a message of SNS.
pub(crate) fn sns(message: &str) -> String {
    format!(
        r#"{{"Type":"Notification","MessageId":"63a3f6b6","TopicArn":"arn:aws:sns:us-west-2:123456789012:MyTopic","Subject":"s",
        "Message":{},"Timestamp":"2012-03-29T05:12:16.901Z","SignatureVersion":"1","MessageAttributes":{{"tenant":{{"Type":"String","Value":"a"}}}}}}"#,
        quote(message)
    )
}

/// Returns a batch of messages with these bodies.
pub(crate) fn batch(queue: &str, bodies: &[&str]) -> String {
    let record = |(at, body): (usize, &&str)| {
        format!(
            r#"{{"messageId":"m-{at}","body":{},"attributes":{{"SentTimestamp":"1"}},"messageAttributes":{{}},"eventSource":"aws:sqs",
            "eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:{queue}"}}"#,
            quote(body)
        )
    };
    format!(r#"{{"Records":[{}]}}"#, bodies.iter().enumerate().map(record).collect::<Vec<_>>().join(","))
}

/// Returns deliveries of every kind, each with a door whose function takes it. The schedule's name is `nightly`, the
/// queue's `jobs`.
pub(crate) fn deliveries() -> Vec<(Door, String)> {
    let firing = SCHEDULER_INPUT
        .replace("ROUTE", "nightly")
        .replace("<aws.scheduler.schedule-arn>", "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly")
        .replace("<aws.scheduler.scheduled-time>", "2026-12-31T18:00:00Z");
    let of_rule = SCHEDULED_EVENT
        .replace("aws.scheduler", "aws.events")
        .replace("scheduler:eu-west-1:111122223333:schedule/default/", "events:eu-west-1:111122223333:rule/")
        .replace(r#""{}""#, "{}");
    let notification =
        s3_notification("ObjectCreated:Put", r#","eTag":"e","sequencer":"1""#, r#","awsGeneratedMore":1"#);
    let bodies = [
        "a text",
        r#"{"kind":"resize"}"#,
        "\u{feff}{\"kind\":\"resize\"}",
        OBJECT_CREATED,
        &notification,
        &sns(&notification),
        &sns("a text"),
        r#"{"Event":"s3:TestEvent"}"#,
        r#"{"Type":"SubscriptionConfirmation","MessageId":"m","Token":"t","TopicArn":"arn:aws:sns:r:1:t","Message":"m"}"#,
        &dead_letter(r#"{"kind":"resize"}"#),
        "{broken",
    ];
    let mut deliveries = vec![
        (Door::EventBridge, OBJECT_CREATED.to_owned()),
        (Door::EventBridge, include_str!("../../../examples/quickstart/event.json").to_owned()),
        (Door::EventBridge, event("my.app", "order placed", r#"{"n":1}"#)),
        (Door::EventBridge, event("aws.ecs", "ECS Task State Change", "{}")),
        (Door::EventBridge, s3_event("Object Tags Added", r#"{"bucket":{"name":"b"},"object":{"key":"k"}}"#)),
        (Door::EventBridge, of_rule.clone()),
        (Door::Schedule, of_rule),
        (Door::Schedule, SCHEDULED_EVENT.to_owned()),
        (Door::Schedule, firing),
        (Door::Queue, batch("jobs", &bodies)),
        (Door::Queue, batch("jobs", &[])),
    ];
    let letters: Vec<_> = deliveries.iter().map(|(door, text)| (*door, dead_letter(text))).collect();
    let records: Vec<_> = deliveries.iter().map(|(door, text)| (*door, failed_invocation(text))).collect();
    deliveries.extend(letters);
    deliveries.extend(records);
    deliveries
}

/// Returns the dead letter of an event of which nothing was launched.
fn dead_letter(event: &str) -> String {
    format!(r#"{{"dead_letter":1,"reason":"x","event":{event}}}"#)
}

/// Returns Lambda's record of an invocation that failed.
fn failed_invocation(event: &str) -> String {
    format!(
        r#"{{"version":"1.0","requestContext":{{"functionArn":"f","condition":"RetriesExhausted"}},"requestPayload":{event}}}"#
    )
}
