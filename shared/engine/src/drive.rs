//! Drives one launch: carries out the protocol's steps and passes their results back, until nothing is left to do.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{
    Answer, Conclusion, Concurrency, LaunchRecord, NotRendered, Pool, Protocol, Rendered, Reply, SlotsChangeKind, Step,
    StopReason, Verdict, later,
};
use trigger_core::routing::RoutingConfig;

use crate::ports::{
    Begun, Change, Clock, DELAY_MAX, LAUNCHES_MAX, LaunchStore, Launcher, NotSent, Ports, StoreError, Stored,
    Unanswered, Work, WorkQueue,
};
use crate::{dead_letter, render};

mod line;
use line::TRIES_MAX;

/// An invocation makes no RunTask call in this last part of its time, so that it can still record replies: a call takes at
/// most 7 s, the write that records it as long, and 2 s are left for the reply to Lambda. At most a third of the remaining
/// time.
const MARGIN_MAX: SignedDuration = SignedDuration::from_secs(16);
/// Without a ledger, a call that the rate limit would delay longer than this is not made.
const PACE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// With a ledger, a call that the rate limit would delay longer than this is left to the work queue.
const CALL_WAIT_MAX: SignedDuration = SignedDuration::from_secs(10);
/// A launch whose call was left to the work queue is continued after this time.
pub(crate) const LEFT_FOR: Duration = Duration::from_secs(5);
/// One write reserves at most this many calls. Those that are not made, or made late, are lost to other invocations: with
/// 25, fifty sandboxes use 94 % of the rate and are throttled, with 5 they use 96 % and are not (story `launch_rate`).
const RESERVED_AT_ONCE: u32 = 5;
/// Pauses up to this length are waited out; longer ones are left to the work queue, or to the sweep.
const PATIENCE: SignedDuration = SignedDuration::from_secs(3);
/// A due time nearer than this is replaced by a later one: looking at a launch for nothing costs more than updating the
/// index.
const TOO_SOON: SignedDuration = SignedDuration::from_mins(2);
/// One call describes at most this many tasks.
const DESCRIBED_AT_ONCE: usize = 100;

/// Why a launch could not be driven further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// The launch store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// ECS did not answer a question about tasks.
    #[error(transparent)]
    Ecs(#[from] Unanswered),
    /// The dead-letter queue did not answer.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// An event has to be dead-lettered for this reason, but there is no dead-letter queue.
    #[error("{0}")]
    NoDeadLetterQueue(String),
    /// The invocation had no time left for the rest.
    #[error("the invocation has no time left: a call hangs, or there is too much to do")]
    OutOfTime,
}

impl DriveError {
    /// Returns the error's name, by which Lambda reports it and logs count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Unreadable { .. }) => "UnreadableRecord",
            Self::Store(_) => "StoreError",
            Self::Ecs(_) => "EcsError",
            Self::NotSent(_) => "DeadLetterError",
            Self::NoDeadLetterQueue(_) => "NoDeadLetterQueue",
            Self::OutOfTime => "OutOfTime",
        }
    }
}

/// The state in which a drive stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The launch has ended.
    Ended,
    /// The launch waits until this time.
    Waits(Timestamp),
    /// The invocation had no time left, or the rate limit no place for the call.
    OutOfTime,
}

/// A launch in progress, with what the store holds about it.
#[derive(Debug)]
pub(crate) struct Driven {
    pub protocol: Protocol,
    /// What the store holds, once the launch is recorded.
    pub stored: Option<Stored>,
    /// Whether a RunTask call of this drive started tasks.
    pub has_launched: bool,
    /// How many slots are free after this launch took its own.
    pub open_slots: Option<u32>,
    /// When the next call may be made, if it is reserved.
    call_at: Option<Timestamp>,
    /// How often the slots were taken by others.
    tries: u32,
    /// What follows for other launches.
    follow_ups: Vec<FollowUp>,
    /// Other launches that were continued because of this one.
    pub others: Vec<Continued>,
}

/// A launch that was continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// The launch.
    pub launch: LaunchKey,
    /// Whether a RunTask call started tasks.
    pub has_launched: bool,
    /// The conclusion, if the launch has ended.
    pub conclusion: Option<Conclusion>,
}

