//! A folder as a bucket.

use std::fs;

use trigger_core::event::Event;

use super::{Bucket, NotAnObject};

fn bucket() -> (tempfile::TempDir, Bucket) {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = Bucket::open("uploads", &folder.path().join("made/here")).expect("is made");
    (folder, bucket)
}

#[test]
fn a_file_makes_the_event_that_eventbridge_would_send() {
    let (_folder, bucket) = bucket();
    let path = bucket.folder.join("a b+c%20.csv");
    fs::write(&path, "hello\n").expect("is written");
    let text = bucket.object_created(&path).expect("is an object");
    let event = Event::decode(&text).expect("is an event");
    let of_event = event.event_bridge().expect("is an event of EventBridge");
    let s3 = of_event.s3.as_ref().expect("is an event of S3");
    assert_eq!((s3.bucket.as_str(), s3.object.key.as_str()), ("uploads", "a b+c%20.csv"));
    assert_eq!(s3.object.etag.as_deref(), Some("b1946ac92492d2347c6235b4d2611184"));
    assert_eq!(of_event.envelope.resources, ["arn:aws:s3:::uploads"]);
}

#[test]
fn an_unchanged_file_makes_the_same_event_and_a_changed_one_another() {
    let (_folder, bucket) = bucket();
    let path = bucket.folder.join("a");
    fs::write(&path, "1").expect("is written");
    let first = bucket.object_created(&path).expect("is an object");
    assert_eq!(first, bucket.object_created(&path).expect("is an object"));
    fs::write(&path, "2").expect("is written");
    assert_ne!(first, bucket.object_created(&path).expect("is an object"));
}

#[test]
fn sequencers_grow_from_creation_to_deletion() {
    let (_folder, bucket) = bucket();
    let path = bucket.folder.join("a");
    fs::write(&path, "1").expect("is written");
    let sequencer = |text: String| {
        let event = Event::decode(&text).expect("is an event");
        event.node.get("detail").and_then(|detail| detail.get("object")?.get("sequencer")?.as_str().map(str::to_owned))
    };
    let created = sequencer(bucket.object_created(&path).expect("is an object")).expect("has one");
    let later = jiff::Timestamp::MAX;
    let deleted = sequencer(bucket.object_deleted(&path, later).expect("was an object")).expect("has one");
    assert!(created < deleted, "{created} {deleted}");
}

#[test]
fn what_is_no_file_of_the_bucket_is_no_object() {
    let (folder, bucket) = bucket();
    fs::create_dir(bucket.folder.join("d")).expect("is made");
    fs::write(folder.path().join("outside"), "").expect("is written");
    let of = |path: &std::path::Path| bucket.object_created(path).expect_err("is none");
    assert!(matches!(of(&bucket.folder.join("d")), NotAnObject::NotAFile(_)));
    assert!(matches!(of(&bucket.folder.join("gone")), NotAnObject::Unreadable { .. }));
    assert!(matches!(of(&folder.path().join("outside")), NotAnObject::Escapes { .. }));
    assert!(matches!(of(&bucket.folder.join("x".repeat(1025))), NotAnObject::TooLong(_)));
}
