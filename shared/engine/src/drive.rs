//! Drives one launch: carries out the protocol's steps and passes their results back, until nothing is left to do.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{
    Answer, Conclusion, LaunchRecord, Protocol, Reply, Sequence, Slots, Step, StopReason, Taken, later,
};
use trigger_core::storage::{Due, DueFor, Storage};

use crate::dead_letter;
use crate::ports::{Clock, Entry, Expected, Launcher, Ledger, LedgerError, NotSent, Ports, Unanswered};

/// An invocation makes no RunTask call in this last part of its time, so that it can still record replies: a call takes at
/// most 7 s, the write that records it as long, and 2 s are left for the reply to Lambda. At most a third of the remaining
/// time.
const MARGIN_MAX: SignedDuration = SignedDuration::from_secs(16);
/// A call that the rate limit would delay longer than this is left to the sweep.
const PACE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Pauses up to this length are waited out; longer ones are left to the sweep.
const PATIENCE: SignedDuration = SignedDuration::from_secs(3);
/// A conditional write that loses to other writers this many times is given up.
const WRITES_MAX: u32 = 40;
/// A launch that was given its slots is due after this time, in case it is not driven at once.
const WAKING: SignedDuration = SignedDuration::from_mins(2);
/// The sweep checks the holders of slots at this interval.
pub(crate) const SLOTS_EVERY: SignedDuration = SignedDuration::from_mins(15);
/// One call describes at most this many tasks.
const DESCRIBED_AT_ONCE: usize = 100;

/// Why a launch could not be driven further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
    /// An entry of the ledger cannot be read.
    #[error("cannot read {uri} in the ledger: {reason}")]
    Unreadable {
        /// The URI of the entry.
        uri: String,
        /// Why it cannot be read.
        reason: String,
    },
}

impl DriveError {
    /// Returns the error's name, by which Lambda reports it and logs count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "LedgerError",
            Self::Ecs(_) => "EcsError",
            Self::NotSent(_) => "DeadLetterError",
            Self::NoDeadLetterQueue(_) => "NoDeadLetterQueue",
            Self::OutOfTime => "OutOfTime",
            Self::Unreadable { .. } => "UnreadableRecord",
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
    /// The invocation had no time left.
    OutOfTime,
}

/// A launch in progress, with the version of its record in the ledger.
#[derive(Debug)]
pub(crate) struct Driven {
    pub protocol: Protocol,
    /// The version of the record, once it is in the ledger.
    pub version: Option<String>,
    /// Whether a RunTask call of this drive started tasks.
    pub has_launched: bool,
    /// How many slots are free after this launch took its own.
    pub open_slots: Option<u32>,
    /// Launches that were given their slots and are driven next.
    woken: Vec<LaunchKey>,
    /// Launches that this one replaces.
    replaced: Vec<LaunchKey>,
    /// Other launches that were driven because of this one, with their conclusions if they have ended.
    pub(crate) others: Vec<(LaunchKey, Option<Conclusion>)>,
}

impl Driven {
    /// Starts a launch that is not in the ledger, as far as is known.
    pub(crate) fn begin(record: LaunchRecord) -> Self {
        Self::new(Protocol::begin(record), None)
    }

    /// Continues a launch from its record in the ledger.
    pub(crate) fn resume(record: LaunchRecord, version: String) -> Self {
        Self::new(Protocol::resume(record), Some(version))
    }

    fn new(protocol: Protocol, version: Option<String>) -> Self {
        Self {
            protocol,
            version,
            has_launched: false,
            open_slots: None,
            woken: Vec::new(),
            replaced: Vec::new(),
            others: Vec::new(),
        }
    }

    fn record(&self) -> &LaunchRecord {
        self.protocol.record()
    }
}

/// Drives launches through one set of ports, with a ledger or without.
#[derive(Debug)]
pub(crate) struct Driver<'a, P> {
    pub ports: &'a P,
    /// Where the ledger is, if there is one.
    pub ledger: Option<&'a Storage>,
    /// No call begins after this time.
    latest: Option<Timestamp>,
}

impl<'a, P: Ports> Driver<'a, P> {
    /// Returns a driver for an invocation that ends at `deadline`.
    pub(crate) fn new(ports: &'a P, ledger: Option<&'a Storage>, deadline: Option<Timestamp>) -> Self {
        let latest = deadline.map(|deadline| {
            let now = ports.clock().now();
            let margin = (deadline.duration_since(now) / 3).min(MARGIN_MAX);
            deadline.checked_sub(margin).unwrap_or(deadline)
        });
        Self { ports, ledger, latest }
    }

