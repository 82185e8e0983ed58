//! Queues decide how many workers run. The stories use the real queue-scaler, the emulator's SQS, and a cluster whose
//! tasks are processes that run the real worker-shim.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::{Answer, Cluster, Emulator, Function, Server, binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A story fails if it waits longer than this.
const PATIENCE: Duration = Duration::from_secs(50);

/// An account: the emulator with a config and queues, and a cluster.
struct Account {
    emulator: Emulator,
    cluster: Cluster,
    folder: TempDir,
}

impl Account {
    /// Creates an account. Its workers take 0.3 s per message, longer while they are held, and write the start and the
    /// end of each to the journal.
    fn new(config: &str, queues: &[&str], shim: &[&str]) -> Self {
        let emulator = Emulator::start();
        emulator.aws(&["s3api", "create-bucket", "--bucket", "state"]);
        emulator.put_object("state", "ecs-trigger.yaml", config);
        for queue in queues {
            emulator.aws(&["sqs", "create-queue", "--queue-name", queue]);
        }
        let folder = TempDir::new().expect("a folder can be made");
        let journal = folder.path().join("journal");
        let work = "echo begin $SQS_MESSAGE_ID >> $JOURNAL; sleep 0.3; while [ -e $JOURNAL.held ]; do sleep 0.1; done; \
                    echo end $SQS_MESSAGE_ID >> $JOURNAL";
        let mut command = vec![binary("worker-shim").display().to_string()];
        command.extend(shim.iter().map(|word| (*word).to_owned()));
        command.extend(["--", "sh", "-c", work].map(str::to_owned));
        let variables = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("JOURNAL", journal.display().to_string()),
            ("AWS_ENDPOINT_URL", emulator.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("RUST_LOG", "error".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let cluster = Cluster::start(command, &variables, &["images", "other"]);
        Self { emulator, cluster, folder }
    }

    fn scaler(&self) -> Function {
        let variables = [
            ("AWS_ENDPOINT_URL", self.emulator.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_ECS", &self.cluster.endpoint),
            ("ECS_TRIGGER_CONFIG", "s3://state/ecs-trigger.yaml"),
            ("RUST_LOG", "warn"),
        ];
        let function = Function::start("queue-scaler", &variables);
        // One invocation, as the schedule makes it once a minute.
        function.send("{}");
        function
    }

    fn send(&self, queue: &str, messages: usize) {
        let url = self.emulator.queue_url(queue);
        let entries: Vec<serde_json::Value> = (0..messages)
            .map(|n| serde_json::json!({ "Id": n.to_string(), "MessageBody": format!("message {n}") }))
            .collect();
        for batch in entries.chunks(10) {
            let batch = serde_json::to_string(batch).expect("is JSON");
            self.emulator.aws(&["sqs", "send-message-batch", "--queue-url", &url, "--entries", &batch]);
        }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Sends messages while no worker can finish one, until `holds` returns true: how many workers start does not depend
    /// on how fast this machine sends.
    fn send_and_hold_until(&self, queue: &str, messages: usize, what: &str, holds: impl FnMut(&Cluster) -> bool) {
        let held = self.journal().with_extension("held");
        fs::write(&held, "").expect("can be written");
        self.send(queue, messages);
        self.until(what, holds);
        fs::remove_file(held).expect("can be removed");
    }

    /// Returns how often the work on each message was started and finished.
    fn worked(&self) -> HashMap<String, (usize, usize)> {
        let mut worked: HashMap<String, (usize, usize)> = HashMap::new();
        for line in fs::read_to_string(self.journal()).unwrap_or_default().lines() {
            let (what, id) = line.split_once(' ').expect("is a line of ours");
            let (begun, ended) = worked.entry(id.to_owned()).or_default();
            if what == "begin" { *begun += 1 } else { *ended += 1 }
        }
        worked
    }

    /// Waits until `holds` returns true. Each look also advances the cluster.
    fn until(&self, what: &str, mut holds: impl FnMut(&Cluster) -> bool) {
        let began = Instant::now();
        let mut most = 0;
        while !holds(&self.cluster) {
            most = most.max(self.cluster.running());
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}; at most {most} workers ran");
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

const SERVICE: &str = "
version: 1
workers:
  - service: images
    queue: images
    scaling:
      { max: 4, acceptable_latency: 4s, msg_processing_time: 300ms, tick: 1s, start_delay: 1s, scale_in_hold: 2s, scale_in_every: 1s }
";

#[test]
fn a_service_scales_from_zero_and_back_without_stopping_a_worker_that_has_a_message() {
    let account = Account::new(SERVICE, &["images"], &["--queue", "images"]);
    let _scaler = account.scaler();
    account.send_and_hold_until("images", 60, "several workers run", |cluster| cluster.running() >= 2);
    account.until("all messages are done", |_| account.worked().values().filter(|(_, ended)| *ended > 0).count() == 60);
    account.until("no worker is left", |cluster| cluster.desired("images") == 0 && cluster.running() == 0);
    assert!(account.worked().values().all(|times| *times == (1, 1)), "each message once: {:?}", account.worked());
    let set = account.cluster.set("images");
    assert!(set.windows(2).all(|pair| pair[0] != pair[1]), "set only where it changes: {set:?}");
    assert!(set.iter().all(|count| *count <= 4), "within its bounds: {set:?}");
}

#[test]
fn run_task_workers_are_started_as_needed_and_end_by_themselves() {
    let config = "
version: 1
tasks:
  worker:
    task_definition: worker
    overrides: { container_overrides: [{ name: app }] }
workers:
  - run: worker
    queue: images
    scaling: { max: 3, acceptable_latency: 4s, msg_processing_time: 300ms, tick: 1s, start_delay: 1s, idle_exit: 1s }
";
    // The scaler sets queue, concurrency and idle exit in the environment.
    let account = Account::new(config, &["images"], &[]);
    account.send("images", 1);
    let _scaler = account.scaler();
    account.until("one message starts a worker", |_| account.worked().len() == 1);
    account.until("it ends", |cluster| cluster.running() == 0);
    assert_eq!(account.cluster.started(), 1, "one message, one worker");
    account.send_and_hold_until("images", 40, "several workers run", |cluster| cluster.running() == 3);
    account.until("all messages are done", |_| account.worked().values().filter(|(_, ended)| *ended > 0).count() == 41);
    account.until("all end", |cluster| cluster.running() == 0);
    assert!(account.worked().values().all(|times| *times == (1, 1)), "each message once: {:?}", account.worked());
}

#[test]
fn the_next_invocation_takes_over_and_two_start_no_more_workers_than_one() {
    let account = Account::new(SERVICE, &["images"], &["--queue", "images"]);
    let first = account.scaler();
    account.send_and_hold_until("images", 60, "workers run", |cluster| cluster.running() >= 2);
    let _second = account.scaler();
    assert_eq!(first.answer(), Ok(serde_json::Value::Null), "the first invocation ends when the second is there");
    account.until("all messages are done", |_| account.worked().values().filter(|(_, ended)| *ended > 0).count() == 60);
    account.until("no worker is left", |cluster| cluster.desired("images") == 0 && cluster.running() == 0);
    assert!(account.worked().values().all(|times| *times == (1, 1)), "each message once: {:?}", account.worked());
}

#[test]
fn scaling_continues_after_manual_changes_and_throttling_and_beside_an_unreadable_queue() {
    let config = format!(
        "{SERVICE}
  - service: other
    queue: nowhere
    scaling: {{ min: 1, max: 4, acceptable_latency: 4s, tick: 1s }}
"
    );
    let account = Account::new(&config, &["images"], &["--queue", "images"]);
    // A person sets more workers than the maximum.
    account.cluster.set_by_hand("images", 6);
    account.cluster.set_by_hand("other", 0);
    let _scaler = account.scaler();
    account
        .until("it is brought within its bounds, and then to what is needed", |cluster| cluster.desired("images") == 0);
    account.cluster.set_by_hand("images", 2);
    account.until("scaling goes on from the count set by hand", |cluster| cluster.desired("images") == 0);
    account.cluster.throttle(8);
    account.send_and_hold_until("images", 30, "throttled, it scales later", |cluster| cluster.running() >= 2);
    account.until("all messages are done", |cluster| account.worked().len() == 30 && cluster.running() == 0);
    assert_eq!(account.cluster.set("other"), Vec::<u64>::new(), "unknown is not zero: nothing changes");
    assert!(account.cluster.calls("DescribeServices") > 0);
}

/// Returns a worker-shim for the queue `images` that runs this command, with an ECS agent at this address.
fn shim(emulator: &Emulator, agent: &str, options: &[&str], command: &str) -> Command {
    let mut shim = Command::new(binary("worker-shim"));
    shim.args(["--queue", "images"])
        .args(options)
        .args(["--", "sh", "-c", command])
        .env("AWS_ENDPOINT_URL", &emulator.endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("ECS_AGENT_URI", agent)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null());
    shim
}

#[test]
fn a_worker_starts_no_message_while_it_cannot_be_protected_and_finishes_its_last_one_after_sigterm() {
    let emulator = Emulator::start();
    emulator.aws(&["sqs", "create-queue", "--queue-name", "images"]);
    let url = emulator.queue_url("images");
    emulator.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", "a message"]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let refusals = AtomicUsize::new(2);
    let said = Arc::clone(&asked);
    let agent = Server::start(move |put| {
        said.lock().expect("not poisoned").push(format!("{} {} {}", put.method, put.path, put.body));
        let refuses = refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let body = match refuses {
            true => r#"{"failure":{"Arn":"a","Reason":"DEPLOYMENT_BLOCKED"}}"#,
            false => r#"{"protection":{"TaskArn":"a","ProtectionEnabled":true}}"#,
        };
        Answer { status: 200, body: body.to_owned(), ..Answer::default() }
    });
    let folder = TempDir::new().expect("a folder can be made");
    let (begun, ended) = (folder.path().join("begun"), folder.path().join("ended"));
    let work = format!("touch {}; sleep 1; echo $SQS_RECEIVE_COUNT $(cat) > {}", begun.display(), ended.display());
    let mut worker = shim(&emulator, &format!("http://{}", agent.address), &[], &work).spawn().expect("starts");
    let began = Instant::now();
    while !begun.exists() {
        assert!(began.elapsed() < PATIENCE, "the message is worked on when it can be protected: {asked:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let process = Pid::from_child(&worker);
    kill_process(process, Signal::TERM).expect("it runs");
    assert!(worker.wait().expect("ends").success());
    assert_eq!(
        fs::read_to_string(&ended).expect("it was ended").trim(),
        "2 a message",
        "received once for each answer"
    );
    let asked = asked.lock().expect("not poisoned");
    let on = r#"PUT /task-protection/v1/state {"ProtectionEnabled":true,"ExpiresInMinutes":30}"#;
    let off = r#"PUT /task-protection/v1/state {"ProtectionEnabled":false}"#;
    // The agent refuses twice and then protects the task; at the end the worker gives the protection back.
    assert_eq!(asked.first().map(String::as_str), Some(on));
    assert_eq!(asked.last().map(String::as_str), Some(off));
}

#[test]
fn a_message_whose_command_fails_can_be_received_again() {
    let emulator = Emulator::start();
    emulator.aws(&["sqs", "create-queue", "--queue-name", "images"]);
    let url = emulator.queue_url("images");
    emulator.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", "a message"]);
    let folder = TempDir::new().expect("a folder can be made");
    let journal = folder.path().join("journal");
    let work = format!("echo $SQS_RECEIVE_COUNT >> {}; test $SQS_RECEIVE_COUNT -gt 1", journal.display());
    let mut worker = shim(&emulator, "", &["--retry-delay", "1s", "--idle-exit", "3s"], &work);
    assert!(worker.output().expect("runs").status.success());
    assert_eq!(fs::read_to_string(journal).expect("it was run"), "1\n2\n");
}

/// Runs `ecs-trigger` with these arguments and this standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = e2e::command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ecs-trigger runs");
    child.stdin.take().expect("is piped").write_all(input.as_bytes()).expect("is read");
    child.wait_with_output().expect("ends")
}

#[test]
fn scaling_decide_answers_line_by_line() {
    let arguments = ["scaling", "decide", "--config", "examples/workers", "--worker", "reports"];
    let lines = "{\"t\":0,\"visible\":1,\"in_flight\":0,\"delayed\":0,\"running\":0,\"pending\":0,\"desired\":0}\n\n{\"t\":10.5,\"visible\":null,\"in_flight\":0,\"running\":0,\"pending\":1,\"desired\":1,\"minutes\":[{\"sent\":1,\"deleted\":0,\"in_flight\":0}],\"start_delays\":[40]}\n";
    let decided = run(&arguments, lines);
    assert!(decided.status.success());
    let answers: Vec<Value> = String::from_utf8_lossy(&decided.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!((&answers[0]["t"], &answers[0]["desired"], &answers[0]["launch"]), (&0.into(), &1.into(), &Value::Null));
    assert_eq!((&answers[1]["t"], &answers[1]["desired"]), (&10.5.into(), &Value::Null));
    assert_eq!(answers[1]["reason"], "hold: unknown: visible");
    let wrong = run(&arguments, &format!("{lines}{{\"t\":20,\"visible\":-1}}\n"));
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("line 4 of standard input") && said.contains("not a count"), "{said}");
    let unknown = run(&["scaling", "decide", "--config", "examples/workers", "--worker", "report"], "");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `reports`?"));
}

/// Checks the promises about the policy on seeds that it was not tuned on.
#[test]
fn the_policy_beats_its_peers_by_the_promised_margins() {
    let simulated = run(&["simulate", "--seeds", "4", "--seed", "9000", "--json"], "");
    let results: Value = serde_json::from_slice(&simulated.stdout).expect("is JSON");
    let ratio = |comparison: &Value, of: &str, which: &str| comparison[of][which].as_f64().expect("is a number");
    let comparisons = results["comparisons"].as_array().expect("is a list");
    assert_eq!(comparisons.len(), 12);
    for comparison in comparisons {
        let (p99, hours) =
            (|which| ratio(comparison, "p99_age", which), |which| ratio(comparison, "task_hours", which));
        let (ours, peer) = (&comparison["policy"], comparison["peer"].as_str().expect("is a name"));
        let holds = match peer {
            "copilot" | "copilot-ideal" => p99("worst") <= 0.6 && hours("worst") <= 0.9,
            "cdk" => p99("worst") <= 0.25 && hours("worst") <= 0.95,
            "keda" => {
                let flaps: Vec<u64> =
                    comparison["flaps"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
                p99("worst") <= 0.75 && hours("mean") <= 0.95 && hours("worst") <= 1.1 && flaps[0] <= flaps[1]
            }
            _ => true,
        };
        assert!(holds, "{ours} against {peer}: {comparison}");
    }
    for workload in results["workloads"].as_array().expect("is a list") {
        for policy in workload["policies"].as_array().expect("is a list").iter().take(2) {
            let ratio = policy["p99_age_to_acceptable"].as_f64().expect("is a number");
            assert!(ratio <= 1.0, "{}: {policy}", workload["workload"]);
            assert_eq!((&policy["kills"], &policy["left"]), (&0.into(), &0.into()), "{}", workload["workload"]);
        }
    }
}

#[test]
fn a_simulation_is_plotted_and_an_unknown_format_is_refused() {
    let folder = TempDir::new().expect("a folder can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let simulate = |more: &[&str]| run(&[&["simulate", "--workload", "hourly", "--seeds", "1"], more].concat(), "");
    assert!(simulate(&["--plot", &path("a.svg")]).status.success());
    assert!(fs::read_to_string(path("a.svg")).expect("is there").starts_with("<svg"));
    assert!(simulate(&["--plot", &path("a.png")]).status.success());
    assert!(fs::read(path("a.png")).expect("is there").starts_with(b"\x89PNG"));
    assert_eq!(simulate(&["--plot", &path("a.gif")]).status.code(), Some(2));
    fs::write(path("trace.csv"), "time,count\n0,100\n60,0\n").expect("is written");
    let traced = run(
        &[
            "simulate",
            "--trace",
            &path("trace.csv"),
            "--config",
            "examples/workers",
            "--worker",
            "thumbnails",
            "--json",
        ],
        "",
    );
    let results: Value = serde_json::from_slice(&traced.stdout).expect("is JSON");
    assert_eq!(results["workloads"][0]["policies"][0]["messages"], 100);
    assert_eq!(results["workloads"][0]["policies"][0]["policy"], "run_task");
}
