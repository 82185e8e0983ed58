//! An operator lists the dead letters of a deployed stack, and redrives some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread;

use e2e::{Emulator, Passage, Proxy, command, stripped};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &str = "
version: 1
storage: { bucket: lives }
stack: { queues: { jobs: { queue: create } } }
tasks: { t: { task_definition: hello } }
routes:
  - { name: first, on: { event_pattern: { source: [my.app] } }, run: t }
  - { name: jobs, on: { queue: jobs }, run: t }
";
const CONTAINERS: &str = r#"[{"name":"app","image":"app","memory":64,"essential":true}]"#;
/// The launches fail with one of these exit codes.
const EXITS: [(i32, usize); 2] = [(1, 8), (137, 12)];

/// A deployed stack.
struct Stack {
    emulator: Emulator,
    folder: TempDir,
}

impl Stack {
    fn new() -> Self {
        let (emulator, folder) = (Emulator::start(), tempfile::tempdir().expect("a folder"));
        for name in ["event-trigger", "sqs-trigger", "task-lifecycle"] {
            stripped(name, &folder.path().join("built").join(name).join("bootstrap"));
        }
        emulator.aws(&["ecs", "create-cluster", "--cluster-name", "default"]);
        let family = ["ecs", "register-task-definition", "--family", "hello"];
        emulator.aws(&[&family[..], &["--container-definitions", CONTAINERS]].concat());
        fs::write(folder.path().join("ecs-trigger.yaml"), CONFIG).expect("is written");
        let stack = Self { emulator, folder };
        let mut deploy = stack.emulator.command();
        deploy.arg("deploy").arg(stack.folder.path()).arg("--yes");
        let output = deploy.arg("--artifacts").arg(stack.folder.path().join("built")).output();
        done(&output.expect("runs"));
        stack
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.emulator.command();
        command.args(arguments).arg("--config").arg(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("runs")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&done(&self.run(&[arguments, &["--json"]].concat()))).expect("is JSON")
    }

    /// Puts this many events. Returns the ARNs and the launches of their tasks.
    fn start(&self, events: usize) -> Vec<(String, String)> {
        let entry = json!({ "Source": "my.app", "DetailType": "t", "Detail": "{}" });
        for _ in 0..events / 10 {
            self.emulator.call("AWSEvents.PutEvents", &json!({ "Entries": vec![entry.clone(); 10] }));
        }
        self.emulator.calls("RunTask", events);
        let listed =
            self.emulator.call("AmazonEC2ContainerServiceV20141113.ListTasks", &json!({ "cluster": "default" }));
        let described = json!({ "cluster": "default", "tasks": listed["taskArns"] });
        let described = self.emulator.call("AmazonEC2ContainerServiceV20141113.DescribeTasks", &described);
        let text = |value: &Value| value.as_str().expect("is a text").to_owned();
        let tasks = described["tasks"].as_array().expect("is a list").iter();
        tasks.map(|task| (text(&task["taskArn"]), text(&task["startedBy"]))).collect()
    }

    /// Tells the stack that tasks have ended with an exit code.
    fn end(&self, tasks: &[(String, String)], exit_code: i32) {
        let stopped = |(arn, started_by): &(String, String)| {
            json!({
                "version": "0", "id": "00000000-0000-0000-0000-000000000001", "detail-type": "ECS Task State Change",
                "source": "aws.ecs", "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
                "resources": [arn],
                "detail": {
                    "taskArn": arn, "clusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default",
                    "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited",
                    "stoppedReason": "Essential container in task exited", "startedBy": started_by,
                    "containers": [{ "name": "app", "exitCode": exit_code }],
                },
            })
        };
        thread::scope(|scope| {
            for tasks in tasks.chunks(tasks.len().div_ceil(2)) {
                scope.spawn(move || {
                    for task in tasks {
                        self.emulator.invoke("ecs-trigger-task-lifecycle", &stopped(task).to_string());
                    }
                });
            }
        });
        let letters = self.emulator.depth(LETTERS);
        assert!(letters >= tasks.len(), "{letters} letters");
    }
}

const LETTERS: &str = "ecs-trigger-dead-letters";

fn done(output: &Output) -> String {
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{printed}{said}");
    printed
}

