//! `ecs-trigger dev` with folders as buckets and processes as tasks: the real binary, real files and real processes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use e2e::command;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Creates a project whose task runs `entry_point` with the bucket and the key as arguments.
fn project(entry_point: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = r#"
version: 1
tasks:
  t:
    task_definition: t:7
    overrides:
      container_overrides:
        - { name: app, command: ["{{ bucket }}", "{{ key }}"], environment: { KEY: "{{ key }}", SIZE: "{{ size }}" } }
routes:
  - { name: r, on: { s3: { bucket: b, key: { prefix: in/ } } }, run: t }
  - { name: gone, on: { s3: { bucket: b, key: { prefix: in/ }, detail_type: Object Deleted } }, run: u }
local:
  task_definitions:
    t: { container_definitions: { app: { entry_point: ENTRY_POINT, command: [never] } } }
    u: { container_definitions: { app: { command: [echo, deleted] } } }
"#
    .replace("ENTRY_POINT", entry_point)
    .replace("\nroutes:", "\n  u: { task_definition: u }\nroutes:");
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    fs::create_dir_all(folder.path().join("buckets/b/in")).expect("is made");
    folder
}

fn put(project: &TempDir, key: &str, content: &str) -> PathBuf {
    let path = project.path().join("buckets/b").join(key);
    fs::create_dir_all(path.parent().expect("lies in a folder")).expect("is made");
    fs::write(&path, content).expect("is written");
    path
}

fn dev(project: &TempDir, arguments: &[&str]) -> Command {
    let mut command = command();
    command.arg("dev").arg(project.path()).args(arguments).stdin(Stdio::null());
    command
}

fn once(project: &TempDir) -> (Option<i32>, Vec<Value>) {
    let Output { status, stdout, .. } = dev(project, &["--once", "--json"]).output().expect("runs");
    let lines = stdout.lines().map(|line| serde_json::from_str(&line.expect("is text")).expect("is JSON"));
    (status.code(), lines.collect())
}

/// Returns the lines that processes wrote.
fn output(happenings: &[Value]) -> Vec<&str> {
    happenings.iter().filter_map(|happening| happening["output"]["line"].as_str()).collect()
}

#[test]
fn a_file_starts_its_task_without_a_shell_and_with_the_key_byte_for_byte() {
    let project = project(r#"[sh, -c, 'printf "%s|" "$@" "$KEY" "$SIZE"; echo', sh]"#);
    let key = r#"in/a b+c%20"d'{{x}}$(touch pwned)é;.csv"#;
    put(&project, key, "12345");
    let (code, happenings) = once(&project);
    assert_eq!(output(&happenings), [format!("b|{key}|{key}|5|")]);
    assert_eq!(code, Some(0));
    assert!(!project.path().join("pwned").exists(), "nothing reads a key as a command");
}

#[test]
fn files_that_no_route_takes_start_nothing() {
    let project = project("[echo]");
    put(&project, "out/a.csv", "");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(0));
    assert!(happenings.iter().any(|happening| happening.get("ignored").is_some()), "{happenings:?}");
}

#[test]
fn a_failed_task_makes_dev_fail_and_shows_its_exit_code() {
    let project = project("[sh, -c, 'echo broken >&2; exit 3']");
    put(&project, "in/a", "");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    assert_eq!(output(&happenings), ["broken"]);
    let exit = happenings.iter().find_map(|happening| happening["stopped"]["containers"][0]["exit_code"].as_i64());
    assert_eq!(exit, Some(3));
}

#[test]
fn a_program_that_does_not_exist_fails_the_task() {
    let project = project("[no-such-program]");
    put(&project, "in/a", "");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    assert!(output(&happenings)[0].starts_with("cannot start `no-such-program`"), "{happenings:?}");
}

