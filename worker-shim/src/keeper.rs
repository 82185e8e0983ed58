//! The first process of `worker-shim`, which keeps the processes of the worker.
//!
//! The worker runs as a child of the keeper, so that something outlives it: whatever ends the worker, the keeper ends the
//! commands that are left. It adopts the processes that commands leave behind, as process 1 of a container does anyway,
//! and takes their exit statuses; the worker itself only waits for its own commands. The worker's standard input is a
//! pipe from the keeper, which closes when the keeper ends, however it ends.

use std::io::{self, Read};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The option by which this program knows that it is the worker.
pub(crate) const KEPT: &str = "kept";

/// Runs the worker until it ends, and returns its exit code: 128 + n for signal n, but 0 if that is the signal that asked
/// it to stop. Only a worker that has not started to receive messages ends by that one.
///
/// # Errors
/// The worker cannot be started, or the signal handlers cannot be installed.
pub(crate) async fn keep() -> io::Result<ExitCode> {
    adopt_orphans();
    let mut child_ended = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut worker = Command::new(std::env::current_exe()?);
    worker.arg(format!("--{KEPT}")).args(std::env::args_os().skip(1)).stdin(Stdio::piped());
    // Holds the pipe open.
    let worker = worker.spawn()?;
    let id = Pid::from_child(&worker);
    let mut asked_to_stop = false;
    let status = loop {
        let signal = tokio::select! {
            // A signal to both processes comes before the end that it causes.
            biased;
            _ = terminate.recv() => Signal::TERM,
            _ = interrupt.recv() => Signal::INT,
            _ = child_ended.recv() => match take_statuses(id) {
                Some(status) => break status,
                None => continue,
            },
        };
        asked_to_stop = true;
        // Fails only if the worker has ended, and its status is taken next.
        let _ = kill_process(id, signal);
    };
    end_orphans();
    Ok(exit_code(status, asked_to_stop))
}

/// Waits, in the worker, until the keeper ends.
pub(crate) async fn gone() {
    let (end, ended) = oneshot::channel::<()>();
    // A thread of its own: the runtime would wait for one of its threads that reads at the end.
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(end);
    });
    let _ = ended.await;
}

/// Takes the statuses of all children that have ended. Returns the worker's if it is among them.
fn take_statuses(worker: Pid) -> Option<WaitStatus> {
    let mut of_worker = None;
    while let Ok(Some((child, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if child == worker {
            of_worker = Some(status);
        }
    }
    of_worker
}

fn exit_code(status: WaitStatus, asked_to_stop: bool) -> ExitCode {
    let stops = [Signal::TERM, Signal::INT].map(Signal::as_raw);
    if asked_to_stop && status.terminating_signal().is_some_and(|signal| stops.contains(&signal)) {
        return ExitCode::SUCCESS;
    }
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Makes each process that a command starts a child of this one when its own parent ends. Only Linux supports this.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills the adopted children, and those that are adopted when they end.
fn end_orphans() {
    #[cfg(target_os = "linux")]
    while let Some(orphan) = adopted() {
        let _ = kill_process(orphan, Signal::KILL);
        let _ = rustix::process::waitpid(Some(orphan), WaitOptions::empty());
    }
}

/// Returns a child of this process.
#[cfg(target_os = "linux")]
fn adopted() -> Option<Pid> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    let child = ids.find(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses is followed by the state and the parent's id.
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(own.as_str())
    });
    child.and_then(Pid::from_raw)
}
