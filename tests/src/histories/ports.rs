//! The engine's ports in the simulated world. Before and after every effect, other processes may run, time may pass,
//! and the process may crash.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::{
    CallTimes, DeadLetter, LaunchRecord, LaunchSet, Line, Pace, Pool, Reply, SeenTask, Sequence, SetCounts,
    SlotsChange, SlotsChangeKind,
};
use trigger_engine::ports::{
    Begun, Change, Clock, Cursor, DeadLetters, DuePage, HistoryPage, LaunchStore, Launcher, NotAdded, NotSent,
    PayloadError, Payloads, Ports, StoreError, Stored, Unanswered, Work, WorkQueue,
};

use super::Mutation;
use super::world::{Faults, Shared, World, launch_of};

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
        let called = self.exchange(effect, |faults| faults.lost).await;
        if called.is_err() {
            self.world.lock().loses_answers_of_writes_only = false;
        }
        called
    }

    /// Sends a request and waits for the reply, which gets lost with a probability.
    async fn exchange<T>(
        &self,
        effect: impl FnOnce(&mut World) -> T,
        lost: impl FnOnce(&Faults) -> f64,
    ) -> Result<T, NoReply> {
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
        let lost = lost(&world.faults);
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

    fn store(&self) -> Option<&impl LaunchStore> {
        Some(self)
    }

    fn work(&self) -> Option<&impl WorkQueue> {
        Some(self)
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
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        let put = self.call(|world| drop(world.payloads.insert(uri.to_owned(), event.to_owned())));
        put.await.map_err(|NoReply| PayloadError("no reply".to_owned()))
    }

    async fn get(&self, uri: &str) -> Result<String, PayloadError> {
        let got = self.call(|world| world.payloads.get(uri).cloned()).await;
        got.ok().flatten().ok_or_else(|| PayloadError(format!("cannot read {uri}")))
    }
}

impl DeadLetters for Simulated {
    async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
        let sent = self.call(|world| {
            if world.chance(world.faults.busy) {
                return Err(NotSent::Failed("the queue refuses it".to_owned()));
            }
            world.tell(|| format!("dead letter of {:?}: {}", letter.launch, letter.reason));
            world.dead_letters.push(letter.clone());
            Ok(())
        });
        sent.await.unwrap_or_else(|NoReply| Err(NotSent::Failed("no reply".to_owned())))
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
            world.tell(|| format!("RunTask {}: {reply:?}", request.started_by));
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

impl Simulated {
    /// Makes a call to the store. Like the AWS client, it repeats a call that got no reply, a few times.
    async fn ask<T>(&self, mut effect: impl FnMut(&mut World) -> Result<T, StoreError>) -> Result<T, StoreError> {
        for number in 0..3 {
            let is_out = {
                let mut world = self.world.lock();
                let is_out = world.store_is_out_until.is_some_and(|until| world.now < until);
                world.mishaps += u32::from(is_out);
                is_out
            };
            let lost = |faults: &Faults| if number == 0 { faults.lost + faults.lost_at_first } else { faults.lost };
            if !is_out && let Ok(result) = self.exchange(&mut effect, lost).await {
                return result;
            }
            gate().await;
        }
        self.world.lock().loses_answers_of_writes_only = false;
        Err(StoreError::Unavailable("no reply".to_owned()))
    }
}

impl LaunchStore for Simulated {
    async fn draw_tickets(&self, limit: &str, count: u32) -> Result<u64, StoreError> {
        self.ask(|world| Ok(world.store.draw_tickets(limit, count))).await
    }