#[test]
fn a_container_that_the_task_definition_does_not_have_is_refused() {
    let project = project("[echo]");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there").replace("{ name: app, command", "{ name: ap, command");
    fs::write(config, text).expect("is written");
    put(&project, "in/a", "");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    let refused = happenings.iter().find_map(|happening| happening["refused"]["reason"].as_str());
    assert!(refused.expect("is refused").contains("no container `ap` to override"), "{refused:?}");
}

#[test]
fn a_link_out_of_the_bucket_is_not_an_object() {
    let project = project("[cat]");
    fs::write(project.path().join("secret"), "secret").expect("is written");
    symlink(project.path().join("secret"), project.path().join("buckets/b/in/link")).expect("is linked");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    let refused = happenings.iter().find_map(|happening| happening["refused"]["reason"].as_str());
    assert!(refused.expect("is refused").contains("points outside the bucket's folder"), "{refused:?}");
}

#[test]
fn the_essential_container_ends_the_others() {
    let project = project("[sh, -c, 'exit 0']");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    let sidecar =
        "command: [never] }, sidecar: { command: [sh, -c, 'read line < /dev/tty || sleep 1000'], essential: false }";
    fs::write(config, text.replace("command: [never] }", sidecar)).expect("is written");
    put(&project, "in/a", "");
    let (_, happenings) = once(&project);
    let stopped = happenings.iter().find_map(|happening| happening["stopped"]["containers"].as_array());
    assert_eq!(stopped.expect("the task stopped").len(), 2);
}

#[test]
fn an_image_runs_in_docker_if_an_engine_answers() {
    let project = project("[import]");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    fs::write(config, text.replace("command: [never]", "image: importer")).expect("is written");
    put(&project, "in/a", "");
    // A stand-in for the Docker client that prints its arguments.
    let docker = |script: &str| {
        let bin = project.path().join("bin");
        fs::create_dir_all(&bin).expect("is made");
        fs::write(bin.join("docker"), format!("#!/bin/sh\n{script}\n")).expect("is written");
        fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).expect("can be run");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("is set"));
        let ran = dev(&project, &["--once"]).env("PATH", path).output().expect("runs");
        (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    };
    let (code, said) = docker("echo \"docker $* KEY=$KEY\"");
    assert_eq!(code, Some(0));
    for part in [
        "docker run --rm --init --name ecs-trigger-",
        "--env KEY",
        ":/buckets/b ",
        "--entrypoint import importer b in/a KEY=in/a",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let (code, said) = docker("exit 1");
    assert_eq!(code, Some(1));
    assert!(said.contains("no Docker engine answers"), "{said}");
}

#[test]
fn a_task_is_judged_by_its_essential_containers() {
    let project = project("[sh, -c, 'exit 0']");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    let sidecar = "command: [never] }, sidecar: { command: [sh, -c, 'exec sleep 1000'], essential: false }";
    fs::write(config, text.replace("command: [never] }", sidecar)).expect("is written");
    put(&project, "in/a", "");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(0), "{happenings:?}");
}

#[test]
fn a_file_that_is_being_written_is_taken_once_it_is_closed() {
    let project = project("[sh, -c, 'cat buckets/$1/$2', sh]");
    let mut half = File::create(project.path().join("buckets/b/in/half")).expect("is made");
    half.write_all(b"first ").expect("is written");
    let mut process = dev(&project, &["--once", "--json"]).stdout(Stdio::piped()).spawn().expect("runs");
    let mut lines = BufReader::new(process.stdout.take().expect("is piped")).lines().map(|line| line.expect("is text"));
    assert!(lines.any(|line| line.contains("incomplete")), "the incomplete file is reported");
    half.write_all(b"second").expect("is written");
    drop(half);
    assert!(lines.any(|line| line.contains("first second")), "the whole file is read");
    assert!(process.wait().expect("ends").success());
}

#[test]
fn a_named_pipe_is_not_an_object_and_does_not_delay_other_files() {
    let project = project("[echo]");
    let pipe = project.path().join("buckets/b/in/a-pipe");
    assert!(Command::new("mkfifo").arg(pipe).status().expect("runs").success());
    put(&project, "in/b", "");
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(1), vec!["b in/b"]));
}

#[test]
fn processes_that_a_task_starts_in_their_own_session_end_with_the_task() {
    let project = project("[sh, -c, 'setsid sleep 1000 > /dev/null 2>&1 & echo $!']");
    put(&project, "in/a", "");
    let (_, happenings) = once(&project);
    let line = happenings.iter().find(|happening| happening.get("output").is_some()).expect("says its id");
    wait_until_gone(&processes(&line["output"]));
}

