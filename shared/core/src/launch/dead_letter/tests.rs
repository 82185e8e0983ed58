//! What dead letters contain.

use super::DeadLetter;
use crate::launch::EventCopy;

fn letter(event: &str) -> DeadLetter {
    DeadLetter {
        redrives: 0,
        reason: "no".to_owned(),
        event_id: None,
        route: None,
        launch: None,
        config_etag: None,
        attempts: Vec::new(),
        tasks: Vec::new(),
        event: EventCopy::Text(event.to_owned()),
    }
}

#[test]
fn what_sqs_cannot_carry_is_escaped_and_means_the_same() {
    for text in ["{\"key\":\"a\u{ffff}b\u{fffe}é😀\"}", "not \u{ffff} JSON \u{1}"] {
        let message = letter(text).message();
        assert!(!message.contains(['\u{ffff}', '\u{fffe}', '\u{1}']), "{message}");
        let message: serde_json::Value = serde_json::from_str(&message).expect("is JSON");
        let event = match message.get("event_text") {
            Some(text) => text.as_str().expect("is a text").to_owned(),
            None => message["event"].to_string(),
        };
        assert_eq!(event, text);
    }
}

#[test]
fn a_letter_can_point_to_its_event() {
    let message = letter(&"x".repeat(300_000)).pointing_to("s3://b/event.json").message();
    assert_eq!(message, r#"{"dead_letter":1,"reason":"no","event_uri":"s3://b/event.json"}"#);
}
