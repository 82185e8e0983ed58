//! What an event would start. One door: [`check`].

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::Plan;
use crate::config::RoutingConfig;
use crate::document::Source;
use crate::event::Event;
use crate::fixtures::{OBJECT_CREATED, event, object_created};

fn plan(config: &str, event: &str) -> Result<Plan, String> {
    let source = Source::new("c.yaml", config);
    let config = RoutingConfig::parse(source.clone())
        .map_err(|problems| problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n"))?;
    let event = Event::decode(event).map_err(|error| error.to_string())?;
    Plan::new(&config, &event).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Plans an event; shows each route's request as JSON, or what is wrong.
fn check(config: &str, event: &str, expected: Expect) {
    let shown = match plan(config, event) {
        Ok(plan) => plan
            .launches
            .iter()
            .map(|launch| format!("{} {:#}\n", launch.route, serde_json::json!(launch.request)))
            .collect(),
        Err(error) => error,
    };
    expected.assert_eq(&shown);
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
                  }
                ]
              }
            ]
          },
          "clientToken": "f69642518cef573b40c900e481aa21e5231b94cd5c6ed4cf94da9fa4e119e6d1"
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
    check(
        config,
        OBJECT_CREATED,
        expect![[r#"
        all {
          "cluster": "batch",
          "taskDefinition": "arn:aws:ecs:eu-west-1:111122223333:task-definition/everything:7",
          "count": 2,
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
          "clientToken": "11e178e1bb30a3d2735515aa1ce8f008e337b8592c8518c91a16d393ca286a9f"
        }
    "#]],
    );
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
          "clientToken": "5a6a0f509f24652f4c950ad9712711078df2d7388a9b95f19903959bc65a72bf"
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
            r#"the route `csv` cannot launch its task: c.yaml:6:107: the event has no `detail.owner` in the template "{{ detail.owner }}""#
        ]],
    );
}

#[test]
fn rendered_values_are_held_against_awss_limits() {
    check(
        SMALL,
        &object_created(&format!("incoming/{}", "x".repeat(8200))),
        expect!["the route `csv` cannot launch its task: the overrides as JSON: 8313 characters; AWS allows 8192"],
    );
    check(
        SMALL,
        &object_created("incoming/\u{0}"),
        expect![
            "the route `csv` cannot launch its task: a word of the command holds a NUL character, which no process can be given"
        ],
    );
    let tagged =
        SMALL.replace("task_definition: import\n", "task_definition: import\n    tags: { key: \"{{ key }}\" }\n");
    check(
        &tagged,
        &object_created(&format!("incoming/{}", "é".repeat(256))),
        expect!["the route `csv` cannot launch its task: the tag `key`: 265 characters; AWS allows 256"],
    );
    check(
        &tagged,
        &object_created("incoming/50%"),
        expect![
            "the route `csv` cannot launch its task: the tag `key` cannot hold `%`: letters, digits, spaces and `_ . : / = + - @` only"
        ],
    );
    let referenced =
        SMALL.replace("task_definition: import\n", "task_definition: import\n    reference_id: \"{{ key }}\"\n");
    check(
        &referenced,
        &object_created(&format!("incoming/{}", "x".repeat(1024))),
        expect!["the route `csv` cannot launch its task: reference_id: 1033 characters; AWS allows 1024"],
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
    /// The key fills its places byte for byte, and nothing else of the request changes with it.
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
