use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Circumstances, Rate, StoredObject, firings, needs_anchor};
use crate::event::{Decoded, S3Change};
use crate::event::{Event, Queue, Record};
use crate::fixtures::{OBJECT_CREATED, s3_notification};
use crate::history::ObjectName;
use crate::routing::RoutingConfig;
use crate::schedule::Schedule;
use crate::text::Source;

const HERE: Circumstances<'_> =
    Circumstances { partition: "aws", account: "111122223333", region: "eu-west-1", reason: None, anew: None };

fn time(text: &str) -> Timestamp {
    text.parse().expect("is a time")
}

/// Returns the object that the fixture's event is about.
fn report() -> StoredObject {
    StoredObject {
        name: ObjectName { bucket: "uploads".to_owned(), key: "incoming/report.tar.gz".to_owned() },
        size: 5,
        etag: "b1946ac92492d2347c6235b4d2611184".to_owned(),
        modified: time("2021-11-12T00:00:00Z"),
    }
}

fn event(object: &StoredObject, circumstances: &Circumstances<'_>) -> Event {
    object.event(circumstances).expect("is an event")
}

#[test]
fn an_event_of_a_listed_object_is_like_that_of_s3() {
    let made = event(&report(), &HERE);
    let real = Event::decode(OBJECT_CREATED).expect("is an event");
    let (made_s3, real_s3) = (made.s3().expect("is of S3"), real.s3().expect("is of S3"));
    assert_eq!((&made_s3.bucket, &made_s3.object.key), (&real_s3.bucket, &real_s3.object.key));
    assert_eq!(made_s3.object.etag, real_s3.object.etag);
    assert_eq!(made.date(), real.date());
    let reason_of = |etag: &str, reason| {
        let object = StoredObject { etag: etag.to_owned(), ..report() };
        match &event(&object, &Circumstances { reason, ..HERE }).s3().expect("is of S3").change {
            S3Change::Created { reason, size, .. } => (reason.clone(), *size),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason_of("a", None), ("PutObject".to_owned(), 5));
    assert_eq!(reason_of("a-3", None), ("CompleteMultipartUpload".to_owned(), 5));
    assert_eq!(reason_of("a-3", Some("CopyObject")), ("CopyObject".to_owned(), 5));
}

#[test]
fn an_object_has_the_same_event_each_time_unless_it_runs_anew() {
    let object = report();
    let identity = |anew| event(&object, &Circumstances { anew, ..HERE }).identity().to_string();
    assert_eq!(identity(None), identity(None));
    let later = object.modified + SignedDuration::from_hours(1);
    assert_ne!(identity(None), identity(Some(later)));
    assert_ne!(identity(Some(later)), identity(Some(later + SignedDuration::from_nanos(1))));
    // A later event of an object has a higher sequencer, and S3's own of that second are higher too.
    let sequencer =
        |anew| event(&object, &Circumstances { anew, ..HERE }).s3().and_then(|s3| s3.sequencer().map(str::to_owned));
    assert_eq!(sequencer(None).as_deref(), Some("00618DAE8000000000"));
    assert!(sequencer(None) < Some("00618DAE800281E500".to_owned()) && sequencer(None) < sequencer(Some(later)));
}

#[test]
fn an_object_ran_if_an_event_of_its_content_is_not_older_than_the_object() {
    let object = report();
    let real = |from: &str, to: &str| Event::decode(&OBJECT_CREATED.replace(from, to)).expect("is an event");
    let anew = Circumstances { anew: Some(time("2026-01-01T00:00:00Z")), ..HERE };
    for (event, told) in [
        (real("", ""), true),
        (event(&object, &HERE), true),
        (event(&object, &anew), true),
        // Of an upload in parts, a list has the time of its beginning.
        (real("2021-11-12T00:00:00Z", "2021-11-12T08:00:00Z"), true),
        (real("2021-11-12T00:00:00Z", "2021-11-11T23:59:30Z"), true),
        // The same content was written before.
        (real("2021-11-12T00:00:00Z", "2021-11-11T23:58:00Z"), false),
        (real("b1946ac92492d2347c6235b4d2611184", "d41d8cd98f00b204e9800998ecf8427e"), false),
        (real("report.tar.gz", "other.tar.gz"), false),
        (real(r#""name": "uploads""#, r#""name": "archive""#), false),
        (real("Object Created", "Object Tags Added"), false),
    ] {
        assert_eq!(object.is_told_by(&event), told, "{}", event.text);
    }
}

#[test]
fn a_notification_in_a_message_tells_of_its_object() {
    let body = s3_notification("ObjectCreated:Put", r#","eTag":"e","sequencer":"0A""#, "");
    let record = Record {
        message_id: "m".to_owned(),
        queue: Queue::parse("q").expect("is a queue"),
        body,
        attributes: Vec::new(),
        message_attributes: Vec::new(),
        unreadable: None,
    };
    let Ok(Decoded::Events(events)) = record.open().content else { panic!("is no event") };
    let object = StoredObject {
        name: ObjectName { bucket: "uploads".to_owned(), key: "in/a b".to_owned() },
        size: 10,
        etag: "e".to_owned(),
        modified: Timestamp::UNIX_EPOCH,
    };
    // The record of a launch has a copy.
    let copy = Event::decode_copy(&events[0].text).expect("is an event");
    assert!(object.is_told_by(&events[0]) && object.is_told_by(&copy));
}

fn schedule(expression: &str) -> Schedule {
    let text = format!(
        "version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes: [{{ name: r, on: {{ schedule: {expression} }}, run: t }}]\n"
    );
    let config = RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|error| panic!("{error:?}"));
    config.routes[0].schedule().expect("is there").clone()
}

#[test]
fn firings_are_those_from_a_time_on_and_before_another() {
    let daily = schedule("cron(0 3 * * ? *)");
    let hourly = schedule("rate(1 hour)");
    let once = schedule("at(2026-01-02T03:00:00)");
    let from = time("2026-01-01T03:00:00Z");
    for (schedule, until, limit, count) in [
        (&daily, "2026-01-03T03:00:00Z", 10, 2),
        (&daily, "2026-01-03T03:00:01Z", 10, 3),
        (&daily, "2026-01-03T03:00:01Z", 2, 2),
        (&daily, "2026-01-01T03:00:00Z", 10, 0),
        (&once, "2026-01-02T03:00:00Z", 10, 0),
        (&once, "2026-02-01T00:00:00Z", 10, 1),
    ] {
        let all = firings(schedule, from, time(until), from, limit);
        assert_eq!(all.len(), count, "{} until {until}: {all:?}", schedule.text);
    }
    // The anchor of a rate may be any of its firings.
    assert_eq!((needs_anchor(&hourly), needs_anchor(&daily)), (true, false));
    for known in ["2026-06-01T00:20:00Z", "2026-01-01T03:20:00Z", "2025-01-01T03:20:00Z"] {
        let all = firings(&hourly, from, time("2026-01-01T05:00:00Z"), time(known), 10);
        assert_eq!(all, ["2026-01-01T03:20:00Z", "2026-01-01T04:20:00Z"].map(time), "{known}");
    }
}

#[test]
fn a_rate_says_when_each_event_starts() {
    for (text, position, seconds) in [("20/s", 6000, 300.0), ("1/s", 0, 0.0), ("30/m", 1, 2.0), ("7200/h", 1, 0.5)] {
        let rate = Rate::parse(text).expect("is a rate");
        assert_eq!(rate.after(position), Duration::from_secs_f64(seconds), "{text}");
    }
    for text in ["", "20", "0/s", "-1/s", "1/d", "x/s", "1.5/s"] {
        assert!(Rate::parse(text).is_err(), "{text}");
    }
}