#[test]
fn file_names_cannot_control_the_terminal() {
    let project = project("['true']");
    put(&project, "in/\u{1b}[31mred\u{7}", "");
    let ran = dev(&project, &["--once"]).output().expect("runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains(r"in/\u{1b}[31mred\u{7}") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn what_a_task_writes_cannot_control_the_terminal() {
    let project = project("[echo]");
    put(&project, "in/\u{1b}[2J\u{202e}gpj\u{9b}", "");
    let ran = dev(&project, &["--once"]).output().expect("runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let written = said.lines().filter(|line| !line.contains("still being written"));
    let named = written.filter(|line| line.contains(r"in/\u{1b}[2J\u{202e}gpj\u{9b}")).count();
    assert_eq!(named, 4, "the object, the launch, the output and the end: {said:?}");
    assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{said:?}");
}

#[test]
fn output_that_cannot_be_written_does_not_stop_the_tasks() {
    let project = project("[sh, -c, 'echo x > ran']");
    put(&project, "in/a", "");
    let full = File::options().write(true).open("/dev/full").expect("is there");
    let ran = dev(&project, &["--once"]).stdout(full).output().expect("runs");
    assert_eq!(ran.status.code(), Some(6), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(project.path().join("ran").exists());
}

/// A running `dev` that waits for files. It ends when this value is dropped.
struct Waiting {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Waiting {
    fn start(project: &TempDir) -> Self {
        let mut waiting = Self::with(project, &[]);
        waiting.until("watching");
        waiting
    }

    fn with(project: &TempDir, arguments: &[&str]) -> Self {
        let arguments = [&["--json"], arguments].concat();
        let mut process = dev(project, &arguments).stdout(Stdio::piped()).spawn().expect("runs");
        let lines = BufReader::new(process.stdout.take().expect("is piped")).lines();
        Self { process, lines }
    }

    /// Waits for the next output of this kind and returns it.
    fn until(&mut self, kind: &str) -> Value {
        for line in self.lines.by_ref() {
            let happening: Value = serde_json::from_str(&line.expect("is text")).expect("is JSON");
            if let Some(found) = happening.get(kind) {
                return found.clone();
            }
        }
        panic!("dev ended before it reported `{kind}`");
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(self.process.id()), signal).expect("dev runs");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Most stories have ended it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("is a process id")).expect("is not 0")
}

#[test]
fn a_file_that_lands_is_announced_once_it_is_closed_and_not_before() {
    let project = project("[cat]");
    let mut dev = Waiting::start(&project);
    let path = project.path().join("buckets/b/in/slow");
    let mut slow = File::create(&path).expect("is made");
    slow.write_all(b"first half, ").expect("is written");
    slow.flush().expect("is written");
    put(&project, "in/quick", "whole");
    assert_eq!(dev.until("object")["key"], "in/quick", "the slow one is still being written");
    slow.write_all(b"second half").expect("is written");
    drop(slow);
    assert_eq!(dev.until("object")["key"], "in/slow");
    fs::rename(put(&project, "tmp", "moved"), project.path().join("buckets/b/in/moved")).expect("is moved");
    loop {
        let object = dev.until("object");
        if object["key"] == "in/moved" && object["detail_type"] == "Object Created" {
            break;
        }
    }
}

#[test]
fn every_file_of_a_folder_that_appears_is_found() {
    let project = project("[echo]");
    fs::create_dir_all(project.path().join("outside/x/y")).expect("is made");
    fs::write(project.path().join("outside/x/y/z"), "").expect("is written");
    let mut dev = Waiting::start(&project);
    fs::rename(project.path().join("outside/x"), project.path().join("buckets/b/in/x")).expect("is moved");
    assert_eq!(dev.until("object")["key"], "in/x/y/z");
    put(&project, "in/new/deep/file", "");
    assert_eq!(dev.until("object")["key"], "in/new/deep/file");
}

#[test]
fn removing_a_file_deletes_its_object() {
    let project = project("[echo]");
    let path = put(&project, "in/a", "");
    let mut dev = Waiting::start(&project);
    fs::remove_file(path).expect("is removed");
    assert_eq!(dev.until("object")["detail_type"], "Object Deleted");
    assert_eq!(dev.until("output")["line"], "deleted");
}

#[test]
fn moving_a_folder_away_deletes_its_objects_and_moving_it_back_creates_them() {
    let project = project("[echo]");
    put(&project, "in/d/a", "");
    put(&project, "in/d/b", "");
    let mut dev = Waiting::start(&project);
    let (inside, outside) = (project.path().join("buckets/b/in/d"), project.path().join("away"));
    fs::rename(&inside, &outside).expect("is moved");
    let mut deleted = [dev.until("object"), dev.until("object")].map(|object| object["key"].to_string());
    deleted.sort();
    assert_eq!(deleted, [r#""in/d/a""#, r#""in/d/b""#]);
    fs::rename(&outside, &inside).expect("is moved");
    let created = dev.until("object");
    assert_eq!(created["detail_type"], "Object Created");
}

/// A task that prints its own process id and that of a child process, and would run for a long time.
const LONG: &str = "[sh, -c, 'trap \"echo stopping; exit 7\" TERM; sleep 1000 & echo $$ $!; wait']";

fn processes(line: &Value) -> Vec<Pid> {
    let line = line["line"].as_str().expect("is a line");
    line.split(' ').map(|id| pid(id.parse().expect("is a process id"))).collect()
}

/// Waits until every process has ended. A zombie counts as ended: it stays in the process table until its parent waits
/// for it.
fn wait_until_gone(processes: &[Pid]) {
    let runs = |process: &Pid| {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        test_kill_process(*process).is_ok() && !state.contains(") Z ")
    };
    let looks = (0..1_000_000).take_while(|_| processes.iter().any(runs)).inspect(|_| std::thread::yield_now()).count();
    assert!(looks < 1_000_000, "a process is still running");
}

#[test]
fn ctrl_c_stops_the_tasks_cleanly_and_then_dev() {
    let project = project(LONG);
    let mut dev = Waiting::start(&project);
    put(&project, "in/a", "");
    let processes = processes(&dev.until("output"));
    dev.signal(Signal::INT);
    assert_eq!(dev.until("output")["line"], "stopping", "SIGTERM comes first");
    assert_eq!(dev.until("stopped")["containers"][0]["exit_code"], 7);
    assert_eq!(dev.until("summary")["failed"], 1);
    assert!(dev.process.wait().expect("ends").success());
    wait_until_gone(&processes);
}

#[test]
fn a_second_ctrl_c_ends_dev_at_once() {
    let project = project("[sh, -c, 'trap \"echo stopping\" TERM; echo up; while :; do sleep 1000 & wait; done']");
    let mut dev = Waiting::start(&project);
    put(&project, "in/a", "");
    dev.until("output");
    dev.signal(Signal::INT);
    assert_eq!(dev.until("output")["line"], "stopping", "the task goes on after SIGTERM");
    dev.signal(Signal::INT);
    assert_eq!(dev.process.wait().expect("ends").code(), Some(130));
}

#[test]
fn ctrl_c_is_heard_while_a_large_file_is_read() {
    let project = project("[echo]");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    // The second file has no blocks on the disk, and takes hours to read. Files are taken in the order of their paths.
    for (key, length) in [("in/a", 0), ("in/b", 1 << 43)] {
        let file = File::create(put(&project, key, "")).expect("is made");
        file.set_len(length).and_then(|()| file.set_modified(long_ago)).expect("is changed");
    }
    let mut dev = Waiting::with(&project, &["--once"]);
    dev.until("stopped");
    dev.signal(Signal::INT);
    assert_eq!(dev.until("summary")["events"], 1);
    assert_eq!(dev.process.wait().expect("ends").code(), Some(130));
}

#[test]
fn a_second_dev_is_refused_while_the_first_runs() {
    let project = with_ledger("echo ran", "{ max: 1 }");
    let mut first = Waiting::start(&project);
    let second = dev(&project, &["--once"]).output().expect("runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(8), "{said}");
    assert!(
        said.contains(&format!("another `ecs-trigger dev` (process {}) already runs", first.process.id())),
        "{said}"
    );
    put(&project, "a", "x");
    assert_eq!(first.until("output")["line"], "ran");
    first.signal(Signal::KILL);
    first.process.wait().expect("ends");
    let third = dev(&project, &["--once"]).output().expect("runs");
    assert_ne!(third.status.code(), Some(8), "a dead process locks nothing");
}

#[test]
fn an_event_that_has_started_its_task_does_not_start_it_in_the_next_run() {
    let project = with_ledger("echo ran", "{ max: 1 }");
    let path = put(&project, "a", "x");
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(0), vec!["ran"]));
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(0), vec![]));
    assert!(happenings.iter().any(|happening| happening.get("duplicate").is_some()));
    fs::write(path, "y").expect("is written");
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(0), vec!["ran"]), "a file that is written again is a new event");
}

#[test]
fn a_task_does_not_outlive_a_dev_that_is_killed() {
    let project = project(LONG);
    let mut dev = Waiting::start(&project);
    put(&project, "in/a", "");
    let processes = processes(&dev.until("output"));
    dev.signal(Signal::KILL);
    dev.process.wait().expect("ends");
    // The pipe that the supervisor writes to closes with the last of the task's processes.
    assert_eq!(dev.lines.by_ref().map_while(Result::ok).count(), 0);
    wait_until_gone(&processes);
}

/// Creates a project with queues and schedules whose tasks print their arguments.
fn sources() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = r#"
version: 1
storage: { bucket: state }
ledger: off
tasks:
  job: { task_definition: print, overrides: { container_overrides: [{ name: app, command: ["{{ body.job }}"] }] } }
  late: { task_definition: print, overrides: { container_overrides: [{ name: app, command: ["{{ scheduled.time }}"] }] } }
  large: { task_definition: large, overrides: { container_overrides: [{ name: app, command: ["{{ body }}"] }] } }
routes:
  - { name: jobs, on: { queue: jobs }, run: job }
  - { name: ordered, on: { queue: ordered.fifo }, run: job }
  - { name: texts, on: { queue: texts }, run: large, large_payload: s3 }
  - { name: hourly, on: { schedule: cron(0 * * * ? *), timezone: Asia/Kathmandu, catch_up: last }, run: late }
local:
  queues: { jobs: { visibility_timeout: 1s, max_receive_count: 2 } }
  task_definitions:
    print: { container_definitions: { app: { entry_point: [echo] } } }
    large: { container_definitions: { app: { entry_point: [sh, -c, 'tail -c 12 "${ECS_TRIGGER_EVENT_URI#file://}"; echo'] } } }
"#;
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    folder
}

