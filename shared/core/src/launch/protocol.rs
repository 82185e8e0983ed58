//! The steps of one launch, decided one at a time.

use jiff::{SignedDuration, Timestamp};

use super::dead_letter::DeadLetter;
use super::fate::{Fate, StopReason};
use super::record::{
    Attempt, Conclusion, GivenUp, LaunchRecord, LaunchedTask, Outcome, Reopened, Skipped, Slot, Undecided, WhenFull,
};
use super::reply::{Reply, Verdict};
use super::slots::Taken;
use crate::ecs::StoppedTask;
use crate::ecs::TaskRequest;

// The life of an attempt, from when it is recorded: calls begin within 30 s, or whoever calls says so anew; after 4 min without a word
// somebody else calls; after 40 min nobody does; after 45 min its tasks are searched for, and it is closed.

/// How long after the first call with a client token a repetition is certain to start nothing new. ECS keeps a token for an
/// hour longer than its tasks, at most 24 hours; clocks may differ, and a call takes its time.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const TOKEN_SAFE: SignedDuration = SignedDuration::from_mins(45);
/// After this no call is made with the token any more, so that what the last one started has got about when it is looked for.
const LAST_CALL: SignedDuration = SignedDuration::from_mins(40);
/// How long after it said so who calls RunTask may begin a call.
const CALLING: SignedDuration = SignedDuration::from_secs(30);
/// How long after that the call counts as abandoned: it has had its time, and clocks differ.
const ABANDONED: SignedDuration = SignedDuration::from_mins(4);
/// How long who reports a conclusion has for it, before somebody else does.
const REPORTING: SignedDuration = SignedDuration::from_mins(2);
/// How often tasks are looked up whose state change has not come. ECS shows a stopped task for an hour.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(20);
/// How long ECS, eventually consistent, may not know a task yet that it has started.
const UNKNOWN_AT_FIRST: SignedDuration = SignedDuration::from_mins(10);
/// How soon a task that was asked to stop is looked at.
const STOPPING: SignedDuration = SignedDuration::from_mins(3);
/// How soon one that stands in line looks for itself. Whoever gives slots back wakes it before.
const IN_LINE: SignedDuration = SignedDuration::from_mins(10);
/// How long capacity is waited for.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);
/// How soon a launch is due at the earliest.
const DUE_SOONEST: SignedDuration = SignedDuration::from_secs(30);
/// How many attempts there are at most: their number has three digits at the end of `startedBy`.
const ATTEMPTS_MAX: usize = 900;

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write the record over the version that was read, before anything else.
    Write,
    /// Note that this is the latest launched event of its object, unless a later one was.
    TakeTurn,
    /// Take slots, or a place in the line.
    TakeSlots,
    /// Call RunTask with exactly this.
    RunTask(Box<TaskRequest>),
    /// Ask ECS to stop these tasks.
    StopTasks(Vec<String>, StopReason),
    /// Ask ECS how these tasks are.
    DescribeTasks(Vec<String>),
    /// Ask ECS for the running tasks with this starter.
    FindTasks(String),
    /// Send the event to the dead-letter queue.
    DeadLetter(Box<DeadLetter>),
    /// Give the slots back.
    ReleaseSlots,
    /// Nothing until then.
    Wait(Timestamp),
    /// It has ended.
    Done,
}

/// What came of a step, or what else became known.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Whether no later event of the object was launched.
    Turn(bool),
    /// Whether it has its slots.
    Slots(Taken),
    /// What came of RunTask.
    Replied {
        /// The attempt.
        attempt: u32,
        /// ECS's reply.
        reply: Reply,
    },
    /// ECS was asked to stop these tasks.
    StopAsked(Vec<String>),
    /// ECS could not be asked to stop tasks.
    NotStopped,
    /// How tasks are.
    Seen(Vec<SeenTask>),
    /// The tasks that run with the starter of an attempt.
    Found {
        /// The attempt.
        attempt: u32,
        /// The tasks.
        task_arns: Vec<String>,
    },
    /// The event is in the dead-letter queue.
    DeadLettered,
    /// The slots were given back.
    SlotsReleased,
    /// A later launch takes its place.
    Replaced,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTask {
    /// Its ARN.
    pub arn: String,
    /// The attempt that started it, where that can be told.
    pub attempt: Option<u32>,
    /// How it is.
    pub status: TaskStatus,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// It runs, or will.
    Alive,
    /// It stopped.
    Stopped(StoppedTask),
    /// ECS does not know it.
    Missing,
}

