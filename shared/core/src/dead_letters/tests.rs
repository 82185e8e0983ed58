use expect_test::expect;
use serde_json::{Value, json};

use super::{Choice, DeadMessage, Letter, Redelivery, groups, pattern_of};
use crate::event::Queue;
use crate::fixtures::{event, object_created};
use crate::pattern::operator::Wildcard;
use crate::routing::RoutingConfig;
use crate::text::Source;

const CONFIG: &str = r"
version: 1
storage: { bucket: state }
tasks: { t: { task_definition: t } }
routes:
  - { name: csv, on: { event_pattern: { source: [aws.s3], detail: { bucket: { name: [uploads] } } } }, run: t }
  - { name: jobs, on: { queue: jobs }, run: t }
  - { name: nightly, on: { schedule: rate(1 day) }, run: t }
";

fn config(text: &str) -> RoutingConfig {
    RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid")
}

fn message(body: &str) -> DeadMessage {
    DeadMessage {
        message_id: "m-1".to_owned(),
        body: body.to_owned(),
        attributes: Vec::new(),
        sent: Some("2026-01-31T12:00:00Z".parse().expect("is a time")),
        given_up_by: None,
    }
}

fn letter(route: Option<&str>, launch: Option<&str>, event: &str) -> String {
    let event: Value = serde_json::from_str(event).expect("is JSON");
    let mut letter = json!({ "dead_letter": 1, "reason": "no", "event": event });
    letter.as_object_mut().expect("is an object").extend(
        [("route", route), ("launch", launch)].into_iter().filter_map(|(key, it)| Some((key.to_owned(), it?.into()))),
    );
    letter.to_string()
}

