//! The requests to ECS and the meaning of its answers: the SDK's client against a loopback endpoint with fixed answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ecs::{Client, Config};
use expect_test::{Expect, expect};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::Event;
use trigger_core::launch::Reply;
use trigger_core::plan::Plan;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_engine::ports::Launcher;

use super::EcsLauncher;

const EVERYTHING: &str = r#"
version: 1
defaults:
  cluster: batch
  task_definition: everything:7
  count: 2
  network: { subnets: [subnet-a, subnet-b], security_groups: [sg-1], assign_public_ip: DISABLED }
  group: imports
  propagate_tags: TASK_DEFINITION
  tags: { team: data, order: "{{ detail.order | sha256 }}" }
  enable_execute_command: true
  enable_ecs_managed_tags: false
  reference_id: "{{ id }}"
  volume_configurations:
    - name: scratch
      managed_ebs_volume:
        { role_arn: r, encrypted: true, kms_key_id: k, volume_type: gp3, size_in_gib: 10, snapshot_id: s, iops: 3000, throughput: 125, filesystem_type: xfs,
          volume_initialization_rate: 100, termination_policy: { delete_on_termination: false },
          tag_specifications: [{ resource_type: volume, tags: [{ key: a, value: b }], propagate_tags: TASK_DEFINITION }] }
  overrides:
    cpu: 1024
    memory: 2048
    task_role_arn: task
    execution_role_arn: execution
    container_overrides:
      - name: app
        command: [import, "{{ detail.order }}"]
        environment: { ORDER: "{{ detail.order }}" }
        environment_files: [{ type: s3, value: "arn:aws:s3:::config/app.env" }]
        cpu: 512
        memory: 1024
        memory_reservation: 512
        resource_requirements: [{ type: GPU, value: "1" }]
tasks:
  by-strategy:
    capacity_provider_strategy: [{ capacity_provider: FARGATE, weight: 1, base: 2 }]
    platform_version: LATEST
    overrides: { ephemeral_storage: { size_in_gib: 30 } }
  by-launch-type:
    launch_type: EC2
    placement_strategy: [{ type: binpack, field: memory }, { type: random }]
    placement_constraints: [{ type: memberOf, expression: "attribute:gpu exists" }]
  smallest: { task_definition: smallest }
routes:
  - { name: a, on: { event_pattern: { source: [app] } }, run: by-strategy }
  - { name: b, on: { event_pattern: { source: [app] } }, run: by-launch-type }
  - { name: c, on: { event_pattern: { source: [app] } }, run: smallest }
"#;

fn requests(config: &str) -> Vec<TaskRequest> {
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let event = r#"{"id":"e-1","source":"app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r",
        "detail":{"order":"\"é\" {{ key }} $(x)"}}"#;
    let event = Event::decode(event).expect("the event is valid");
    let plan = Plan::new(&config, &event).expect("the event can be planned");
    plan.launches.into_iter().map(|launch| launch.request).collect()
}

const SMALLEST: &str = r#"
version: 1
tasks: { t: { task_definition: t } }
routes: [{ name: r, on: { event_pattern: { source: [app] } }, run: t }]
"#;

/// Answers one HTTP request with `status` and `body`; the thread returns the request's body.
fn answer_once(status: u16, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the client connects");
        let mut reader = BufReader::new(&stream);
        let mut length = 0;
        for line in reader.by_ref().lines().map(|line| line.expect("is text").to_ascii_lowercase()) {
            match line.strip_prefix("content-length:") {
                Some(value) => length = value.trim().parse().expect("is a number"),
                None if line.is_empty() => break,
                None => {}
            }
        }
        let mut request = vec![0; length];
        reader.read_exact(&mut request).expect("the body is sent");
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close");
        write!(&stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("the client reads");
        String::from_utf8(request).expect("is UTF-8")
    });
    (endpoint, server)
}

fn launcher(endpoint: &str) -> EcsLauncher {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(crate::clients::https())
        .endpoint_url(endpoint)
        .build();
    EcsLauncher::new(Client::from_conf(config))
}

async fn launch(request: &TaskRequest, endpoint: &str) -> Reply {
    launcher(endpoint).run_task(request).await
}

/// The SDK sends, field by field, the plan that `ecs-trigger plan` shows.
#[tokio::test]
async fn the_request_that_is_sent_is_the_request_that_is_planned() {
    for request in requests(EVERYTHING).into_iter().chain(requests(SMALLEST)) {
        let (endpoint, server) = answer_once(200, "{}");
        let _ = launch(&request, &endpoint).await;
        let sent: serde_json::Value = serde_json::from_str(&server.join().expect("answers")).expect("is JSON");
        assert_eq!(sent, serde_json::to_value(&request).expect("is JSON"));
    }
}

/// Launches a task against an endpoint that gives this answer; compares the reply that the launcher makes of it.
async fn check(status: u16, body: &'static str, expected: Expect) {
    let (endpoint, _) = answer_once(status, body);
    let reply = launch(&requests(SMALLEST).remove(0), &endpoint).await;
    expected.assert_eq(&format!("{reply:?}"));
}