    async fn begin(&self, launches: &[LaunchRecord]) -> Result<Vec<Begun>, StoreError> {
        let mut begun = Vec::new();
        // Few at once, so that a process may crash between two parts.
        for part in launches.chunks(3) {
            let mut own = Vec::new();
            let of_part = self.ask(|world| {
                if world.mutation == Some(Mutation::SkipRecords) {
                    return Ok(part.iter().map(|_| Begun::New(1)).collect());
                }
                let begun: Vec<Begun> = part.iter().map(|record| world.store.begin(record)).collect();
                let new = part.iter().zip(&begun).filter(|(_, begun)| matches!(begun, Begun::New(_)));
                new.for_each(|(record, _)| world.arrive(&record.key));
                world.tell(|| format!("begin {:?}", part.iter().map(LaunchRecord::to_json).collect::<Vec<_>>()));
                // A repeated call recognizes what it wrote itself.
                if own.is_empty() {
                    own.extend(begun.iter().map(|begun| matches!(begun, Begun::New(_))));
                    return Ok(begun);
                }
                let recognize = |(begun, is_own): (Begun, &bool)| match begun {
                    Begun::Known(stored) if *is_own && stored.version == 1 => Begun::New(1),
                    begun => {
                        // Another process may have gone on from the write whose answer was lost.
                        world.loses_answers_of_writes_only &= !is_own;
                        begun
                    }
                };
                Ok(begun.into_iter().zip(&own).map(recognize).collect())
            });
            if self.world.lock().mutation == Some(Mutation::AnswerBeforeAllIsRecorded) && !begun.is_empty() {
                begun.extend(part.iter().map(|_| Begun::New(1)));
                continue;
            }
            begun.extend(of_part.await?);
        }
        Ok(begun)
    }

