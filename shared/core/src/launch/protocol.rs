//! Decides the steps of one launch, one at a time.

use jiff::{SignedDuration, Timestamp};

use super::dead_letter::DeadLetter;
use super::fate::{Fate, Retry, StopReason};
use super::record::{
    Attempt, Conclusion, GivenUp, LaunchRecord, LaunchedTask, Outcome, Rendered, Reopened, Skipped, Slot, Undecided,
    WhenFull,
};
use super::reply::{Reply, Verdict};
use crate::ecs::{StoppedTask, TaskRequest};

// The life of an attempt: a caller starts its call within 30 s of recording `calling`, or records it again. After 4 min
// without a reply another process may call. 40 min after the attempt was opened the calls end. After 45 min its tasks
// are looked up, and the attempt is closed.

/// Until this long after the first call with a client token, a repeated call is certain to start nothing new. ECS keeps
/// a token until an hour after its tasks have stopped, at most 24 hours; the margin allows for clocks that differ and
/// for the duration of a call.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const TOKEN_SAFE: SignedDuration = SignedDuration::from_mins(45);
/// After this, no call is made with the token: when the tasks are looked up at [`TOKEN_SAFE`], ECS must already list
/// those that the last call started.
const LAST_CALL: SignedDuration = SignedDuration::from_mins(40);
/// A caller that recorded `calling` must start its call within this time.
const CALLING: SignedDuration = SignedDuration::from_secs(30);
/// This long after `calling` was recorded, a call without a reply counts as abandoned. Leaves time for the call itself
/// and for clocks that differ.
const ABANDONED: SignedDuration = SignedDuration::from_mins(4);
/// After this, another process may take over reporting a conclusion.
const REPORTING: SignedDuration = SignedDuration::from_mins(2);
/// Tasks whose state change has not arrived are described at this interval. ECS shows a stopped task for an hour.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(20);
/// A task that ECS does not know counts as vanished only after this time: ECS is eventually consistent.
const UNKNOWN_AT_FIRST: SignedDuration = SignedDuration::from_mins(10);
/// A task that was asked to stop is described again after this time.
const STOPPING: SignedDuration = SignedDuration::from_mins(3);
/// A queued launch looks whether it is next after as long as it has waited, but at this interval at least and at most.
/// Normally it is woken when the launch before it leaves. Many may wait for long.
const IN_LINE_MIN: SignedDuration = SignedDuration::from_mins(10);
const IN_LINE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// A launch that finds no capacity, or is throttled or at a quota, for this long is dead-lettered.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);
/// A launch is due this long after a write at the earliest.
const DUE_SOONEST: SignedDuration = SignedDuration::from_secs(30);
/// The replies of this many attempts are recorded in full. Of earlier ones only the gist stays, so that a record does not
/// outgrow an item of DynamoDB: 400 KB.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const ATTEMPTS_IN_FULL: usize = 10;
/// A launch makes at most this many attempts: `startedBy` ends with the attempt's number in three digits.
const ATTEMPTS_MAX: usize = 900;

/// The next step of a launch, which the driver carries out.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write the record, if the store still holds the version that was read. No other step comes before this write.
    Write,
    /// Record this event as the latest launched event of its object, unless a later one was launched already.
    TakeTurn,
    /// Draw a ticket for the line of the launches that share a limit.
    DrawTicket,
    /// Look whether it is this launch's turn to take slots.
    TakeSlots,
    /// Call RunTask with exactly this request.
    RunTask(Box<TaskRequest>),
    /// Ask ECS to stop these tasks.
    StopTasks(Vec<String>, StopReason),
    /// Ask ECS for the status of these tasks.
    DescribeTasks(Vec<String>),
    /// Ask ECS for the tasks that run, or will run, with this `startedBy`.
    FindTasks(String),
    /// Send the event to the dead-letter queue.
    DeadLetter(Box<DeadLetter>),
    /// Wait until this time.
    Wait(Timestamp),
    /// Do nothing: the launch has ended.
    Done,
}