fn send(project: &TempDir, arguments: &[&str]) {
    let sent = command().arg("send").args(arguments).arg("--config").arg(project.path()).output().expect("runs");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(String::from_utf8_lossy(&sent.stdout).trim().len(), 36, "the message's id is printed");
}

#[test]
fn a_sent_message_starts_its_task_and_is_deleted() {
    let project = sources();
    send(&project, &["jobs", r#"{"job":"first"}"#]);
    send(&project, &["jobs", r#"{"job":"second"}"#]);
    let (code, happenings) = once(&project);
    let mut lines = output(&happenings);
    lines.sort_unstable();
    assert_eq!((code, lines), (Some(0), vec!["first", "second"]));
    assert_eq!(fs::read_dir(project.path().join("queues/jobs")).expect("is a folder").count(), 0);
}

#[test]
fn a_message_that_fails_comes_back_and_is_finally_dead_lettered() {
    let project = sources();
    let mut waiting = Waiting::with(&project, &[]);
    waiting.until("scheduled");
    fs::write(project.path().join("queues/jobs/bad.json"), "{not JSON").expect("is written");
    assert_eq!(waiting.until("message")["receive_count"], 1);
    let reason = waiting.until("refused")["reason"].as_str().expect("has a reason").to_owned();
    assert!(reason.contains("the message's body begins with `{` but is not JSON"), "{reason}");
    assert_eq!(waiting.until("message")["receive_count"], 2);
    let file = waiting.until("dead_lettered")["file"].as_str().expect("is a file").to_owned();
    assert_eq!(fs::read_to_string(file).expect("lies there"), "{not JSON");
    // The queue still works.
    send(&project, &["jobs", r#"{"job":"good"}"#]);
    assert_eq!(waiting.until("output")["line"], "good");
}

#[test]
fn a_group_of_a_local_fifo_queue_stops_at_the_message_that_fails() {
    let project = sources();
    for (body, group) in [(r#"{"job":"a1"}"#, "a"), ("{}", "b"), (r#"{"job":"b2"}"#, "b")] {
        send(&project, &["ordered.fifo", body, "--group", group]);
    }
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(1), vec!["a1"]));
    assert!(happenings.iter().any(|happening| happening.get("held_back").is_some()));
    assert_eq!(fs::read_dir(project.path().join("queues/ordered.fifo")).expect("is a folder").count(), 2);
}

#[test]
fn an_event_that_does_not_fit_is_stored_in_a_file_that_its_task_reads() {
    let project = sources();
    send(&project, &["texts", &format!("{}the end", "x".repeat(9000))]);
    let (code, happenings) = once(&project);
    assert_eq!((code, output(&happenings)), (Some(0), vec![r#"xxxthe end"}"#]));
}

#[test]
fn a_schedule_fires_at_a_simulated_time_in_its_time_zone() {
    let project = sources();
    let at = ["--once", "--json", "--at", "2026-01-01T18:15:00Z"];
    let ran = dev(&project, &at).output().expect("runs");
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(&line.expect("is text")).expect("is JSON"));
    let happenings: Vec<Value> = lines.collect();
    // Nepal is 5:45 ahead of UTC.
    assert_eq!(output(&happenings), ["00:00:00"]);
    let quiet = dev(&project, &["--once", "--json", "--at", "2026-01-01T18:00:00Z"]).output().expect("runs");
    assert!(!String::from_utf8_lossy(&quiet.stdout).contains("fired"));
}

#[test]
fn schedules_fire_by_a_clock_that_runs_faster() {
    let project = sources();
    let mut waiting = Waiting::with(&project, &["--at", "2026-01-01T18:14:59Z", "--speed", "36000"]);
    assert_eq!(waiting.until("scheduled")["next"], "2026-01-01T18:15:00Z");
    let fired = [waiting.until("fired"), waiting.until("fired")].map(|fired| fired["scheduled_time"].clone());
    assert_eq!(fired, ["2026-01-01T18:15:00Z", "2026-01-01T19:15:00Z"]);
}

#[test]
fn a_schedule_catches_up_on_what_it_missed_while_dev_was_not_running() {
    let project = sources();
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there").replace("cron(0 * * * ? *)", "cron(0 0 1 1 ? *)");
    fs::write(config, text).expect("is written");
    fs::create_dir_all(project.path().join(".ecs-trigger")).expect("is made");
    let years_ago = r#"{ "hourly": "2020-06-01T00:00:00Z" }"#;
    fs::write(project.path().join(".ecs-trigger/schedules.json"), years_ago).expect("is written");
    let mut waiting = Waiting::with(&project, &[]);
    waiting.until("fired");
    waiting.until("stopped");
    waiting.signal(Signal::INT);
    assert_eq!(waiting.until("summary")["events"], 1, "once, however many firings were missed");
    drop(waiting);
    let mut again = Waiting::with(&project, &[]);
    again.until("scheduled");
    again.signal(Signal::INT);
    assert_eq!(again.until("summary")["events"], 0, "it has caught up");
}

/// Creates a project with a ledger whose tasks run this shell script with the object's key.
fn with_ledger(script: &str, concurrency: &str) -> TempDir {
    with_route(script, &format!("concurrency: {concurrency}"), "")
}

/// Creates a project with a ledger whose route and whose task have these further settings.
fn with_route(script: &str, of_route: &str, of_task: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        r#"
version: 1
storage: {{ bucket: state }}
tasks:
  t: {{ {of_task} task_definition: t, overrides: {{ container_overrides: [{{ name: app, command: ["{{{{ key }}}}"] }}] }} }}
routes:
  - {{ name: r, on: {{ s3: {{ bucket: b }} }}, run: t, {of_route} }}
local:
  task_definitions: {{ t: {{ container_definitions: {{ app: {{ entry_point: [sh, -c, '{script}', sh] }} }} }} }}
"#
    );
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    fs::create_dir_all(folder.path().join("buckets/b")).expect("is made");
    folder
}

#[test]
fn launches_that_find_all_slots_taken_run_one_after_the_other() {
    // A task that finds another task's folder did not run alone.
    let script = r#"mkdir running || echo "not alone"; echo "$1"; rmdir running"#;
    let project = with_ledger(script, "{ max: 1 }");
    for key in ["a", "b", "c"] {
        put(&project, key, "x");
    }
    let (code, happenings) = once(&project);
    let mut lines = output(&happenings);
    lines.sort_unstable();
    assert_eq!((code, lines), (Some(0), vec!["a", "b", "c"]));
    assert_eq!(happenings.iter().filter(|happening| happening.get("deferred").is_some()).count(), 2);
}

#[test]
fn a_launch_that_finds_all_slots_taken_is_skipped_if_the_route_says_so() {
    let project = with_ledger("sleep 1", "{ max: 1, when_full: skip }");
    for key in ["a", "b"] {
        put(&project, key, "x");
    }
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(0));
    assert_eq!(happenings.iter().filter(|happening| happening.get("skipped").is_some()).count(), 1);
}

#[test]
fn a_task_that_fails_leaves_its_event_among_the_dead_letters_and_its_history_in_the_ledger() {
    let project = with_ledger("exit 3", "{ max: 1 }");
    put(&project, "a", "x");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    assert!(happenings.iter().any(|happening| happening.get("event_dead_lettered").is_some()));
    let letters: Vec<_> =
        fs::read_dir(project.path().join(".ecs-trigger/dead-letters")).expect("is a folder").collect();
    let letter = fs::read_to_string(letters[0].as_ref().expect("is a file").path()).expect("is text");
    let letter: Value = serde_json::from_str(&letter).expect("is JSON");
    assert_eq!((letters.len(), &letter["event"]["detail"]["object"]["key"]), (1, &"a".into()));
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1));
    assert!(!happenings.iter().any(|happening| happening.get("started").is_some()), "the ledger knows its launch");
    let refused =
        |happening: &Value| happening["refused"]["reason"].as_str().is_some_and(|it| it.contains("exit code 3"));
    assert!(happenings.iter().any(refused), "{happenings:?}");
}

/// Returns the values of a key of all happenings of this kind.
fn of_kind<'a>(happenings: &'a [Value], kind: &str, key: &str) -> Vec<&'a Value> {
    happenings.iter().filter_map(|happening| happening.get(kind)?.get(key)).collect()
}

/// Returns the only folder below `.ecs-trigger/runs`, its record, and the texts of its files with output, by name.
fn run_of(project: &TempDir) -> (Value, Vec<(String, String)>) {
    let mut runs = fs::read_dir(project.path().join(".ecs-trigger/runs")).expect("is a folder");
    let folder = runs.next().expect("there is a launch").expect("is read").path();
    assert!(runs.next().is_none(), "there is one launch");
    let mut logs = Vec::new();
    for entry in fs::read_dir(&folder).expect("is a folder") {
        let path = entry.expect("is read").path();
        let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
        if name.ends_with(".log") {
            logs.push((name, fs::read_to_string(&path).expect("is text")));
        }
    }
    logs.sort();
    let record = fs::read_to_string(folder.join("record.json")).expect("is there");
    (serde_json::from_str(&record).expect("is JSON"), logs)
}

#[test]
fn a_launch_leaves_its_record_and_the_output_of_each_attempt() {
    let script = "echo \"$1\"; test -e done || { touch done; echo broken >&2; exit 3; }";
    let project = with_route(script, "", "retry: { attempts: 3, on: any, backoff: 1s },");
    put(&project, "a", "x");
    let (code, happenings) = once(&project);
    assert_eq!(code, Some(1), "one of its tasks failed");
    let (record, logs) = run_of(&project);
    assert!(record["ended"]["outcome"] == "succeeded", "{record}");
    let lines: Vec<Vec<&str>> = logs
        .iter()
        .map(|(_, log)| log.lines().map(|line| line.split_once("Z ").expect("has a time").1).collect())
        .collect();
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0-app.log", "1-app.log"]);
    assert_eq!(lines, [vec!["| a", "! broken"], vec!["| a"]]);
    let key = ["route", "date", "id"].map(|part| record["key"][part].as_str().expect("is text")).join("/");
    for kind in ["launched", "output", "stopped"] {
        assert!(of_kind(&happenings, kind, "launch").iter().all(|launch| **launch == *key), "{kind}");
        assert!(of_kind(&happenings, kind, "event_id").iter().all(|id| **id == record["event_id"]), "{kind}");
        let attempts = of_kind(&happenings, kind, "attempt");
        assert_eq!((attempts.first(), attempts.last()), (Some(&&0.into()), Some(&&1.into())), "{kind}");
    }
    let next = of_kind(&happenings, "stopped", "next");
    assert_eq!((next.len(), &next[0]["start"]), (1, &serde_json::json!({ "number": 2, "max": 3 })));
    let ignored = fs::read_to_string(project.path().join(".ecs-trigger/.gitignore")).expect("is there");
    assert_eq!(ignored, "*\n");
}

#[test]
fn without_a_ledger_a_launch_leaves_its_record_and_output_too() {
    let project = project("[sh, -c, 'echo up; exit 3', sh]");
    put(&project, "in/a", "");
    let (code, _) = once(&project);
    let (record, logs) = run_of(&project);
    let reason = record["ended"]["outcome"]["dead_lettered"].as_str().expect("failed");
    assert!(reason.contains("app: exit code 3; without a ledger, nothing tries it again"), "{reason}");
    assert_eq!((code, logs.len()), (Some(1), 1));
    assert!(logs[0].1.ends_with(" | up\n"), "{logs:?}");
}

#[test]
fn lines_tell_the_attempt_and_when_the_next_starts() {
    let project = with_route("exit 3", "", "retry: { attempts: 2, on: any, backoff: 1s },");
    put(&project, "in/a.csv", "x");
    let ran = dev(&project, &["--once"]).output().expect("runs");
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    for part in [
        "r in/a.csv: runs t, attempt 1 of 2\n",
        "r in/a.csv: failed (exit 3) after ",
        " s, attempt 2 of 2 in 1 s\n",
        "r in/a.csv: runs t, attempt 2 of 2\n",
        "r in/a.csv: dead letter: ",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let has_time = |line: &str| line.get(..9).is_some_and(|time| time.ends_with(' ') && time.matches(':').count() == 2);
    assert!(said.lines().filter(|line| line.contains("in/a.csv")).all(has_time), "{said}");
}

#[test]
fn a_changed_config_applies_and_one_with_errors_does_not() {
    let project = with_ledger("echo first", "{ max: 1 }");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    let mut dev = Waiting::start(&project);
    put(&project, "a", "x");
    assert_eq!(dev.until("output")["line"], "first");
    fs::write(&config, text.replace("run: t,", "run: tt,")).expect("is written");
    let kept = dev.until("config_kept");
    assert!(kept["problems"].to_string().contains("unknown task `tt`"), "{kept}");
    put(&project, "b", "x");
    assert_eq!(dev.until("output")["line"], "first", "the config before still applies");
    let more = "  - { name: more, on: { s3: { bucket: c } }, run: t }\nlocal:";
    fs::write(&config, text.replace("echo first", "echo second").replace("local:", more)).expect("is written");
    let changed = dev.until("config_changed");
    assert_eq!(changed["added"], serde_json::json!([{ "kind": "route", "name": "more" }]));
    assert_eq!(changed["changed"], serde_json::json!([{ "kind": "setting", "name": "local" }]));
    fs::write(project.path().join("buckets/c/new"), "x").expect("is written");
    assert_eq!(dev.until("launched")["route"], "more");
    assert_eq!(dev.until("output")["line"], "second");
    fs::write(
        &config,
        text.replace("storage: { bucket: state }\n", "ledger: off\n").replace("concurrency: { max: 1 }", ""),
    )
    .expect("is written");
    let reason = dev.until("config_kept")["reason"].to_string();
    assert!(reason.contains("start `dev` again"), "{reason}");
}

#[test]
fn only_the_named_routes_run_and_their_output_may_be_left_out() {
    let project = project("[echo]");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    fs::write(&config, text.replace("routes:", "routes:\n  - { name: also, on: { s3: { bucket: b } }, run: t }"))
        .expect("is written");
    put(&project, "in/a", "");
    let ran = dev(&project, &["--once", "--json", "--route", "also", "--quiet"]).output().expect("runs");
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(&line.expect("is text")).expect("is JSON"));
    let happenings: Vec<Value> = lines.collect();
    assert_eq!(of_kind(&happenings, "launched", "route"), ["also"]);
    assert_eq!(output(&happenings), [] as [&str; 0]);
    assert!(run_of(&project).1[0].1.ends_with(" | b in/a\n"), "it is kept");
    let unknown = dev(&project, &["--once", "--route", "alsa"]).output().expect("runs");
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(2), "{said}");
    assert!(said.contains("the config has no route `alsa`; did you mean `also`?"), "{said}");
}