    async fn read(&self, keys: &[LaunchKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let read = self.ask(|world| {
            let mut read: Vec<Option<Stored>> = keys.iter().map(|key| world.store.read(key)).collect();
            if world.mutation == Some(Mutation::TwoCallAtOnce) {
                read.iter_mut().flatten().for_each(|stored| without_caller(&mut stored.record));
            }
            Ok(read)
        });
        read.await
    }

    async fn advance(&self, change: &Change) -> Result<Stored, StoreError> {
        let mut written: Option<Stored> = None;
        self.ask(|world| {
            let mutation = world.mutation;
            let mut change = change.clone();
            let is_release = |slots: &&SlotsChange| slots.kind == SlotsChangeKind::Release;
            match mutation {
                Some(Mutation::SkipRecords) => {
                    return Ok(Stored { version: change.version + 1, record: change.record });
                }
                Some(Mutation::SlotsWithoutLimit) => change.slots.iter_mut().for_each(|slots| slots.max = u32::MAX),
                Some(Mutation::WakeTwo) => {
                    for slots in change.slots.iter().filter(is_release) {
                        let _ = world.store.change_slots(slots, &change.record.key);
                    }
                }
                Some(Mutation::KeepSlots) => change.slots = change.slots.filter(|slots| !is_release(&slots)),
                Some(Mutation::IgnoreVersions) => {
                    let stored = world.store.read(&change.record.key);
                    change.version = stored.map_or(change.version, |stored| stored.version);
                }
                Some(Mutation::RecordSlotsLater) => change.slots = None,
                _ => {}
            }
            if let Some(own) = &written
                && world.recognizes(own, &[&change])
            {
                return Ok(own.clone());
            }
            let result = world.store.advance(&change);
            let shown = || format!("advance {}: {}", change.version, change.record.to_json());
            world.tell(|| result.as_ref().map_or_else(|error| format!("{}: {error}", shown()), |_| shown()));
            if world.loses_answers_of_writes_only && change.record.attempts.iter().any(|attempt| attempt.in_doubt) {
                world.violate(|| {
                    format!("{} is in doubt, although every write had its answer in the end", change.record.key)
                });
            }
            written = result.as_ref().ok().cloned();
            if let (Ok(_), Some(slots)) = (&result, &change.slots) {
                let launch = &change.record.key;
                match slots.kind {
                    SlotsChangeKind::Join => world.arrive(launch),
                    SlotsChangeKind::Take => world.check_slots(slots, launch),
                    SlotsChangeKind::Release | SlotsChangeKind::Leave => {}
                }
            }
            result
        })
        .await
    }

    async fn hand_over(&self, released: &Change, taken: &Change) -> Result<[Stored; 2], StoreError> {
        let mut written: Option<[Stored; 2]> = None;
        self.ask(|world| {
            let mut changes = [released.clone(), taken.clone()];
            for change in &mut changes {
                match world.mutation {
                    Some(Mutation::IgnoreVersions) => {
                        let stored = world.store.read(&change.record.key);
                        change.version = stored.map_or(change.version, |stored| stored.version);
                    }
                    Some(Mutation::RecordSlotsLater) => change.slots = None,
                    _ => {}
                }
            }
            let [released, taken] = &changes;
            if let Some(own) = &written
                && world.recognizes(&own[0], &[released, taken])
            {
                return Ok(own.clone());
            }
            let result = world.store.hand_over(released, taken);
            world.tell(|| {
                let error = result.as_ref().err().map_or_else(String::new, |error| format!(": {error}"));
                format!("hand over{error}: {} {}", released.record.to_json(), taken.record.to_json())
            });
            written = result.as_ref().ok().cloned();
            if result.is_ok() {
                if let (Some(Mutation::WakeTwo), Some(slots)) = (world.mutation, &released.slots) {
                    let _ = world.store.change_slots(slots, &released.record.key);
                }
                if let Some(slots) = &taken.slots {
                    world.check_slots(slots, &taken.record.key);
                }
            }
            result
        })
        .await
    }

    async fn line(&self, limit: &str) -> Result<Line, StoreError> {
        self.ask(|world| {
            let mut line = world.store.line(limit);
            if world.mutation == Some(Mutation::Overtake) {
                line.places.reverse();
            }
            Ok(line)
        })
        .await
    }

    async fn take_turn(&self, sequence: &Sequence, _: &LaunchKey) -> Result<bool, StoreError> {
        self.ask(|world| Ok(world.store.take_turn(sequence))).await
    }

    async fn record_set(&self, set: &LaunchSet) -> Result<(), StoreError> {
        let recorded = self.ask(|world| {
            world.store.record_set(set);
            Ok(())
        });
        recorded.await
    }

    async fn read_set(&self, name: &str) -> Result<Option<(LaunchSet, SetCounts)>, StoreError> {
        self.ask(|world| Ok(world.store.read_set(name))).await
    }

    async fn due(&self, until: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
        self.ask(|world| {
            let mut now = world.store.due(until, after.clone());
            if world.mutation == Some(Mutation::TrustTheIndex) {
                now.launches.retain(|launch| !launch.id.starts_with('0'));
            }
            let is_old = world.faults.lost > 0.0 && world.rng.u32(0..4) == 0;
            let shown = if is_old { world.old_due.clone() } else { now.clone() };
            world.old_due = now;
            Ok(shown)
        })
        .await
    }

    async fn postpone(&self, key: &LaunchKey, now: Timestamp) -> Result<(), StoreError> {
        let postponed = self.ask(|world| {
            world.store.postpone(key, now);
            Ok(())
        });
        postponed.await
    }

    async fn history(&self, query: &HistoryQuery, after: Option<Cursor>) -> Result<HistoryPage, StoreError> {
        self.ask(|world| Ok(world.store.history(query, after.as_ref()))).await
    }

    async fn reserve_calls(
        &self,
        pool: Pool,
        calls: u32,
        now: Timestamp,
        longest: SignedDuration,
    ) -> Result<Option<CallTimes>, StoreError> {
        self.ask(|world| Ok(world.store.reserve_calls(pool, calls, now, longest))).await
    }

    async fn slow_down(&self, pool: Pool, now: Timestamp) -> Result<(), StoreError> {
        let slowed = self.ask(|world| {
            world.store.slow_down(pool, now);
            Ok(())
        });
        slowed.await
    }
}

impl WorkQueue for Simulated {
    async fn add(&self, work: &[Work]) -> Result<(), NotAdded> {
        let added = self.call(|world| {
            let in_chaos = world.faults.lost > 0.0;
            for work in work {
                world.tell(|| format!("work: {work:?}"));
                // SQS delivers at least once, in any order. Here it also loses work.
                let copies = match world.rng.u32(0..12) {
                    0 if in_chaos => 0,
                    1 => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let at = world.now + work.delay + SignedDuration::from_millis(world.rng.i64(0..3000));
                    world.work.push((at, work.clone()));
                }
            }
        });
        added.await.map_err(|NoReply| NotAdded("no reply".to_owned()))
    }
}

/// Removes the caller of every attempt from a record.
fn without_caller(record: &mut LaunchRecord) {
    record.attempts.iter_mut().for_each(|attempt| attempt.calling = None);
}
