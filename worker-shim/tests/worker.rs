//! The real `worker-shim` with real commands, beside a stand-in for SQS and the ECS agent.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod stand_in;

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stand_in::Sqs;
use tempfile::TempDir;

/// A test fails if it waits longer than this.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running worker. It is killed if its test fails.
struct Shim(Child);

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shim {
    /// Starts a worker that runs this script for each message; SCRIPT finds its folder in `$FOLDER`.
    fn start(sqs: &Sqs, options: &[&str], folder: &TempDir, script: &str) -> Self {
        Self::with(sqs, options, folder, script, &[])
    }

    fn with(sqs: &Sqs, options: &[&str], folder: &TempDir, script: &str, variables: &[(&str, &str)]) -> Self {
        let mut shim = Command::new(env!("CARGO_BIN_EXE_worker-shim"));
        shim.args(["--queue", &sqs.queue_url("images")])
            .args(options)
            .args(["--", "sh", "-c", script])
            .env("FOLDER", folder.path())
            .env("AWS_ENDPOINT_URL", sqs.endpoint())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("RUST_LOG", "error")
            .env_remove("ECS_AGENT_URI")
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        Self(shim.spawn().expect("the shim starts"))
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the shim ends", || {
            status = self.0.try_wait().expect("is a child");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Waits until the file has a line, and returns the text.
fn text(path: &Path) -> String {
    let mut text = String::new();
    until("the file is written", || {
        text = fs::read_to_string(path).unwrap_or_default();
        text.ends_with('\n')
    });
    text
}

/// Returns the ids of the processes whose parent is this one, with their states.
fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = fs::read_dir("/proc").expect("is mounted").flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, of) = (fields.next()?, fields.next()?);
        (of == parent.to_string()).then(|| (id, state.to_owned()))
    })
    .collect()
}