#[test]
fn what_ctrl_c_stops_is_named() {
    let project = project(LONG);
    let mut dev = Waiting::start(&project);
    put(&project, "in/a", "");
    dev.until("output");
    dev.signal(Signal::INT);
    assert_eq!(dev.until("stopping")["tasks"][0]["subject"], "in/a");
}

#[test]
fn what_is_missing_under_local_is_told_at_the_start_with_what_to_add() {
    let project = project("[echo]");
    let config = project.path().join("ecs-trigger.yaml");
    let text = fs::read_to_string(&config).expect("is there");
    let start = text.find("    u: { container_definitions").expect("is there");
    fs::write(&config, &text[..start]).expect("is written");
    let (_, happenings) = once(&project);
    let snippet = of_kind(&happenings, "missing_local", "snippet");
    let expected = "local:\n  task_definitions:\n    u:\n      container_definitions:\n        app: ";
    assert!(snippet[0].as_str().is_some_and(|snippet| snippet.starts_with(expected)), "{snippet:?}");
}

#[test]
fn output_of_python_is_not_held_back() {
    let project = project("[sh, -c, 'echo $PYTHONUNBUFFERED', sh]");
    put(&project, "in/a", "");
    assert_eq!(output(&once(&project).1), ["1"]);
}

#[test]
fn a_dead_letter_is_closed_once_its_work_was_done() {
    let project = with_ledger("test -e fixed", "{ max: 1 }");
    let path = put(&project, "a", "x");
    assert_eq!(once(&project).0, Some(1));
    let letters = project.path().join(".ecs-trigger/dead-letters");
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(letters.join(folder)).into_iter().flatten().map(|entry| entry.expect("is read"));
        let files = entries.filter(|entry| entry.path().is_file());
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let letter = names("");
    assert_eq!(letter.len(), 1);
    fs::write(project.path().join("fixed"), "").expect("is written");
    fs::write(&path, "touched").expect("is written");
    let (code, happenings) = once(&project);
    assert_eq!((code, of_kind(&happenings, "dead_letter_closed", "subject")), (Some(0), vec![&"a".into()]));
    assert_eq!((names(""), names("done")), (vec![], letter));
}

