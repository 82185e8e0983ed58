//! Simulates the queue, ECS and the workers, event by event.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet, VecDeque};

use fastrand::Rng;
use trigger_core::scaling::Minute;

use crate::outcome::{Outcome, Point, quantile};
use crate::random::log_normal;
use crate::scaler::{Order, Scaler, View};
use crate::workload::{Fate, RETRY_DELAY_MAX, Workload};

/// ECS's stop timeout in seconds: a stopped worker still finishes a message within this time.
const STOP_TIMEOUT: f64 = 30.0;
/// The shortest time that a task is billed for, in seconds.
const BILLED_MIN: f64 = 60.0;
/// A run ends at the latest this many seconds after the end of its workload.
const AFTERWARDS_MAX: f64 = 2.0 * 3600.0;
/// A rise within this many seconds after a fall counts as a flap.
const FLAP_WITHIN: f64 = 300.0;
/// By how many minutes CloudWatch lags.
const CLOUDWATCH_LAG: usize = 1;

/// The conditions that workers run under.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surroundings {
    /// How long tasks take to start on average, in seconds.
    pub start_delay: f64,
    /// The standard deviation of the logarithm of the start delay.
    pub start_delay_sigma: f64,
    /// By how many seconds SQS's numbers lag; at most a scaler's period.
    pub lag: f64,
    /// How many messages a worker handles at once.
    pub concurrency: u32,
    /// The seconds until a message whose worker was killed can be received again.
    pub visibility_timeout: f64,
    /// The interval in seconds between two points of [`Outcome::course`].
    pub noted_every: f64,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            start_delay: 40.0,
            start_delay_sigma: 0.0,
            lag: 2.0,
            concurrency: 1,
            visibility_timeout: 30.0,
            noted_every: 15.0,
        }
    }
}

/// Simulates a workload.
pub fn simulate(workload: &Workload, scaler: &mut dyn Scaler, surroundings: &Surroundings, seed: u64) -> Outcome {
    let mut world = World::new(workload, surroundings, scaler, seed);
    world.run(scaler);
    world.outcome()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// A task is ready.
    Ready(usize),
    /// A task has finished a message.
    Done { task: usize, message: usize },
    /// A message that failed, or whose worker was killed, can be received again.
    Visible(usize),
    /// A message's delay is over.
    Undelayed(usize),
    /// Spot takes this share of the running workers.
    Reclaim(f64),
    /// A message that no worker has begins to be in flight, or ends to be.
    Orphan(i64),
    /// A task ends if it has been idle since this time.
    IdleExit { task: usize, since: f64 },
    /// SQS's numbers are read for the scaler's next look.
    Snapshot,
    /// The scaler looks.
    Look,
    /// A minute is over.
    Minute,
    /// A point of the course is recorded.
    Note,
}

/// An event and its time. Of several events at the same time, the one that was planned first comes first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Planned {
    at: f64,
    number: u64,
    event: Event,
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.number.cmp(&other.number))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Running,
    Ended,
}

#[derive(Debug)]
struct Task {
    state: State,
    asked_at: f64,
    /// The messages in progress, and when each is finished.
    works_on: Vec<(usize, f64)>,
    idle_since: f64,
}

struct World<'a> {
    workload: &'a Workload,
    surroundings: &'a Surroundings,
    rng: Rng,
    now: f64,
    events: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    next_arrival: usize,
    queue: VecDeque<usize>,
    /// For each message, how often it was received.
    receives: Vec<u32>,
    /// The message groups of which a message is in flight.
    busy_groups: HashSet<u32>,
    in_flight: u64,
    tasks: Vec<Task>,
    /// Running tasks that can take another message, in no order.
    free: Vec<usize>,
    running: u32,
    pending: u32,
    desired: u32,
    protects: bool,
    idle_exit: Option<f64>,
    snapshot: (u64, u64),
    start_delays: Vec<f64>,
    minutes: Vec<Minute>,
    /// Minutes that CloudWatch does not show yet.
    later_minutes: VecDeque<Minute>,
    minute: MinuteSoFar,
    ages: Vec<f64>,
    is_done: Vec<bool>,
    /// Messages that can be handled and are not.
    unfinished: usize,
    task_seconds: f64,
    launches: usize,
    kills: usize,
    seconds_at_zero: f64,
    flaps: usize,
    fell_at: Option<f64>,
    course: Vec<Point>,
}