/// Waits until no process with this id runs.
fn gone(id: &str) {
    until("the process ends", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("file");
    (folder, file)
}

fn numbers(requests: &[Value], key: &str) -> Vec<u64> {
    requests.iter().filter_map(|request| request[key].as_u64()).collect()
}

#[test]
fn one_receiver_asks_for_all_slots() {
    let sqs = Sqs::start(|_| None);
    let (folder, file) = folder();
    for n in 0..25 {
        sqs.send("images", &format!("message {n}"));
    }
    let mut shim =
        Shim::start(&sqs, &["--concurrency", "23", "--idle-exit", "6s"], &folder, "echo \"$(cat)\" >> $FOLDER/file");
    assert!(shim.ended().success());
    assert_eq!(text(&file).lines().collect::<HashSet<_>>().len(), 25, "each message is handled");
    assert_eq!(sqs.calls("DeleteMessage").len(), 25);
    let asked = numbers(&sqs.calls("ReceiveMessage"), "MaxNumberOfMessages");
    assert_eq!(asked[..2], [10, 10], "{asked:?}");
    // Up to five for the messages, two in the idle seconds.
    assert!(asked.len() <= 8, "idle slots do not ask by themselves: {asked:?}");
}

#[test]
fn no_more_messages_are_received_than_slots_are_free() {
    let sqs = Sqs::start(|_| None);
    let (folder, _) = folder();
    for _ in 0..3 {
        sqs.send("images", "a message");
    }
    let script = "echo >> $FOLDER/$SQS_MESSAGE_ID; while ! [ -e $FOLDER/go ]; do sleep 0.05; done";
    let mut shim = Shim::start(&sqs, &["--concurrency", "2", "--idle-exit", "1s"], &folder, script);
    text(&folder.path().join("message-1"));
    text(&folder.path().join("message-2"));
    assert_eq!(numbers(&sqs.calls("ReceiveMessage"), "MaxNumberOfMessages"), [2]);
    fs::write(folder.path().join("go"), "").expect("can be written");
    assert!(shim.ended().success());
    assert_eq!(sqs.calls("DeleteMessage").len(), 3);
}

#[test]
fn messages_of_a_fifo_queue_come_one_by_one() {
    let sqs = Sqs::start(|_| None);
    let (folder, _) = folder();
    sqs.send("images.fifo", "first");
    let queues = format!("{},{}", sqs.queue_url("images.fifo"), sqs.queue_url("others"));
    let mut shim =
        Shim::with(&sqs, &["--concurrency", "4", "--idle-exit", "2s", "--queue", &queues], &folder, "true", &[]);
    assert!(shim.ended().success());
    for asked in sqs.calls("ReceiveMessage") {
        let is_fifo = asked["QueueUrl"].as_str().is_some_and(|url| url.ends_with(".fifo"));
        assert!(!is_fifo || asked["MaxNumberOfMessages"] == 1, "{asked}");
    }
    assert_eq!(sqs.calls("DeleteMessage").len(), 1);
}

#[test]
fn a_message_that_takes_longer_than_the_timeout_fails_and_comes_again() {
    let sqs = Sqs::start(|_| None);
    let (folder, file) = folder();
    sqs.send("images", "a message");
    let options = ["--timeout", "1s", "--retry-delay", "0s", "--idle-exit", "1s"];
    let mut shim = Shim::start(
        &sqs,
        &options,
        &folder,
        "echo $$ $SQS_RECEIVE_COUNT >> $FOLDER/file; [ $SQS_RECEIVE_COUNT -gt 1 ] || sleep 600",
    );
    assert!(shim.ended().success());
    let runs = text(&file);
    let (first, count) = runs.lines().next().and_then(|line| line.split_once(' ')).expect("it was run");
    assert_eq!((count, runs.lines().count(), sqs.calls("DeleteMessage").len()), ("1", 2, 1));
    gone(first);
}

#[test]
fn the_command_of_a_message_whose_handle_is_stale_is_ended() {
    let sqs = Sqs::start(|call| {
        let stale = json!({ "__type": "com.amazonaws.sqs#ReceiptHandleIsInvalid", "message": "it is gone" });
        (call == "ChangeMessageVisibility").then_some((400, stale))
    });
    let (folder, file) = folder();
    sqs.send("images", "a message");
    let options = ["--visibility-timeout", "12s", "--idle-exit", "1s"];
    let mut shim = Shim::start(&sqs, &options, &folder, "echo $$ > $FOLDER/file; exec sleep 600");
    assert!(shim.ended().success());
    gone(&text(&file));
    assert_eq!(sqs.calls("ChangeMessageVisibility").len(), 1, "a lost message is not given back");
    assert!(sqs.calls("DeleteMessage").is_empty());
}

#[test]
fn messages_wait_invisibly_for_a_hanging_agent_and_go_back_at_once_after_sigterm() {
    let sqs = Sqs::start(|_| None);
    let (folder, file) = folder();
    for _ in 0..10 {
        sqs.send("images", "a message");
    }
    // It accepts connections and never answers.
    let agent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let uri = format!("http://{}", agent.local_addr().expect("is bound"));
    let options = ["--concurrency", "50", "--visibility-timeout", "2s"];
    let mut shim = Shim::with(&sqs, &options, &folder, "echo > $FOLDER/file", &[("ECS_AGENT_URI", &uri)]);
    until("all are kept invisible", || sqs.calls("ChangeMessageVisibility").len() >= 10);
    assert_eq!(sqs.calls("ReceiveMessage").len(), 1);
    shim.signal(Signal::TERM);
    let asked_at = Instant::now();
    assert!(shim.ended().success());
    // Giving a protection back that the task may have takes one request to the agent, of 3 s.
    assert!(asked_at.elapsed() < Duration::from_secs(8), "{:?}", asked_at.elapsed());
    let timeouts = numbers(&sqs.calls("ChangeMessageVisibility"), "VisibilityTimeout");
    assert_eq!(timeouts.iter().filter(|timeout| **timeout == 0).count(), 10, "{timeouts:?}");
    assert!(!file.exists(), "no message is started");
}

#[test]
fn one_look_of_the_agent_is_for_all_slots() {
    let refusals = AtomicUsize::new(1);
    let sqs = Sqs::start(move |call| {
        let refuses = call == "PutProtection"
            && refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        refuses.then(|| (200, json!({ "failure": { "Arn": "a", "Reason": "DEPLOYMENT_BLOCKED" } })))
    });
    let (folder, _) = folder();
    for _ in 0..10 {
        sqs.send("images", "a message");
    }
    let uri = sqs.endpoint();
    let options = ["--concurrency", "10", "--idle-exit", "1s", "--protection", "on"];
    let mut shim = Shim::with(&sqs, &options, &folder, "true", &[("ECS_AGENT_URI", &uri)]);
    assert!(shim.ended().success());
    let asked: Vec<Value> = sqs.calls("PutProtection").iter().map(|put| put["ProtectionEnabled"].clone()).collect();
    assert_eq!(asked, [true, true, false], "refused, granted, and given back");
    assert_eq!(sqs.calls("DeleteMessage").len(), 10);
}

#[test]
fn sigterm_is_forwarded_on_request_and_the_message_is_finished() {
    let sqs = Sqs::start(|_| None);
    let (folder, file) = folder();
    sqs.send("images", "a message");
    let script =
        "trap 'echo told >> $FOLDER/file; exit 0' TERM; echo ready > $FOLDER/file; while :; do sleep 0.05; done";
    let mut shim = Shim::start(&sqs, &["--forward-sigterm"], &folder, script);
    text(&file);
    shim.signal(Signal::TERM);
    assert!(shim.ended().success());
    assert_eq!(text(&file), "ready\ntold\n");
    assert_eq!(sqs.calls("DeleteMessage").len(), 1);
}

#[test]
fn commands_end_with_the_shim_whichever_of_its_processes_is_killed() {
    let sqs = Sqs::start(|_| None);
    for kills_worker in [false, true] {
        let (folder, file) = folder();
        sqs.send("images", "a message");
        // The second process leaves the command's group.
        let script = "sleep 600 & one=$!; setsid sleep 600 & echo $$ $one $! > $FOLDER/file; wait";
        let mut shim = Shim::start(&sqs, &["--visibility-timeout", "60s"], &folder, script);
        let ids = text(&file);
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if kills_worker {
            let worker =
                children(shim.id()).first().and_then(|(id, _)| i32::try_from(*id).ok()).and_then(Pid::from_raw);
            kill_process(worker.expect("the shim has a worker"), Signal::KILL).expect("it runs");
            assert_eq!(shim.ended().code(), Some(137));
            ids.iter().for_each(|id| gone(id));
        } else {
            shim.signal(Signal::KILL);
            shim.ended();
            ids[..2].iter().for_each(|id| gone(id));
            let left = ids[2].parse().ok().and_then(Pid::from_raw).expect("is an id");
            kill_process(left, Signal::KILL).expect("what left the group outlives a shim that is killed");
        }
    }
}

#[test]
fn what_commands_leave_behind_is_ended_and_leaves_no_zombie() {
    let sqs = Sqs::start(|_| None);
    let (folder, _) = folder();
    for _ in 0..30 {
        sqs.send("images", "a message");
    }
    let shim = Shim::start(&sqs, &["--concurrency", "5"], &folder, "sleep 600 &");
    until("all messages are done", || sqs.calls("DeleteMessage").len() == 30);
    until("only the worker is left", || children(shim.id()).len() == 1);
}

#[test]
fn an_empty_endpoint_variable_counts_as_unset() {
    for (variable, other) in
        [("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"), ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")]
    {
        let sqs = Sqs::start(|_| None);
        let (folder, _) = folder();
        sqs.send("images", "a message");
        let endpoint = sqs.endpoint();
        let variables = [(variable, ""), (other, endpoint.as_str())];
        let mut shim = Shim::with(&sqs, &["--idle-exit", "1s"], &folder, "true", &variables);
        assert!(shim.ended().success());
        assert_eq!(sqs.calls("DeleteMessage").len(), 1, "{variable} is empty");
    }
}

#[test]
fn the_time_in_which_sqs_fails_is_not_idle_time() {
    let failures = AtomicUsize::new(2);
    let sqs = Sqs::start(move |call| {
        let fails = call == "ReceiveMessage"
            && failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        fails.then(|| (403, json!({ "__type": "AccessDeniedException", "message": "not now" })))
    });
    let (folder, _) = folder();
    sqs.send("images", "a message");
    let mut shim = Shim::start(&sqs, &["--idle-exit", "1s"], &folder, "true");
    assert!(shim.ended().success());
    assert_eq!(sqs.calls("DeleteMessage").len(), 1);
}

#[test]
fn a_queue_that_no_longer_exists_counts_as_empty() {
    let sqs = Sqs::start(|call| {
        let gone = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "it is gone" });
        (call == "ReceiveMessage").then_some((400, gone))
    });
    let (folder, _) = folder();
    let mut shim = Shim::start(&sqs, &["--idle-exit", "1s"], &folder, "true");
    assert!(shim.ended().success());
}

#[test]
fn a_shim_that_is_asked_to_stop_while_it_starts_ends_with_0() {
    for (signal, waits_for_sqs) in [(Signal::TERM, false), (Signal::TERM, true), (Signal::INT, true)] {
        let sqs = Sqs::start(|call| {
            if call == "GetQueueUrl" {
                loop {
                    thread::park();
                }
            }
            None
        });
        let (folder, _) = folder();
        let mut shim = Shim::start(&sqs, &["--queue", "by-name"], &folder, "true");
        until("the worker starts", || match waits_for_sqs {
            true => !sqs.calls("GetQueueUrl").is_empty(),
            false => !children(shim.id()).is_empty(),
        });
        shim.signal(signal);
        assert_eq!(shim.ended().code(), Some(0), "{signal:?}, waits for SQS: {waits_for_sqs}");
    }
}
