//! The config's own tests. All tests use [`check`].

use expect_test::{Expect, expect};

use super::{actual, differences, written};
use crate::routing::RoutingConfig;
use crate::text::Source;

/// Runs the tests of a config and compares each one's differences, and what `--update` would write, with `expected`.
fn check(tests: &str, expected: Expect) {
    let config = format!("{CONFIG}tests:\n{tests}");
    let source = Source::new("c.yaml", config);
    let config = RoutingConfig::parse(source.clone())
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(|one| one.line(&source)).collect::<String>()));
    let mut shown = String::new();
    for test in &config.tests {
        shown += &format!("{}:", test.name.0);
        match actual(&config, test, "") {
            Err(error) => shown += &format!(" error: {error}\n"),
            Ok(actual) => {
                let expect = test.expect.as_ref().map(|expect| &expect.value);
                for difference in expect.map(|expect| differences(expect, &actual)).unwrap_or_default() {
                    shown +=
                        &format!("\n  {}\n  - {}\n  + {}", difference.what, difference.expected, difference.actual);
                }
                shown += &format!("\n  expect: {}\n", written(expect, &actual));
            }
        }
    }
    expected.assert_eq(&shown);
}

const CONFIG: &str = r#"
version: 1
tasks:
  import:
    task_definition: import
    count: 25
    overrides:
      container_overrides:
        - { name: app, command: [import, "{{ key }}"], environment: { SIZE: "{{ size }}", FIXED: "1" } }
        - { name: log, environment: { KEY: "{{ key }}" } }
  resize:
    task_definition: resize
    overrides: { container_overrides: [{ name: app, command: ["{{ item }}", "{{ index }}", "{{ message_attributes.tenant }}"] }] }
  nightly:
    task_definition: nightly
    overrides: { container_overrides: [{ name: app, command: ["{{ scheduled.date }}", "{{ input.report }}"] }] }
routes:
  - { name: upload, on: { s3: { bucket: uploads, key: { suffix: .csv } } }, run: import }
  - { name: jobs, on: { queue: jobs, event_pattern: { body: { kind: [resize] } } }, run: resize, for_each: "{{ body.items }}" }
  - { name: nightly, on: { schedule: cron(0 3 * * ? *), timezone: Asia/Seoul, input: { report: daily } }, run: nightly }
"#;

const UPLOAD: &str = r#"{ source: aws.s3, detail-type: Object Created, detail: { bucket: { name: uploads }, object: { key: a.csv, size: 5, sequencer: "1" }, reason: PutObject } }"#;

#[test]
fn what_is_expected_and_is_makes_no_difference() {
    check(
        &format!(
            r#"
  - {{ name: upload, event: {UPLOAD}, expect: {{ route: upload, task: import, count: 25, command: [import, a.csv], environment: {{ SIZE: 5 }} }} }}
  - {{ name: other container, event: {UPLOAD}, expect: {{ container: log, environment: {{ KEY: a.csv, ECS_TRIGGER_ROUTE: upload }} }} }}
  - {{ name: elements, message: {{ queue: jobs, body: {{ kind: resize, items: [a, b c] }}, message_attributes: {{ tenant: t }} }}, expect: [{{ command: [a, 0, t] }}, {{ command: ["b c", 1, t] }}] }}
  - {{ name: firing, firing: {{ route: nightly, time: 2026-01-31T18:00:00Z }}, expect: {{ command: ["2026-02-01", daily] }} }}
  - {{ name: others, event: {{ source: my.app }}, expect: no route }}
  - {{ name: broken, message: {{ queue: jobs, body: {{ kind: resize }} }}, expect: {{ error: "the event has no `body.items`" }} }}
"#
        ),
        expect![[r#"
            upload:
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5" } }
            other container:
              expect: { container: log, environment: { KEY: a.csv, ECS_TRIGGER_ROUTE: upload } }
            elements:
              expect: [{ command: [a, "0", t] }, { command: ["b c", "1", t] }]
            firing:
              expect: { command: ["2026-02-01", daily] }
            others:
              expect: no route
            broken:
              expect: { error: "the event has no `body.items`" }
        "#]],
    );
}

#[test]
fn every_difference_is_shown_at_once() {
    check(
        &format!(
            r#"
  - {{ name: upload, event: {UPLOAD}, expect: {{ route: nightly, task: resize, count: 1, command: [x], environment: {{ SIZE: 6, NOT: there }} }} }}
  - {{ name: container, event: {UPLOAD}, expect: {{ container: nope, command: [x] }} }}
  - {{ name: none expected, event: {UPLOAD}, expect: no route }}
  - {{ name: error expected, event: {UPLOAD}, expect: {{ error: something }} }}
  - {{ name: some expected, event: {{ source: my.app }}, expect: {{ route: upload }} }}
  - {{ name: another error, message: {{ queue: jobs, body: {{ kind: resize, items: 7 }} }}, expect: {{ error: something }} }}
  - {{ name: too many, event: {UPLOAD}, expect: [{{ route: upload }}, {{ route: upload }}] }}
  - {{ name: not written yet, event: {UPLOAD} }}
"#
        ),
        expect![[r#"
            upload:
              launch 1: route
              - nightly
              + upload
              launch 1: task
              - resize
              + import
              launch 1: count
              - 1
              + 25
              launch 1: command
              - [x]
              + [import, a.csv]
              launch 1: environment: SIZE
              - "6"
              + "5"
              launch 1: environment: NOT
              - "there"
              + not set
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5" } }
            container:
              launch 1: container
              - nope
              + no container of this name
              launch 1: command
              - [x]
              + []
              expect: { container: nope }
            none expected:
              the event
              - no route
              + launches by upload/import
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5", FIXED: "1" } }
            error expected:
              the event
              - an error that contains "something"
              + launches by upload/import
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5", FIXED: "1" } }
            some expected:
              the event
              - launches by upload
              + no route
              expect: no route
            another error:
              the event
              - an error that contains "something"
              + an error: "the route `jobs` cannot launch its task: c.yaml:19:108: `body.items` is a number, not a list (in the template \"{{ body.items }}\")"
              expect: { error: "`body.items` is a number, not a list" }
            too many:
              the event
              - launches by upload, upload
              + launches by upload/import
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5", FIXED: "1" } }
            not written yet:
              expect: { route: upload, task: import, count: 25, command: [import, a.csv], environment: { SIZE: "5", FIXED: "1" } }
        "#]],
    );
}

#[test]
fn a_sample_that_is_no_event_is_an_error() {
    check(
        r#"
  - { name: bad body, message: { queue: jobs, body: "{x" } }
  - { name: bad event, event: { detail-type: Object Created, source: aws.s3 } }
  - { name: unknown delivery, event: { a: b } }
  - { name: no schedule, firing: { route: upload, time: 2026-01-31T18:00:00Z } }
"#,
        expect![[r#"
            bad body: error: the message's body begins with `{` but is not JSON: expected a string, found `x` at byte 1
            bad event: error: the event's `detail.object` is missing
            unknown delivery: error: the input is not an EventBridge event, a firing of a schedule or a batch of SQS messages; an EventBridge event has `source`, `detail-type` and `detail`; the body of a message needs `--queue QUEUE`, or `message:` in a test
            no schedule:
              expect: { error: "no route named `upload` has a schedule; delete the schedule, or give it (or its rule) the name of the route" }
        "#]],
    );
}