#[test]
fn another_process_asks_dev_to_redrive_a_dead_letter() {
    let project = with_ledger("test -e fixed", "{ max: 1 }");
    put(&project, "a", "x");
    assert_eq!(once(&project).0, Some(1));
    let letters = project.path().join(".ecs-trigger/dead-letters");
    let letter = fs::read_dir(&letters).expect("is a folder").next().expect("is there").expect("is read").path();
    let mut dev = Waiting::start(&project);
    fs::write(project.path().join("fixed"), "").expect("is written");
    let requests = project.path().join(".ecs-trigger/requests");
    fs::create_dir_all(&requests).expect("is made");
    fs::write(requests.join("bad.json"), "{}").expect("is written");
    assert!(dev.until("requested")["error"].is_string());
    fs::copy(&letter, requests.join(".good")).expect("is copied");
    fs::rename(requests.join(".good"), requests.join("good.json")).expect("is moved");
    assert_eq!(dev.until("requested")["answer"]["launches"][0]["outcome"], "launched");
    assert_eq!(dev.until("stopped")["ending"], "succeeded");
    dev.until("dead_letter_closed");
    assert!(requests.join("good.answer").exists() && !requests.join("good.json").exists());
    assert!(letters.join("done").join(letter.file_name().expect("has a name")).exists());
}