/// What follows from a drive for other launches.
#[derive(Debug)]
enum FollowUp {
    /// A launch hears that a later one replaces or supersedes it.
    Tell(LaunchKey, Answer),
    /// The next in line may take slots of this limit.
    Next(Concurrency),
    /// A launch that was given its slots continues.
    Continue(Box<Driven>),
}

impl Driven {
    /// Starts a launch that is not in the store, as far as is known.
    pub(crate) fn begin(record: LaunchRecord) -> Self {
        Self::new(Protocol::begin(record), None)
    }

    /// Continues a launch from its record in the store.
    pub(crate) fn resume(stored: Stored) -> Self {
        Self::new(Protocol::resume(stored.record.clone()), Some(stored))
    }

    fn new(protocol: Protocol, stored: Option<Stored>) -> Self {
        Self {
            protocol,
            stored,
            has_launched: false,
            open_slots: None,
            call_at: None,
            tries: 0,
            follow_ups: Vec::new(),
            others: Vec::new(),
        }
    }

    pub(crate) fn record(&self) -> &LaunchRecord {
        self.protocol.record()
    }

    /// Returns what became of the launch.
    pub(crate) fn continued(&self) -> Continued {
        let record = self.record();
        let (launch, conclusion) = (record.key.clone(), record.ended.clone());
        Continued { launch, has_launched: self.has_launched, conclusion }
    }

    /// Notes that the record was written.
    fn is_written(&mut self, stored: Stored) {
        self.protocol.written(stored.record.due);
        self.stored = Some(stored);
    }

    /// Makes the next in line look for slots that this launch has released.
    pub(crate) fn wake_next(&mut self) {
        if let Some(concurrency) = self.record().concurrency.clone() {
            self.follow_ups.push(FollowUp::Next(concurrency));
        }
    }
}

/// Drives launches through one set of ports, with a ledger or without.
#[derive(Debug)]
pub(crate) struct Driver<'a, P> {
    pub ports: &'a P,
    /// The config in force.
    pub config: &'a RoutingConfig,
    /// No call begins after this time.
    latest: Option<Timestamp>,
    /// The reserved times of calls.
    call_times: Mutex<HashMap<Pool, VecDeque<Timestamp>>>,
    /// How many launches this invocation still has to start, as far as is known.
    expected: AtomicU32,
    /// Launches that another invocation continues.
    left: Mutex<Vec<Work>>,
}

impl<'a, P: Ports> Driver<'a, P> {
    /// Returns a driver for an invocation that ends at `deadline`.
    pub(crate) fn new(ports: &'a P, config: &'a RoutingConfig, deadline: Option<Timestamp>) -> Self {
        let latest = deadline.map(|deadline| {
            let now = ports.clock().now();
            let margin = (deadline.duration_since(now) / 3).min(MARGIN_MAX);
            deadline.checked_sub(margin).unwrap_or(deadline)
        });
        let (call_times, expected, left) = (Mutex::default(), AtomicU32::new(1), Mutex::default());
        Self { ports, config, latest, call_times, expected, left }
    }