    /// Drives a launch until it ends, waits or runs out of time, and then the launches that it woke or replaces.
    ///
    /// # Errors
    /// The ledger, ECS or the dead-letter queue did not answer, or cannot be used. A recorded launch continues when it
    /// is due.
    pub(crate) async fn drive(&self, driven: &mut Driven) -> Result<Rest, DriveError> {
        let rest = self.drive_one(driven).await;
        driven.others = self.drive_others(others(driven)).await;
        rest
    }

    /// Drives launches that were given their slots.
    pub(crate) async fn wake(&self, woken: Vec<LaunchKey>) {
        self.drive_others(woken.into_iter().map(|key| (key, false)).collect()).await;
    }

    async fn drive_others(&self, mut work: Vec<(LaunchKey, bool)>) -> Vec<(LaunchKey, Option<Conclusion>)> {
        let mut driven = Vec::new();
        while let Some((key, is_replaced)) = work.pop() {
            // A launch that fails here, or that no time is left for, is due in the ledger anyway.
            if self.is_late(SignedDuration::ZERO) {
                break;
            }
            let Ok(Some((record, version))) = self.read(&key).await else { continue };
            let mut other = Driven::resume(record, version);
            if is_replaced {
                other.protocol.hear(Answer::Replaced, self.now());
            }
            let _ = self.drive_one(&mut other).await;
            work.extend(others(&mut other));
            driven.push((key, other.protocol.record().ended.clone()));
        }
        driven
    }