/// Returns what is read of a message, in a line.
fn shown(message: &DeadMessage, config: &RoutingConfig) -> String {
    let (letter, redelivery) = message.read(config);
    let how = match redelivery {
        Redelivery::Launch(redriven) => format!("launch {} after {}", redriven.launch, redriven.redrives),
        Redelivery::Event(event) => format!("event {}", event.id()),
        Redelivery::Messages(records) => {
            let of = |record: &crate::event::Record| {
                format!("{} of {}: {}", record.message_id, record.queue.name, record.body)
            };
            format!("messages {}", records.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        Redelivery::Stored(uri) => format!("stored at {uri}"),
        Redelivery::SendBack(queue) => format!("back to {queue}"),
        Redelivery::Needless => "needless".to_owned(),
        Redelivery::Impossible(reason) => format!("impossible: {reason}"),
    };
    format!("{} | {} | {how}\n", letter.routes.join("+"), letter.reason)
}

#[test]
fn each_letter_has_its_routes_its_reason_and_its_way_back() {
    let (config, without_ledger) = (config(CONFIG), config(&CONFIG.replace("storage: { bucket: state }\n", "")));
    let launch = format!("csv/2026-01-31/{:032}", 1);
    let object = object_created("a.csv");
    let of_lambda = |payload: &str, response: &str| {
        format!(
            r#"{{"requestContext":{{"functionArn":"arn:aws:lambda:f","condition":"RetriesExhausted"}},"requestPayload":{payload}{response}}}"#
        )
    };
    let of_event_bridge = DeadMessage {
        attributes: vec![
            ("ERROR_CODE".to_owned(), "NO_PERMISSIONS".to_owned()),
            ("ERROR_MESSAGE".to_owned(), "denied".to_owned()),
        ],
        ..message(&object)
    };
    let of_scheduler = DeadMessage {
        attributes: vec![
            ("SCHEDULE_ARN".to_owned(), "arn:aws:scheduler:eu-west-1:111122223333:schedule/g/nightly".to_owned()),
            ("SCHEDULED_TIME".to_owned(), "2026-01-31T00:00:00Z".to_owned()),
            ("ERROR_CODE".to_owned(), "Throttled".to_owned()),
        ],
        ..message(crate::event::SCHEDULER_INPUT.replace("ROUTE", "nightly").as_str())
    };
    let given_up = DeadMessage { given_up_by: Queue::parse("jobs"), ..message("hello") };
    let stopped = r#"{"lastStatus":"STOPPED","taskArn":"arn:t"}"#;
    let stored = r#"{"dead_letter":1,"reason":"no","route":"csv","event_uri":"s3://state/e"}"#;
    let shown = [
        shown(&message(&letter(Some("csv"), Some(&launch), &object)), &config),
        shown(&message(&letter(Some("csv"), Some(&launch), &object)), &without_ledger),
        shown(&message(&letter(Some("csv"), None, &object)), &config),
        shown(&message(&letter(None, None, &object)), &config),
        shown(&message(&letter(Some("jobs"), None, r#"{"a":1}"#)), &config),
        shown(&message(&letter(Some("gone"), None, r#"{"a":1}"#)), &config),
        shown(&message(&letter(None, None, &event("my.app", "T", "{}"))), &config),
        shown(&message(&of_lambda(&object, r#","responsePayload":{"errorMessage":"it crashed"}"#)), &config),
        shown(&message(&of_lambda(&letter(Some("csv"), Some(&launch), &object), "")), &config),
        shown(&of_event_bridge, &config),
        shown(&message(&event("aws.ecs", "ECS Task State Change", stopped)), &config),
        shown(&of_scheduler, &config),
        shown(&given_up, &config),
        shown(&message(stored), &config),
        shown(&message(stored).with_event(&object), &config),
        shown(&message("hello"), &config),
    ];
    expect![[r#"
        csv | no | launch csv/2026-01-31/00000000000000000000000000000001 after 0
        csv | no | event 17793124-05d4-b198-2fde-7ededc63b103
        csv | no | event 17793124-05d4-b198-2fde-7ededc63b103
        csv | no | event 17793124-05d4-b198-2fde-7ededc63b103
        jobs | no | messages m-1 of jobs: {"a":1}
        gone | no | impossible: the config in force has no route `gone`
         | no | impossible: no route of the config in force takes its event
        csv | it crashed | event 17793124-05d4-b198-2fde-7ededc63b103
        csv | Lambda gave the event up: RetriesExhausted | launch csv/2026-01-31/00000000000000000000000000000001 after 0
        csv | the function could not be invoked: NO_PERMISSIONS: denied | event 17793124-05d4-b198-2fde-7ededc63b103
         | the message gives no reason | needless
        nightly | the function could not be invoked: Throttled | event nightly/2026-01-31T00:00:00Z
        jobs | the queue jobs gave the message up, as it was received too often | back to jobs
        csv | no | stored at s3://state/e
        csv | no | event 17793124-05d4-b198-2fde-7ededc63b103
         | the message gives no reason | impossible: the event is not JSON: expected a value, found `h` at byte 0
    "#]].assert_eq(&shown.concat());
}

#[test]
fn reasons_that_differ_only_in_ids_arns_times_and_numbers_have_one_pattern() {
    for (reason, pattern) in [
        ("", ""),
        (
            "the task arn:aws:ecs:eu-west-1:111122223333:task/default/0f3c9a7be27d4c118e0b6a5f43d29c07: \
             EssentialContainerExited, Essential container in task exited; app: exit code 137 (OutOfMemoryError: \
             Container killed due to memory usage)",
            "the task *: EssentialContainerExited, Essential container in task exited; app: exit code 137 \
             (OutOfMemoryError: Container killed due to memory usage)",
        ),
        (
            "the task arn:aws:ecs:a:1:task/b/c: TaskFailedToStart, CannotPullContainerError: pull image manifest has been \
             retried 5 time(s): failed to resolve ref app:v1.2: not found; app: no exit code",
            "the task *: TaskFailedToStart, CannotPullContainerError: pull image manifest has been retried * time(s): \
             failed to resolve ref app:v1.2: not found; app: no exit code",
        ),
        (
            "ECS could not start all tasks: RESOURCE:MEMORY on arn:aws:ecs:eu-west-1:1:container-instance/x (short by 512)",
            "ECS could not start all tasks: RESOURCE:MEMORY on * (short by *)",
        ),
        (
            "ECS has had no capacity since 2026-01-31T12:00:00Z; last reply: RESOURCE:CPU",
            "ECS has had no capacity since *; last reply: RESOURCE:CPU",
        ),
        (
            "event 17793124-05d4-b198-2fde-7ededc63b103: the route `r` cannot launch its task for element 3: x has 99 \
             characters; AWS allows 64",
            "event *: the route `r` cannot launch its task for element *: x has * characters; AWS allows *",
        ),
        (
            "it is unknown whether attempt 2, opened at 2026-01-31T12:00:00.5+02:00, started its tasks",
            "it is unknown whether attempt *, opened at *, started its tasks",
        ),
        (
            "the launch r/2026-01-31/00000000000000000000000000000001 cannot be continued: the Region eu-west-1",
            "the launch r/*/* cannot be continued: the Region eu-west-1",
        ),
        ("(Status Code: 400; Request ID: N4N7GDK58NMKJ12R)", "(Status Code: 400; Request ID: *)"),
        ("no host 10.0.12.7:8080 in subnet-0a1b2c3d after 30s, 1.5 s", "no host *:* in subnet-* after *s, * s"),
        ("2 * 3 is \\ 6\nthere", "* \\* * is \\\\ *there"),
        ("c:\\1", "c:\\\\*"),
    ] {
        assert_eq!(pattern_of(reason), pattern, "{reason}");
        let pattern = Wildcard::parse(pattern).expect("is valid");
        assert!(pattern.matches(reason), "{reason}");
    }
}

#[test]
fn letters_of_the_same_routes_and_reason_are_a_group() {
    let letter = |id: &str, route: &str, reason: &str, launch: Option<&str>| Letter {
        message_id: id.to_owned(),
        routes: vec![route.to_owned()],
        reason: reason.to_owned(),
        launch: launch.map(str::to_owned),
        event_id: None,
        sent: format!("2026-01-31T12:00:0{id}Z").parse().ok(),
    };
    let letters = [
        letter("1", "a", "exit code 1 after 5 s", None),
        letter("3", "b", "exit code 1 after 6 s", Some("b/1")),
        letter("2", "b", "exit code 1 after 7 s", Some("b/2")),
        letter("4", "b", "exit code 2 after 7 s", None),
    ];
    let line = |group: super::Group| {
        let latest = group.latest.map(|it| it.to_string()).unwrap_or_default();
        format!("{} {} {latest} {} | {}\n", group.count, group.routes.join("+"), group.example, group.reason)
    };
    let shown: String = groups(&letters).into_iter().map(line).collect();
    expect![[r#"
        2 b 2026-01-31T12:00:03Z b/1 | exit code 1 after * s
        1 a 2026-01-31T12:00:01Z 1 | exit code 1 after * s
        1 b 2026-01-31T12:00:04Z 4 | exit code 2 after * s
    "#]]
    .assert_eq(&shown);
    let chosen = |route: Option<&str>, reason: Option<&str>| {
        let reason = reason.map(|reason| Wildcard::parse(reason).expect("is valid"));
        let choice = Choice { route: route.map(str::to_owned), reason };
        letters.iter().filter(|letter| choice.takes(letter)).count()
    };
    assert_eq!(
        [
            chosen(None, None),
            chosen(Some("b"), None),
            chosen(Some("b"), Some("exit code 1 *")),
            chosen(None, Some("exit"))
        ],
        [4, 3, 2, 0]
    );
}