/// A launch under way: its record, and what was done about it here.
///
/// Whoever drives it does what [`Protocol::next`] says, and tells what came of it by [`Protocol::hear`], until there is
/// nothing to do.
#[derive(Debug)]
pub struct Protocol {
    record: LaunchRecord,
    is_written: bool,
    /// What was heard since the record was read or written, to be heard again if somebody else wrote it meanwhile.
    heard: Vec<Answer>,
    done: Done,
}

/// What this drive of the launch has done, and does not do again. None of it is in the record.
#[derive(Debug, Default)]
struct Done {
    /// The record says that somebody calls: it is we.
    is_caller: bool,
    /// We have called for the open attempt.
    has_called: bool,
    /// The record says that somebody reports the conclusion: it is we.
    is_reporter: bool,
    asked_for_slots: bool,
    released_slots: bool,
    looked: bool,
    searched: bool,
    stop_failed: bool,
    sent_letter: bool,
}

impl Protocol {
    /// A launch that nobody recorded yet.
    pub fn begin(record: LaunchRecord) -> Self {
        Self { record, is_written: false, heard: Vec::new(), done: Done::default() }
    }

    /// A launch of the ledger.
    pub fn resume(record: LaunchRecord) -> Self {
        Self { record, is_written: true, heard: Vec::new(), done: Done::default() }
    }

    /// The record as it stands.
    pub fn record(&self) -> &LaunchRecord {
        &self.record
    }

    /// Notes that the record is in the ledger, due at this time.
    pub fn written(&mut self, due: Timestamp) {
        self.record.due = due;
        self.is_written = true;
        self.heard.clear();
    }

    /// Goes on with the record that somebody else wrote meanwhile, with what was heard since.
    pub fn reload(&mut self, record: LaunchRecord, now: Timestamp) {
        self.record = record;
        self.is_written = true;
        self.done.is_reporter = false;
        self.done.is_caller = false;
        for answer in std::mem::take(&mut self.heard) {
            self.hear(answer, now);
        }
    }

    /// Wants the record to be written, even if nothing else has changed.
    pub fn touch(&mut self) {
        self.is_written = false;
    }

    /// Wants the slots back of a launch that has ended.
    pub fn reclaim(&mut self) {
        self.done.asked_for_slots = true;
    }

    /// When somebody else has to look at it: not at once, as who drives it is about to go on.
    pub fn due(&self, now: Timestamp) -> Timestamp {
        self.until(now).max(later(now, DUE_SOONEST))
    }