#[derive(Debug, Default)]
struct MinuteSoFar {
    sent: f64,
    deleted: f64,
    in_flight_seconds: f64,
    since: f64,
}

impl<'a> World<'a> {
    fn new(workload: &'a Workload, surroundings: &'a Surroundings, scaler: &dyn Scaler, seed: u64) -> Self {
        Self {
            workload,
            surroundings,
            rng: Rng::with_seed(seed),
            now: 0.0,
            events: BinaryHeap::new(),
            planned: 0,
            next_arrival: 0,
            queue: VecDeque::new(),
            receives: vec![0; workload.messages.len()],
            busy_groups: HashSet::new(),
            in_flight: 0,
            tasks: Vec::new(),
            free: Vec::new(),
            running: 0,
            pending: 0,
            desired: 0,
            protects: scaler.protects(),
            idle_exit: scaler.idle_exit(),
            snapshot: (0, 0),
            start_delays: Vec::new(),
            minutes: Vec::new(),
            later_minutes: VecDeque::new(),
            minute: MinuteSoFar::default(),
            ages: vec![0.0; workload.messages.len()],
            is_done: vec![false; workload.messages.len()],
            unfinished: workload.messages.iter().filter(|message| message.fate == Fate::Handled).count(),
            task_seconds: 0.0,
            launches: 0,
            kills: 0,
            seconds_at_zero: 0.0,
            flaps: 0,
            fell_at: None,
            course: Vec::new(),
        }
    }

    fn run(&mut self, scaler: &mut dyn Scaler) {
        let initial = scaler.initial();
        self.desired = initial;
        for _ in 0..initial {
            self.start_task(0.0);
        }
        self.plan(0.0, Event::Snapshot);
        self.plan(scaler.period(), Event::Look);
        self.plan(60.0, Event::Minute);
        self.plan(0.0, Event::Note);
        let troubles = &self.workload.troubles;
        for (at, share) in &troubles.reclaims {
            self.plan(*at, Event::Reclaim(*share));
        }
        for (from, until) in &troubles.orphans {
            self.plan(*from, Event::Orphan(1));
            self.plan(*until, Event::Orphan(-1));
        }
        let end = self.workload.duration + AFTERWARDS_MAX;
        loop {
            let arrives = self.workload.messages.get(self.next_arrival).map(|message| message.at);
            let happens = self.events.peek().map(|Reverse(planned)| planned.at);
            let next = arrives.into_iter().chain(happens).fold(f64::INFINITY, f64::min);
            let is_quiet = arrives.is_none() && self.unfinished == 0;
            if next > end || (is_quiet && self.now >= self.workload.duration) {
                break;
            }
            self.pass(next);
            if arrives == Some(next) {
                let message = self.next_arrival;
                self.next_arrival += 1;
                self.minute.sent += 1.0;
                if self.workload.troubles.delay > 0.0 {
                    self.plan(self.now + self.workload.troubles.delay, Event::Undelayed(message));
                } else {
                    self.queue.push_back(message);
                    self.dispatch();
                }
            } else if let Some(Reverse(planned)) = self.events.pop() {
                self.happen(planned.event, scaler);
            }
        }
        self.pass(self.now.max(self.workload.duration));
    }

    fn plan(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.events.push(Reverse(Planned { at, number: self.planned, event }));
    }

    fn pass(&mut self, now: f64) {
        let passed = now - self.now;
        if self.running + self.pending == 0 {
            self.seconds_at_zero += passed;
        }
        self.now = now;
    }

