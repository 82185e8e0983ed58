//! The engine's ports in the simulated world. Before and after every effect, other processes may run, time may pass,
//! and the process may crash.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::launch::{DeadLetter, Holder, Pace, Reply, SeenTask, Slots};
use trigger_engine::ports::{
    Clock, DeadLetters, Entry, Expected, Launcher, Ledger, LedgerError, NotSent, PayloadError, Payloads, Ports,
    Unanswered,
};

use super::Mutation;
use super::rules;
use super::world::{Shared, World, launch_of};

/// A call fails if its reply takes longer than this.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// The ports of one process.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) world: Shared,
    /// By how much this process's clock is off.
    pub(super) skew: SignedDuration,
    pub(super) pace: Mutex<Pace>,
}

/// No reply came.
struct NoReply;

impl Simulated {
    pub(super) fn new(world: Shared, skew: SignedDuration) -> Self {
        Self { world, skew, pace: Mutex::default() }
    }

    /// Makes a call over the network. The request or the reply may get lost.
    async fn call<T>(&self, effect: impl FnOnce(&mut World) -> T) -> Result<T, NoReply> {
        let sent = self.world.lock().now;
        gate().await;
        let (result, done) = {
            let mut world = self.world.lock();
            let refused = world.faults.refused;
            if world.now.duration_since(sent) > PATIENCE || world.chance(refused) {
                world.mishaps += 1;
                return Err(NoReply);
            }
            (effect(&mut world), world.now)
        };
        gate().await;
        let mut world = self.world.lock();
        let lost = world.faults.lost;
        if world.now.duration_since(done) > PATIENCE || world.chance(lost) {
            world.mishaps += 1;
            world.tell(|| "  (the reply is lost)".to_owned());
            return Err(NoReply);
        }
        Ok(result)
    }
}

/// Lets other processes run.
pub(super) async fn gate() {
    let mut has_waited = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Ports for Simulated {
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
        Some(self)
    }

    fn clock(&self) -> &impl Clock {
        self
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        self.world.lock().now + self.skew
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        while self.now() < until {
            gate().await;
        }
    }
}

impl Payloads for Simulated {
    async fn put(&self, _: &str, _: &str) -> Result<(), PayloadError> {
        self.call(|_| ()).await.map_err(|NoReply| PayloadError("no reply".to_owned()))
    }
}

impl DeadLetters for Simulated {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        let sent = self.call(|world| {
            world.tell(|| format!("dead letter of {:?}: {}", letter.launch, letter.reason));
            world.dead_letters.push(letter.clone());
        });
        sent.await.map_err(|NoReply| NotSent::Failed("no reply".to_owned()))
    }
}

impl Launcher for Simulated {
    async fn run_task(&self, request: &TaskRequest) -> Reply {
        let mut request = request.clone();
        let mutation = self.world.lock().mutation;
        if mutation == Some(Mutation::ReuseTokenAfterFailure)
            && let Some(key) = launch_of(&request)
        {
            request.client_token = key.id;
        }
        let called = self.call(|world| {
            let reply = world.run_task(&request);
            world.tell(|| format!("RunTask {} x{}: {reply:?}", request.started_by, request.count.unwrap_or(1)));
            reply
        });
        match called.await {
            Ok(reply) => reply,
            Err(NoReply) if mutation == Some(Mutation::AdvanceAfterTimeout) => {
                let failure = trigger_core::launch::Failure { arn: None, reason: "timeout".to_owned(), detail: None };
                Reply::Tasks { task_arns: Vec::new(), failures: vec![failure] }
            }
            Err(NoReply) => Reply::Nothing { message: "timeout".to_owned() },
        }
    }

    async fn stop_task(&self, _: Option<&str>, task_arn: &str, reason: &str) -> Result<(), Unanswered> {
        let stopped = self.call(|world| {
            let now = world.now;
            world.tell(|| format!("StopTask {task_arn}: {reason}"));
            world.ecs.stop_task(task_arn, reason, now);
        });
        stopped.await.map_err(|NoReply| Unanswered("no reply".to_owned()))
    }

    async fn describe_tasks(&self, _: Option<&str>, task_arns: &[String]) -> Result<Vec<SeenTask>, Unanswered> {
        let described = self.call(|world| {
            let seen = world.ecs.describe_tasks(task_arns, world.now);
            world.tell(|| format!("DescribeTasks: {seen:?}"));
            seen
        });
        described.await.map_err(|NoReply| Unanswered("no reply".to_owned()))
    }