    /// When there is something to do again.
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
            times.push(later(now, if replaces { STOPPING } else { IN_LINE }));
        } else if record.missing() > 0 && record.given_up.is_none() {
            times.push(record.not_before.unwrap_or(now));
        }
        for task in record.tasks.iter().filter(|task| task.is_alive()) {
            times.push(later(now, if task.stop.is_some() { STOPPING } else { LOOK_EVERY }));
            times.extend(record.timeout().filter(|_| task.stop.is_none()).map(|timeout| later(task.since, timeout)));
        }
        times.into_iter().min().unwrap_or_else(|| later(now, ABANDONED)).max(later(now, SignedDuration::from_secs(1)))
    }

    /// Decides what to do next.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if !self.is_written {
            self.settle(now);
            return Step::Write;
        }
        if self.record.ended.is_some() {
            // Slots that were taken after somebody else had ended it.
            return if self.done.asked_for_slots && !self.done.released_slots {
                Step::ReleaseSlots
            } else {
                Step::Done
            };
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
        let is_due = self.record.due <= now;
        let alive: Vec<String> = self.alive().map(|task| task.arn.clone()).collect();
        if is_due && !alive.is_empty() && !self.done.looked {
            return Step::DescribeTasks(alive);
        }
        Step::Wait(self.until(now))
    }

    /// Decides what needs no answer, so that it is written together with what was heard.
    fn settle(&mut self, now: Timestamp) {
        if self.record.ended.is_some() || self.record.concluding.is_some() {
            return;
        }
        match self.conclusion(now) {
            Some(conclusion @ Conclusion { outcome: Outcome::DeadLettered(_), .. }) => {
                self.done.is_reporter = true;
                self.record.concluding = Some(conclusion);
            }
            Some(conclusion) if self.record.concurrency.is_none() => self.record.ended = Some(conclusion),
            Some(_) => {}
            None if self.gate(now).is_none() && self.record.open_attempt().is_none() && self.wants_attempt(now) => {
                self.open(now);
            }
            None => {}
        }
    }

    /// What has to be asked before the first attempt.
    fn gate(&self, now: Timestamp) -> Option<Step> {
        let record = &self.record;
        if record.given_up.is_some() || record.open_attempt().is_some() {
            return None;
        }
        if record.attempts.is_empty() && record.sequence.is_some() && !record.is_latest {
            return Some(Step::TakeTurn);
        }
        if record.concurrency.is_none() || record.slot == Some(Slot::Held) || record.missing() == 0 {
            return None;
        }
        Some(if self.done.asked_for_slots { Step::Wait(self.until(now)) } else { Step::TakeSlots })
    }

    /// Stops what has to be stopped.
    fn stop(&mut self, now: Timestamp) -> Option<Step> {
        let is_replaced = self.record.given_up == Some(GivenUp::Replaced);
        let timeout = self.record.timeout();
        for task in self.record.tasks.iter_mut().filter(|task| task.is_alive() && task.stop.is_none()) {
            if is_replaced {
                task.stop = Some(StopReason::Replaced);
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

    /// Makes the open attempt's call, while that is safe.
    fn call(&mut self, number: u32, now: Timestamp) -> Option<Step> {
        let attempt = self.record.attempts.get(number as usize)?;
        if now.duration_since(attempt.opened) >= TOKEN_SAFE {
            if !self.done.searched {
                return Some(Step::FindTasks(self.record.key.started_by(number)));
            }
            let why = in_doubt(number, attempt);
            self.close(number, Reply::Nothing { message: "none was recorded".to_owned() });
            // Even of one that was to be replaced, somebody must know.
            self.set(|record| record.given_up = Some(GivenUp::Failed(why)));
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
                // Whoever called before us may have started tasks.
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
        record.given_up.is_none() && record.missing() > 0 && record.not_before.is_none_or(|time| time <= now)
    }

    /// Records the next attempt, before its call.
    fn open(&mut self, now: Timestamp) {
        let record = &mut self.record;
        let before = record.reopened.unwrap_or_default().attempts;
        let rung = match record.attempts.iter().skip(before).last() {
            Some(last) if is_short(last) => (last.rung + 1) % record.capacity.len().max(1),
            _ => 0,
        };
        let client_token = record.client_token(u32::try_from(record.attempts.len()).unwrap_or(u32::MAX));
        let count = record.missing();
        let calling = Some(now);
        record.attempts.push(Attempt {
            count,
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
        self.is_written = false;
    }

    /// What it came to, when nothing runs any more and nothing is to be started.
    fn conclusion(&self, now: Timestamp) -> Option<Conclusion> {
        let record = &self.record;
        if self.alive().next().is_some() || record.open_attempt().is_some() {
            return None;
        }
        if record.given_up.is_none() && record.missing() > 0 {
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
            // Recorded first, so that of two who come to this only one sends it; and of those who find it abandoned, one.
            if !self.done.is_reporter {
                if self.record.concluding.is_some() && now.duration_since(conclusion.at) < REPORTING {
                    return Step::Wait(self.until(now));
                }
                self.done.is_reporter = true;
                self.record.concluding = Some(Conclusion { at: now, ..conclusion });
                self.is_written = false;
                return Step::Write;
            }
            return Step::DeadLetter(Box::new(DeadLetter::of_launch(&self.record, reason)));
        }
        if self.record.concurrency.is_some() && !self.done.released_slots {
            return Step::ReleaseSlots;
        }
        self.record.concluding = None;
        self.record.ended = Some(conclusion);
        self.is_written = false;
        Step::Write
    }

    /// Takes in what came of a step, or what else became known. Heard twice, it changes nothing the second time.
    pub fn hear(&mut self, answer: Answer, now: Timestamp) {
        match &answer {
            Answer::SlotsReleased => return self.done.released_slots = true,
            Answer::NotStopped => return self.done.stop_failed = true,
            Answer::DeadLettered => return self.done.sent_letter = true,
            _ if self.record.ended.is_some() => {
                // Too late to matter, except that what was taken must be given back.
                self.done.asked_for_slots |= matches!(answer, Answer::Slots(Taken::Held | Taken::Waiting { .. }));
                return;
            }
            // Somebody else got further meanwhile: with a turn and slots of the same launch.
            Answer::Turn(_) if !self.record.attempts.is_empty() => {}
            Answer::Turn(_) if self.record.is_latest => {}
            Answer::Turn(true) => self.set(|record| record.is_latest = true),
            Answer::Turn(false) => self.give_up(GivenUp::Skipped(Skipped::Older)),
            Answer::Slots(_) if self.record.slot == Some(Slot::Held) => self.done.asked_for_slots = true,
            Answer::Slots(taken) => self.slots(taken),
            Answer::Replied { attempt, reply } => {
                self.done.has_called = true;
                self.replied(*attempt, reply, now);
            }
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
        }
        if !self.is_written {
            self.heard.push(answer);
        }
    }

    fn slots(&mut self, taken: &Taken) {
        self.done.asked_for_slots = true;
        match taken {
            Taken::Held => self.set(|record| record.slot = Some(Slot::Held)),
            Taken::Waiting { .. } => self.set(|record| record.slot = Some(Slot::Waiting)),
            Taken::Full => self.give_up(GivenUp::Skipped(Skipped::Full)),
            Taken::Superseded => self.give_up(GivenUp::Skipped(Skipped::Superseded)),
            Taken::LineFull => self.give_up(GivenUp::Failed("too many launches wait for the route's slots".to_owned())),
        }
    }

    fn replied(&mut self, number: u32, reply: &Reply, now: Timestamp) {
        let Some(attempt) = self.record.attempts.get(number as usize).cloned() else { return };
        if attempt.reply.is_some() {
            return;
        }
        let verdict = reply.verdict(attempt.count);
        // While an earlier call may have started them, an error of a later one proves nothing.
        let proves_nothing = attempt.in_doubt && !reply.is_of_token();
        if proves_nothing || matches!(verdict, Verdict::Busy { .. } | Verdict::InDoubt) {
            return self.undecided(number, reply, verdict == Verdict::InDoubt, now);
        }
        reply.task_arns().iter().for_each(|arn| self.add_task(number, arn, now));
        self.close(number, reply.clone());
        match verdict {
            Verdict::Permanent => self.give_up(GivenUp::Failed(reply.to_string())),
            Verdict::AlreadyLaunched if self.record.missing() > 0 => self.give_up(GivenUp::Settled),
            Verdict::NextRung => self.short_of_capacity(reply, now),
            _ => {}
        }
    }

    /// The same call again, in a while.
    fn undecided(&mut self, number: u32, reply: &Reply, in_doubt: bool, now: Timestamp) {
        let attempt = &mut self.record.attempts[number as usize];
        let (times, since) = attempt.undecided.as_ref().map_or((1, now), |before| (before.times + 1, before.since));
        let again = later(now, backoff(SignedDuration::from_secs(1), times, SignedDuration::from_mins(1)));
        attempt.undecided = Some(Undecided { reply: reply.clone(), times, since, again });
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
            self.give_up(GivenUp::Failed(format!(
                "ECS would not start tasks since {since}; the last reply was: {reply}"
            )));
        }
    }

    /// Leaves the call to somebody else, as there is no time left for it.
    pub fn leave(&mut self) {
        let Some(number) = self.record.open_attempt().filter(|_| self.done.is_caller && !self.done.has_called) else {
            return;
        };
        let attempt = &mut self.record.attempts[number as usize];
        if attempt.undecided.is_none() && !attempt.in_doubt {
            // Nobody has ever called.
            self.record.attempts.pop();
        } else {
            attempt.calling = None;
        }
        self.done.is_caller = false;
        self.is_written = false;
    }

    /// Begins a launch anew that ended in a dead letter, as somebody wants it who sends that letter again: what is missing is asked
    /// for, with new tokens.
    pub fn reopen(&mut self) {
        let has_failed = |conclusion: &Conclusion| matches!(conclusion.outcome, Outcome::DeadLettered(_));
        if !self.record.ended.as_ref().is_some_and(has_failed) {
            return;
        }
        let record = &self.record;
        let failed: Vec<bool> =
            record.tasks.iter().map(|task| record.fate(task).is_some_and(Fate::is_failure)).collect();
        for (task, failed) in self.record.tasks.iter_mut().zip(failed) {
            task.retried |= failed;
        }
        let (attempts, retried) = (self.record.attempts.len(), self.record.retried());
        self.record.reopened = Some(Reopened { attempts, retried });
        self.record.ended = None;
        self.record.given_up = None;
        self.record.slot = None;
        self.record.not_before = None;
        self.is_written = false;
    }

    /// After the last rung, the first is tried again in a while: for a day.
    fn short_of_capacity(&mut self, reply: &Reply, now: Timestamp) {
        let record = &mut self.record;
        let before = record.reopened.unwrap_or_default().attempts;
        let short = record.attempts.iter().skip(before).rev().take_while(|attempt| is_short(attempt));
        let since = short.clone().last().map_or(now, |first| first.opened);
        if now.duration_since(since) >= GIVE_UP || record.attempts.len() >= ATTEMPTS_MAX {
            let reason = format!("there was no capacity since {since}; the last reply was: {reply}");
            return self.give_up(GivenUp::Failed(reason));
        }
        let rungs = record.capacity.len().max(1);
        let last_rung = record.attempts.last().is_some_and(|last| last.rung + 1 >= rungs);
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

    /// Lets another task take the place of one that failed, if the config wants it.
    fn retry(&mut self, arn: &str, now: Timestamp) {
        let record = &mut self.record;
        let count = record.count();
        let Some(retry) = record.retry.as_ref().filter(|_| record.given_up.is_none()) else { return };
        let retried = record.retried().saturating_sub(record.reopened.unwrap_or_default().retried);
        if retried >= count.saturating_mul(retry.attempts.saturating_sub(1)) || record.attempts.len() >= ATTEMPTS_MAX {
            return;
        }
        let Some(position) = record.tasks.iter().position(|task| task.arn == arn) else { return };
        if record.fate(&record.tasks[position]).is_some_and(|fate| fate.is_retried(&retry.on)) {
            record.tasks[position].retried = true;
            let starts = retried / count.max(1) + 1;
            let wait = backoff(SignedDuration::from_secs(retry.backoff_seconds), starts, SignedDuration::from_hours(1));
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

    /// Every task of an attempt is known: its reply is not needed any more.
    fn close_if_complete(&mut self, number: u32) {
        let of_attempt = self.record.tasks.iter().filter(|task| task.attempt == number);
        let task_arns: Vec<String> = of_attempt.map(|task| task.arn.clone()).collect();
        let Some(attempt) = self.record.attempts.get(number as usize) else { return };
        if attempt.reply.is_none() && task_arns.len() >= attempt.count as usize {
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

/// Why an attempt is given up whose result nobody knows.
fn in_doubt(number: u32, attempt: &Attempt) -> String {
    let why = match &attempt.undecided {
        Some(undecided) => format!("the last reply was: {}", undecided.reply),
        None => "whoever called did not live to record the reply".to_owned(),
    };
    let opened = attempt.opened;
    format!(
        "nobody knows whether the tasks of attempt {number}, of {opened}, were started, and asking again may start them twice; {why}"
    )
}

/// Whether an attempt ended for want of capacity.
fn is_short(attempt: &Attempt) -> bool {
    attempt.reply.as_ref().is_some_and(|reply| reply.verdict(attempt.count) == Verdict::NextRung)
}

/// Twice as long each time, up to a limit.
fn backoff(first: SignedDuration, times: u32, max: SignedDuration) -> SignedDuration {
    let factor = 1_i32.checked_shl(times.saturating_sub(1)).unwrap_or(i32::MAX).max(1);
    first.checked_mul(factor).unwrap_or(max).min(max)
}

/// A time, later by a duration; at most the last there is.
pub fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(time)
}

#[cfg(test)]
mod tests;