    fn happen(&mut self, event: Event, scaler: &mut dyn Scaler) {
        match event {
            Event::Ready(task) => self.ready(task),
            Event::Done { task, message } => self.done(task, message),
            Event::Visible(message) => self.give_back(message),
            Event::Undelayed(message) => {
                self.queue.push_back(message);
                self.dispatch();
            }
            Event::Reclaim(share) => self.reclaim(share),
            Event::Orphan(change) => self.change_in_flight(change),
            Event::IdleExit { task, since } => {
                let idle = &self.tasks[task];
                if idle.state == State::Running && idle.works_on.is_empty() && idle.idle_since == since {
                    self.end_task(task);
                }
            }
            Event::Snapshot => self.snapshot = (self.queue.len() as u64, self.in_flight),
            Event::Look => {
                let order = scaler.look(&self.view());
                self.follow(order);
                let next = self.now + scaler.period();
                self.plan((next - self.surroundings.lag).max(self.now), Event::Snapshot);
                self.plan(next, Event::Look);
            }
            Event::Minute => self.end_minute(),
            Event::Note => {
                self.note();
                self.plan(self.now + self.surroundings.noted_every, Event::Note);
            }
        }
    }

    fn view(&mut self) -> View {
        let (visible, in_flight) = self.snapshot;
        let places = f64::from(self.running) * f64::from(self.surroundings.concurrency);
        View {
            now: self.now,
            visible,
            in_flight,
            running: self.running,
            pending: self.pending,
            desired: self.desired,
            protected: u32::try_from(
                self.tasks.iter().filter(|task| task.state == State::Running && !task.works_on.is_empty()).count(),
            )
            .unwrap_or(u32::MAX),
            busy: if places > 0.0 { (self.in_flight as f64 / places).min(1.0) } else { 0.0 },
            start_delays: std::mem::take(&mut self.start_delays),
            minutes: std::mem::take(&mut self.minutes),
        }
    }

    fn follow(&mut self, order: Order) {
        let before = self.running + self.pending;
        match order {
            Order::Hold => {}
            Order::Launch(count) => {
                if count > 0 {
                    self.rose();
                }
                for _ in 0..count {
                    self.start_task(self.surroundings.start_delay);
                }
            }
            Order::Desired(count) => {
                match count.cmp(&self.desired) {
                    Ordering::Greater => self.rose(),
                    Ordering::Less => self.fell_at = Some(self.now),
                    Ordering::Equal => {}
                }
                self.desired = count;
                for _ in before..count {
                    self.start_task(self.surroundings.start_delay);
                }
                self.stop_surplus();
            }
        }
    }

    fn rose(&mut self) {
        // A start from zero is not a flap.
        let wakes = self.running + self.pending == 0;
        if !wakes && self.fell_at.is_some_and(|fell_at| self.now - fell_at <= FLAP_WITHIN) {
            self.flaps += 1;
        }
        self.fell_at = None;
    }

    fn start_task(&mut self, delay: f64) {
        let delay =
            if delay > 0.0 { log_normal(&mut self.rng, delay, self.surroundings.start_delay_sigma) } else { 0.0 };
        let task = self.tasks.len();
        self.tasks.push(Task { state: State::Pending, asked_at: self.now, works_on: Vec::new(), idle_since: 0.0 });
        self.pending += 1;
        self.launches += 1;
        self.plan(self.now + delay, Event::Ready(task));
    }

    fn ready(&mut self, task: usize) {
        if self.tasks[task].state != State::Pending {
            return;
        }
        self.tasks[task].state = State::Running;
        self.pending -= 1;
        self.running += 1;
        self.start_delays.push(self.now - self.tasks[task].asked_at);
        self.free.push(task);
        self.rest(task);
        self.dispatch();
        self.stop_surplus();
    }

    /// Takes the first message whose message group is not blocked by one in flight.
    fn next_message(&mut self) -> Option<usize> {
        let is_free = |message: &usize| {
            self.workload.messages[*message].group.is_none_or(|group| !self.busy_groups.contains(&group))
        };
        let position = self.queue.iter().position(is_free)?;
        self.queue.remove(position)
    }

    /// Makes a message visible again, or puts it into the dead-letter queue if it was received too often.
    fn give_back(&mut self, message: usize) {
        self.leave_flight(message);
        let receives_max = self.workload.troubles.receives_max;
        if receives_max.is_some_and(|max| self.receives[message] >= max) {
            // It is left, not done: whoever kills its worker so often loses it.
            self.unfinished -= usize::from(self.workload.messages[message].fate == Fate::Handled);
        } else {
            self.queue.push_front(message);
        }
        self.dispatch();
    }