    async fn find_tasks(&self, _: Option<&str>, started_by: &str) -> Result<Vec<String>, Unanswered> {
        let found = self.call(|world| {
            let found = world.ecs.list_tasks(started_by, world.now);
            world.tell(|| format!("ListTasks {started_by}: {found:?}"));
            found
        });
        found.await.map_err(|NoReply| Unanswered("no reply".to_owned()))
    }
}

fn unavailable(NoReply: NoReply) -> LedgerError {
    LedgerError::Unavailable("no reply".to_owned())
}

impl Ledger for Simulated {
    async fn read(&self, uri: &str) -> Result<Option<Entry>, LedgerError> {
        let read = self.call(|world| {
            let object = world.ledger.get(uri).cloned();
            if world.mutation == Some(Mutation::CountSlotsByListTasks) && uri.contains("/slots/") {
                return Some(slots_by_list_tasks(world, uri));
            }
            object.map(|object| {
                let hides = world.mutation == Some(Mutation::TwoCallAtOnce) && uri.contains("/launches/");
                let text = if hides { without_caller(&object.text) } else { object.text };
                Entry { text, version: object.version }
            })
        });
        read.await.map_err(unavailable)
    }

    async fn write(&self, uri: &str, text: &str, expected: &Expected) -> Result<String, LedgerError> {
        let written = self.call(|world| {
            let skips = match world.mutation {
                Some(Mutation::SkipLedgerWrite) => uri.contains("/launches/"),
                Some(Mutation::CountSlotsByListTasks) => uri.contains("/slots/"),
                _ => false,
            };
            if skips {
                return Ok("skipped".to_owned());
            }
            let is_as_expected = match (expected, world.ledger.get(uri)) {
                (Expected::Anything, _) | (Expected::Nothing, None) => true,
                (Expected::Version(version), Some(object)) => object.version == *version,
                _ => false,
            };
            world.tell(|| format!("write {uri}: {}", if is_as_expected { text } else { "refused, it has changed" }));
            if !is_as_expected {
                return Err(LedgerError::Changed);
            }
            let version = world.put(uri, text);
            // The AWS client repeats a request that got no reply, and then finds the version that it wrote itself.
            let repeats = world.faults.lost > 0.0 && world.rng.u32(0..50) == 0;
            if repeats && *expected != Expected::Anything { Err(LedgerError::Changed) } else { Ok(version) }
        });
        written.await.map_err(unavailable)?
    }

    async fn delete(&self, uri: &str) -> Result<(), LedgerError> {
        let deleted = self.call(|world| {
            world.tell(|| format!("delete {uri}"));
            world.ledger.remove(uri);
        });
        deleted.await.map_err(unavailable)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, until: &str) -> Result<Vec<String>, LedgerError> {
        let listed = self.call(|world| {
            let uris = world.ledger.range(prefix.to_owned()..=until.to_owned()).map(|(uri, _)| uri);
            uris.filter(|uri| after.is_none_or(|after| uri.as_str() > after)).take(3).cloned().collect()
        });
        listed.await.map_err(unavailable)
    }
}

/// Returns a record from which the caller of every attempt is removed.
fn without_caller(text: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    for attempt in record["attempts"].as_array_mut().into_iter().flatten() {
        attempt.as_object_mut().map(|attempt| attempt.remove("calling"));
    }
    record.to_string()
}

/// Returns the slots as ListTasks would count them.
fn slots_by_list_tasks(world: &World, uri: &str) -> Entry {
    let lag = world.ecs.behaviour.lag;
    let running = world.ecs.tasks.values().filter(|task| {
        let is_seen = world.now.duration_since(task.started) >= lag;
        is_seen && task.stopped.is_none() && rules::slots_of(&task.request).is_some_and(|name| uri.contains(&name))
    });
    let holders =
        running.filter_map(|task| Some(Holder { launch: launch_of(&task.request)?, tasks: 1, stopping: false }));
    let slots = Slots { holders: holders.collect(), ..Slots::default() };
    Entry { text: serde_json::to_string(&slots).unwrap_or_default(), version: "listed".to_owned() }
}
