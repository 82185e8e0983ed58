use jiff::Timestamp;

use super::Change;
use crate::event::{Decoded, Event, Firing, Queue, Record};
use crate::fixtures::{OBJECT_CREATED, event};
use crate::plan::Plan;
use crate::routing::RoutingConfig;
use crate::text::Source;

fn changes(texts: &[&str]) -> Vec<Change> {
    texts.iter().map(|text| Change::parse(text).expect("is a change")).collect()
}

fn orders() -> Event {
    Event::decode(&event("orders", "Placed", r#"{"total":1.10,"lines":[{"id":7},{"id":8}]}"#)).expect("is an event")
}

fn message(body: &str) -> Event {
    let record = Record {
        message_id: "m".to_owned(),
        queue: Queue::new("jobs", None, None),
        body: body.to_owned(),
        attributes: Vec::new(),
        message_attributes: Vec::new(),
        unreadable: None,
    };
    match record.open().content {
        Ok(Decoded::Events(mut events)) => events.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_is_set_where_its_path_leads() {
    for (event, change, part) in [
        (orders(), "detail.total=2.50", r#""detail":{"total":2.50,"lines":[{"id":7},{"id":8}]}"#),
        (orders(), "detail.lines.1.id=x", r#""lines":[{"id":7},{"id":"x"}]"#),
        (orders(), "detail.to.city=Seoul", r#""to":{"city":"Seoul"}"#),
        (orders(), "detail.note=a=b", r#""note":"a=b""#),
        (orders(), r#"detail={"a":[1]}"#, r#""detail":{"a":[1]}"#),
        (message(r#"{"kind":"a"}"#), "body.kind=b", r#""body":{"kind":"b"}"#),
        (message("text"), "body=other", r#""body":"other""#),
        (Firing::local("r", Timestamp::UNIX_EPOCH).into_event(), "input.day=1", r#""input":{"day":1}"#),
    ] {
        let changed = event.changed(&changes(&[change]), Timestamp::UNIX_EPOCH).expect("is changed");
        assert!(changed.text.contains(part), "{change}: {}", changed.text);
        assert_ne!(changed.identity(), event.identity(), "{change}");
        // A retry renders the copy in the launch's record.
        let copy = Event::decode_copy(&changed.text).expect("is an event");
        assert_eq!((copy.identity(), &copy.text), (changed.identity(), &changed.text));
    }
}

#[test]
fn a_changed_event_of_s3_is_another_and_a_later_one() {
    let original = Event::decode(OBJECT_CREATED).expect("is an event");
    let changed = original.changed(&changes(&["detail.object.size=9"]), Timestamp::MAX).expect("is changed");
    assert_ne!(changed.identity(), original.identity());
    let inside = message(OBJECT_CREATED);
    let changed = inside.changed(&changes(&["body.detail.object.size=9"]), Timestamp::MAX).expect("is changed");
    assert_ne!(changed.identity(), inside.identity());
}

#[test]
fn what_cannot_be_set_is_said() {
    for (event, change, reason) in [
        (orders(), "source=x", "`source` cannot be set: of an event of EventBridge, only `detail` can be changed"),
        (orders(), "detail.total.x=1", "there is a number on the way"),
        (orders(), "detail.lines.2=1", "there is a list on the way"),
        (orders(), "detail=1", "`detail`"),
        (message("text"), "detail.a=1", "of a message, only `body` can be changed"),
        (message("text"), "body.a=1", "there is a string on the way"),
        (
            Firing::local("r", Timestamp::UNIX_EPOCH).into_event(),
            "body.a=1",
            "of a firing, only `input` can be changed",
        ),
    ] {
        let error = event.changed(&changes(&[change]), Timestamp::UNIX_EPOCH).expect_err("is refused").to_string();
        assert!(error.contains(reason), "{change}: {error}");
    }
    for text in ["", "detail.total", "=1", "detail..x=1"] {
        assert!(Change::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_input_that_is_set_counts_beside_that_of_the_schedule() {
    let text = "
version: 1
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: a, command: ['{{ input.day }}', '{{ input.kind }}'] }] } } }
routes: [{ name: r, on: { schedule: rate(1 hour), input: { day: 1, kind: full } }, run: t }]
";
    let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("is valid");
    let firing = Firing::local("r", Timestamp::UNIX_EPOCH).into_event();
    let command = |event: &Event| {
        let plan = Plan::new(&config, event).expect("is a plan");
        plan.launches[0].request.overrides.container_overrides[0].command.clone()
    };
    let changed = firing.changed(&changes(&["input.day=2"]), Timestamp::UNIX_EPOCH).expect("is changed");
    assert_eq!(command(&firing), ["1", "full"]);
    assert_eq!(command(&changed), ["2", "full"]);
}
