//! The supervisor, which keeps a task's processes from outliving the task.
//!
//! `dev` starts a container's process through a supervisor: a small process whose standard input is a pipe from `dev`.
//! The pipe closes when the task must stop and when `dev` ends, however it ends. The supervisor then stops the process
//! and everything that the process started.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// A process that still runs this long after SIGTERM gets SIGKILL.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The exit code of a process that cannot be started, as in a shell.
pub const CANNOT_START: u8 = 127;

/// Runs `command` until it ends or standard input closes; returns its exit code, 128 + n for signal n.
///
/// With `container`, the process is a Docker client, and the container of that name is removed at the end.
pub fn supervise(command: &[String], container: Option<&str>) -> u8 {
    adopt_orphans();
    let Some((program, arguments)) = command.split_first() else { return CANNOT_START };
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).process_group(0).spawn();
    let code = match spawned {
        Ok(child) => wait(child),
        Err(error) => {
            tell(&format!("cannot start `{program}`: {error}"));
            CANNOT_START
        }
    };
    if let Some(name) = container {
        let remove =
            Command::new("docker").args(["rm", "--force", name]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Err(error) = remove {
            tell(&format!("cannot remove the container `{name}`, which may still be running: {error}"));
        }
    }
    code
}

/// Writes a line for `dev`, which may be gone.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn wait(mut child: Child) -> u8 {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::spawn(move || {
        // Any end of the pipe, an error included, stops the process.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        signal(group, Signal::TERM);
        thread::sleep(STOP_TIMEOUT);
        signal(group, Signal::KILL);
    });
    let status = child.wait();
    // What the process started and left behind belongs to the task too.
    signal(group, Signal::KILL);
    end_orphans();
    status.map_or(CANNOT_START, exit_code)
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Fails only when no process of the group is left.
        let _ = kill_process_group(group, signal);
    }
}

/// Makes each process that the task starts a child of this one when its own parent ends, whatever group or session it
/// has moved to. Only Linux supports this.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills the adopted children, and those that are adopted when they end.
fn end_orphans() {
    #[cfg(target_os = "linux")]
    while let Some(orphan) = adopted() {
        let _ = rustix::process::kill_process(orphan, Signal::KILL);
        let _ = rustix::process::waitpid(Some(orphan), rustix::process::WaitOptions::empty());
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

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
