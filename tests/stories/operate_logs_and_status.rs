//! An operator sees what each route does, and reads what the tasks of a launch wrote: of a deployed stack, and of `dev`.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{Emulator, Passage, Proxy, command, stripped};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account::PATIENCE;

const CONFIG: &str = "
version: 1
storage: { bucket: lives }
stack: { queues: { work: { queue: create } } }
tasks: { t: { task_definition: hello } }
routes:
  - { name: first, on: { event_pattern: { source: [my.app] } }, run: t }
  - { name: other, on: { event_pattern: { source: [other.app] } }, run: t }
  - { name: yearly, on: { schedule: cron(0 3 1 1 ? 2099) }, run: t }
workers: [{ service: s, queue: work, scaling: { max: 3, acceptable_latency: 1m } }]
";

/// A deployed stack.
struct Deployed {
    emulator: Emulator,
    folder: TempDir,
}

impl Deployed {
    fn new() -> Self {
        let (emulator, folder) = (Emulator::start(), tempfile::tempdir().expect("a folder"));
        for name in ["event-trigger", "schedule-trigger", "sqs-trigger", "task-lifecycle", "queue-scaler"] {
            stripped(name, &folder.path().join("built").join(name).join("bootstrap"));
        }
        emulator.aws(&["ecs", "create-cluster", "--cluster-name", "default"]);
        let logs = |driver: &str| {
            let options =
                json!({ "awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "task" });
            let options = if driver == "awslogs" { options } else { json!({}) };
            json!({ "logDriver": driver, "options": options })
        };
        let container = |name: &str, driver: &str| json!({ "name": name, "image": "i", "memory": 64, "essential": true, "logConfiguration": logs(driver) });
        let containers = json!([container("app", "awslogs"), container("side", "awslogs"), container("old", "syslog")]);
        let containers = containers.to_string();
        let family = ["ecs", "register-task-definition", "--family", "hello", "--container-definitions"];
        emulator.aws(&[&family[..], &[&containers]].concat());
        fs::write(folder.path().join("ecs-trigger.yaml"), CONFIG).expect("is written");
        let deployed = Self { emulator, folder };
        let built = deployed.folder.path().join("built");
        let mut deploy = deployed.emulator.command();
        let output =
            deploy.arg("deploy").arg(deployed.folder.path()).arg("--yes").arg("--artifacts").arg(built).output();
        done(output.expect("runs"));
        deployed
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.emulator.command();
        command.args(arguments).arg("--config").arg(self.folder.path()).env("TZ", "UTC");
        command
    }

    /// Runs a verb, which must succeed. Returns what it prints on standard output and on standard error.
    fn done(&self, arguments: &[&str]) -> (String, String) {
        done(self.command(arguments).output().expect("runs"))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments).0).expect("is JSON")
    }

    fn log(&self, operation: &str, request: &Value) {
        self.emulator.call(&format!("Logs_20140328.{operation}"), request);
    }

    /// Adds lines to the log of a container, so many milliseconds after a time.
    fn write(&self, container: &str, task: &str, at: Timestamp, lines: &[(i64, &str)]) {
        let stream = format!("task/{container}/{task}");
        let event = |(after, text): &(i64, &str)| json!({ "timestamp": at.as_millisecond() + after, "message": text });
        let events: Vec<Value> = lines.iter().map(event).collect();
        self.log("PutLogEvents", &json!({ "logGroupName": "/app", "logStreamName": stream, "logEvents": events }));
    }
}

fn done(output: Output) -> (String, String) {
    let Output { status, stdout, stderr } = output;
    let [printed, said] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{printed}{said}");
    (printed, said)
}

/// Returns the lines without their times.
fn without_times(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.get("2026-01-31 08:00:00.000  ".len()..).unwrap_or_default()).collect()
}