#[test]
fn another_process_asks_dev_to_run_cancel_and_retry() {
    let project = with_ledger("test -e quick || sleep 1000", "{ max: 1 }");
    let mut dev = Waiting::start(&project);
    let path = put(&project, "a", "x");
    let launch = dev.until("launched")["launch"].as_str().expect("has a name").to_owned();
    let requests = project.path().join(".ecs-trigger/requests");
    fs::create_dir_all(&requests).expect("is made");
    let ask = |text: String| {
        fs::write(requests.join(".next"), text).expect("is written");
        fs::rename(requests.join(".next"), requests.join("next.json")).expect("is moved");
    };
    ask(format!(r#"{{"cancel":"{launch}"}}"#));
    assert_eq!(dev.until("requested")["answer"]["cancelled"], *launch);
    assert_eq!(dev.until("stopped")["ending"], "stopped");
    fs::write(project.path().join("quick"), "").expect("is written");
    ask(format!(r#"{{"retry":"{launch}"}}"#));
    assert_eq!(dev.until("requested")["answer"]["retried"], *launch);
    let stopped = dev.until("stopped");
    assert_eq!((&stopped["launch"], &stopped["ending"]), (&launch.into(), &"succeeded".into()));
    fs::remove_file(path).expect("is removed");
    let event = r#"{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","account":"000000000000",
        "time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{"version":"0","bucket":{"name":"other"},
        "object":{"key":"given","size":1,"etag":"e","sequencer":"1"},"reason":"PutObject"}}"#;
    ask(format!(r#"{{"run":"r","event":{event}}}"#));
    dev.until("requested");
    assert_eq!(dev.until("stopped")["subject"], "given");
}

#[test]
fn a_thousand_files_at_once_each_start_one_task() {
    let project = with_route("true", "", "");
    let mut dev = Waiting::with(&project, &["--max-tasks", "20"]);
    dev.until("watching");
    for number in 0..1000 {
        put(&project, &format!("{number}"), "x");
    }
    let mut launches: Vec<String> = (0..1000).map(|_| dev.until("stopped")["launch"].to_string()).collect();
    let open = fs::read_dir(format!("/proc/{}/fd", dev.process.id())).expect("runs").count();
    assert!(open < 100, "{open} files are open");
    launches.sort();
    launches.dedup();
    assert_eq!(launches.len(), 1000);
    dev.signal(Signal::INT);
    assert_eq!(dev.until("summary")["succeeded"], 1000);
}