    async fn drive_one(&self, driven: &mut Driven) -> Result<Rest, DriveError> {
        let mut is_paced = false;
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
                    let time_left = self.latest.map_or(PACE_MAX, |latest| latest.duration_since(now).min(PACE_MAX));
                    let pause = match is_paced {
                        _ if time_left <= SignedDuration::ZERO => None,
                        true => Some(SignedDuration::ZERO),
                        false => self.pace(|pace| pace.take(now, time_left)),
                    };
                    let Some(pause) = pause else {
                        driven.protocol.leave();
                        self.write(driven).await?;
                        return Ok(Rest::OutOfTime);
                    };
                    if pause > SignedDuration::ZERO {
                        self.ports.clock().sleep(unsigned(pause)).await;
                        is_paced = true;
                        continue;
                    }
                    is_paced = false;
                    let reply = self.ports.launcher().run_task(&request).await;
                    driven.has_launched |= self.judge(&reply, request.count.unwrap_or(1));
                    let attempt = driven.record().open_attempt().unwrap_or_default();
                    Answer::Replied { attempt, reply }
                }
                Step::TakeTurn => Answer::Turn(self.take_turn(driven.record()).await?),
                Step::TakeSlots => {
                    let (taken, open) = self.take_slots(driven.record()).await?;
                    driven.open_slots = open;
                    if let Taken::Waiting { stop } = &taken {
                        driven.replaced.extend(stop.iter().cloned());
                    }
                    Answer::Slots(taken)
                }
                Step::ReleaseSlots => {
                    if let Some(concurrency) = &driven.record().concurrency {
                        let woken = self.release_slots(&concurrency.slots, &driven.record().key).await?;
                        driven.woken.extend(woken);
                    }
                    Answer::SlotsReleased
                }
                Step::StopTasks(arns, reason) => {
                    self.stop(driven.record(), arns, reason).await.unwrap_or(Answer::NotStopped)
                }
                Step::DescribeTasks(arns) => {
                    let cluster = driven.record().request.cluster.as_deref();
                    let mut seen = Vec::with_capacity(arns.len());
                    for arns in arns.chunks(DESCRIBED_AT_ONCE) {
                        seen.extend(self.ports.launcher().describe_tasks(cluster, arns).await?);
                    }
                    Answer::Seen(seen)
                }
                Step::FindTasks(started_by) => {
                    let cluster = driven.record().request.cluster.as_deref();
                    let task_arns = self.ports.launcher().find_tasks(cluster, &started_by).await?;
                    Answer::Found { attempt: driven.record().open_attempt().unwrap_or_default(), task_arns }
                }
                Step::DeadLetter(letter) => {
                    let Some(queue) = self.ports.dead_letters() else {
                        return Err(DriveError::NoDeadLetterQueue(letter.reason));
                    };
                    dead_letter::send(&letter, queue, self.ledger, self.ports).await?;
                    Answer::DeadLettered
                }
            };
            driven.protocol.hear(answer, self.now());
        }
    }

    /// Adapts the pace to a reply. Returns whether the reply started tasks.
    fn judge(&self, reply: &Reply, asked: u32) -> bool {
        self.pace(|pace| pace.hear(&reply.verdict(asked)));
        matches!(reply, Reply::Tasks { task_arns, .. } if !task_arns.is_empty())
    }

    fn pace<T>(&self, change: impl FnOnce(&mut trigger_core::launch::Pace) -> T) -> T {
        change(&mut self.ports.pace().lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn stop(&self, record: &LaunchRecord, arns: Vec<String>, reason: StopReason) -> Result<Answer, Unanswered> {
        for arn in &arns {
            self.ports.launcher().stop_task(record.request.cluster.as_deref(), arn, reason.text()).await?;
        }
        Ok(Answer::StopAsked(arns))
    }

    fn now(&self) -> Timestamp {
        self.ports.clock().now()
    }

    /// Returns whether no time would be left for a call after this pause.
    pub(crate) fn is_late(&self, pause: SignedDuration) -> bool {
        self.latest.is_some_and(|latest| latest.duration_since(self.now()) <= pause)
    }

    /// Reads the record of a launch and its version.
    pub(crate) async fn read(&self, key: &LaunchKey) -> Result<Option<(LaunchRecord, String)>, DriveError> {
        let Some(storage) = self.ledger else { return Ok(None) };
        let uri = storage.launch_uri(key);
        let Some(Entry { text, version }) = self.ports.ledger().read(&uri).await? else { return Ok(None) };
        match LaunchRecord::parse(&text) {
            Ok(record) => Ok(Some((record, version))),
            Err(reason) => Err(DriveError::Unreadable { uri, reason }),
        }
    }

    /// Writes the record, if the ledger still holds the version that was read. Otherwise continues with the record that
    /// another process wrote.
    pub(crate) async fn write(&self, driven: &mut Driven) -> Result<(), DriveError> {
        let now = self.now();
        let due = round_up(driven.protocol.due(now));
        let record = driven.record();
        let Some(storage) = self.ledger else {
            driven.protocol.written(due);
            return Ok(());
        };
        let (key, uri, has_ended) = (record.key.clone(), storage.launch_uri(&record.key), record.ended.is_some());
        let is_due_in_time = driven.version.is_some() && record.due > now && record.due <= due;
        let due = if has_ended || is_due_in_time { record.due } else { due };
        if due != record.due || driven.version.is_none() {
            self.note_due(storage, due, DueFor::Launch(key.clone())).await?;
        }
        let text = LaunchRecord { due, ..record.clone() }.to_json();
        let expected = driven.version.clone().map_or(Expected::Nothing, Expected::Version);
        match self.ports.ledger().write(&uri, &text, &expected).await {
            Ok(version) => {
                driven.version = Some(version);
                driven.protocol.written(due);
                if has_ended {
                    // Saves the sweep a look. An entry that stays behind does no harm.
                    let entry = Due { at: due, what: DueFor::Launch(key) };
                    let _ = self.ports.ledger().delete(&storage.due_uri(&entry)).await;
                }
                Ok(())
            }
            Err(LedgerError::Changed) => {
                let Some((record, version)) = self.read(&key).await? else {
                    let reason = "it was removed in the meantime".to_owned();
                    return Err(DriveError::Unreadable { uri, reason });
                };
                driven.version = Some(version);
                driven.protocol.reload(record, self.now());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a due entry, so that a sweep looks at `what` from that time on.
    pub(crate) async fn note_due(&self, storage: &Storage, at: Timestamp, what: DueFor) -> Result<(), LedgerError> {
        let uri = storage.due_uri(&Due { at, what });
        self.ports.ledger().write(&uri, "", &Expected::Anything).await.map(drop)
    }

    /// Records this launch as the latest of its object. Returns false if a later event has been launched already.
    async fn take_turn(&self, record: &LaunchRecord) -> Result<bool, DriveError> {
        let (Some(storage), Some(sequence)) = (self.ledger, &record.sequence) else { return Ok(true) };
        let uri = storage.sequence_uri(&sequence.name);
        let own = LastLaunched { sequencer: sequence.sequencer.clone(), launch: record.key.to_string() };
        self.update(&uri, |text| {
            let last: Option<LastLaunched> = text.map(|text| parse(&uri, text)).transpose()?;
            Ok(match last {
                Some(last) if Sequence::is_before(&own.sequencer, &last.sequencer) => (false, None),
                Some(last) if last.sequencer == own.sequencer => (true, None),
                _ => (true, Some(to_json(&own))),
            })
        })
        .await
    }

    /// Takes the slots of a launch. Also returns how many slots are free afterwards.
    async fn take_slots(&self, record: &LaunchRecord) -> Result<(Taken, Option<u32>), DriveError> {
        let (Some(storage), Some(concurrency)) = (self.ledger, &record.concurrency) else {
            return Ok((Taken::Held, None));
        };
        let uri = storage.slots_uri(&concurrency.slots);
        let due = round_up(later(self.now(), SLOTS_EVERY));
        let waited = record.slot.is_some();
        let take = |slots: &mut Slots| slots.take(&record.key, record.count(), concurrency, waited);
        // The due entry is written before the slots need it: an entry too many does no harm.
        self.update_slots(&uri, |slots| {
            let taken = take(slots);
            let needs_due = slots.due.is_none_or(|known| known <= self.now());
            if needs_due {
                slots.due = Some(due);
            }
            let open = concurrency.max.saturating_sub(slots.used());
            (
                (taken, Some(open)),
                needs_due
                    .then_some(DueFor::Slots(concurrency.slots.clone()))
                    .into_iter()
                    .map(|what| Due { at: due, what })
                    .collect(),
            )
        })
        .await
    }

    /// Releases the slots of a launch. Returns the launches that were given them.
    pub(crate) async fn release_slots(&self, name: &str, launch: &LaunchKey) -> Result<Vec<LaunchKey>, DriveError> {
        let Some(storage) = self.ledger else { return Ok(Vec::new()) };
        let uri = storage.slots_uri(name);
        let due = round_up(later(self.now(), WAKING));
        self.update_slots(&uri, |slots| {
            let woken = slots.release(launch);
            let dues = woken.iter().map(|key| Due { at: due, what: DueFor::Launch(key.clone()) }).collect();
            (woken, dues)
        })
        .await
    }

    /// Changes slots, after it has added the due entries that the change needs.
    async fn update_slots<T>(&self, uri: &str, change: impl Fn(&mut Slots) -> (T, Vec<Due>)) -> Result<T, DriveError> {
        for turn in 0..WRITES_MAX {
            let entry = self.ports.ledger().read(uri).await?;
            let (mut slots, expected) = match entry {
                Some(Entry { text, version }) => (parse(uri, &text)?, Expected::Version(version)),
                None => (Slots::default(), Expected::Nothing),
            };
            let before = slots.clone();
            let (result, dues) = change(&mut slots);
            if slots.holders == before.holders && slots.waiting == before.waiting {
                return Ok(result);
            }
            for due in dues {
                let Some(storage) = self.ledger else { break };
                self.note_due(storage, due.at, due.what).await?;
            }
            match self.ports.ledger().write(uri, &to_json(&slots), &expected).await {
                Ok(_) => return Ok(result),
                Err(LedgerError::Changed) => self.give_way(turn).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Unavailable(format!("too many concurrent writes to {uri}")).into())
    }

    /// Reads a text and writes the new text that `change` returns, if it returns one.
    async fn update<T>(
        &self,
        uri: &str,
        change: impl Fn(Option<&str>) -> Result<(T, Option<String>), DriveError>,
    ) -> Result<T, DriveError> {
        for turn in 0..WRITES_MAX {
            let entry = self.ports.ledger().read(uri).await?;
            let (result, text) = change(entry.as_ref().map(|entry| entry.text.as_str()))?;
            let Some(text) = text else { return Ok(result) };
            let expected = entry.map_or(Expected::Nothing, |entry| Expected::Version(entry.version));
            match self.ports.ledger().write(uri, &text, &expected).await {
                Ok(_) => return Ok(result),
                Err(LedgerError::Changed) => self.give_way(turn).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Unavailable(format!("too many concurrent writes to {uri}")).into())
    }

    async fn give_way(&self, turn: u32) {
        self.ports.clock().sleep(Duration::from_millis(u64::from(turn.min(10)) * 7)).await;
    }
}

/// The last launched event of an object.
#[derive(Serialize, Deserialize)]
struct LastLaunched {
    sequencer: String,
    launch: String,
}

fn others(driven: &mut Driven) -> Vec<(LaunchKey, bool)> {
    let replaced = std::mem::take(&mut driven.replaced).into_iter().map(|key| (key, true));
    replaced.chain(std::mem::take(&mut driven.woken).into_iter().map(|key| (key, false))).collect()
}

pub(crate) fn parse<T: for<'de> Deserialize<'de>>(uri: &str, text: &str) -> Result<T, DriveError> {
    serde_json::from_str(text)
        .map_err(|error| DriveError::Unreadable { uri: uri.to_owned(), reason: error.to_string() })
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Rounds a time up to whole seconds, as the names of due entries have no fractions.
pub(crate) fn round_up(time: Timestamp) -> Timestamp {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    if whole < time { later(whole, SignedDuration::from_secs(1)) } else { whole }
}

fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
