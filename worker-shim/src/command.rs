//! Runs a command for each message, in a process group of its own.

use std::convert::Infallible;
use std::future::pending;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::sleep;

use crate::Notice;
use crate::queue::Message;

/// The command's environment variable with the message's id.
pub const MESSAGE_ID_VARIABLE: &str = "SQS_MESSAGE_ID";
/// The command's environment variable with how often the message was received.
pub const RECEIVE_COUNT_VARIABLE: &str = "SQS_RECEIVE_COUNT";
/// The command's environment variable with the URL of the message's queue.
pub const QUEUE_URL_VARIABLE: &str = "SQS_QUEUE_URL";
/// The command's environment variable with the message's group; not set for a message without one.
pub const GROUP_ID_VARIABLE: &str = "SQS_MESSAGE_GROUP_ID";

/// A command that must end and still runs this long after SIGTERM gets SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// A handler that runs a command for each message. The command reads the message's body from standard input, and
/// succeeds if it exits with 0. What it leaves behind in its process group is killed when it ends.
#[derive(Debug, Clone)]
pub struct CommandHandler {
    words: Arc<[String]>,
    forward_sigterm: bool,
    grace: Duration,
}

impl CommandHandler {
    /// Creates a handler for this program and its arguments. With `forward_sigterm`, commands that run while the worker
    /// stops get SIGTERM; otherwise they get no signal and finish.
    #[must_use]
    pub fn new(words: Vec<String>, forward_sigterm: bool) -> Self {
        Self { words: words.into(), forward_sigterm, grace: GRACE }
    }

    /// Runs the command for a message.
    ///
    /// # Errors
    /// The command is empty, cannot be started, or does not exit with 0.
    pub async fn run(self, message: Message, notice: Notice) -> Result<(), String> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err("the command is empty".to_owned());
        };
        let mut child = Command::new(program);
        child
            .args(arguments)
            .env(MESSAGE_ID_VARIABLE, &message.id)
            .env(RECEIVE_COUNT_VARIABLE, message.receive_count.to_string())
            .env(QUEUE_URL_VARIABLE, &message.queue_url)
            .envs(message.group_id.iter().map(|group_id| (GROUP_ID_VARIABLE, group_id)))
            .stdin(Stdio::piped())
            // Only the shim receives Ctrl-C and signals to its process group; the command finishes its message.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = child.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
        let group = Group::of(child.id());
        let stdin = child.stdin.take();
        // Beside the wait, not before it: a command need not read its input, and what it leaves behind may hold the
        // pipe open.
        let feed = async {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(message.body.as_bytes()).await;
            }
            pending::<Infallible>().await
        };
        let status = tokio::select! {
            status = child.wait() => status,
            never = feed => match never {},
            never = self.signal(&group, &notice) => match never {},
        };
        let status = status.map_err(|error| format!("`{program}`: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("`{program}`: {status}")) }
    }

    /// Signals the command's group when the worker stops and when the message's time is over.
    async fn signal(&self, group: &Group, notice: &Notice) -> Infallible {
        let forward = async {
            if self.forward_sigterm {
                notice.stopping().await;
                group.signal(Signal::TERM);
            }
            pending::<Infallible>().await
        };
        tokio::select! {
            never = forward => match never {},
            _ = notice.over() => {}
        }
        group.signal(Signal::TERM);
        sleep(self.grace).await;
        group.signal(Signal::KILL);
        pending().await
    }
}

/// A command's process group, which is killed when the value is dropped: after the command, and with the worker.
struct Group(Option<Pid>);