    /// Says how many launches are about to be started, so that one write reserves their calls.
    pub(crate) fn expect(&self, launches: usize) {
        self.expected.store(u32::try_from(launches).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Returns the store, if there is a ledger.
    pub(crate) fn store(&self) -> Option<&'a impl LaunchStore> {
        self.config.ledger().and_then(|_| self.ports.store())
    }

    /// Drives a launch until it ends, waits or runs out of time, and then the launches that follow from it.
    ///
    /// # Errors
    /// The store, ECS or the dead-letter queue did not answer, or cannot be used. A recorded launch continues when it is
    /// due.
    pub(crate) async fn drive(&self, driven: &mut Driven) -> Result<Rest, DriveError> {
        let rest = self.drive_one(driven).await;
        self.leave_until_its_time(driven, &rest);
        driven.others = self.follow(std::mem::take(&mut driven.follow_ups)).await;
        rest
    }

    /// Leaves what a launch still needs to another invocation, and what follows from it for others.
    pub(crate) async fn leave_the_rest(&self, driven: &mut Driven) {
        driven.others = self.follow(std::mem::take(&mut driven.follow_ups)).await;
        if driven.record().ended.is_none() {
            self.leave(std::slice::from_ref(&driven.record().key), Duration::ZERO);
        }
        self.hand_over().await;
    }

    /// Hands the launches that were left to the work queue. If that fails, the sweep finds them when they are due.
    pub(crate) async fn hand_over(&self) {
        let left = std::mem::take(&mut *lock(&self.left));
        if let Some(work) = self.ports.work().filter(|_| self.config.ledger().is_some() && !left.is_empty()) {
            let _ = work.add(&left).await;
        }
    }

    /// Leaves launches to other invocations.
    pub(crate) fn leave(&self, launches: &[LaunchKey], delay: Duration) {
        let parts = launches.chunks(LAUNCHES_MAX).map(|part| Work { launches: part.to_vec(), delay });
        lock(&self.left).extend(parts);
    }

    fn leave_until_its_time(&self, driven: &Driven, rest: &Result<Rest, DriveError>) {
        let now = self.now();
        let Some(wake) = driven.protocol.wake(now).filter(|_| driven.stored.is_some()) else { return };
        let delay = match rest {
            Ok(Rest::OutOfTime) => LEFT_FOR.max(unsigned(wake.duration_since(now))),
            _ => unsigned(wake.duration_since(now)),
        };
        if delay <= DELAY_MAX {
            self.leave(std::slice::from_ref(&driven.record().key), delay);
        }
    }

    /// Drives the launches that follow from others. One that fails here, or that no time is left for, is due anyway.
    async fn follow(&self, mut follow_ups: Vec<FollowUp>) -> Vec<Continued> {
        let mut followed = Vec::new();
        while let Some(follow_up) = follow_ups.pop() {
            let mut other = match follow_up {
                FollowUp::Continue(driven) => *driven,
                FollowUp::Tell(key, answer) => {
                    let Ok(Some(stored)) = self.read(&key).await else { continue };
                    let mut other = Driven::resume(stored);
                    other.protocol.hear(answer, self.now());
                    other
                }
                FollowUp::Next(concurrency) => match self.give_slots_to_next(&concurrency, None).await {
                    Ok(Some(next)) => {
                        follow_ups.push(FollowUp::Next(concurrency));
                        next
                    }
                    Ok(None) | Err(_) => continue,
                },
            };
            let rest = self.drive_one(&mut other).await;
            self.leave_until_its_time(&other, &rest);
            follow_ups.append(&mut other.follow_ups);
            followed.push(other.continued());
        }
        followed
    }

    async fn drive_one(&self, driven: &mut Driven) -> Result<Rest, DriveError> {
        loop {
            let now = self.now();
            let answer = match driven.protocol.next(now) {
                Step::Done => return Ok(Rest::Ended),
                Step::Write => {
                    self.write(driven).await?;
                    continue;
                }
                Step::Wait(until) => {
                    let pause = until.duration_since(now);
                    let is_for_call = driven.record().open_attempt().is_some();
                    if !is_for_call || pause > PATIENCE || self.is_late(pause) {
                        return Ok(Rest::Waits(until));
                    }
                    self.ports.clock().sleep(unsigned(pause)).await;
                    continue;
                }
                Step::RunTask(request) => {
                    let call_at = match driven.call_at {
                        _ if self.is_late(SignedDuration::ZERO) => None,
                        Some(call_at) => Some(call_at),
                        None => self.time_of_call(&request, now).await,
                    };
                    let Some(call_at) = call_at else {
                        driven.protocol.leave(now);
                        while driven.protocol.has_news() {
                            self.write(driven).await?;
                        }
                        return Ok(Rest::OutOfTime);
                    };
                    if call_at > now {
                        driven.call_at = Some(call_at);
                        self.ports.clock().sleep(unsigned(call_at.duration_since(now))).await;
                        continue;
                    }
                    driven.call_at = None;
                    let reply = self.ports.launcher().run_task(&request).await;
                    let verdict = reply.verdict(1);
                    driven.has_launched |= self.judge(&reply, &verdict, &request).await;
                    let attempt = driven.record().open_attempt().unwrap_or_default();
                    let anew = match verdict {
                        Verdict::Permanent => self.anew(driven.record()).await,
                        _ => Ok(None),
                    };
                    Answer::Replied { attempt, reply, anew }
                }
                Step::TakeTurn => Answer::Turn(self.take_turn(driven.record()).await?),
                Step::DrawTicket => Answer::Ticket(self.draw_ticket(driven.record()).await?),
                Step::TakeSlots => self.look_for_slots(driven).await?,
                Step::StopTasks(arns, reason) => {
                    self.stop(driven.record(), arns, reason).await.unwrap_or(Answer::NotStopped)
                }
                Step::DescribeTasks(arns) => {
                    let cluster = driven.record().rendered.request.cluster.as_deref();
                    let mut seen = Vec::with_capacity(arns.len());
                    for arns in arns.chunks(DESCRIBED_AT_ONCE) {
                        seen.extend(self.ports.launcher().describe_tasks(cluster, arns).await?);
                    }
                    Answer::Seen(seen)
                }
                Step::FindTasks(started_by) => {
                    let cluster = driven.record().rendered.request.cluster.as_deref();
                    let task_arns = self.ports.launcher().find_tasks(cluster, &started_by).await?;
                    Answer::Found { attempt: driven.record().open_attempt().unwrap_or_default(), task_arns }
                }
                Step::DeadLetter(letter) => {
                    let Some(queue) = self.ports.dead_letters() else {
                        return Err(DriveError::NoDeadLetterQueue(letter.reason));
                    };
                    dead_letter::send(&letter, queue, self.config.ledger(), self.ports).await?;
                    Answer::DeadLettered
                }
            };
            driven.protocol.hear(answer, self.now());
        }
    }

    /// Reserves the calls of launches that are about to be started. Returns how many of them need not wait for too long.
    pub(crate) async fn reserve(&self, pool: Pool, calls: u32) -> u32 {
        let Some(store) = self.store() else { return calls };
        let mut reserved = 0;
        while reserved < calls {
            let (now, part) = (self.now(), RESERVED_AT_ONCE.min(calls - reserved));
            match store.reserve_calls(pool, part, now, self.wait_max(now)).await {
                Ok(Some(times)) => {
                    let times = (0..part).map(|number| times.at(number));
                    lock(&self.call_times).entry(pool).or_default().extend(times);
                }
                Ok(None) => break,
                // Each call asks again.
                Err(_) => return calls,
            }
            reserved += part;
        }
        reserved
    }

    /// Returns when a call may be made, or nothing if that is too late for this invocation.
    async fn time_of_call(&self, request: &TaskRequest, now: Timestamp) -> Option<Timestamp> {
        let (pool, wait_max) = (Pool::of(request), self.wait_max(now));
        let reserved = |driver: &Self| lock(&driver.call_times).get_mut(&pool).and_then(VecDeque::pop_front);
        let expected = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
        if let Some(at) = reserved(self) {
            return Some(at).filter(|at| at.duration_since(now) <= wait_max);
        }
        let own = || lock(self.ports.pace()).take(now, wait_max).map(|pause| later(now, pause));
        if self.store().is_none() {
            return own();
        }
        match self.reserve(pool, expected.unwrap_or(1).clamp(1, RESERVED_AT_ONCE)).await {
            0 => None,
            // Nothing is reserved if the store did not answer.
            _ => reserved(self).or_else(own),
        }
    }

    /// Returns how long a call may have to wait for the rate limit.
    fn wait_max(&self, now: Timestamp) -> SignedDuration {
        let longest = if self.config.ledger().is_some() { CALL_WAIT_MAX } else { PACE_MAX };
        self.latest.map_or(longest, |latest| latest.duration_since(now).min(longest))
    }

    /// Adapts the rate to a reply. Returns whether the reply started tasks.
    async fn judge(&self, reply: &Reply, verdict: &Verdict, request: &TaskRequest) -> bool {
        lock(self.ports.pace()).hear(verdict);
        if let (Verdict::Busy { throttled: true }, Some(store)) = (verdict, self.store()) {
            let _ = store.slow_down(Pool::of(request), self.now()).await;
        }
        matches!(reply, Reply::Tasks { task_arns, .. } if !task_arns.is_empty())
    }

    /// Returns the task of a recorded launch as the config in force renders it, if that makes another call.
    async fn anew(&self, record: &LaunchRecord) -> Result<Option<Box<Rendered>>, NotRendered> {
        match self.store() {
            Some(_) => Ok(render::anew(record, self.config, self.ports).await?.map(Box::new)),
            None => Ok(None),
        }
    }

    async fn stop(&self, record: &LaunchRecord, arns: Vec<String>, reason: StopReason) -> Result<Answer, Unanswered> {
        for arn in &arns {
            self.ports.launcher().stop_task(record.rendered.request.cluster.as_deref(), arn, reason.text()).await?;
        }
        Ok(Answer::StopAsked(arns))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock().now()
    }

    /// Returns whether no time would be left for a call after this pause.
    pub(crate) fn is_late(&self, pause: SignedDuration) -> bool {
        self.latest.is_some_and(|latest| latest.duration_since(self.now()) <= pause)
    }

    /// Reads a launch.
    pub(crate) async fn read(&self, key: &LaunchKey) -> Result<Option<Stored>, DriveError> {
        let Some(store) = self.store() else { return Ok(None) };
        Ok(store.read(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// Writes the record, if the store still holds the version that was read. Otherwise continues with what the store
    /// holds.
    pub(crate) async fn write(&self, driven: &mut Driven) -> Result<(), DriveError> {
        let record = self.due_record(driven);
        let due = record.due;
        let Some(store) = self.store() else {
            driven.protocol.written(due);
            return Ok(());
        };
        let Some(stored) = driven.stored.clone() else {
            let begun = store.begin(std::slice::from_ref(&record)).await?.pop();
            self.begun(driven, record, begun);
            return Ok(());
        };
        let change = Change::new(&stored, record);
        // Boxed, because the compiler limits how deep types may be.
        let written = match Box::pin(self.hand_slot_over(store, driven, &change)).await {
            Ok(Some(stored)) => {
                driven.is_written(stored);
                return Ok(());
            }
            Ok(None) => store.advance(&change).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(stored) => {
                driven.is_written(stored);
                let freed = |kind| matches!(kind, SlotsChangeKind::Release | SlotsChangeKind::Leave);
                let may_be_more = || driven.open_slots.is_some_and(|open| open > 0);
                if change.slots.is_some_and(|slots| freed(slots.kind) || may_be_more()) {
                    driven.wake_next();
                }
                Ok(())
            }
            Err(StoreError::Changed) => {
                let Some(stored) = self.read(&stored.record.key).await? else {
                    let launch = stored.record.key.to_string();
                    let reason = "it was removed in the meantime".to_owned();
                    return Err(StoreError::Unreadable { launch, reason }.into());
                };
                driven.protocol.reload(stored.record.clone(), self.now());
                driven.stored = Some(stored);
                Ok(())
            }
            Err(StoreError::NoSlots) if driven.tries < TRIES_MAX => {
                self.give_way(driven.tries).await;
                driven.tries += 1;
                driven.protocol.without_slots(stored.record);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the record as it is to be written. An earlier time at which the launch is due stays, so that the store's
    /// index need not change.
    pub(crate) fn due_record(&self, driven: &Driven) -> LaunchRecord {
        let (now, record) = (self.now(), driven.record());
        let due = driven.protocol.due(now);
        let is_due_in_time = driven.stored.is_some() && record.due > later(now, TOO_SOON) && record.due <= due;
        let due = if record.ended.is_some() || is_due_in_time { record.due } else { due };
        LaunchRecord { due, ..record.clone() }
    }

    /// Notes that a new launch was recorded, or continues one that was recorded before.
    pub(crate) fn begun(&self, driven: &mut Driven, record: LaunchRecord, begun: Option<Begun>) {
        match begun {
            Some(Begun::Known(stored)) => {
                driven.protocol.reload(stored.record.clone(), self.now());
                driven.stored = Some(*stored);
            }
            Some(Begun::New(version)) => {
                driven.protocol.written(record.due);
                driven.stored = Some(Stored { record, version });
            }
            // The store answers for each launch; without an answer the next write asks again.
            None => {}
        }
    }

    /// Records this launch as the latest of its object. Returns false if a later event has been launched already.
    async fn take_turn(&self, record: &LaunchRecord) -> Result<bool, DriveError> {
        match (self.store(), &record.sequence) {
            (Some(store), Some(sequence)) => Ok(store.take_turn(sequence, &record.key).await?),
            _ => Ok(true),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
