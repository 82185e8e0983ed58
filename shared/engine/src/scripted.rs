//! Ports for tests: ECS answers as the test defines, and every call is recorded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use trigger_core::ecs::TaskRequest;
use trigger_core::launch::{DeadLetter, Failure, Pace, Reply, SeenTask, TaskStatus};

use crate::ports::{
    Clock, DeadLetters, Entry, Expected, Launcher, Ledger, LedgerError, NotSent, PayloadError, Payloads, Ports,
    Unanswered,
};

pub(crate) type Answer = Box<dyn Fn(&TaskRequest, usize) -> Reply + Send + Sync>;

/// The ports, and a record of the calls to them.
pub(crate) struct Scripted {
    pub(crate) answer: Answer,
    pub(crate) asked: Mutex<Vec<TaskRequest>>,
    pub(crate) put: Mutex<Vec<String>>,
    pub(crate) refuses_payloads: bool,
    pub(crate) ledger: Mutex<BTreeMap<String, (String, usize)>>,
    /// The kinds of the ledger requests.
    pub(crate) requests: Mutex<Vec<&'static str>>,
    /// Whether the ledger accepts writes.
    pub(crate) remembers: bool,
    pub(crate) letters: Mutex<Vec<DeadLetter>>,
    pub(crate) takes_letters: bool,
    pub(crate) stopped: Mutex<Vec<String>>,
    pub(crate) tasks: Mutex<HashMap<String, TaskStatus>>,
    pub(crate) now: Mutex<Timestamp>,
    pub(crate) pace: Mutex<Pace>,
    /// Whether calls take a while, so that others run meanwhile.
    pub(crate) dawdles: bool,
    /// How many calls are in progress, and the highest number so far.
    pub(crate) at_once: Mutex<(usize, usize)>,
}

impl Scripted {
    /// Returns ports whose RunTask replies come from `answer`, which gets the request and the number of earlier ones.
    pub(crate) fn new(answer: impl Fn(&TaskRequest, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            asked: Mutex::default(),
            put: Mutex::default(),
            refuses_payloads: false,
            ledger: Mutex::default(),
            requests: Mutex::default(),
            remembers: true,
            letters: Mutex::default(),
            takes_letters: false,
            stopped: Mutex::default(),
            tasks: Mutex::default(),
            now: Mutex::new("2026-01-01T10:00:00Z".parse().expect("is a time")),
            pace: Mutex::default(),
            dawdles: false,
            at_once: Mutex::default(),
        }
    }

    /// Returns ports whose RunTask calls start all tasks: `arn:1`, `arn:2`, ...
    pub(crate) fn that_starts() -> Self {
        Self::new(|request, before| started((0..request.count.unwrap_or(1)).map(|task| before + 1 + task as usize)))
    }

    fn note(&self, request: &'static str) {
        self.requests.lock().expect("not poisoned").push(request);
    }

    /// Returns the kinds of the ledger requests since the last call.
    pub(crate) fn take_requests(&self) -> String {
        std::mem::take(&mut *self.requests.lock().expect("not poisoned")).join(" ")
    }

    pub(crate) fn pass(&self, duration: Duration) {
        *self.now.lock().expect("not poisoned") += duration;
    }
}

/// Returns a reply that started these tasks.
pub(crate) fn started(numbers: impl IntoIterator<Item = usize>) -> Reply {
    Reply::Tasks {
        task_arns: numbers.into_iter().map(|number| format!("arn:{number}")).collect(),
        failures: Vec::new(),
    }
}

/// Returns an error of ECS.
pub(crate) fn refused(code: &str, message: &str) -> Reply {
    Reply::Error { code: code.to_owned(), message: message.to_owned(), resource_ids: Vec::new(), of_server: false }
}

/// Returns a reply without tasks, because of too little memory.
pub(crate) fn no_memory() -> Reply {
    let detail = Some("2 GiB free".to_owned());
    let failure = Failure { arn: Some("i-1".to_owned()), reason: "RESOURCE:MEMORY".to_owned(), detail };
    Reply::Tasks { task_arns: Vec::new(), failures: vec![failure] }
}

impl Ports for Scripted {
    fn launcher(&self) -> &impl Launcher {
        self
    }