impl Group {
    /// Returns the group that the process with this id leads.
    fn of(leader: Option<u32>) -> Self {
        Self(leader.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Fails only when no process of the group is left.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::*;

    /// A test fails if it waits longer than this.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A command under test, and the signals to it.
    struct Run {
        stop: watch::Sender<bool>,
        over: watch::Sender<Option<String>>,
        work: tokio::task::JoinHandle<Result<(), String>>,
    }

    fn start(script: &str, body: &str, forward_sigterm: bool) -> Run {
        let (stop, stopping) = watch::channel(false);
        let (over, is_over) = watch::channel(None);
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let handler =
            CommandHandler { grace: Duration::from_millis(300), ..CommandHandler::new(words, forward_sigterm) };
        let message = Message { body: body.to_owned(), ..Message::default() };
        let work = tokio::spawn(handler.run(message, Notice::new(stopping, is_over)));
        Run { stop, over, work }
    }

    impl Run {
        async fn result(self) -> Result<(), String> {
            timeout(PATIENCE, self.work).await.expect("the command ends in time").expect("does not panic")
        }
    }

    /// Waits until the file has a first line, and returns it.
    async fn line(path: &Path) -> String {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return line.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "{} is written", path.display());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no process has this id.
    async fn gone(id: &str) {
        let pid = Pid::from_raw(id.parse().expect("is a number")).expect("is an id");
        let began = Instant::now();
        // A killed process stays a zombie until its parent, which is not this process, takes its status.
        while rustix::process::test_kill_process(pid).is_ok()
            && !fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
        {
            assert!(began.elapsed() < PATIENCE, "process {id} ends");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn the_exit_status_decides() {
        assert_eq!(start("test \"$(cat)\" = hello", "hello", false).result().await, Ok(()));
        assert_eq!(start("exit 3", "", false).result().await, Err("`sh`: exit status: 3".to_owned()));
        let empty = CommandHandler::new(Vec::new(), false).run(Message::default(), Notice::never()).await;
        assert_eq!(empty, Err("the command is empty".to_owned()));
        let unknown = CommandHandler::new(vec!["no-such-program".to_owned()], false);
        let unknown = unknown.run(Message::default(), Notice::never()).await;
        assert!(unknown.is_err_and(|reason| reason.starts_with("cannot start `no-such-program`: ")));
    }

    /// A pipe holds 64 KiB.
    #[tokio::test]
    async fn a_long_body_that_a_child_in_the_background_holds_does_not_block_the_command_which_takes_the_child_along() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let child = folder.path().join("child");
        let script = format!("sleep 600 <&0 & echo $! > {}", child.display());
        assert_eq!(start(&script, &"x".repeat(100 * 1024), false).result().await, Ok(()));
        gone(&line(&child).await).await;
    }

    #[tokio::test]
    async fn a_command_whose_time_is_over_gets_sigterm_and_then_sigkill() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let said = folder.path().join("said");
        for (script, expected) in [
            ("trap 'exit 5' TERM; echo ready > FILE; while :; do sleep 0.05; done", "`sh`: exit status: 5"),
            ("trap '' TERM; echo ready > FILE; while :; do sleep 0.05; done", "`sh`: signal: 9 (SIGKILL)"),
        ] {
            let run = start(&script.replace("FILE", &said.display().to_string()), "", false);
            line(&said).await;
            run.over.send_replace(Some("its time is over".to_owned()));
            assert_eq!(run.result().await, Err(expected.to_owned()));
            fs::remove_file(&said).expect("is there");
        }
    }

    #[tokio::test]
    async fn sigterm_is_forwarded_only_on_request() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (ready, go) = (folder.path().join("ready"), folder.path().join("go"));
        let script = format!(
            "trap 'exit 5' TERM; echo ready > {}; while ! [ -e {} ]; do sleep 0.05; done",
            ready.display(),
            go.display()
        );
        let forwarded = start(&script, "", true);
        line(&ready).await;
        forwarded.stop.send_replace(true);
        assert_eq!(forwarded.result().await, Err("`sh`: exit status: 5".to_owned()));
        fs::remove_file(&ready).expect("is there");
        let untold = start(&script, "", false);
        line(&ready).await;
        untold.stop.send_replace(true);
        fs::write(&go, "").expect("can be written");
        assert_eq!(untold.result().await, Ok(()));
    }

    #[tokio::test]
    async fn a_command_that_is_dropped_ends_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let child = folder.path().join("child");
        let run = start(&format!("sleep 600 & echo $! > {}; wait", child.display()), "", false);
        let id = line(&child).await;
        run.work.abort();
        gone(&id).await;
    }
}