#[test]
fn the_output_of_a_deployed_launch_is_followed_to_its_end_and_the_status_counts_it() {
    let stack = Deployed::new();
    let entry = json!([{ "Source": "my.app", "DetailType": "t", "Detail": "{}" }]).to_string();
    stack.emulator.aws(&["events", "put-events", "--entries", &entry]);
    let began = Instant::now();
    let launch = loop {
        let runs = stack.json(&["runs", "--json"]);
        if runs[0]["ecs_tasks"][0].is_string() {
            break runs[0].clone();
        }
        assert!(began.elapsed() < PATIENCE, "{runs}");
    };
    let arn = launch["ecs_tasks"][0].as_str().expect("is named");
    let (name, task) = (launch["launch"].as_str().expect("is named"), arn.rsplit('/').next().expect("has an id"));

    let (printed, said) = stack.done(&["logs", name]);
    assert_eq!(printed, "");
    assert!(said.contains("attempt 1, container `app`: the log stream task/app/"), "{said}");
    assert!(said.contains("the container `old` is not shown: its log driver is `syslog`"), "{said}");

    stack.log("CreateLogGroup", &json!({ "logGroupName": "/app" }));
    for container in ["app", "side"] {
        let stream = format!("task/{container}/{task}");
        stack.log("CreateLogStream", &json!({ "logGroupName": "/app", "logStreamName": stream }));
    }
    let at = Timestamp::now();
    stack.write("app", task, at, &[(0, "one"), (2, "three\n  of two lines")]);
    stack.write("side", task, at, &[(1, "two \u{1b}[2J"), (3, "four")]);
    let (printed, _) = stack.done(&["logs", &task[..8]]);
    assert!(printed.starts_with(&at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()), "{printed}");
    let lines = ["app   one", "side  two \\u{1b}[2J", "app   three", "        of two lines", "side  four"];
    assert_eq!(without_times(&printed), lines);
    let only =
        stack.done(&["logs", name, "--container", "side", "--since", &(at + Duration::from_millis(3)).to_string()]);
    assert_eq!(without_times(&only.0), ["four"]);
    let unknown = stack.command(&["logs", name, "--container", "ap"]).output().expect("runs");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("its containers are app, old, side"));

    let status = stack.json(&["status", "--json"]);
    let first = &status["routes"][0];
    assert_eq!(
        (&first["running"], &first["failed"], &first["last"]["state"]),
        (&1.into(), &0.into(), &"running".into())
    );
    assert_eq!(status["routes"][2]["next"], json!({ "at": "2099-01-01T03:00:00Z" }));

    let mut follow = stack.command(&["logs", name, "--follow", "--json", "--container", "app"]);
    let follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    stack.write("app", task, at, &[(4, "five")]);
    let stopped = json!({
        "version": "0", "id": "00000000-0000-0000-0000-000000000001", "detail-type": "ECS Task State Change",
        "source": "aws.ecs", "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [arn],
        "detail": {
            "taskArn": arn, "clusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default", "version": 9,
            "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited", "startedBy": format!("ecs-trigger/{name}/0"),
            "containers": [{ "name": "app", "lastStatus": "STOPPED", "exitCode": 3 }],
        },
    });
    stack.emulator.invoke("ecs-trigger-task-lifecycle", &stopped.to_string());
    let (followed, _) = done(follow.wait_with_output().expect("ends"));
    let followed: Vec<Value> = followed.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
    let texts: Vec<&str> = followed.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(texts, ["one", "three\n  of two lines", "five"]);
    assert_eq!((&followed[0]["attempt"], &followed[0]["ecs_task"]), (&0.into(), &arn.into()));

    // The status, with its requests counted.
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let proxy = Proxy::start(stack.emulator.address(), move |asked| {
        counted.fetch_add(usize::from(matches!(asked.operation(), "Query" | "BatchGetItem")), Ordering::Relaxed);
        Passage::Pass
    });
    let output = stack.command(&["status"]).env("AWS_ENDPOINT_URL", &proxy.endpoint).output().expect("runs");
    let (printed, _) = done(output);
    let reads = reads.load(Ordering::Relaxed);
    assert!((1..=10 + 3 * 2).contains(&reads), "{reads} reads of the table");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    let words: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["ROUTE", "STATE", "LAST", "NEXT", "WAIT", "RUN", "FAILED"]);
    assert_eq!(
        (words[1][0], words[1][1], &words[1][words[1].len() - 3..]),
        ("first", "dead_lettered", &["0", "0", "1"][..])
    );
    assert_eq!(words[2], ["other", "-", "0", "0", "0"]);
    assert!(printed.contains("dead letters: 1\n") && printed.contains("first: "), "{printed}");
    assert!(printed.contains("exit code 3"), "{printed}");
    let service =
        ["ecs", "create-service", "--service-name", "s", "--task-definition", "hello", "--desired-count", "1"];
    stack.emulator.aws(&service);
    let workers = stack.json(&["status", "--json"])["workers"].clone();
    assert!(workers[0]["running"].is_u64() && workers[0]["desired"].is_u64(), "{workers}");
    assert_eq!(workers[0]["queues"][0], json!({ "queue": "work", "visible": 0, "in_flight": 0, "delayed": 0 }));
}

#[test]
fn the_output_and_the_status_of_what_dev_ran_are_in_its_files() {
    let project = tempfile::tempdir().expect("a folder");
    let config = "
version: 1
tasks: { t: { task_definition: t, retry: { attempts: 2, backoff: 1s, on: [{ exit_code: [3] }] } } }
routes: [{ name: r, on: { s3: { bucket: b } }, run: t }]
storage: { bucket: state }
local: { task_definitions: { t: { container_definitions: { app: { command: [sh, -c, 'echo out; echo err >&2; exit 3'] } } } } }
";
    fs::write(project.path().join("ecs-trigger.yaml"), config).expect("is written");
    fs::create_dir_all(project.path().join("buckets/b")).expect("is made");
    fs::write(project.path().join("buckets/b/a"), "").expect("is written");
    let ran = command().arg("dev").arg(project.path()).arg("--once").stdin(Stdio::null()).output().expect("runs");
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stdout));
    let local = |arguments: &[&str]| {
        let mut verb = command();
        verb.args(arguments).arg("--local").arg("--config").arg(project.path());
        done(verb.output().expect("runs")).0
    };
    let runs: Value = serde_json::from_str(&local(&["runs", "--json"])).expect("is JSON");
    let name = runs[0]["launch"].as_str().expect("is named");
    let printed = local(&["logs", name]);
    let mut lines = without_times(&printed);
    // The two streams of a process have no common order.
    lines.sort_unstable();
    assert_eq!(lines, ["#1  err", "#1  out", "#2  err", "#2  out"]);
    assert_eq!(without_times(&local(&["logs", name, "--attempt", "2"])).len(), 2);
    let status: Value = serde_json::from_str(&local(&["status", "--json"])).expect("is JSON");
    assert_eq!((&status["routes"][0]["failed"], &status["dead_letters"]["messages"]), (&1.into(), &1.into()));
    let failures = &status["dead_letters"]["failures"][0];
    assert_eq!((&failures["route"], &failures["launches"]), (&"r".into(), &1.into()));
}