    fn leave_flight(&mut self, message: usize) {
        self.change_in_flight(-1);
        if let Some(group) = self.workload.messages[message].group {
            self.busy_groups.remove(&group);
        }
    }

    fn finish(&mut self, message: usize) {
        self.is_done[message] = true;
        if self.workload.messages[message].fate == Fate::Handled {
            self.unfinished -= 1;
        }
    }

    /// Ends a share of the running workers, chosen at random. Their messages become visible after the visibility
    /// timeout.
    fn reclaim(&mut self, share: f64) {
        let mut running: Vec<usize> =
            (0..self.tasks.len()).filter(|task| self.tasks[*task].state == State::Running).collect();
        self.rng.shuffle(&mut running);
        let count = (running.len() as f64 * share).round() as usize;
        for task in running.into_iter().take(count) {
            self.crash(task);
        }
        self.replace();
    }

    /// Ends a worker without giving it time for its messages.
    fn crash(&mut self, task: usize) {
        let lost = std::mem::take(&mut self.tasks[task].works_on);
        for (message, _) in lost {
            self.plan(self.now + self.surroundings.visibility_timeout, Event::Visible(message));
        }
        self.end_task(task);
    }

    /// Starts a service's missing tasks, as ECS does.
    fn replace(&mut self) {
        if self.idle_exit.is_some() {
            return;
        }
        for _ in self.running + self.pending..self.desired {
            self.start_task(self.surroundings.start_delay);
        }
    }

    /// Gives each waiting message to a random worker that can take one.
    fn dispatch(&mut self) {
        while !self.free.is_empty()
            && let Some(message) = self.next_message()
        {
            let position = self.rng.usize(..self.free.len());
            let task = self.free[position];
            let work = self.workload.messages[message].work;
            let until = self.now + work;
            self.ages[message] = self.now - self.workload.messages[message].at;
            self.tasks[task].works_on.push((message, until));
            if self.tasks[task].works_on.len() >= self.surroundings.concurrency as usize {
                self.free.swap_remove(position);
            }
            self.receives[message] += 1;
            self.busy_groups.extend(self.workload.messages[message].group);
            self.change_in_flight(1);
            self.plan(until, Event::Done { task, message });
        }
    }

    fn done(&mut self, task: usize, message: usize) {
        let works_on = &mut self.tasks[task].works_on;
        let Some(position) = works_on.iter().position(|(other, until)| *other == message && *until <= self.now) else {
            return;
        };
        match self.workload.messages[message].fate {
            Fate::Handled => {
                works_on.swap_remove(position);
                self.finish(message);
                self.minute.deleted += 1.0;
                self.leave_flight(message);
            }
            Fate::Fails => {
                works_on.swap_remove(position);
                let doubled = 2f64.powi(self.receives[message].saturating_sub(1).min(30) as i32);
                let delay = (self.workload.troubles.retry_delay * doubled).min(RETRY_DELAY_MAX);
                self.plan(self.now + delay, Event::Visible(message));
            }
            Fate::CrashesWorker => {
                self.crash(task);
                return self.replace();
            }
        }
        if self.tasks[task].state != State::Running {
            return;
        }
        if !self.free.contains(&task) {
            self.free.push(task);
        }
        self.dispatch();
        if self.tasks[task].works_on.is_empty() {
            self.rest(task);
            self.stop_surplus();
        }
    }

    fn rest(&mut self, task: usize) {
        self.tasks[task].idle_since = self.now;
        if let Some(idle_exit) = self.idle_exit {
            self.plan(self.now + idle_exit, Event::IdleExit { task, since: self.now });
        }
    }