    fn payloads(&self) -> &impl Payloads {
        self
    }

    fn ledger(&self) -> &impl Ledger {
        self
    }

    fn dead_letters(&self) -> Option<&impl DeadLetters> {
        self.takes_letters.then_some(self)
    }

    fn clock(&self) -> &impl Clock {
        self
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}

impl Launcher for Scripted {
    async fn run_task(&self, request: &TaskRequest) -> Reply {
        let under_way = {
            let mut at_once = self.at_once.lock().expect("not poisoned");
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
            at_once.0
        };
        // The later a launch began, the sooner it ends.
        for _ in 0..if self.dawdles { 60 - under_way.min(50) } else { 0 } {
            tokio::task::yield_now().await;
        }
        self.at_once.lock().expect("not poisoned").0 -= 1;
        let before = {
            let mut asked = self.asked.lock().expect("not poisoned");
            asked.push(request.clone());
            asked.len() - 1
        };
        (self.answer)(request, before)
    }

    async fn stop_task(&self, _: Option<&str>, task_arn: &str, reason: &str) -> Result<(), Unanswered> {
        self.stopped.lock().expect("not poisoned").push(format!("{task_arn}: {reason}"));
        Ok(())
    }

    async fn describe_tasks(&self, _: Option<&str>, task_arns: &[String]) -> Result<Vec<SeenTask>, Unanswered> {
        let tasks = self.tasks.lock().expect("not poisoned");
        let seen = |arn: &String| SeenTask {
            arn: arn.clone(),
            attempt: None,
            status: tasks.get(arn).cloned().unwrap_or(TaskStatus::Alive),
        };
        Ok(task_arns.iter().map(seen).collect())
    }

    async fn find_tasks(&self, _: Option<&str>, _: &str) -> Result<Vec<String>, Unanswered> {
        Ok(Vec::new())
    }
}

impl Payloads for Scripted {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        if self.refuses_payloads {
            return Err(PayloadError("AccessDenied".to_owned()));
        }
        let shown = format!("{} characters at {}", event.len(), uri.split('/').take(4).collect::<Vec<_>>().join("/"));
        self.put.lock().expect("not poisoned").push(shown);
        Ok(())
    }
}

impl Ledger for Scripted {
    async fn read(&self, uri: &str) -> Result<Option<Entry>, LedgerError> {
        self.note("read");
        let ledger = self.ledger.lock().expect("not poisoned");
        Ok(ledger.get(uri).map(|(text, version)| Entry { text: text.clone(), version: version.to_string() }))
    }

    async fn write(&self, uri: &str, text: &str, expected: &Expected) -> Result<String, LedgerError> {
        self.note("write");
        if !self.remembers {
            return Err(LedgerError::Unavailable("SlowDown".to_owned()));
        }
        let mut ledger = self.ledger.lock().expect("not poisoned");
        let version = ledger.get(uri).map(|(_, version)| version.to_string());
        let is_as_expected = match expected {
            Expected::Anything => true,
            Expected::Nothing => version.is_none(),
            Expected::Version(expected) => version.as_ref() == Some(expected),
        };
        if !is_as_expected {
            return Err(LedgerError::Changed);
        }
        let next = version.and_then(|version| version.parse::<usize>().ok()).unwrap_or_default() + 1;
        ledger.insert(uri.to_owned(), (text.to_owned(), next));
        Ok(next.to_string())
    }

    async fn delete(&self, uri: &str) -> Result<(), LedgerError> {
        self.note("delete");
        self.ledger.lock().expect("not poisoned").remove(uri);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, until: &str) -> Result<Vec<String>, LedgerError> {
        self.note("list");
        let ledger = self.ledger.lock().expect("not poisoned");
        let uris = ledger.range(prefix.to_owned()..=until.to_owned()).map(|(uri, _)| uri);
        Ok(uris.filter(|uri| after.is_none_or(|after| uri.as_str() > after)).take(2).cloned().collect())
    }
}

impl DeadLetters for Scripted {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        self.letters.lock().expect("not poisoned").push(letter.clone());
        Ok(())
    }
}

impl Clock for Scripted {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(duration);
    }
}