/// The result of a step, or other news about the launch.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Whether no later event of the object has been launched.
    Turn(bool),
    /// The launch's ticket.
    Ticket(u64),
    /// What a launch that asked for its slots finds.
    Slots(Slots),
    /// RunTask was called.
    Replied {
        /// The attempt's number.
        attempt: u32,
        /// ECS's reply.
        reply: Reply,
        /// The task as the config in force renders it, if ECS refused the request for good and that config makes another
        /// one.
        anew: Result<Option<Box<Rendered>>, NotRendered>,
    },
    /// The process that announced its call of RunTask at this time did not make it.
    NotCalled {
        /// The attempt's number.
        attempt: u32,
        /// When the call was announced.
        calling: Timestamp,
    },
    /// ECS was asked to stop these tasks.
    StopAsked(Vec<String>),
    /// The request to stop tasks failed, as far as is known.
    NotStopped,
    /// The status of tasks.
    Seen(Vec<SeenTask>),
    /// The tasks that run, or will run, with an attempt's `startedBy`.
    Found {
        /// The attempt's number.
        attempt: u32,
        /// The tasks' ARNs.
        task_arns: Vec<String>,
    },
    /// The event is in the dead-letter queue.
    DeadLettered,
    /// A later launch replaces this one.
    Replaced,
    /// A later launch needs this one's place in line.
    Superseded,
    /// A person cancels the launch.
    Cancelled,
}

/// Why the config in force does not render a launch's task anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRendered {
    /// The event cannot be read or stored at the moment.
    #[error("the task cannot be rendered anew at the moment: {0}")]
    ForNow(String),
    /// The config has no such task, or cannot render it.
    #[error("the task cannot be rendered anew: {0}")]
    ForGood(String),
}

/// What a launch that asks for its slots finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// It may take its slots: the next write takes them, unless they are gone by then.
    Free,
    /// It waits.
    Waiting,
    /// Too few slots are free, and the launch does not wait.
    Full,
}

/// A task and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTask {
    /// The task's ARN.
    pub arn: String,
    /// The attempt that started it, if that is known.
    pub attempt: Option<u32>,
    /// The task's status.
    pub status: TaskStatus,
}

/// The status of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// It runs, or will run.
    Alive,
    /// It stopped.
    Stopped(StoppedTask),
    /// ECS does not know it.
    Missing,
}

/// A launch in progress: its record, and what this process has done for it.
///
/// The driver carries out [`Protocol::next`] and passes the result to [`Protocol::hear`], until nothing is left to do.
#[derive(Debug)]
pub struct Protocol {
    record: LaunchRecord,
    is_written: bool,
    /// The answers since the record was last read or written. They are applied again if another process wrote the
    /// record.
    heard: Vec<Answer>,
    done: Done,
}

/// What this process has done for the launch and does not repeat. None of it is in the record.
#[derive(Debug, Default)]
struct Done {
    /// The `calling` of the open attempt is this process's own.
    is_caller: bool,
    /// This process has called RunTask for the open attempt.
    has_called: bool,
    /// The `concluding` of the record is this process's own.
    is_reporter: bool,
    asked_for_slots: bool,
    looked: bool,
    searched: bool,
    stop_failed: bool,
    sent_letter: bool,
}

impl Protocol {
    /// Starts a launch that is not in the store yet.
    pub fn begin(record: LaunchRecord) -> Self {
        Self { record, is_written: false, heard: Vec::new(), done: Done::default() }
    }

    /// Continues a launch from its record in the store.
    pub fn resume(record: LaunchRecord) -> Self {
        Self { record, is_written: true, heard: Vec::new(), done: Done::default() }
    }

    /// Returns the record, with changes that are not written yet.
    pub fn record(&self) -> &LaunchRecord {
        &self.record
    }

    /// Notes that the record was written with this due time.
    pub fn written(&mut self, due: Timestamp) {
        self.record.due = due;
        self.is_written = true;
        self.heard.clear();
    }

    /// Continues with the record that another process wrote in the meantime, and applies the unwritten answers to it.
    pub fn reload(&mut self, record: LaunchRecord, now: Timestamp) {
        self.record = record;
        self.is_written = true;
        self.done.is_reporter = false;
        self.done.is_caller = false;
        for answer in std::mem::take(&mut self.heard) {
            self.hear(answer, now);
        }
    }

    /// Continues with the stored record, because the slots that the last write wanted to take are gone.
    pub fn without_slots(&mut self, record: LaunchRecord) {
        self.record = record;
        self.is_written = true;
        self.heard.clear();
        self.done.is_caller = false;
        self.done.asked_for_slots = false;
    }

    /// Returns whether the record has changed since it was read or written.
    pub fn has_news(&self) -> bool {
        !self.is_written
    }

    /// Makes [`Step::Write`] the next step, even if nothing has changed.
    pub fn touch(&mut self) {
        self.is_written = false;
    }

    /// Returns when the launch is due, if this process does not continue it. That is never at once, as this process is
    /// about to continue.
    pub fn due(&self, now: Timestamp) -> Timestamp {
        self.until(now).max(later(now, DUE_SOONEST))
    }

