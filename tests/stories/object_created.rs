//! An object that lands in S3 starts its task. Nothing is mocked between S3 and RunTask.

use std::fs;

use e2e::{Emulator, command};
use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

/// A space, `+`, `%`, both quotes, template braces and letters beyond ASCII.
const KEY: &str = r#"in/a b+c%20"d'{{x}}é.csv"#;

const CONFIG: &str = r#"
version: 1
tasks:
  import-csv:
    cluster: batch
    task_definition: import-csv
    launch_type: FARGATE
    network: { subnets: [subnet-1], security_groups: [sg-1] }
    overrides:
      container_overrides:
        - name: app
          command: [import, "s3://{{ bucket }}/{{ key }}"]
          environment: { OBJECT_KEY: "{{ key }}", OBJECT_SIZE: "{{ size }}" }
routes:
  - name: csv-upload
    on: { s3: { bucket: uploads, key: { prefix: in/, suffix: .csv } } }
    run: import-csv
"#;

const CONTAINERS: &str = r#"[{"name":"app","image":"import-csv","memory":512,"essential":true}]"#;

/// Creates an account with everything that a user has before ecs-trigger, and our function behind the rules that we
/// generate.
fn account() -> Emulator {
    let emulator = Emulator::start();
    let folder = tempfile::tempdir().expect("a folder");
    let config_file = folder.path().join("ecs-trigger.yaml");
    fs::write(&config_file, CONFIG).expect("is written");

    emulator.aws(&["s3api", "create-bucket", "--bucket", "uploads"]);
    emulator.aws(&["s3api", "create-bucket", "--bucket", "config"]);
    let notify = r#"{"EventBridgeConfiguration":{}}"#;
    emulator.aws(&[
        "s3api",
        "put-bucket-notification-configuration",
        "--bucket",
        "uploads",
        "--notification-configuration",
        notify,
    ]);
    put(&emulator, "config", "ecs-trigger.yaml", &config_file.display().to_string());
    emulator.aws(&["ecs", "create-cluster", "--cluster-name", "batch"]);
    emulator.aws(&[
        "ecs",
        "register-task-definition",
        "--family",
        "import-csv",
        "--network-mode",
        "awsvpc",
        "--requires-compatibilities",
        "FARGATE",
        "--cpu",
        "256",
        "--memory",
        "512",
        "--container-definitions",
        CONTAINERS,
    ]);
    emulator.create_function("event-trigger", &[("ECS_TRIGGER_CONFIG", "s3://config/ecs-trigger.yaml")]);

    let config = RoutingConfig::parse(Source::new("ecs-trigger.yaml", CONFIG)).expect("the config is valid");
    let function = "arn:aws:lambda:us-east-1:000000000000:function:event-trigger";
    for rule in infra::rules(&config) {
        emulator.aws(&["events", "put-rule", "--name", &rule.name, "--event-pattern", &rule.event_pattern.to_string()]);
        emulator.aws(&["events", "put-targets", "--rule", &rule.name, "--targets", &format!("Id=1,Arn={function}")]);
    }
    emulator
}

fn put(emulator: &Emulator, bucket: &str, key: &str, file: &str) {
    emulator.aws(&["s3api", "put-object", "--bucket", bucket, "--key", key, "--body", file]);
}

/// Returns the parts of S3's event for the object that a plan depends on.
fn event(sequencer: &str, etag: &str, size: usize) -> String {
    json!({
        "version": "0", "id": "e-1", "source": "aws.s3", "detail-type": "Object Created", "account": "000000000000",
        "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::uploads"],
        "detail": {
            "bucket": { "name": "uploads" }, "reason": "PutObject",
            "object": { "key": KEY, "size": size, "etag": etag, "sequencer": sequencer },
        },
    })
    .to_string()
}

#[test]
fn an_object_landing_in_s3_starts_its_task_with_the_key_byte_for_byte() {
    let emulator = account();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    fs::write(&file, "order\n1001\n").expect("is written");
    let file = file.display().to_string();

    put(&emulator, "uploads", "out/other.csv", &file);
    put(&emulator, "uploads", KEY, &file);

    let sent = &emulator.calls("RunTask", 1)[0];
    let app = &sent["overrides"]["containerOverrides"][0];
    assert_eq!(app["name"], "app");
    assert_eq!(app["command"], json!(["import", format!("s3://uploads/{KEY}")]));
    let environment = app["environment"].as_array().expect("is a list");
    let variables: Vec<(&str, &str)> = environment
        .iter()
        .filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)))
        .filter(|(name, _)| *name != "ECS_TRIGGER_EVENT_ID")
        .collect();
    let own = [("ECS_TRIGGER_ROUTE", "csv-upload"), ("ECS_TRIGGER_ATTEMPT", "0")];
    assert_eq!(variables, [[("OBJECT_KEY", KEY), ("OBJECT_SIZE", "11")], own].concat());
    assert_eq!(environment.len(), 5);
    assert_eq!(
        sent["networkConfiguration"],
        json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"], "securityGroups": ["sg-1"] } })
    );
    assert_eq!(sent["clientToken"].as_str().map(str::len), Some(64));
    let mut keys: Vec<&str> = sent.as_object().into_iter().flat_map(|sent| sent.keys().map(String::as_str)).collect();
    keys.sort_unstable();
    let expected = "clientToken cluster launchType networkConfiguration overrides startedBy taskDefinition";
    assert_eq!(keys.join(" "), expected, "nothing else is sent");

    let tasks = emulator.aws(&["ecs", "list-tasks", "--cluster", "batch"]);
    assert_eq!(tasks["taskArns"].as_array().map(Vec::len), Some(1), "the other object matches no route");
}

#[test]
fn the_plan_is_what_aws_run_task_accepts() {
    let emulator = Emulator::start();
    emulator.aws(&["ecs", "create-cluster", "--cluster-name", "batch"]);
    emulator.aws(&["ecs", "register-task-definition", "--family", "import-csv", "--container-definitions", CONTAINERS]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("ecs-trigger.yaml"), CONFIG).expect("is written");
    fs::write(path("event.json"), event("1A", "e", 5)).expect("is written");

    let plan = command().args(["plan", "--json", "--config", &path(""), &path("event.json")]).output().expect("runs");
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("is JSON");
    fs::write(path("run-task.json"), plan["launches"][0]["run_task"].to_string()).expect("is written");

    // The command line checks every key and type against AWS's own service model before it sends anything.
    let started = emulator.aws(&["ecs", "run-task", "--cli-input-json", &format!("file://{}", path("run-task.json"))]);
    let command = &started["tasks"][0]["overrides"]["containerOverrides"][0]["command"];
    assert_eq!(command, &json!(["import", format!("s3://uploads/{KEY}")]));
}