#[tokio::test]
async fn tasks_in_the_reply_are_launched() {
    check(
        200,
        r#"{"tasks":[{"taskArn":"arn:task/1"},{"taskArn":"arn:task/2"}],"failures":[]}"#,
        expect![[r#"Tasks { task_arns: ["arn:task/1", "arn:task/2"], failures: [] }"#]],
    )
    .await;
}

#[tokio::test]
async fn failures_in_the_reply_are_failures() {
    check(
        200,
        r#"{"failures":[{"reason":"RESOURCE:MEMORY","arn":"arn:instance/1"}]}"#,
        expect![[r#"Tasks { task_arns: [], failures: [Failure { arn: Some("arn:instance/1"), reason: "RESOURCE:MEMORY", detail: None }] }"#]],
    )
    .await;
    check(
        200,
        r#"{"tasks":[{"taskArn":"arn:task/1"}],"failures":[{"reason":"AGENT","detail":"gone"}]}"#,
        expect![[r#"Tasks { task_arns: ["arn:task/1"], failures: [Failure { arn: None, reason: "AGENT", detail: Some("gone") }] }"#]],
    )
    .await;
    check(200, "{}", expect!["Tasks { task_arns: [], failures: [] }"]).await;
}

#[tokio::test]
async fn a_conflict_brings_its_proof() {
    check(
        400,
        r#"{"__type":"ConflictException","message":"m","resourceIds":["arn:task/0"]}"#,
        expect![[
            r#"Error { code: "ConflictException", message: "m", resource_ids: ["arn:task/0"], of_server: false }"#
        ]],
    )
    .await;
}

#[tokio::test]
async fn a_conflict_may_name_no_tasks() {
    check(
        400,
        r#"{"__type":"ConflictException","message":"m","resourceIds":[]}"#,
        expect![[r#"Error { code: "ConflictException", message: "m", resource_ids: [], of_server: false }"#]],
    )
    .await;
}

#[tokio::test]
async fn an_error_has_its_name() {
    check(
        400,
        r#"{"__type":"ClusterNotFoundException","message":"Cluster not found."}"#,
        expect![[r#"Error { code: "ClusterNotFoundException", message: "Cluster not found.", resource_ids: [], of_server: false }"#]],
    )
    .await;
    check(
        400,
        r#"{"__type":"SomethingNewException","message":"m"}"#,
        expect![[r#"Error { code: "SomethingNewException", message: "m", resource_ids: [], of_server: false }"#]],
    )
    .await;
}

#[tokio::test]
async fn an_error_of_the_servers_leaves_open_what_happened() {
    check(
        500,
        r#"{"__type":"ServerException","message":"try again"}"#,
        expect![[r#"Error { code: "ServerException", message: "try again", resource_ids: [], of_server: true }"#]],
    )
    .await;
    check(200, "not JSON", expect![[r#"Nothing { message: "type mismatch: expected object" }"#]]).await;
}

#[tokio::test]
async fn without_an_answer_nobody_knows_what_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let server = std::thread::spawn(move || drop(listener.accept()));
    let reply = launch(&requests(SMALLEST).remove(0), &endpoint).await;
    assert!(matches!(reply, Reply::Nothing { .. }), "{reply:?}");
    server.join().expect("ends");
}

#[tokio::test]
async fn a_task_that_is_looked_up_runs_or_has_stopped_or_is_unknown() {
    let body = r#"{
        "tasks": [
            {"taskArn":"arn:task/1","lastStatus":"RUNNING"},
            {"taskArn":"arn:task/2","lastStatus":"STOPPED","stopCode":"EssentialContainerExited","stoppedReason":"r",
             "containers":[{"name":"app","exitCode":3},{"name":"never-ran","reason":"CannotPullContainerError"}]}
        ],
        "failures": [{"arn":"arn:task/3","reason":"MISSING"}]
    }"#;
    let (endpoint, server) = answer_once(200, body);
    let arns = ["arn:task/1", "arn:task/2", "arn:task/3"].map(str::to_owned);
    let seen = launcher(&endpoint).describe_tasks(Some("batch"), &arns).await.expect("is answered");
    expect![[r#"
        [
            SeenTask {
                arn: "arn:task/1",
                attempt: None,
                status: Alive,
            },
            SeenTask {
                arn: "arn:task/2",
                attempt: None,
                status: Stopped(
                    StoppedTask {
                        stop_code: Some(
                            "EssentialContainerExited",
                        ),
                        stopped_reason: Some(
                            "r",
                        ),
                        containers: [
                            ContainerExit {
                                name: "app",
                                exit_code: Some(
                                    3,
                                ),
                                reason: None,
                            },
                            ContainerExit {
                                name: "never-ran",
                                exit_code: None,
                                reason: Some(
                                    "CannotPullContainerError",
                                ),
                            },
                        ],
                        vanished: false,
                    },
                ),
            },
            SeenTask {
                arn: "arn:task/3",
                attempt: None,
                status: Missing,
            },
        ]"#]]
    .assert_eq(&format!("{seen:#?}"));
    expect![[r#"{"cluster":"batch","tasks":["arn:task/1","arn:task/2","arn:task/3"]}"#]]
        .assert_eq(&server.join().expect("answers"));
}

#[tokio::test]
async fn running_tasks_are_found_by_their_starter_alone() {
    let (endpoint, server) = answer_once(200, r#"{"taskArns":["arn:task/1"]}"#);
    let found = launcher(&endpoint).find_tasks(Some("batch"), "ecs-trigger/r/2026-01-01/1/0").await;
    assert_eq!(found, Ok(vec!["arn:task/1".to_owned()]));
    expect![[r#"{"cluster":"batch","startedBy":"ecs-trigger/r/2026-01-01/1/0"}"#]]
        .assert_eq(&server.join().expect("answers"));
}

#[tokio::test]
async fn a_task_that_is_gone_need_not_be_stopped() {
    let gone = r#"{"__type":"InvalidParameterException","message":"The referenced task was not found."}"#;
    let (endpoint, _) = answer_once(400, gone);
    assert_eq!(launcher(&endpoint).stop_task(None, "arn:task/1", "why").await, Ok(()));
    let (endpoint, _) = answer_once(400, r#"{"__type":"AccessDeniedException","message":"no"}"#);
    assert!(launcher(&endpoint).stop_task(None, "arn:task/1", "why").await.is_err());
}