    /// Returns when the next step is possible.
    fn until(&self, now: Timestamp) -> Timestamp {
        let record = &self.record;
        let mut times = Vec::new();
        if let Some(concluding) = &record.concluding {
            times.push(later(concluding.at, REPORTING));
        }
        if let Some(attempt) = record.attempts.last().filter(|attempt| attempt.reply.is_none()) {
            let abandoned = attempt.calling.map(|since| later(since, ABANDONED));
            let again = attempt.undecided.as_ref().map(|undecided| undecided.again);
            let again = abandoned.or(again).unwrap_or(now);
            let is_over = now.duration_since(attempt.opened) >= LAST_CALL;
            times.push(if is_over { later(attempt.opened, TOKEN_SAFE) } else { again });
        } else if record.slot == Some(Slot::Waiting) {
            let replaces = record.concurrency.as_ref().is_some_and(|it| it.when_full == WhenFull::Replace);
            let in_line = now.duration_since(record.created).clamp(IN_LINE_MIN, IN_LINE_MAX);
            times.push(later(now, if replaces { STOPPING } else { in_line }));
        } else if record.is_missing() && record.given_up.is_none() {
            times.push(record.not_before.unwrap_or(now));
        }
        for task in record.tasks.iter().filter(|task| task.is_alive()) {
            times.push(later(now, if task.stop.is_some() { STOPPING } else { LOOK_EVERY }));
            times.extend(record.timeout().filter(|_| task.stop.is_none()).map(|timeout| later(task.since, timeout)));
        }
        times.into_iter().min().unwrap_or_else(|| later(now, ABANDONED)).max(later(now, SignedDuration::from_secs(1)))
    }