    /// Stops a service's surplus tasks as ECS does: first those that are starting, then idle ones if tasks protect
    /// themselves, or else random ones.
    fn stop_surplus(&mut self) {
        if self.idle_exit.is_some() {
            return;
        }
        while self.running + self.pending > self.desired {
            let last = |state: State| self.tasks.iter().rposition(|task| task.state == state);
            let idle: Vec<usize> =
                self.free.iter().copied().filter(|task| self.tasks[*task].works_on.is_empty()).collect();
            if self.pending > 0
                && let Some(pending) = last(State::Pending)
            {
                self.end_task(pending);
            } else if self.protects {
                match idle.first() {
                    Some(idle) => self.end_task(*idle),
                    None => return,
                }
            } else {
                let running: Vec<usize> =
                    (0..self.tasks.len()).filter(|task| self.tasks[*task].state == State::Running).collect();
                if running.is_empty() {
                    return;
                }
                let chosen = self.rng.usize(..running.len());
                self.end_task(running[chosen]);
            }
        }
    }

    fn end_task(&mut self, task: usize) {
        match self.tasks[task].state {
            State::Pending => self.pending -= 1,
            State::Running => self.running -= 1,
            State::Ended => return,
        }
        self.tasks[task].state = State::Ended;
        self.task_seconds += (self.now - self.tasks[task].asked_at).max(BILLED_MIN);
        self.free.retain(|other| *other != task);
        if self.idle_exit.is_some() {
            self.fell_at = Some(self.now);
        }
        let killed: Vec<usize> = self.tasks[task]
            .works_on
            .iter()
            .filter(|(_, until)| *until > self.now + STOP_TIMEOUT)
            .map(|(message, _)| *message)
            .collect();
        self.tasks[task].works_on.retain(|(_, until)| *until <= self.now + STOP_TIMEOUT);
        self.kills += killed.len();
        for message in killed {
            self.plan(self.now + self.surroundings.visibility_timeout, Event::Visible(message));
        }
    }

    fn change_in_flight(&mut self, change: i64) {
        self.minute.in_flight_seconds += self.in_flight as f64 * (self.now - self.minute.since);
        self.minute.since = self.now;
        self.in_flight = self.in_flight.saturating_add_signed(change);
    }

    fn end_minute(&mut self) {
        self.change_in_flight(0);
        let MinuteSoFar { sent, deleted, in_flight_seconds, .. } =
            std::mem::replace(&mut self.minute, MinuteSoFar { since: self.now, ..MinuteSoFar::default() });
        let in_flight = in_flight_seconds / 60.0;
        self.later_minutes.push_back(Minute { sent: Some(sent), deleted: Some(deleted), in_flight: Some(in_flight) });
        while self.later_minutes.len() > CLOUDWATCH_LAG {
            self.minutes.extend(self.later_minutes.pop_front());
        }
        self.plan(self.now + 60.0, Event::Minute);
    }

    fn note(&mut self) {
        let desired = if self.idle_exit.is_some() { self.running + self.pending } else { self.desired };
        let depth = self.queue.len() as u64 + self.in_flight;
        self.course.push(Point { at: self.now, depth, desired, running: self.running });
    }

    fn outcome(mut self) -> Outcome {
        for message in 0..self.is_done.len() {
            if !self.is_done[message] {
                self.ages[message] = (self.now - self.workload.messages[message].at).max(0.0);
            }
        }
        for task in self.tasks.iter().filter(|task| task.state != State::Ended) {
            self.task_seconds += (self.now - task.asked_at).max(BILLED_MIN);
        }
        let handled = self.workload.messages.iter().zip(&self.ages).zip(&self.is_done);
        let handled = handled.filter(|((message, _), _)| message.fate == Fate::Handled);
        let left = handled.clone().filter(|(_, is_done)| !**is_done).count();
        let mut ages: Vec<f64> = handled.map(|((_, age), _)| *age).collect();
        ages.sort_by(f64::total_cmp);
        Outcome {
            messages: ages.len(),
            left,
            mean_age: ages.iter().sum::<f64>() / ages.len().max(1) as f64,
            p50_age: quantile(&ages, 0.5),
            p99_age: quantile(&ages, 0.99),
            max_age: ages.last().copied().unwrap_or(0.0),
            task_hours: self.task_seconds / 3600.0,
            work_hours: self.workload.work() / f64::from(self.surroundings.concurrency) / 3600.0,
            launches: self.launches,
            flaps: self.flaps,
            kills: self.kills,
            time_at_zero: if self.now > 0.0 { self.seconds_at_zero / self.now } else { 0.0 },
            course: self.course,
        }
    }
}
