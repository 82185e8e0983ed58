//! Ports for tests: ECS answers as the test defines, and every call is recorded.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::{
    CallTimes, DeadLetter, Failure, LaunchRecord, LaunchSet, Line, Pace, Pool, Reply, SeenTask, Sequence, SetCounts,
    TaskStatus,
};

use crate::model::StoreModel;
use crate::ports::{
    Begun, Change, Clock, Cursor, DeadLetters, DuePage, HistoryPage, LaunchStore, Launcher, NotAdded, NotSent,
    PayloadError, Payloads, Ports, StoreError, Stored, Unanswered, Work, WorkQueue,
};

pub(crate) type Answer = Box<dyn Fn(&TaskRequest, usize) -> Reply + Send + Sync>;

/// The ports, and a record of the calls to them.
pub(crate) struct Scripted {
    pub(crate) answer: Answer,
    pub(crate) asked: Mutex<Vec<TaskRequest>>,
    pub(crate) put: Mutex<Vec<String>>,
    pub(crate) refuses_payloads: bool,
    pub(crate) store: Mutex<StoreModel>,
    /// The requests to the store, except those that reserve calls.
    pub(crate) requests: Mutex<Vec<&'static str>>,
    /// Whether the store answers.
    pub(crate) remembers: bool,
    pub(crate) work: Mutex<Vec<Work>>,
    pub(crate) letters: Mutex<Vec<DeadLetter>>,
    pub(crate) takes_letters: bool,
    pub(crate) stopped: Mutex<Vec<String>>,
    pub(crate) tasks: Mutex<HashMap<String, TaskStatus>>,
    /// How many tasks each call has described.
    pub(crate) described: Mutex<Vec<usize>>,
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
            store: Mutex::default(),
            requests: Mutex::default(),
            remembers: true,
            work: Mutex::default(),
            letters: Mutex::default(),
            takes_letters: false,
            stopped: Mutex::default(),
            tasks: Mutex::default(),
            described: Mutex::default(),
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

    fn store(&self, request: &'static str) -> Result<MutexGuard<'_, StoreModel>, StoreError> {
        self.requests.lock().expect("not poisoned").push(request);
        match self.remembers {
            true => Ok(self.store.lock().expect("not poisoned")),
            false => Err(StoreError::Unavailable("ThrottlingException".to_owned())),
        }
    }

    /// Returns the requests to the store since the last call.
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

    fn store(&self) -> Option<&impl LaunchStore> {
        Some(self)
    }

    fn work(&self) -> Option<&impl WorkQueue> {
        Some(self)
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
        self.described.lock().expect("not poisoned").push(task_arns.len());
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

    async fn get(&self, uri: &str) -> Result<String, PayloadError> {
        Err(PayloadError(format!("{uri} is not there")))
    }
}

impl LaunchStore for Scripted {
    async fn draw_tickets(&self, limit: &str, count: u32) -> Result<u64, StoreError> {
        Ok(self.store("tickets")?.draw_tickets(limit, count))
    }

    async fn begin(&self, launches: &[LaunchRecord]) -> Result<Vec<Begun>, StoreError> {
        let mut store = self.store("begin")?;
        Ok(launches.iter().map(|record| store.begin(record)).collect())
    }

    async fn read(&self, keys: &[LaunchKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let store = self.store("read")?;
        Ok(keys.iter().map(|key| store.read(key)).collect())
    }

    async fn advance(&self, change: &Change) -> Result<Stored, StoreError> {
        self.store("advance")?.advance(change)
    }

    async fn hand_over(&self, released: &Change, taken: &Change) -> Result<[Stored; 2], StoreError> {
        self.store("hand over")?.hand_over(released, taken)
    }

    async fn line(&self, limit: &str) -> Result<Line, StoreError> {
        Ok(self.store("line")?.line(limit))
    }

    async fn take_turn(&self, sequence: &Sequence, _: &LaunchKey) -> Result<bool, StoreError> {
        Ok(self.store("turn")?.take_turn(sequence))
    }

    async fn record_set(&self, set: &LaunchSet) -> Result<(), StoreError> {
        self.store("set")?.record_set(set);
        Ok(())
    }

    async fn read_set(&self, name: &str) -> Result<Option<(LaunchSet, SetCounts)>, StoreError> {
        Ok(self.store("read_set")?.read_set(name))
    }

    async fn due(&self, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
        Ok(self.store("due")?.due(until, after))
    }

    async fn postpone(&self, key: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
        self.store("postpone")?.postpone(key, now);
        Ok(())
    }

    async fn history(&self, query: &HistoryQuery, after: Option<Cursor>) -> Result<HistoryPage, StoreError> {
        Ok(self.store("history")?.history(query, after.as_ref()))
    }

    async fn reserve_calls(
        &self,
        pool: Pool,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> Result<Option<CallTimes>, StoreError> {
        Ok(self.store.lock().expect("not poisoned").reserve_calls(pool, calls, now, longest))
    }

    async fn slow_down(&self, pool: Pool, now: Timestamp) -> Result<(), StoreError> {
        self.store.lock().expect("not poisoned").slow_down(pool, now);
        Ok(())
    }
}

impl WorkQueue for Scripted {
    async fn add(&self, work: &[Work]) -> Result<(), NotAdded> {
        self.work.lock().expect("not poisoned").extend(work.iter().cloned());
        Ok(())
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
