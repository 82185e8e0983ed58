//! The events that delivered texts are decoded to. Most tests use [`check`].

use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde_json::json;

use super::identity::LaunchKey;
use super::{Delivery, Door, Event, Firing, work_message};
use crate::fixtures::{OBJECT_CREATED, event, s3_event};
use crate::{fixtures, text};

/// Decodes a text; shows the event and its identity, or the error.
fn check(text: &str, expected: Expect) {
    let shown = match Event::decode(text) {
        Err(error) => format!("error: {error}"),
        Ok(event) => {
            let of_event = event.event_bridge().expect("is an event of EventBridge");
            match &of_event.s3 {
                Some(s3) => format!("{:?} {:?}\n{}", s3.change, s3.object, event.identity()),
                None => format!("{:?}\n{}", of_event.envelope, event.identity()),
            }
        }
    };
    expected.assert_eq(&shown);
}

/// Returns the detail of an S3 event about `in/a`, with further fields of the object and of the detail.
fn detail(object: &str, more: &str) -> String {
    format!(
        r#"{{"version":"0","bucket":{{"name":"b"}},"object":{{"key":"in/a"{object}}},"request-id":"R1","requester":"me"{more}}}"#
    )
}

#[test]
fn an_object_is_created() {
    check(
        OBJECT_CREATED,
        expect![[r#"
        Created { size: 5, sequencer: "617f08299329d189", reason: "PutObject" } S3Object { key: "incoming/report.tar.gz", etag: Some("b1946ac92492d2347c6235b4d2611184"), version_id: Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e") }
        s3/Object Created/uploads/incoming/report.tar.gz/IYV3p45BT0ac8hjHg1houSdS1a.Mro8e/617f08299329d189"#]],
    );
}

#[test]
fn an_object_is_deleted_and_has_no_size() {
    let detail = detail(
        r#","etag":"e","version-id":"v","sequencer":"0A""#,
        r#","reason":"DeleteObject","deletion-type":"Delete Marker Created""#,
    );
    check(
        &s3_event("Object Deleted", &detail),
        expect![[r#"
        Deleted { sequencer: "0A", reason: "DeleteObject", deletion_type: "Delete Marker Created" } S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
        s3/Object Deleted/b/in/a/v/0A"#]],
    );
}

#[test]
fn a_lifecycle_rule_deletes_an_object() {
    let detail =
        detail(r#","sequencer":"0A""#, r#","reason":"Lifecycle Expiration","deletion-type":"Permanently Deleted""#);
    check(
        &s3_event("Object Deleted", &detail),
        expect![[r#"
        Deleted { sequencer: "0A", reason: "Lifecycle Expiration", deletion_type: "Permanently Deleted" } S3Object { key: "in/a", etag: None, version_id: None }
        s3/Object Deleted/b/in/a//0A"#]],
    );
}

#[test]
fn the_other_changes_of_an_object_are_told_apart_by_their_request() {
    let object = r#","size":5,"etag":"e","version-id":"v""#;
    let class = r#","source-storage-class":"GLACIER""#;
    check(
        &s3_event("Object Restore Initiated", &detail(object, class)),
        expect![[r#"
            RestoreInitiated { source_storage_class: Some("GLACIER") } S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
            s3/Object Restore Initiated/b/in/a/v/R1"#]],
    );
    let completed = format!(r#"{class},"restore-expiry-time":"2021-11-13T00:00:00Z""#);
    check(
        &s3_event("Object Restore Completed", &detail(object, &completed)),
        expect![[r#"
            RestoreCompleted { restore_expiry_time: Some("2021-11-13T00:00:00Z"), source_storage_class: Some("GLACIER") } S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
            s3/Object Restore Completed/b/in/a/v/R1"#]],
    );
    check(
        &s3_event("Object Restore Expired", &detail(object, "")),
        expect![[r#"
        RestoreExpired S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
        s3/Object Restore Expired/b/in/a/v/R1"#]],
    );
    let to_class = r#","destination-storage-class":"INTELLIGENT_TIERING""#;
    check(
        &s3_event("Object Storage Class Changed", &detail(object, to_class)),
        expect![[r#"
            StorageClassChanged { destination_storage_class: Some("INTELLIGENT_TIERING") } S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
            s3/Object Storage Class Changed/b/in/a/v/R1"#]],
    );
    let to_tier = r#","destination-access-tier":"ARCHIVE_ACCESS""#;
    check(
        &s3_event("Object Access Tier Changed", &detail(object, to_tier)),
        expect![[r#"
            AccessTierChanged { destination_access_tier: Some("ARCHIVE_ACCESS") } S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
            s3/Object Access Tier Changed/b/in/a/v/R1"#]],
    );
    check(
        &s3_event("Object ACL Updated", &detail(object, "")),
        expect![[r#"
        AclUpdated S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
        s3/Object ACL Updated/b/in/a/v/R1"#]],
    );
    check(
        &s3_event("Object Tags Added", &detail(object, "")),
        expect![[r#"
        TagsAdded S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
        s3/Object Tags Added/b/in/a/v/R1"#]],
    );
    check(
        &s3_event("Object Tags Deleted", &detail(object, "")),
        expect![[r#"
        TagsDeleted S3Object { key: "in/a", etag: Some("e"), version_id: Some("v") }
        s3/Object Tags Deleted/b/in/a/v/R1"#]],
    );
}

#[test]
fn keys_are_taken_raw() {
    let detail = r#"{"bucket":{"name":"b"},"object":{"key":"a+b%20c \"d\" é\u00e9","size":1,"etag":"e","sequencer":"1"},"reason":"PutObject"}"#;
    check(
        &s3_event("Object Created", detail),
        expect![[r#"
        Created { size: 1, sequencer: "1", reason: "PutObject" } S3Object { key: "a+b%20c \"d\" éé", etag: Some("e"), version_id: None }
        s3/Object Created/b/a+b%20c "d" éé/e/1"#]],
    );
}

#[test]
fn any_other_event_is_kept_as_a_checked_envelope() {
    check(
        &event("my.app", "Order Placed", r#"{"order":1}"#),
        expect![[r#"
        Envelope { id: "e-1", source: "my.app", detail_type: "Order Placed", account: "111122223333", time: "2026-01-31T23:59:59Z", region: "eu-west-1", resources: [] }
        event/my.app/e-1"#]],
    );
    check(
        &event("aws.s3", "AWS API Call via CloudTrail", r#"{"eventName":"PutObject"}"#),
        expect![[r#"
        Envelope { id: "e-1", source: "aws.s3", detail_type: "AWS API Call via CloudTrail", account: "111122223333", time: "2026-01-31T23:59:59Z", region: "eu-west-1", resources: [] }
        event/aws.s3/e-1"#]],
    );
}

#[test]
fn what_is_no_event_is_an_error_that_names_the_field() {
    check("", expect!["error: the event is not JSON: expected a value, found the end of the text at byte 0"]);
    check("[]", expect!["error: the event must be a JSON object, found a list"]);
    check(
        &OBJECT_CREATED[..200],
        expect!["error: the event is not JSON: expected a value, found the end of the text at byte 200"],
    );
    check(
        &format!("{OBJECT_CREATED} x"),
        expect!["error: the event is not JSON: expected the end of the text, found `x` at byte 690"],
    );
    check(&OBJECT_CREATED.replace("\"account\"", "\"acount\""), expect!["error: the event's `account` is missing"]);
    check(
        &OBJECT_CREATED.replace("2021-11-12T", "yesterday "),
        expect!["error: the event's `time` must be a time such as 2026-01-31T23:59:59Z, found `yesterday 00:00:00Z`"],
    );
    check(
        &OBJECT_CREATED.replace("\"size\": 5", "\"size\": \"5\""),
        expect!["error: the event's `detail.object.size` must be a non-negative integer, found a string"],
    );
    check(
        &OBJECT_CREATED.replace("\"size\": 5", "\"size\": -5"),
        expect!["error: the event's `detail.object.size` must be a non-negative integer, found -5"],
    );
    check(
        &OBJECT_CREATED.replace("\"sequencer\"", "\"seq\""),
        expect!["error: the event's `detail.object.sequencer` is missing"],
    );
    check(
        &OBJECT_CREATED.replace("[\"arn:aws:s3:::uploads\"]", "[1]"),
        expect!["error: the event's `resources` must contain only strings"],
    );
    check(&event("my.app", "x", "[]"), expect!["error: the event's `detail` must be an object, found a list"]);
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(
        &event("my.app", "x", &deep),
        expect!["error: the event is not JSON: nested deeper than 512 levels at byte 686"],
    );
}

#[test]
fn an_identity_is_shared_by_repeated_deliveries_and_by_nothing_else() {
    let identity = |text: &str| Event::decode(text).map(|event| event.identity());
    let first = identity(OBJECT_CREATED);
    // AWS does not promise that a repeated notification has the same event id.
    assert_eq!(first, identity(&OBJECT_CREATED.replace("17793124", "99999999")));
    for other in ["617f08299329d189", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "uploads", "incoming/", "Object Created"] {
        let changed = OBJECT_CREATED.replace(other, "Object Tags Added");
        assert_ne!(first, identity(&changed), "{other}");
    }
}

#[test]
fn a_replayed_event_names_its_replay_and_keeps_its_identity() {
    let sent = event("my.app", "t", "{}");
    let replayed = sent.replace(r#""version":"0""#, r#""version":"0","replay-name":"again""#);
    let (sent, replayed) = (Event::decode(&sent).expect("is an event"), Event::decode(&replayed).expect("is an event"));
    assert_eq!((sent.replay_name(), replayed.replay_name()), (None, Some("again")));
    assert_eq!(sent.identity(), replayed.identity());
}

/// A text, as a function that has the door gets it, without each of its top-level fields in turn, and with another value
/// in each of them.
fn variants(text: &str) -> Vec<String> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else { panic!("is an object") };
    let mut variants = vec![text.to_owned()];
    for name in fields.keys() {
        for value in [None, Some(json!("{}")), Some(json!({})), Some(json!([]))] {
            let mut changed = fields.clone();
            match value {
                Some(value) => drop(changed.insert(name.clone(), value)),
                None => drop(changed.shift_remove(name)),
            }
            variants.push(serde_json::Value::Object(changed).to_string());
        }
    }
    variants
}

#[test]
fn a_tool_takes_whatever_a_function_takes_and_decodes_it_the_same() {
    let mut taken = 0;
    for (door, text) in fixtures::deliveries() {
        for text in variants(&text) {
            let of_function = Delivery::open(door, &text);
            if of_function.content.is_ok() {
                taken += 1;
                assert_eq!(Delivery::open_any(&text, |_| door == Door::Schedule), of_function, "{text}");
            }
        }
    }
    assert!(taken > 3 * fixtures::deliveries().len(), "only {taken} variants are deliveries");
}

#[test]
fn a_tool_says_what_a_text_is_or_lacks() {
    let checks = [
        ("{}", "the input is not an EventBridge event, a firing of a schedule or a batch of SQS messages"),
        ("[]", "the event must be a JSON object, found a list"),
        (r#"{"source":"my.app"}"#, "the event's `time` is missing"),
        (r#"{"schedule_arn":"a"}"#, "the event's `scheduled_time` is missing"),
        (r#"{"scheduled_time":"2026-01-31T00:00:00Z"}"#, "the event's `schedule_arn` is missing"),
        (r#"{"Records":[{"eventSource":"aws:sqs"}]}"#, "the event's `Records[0].messageId` is missing"),
        (r#"{"Records":[{"eventSource":"aws:s3"}]}"#, "the input is an S3 notification, which reaches a function only"),
        (r#"{"Event":"s3:TestEvent"}"#, "the input is the test event of an S3 notification"),
        (r#"{"Type":"Notification","Message":"m"}"#, "the input is a message of SNS"),
    ];
    for (text, expected) in checks {
        let error = Delivery::open_any(text, |_| false).content.expect_err("is no delivery").to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn the_work_queue_names_launches_to_continue() {
    let launch = LaunchKey::new("r", "2026-01-31", &"0123456789abcdef".repeat(4));
    let batch = |body: &str| {
        serde_json::json!({ "Records": [{
            "messageId": "1", "body": body, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:r:1:work"
        }] })
        .to_string()
    };
    assert_eq!(opened(Door::TaskLifecycle, &batch(&work_message(&[launch.clone(), launch]))), "work on 2");
    assert!(opened(Door::TaskLifecycle, &batch("{}")).starts_with("error: "));
}

/// Shows what a function at this door gets from a text.
fn opened(door: Door, text: &str) -> String {
    match Delivery::open(door, text).content {
        Ok(Delivery::Event(event)) => format!("event {}", event.id()),
        Ok(Delivery::Batch(records)) => format!("batch of {}", records.len()),
        Ok(Delivery::Redrive(redriven)) => format!("launch {}, redriven {} times", redriven.launch, redriven.redrives),
        Ok(Delivery::StateChange(change)) => format!("state of {}", change.task_arn),
        Ok(Delivery::Work(launches)) => format!("work on {}", launches.len()),
        Ok(Delivery::Sweep) => "sweep".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn a_dead_letter_is_opened_at_every_door() {
    let event = fixtures::event("my.app", "t", "{}");
    let launch = format!("r/2026-01-31/{}", "0123456789abcdef".repeat(2));
    let letter = |rest: &str| format!(r#"{{"dead_letter":1,"reason":"x",{rest}}}"#);
    let of_event = letter(&format!(r#""event":{event}"#));
    assert_eq!(opened(Door::EventBridge, &of_event), "event e-1");
    assert_eq!(
        opened(Door::EventBridge, &letter(&format!(r#""event":{of_event}"#))),
        "event e-1",
        "a letter of a letter"
    );
    assert_eq!(
        opened(Door::EventBridge, &letter(&format!(r#""launch":"{launch}""#))),
        format!("launch {launch}, redriven 0 times")
    );
    let second = letter(&format!(r#""launch":"{launch}","redrives":1"#));
    assert_eq!(opened(Door::EventBridge, &second), format!("launch {launch}, redriven 1 times"));
    for wrong in
        ["r/2026-01-31/x", "../2026-01-31/0123456789abcdef0123456789abcdef", "r/x/0123456789abcdef0123456789abcdef"]
    {
        let error =
            "error: the event's `launch` is not the name of a launch; deliver the dead letter as it was written";
        assert_eq!(opened(Door::EventBridge, &letter(&format!(r#""launch":"{wrong}""#))), error, "{wrong}");
    }
    let nested = (0..5).fold(event, |inner, _| letter(&format!(r#""event":{inner}"#)));
    assert_eq!(
        opened(Door::EventBridge, &nested),
        "error: the event's `event` is inside more than 4 dead letters; deliver the event itself"
    );
}

#[test]
fn lambdas_record_of_a_failed_invocation_holds_the_event() {
    let event = fixtures::event("my.app", "t", "{}");
    let record = |condition: &str| {
        format!(
            r#"{{"version":"1.0","timestamp":"2026-01-31T00:00:00Z","requestContext":{{"requestId":"x","functionArn":"arn:aws:lambda:f","condition":"{condition}","approximateInvokeCount":3}},"requestPayload":{event},"responseContext":{{"statusCode":200}}}}"#
        )
    };
    assert_eq!(opened(Door::EventBridge, &record("RetriesExhausted")), "event e-1");
    assert!(opened(Door::EventBridge, &record("Success")).starts_with("error: "), "it was handled");
}

#[test]
fn a_key_that_a_body_has_twice_is_refused_or_makes_it_a_text() {
    let batch = |body: &str| {
        let record = serde_json::json!({
            "messageId": "m", "body": body, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:jobs", "attributes": {}, "messageAttributes": {},
        });
        let Ok(Delivery::Batch(records)) =
            Delivery::open(Door::Queue, &serde_json::json!({ "Records": [record] }).to_string()).content
        else {
            panic!("is a batch")
        };
        match records[0].open().content {
            Ok(decoded) => decoded.events()[0].text.to_string(),
            Err(error) => error.to_string(),
        }
    };
    let refused = batch(r#"{"tenant":"public","tenant":"admin"}"#);
    assert_eq!(refused, "the event's `body` has the key `tenant` twice; send each key once");
    assert!(batch(r#"[{"a":1,"a":2}]"#).contains(r#""body":"[{\"a\":1,\"a\":2}]""#));
    // Somebody's own function may send such records: they are messages like others.
    assert!(
        batch(r#"{"requestContext":{"functionArn":"f","condition":"x"},"requestPayload":{}}"#)
            .contains("requestPayload")
    );
}

#[test]
fn an_event_is_read_again_from_its_copy() {
    let of_event_bridge = |text: &str| vec![Event::decode(text).expect("is an event")];
    let of_batch = |body: &str| {
        let text = fixtures::batch("jobs", &[body]);
        match Delivery::open(Door::Queue, &text).content {
            Ok(Delivery::Batch(records)) => records[0].open().content.expect("is decoded").events(),
            other => panic!("{other:?}"),
        }
    };
    let inner = fixtures::event("my.app", "t", r#"{"a":1.50}"#);
    let firing = Firing::local("r", Timestamp::UNIX_EPOCH).into_event();
    let events =
        [of_event_bridge(&inner), vec![firing], of_batch("text"), of_batch(r#"{"a":[1.50]}"#), of_batch(&inner)];
    for event in events.into_iter().flatten() {
        let copy = Event::decode_copy(&event.text).expect("is a copy");
        assert_eq!((&copy.text, copy.id(), copy.date()), (&event.text, event.id(), event.date()));
        assert_eq!(copy.identity(), event.identity());
        assert_eq!(text::json::write(&copy.node), text::json::write(&event.node));
    }
    for text in ["[]", "{}", r#"{"message_id":"m"}"#] {
        assert!(Event::decode_copy(text).is_err(), "{text}");
    }
}
