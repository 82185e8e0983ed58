//! The plan of an event. Tests use [`check`] or [`check_delivery`].

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Plan, PlannedLaunch};
use crate::event::{Decoded, Delivery, Door, Event};
use crate::fixtures::{OBJECT_CREATED, deliveries, event, object_created, s3_notification};
use crate::routing::RoutingConfig;
use crate::text::Source;

fn plan(config: &str, event: &str) -> Result<Plan, String> {
    let source = Source::new("c.yaml", config);
    let config = RoutingConfig::parse(source.clone())
        .map_err(|problems| problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n"))?;
    let event = Event::decode(event).map_err(|error| error.to_string())?;
    Plan::new(&config, &event).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Plans an event and compares each launch's request as JSON, or the error, with `expected`.
fn check(config: &str, event: &str, expected: Expect) {
    let shown = match plan(config, event) {
        Ok(plan) => plan.launches.iter().map(shown).collect(),
        Err(error) => error,
    };
    expected.assert_eq(&shown);
}

/// Returns a launch's request as JSON.
fn shown(launch: &PlannedLaunch) -> String {
    format!("{} {:#}\n", launch.route, serde_json::json!(launch.request))
}

const SMALL: &str = r#"
version: 1
tasks:
  import:
    task_definition: import
    overrides: { container_overrides: [{ name: app, command: [run, "{{ key }}"], environment: { SIZE: "{{ size }}" } }] }
routes:
  - { name: csv, on: { s3: { bucket: uploads, key: { prefix: incoming/ } } }, run: import }
"#;

#[test]
fn what_is_not_set_is_left_out() {
    check(
        SMALL,
        OBJECT_CREATED,
        expect![[r#"
            csv {
              "taskDefinition": "import",
              "startedBy": "ecs-trigger/csv",
              "overrides": {
                "containerOverrides": [
                  {
                    "name": "app",
                    "command": [
                      "run",
                      "incoming/report.tar.gz"
                    ],
                    "environment": [
                      {
                        "name": "SIZE",
                        "value": "5"
                      },
                      {
                        "name": "ECS_TRIGGER_ROUTE",
                        "value": "csv"
                      },
                      {
                        "name": "ECS_TRIGGER_EVENT_ID",
                        "value": "17793124-05d4-b198-2fde-7ededc63b103"
                      },
                      {
                        "name": "ECS_TRIGGER_ATTEMPT",
                        "value": "0"
                      }
                    ]
                  }
                ]
              },
              "clientToken": "708b4ae1aae1f990860e913c5ecbe39a677cd080bc7da69e85640299f7eec6ab"
            }
        "#]],
    );
}

#[test]
fn a_request_carries_everything_that_run_task_takes() {
    let config = r#"
version: 1
defaults:
  cluster: batch
  tags: { team: data, stage: test }
  network: { subnets: [subnet-a, subnet-b], security_groups: [sg-1], assign_public_ip: DISABLED }
tasks:
  everything:
    task_definition: arn:aws:ecs:eu-west-1:111122223333:task-definition/everything:7
    count: 2
    capacity_provider_strategy:
      - { capacity_provider: FARGATE_SPOT, weight: 3, base: 1 }
      - { capacity_provider: FARGATE, weight: 1 }
    platform_version: LATEST
    group: imports
    propagate_tags: TASK_DEFINITION
    tags: { stage: production, object: "{{ key | basename }}" }
    started_by: "{{ bucket }} by {{ account }}"
    enable_execute_command: true
    enable_ecs_managed_tags: true
    reference_id: "{{ id }}"
    volume_configurations:
      - name: scratch
        managed_ebs_volume: { role_arn: arn:aws:iam::111122223333:role/ebs, size_in_gib: 10, volume_type: gp3, encrypted: true, filesystem_type: xfs }
    overrides:
      cpu: 1024
      memory: 2048
      task_role_arn: arn:aws:iam::111122223333:role/task
      execution_role_arn: arn:aws:iam::111122223333:role/execution
      ephemeral_storage: { size_in_gib: 30 }
      container_overrides:
        - name: app
          command: [import, "s3://{{ bucket }}/{{ key }}", 3, true]
          environment: { SIZE: "{{ size }}", FIXED: 1 }
          environment_files: [{ type: s3, value: "arn:aws:s3:::config/app.env" }]
          cpu: 512
          memory: 1024
          memory_reservation: 512
          resource_requirements: [{ type: GPU, value: "1" }]
routes:
  - { name: all, on: { s3: { bucket: uploads } }, run: everything }
"#;
    let launches = plan(config, OBJECT_CREATED).expect("can be planned").launches;
    let [first, second] = launches.as_slice() else { panic!("{launches:?}") };
    expect![[r#"
        all {
          "cluster": "batch",
          "taskDefinition": "arn:aws:ecs:eu-west-1:111122223333:task-definition/everything:7",
          "capacityProviderStrategy": [
            {
              "capacityProvider": "FARGATE_SPOT",
              "weight": 3,
              "base": 1
            },
            {
              "capacityProvider": "FARGATE",
              "weight": 1
            }
          ],
          "platformVersion": "LATEST",
          "networkConfiguration": {
            "awsvpcConfiguration": {
              "subnets": [
                "subnet-a",
                "subnet-b"
              ],
              "securityGroups": [
                "sg-1"
              ],
              "assignPublicIp": "DISABLED"
            }
          },
          "group": "imports",
          "propagateTags": "TASK_DEFINITION",
          "tags": [
            {
              "key": "team",
              "value": "data"
            },
            {
              "key": "stage",
              "value": "production"
            },
            {
              "key": "object",
              "value": "report.tar.gz"
            }
          ],
          "startedBy": "uploads-by-111122223333",
          "enableExecuteCommand": true,
          "enableECSManagedTags": true,
          "referenceId": "17793124-05d4-b198-2fde-7ededc63b103",
          "volumeConfigurations": [
            {
              "name": "scratch",
              "managedEBSVolume": {
                "roleArn": "arn:aws:iam::111122223333:role/ebs",
                "encrypted": true,
                "volumeType": "gp3",
                "sizeInGiB": 10,
                "filesystemType": "xfs"
              }
            }
          ],
          "overrides": {
            "cpu": "1024",
            "memory": "2048",
            "taskRoleArn": "arn:aws:iam::111122223333:role/task",
            "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
            "ephemeralStorage": {
              "sizeInGiB": 30
            },
            "containerOverrides": [
              {
                "name": "app",
                "command": [
                  "import",
                  "s3://uploads/incoming/report.tar.gz",
                  "3",
                  "true"
                ],
                "environment": [
                  {
                    "name": "SIZE",
                    "value": "5"
                  },
                  {
                    "name": "FIXED",
                    "value": "1"
                  },
                  {
                    "name": "ECS_TRIGGER_ROUTE",
                    "value": "all"
                  },
                  {
                    "name": "ECS_TRIGGER_EVENT_ID",
                    "value": "17793124-05d4-b198-2fde-7ededc63b103"
                  },
                  {
                    "name": "ECS_TRIGGER_ATTEMPT",
                    "value": "0"
                  },
                  {
                    "name": "ECS_TRIGGER_INDEX",
                    "value": "0"
                  },
                  {
                    "name": "ECS_TRIGGER_COUNT",
                    "value": "2"
                  }
                ],
                "environmentFiles": [
                  {
                    "value": "arn:aws:s3:::config/app.env",
                    "type": "s3"
                  }
                ],
                "cpu": 512,
                "memory": 1024,
                "memoryReservation": 512,
                "resourceRequirements": [
                  {
                    "type": "GPU",
                    "value": "1"
                  }
                ]
              }
            ]
          },
          "clientToken": "a1cb1821efc451476e29f383e59d36daf0f15761550d64510a9f350edab5c613"
        }
    "#]]
    .assert_eq(&shown(first));
    let mut copy = first.request.clone();
    copy.set_variable("ECS_TRIGGER_INDEX", "1");
    copy.client_token = "8831b90bc39031f9c7af38952648a1eb034261a1382f4ba7eadaaae3281384b3".to_owned();
    assert_eq!((second.route.as_str(), &second.request), ("all", &copy), "the second copy differs in number and token");
}

#[test]
fn ec2_tasks_may_have_placement() {
    let config = r#"
version: 1
tasks:
  t:
    task_definition: t
    launch_type: EC2
    placement_strategy: [{ type: spread, field: "attribute:ecs.availability-zone" }, { type: binpack, field: memory }]
    placement_constraints: [{ type: distinctInstance }, { type: memberOf, expression: "attribute:gpu exists" }]
routes:
  - { name: r, on: { event_pattern: { source: [my.app] } }, run: t }
"#;
    check(
        config,
        &event("my.app", "x", "{}"),
        expect![[r#"
            r {
              "taskDefinition": "t",
              "launchType": "EC2",
              "placementConstraints": [
                {
                  "type": "distinctInstance"
                },
                {
                  "type": "memberOf",
                  "expression": "attribute:gpu exists"
                }
              ],
              "placementStrategy": [
                {
                  "type": "spread",
                  "field": "attribute:ecs.availability-zone"
                },
                {
                  "type": "binpack",
                  "field": "memory"
                }
              ],
              "startedBy": "ecs-trigger/r",
              "clientToken": "5b5cb8bf2d125e69ac51e8608b3d663bf8785c4e321672f65a8e3e3e5dab9e87"
            }
        "#]],
    );
}

#[test]
fn every_route_that_matches_launches_its_task_in_the_order_of_the_file() {
    let config = r#"
version: 1
tasks: { a: { task_definition: a }, b: { task_definition: b } }
routes:
  - { name: z, on: { s3: { bucket: uploads } }, run: b }
  - { name: other, on: { s3: { bucket: elsewhere } }, run: b }
  - { name: y, on: { event_pattern: { source: [aws.s3] } }, run: a }
"#;
    let plan = plan(config, OBJECT_CREATED).expect("the config is valid");
    let routes: Vec<_> = plan.launches.iter().map(|launch| (launch.route.as_str(), launch.task.as_str())).collect();
    assert_eq!(routes, [("z", "b"), ("y", "a")]);
    assert_ne!(plan.launches[0].request.client_token, plan.launches[1].request.client_token);
}

#[test]
fn an_event_that_no_route_takes_starts_nothing() {
    check(SMALL, &event("my.app", "x", "{}"), expect![[""]]);
    check(SMALL, &object_created("outgoing/a.csv"), expect![[""]]);
}

#[test]
fn prefix_and_suffix_must_both_fit_even_where_they_overlap() {
    let config = SMALL.replace("{ prefix: incoming/ }", "{ prefix: 'a*b', suffix: bcb }");
    let matches = |key: &str| plan(&config, &object_created(key)).expect("valid").launches.len() == 1;
    assert!(matches("a*bbcb"));
    assert!(matches("a*b and bcb"));
    assert!(matches("a*bcb"), "the two overlap in one character");
    assert!(!matches("axb and bcb"), "the prefix's asterisk is itself");
    assert!(!matches("a*b"));
    assert!(!matches("a*bc"));
}

#[test]
fn a_list_of_key_conditions_means_or_as_in_event_patterns() {
    let config = SMALL.replace("{ prefix: incoming/ }", "[{ prefix: in/ }, { suffix: .csv }, 10.0.0.1]");
    let matches = |key: &str| plan(&config, &object_created(key)).expect("valid").launches.len() == 1;
    assert!(matches("in/x") && matches("out/x.csv") && matches("10.0.0.1"));
    assert!(!matches("out/x") && !matches("010.0.0.1"));
}

#[test]
fn a_field_that_the_event_lacks_is_an_error_and_nothing_is_planned() {
    let config = SMALL.replace("{{ size }}", "{{ detail.owner }}");
    check(
        &config,
        OBJECT_CREATED,
        expect![[
            r#"the route `csv` cannot launch its task: c.yaml:6:107: the event has no `detail.owner` (in the template "{{ detail.owner }}")"#
        ]],
    );
}

#[test]
fn rendered_values_are_held_against_awss_limits() {
    check(
        SMALL,
        &object_created(&format!("incoming/{}", "x".repeat(8200))),
        expect![
            "the route `csv` cannot launch its task: the JSON of the overrides has at least 8212 characters; AWS allows 8192; set `large_payload: s3` on the route to store the event in S3"
        ],
    );
    check(
        SMALL,
        &object_created("incoming/\u{0}"),
        expect![
            "the route `csv` cannot launch its task: a word of the command contains a NUL character, which cannot be passed to a process"
        ],
    );
    let tagged =
        SMALL.replace("task_definition: import\n", "task_definition: import\n    tags: { key: \"{{ key }}\" }\n");
    check(
        &tagged,
        &object_created(&format!("incoming/{}", "é".repeat(256))),
        expect!["the route `csv` cannot launch its task: the tag `key` has 265 characters; AWS allows 256"],
    );
    check(
        &tagged,
        &object_created("incoming/50%"),
        expect![
            "the route `csv` cannot launch its task: the tag `key` contains `%`; AWS allows only letters, digits, spaces and `_ . : / = + - @`: add the filter `tagsafe` to its template"
        ],
    );
    let referenced =
        SMALL.replace("task_definition: import\n", "task_definition: import\n    reference_id: \"{{ key }}\"\n");
    check(
        &referenced,
        &object_created(&format!("incoming/{}", "x".repeat(1024))),
        expect!["the route `csv` cannot launch its task: `reference_id` has 1033 characters; AWS allows 1024"],
    );
}

#[test]
fn client_tokens_are_as_long_as_ecs_takes_and_the_same_at_every_delivery() {
    let token =
        |config: &str, event: &str| plan(config, event).expect("valid").launches[0].request.client_token.clone();
    let first = token(SMALL, OBJECT_CREATED);
    assert_eq!(first.len(), 64);
    assert_eq!(first, token(SMALL, &OBJECT_CREATED.replace("17793124", "99999999")), "a repeated notification");
    assert_ne!(first, token(SMALL, &object_created("incoming/b")), "another object");
    assert_ne!(first, token(&SMALL.replace("name: csv", "name: tsv"), OBJECT_CREATED), "another route");
    let elsewhere = SMALL.replace("task_definition: import\n", "task_definition: import\n    cluster: other\n");
    assert_ne!(first, token(&elsewhere, OBJECT_CREATED), "another cluster");
}

proptest! {
    /// The request contains the key byte for byte, and no other field changes with it.
    #[test]
    fn a_key_cannot_add_remove_or_change_another_field(key in "incoming/(\\PC|[\"'{}\\[\\],:\\\\]){0,60}") {
        let mut request = plan(SMALL, &object_created(&key)).expect("valid").launches.remove(0).request;
        let expected = plan(SMALL, &object_created("incoming/plain")).expect("valid").launches.remove(0).request;
        prop_assert_eq!(&request.overrides.container_overrides[0].command[1], &key);
        request.overrides.container_overrides[0].command[1] = "incoming/plain".to_owned();
        request.client_token = expected.client_token.clone();
        prop_assert_eq!(request, expected);
    }
}

fn events(config: &RoutingConfig, delivery: &str) -> Vec<Event> {
    let contents = config.open(delivery).content.expect("is a delivery").contents().into_iter();
    contents.flat_map(|(_, content)| content.expect("is a message").events()).collect()
}

/// Plans a delivery of any source and compares each launch's command and environment, or the error, with `expected`.
fn check_delivery(config: &str, delivery: &str, expected: Expect) {
    let source = Source::new("c.yaml", config);
    let config = RoutingConfig::parse(source.clone())
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(|one| one.line(&source)).collect::<String>()));
    let events = events(&config, delivery);
    let mut shown = String::new();
    for event in events {
        match Plan::new(&config, &event) {
            Err(errors) => shown += &errors.iter().map(|error| format!("error: {error}\n")).collect::<String>(),
            Ok(plan) => {
                for launch in plan.launches {
                    shown += &format!("{} {}", launch.route, launch.task);
                    if let Some(uri) = &launch.payload_uri {
                        shown += &format!(" payload at {}", uri.replace(&launch.request.client_token, "TOKEN"));
                    }
                    for container in launch.request.overrides.container_overrides {
                        let variables = container.environment.iter().map(|one| format!("{}={}", one.name, one.value));
                        let variables = variables.collect::<Vec<_>>().join(" ");
                        let variables = variables.replace(&launch.request.client_token, "TOKEN");
                        shown += &format!("\n  {} {:?} {variables}", container.name, container.command);
                    }
                    shown += "\n";
                }
            }
        }
    }
    expected.assert_eq(&shown);
}

const SOURCES: &str = r#"
version: 1
storage: { bucket: state, prefix: ecs-trigger/ }
tasks:
  nightly:
    task_definition: nightly
    overrides:
      container_overrides:
        - name: app
          command: ["{{ scheduled_time }}", "{{ scheduled.date }}T{{ scheduled.time }}{{ scheduled.offset }}", "{{ scheduled.year }}/{{ scheduled.month }}/{{ scheduled.day }}/{{ scheduled.hour }}", "{{ scheduled.weekday }} {{ scheduled.week }} {{ scheduled.timezone }}", "{{ schedule }}", "{{ input.report }}"]
  job:
    task_definition: job
    count: 3
    overrides:
      container_overrides:
        - { name: app, command: ["{{ body.text }}", "{{ message_id }}", "{{ message_attributes.tenant | default('-') }}", "{{ attributes.SentTimestamp }}", "{{ queue }}", "{{ group_id | default('no group') }}"] }
        - { name: log, command: [fixed], environment: { FIXED: "1", BODY: "{{ body | tojson }}" } }
  element:
    task_definition: element
    overrides: { container_overrides: [{ name: app, command: ["{{ item.id }}", "{{ index }}", "{{ body.text | default('-') | length }}"] }] }
  object:
    task_definition: object
    overrides: { container_overrides: [{ name: app, command: ["{{ bucket }}", "{{ key }}", "{{ size }}", "{{ detail_type }}", "{{ body.detail.object.key }}"] }] }
routes:
  - { name: nightly, on: { schedule: cron(0 3 * * ? *), timezone: Asia/Seoul, input: { report: daily } }, run: nightly }
  - { name: off, on: { schedule: rate(1 hour), state: disabled }, run: nightly }
  - { name: job, on: { queue: jobs, event_pattern: { body: { text: [{ exists: true }] } } }, run: job, large_payload: s3 }
  - { name: elements, on: { queue: lists }, run: [element, job], for_each: "{{ body.items }}", large_payload: s3 }
  - { name: objects, on: { queue: objects, s3: { bucket: uploads, key: { prefix: in/ } } }, run: object }
  - { name: strict, on: { queue: strict, unmatched: fail, event_pattern: { body: { kind: [a] } } }, run: element }
"#;

fn firing(route: &str) -> String {
    format!(
        r#"{{"route":"{route}","schedule_arn":"arn:aws:scheduler:r:1:schedule/g/{route}","scheduled_time":"2026-12-31T18:00:00Z","attempt_number":"1"}}"#
    )
}

fn batch(queue: &str, body: &str, group: Option<&str>) -> String {
    let group = group.map(|group| format!(r#","MessageGroupId":"{group}""#)).unwrap_or_default();
    format!(
        r#"{{"Records":[{{"messageId":"m-1","body":{},"attributes":{{"SentTimestamp":"1","ApproximateReceiveCount":"2"{group}}},
        "messageAttributes":{{"tenant":{{"stringValue":"t","dataType":"String"}}}},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:1:{queue}"}}]}}"#,
        crate::text::json::quote(body)
    )
}

/// Returns each content of a delivery with its plan.
fn plans(config: &RoutingConfig, delivery: Delivery) -> Vec<String> {
    let plan = |content| match content {
        Ok(Decoded::Events(events)) => {
            events.iter().map(|event| format!("{:?}\n", Plan::new(config, event))).collect::<String>()
        }
        other => format!("{other:?}\n"),
    };
    delivery.contents().into_iter().map(|(_, content)| plan(content)).collect()
}

#[test]
fn a_tool_plans_what_the_function_plans() {
    let take_all = r#"
  - { name: all, on: { event_pattern: { detail: { bucket: { name: [{ anything-but: state }, { exists: false }] } } } }, run: any }
"#;
    let config = format!("{}{take_all}", SOURCES.replace("tasks:\n", "tasks:\n  any: { task_definition: any }\n"));
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("is valid");
    for (door, text) in deliveries() {
        let of_function = Delivery::open(door, &text);
        let of_tool = config.open(&text);
        // Two functions take a rule's "Scheduled Event"; a tool takes it for the firing of the route with its name.
        let is_ambiguous = door == Door::EventBridge && Delivery::open(Door::Schedule, &text).content.is_ok();
        if !is_ambiguous {
            let plans = |delivery| plans(&config, delivery);
            assert_eq!(of_tool.content.map(plans), of_function.content.map(plans), "{text}");
        }
    }
}

#[test]
fn a_container_can_have_the_notification_that_it_parses() {
    let config = SOURCES.replace("{{ detail_type }}", "{{ notification }}");
    let text = s3_notification("ObjectCreated:Put", r#","eTag":"e","sequencer":"1""#, "");
    check_delivery(
        &config,
        &batch("objects", &text, None),
        expect![[r#"
        objects object
          app ["uploads", "in/a b", "10", "{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":\"us-west-2\",\"eventTime\":\"1970-01-01T00:00:00.000Z\",\"eventName\":\"ObjectCreated:Put\",\"userIdentity\":{\"principalId\":\"AWS:AIDA\"},\"requestParameters\":{\"sourceIPAddress\":\"1.2.3.4\"},\"responseElements\":{\"x-amz-request-id\":\"C3D13FE58DE4C810\",\"x-amz-id-2\":\"F\"},\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":\"c\",\"bucket\":{\"name\":\"uploads\",\"arn\":\"arn:aws:s3:::uploads\"},\"object\":{\"key\":\"in/a+b\",\"size\":10,\"eTag\":\"e\",\"sequencer\":\"1\"}}}]}", "in/a b"] ECS_TRIGGER_ROUTE=objects ECS_TRIGGER_EVENT_ID=C3D13FE58DE4C810 ECS_TRIGGER_ATTEMPT=0
    "#]],
    );
    let other = config
        .replace("on: { queue: objects, s3: { bucket: uploads, key: { prefix: in/ } } }", "on: { queue: objects }");
    let text = s3_notification("ReducedRedundancyLostObject", "", "");
    check_delivery(
        &other.replace("{{ notification }}", "{{ detail_type }}"),
        &batch("objects", &text, None),
        expect![[r#"
            objects object
              app ["uploads", "in/a b", "10", "ReducedRedundancyLostObject", "in/a b"] ECS_TRIGGER_ROUTE=objects ECS_TRIGGER_EVENT_ID=C3D13FE58DE4C810/ReducedRedundancyLostObject/uploads/in/a b ECS_TRIGGER_ATTEMPT=0
        "#]],
    );
    check_delivery(
        &config,
        &batch("objects", OBJECT_CREATED, None).replace("incoming/", "in/"),
        expect![[r#"
        error: the route `objects` cannot launch its task: c.yaml:23:110: the event has no `notification` (in the template "{{ notification }}")
    "#]],
    );
}

#[test]
fn a_firing_is_seen_in_the_schedules_zone() {
    check_delivery(
        SOURCES,
        &firing("nightly"),
        expect![[r#"
        nightly nightly
          app ["2026-12-31T18:00:00Z", "2027-01-01T03:00:00+09:00", "2027/01/01/03", "Fri 53 Asia/Seoul", "nightly", "daily"] ECS_TRIGGER_ROUTE=nightly ECS_TRIGGER_EVENT_ID=nightly/2026-12-31T18:00:00Z ECS_TRIGGER_ATTEMPT=0
    "#]],
    );
    let of_rule = event("aws.events", "Scheduled Event", "{}")
        .replace(r#""resources":[]"#, r#""resources":["arn:aws:events:r:1:rule/nightly"]"#);
    check_delivery(
        SOURCES,
        &of_rule,
        expect![[r#"
        nightly nightly
          app ["2026-01-31T23:59:59Z", "2026-02-01T08:59:59+09:00", "2026/02/01/08", "Sun 05 Asia/Seoul", "nightly", "daily"] ECS_TRIGGER_ROUTE=nightly ECS_TRIGGER_EVENT_ID=nightly/2026-01-31T23:59:59Z ECS_TRIGGER_ATTEMPT=0
    "#]],
    );
}

#[test]
fn a_disabled_schedule_starts_nothing_and_an_unknown_one_is_an_error() {
    check_delivery(SOURCES, &firing("off"), expect![[""]]);
    check_delivery(
        SOURCES,
        &firing("renamed"),
        expect![[r#"
        error: no route named `renamed` has a schedule; delete the schedule, or give it (or its rule) the name of the route
    "#]],
    );
}

#[test]
fn a_message_is_seen_with_its_attributes_and_each_copy_is_a_launch() {
    check_delivery(
        SOURCES,
        &batch("jobs", r#"{"text":"a \"b\""}"#, None),
        expect![[r#"
            job job
              app ["a \"b\"", "m-1", "t", "1", "jobs", "no group"] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=3
              log ["fixed"] FIXED=1 BODY={"text":"a \"b\""} ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=3
            job job
              app ["a \"b\"", "m-1", "t", "1", "jobs", "no group"] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=3
              log ["fixed"] FIXED=1 BODY={"text":"a \"b\""} ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=3
            job job
              app ["a \"b\"", "m-1", "t", "1", "jobs", "no group"] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=3
              log ["fixed"] FIXED=1 BODY={"text":"a \"b\""} ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=3
        "#]],
    );
    check_delivery(SOURCES, &batch("jobs", "no route takes this", None), expect![[""]]);
    check_delivery(
        SOURCES,
        &batch("strict", r#"{"kind":"b"}"#, None),
        expect![[r#"
        error: no route takes the message, and `unmatched` of the queue `strict` is `fail`
    "#]],
    );
    check_delivery(
        SOURCES,
        &batch("unknown", r#"{"kind":"b"}"#, None),
        expect![[r#"
        error: no route uses the queue `unknown`; delete the queue's event source mapping, or add a route for the queue
    "#]],
    );
}

#[test]
fn each_element_of_a_list_is_launched_by_each_task() {
    check_delivery(
        SOURCES,
        &batch("lists", r#"{"text":"t","items":[{"id":"a"},{"id":"b"}]}"#, None),
        expect![[r#"
            elements element
              app ["a", "0", "1"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=2
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=6
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=6
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=6
            elements element
              app ["b", "1", "1"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=2
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=3 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=3 ECS_TRIGGER_COUNT=6
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=4 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=4 ECS_TRIGGER_COUNT=6
            elements job
              app ["t", "m-1", "t", "1", "lists", "no group"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=5 ECS_TRIGGER_COUNT=6
              log ["fixed"] FIXED=1 BODY={"text":"t","items":[{"id":"a"},{"id":"b"}]} ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=5 ECS_TRIGGER_COUNT=6
        "#]],
    );
    check_delivery(SOURCES, &batch("lists", r#"{"text":"t","items":[]}"#, None), expect![[""]]);
    check_delivery(
        SOURCES,
        &batch("lists", r#"{"text":"t","items":{"a":1}}"#, None),
        expect![[r#"
        error: the route `elements` cannot launch its task: c.yaml:28:76: `body.items` is a map, not a list (in the template "{{ body.items }}")
    "#]],
    );
    check_delivery(
        SOURCES,
        &batch("lists", r#"{"text":"t"}"#, None),
        expect![[r#"
            error: the route `elements` cannot launch its task: c.yaml:28:77: the event has no `body.items` (in the template "{{ body.items }}")
        "#]],
    );
    check_delivery(
        SOURCES,
        &batch("lists", r#"{"text":"t","items":[{"id":"a"},{}]}"#, None),
        expect![[r#"
            error: the route `elements` cannot launch its task for element 1: c.yaml:20:67: the event has no `item.id` (in the template "{{ item.id }}")
        "#]],
    );
    let many = vec![r#"{"id":"x"}"#; 10_001].join(",");
    check_delivery(
        SOURCES,
        &batch("lists", &format!(r#"{{"items":[{many}]}}"#), None),
        expect![[r#"
        error: the route `elements` cannot launch its task: the list of `for_each` has 10001 elements; at most 10000 are allowed
    "#]],
    );
    let many = vec![r#"{"id":"x"}"#; 1000].join(",");
    check_delivery(
        SOURCES,
        &batch("lists", &format!(r#"{{"items":[{many}]}}"#), None),
        expect![[r#"
            error: the route `elements` cannot launch its task for element 0: c.yaml:16:38: the event has no `body.text` (in the template "{{ body.text }}")
        "#]],
    );
}

#[test]
fn an_event_that_does_not_fit_is_pointed_to() {
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(9000));
    check_delivery(
        SOURCES,
        &batch("jobs", &large, None),
        expect![[r#"
            job job payload at s3://state/ecs-trigger/payloads/TOKEN.json
              app [] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/TOKEN.json
              log ["fixed"] FIXED=1 ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/TOKEN.json
            job job payload at s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
              app [] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
              log ["fixed"] FIXED=1 ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
            job job payload at s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
              app [] ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
              log ["fixed"] FIXED=1 ECS_TRIGGER_ROUTE=job ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=2 ECS_TRIGGER_COUNT=3 ECS_TRIGGER_EVENT_URI=s3://state/ecs-trigger/payloads/879e7ca1f2c9cae53fd596ed463e6c6c7eab2219e6c2a0fabb674af7bdb5ce22.json
        "#]],
    );
    check_delivery(
        &SOURCES.replace(", large_payload: s3", ""),
        &batch("jobs", &large, None),
        expect![[r#"
            error: the route `job` cannot launch its task: the JSON of the overrides has at least 9000 characters; AWS allows 8192; set `large_payload: s3` on the route to store the event in S3
        "#]],
    );
}

#[test]
fn an_s3_notification_in_a_queue_is_an_event_about_its_object() {
    let record = |key: &str| {
        format!(
            r#"{{"eventSource":"aws:s3","awsRegion":"r","eventTime":"2026-01-01T00:00:00.000Z","eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"uploads"}},"object":{{"key":"{key}","size":5,"sequencer":"1"}}}}}}"#
        )
    };
    let body = format!(r#"{{"Records":[{},{}]}}"#, record("in/a+b%2B"), record("out/c"));
    check_delivery(
        SOURCES,
        &batch("objects", &body, None),
        expect![[r#"
        objects object
          app ["uploads", "in/a b+", "5", "Object Created", "in/a b+"] ECS_TRIGGER_ROUTE=objects ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0
    "#]],
    );
}

#[test]
fn every_call_of_an_event_has_a_token_of_its_own_and_the_same_at_every_delivery() {
    let config = RoutingConfig::parse(Source::new("c.yaml", SOURCES)).expect("the config is valid");
    let tokens = |receive_count: &str| {
        let body = r#"{"text":"t","items":[{"id":"a"},{"id":"a"}]}"#;
        let text = batch("lists", body, None).replace(r#"Count":"2""#, &format!(r#"Count":"{receive_count}""#));
        let events = events(&config, &text);
        let plan = Plan::new(&config, &events[0]).expect("can be planned");
        plan.launches.into_iter().map(|launch| launch.request.client_token).collect::<Vec<_>>()
    };
    let first = tokens("1");
    assert_eq!(first.len(), 8, "two elements, each with one task and three copies");
    assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 8);
    assert_eq!(first, tokens("2"));
}

#[test]
fn the_work_of_all_templates_of_an_event_is_bounded() {
    let slow = "{{ item.id }}".to_owned() + &"{{ body.text | replace('zz', '') | length }}".repeat(12);
    let config = SOURCES.replace("{{ item.id }}", &slow).replace("run: [element, job]", "run: element");
    let (text, many) = ("x".repeat(120_000), vec![r#"{"id":""}"#; 200].join(","));
    let batch = batch("lists", &format!(r#"{{"text":"{text}","items":[{many}]}}"#), None);
    check_delivery(
        &config,
        &batch,
        expect![[r#"
        error: the route `elements` cannot launch its task for element 147: rendering all elements takes more than 10000000 steps; make the templates simpler, or the event's list shorter
    "#]],
    );
}

#[test]
fn an_element_may_lack_what_its_template_provides_for() {
    let config =
        SOURCES.replace("{{ item.id }}", "{{ item.id | default('-') }} {{ 'rush' if 'urgent' in item else 'normal' }}");
    let config = config.replace("run: [element, job]", "run: element");
    check_delivery(
        &config,
        &batch("lists", r#"{"items":[{"id":"a"},{"urgent":true}]}"#, None),
        expect![[r#"
            elements element
              app ["a normal", "0", "1"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=0 ECS_TRIGGER_COUNT=2
            elements element
              app ["- rush", "1", "1"] ECS_TRIGGER_ROUTE=elements ECS_TRIGGER_EVENT_ID=m-1 ECS_TRIGGER_ATTEMPT=0 ECS_TRIGGER_INDEX=1 ECS_TRIGGER_COUNT=2
        "#]],
    );
}

#[test]
fn what_takes_too_many_steps_goes_to_s3_like_what_is_too_long() {
    let numbers = format!(r#"{{"text":[{}]}}"#, vec!["1"; 90_000].join(","));
    let config = SOURCES.replace("{{ body.text }}", "{% for a in body.text %}{{ body.text | length }}{% endfor %}");
    let batch = batch("jobs", &numbers, None);
    let events = events(&RoutingConfig::parse(Source::new("c.yaml", config.clone())).expect("is valid"), &batch);
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("is valid");
    let plan = Plan::new(&config, &events[0]).expect("the event goes to S3");
    assert!(plan.launches.iter().all(|launch| launch.payload_uri.is_some()));
}