    /// Returns when the launch has to continue on time, and not only at the next sweep: a call is to be made or repeated,
    /// a task is to be started again, or to be stopped.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let record = &self.record;
        if record.ended.is_some() || record.concluding.is_some() {
            return None;
        }
        let next_call = match record.attempts.last().filter(|attempt| attempt.reply.is_none()) {
            Some(attempt) if attempt.calling.is_some() => None,
            Some(attempt) => Some(attempt.undecided.as_ref().map_or(now, |undecided| undecided.again)),
            None if record.slot == Some(Slot::Waiting) || record.given_up.is_some() || !record.is_missing() => None,
            None => Some(record.not_before.unwrap_or(now)),
        };
        let running = self.alive().filter(|task| task.stop.is_none());
        let timeouts = running.filter_map(|task| Some(later(task.since, record.timeout()?)));
        next_call.into_iter().chain(timeouts).min()
    }

    /// Returns whether the next step opens an attempt, whose call follows at once.
    pub fn is_about_to_call(&self, now: Timestamp) -> bool {
        let is_going_on = self.record.ended.is_none() && self.record.concluding.is_none();
        is_going_on && self.gate(now).is_none() && self.wants_attempt(now)
    }

    /// Returns the tasks to look up, if the launch is due because no state change has told what became of them.
    pub fn unobserved(&self, now: Timestamp) -> Vec<String> {
        let is_due = self.record.due <= now && self.record.ended.is_none();
        self.alive().filter(|_| is_due && !self.done.looked).map(|task| task.arn.clone()).collect()
    }

    /// Decides what to do next.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if !self.is_written {
            self.settle(now);
            return Step::Write;
        }
        if self.record.ended.is_some() {
            return Step::Done;
        }
        if let Some(conclusion) = self.record.concluding.clone().or_else(|| self.conclusion(now)) {
            return self.conclude(conclusion, now);
        }
        if let Some(step) = self.gate(now).or_else(|| self.stop(now)) {
            return step;
        }
        if let Some(number) = self.record.open_attempt() {
            if let Some(step) = self.call(number, now) {
                return step;
            }
        } else if self.wants_attempt(now) {
            self.open(now);
            return Step::Write;
        }
        match self.unobserved(now) {
            unobserved if unobserved.is_empty() => Step::Wait(self.until(now)),
            unobserved => Step::DescribeTasks(unobserved),
        }
    }

    /// Makes the decisions that need no further answer, so that one write records them together with the answers so
    /// far.
    fn settle(&mut self, now: Timestamp) {
        if self.record.ended.is_some() || self.record.concluding.is_some() {
            return;
        }
        match self.conclusion(now) {
            Some(conclusion @ Conclusion { outcome: Outcome::DeadLettered(_), .. }) => {
                self.done.is_reporter = true;
                self.release_slots();
                self.record.concluding = Some(conclusion);
            }
            Some(conclusion) => {
                self.release_slots();
                self.record.ended = Some(conclusion);
            }
            None if self.is_about_to_call(now) => self.open(now),
            None => {}
        }
    }

    /// Releases the slots, or the place in line, with the next write. A letter that the queue refuses must not keep them.
    fn release_slots(&mut self) {
        if matches!(self.record.slot, Some(Slot::Held | Slot::Waiting)) {
            self.record.slot = Some(Slot::Released);
        }
    }

    /// Returns the step that must precede an attempt: taking the turn, or slots.
    fn gate(&self, now: Timestamp) -> Option<Step> {
        let record = &self.record;
        if record.given_up.is_some() || record.open_attempt().is_some() {
            return None;
        }
        if record.attempts.is_empty() && record.sequence.is_some() && !record.is_latest {
            return Some(Step::TakeTurn);
        }
        let concurrency = record.concurrency.as_ref()?;
        if record.slot == Some(Slot::Held) || !record.is_missing() {
            return None;
        }
        Some(match record.slot {
            None if concurrency.when_full != WhenFull::Skip => Step::DrawTicket,
            _ if self.done.asked_for_slots => Step::Wait(self.until(now)),
            _ => Step::TakeSlots,
        })
    }

    /// Marks the tasks that have to stop, then returns the step that stops them.
    fn stop(&mut self, now: Timestamp) -> Option<Step> {
        let unwanted = match &self.record.given_up {
            Some(GivenUp::Replaced) => Some(StopReason::Replaced),
            Some(GivenUp::Cancelled) => Some(StopReason::Cancelled),
            _ => None,
        };
        let timeout = self.record.timeout();
        for task in self.record.tasks.iter_mut().filter(|task| task.is_alive() && task.stop.is_none()) {
            if unwanted.is_some() {
                task.stop = unwanted;
            } else if timeout.is_some_and(|timeout| now.duration_since(task.since) >= timeout) {
                task.stop = Some(StopReason::Timeout);
            } else {
                continue;
            }
            self.is_written = false;
        }
        if !self.is_written {
            return Some(Step::Write);
        }
        if self.done.stop_failed {
            return None;
        }
        let first = self.alive().find(|task| task.stop.is_some() && !task.stop_asked)?;
        let reason = first.stop?;
        let same = self.alive().filter(|task| task.stop == Some(reason) && !task.stop_asked);
        Some(Step::StopTasks(same.map(|task| task.arn.clone()).collect(), reason))
    }

    /// Returns the step that makes the open attempt's call, while that is safe.
    fn call(&mut self, number: u32, now: Timestamp) -> Option<Step> {
        let record = &self.record;
        let attempt = record.attempts.get(number as usize)?;
        if now.duration_since(attempt.opened) >= TOKEN_SAFE {
            if !self.done.searched {
                return Some(Step::FindTasks(record.key.started_by(number)));
            }
            let why = in_doubt(number, attempt);
            self.close(number, Reply::Nothing { message: "none was recorded".to_owned() });
            // This overwrites `Replaced` and `Cancelled`: also such a launch must be dead-lettered if it is in doubt.
            self.set(|record| record.given_up = Some(GivenUp::Failed(why)));
            return Some(Step::Write);
        }
        if record.given_up.is_some() && !attempt.in_doubt && attempt.calling.is_none() {
            // No call has started anything, and none is wanted any more.
            self.close(number, Reply::Nothing { message: "no call started the task".to_owned() });
            return Some(Step::Write);
        }
        let is_over = now.duration_since(attempt.opened) >= LAST_CALL;
        if is_over || attempt.undecided.as_ref().is_some_and(|undecided| undecided.again > now) {
            return None;
        }
        match attempt.calling.map(|since| now.duration_since(since)) {
            Some(elapsed) if self.done.is_caller && elapsed < CALLING => {}
            Some(elapsed) if !self.done.is_caller && elapsed < ABANDONED => return None,
            caller => {
                // The previous caller may have started tasks.
                let is_taken_over = caller.is_some() && !self.done.is_caller;
                self.done.is_caller = true;
                let attempt = &mut self.record.attempts[number as usize];
                attempt.in_doubt |= is_taken_over;
                attempt.calling = Some(now);
                self.is_written = false;
                return Some(Step::Write);
            }
        }
        Some(Step::RunTask(Box::new(self.record.request_of(number, attempt))))
    }

    fn wants_attempt(&self, now: Timestamp) -> bool {
        let record = &self.record;
        record.given_up.is_none() && record.is_missing() && record.not_before.is_none_or(|time| time <= now)
    }

    /// Records the next attempt, before its call.
    fn open(&mut self, now: Timestamp) {
        let record = &mut self.record;
        let before = record.reopened.unwrap_or_default().attempts;
        let rung = match record.attempts.iter().skip(before).last() {
            Some(last) if is_short(last) || has_starved(record) => {
                (last.rung + 1) % record.rendered.capacity.len().max(1)
            }
            _ => 0,
        };
        let client_token = record.client_token(u32::try_from(record.attempts.len()).unwrap_or(u32::MAX));
        let calling = Some(now);
        record.attempts.push(Attempt {
            rung,
            client_token,
            opened: now,
            in_doubt: false,
            calling,
            reply: None,
            undecided: None,
        });
        self.done.is_caller = true;
        self.done.has_called = false;
        record.not_before = None;
        let old = record.attempts.len().saturating_sub(ATTEMPTS_IN_FULL);
        record.attempts.iter_mut().take(old).filter_map(|attempt| attempt.reply.as_mut()).for_each(Reply::shorten);
        self.is_written = false;
    }

    /// Returns the conclusion, once no task runs and none is to be started.
    fn conclusion(&self, now: Timestamp) -> Option<Conclusion> {
        let record = &self.record;
        if self.alive().next().is_some() || record.open_attempt().is_some() {
            return None;
        }
        if record.given_up.is_none() && record.is_missing() {
            return None;
        }
        let lasting = || record.tasks.iter().filter(|task| !task.retried);
        let failed = lasting().filter(|task| record.fate(task).is_some_and(Fate::is_failure));
        let mut reasons: Vec<String> =
            failed.filter_map(|task| Some(format!("the task {}: {}", task.arn, task.stopped.as_ref()?))).collect();
        let outcome = match &record.given_up {
            Some(GivenUp::Skipped(skipped)) => Outcome::Skipped(*skipped),
            Some(GivenUp::Failed(reason)) => {
                reasons.insert(0, reason.clone());
                Outcome::DeadLettered(reasons.join("; "))
            }
            Some(GivenUp::Cancelled) => Outcome::Cancelled,
            _ if !reasons.is_empty() => Outcome::DeadLettered(reasons.join("; ")),
            Some(GivenUp::Replaced) => Outcome::Replaced,
            _ if lasting().any(|task| record.fate(task) == Some(Fate::Stopped)) => Outcome::Stopped,
            _ => Outcome::Succeeded,
        };
        Some(Conclusion { at: now, outcome })
    }

    fn conclude(&mut self, conclusion: Conclusion, now: Timestamp) -> Step {
        if let Outcome::DeadLettered(reason) = &conclusion.outcome
            && !self.done.sent_letter
        {
            // The conclusion is recorded before the letter is sent, so that only one of several processes sends it.
            if !self.done.is_reporter {
                if self.record.concluding.is_some() && now.duration_since(conclusion.at) < REPORTING {
                    return Step::Wait(self.until(now));
                }
                self.done.is_reporter = true;
                self.release_slots();
                self.record.concluding = Some(Conclusion { at: now, ..conclusion });
                self.is_written = false;
                return Step::Write;
            }
            return Step::DeadLetter(Box::new(DeadLetter::of_launch(&self.record, reason)));
        }
        self.release_slots();
        self.record.concluding = None;
        self.record.ended = Some(conclusion);
        self.is_written = false;
        Step::Write
    }

    /// Applies an answer. Applying it a second time changes nothing.
    pub fn hear(&mut self, answer: Answer, now: Timestamp) {
        match &answer {
            Answer::NotStopped => return self.done.stop_failed = true,
            Answer::DeadLettered => return self.done.sent_letter = true,
            // The answer is too late to matter.
            _ if self.record.ended.is_some() => return,
            // Another process has got further with the same launch.
            Answer::Turn(_) if !self.record.attempts.is_empty() => {}
            Answer::Turn(_) if self.record.is_latest => {}
            Answer::Turn(true) => self.set(|record| record.is_latest = true),
            Answer::Turn(false) => self.give_up(GivenUp::Skipped(Skipped::Older)),
            Answer::Ticket(_) if self.record.slot.is_some() => {}
            Answer::Ticket(ticket) => self.set(|record| {
                record.slot = Some(Slot::Waiting);
                record.ticket = Some(*ticket);
            }),
            Answer::Slots(_) if self.record.slot == Some(Slot::Held) => self.done.asked_for_slots = true,
            Answer::Slots(slots) => self.slots(*slots),
            Answer::Replied { attempt, reply, anew } => {
                self.done.has_called = true;
                self.replied(*attempt, reply, anew, now);
            }
            Answer::NotCalled { attempt, calling } => self.not_called(*attempt, *calling),
            Answer::StopAsked(arns) => {
                for task in self.record.tasks.iter_mut().filter(|task| arns.contains(&task.arn) && !task.stop_asked) {
                    task.stop_asked = true;
                    self.is_written = false;
                }
            }
            Answer::Seen(tasks) => {
                self.done.looked = true;
                tasks.iter().for_each(|task| self.seen(task, now));
            }
            Answer::Found { attempt, task_arns } => {
                self.done.searched = true;
                task_arns.iter().for_each(|arn| self.add_task(*attempt, arn, now));
                self.close_if_complete(*attempt);
            }
            Answer::Replaced => self.give_up(GivenUp::Replaced),
            Answer::Cancelled => self.give_up(GivenUp::Cancelled),
            Answer::Superseded if self.record.slot != Some(Slot::Waiting) => {}
            Answer::Superseded => self.give_up(GivenUp::Skipped(Skipped::Superseded)),
        }
        if !self.is_written {
            self.heard.push(answer);
        }
    }

    fn slots(&mut self, slots: Slots) {
        self.done.asked_for_slots = true;
        match slots {
            Slots::Free => self.set(|record| record.slot = Some(Slot::Held)),
            Slots::Waiting => {}
            Slots::Full => self.give_up(GivenUp::Skipped(Skipped::Full)),
        }
    }

    fn replied(
        &mut self,
        number: u32,
        reply: &Reply,
        anew: &Result<Option<Box<Rendered>>, NotRendered>,
        now: Timestamp,
    ) {
        let Some(attempt) = self.record.attempts.get(number as usize).cloned() else { return };
        if attempt.reply.is_some() {
            return;
        }
        let verdict = reply.verdict(1);
        // While an earlier call may have started the tasks, an error of a later call proves nothing.
        let proves_nothing = attempt.in_doubt && !reply.is_of_token();
        let is_asked_later = verdict == Verdict::Permanent && matches!(anew, Err(NotRendered::ForNow(_)));
        if proves_nothing || is_asked_later || matches!(verdict, Verdict::Busy { .. } | Verdict::InDoubt) {
            return self.undecided(number, reply, verdict == Verdict::InDoubt, now);
        }
        reply.task_arns().iter().for_each(|arn| self.add_task(number, arn, now));
        self.close(number, reply.clone().within_limits());
        match verdict {
            Verdict::Permanent => match anew {
                Ok(Some(rendered)) if self.record.attempts.len() < ATTEMPTS_MAX => self.render(rendered),
                Ok(_) => self.give_up(GivenUp::Failed(reply.to_string())),
                Err(why) => self.give_up(GivenUp::Failed(format!("{reply}; {why}"))),
            },
            Verdict::AlreadyLaunched if self.record.is_missing() => self.give_up(GivenUp::Settled),
            Verdict::NextRung => self.short_of_capacity(reply, now),
            _ => {}
        }
    }

    /// Makes further attempts ask for the task as a later config renders it.
    fn render(&mut self, rendered: &Rendered) {
        let attempts = self.record.attempts.len();
        self.set(|record| {
            record.rendered = rendered.clone();
            record.anew_from = Some(attempts);
        });
    }

    /// Schedules the same call again.
    fn undecided(&mut self, number: u32, reply: &Reply, in_doubt: bool, now: Timestamp) {
        let attempt = &mut self.record.attempts[number as usize];
        let (times, since) = attempt.undecided.as_ref().map_or((1, now), |before| (before.times + 1, before.since));
        let again = later(now, backoff(SignedDuration::from_secs(1), times, SignedDuration::from_mins(1)));
        attempt.undecided = Some(Undecided { reply: reply.clone().within_limits(), times, since, again });
        attempt.in_doubt |= in_doubt;
        attempt.calling = None;
        self.done.is_caller = false;
        self.is_written = false;
        if attempt.in_doubt {
            return;
        }
        attempt.opened = now;
        if now.duration_since(since) >= GIVE_UP {
            self.close(number, reply.clone());
            self.give_up(GivenUp::Failed(format!("ECS has not accepted the call since {since}; last reply: {reply}")));
        }
    }

    /// Leaves the call to another process, because this one has no time left for it.
    pub fn leave(&mut self, now: Timestamp) {
        let is_own = self.done.is_caller && !self.done.has_called;
        let Some(attempt) = self.record.open_attempt().filter(|_| is_own) else { return };
        if let Some(calling) = self.record.attempts[attempt as usize].calling {
            self.hear(Answer::NotCalled { attempt, calling }, now);
        }
    }

    fn not_called(&mut self, number: u32, calling: Timestamp) {
        if self.record.open_attempt() != Some(number) {
            return;
        }
        let attempt = &mut self.record.attempts[number as usize];
        if attempt.calling != Some(calling) {
            return;
        }
        if attempt.undecided.is_none() && !attempt.in_doubt {
            // No process has called for this attempt.
            self.record.attempts.pop();
        } else {
            attempt.calling = None;
        }
        self.done.is_caller = false;
        self.is_written = false;
    }

    /// Returns whether a letter that was written after this many redrives can be redriven: the launch ended in it.
    pub fn can_reopen(&self, redrives: u32) -> bool {
        self.record.ended.as_ref().is_some_and(Conclusion::is_failure) && self.record.redrives() == redrives
    }

    /// Reopens a launch that has ended in any way, because a person wants its task started again. A dead letter that was
    /// written before starts nothing after that.
    pub fn start_again(&mut self, anew: Option<&Rendered>) {
        self.record.tasks.iter_mut().for_each(|task| task.retried = true);
        self.reopen(anew);
    }

    /// Reopens a launch that ended in a dead letter, because that letter is redriven: its task is requested again, with
    /// a new token, and as the config in force renders it.
    pub fn reopen(&mut self, anew: Option<&Rendered>) {
        let record = &self.record;
        let failed: Vec<bool> =
            record.tasks.iter().map(|task| record.fate(task).is_some_and(Fate::is_failure)).collect();
        for (task, failed) in self.record.tasks.iter_mut().zip(failed) {
            task.retried |= failed;
        }
        let (attempts, retried, times) =
            (self.record.attempts.len(), self.record.retried(), self.record.redrives() + 1);
        self.record.reopened = Some(Reopened { attempts, retried, times });
        self.record.ended = None;
        self.record.given_up = None;
        self.record.slot = None;
        self.record.ticket = None;
        self.record.not_before = None;
        self.is_written = false;
        anew.into_iter().for_each(|rendered| self.render(rendered));
    }

    /// Delays the next attempt if the last rung had no capacity either: the first rung is tried again later, for a day.
    fn short_of_capacity(&mut self, reply: &Reply, now: Timestamp) {
        let record = &mut self.record;
        let before = record.reopened.unwrap_or_default().attempts;
        let short = record.attempts.iter().skip(before).rev().take_while(|attempt| is_short(attempt));
        let since = short.clone().last().map_or(now, |first| first.opened);
        if now.duration_since(since) >= GIVE_UP || record.attempts.len() >= ATTEMPTS_MAX {
            let reason = format!("ECS has had no capacity since {since}; last reply: {reply}");
            return self.give_up(GivenUp::Failed(reason));
        }
        let rungs = record.rendered.capacity.len().max(1);
        let last_rung = record.attempts.last().is_some_and(|last| last.rung + 1 >= rungs);
        let never_heals = |attempt: &Attempt| attempt.reply.as_ref().is_some_and(Reply::never_heals);
        // A constraint on tasks, as on their number, is met when other tasks end.
        let is_on_tasks =
            |expression: &String| ["task:", "count", "Count"].iter().any(|word| expression.contains(word));
        let constraints = record.rendered.request.placement_constraints.iter();
        let may_heal = constraints.filter_map(|constraint| constraint.expression.as_ref()).any(is_on_tasks);
        if last_rung && !may_heal && record.attempts.iter().rev().take(rungs).all(never_heals) {
            let remedy = "waiting does not help: change the placement constraints, or add an instance that meets them";
            return self.give_up(GivenUp::Failed(format!("{reply}; {remedy}")));
        }
        if last_rung {
            let rounds = u32::try_from(short.count().div_ceil(rungs)).unwrap_or(u32::MAX);
            let wait = backoff(SignedDuration::from_mins(1), rounds, SignedDuration::from_mins(15));
            record.not_before = Some(later(now, wait));
        }
    }

    fn seen(&mut self, seen: &SeenTask, now: Timestamp) {
        if !self.record.tasks.iter().any(|task| task.arn == seen.arn) {
            let Some(attempt) = seen.attempt.filter(|number| (*number as usize) < self.record.attempts.len()) else {
                return;
            };
            self.add_task(attempt, &seen.arn, now);
            self.close_if_complete(attempt);
        }
        let Some(task) = self.record.tasks.iter_mut().find(|task| task.arn == seen.arn && task.is_alive()) else {
            return;
        };
        task.stopped = match &seen.status {
            TaskStatus::Stopped(stopped) => Some(stopped.clone()),
            TaskStatus::Missing if now.duration_since(task.since) >= UNKNOWN_AT_FIRST => {
                Some(StoppedTask { vanished: true, ..StoppedTask::default() })
            }
            TaskStatus::Alive | TaskStatus::Missing => return,
        };
        let arn = task.arn.clone();
        self.is_written = false;
        self.retry(&arn, now);
    }

    /// Marks a failed task to be replaced by another one, if its `retry` covers the failure. Without `retry`, a task that never started
    /// is replaced: nothing ran.
    fn retry(&mut self, arn: &str, now: Timestamp) {
        let record = &mut self.record;
        if record.given_up.is_some() {
            return;
        }
        let retry = record.rendered.retry.clone().unwrap_or_else(Retry::if_never_started);
        let retried = record.retried().saturating_sub(record.reopened.unwrap_or_default().retried);
        if retried >= retry.attempts.saturating_sub(1) || record.attempts.len() >= ATTEMPTS_MAX {
            return;
        }
        let Some(position) = record.tasks.iter().position(|task| task.arn == arn) else { return };
        // Without `retry`, a task is started again only if nothing of it ran, and if that can help.
        let may_help = |stopped: &StoppedTask| !stopped.has_run() && !stopped.never_heals();
        if record.rendered.retry.is_none() && !record.tasks[position].stopped.as_ref().is_some_and(may_help) {
            return;
        }
        if record.fate(&record.tasks[position]).is_some_and(|fate| fate.is_retried(&retry.on)) {
            record.tasks[position].retried = true;
            let wait =
                backoff(SignedDuration::from_secs(retry.backoff_seconds), retried + 1, SignedDuration::from_hours(1));
            record.not_before = Some(later(now, wait));
        }
    }

    fn add_task(&mut self, attempt: u32, arn: &str, now: Timestamp) {
        if self.record.tasks.iter().all(|task| task.arn != arn) {
            self.record.tasks.push(LaunchedTask {
                arn: arn.to_owned(),
                attempt,
                since: now,
                stop: None,
                stop_asked: false,
                stopped: None,
                retried: false,
            });
            self.is_written = false;
        }
    }

    /// Closes an attempt without its reply, once its task is known.
    fn close_if_complete(&mut self, number: u32) {
        let of_attempt = self.record.tasks.iter().filter(|task| task.attempt == number);
        let task_arns: Vec<String> = of_attempt.map(|task| task.arn.clone()).collect();
        let Some(attempt) = self.record.attempts.get(number as usize) else { return };
        if attempt.reply.is_none() && !task_arns.is_empty() {
            self.close(number, Reply::Tasks { task_arns, failures: Vec::new() });
        }
    }

    fn close(&mut self, number: u32, reply: Reply) {
        let attempt = &mut self.record.attempts[number as usize];
        attempt.reply = Some(reply);
        attempt.undecided = None;
        attempt.calling = None;
        self.is_written = false;
    }

    fn give_up(&mut self, reason: GivenUp) {
        if self.record.given_up.is_none() {
            self.set(|record| record.given_up = Some(reason));
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut LaunchRecord)) {
        change(&mut self.record);
        self.is_written = false;
    }

    fn alive(&self) -> impl Iterator<Item = &LaunchedTask> {
        self.record.tasks.iter().filter(|task| task.is_alive())
    }
}