#[test]
fn exactly_the_letters_of_one_reason_are_redriven_and_each_launch_starts_once() {
    let stack = Stack::new();
    let tasks = stack.start(20);
    let (few, many) = tasks.split_at(EXITS[0].1);
    stack.end(few, EXITS[0].0);
    stack.end(many, EXITS[1].0);

    // Listing takes nothing away.
    for _ in 0..2 {
        let listed = stack.json(&["dead-letters"]);
        let groups = listed["groups"].as_array().expect("is a list").iter();
        let groups: Vec<_> = groups.map(|group| (group["count"].clone(), group["reason"].clone())).collect();
        let reason = |code| {
            format!("the task *: EssentialContainerExited, Essential container in task exited; app: exit code {code}")
        };
        assert_eq!(groups, [(12.into(), reason(137).into()), (8.into(), reason(1).into())]);
        assert_eq!(listed["letters"].as_array().map(Vec::len), Some(20));
    }
    let printed = done(&stack.run(&["dead-letters"]));
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    let words: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((words.len(), &words[1][..2]), (7, &["12", "first"][..]), "{printed}");
    assert!(printed.contains("exited;\n       app: exit code 137\n"), "{printed}");

    let redrive = ["redrive", "--route", "first", "--reason", "*exit code 137", "--rate", "100/s"];
    let shown = stack.json(&[&redrive[..], &["--dry-run"]].concat());
    assert_eq!(shown["letters"].as_array().map(Vec::len), Some(12));
    let unconfirmed = stack.run(&redrive);
    assert_eq!(unconfirmed.status.code(), Some(8), "{unconfirmed:?}");

    // The letters are delivered, and cannot be deleted.
    let proxy = Proxy::start(stack.emulator.address(), |asked| match asked.operation() {
        "DeleteMessage" => Passage::LoseRequest,
        _ => Passage::Pass,
    });
    let redrive = [&redrive[..], &["--yes"]].concat();
    let failed = stack.command(&redrive).env("AWS_ENDPOINT_URL", &proxy.endpoint).output().expect("runs");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("12 letters stay, such as that of first/") && said.contains("but not deleted"), "{said}");
    assert_eq!(stack.emulator.depth(LETTERS), 20);

    assert_eq!(stack.json(&redrive)["redriven"], 12);
    assert_eq!(stack.emulator.depth(LETTERS), 8);
    assert_eq!(done(&stack.run(&redrive)), "no dead letter matches\n");
    let calls = stack.emulator.calls("RunTask", 32);
    let launch = |started_by: &str| started_by.rsplit_once('/').expect("has a number").0.to_owned();
    let mut starts: BTreeMap<String, usize> = BTreeMap::new();
    for call in &calls {
        *starts.entry(launch(call["startedBy"].as_str().expect("is named"))).or_default() += 1;
    }
    let again: BTreeSet<String> =
        starts.into_iter().filter(|(_, times)| *times == 2).map(|(launch, _)| launch).collect();
    let failed: BTreeSet<String> = many.iter().map(|(_, started_by)| launch(started_by)).collect();
    assert_eq!((calls.len(), again), (32, failed), "each of these starts once more");

    // A message that the route's queue gave up goes back to it, with its attributes.
    let letters = stack.emulator.queue_url("jobs-dead-letters");
    let attributes = json!({ "kind": { "DataType": "String", "StringValue": "late" } });
    let message = json!({ "QueueUrl": letters, "MessageBody": "work", "MessageAttributes": attributes });
    stack.emulator.call("AmazonSQS.SendMessage", &message);
    let listed = stack.json(&["dead-letters", "--route", "jobs"]);
    assert_eq!(listed["groups"][0]["reason"], "the queue jobs gave the message up, as it was received too often");
    assert_eq!(stack.json(&["redrive", "--route", "jobs", "--yes"])["redriven"], 1);
    assert_eq!(stack.emulator.calls("RunTask", 33).len(), 33);

    // An event that fails again keeps its letter. One that Lambda gave up is handled anew.
    let event = json!({
        "version": "0", "id": "6f0e5b5e-0000-0000-0000-000000000001", "detail-type": "t", "source": "my.app",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {},
    });
    let mut unknown = event.clone();
    unknown["source"] = "gone.app".into();
    let of_lambda = json!({
        "requestContext": { "functionArn": "arn:aws:lambda:f", "condition": "RetriesExhausted" },
        "requestPayload": event, "responsePayload": { "errorMessage": "it timed out" },
    });
    let letter = json!({ "dead_letter": 1, "reason": "it is unknown", "event": unknown });
    for body in [of_lambda, letter] {
        let message = json!({ "QueueUrl": stack.emulator.queue_url(LETTERS), "MessageBody": body.to_string() });
        stack.emulator.call("AmazonSQS.SendMessage", &message);
    }
    let redriven = stack.run(&["redrive", "--reason", "it *", "--yes", "--json"]);
    let tally: Value = serde_json::from_slice(&redriven.stdout).expect("is JSON");
    assert_eq!((redriven.status.code(), &tally["redriven"]), (Some(1), &1.into()), "{tally}");
    assert_eq!(tally["stay"][0]["reason"], "no route of the config in force takes its event");
    assert_eq!(stack.emulator.calls("RunTask", 34).len(), 34);
}

#[test]
fn dev_starts_the_launches_of_its_dead_letters_again() {
    let project = tempfile::tempdir().expect("a folder");
    let config = "
version: 1
tasks: { t: { task_definition: t } }
routes: [{ name: r, on: { s3: { bucket: b } }, run: t }]
storage: { bucket: state }
local: { task_definitions: { t: { container_definitions: { app: { command: [sh, -c, 'test -e healed'] } } } } }
";
    fs::write(project.path().join("ecs-trigger.yaml"), config).expect("is written");
    fs::create_dir_all(project.path().join("buckets/b")).expect("is made");
    for name in ["one", "two"] {
        fs::write(project.path().join("buckets/b").join(name), name).expect("is written");
    }
    let dev = || {
        let mut dev = command();
        dev.arg("dev").arg(project.path()).arg("--once").stdin(Stdio::null()).output().expect("runs")
    };
    let local = |arguments: &[&str]| {
        let mut verb = command();
        verb.args(arguments).arg("--local").arg("--config").arg(project.path()).stdin(Stdio::null());
        done(&verb.output().expect("runs"))
    };
    assert_eq!(dev().status.code(), Some(1));
    let listed: Value = serde_json::from_str(&local(&["dead-letters", "--json"])).expect("is JSON");
    assert_eq!((&listed["groups"][0]["count"], &listed["groups"][0]["routes"]), (&2.into(), &json!(["r"])), "{listed}");
    fs::write(project.path().join("healed"), "").expect("is written");
    assert!(local(&["redrive", "--yes"]).contains("redrove 2 dead letters"));
    done(&dev());
    let closed = fs::read_dir(project.path().join(".ecs-trigger/dead-letters/done")).expect("is there");
    assert_eq!(closed.count(), 2);
    assert_eq!(local(&["dead-letters"]), "no dead letter matches\n");
}
