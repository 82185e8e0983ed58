//! An operator runs routes for events, and gives a route what it missed: in a deployed stack, and in `dev`.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant;

use e2e::{Emulator, Passage, Proxy, command, stripped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account::PATIENCE;

const CONFIG: &str = "
version: 1
storage: { bucket: lives }
stack: { queues: { jobs: { queue: create } } }
tasks:
  t: { task_definition: hello, overrides: { container_overrides: [{ name: app, command: ['{{ key }}', '{{ etag }}'] }] } }
  n: { task_definition: hello, overrides: { container_overrides: [{ name: app, command: ['{{ input.kind }}', '{{ scheduled.date }}'] }] } }
  j: { task_definition: hello, overrides: { container_overrides: [{ name: app, command: ['{{ body.kind }}'] }] } }
routes:
  - { name: csv, on: { s3: { bucket: uploads, key: { prefix: in/, suffix: .csv } } }, run: t }
  - { name: nightly, on: { schedule: cron(0 3 * * ? *), input: { kind: daily } }, run: n }
  - { name: jobs, on: { queue: jobs }, run: j }
";

const CONTAINERS: &str = r#"[{"name":"app","image":"i","memory":64,"essential":true}]"#;

/// An account with a bucket that has 25 objects and one that no route takes, and a stack that was deployed later.
struct Deployed {
    emulator: Emulator,
    folder: TempDir,
}

impl Deployed {
    fn new() -> Self {
        let (emulator, folder) = (Emulator::start(), tempfile::tempdir().expect("a folder"));
        for name in ["event-trigger", "schedule-trigger", "sqs-trigger", "task-lifecycle"] {
            stripped(name, &folder.path().join("built").join(name).join("bootstrap"));
        }
        emulator.aws(&["ecs", "create-cluster", "--cluster-name", "default"]);
        emulator.aws(&["ecs", "register-task-definition", "--family", "hello", "--container-definitions", CONTAINERS]);
        emulator.aws(&["s3api", "create-bucket", "--bucket", "uploads"]);
        fs::write(folder.path().join("ecs-trigger.yaml"), CONFIG).expect("is written");
        let deployed = Self { emulator, folder };
        deployed.upload(0..25, "csv");
        deployed.upload(0..1, "txt");
        let built = deployed.folder.path().join("built");
        let mut deploy = deployed.emulator.command();
        done(deploy.arg("deploy").arg(deployed.folder.path()).arg("--yes").arg("--artifacts").arg(built).output());
        deployed
    }

    /// Writes objects by one command.
    fn upload(&self, numbers: std::ops::Range<usize>, suffix: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        for number in numbers {
            fs::write(folder.path().join(format!("{number:02}.{suffix}")), number.to_string()).expect("is written");
        }
        let from = folder.path().display().to_string();
        self.emulator.aws(&["s3", "cp", "--recursive", "--only-show-errors", &from, "s3://uploads/in/"]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.emulator.command();
        command.args(arguments).arg("--config").arg(self.folder.path());
        command
    }

    /// Runs a verb, which must succeed. Returns what it prints.
    fn done(&self, arguments: &[&str]) -> String {
        done(self.command(arguments).output())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).expect("is JSON")
    }

    /// Returns the keys of the objects that the route ran for, once it ran for so many.
    fn ran(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let runs = self.json(&["runs", "--route", "csv", "--limit", "1000"]);
            let runs = runs.as_array().expect("is a list");
            if runs.len() >= count {
                let key = |run: &Value| run["object"]["key"].as_str().expect("is about an object").to_owned();
                return runs.iter().map(key).collect();
            }
            assert!(began.elapsed() < PATIENCE, "{} of {count}", runs.len());
        }
    }
}

fn done(output: std::io::Result<Output>) -> String {
    let Output { status, stdout, stderr } = output.expect("runs");
    let [printed, said] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{printed}{said}");
    printed
}

/// Returns the counts of a replay: of what ran before, what started, and what is left.
fn counts(replayed: &Value) -> [u64; 3] {
    ["ran_before", "started", "left"].map(|name| replayed[name].as_u64().expect("is a number"))
}

