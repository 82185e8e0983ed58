//! What is sent to ECS, and what its answers mean: the SDK's own client against a loopback endpoint that answers by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ecs::{Client, Config};
use expect_test::{Expect, expect};
use trigger_core::config::RoutingConfig;
use trigger_core::document::Source;
use trigger_core::event::Event;
use trigger_core::plan::Plan;
use trigger_core::task_request::TaskRequest;
use trigger_engine::{LaunchError, Launched, Launcher};

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

async fn launch(request: &TaskRequest, endpoint: &str) -> Result<Launched, LaunchError> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(crate::clients::https())
        .endpoint_url(endpoint)
        .build();
    EcsLauncher::new(Client::from_conf(config)).launch(request).await
}

/// What the SDK sends is, field by field, the plan that `ecs-trigger plan` shows.
#[tokio::test]
async fn the_request_that_is_sent_is_the_request_that_is_planned() {
    for request in requests(EVERYTHING).into_iter().chain(requests(SMALLEST)) {
        let (endpoint, server) = answer_once(200, "{}");
        let _ = launch(&request, &endpoint).await;
        let sent: serde_json::Value = serde_json::from_str(&server.join().expect("answers")).expect("is JSON");
        assert_eq!(sent, serde_json::to_value(&request).expect("is JSON"));
    }
}

/// Launches with an endpoint that gives this answer; shows what it is taken for.
async fn check(status: u16, body: &'static str, expected: Expect) {
    let (endpoint, _) = answer_once(status, body);
    let shown = match launch(&requests(SMALLEST).remove(0), &endpoint).await {
        Ok(launched) => format!("{launched:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

#[tokio::test]
async fn tasks_in_the_reply_are_launched() {
    check(
        200,
        r#"{"tasks":[{"taskArn":"arn:task/1"},{"taskArn":"arn:task/2"}],"failures":[]}"#,
        expect![[r#"Launched { task_arns: ["arn:task/1", "arn:task/2"], already: false }"#]],
    )
    .await;
}

#[tokio::test]
async fn failures_in_the_reply_are_failures() {
    check(
        200,
        r#"{"failures":[{"reason":"RESOURCE:MEMORY","arn":"arn:instance/1"}]}"#,
        expect!["ECS could not start every task: RESOURCE:MEMORY on arn:instance/1"],
    )
    .await;
    check(
        200,
        r#"{"tasks":[{"taskArn":"arn:task/1"}],"failures":[{"reason":"AGENT","detail":"gone"}]}"#,
        expect!["ECS could not start every task: AGENT (gone)"],
    )
    .await;
    check(200, "{}", expect!["ECS could not start every task: the reply holds neither tasks nor failures"]).await;
}

#[tokio::test]
async fn a_conflict_means_already_launched() {
    check(
        400,
        r#"{"__type":"ConflictException","message":"m","resourceIds":["arn:task/0"]}"#,
        expect![[r#"Launched { task_arns: ["arn:task/0"], already: true }"#]],
    )
    .await;
}

#[tokio::test]
async fn a_conflict_that_names_no_tasks_proves_nothing() {
    check(
        400,
        r#"{"__type":"ConflictException","message":"m","resourceIds":[]}"#,
        expect!["no reply to the launch: ConflictException: m, but it names no tasks"],
    )
    .await;
}

#[tokio::test]
async fn an_error_of_ours_is_refused() {
    check(
        400,
        r#"{"__type":"ClusterNotFoundException","message":"Cluster not found."}"#,
        expect!["the launch was refused with ClusterNotFoundException: Cluster not found."],
    )
    .await;
    check(
        400,
        r#"{"__type":"SomethingNewException","message":"m"}"#,
        expect!["the launch was refused with SomethingNewException: m"],
    )
    .await;
}

#[tokio::test]
async fn an_error_of_the_servers_leaves_open_what_happened() {
    check(
        500,
        r#"{"__type":"ServerException","message":"try again"}"#,
        expect!["no reply to the launch: ServerException: try again"],
    )
    .await;
    check(200, "not JSON", expect!["no reply to the launch: response error: type mismatch: expected object"]).await;
}

#[tokio::test]
async fn without_an_answer_nobody_knows_what_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let server = std::thread::spawn(move || drop(listener.accept()));
    let error = launch(&requests(SMALLEST).remove(0), &endpoint).await.expect_err("nothing answers");
    assert!(matches!(error, LaunchError::NoReply { .. }), "{error}");
    server.join().expect("ends");
}
