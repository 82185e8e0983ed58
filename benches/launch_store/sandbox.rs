//! Runs a function's real binary behind a stand-in for the Lambda Runtime API.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use e2e::{Answer, Asked, Server, invocation_headers, root, start_function};
use serde_json::Value;

/// Lambda ends an invocation after this time, as the stack says.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The memory of each function in MiB, as the stack's default.
const MEMORY: u32 = 256;

/// The functions that the benchmark runs.
const FUNCTIONS: [&str; 3] = ["event-trigger", "sqs-trigger", "task-lifecycle"];

/// The folder with the functions' binaries.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

/// A running function. It ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    process: Child,
    events: Sender<(u64, String)>,
    /// Which invocation was answered, whether by a response, and how.
    answers: Receiver<(u64, bool, Value)>,
    invocations: AtomicU64,
    handed: Arc<Mutex<Option<Instant>>>,
    _lambda: Server,
}

/// An invocation that is over.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The response, or why there is none.
    pub(crate) result: Result<Value, Failed>,
    /// When the function received the event.
    pub(crate) handed: Instant,
    /// How long it took from then on.
    pub(crate) took: Duration,
}

/// Why an invocation has no response.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The function raised an error.
    Raised(Value),
    /// The function did not answer in time.
    TimedOut,
}

impl Binaries {
    /// Returns the binaries beside the benchmark's own, which are built first unless they are to be used as they are.
    pub(crate) fn new(are_built: bool) -> Self {
        let own = std::env::current_exe().expect("the benchmark has a path");
        let folder = own.parent().expect("a binary is in a folder").to_owned();
        if !are_built {
            let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let profile = if profile == "debug" { "dev" } else { profile };
            let packages = FUNCTIONS.iter().flat_map(|name| ["--package", name]);
            let mut build = Command::new(env!("CARGO"));
            let build = build.args(["build", "--quiet", "--profile", profile]).args(packages).current_dir(root());
            assert!(build.status().expect("cargo runs").success(), "the functions do not build");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Sandbox {
    /// Starts the function `name` with these environment variables and none of this process.
    pub(crate) fn start(binaries: &Binaries, name: &str, variables: &[(&str, &str)]) -> Self {
        let (events, coming) = channel::<(u64, String)>();
        let (told, answers) = channel();
        let handed = Arc::new(Mutex::new(None));
        let (coming, noted) = (Mutex::new(coming), Arc::clone(&handed));
        let lambda = Server::start(move |asked: Asked| match asked.path.rsplit('/').next() {
            Some("next") => {
                let Ok((id, event)) = coming.lock().unwrap_or_else(PoisonError::into_inner).recv() else {
                    return Answer::default();
                };
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Answer { status: 200, headers: invocation_headers(&id.to_string()), body: event }
            }
            answer => {
                let body = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
                let id = asked.path.rsplit('/').nth(1).and_then(|id| id.parse().ok()).unwrap_or_default();
                // An error means that the measurement is over.
                let _ = told.send((id, answer == Some("response"), body));
                Answer { status: 202, ..Answer::default() }
            }
        });
        let process = start_function(&binaries.path(name), &lambda, variables, MEMORY);
        Self { process, events, answers, invocations: AtomicU64::new(0), handed, _lambda: lambda }
    }

    /// Invokes the function, and waits for its response.
    pub(crate) fn invoke(&self, event: &str) -> Invocation {
        let (sent, id) = (Instant::now(), self.invocations.fetch_add(1, Ordering::Relaxed));
        // Delivered when the function asks for its next event. An error means that the server has ended.
        let _ = self.events.send((id, event.to_owned()));
        let result = loop {
            match self.answers.recv_timeout(TIMEOUT.saturating_sub(sent.elapsed())) {
                Ok((answered, true, answer)) if answered == id => break Ok(answer),
                Ok((answered, false, raised)) if answered == id => break Err(Failed::Raised(raised)),
                // The late answer of an invocation that has timed out.
                Ok(_) => {}
                Err(_) => break Err(Failed::TimedOut),
            }
        };
        let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(sent);
        Invocation { result, handed, took: handed.elapsed() }
    }

    /// Returns how much processor time the function has taken.
    pub(crate) fn processor_time(&self) -> Duration {
        // Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
        let path = Path::new("/proc").join(self.process.id().to_string()).join("stat");
        let text = fs::read_to_string(path).unwrap_or_default();
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