/// The words of a dead letter whose launch may have started its tasks.
pub const IN_DOUBT: &str = "it is unknown whether";

/// Returns the reason for giving up an attempt whose result is unknown.
fn in_doubt(number: u32, attempt: &Attempt) -> String {
    let why = match &attempt.undecided {
        Some(undecided) => format!("last reply: {}", undecided.reply),
        None => "the caller ended before it recorded the reply".to_owned(),
    };
    let opened = attempt.opened;
    format!(
        "{IN_DOUBT} attempt {number}, opened at {opened}, started its tasks, and another call could start them twice; \
         check in ECS before you redrive this letter; {why}"
    )
}

/// Returns whether a task of the last attempt stopped because there was too little capacity to start it.
fn has_starved(record: &LaunchRecord) -> bool {
    let last = record.attempts.len().checked_sub(1);
    let mut of_last = record.tasks.iter().filter(|task| Some(task.attempt as usize) == last);
    of_last.any(|task| task.stopped.as_ref().is_some_and(StoppedTask::lacks_capacity))
}

/// Returns whether an attempt ended because ECS had too little capacity.
fn is_short(attempt: &Attempt) -> bool {
    attempt.reply.as_ref().is_some_and(|reply| reply.verdict(1) == Verdict::NextRung)
}

/// Returns a pause that doubles with each time, up to a limit.
fn backoff(first: SignedDuration, times: u32, max: SignedDuration) -> SignedDuration {
    let factor = 1_i32.checked_shl(times.saturating_sub(1)).unwrap_or(i32::MAX).max(1);
    first.checked_mul(factor).unwrap_or(max).min(max)
}

/// Returns `time` plus `duration`, or `time` itself if the sum is out of range.
pub fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(time)
}

#[cfg(test)]
mod tests;