#[test]
fn a_replay_runs_what_a_route_missed_once_and_can_be_stopped() {
    let stack = Deployed::new();
    let notify = r#"{"EventBridgeConfiguration":{}}"#;
    let configure = ["s3api", "put-bucket-notification-configuration", "--bucket", "uploads"];
    stack.emulator.aws(&[&configure[..], &["--notification-configuration", notify]].concat());
    stack.upload(25..40, "csv");
    stack.ran(15);

    let replay = ["replay", "s3://uploads/in/", "--route", "csv", "--until", "0s", "--yes"];
    let found = stack.json(&[&replay[..], &["--dry-run"]].concat());
    assert_eq!((counts(&found), &found["listed"], &found["not_taken"]), ([15, 0, 25], &41.into(), &1.into()));
    // What was just written is left to its own event.
    assert_eq!(stack.json(&["replay", "s3://uploads", "--route", "csv", "--yes"])["listed"], 0);

    let (told, recorded) = channel();
    let proxy = Proxy::start(stack.emulator.address(), move |asked| {
        if asked.operation() == "PutItem" {
            // An error means that the story is over.
            let _ = told.send(());
        }
        Passage::Pass
    });
    let mut slow = stack.command(&[&replay[..], &["--rate", "10/s", "--json"]].concat());
    let slow = slow.env("AWS_ENDPOINT_URL", &proxy.endpoint).stdout(Stdio::piped()).spawn().expect("runs");
    for _ in 0..3 {
        recorded.recv_timeout(PATIENCE).expect("launches are recorded");
    }
    let process = Pid::from_child(&slow);
    kill_process(process, Signal::INT).expect("is there");
    let stopped = slow.wait_with_output().expect("ends");
    assert_eq!(stopped.status.code(), Some(130));
    let stopped: Value = serde_json::from_slice(&stopped.stdout).expect("is JSON");
    let [before, started, left] = counts(&stopped);
    assert!(before == 15 && (1..25).contains(&started) && started + left == 25, "{stopped}");
    assert_eq!(stopped["start_after"], format!("in/{:02}.csv", started - 1));
    // One page of the bucket, and one read for each object that the route takes.
    let count = |operation: &str| proxy.calls().iter().filter(|call| call.operation == operation).count();
    assert_eq!(count("Query"), 40);

    let began = Instant::now();
    let resumed = stack.json(&[&replay[..], &["--rate", "20/s"]].concat());
    assert_eq!(counts(&resumed), [15 + started, left, 0]);
    assert!(began.elapsed().as_millis() >= u128::from((left - 1) * 50), "the rate is kept");
    assert_eq!(counts(&stack.json(&replay)), [40, 0, 0]);
    let ran = stack.ran(40);
    assert_eq!((ran.len(), ran.iter().collect::<BTreeSet<_>>().len()), (40, 40));

    let again = [&replay[..], &["--again", "--start-after", "in/37.csv"]].concat();
    assert_eq!(counts(&stack.json(&again)), [0, 2, 0]);
    stack.ran(42);
    // The functions start what was recorded here.
    let calls = stack.emulator.calls("RunTask", 42);
    let is_of = |call: &Value, key: &str| call["overrides"]["containerOverrides"][0]["command"][0] == key;
    assert_eq!(calls.iter().filter(|call| is_of(call, "in/00.csv")).count(), 1);
    assert_eq!(calls.iter().filter(|call| is_of(call, "in/39.csv")).count(), 2);

    // An object that was written anew with the same content is another one, and the route runs for a new event.
    let one = stack.json(&["run", "csv", "--object", "s3://uploads/in/00.csv"]);
    assert_eq!(one["launches"][0]["outcome"], "recorded");
    let etag = &one["launches"][0]["run_task"]["overrides"]["containerOverrides"][0]["command"][1];
    assert_eq!(etag, "cfcd208495d565ef66e7dff9f98764da", "the object is read");

    let nightly = ["run", "nightly", "--at", "2026-01-02T03:00:00Z"];
    let shown = stack.json(&[&nightly[..], &["--dry-run"]].concat());
    assert!(shown["launches"][0]["outcome"].is_null(), "{shown}");
    let first = stack.done(&nightly);
    assert!(first.contains("route nightly would run the task n") && first.contains("\nrecorded: nightly/2026-01-02/"));
    let second = stack.done(&nightly);
    assert!(second.contains("\nran before (") && second.contains("ecs-trigger retry nightly/2026-01-02/"), "{second}");
    let other = stack.json(&[&nightly[..], &["--set", "input.kind=full"]].concat());
    let launch = &other["launches"][0];
    assert_eq!(launch["run_task"]["overrides"]["containerOverrides"][0]["command"], json!(["full", "2026-01-02"]));
    assert_eq!(launch["outcome"], "recorded");
    let week = ["replay", "--schedule", "nightly", "--from", "2026-01-01T03:00:00Z", "--to", "2026-01-04T03:00:00Z"];
    for expected in [[1, 2, 0], [3, 0, 0]] {
        assert_eq!(counts(&stack.json(&[&week[..], &["--yes", "--rate", "100/s"]].concat())), expected);
    }

    let job = ["run", "jobs", "--message", r#"{"kind":"a"}"#, "--set", "body.kind=b"];
    let [one, two] = [(); 2].map(|()| stack.json(&job)["launches"][0].clone());
    assert_ne!(one["launch"], two["launch"], "each message is a new one");
    assert_eq!(one["run_task"]["overrides"]["containerOverrides"][0]["command"], json!(["b"]));
    for (arguments, code, reason) in [
        (&["run", "jobs"][..], 2, "no event is given"),
        (&["run", "csv", "--message", "x"], 2, "has no queue"),
        (&["run", "jobs", "--message", "x", "--set", "detail.x=1"], 2, "of a message, only `body` can be changed"),
        (&["run", "jobs", "--message", "x"], 5, "body"),
        (&["replay", "s3://uploads/", "--route", "nightly"], 2, "replay it with --schedule nightly"),
        (&["replay", "s3://uploads/in/", "--route", "csv", "--again", "--until", "0s"], 8, "pass --yes"),
    ] {
        let output = stack.command(arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn a_run_on_this_machine_is_waited_for_and_fails_if_its_task_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "
version: 1
storage: { bucket: lives }
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: app, command: ['{{ body.code }}'] }] } } }
routes: [{ name: jobs, on: { queue: jobs }, run: t }]
local: { task_definitions: { t: { container_definitions: { app: { entry_point: [sh, -c, 'exit $0'] } } } } }
";
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    let mut dev =
        command().arg("dev").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("runs");
    let run = |code: &str| {
        let body = format!(r#"{{"code":"{code}"}}"#);
        let arguments = ["run", "jobs", "--message", &body, "--local", "--wait", "--json", "--config"];
        let Output { status, stdout, .. } = command().args(arguments).arg(folder.path()).output().expect("runs");
        let shown: Value = serde_json::from_slice(&stdout).expect("is JSON");
        (status.code(), shown["launches"][0]["state"].clone())
    };
    assert_eq!(run("0"), (Some(0), "succeeded".into()));
    assert_eq!(run("3"), (Some(1), "dead_lettered".into()));
    kill_process(Pid::from_child(&dev), Signal::INT).expect("is there");
    assert!(dev.wait().is_ok());
}
