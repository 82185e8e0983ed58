//! Deterministic simulation: runs the engine itself against the model of ECS, through histories in which everything
//! fails that can fail. A seed makes a history, and the same seed always makes the same history.
//!
//! A history has a few events. Each is delivered up to three times, possibly more than a day later, and every delivery
//! uses one of two versions of the config. Every delivery, state change and sweep is a process. The simulation steps
//! processes from effect to effect in random order. A process may crash at any effect, freeze, have a clock that is
//! off, get no reply, or be killed at its deadline. Capacity changes at random. After some time all faults stop, and at
//! the end the [`rules`] must hold.

mod ports;
mod rules;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::UNOBSERVED;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Delivery, Door, Event, RedrivenLaunch};
use trigger_core::launch::IN_DOUBT;
use trigger_core::plan::Plan;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_engine::ports::Work;
use trigger_engine::{Delivered, Times, continue_launches, handle, handle_state_change, operate, redrive, sweep};

use ports::Simulated;
use world::{EARLIER, Faults, Shared, World};

/// A way to break the protocol, to show that the simulation detects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutation {
    /// Launch records are not written.
    SkipRecords,
    /// Every attempt of a launch uses the first attempt's client token.
    ReuseTokenAfterFailure,
    /// A call without a reply counts as failed.
    AdvanceAfterTimeout,
    /// A process that finds an attempt without a reply calls RunTask even if another process is calling.
    TwoCallAtOnce,
    /// The store takes slots without looking whether they are free.
    SlotsWithoutLimit,
    /// The last in line is taken for the next.
    Overtake,
    /// An event is answered before all of its launches are recorded.
    AnswerBeforeAllIsRecorded,
    /// Released slots are counted twice, so that two launches wake for one.
    WakeTwo,
    /// Released slots are not counted.
    KeepSlots,
    /// A record is written whatever version the store holds.
    IgnoreVersions,
    /// A repeated write counts again in its launch set.
    CountTwice,
    /// The index is trusted: a launch that it does not show is not looked for otherwise.
    TrustTheIndex,
    /// An attempt is called for although the slots are not recorded as taken.
    RecordSlotsLater,
    /// A write whose answer was lost is not recognized when it is repeated.
    ForgetRetriedWrites,
    /// A dead letter that was redriven before, or an older one than the last, starts its launch again.
    RedriveOldLetters,
    /// A launch whose request is refused for good is not rendered anew by the later config.
    KeepRefusedRequests,
}

const CONFIG: &str = r#"
version: 1
storage: { bucket: state }
defaults:
  cluster: batch
  network: { subnets: [subnet-1] }
  overrides: { container_overrides: [{ name: app, command: [VERSION, "{{ id }}"] }] }
tasks:
  plain:
    task_definition: plain
    capacity:
      - capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]
      - capacity_provider_strategy: [{ capacity_provider: FARGATE, weight: 1 }]
      - { launch_type: EC2, cpu: "512" }
  many:
    task_definition: many
    count: 4
    capacity:
      - capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]
      - capacity_provider_strategy: [{ capacity_provider: FARGATE, weight: 1 }]
  grouped: { task_definition: grouped, tags: { group: "{{ detail.key }}" } }
  limited: { task_definition: limited }
  element: { task_definition: limited, tags: { group: "{{ id }}" } }
  retried: { task_definition: retried, timeout: 30m, retry: { attempts: 3, backoff: 30s } }
routes:
  - { name: plain, on: { event_pattern: { detail: { kind: [plain, both] } } }, run: plain }
  - { name: many, on: { event_pattern: { detail: { kind: [many, both] } } }, run: many }
  - { name: single, on: { event_pattern: { detail: { kind: [single] } } }, run: limited, concurrency: { max: 1, when_full: skip } }
  - { name: keyed, on: { event_pattern: { detail: { kind: [keyed] } } }, run: grouped, concurrency: { max: 2, key: "{{ detail.key }}" } }
  - { name: latest, on: { event_pattern: { detail: { kind: [latest] } } }, run: limited, concurrency: { max: 1, when_full: replace } }
  - { name: retried, on: { event_pattern: { detail: { kind: [retried] } } }, run: retried }
  - { name: each, on: { event_pattern: { detail: { kind: [each] } } }, run: element, for_each: "{{ detail.list }}", max_at_once: 3 }
  - { name: wide, on: { event_pattern: { detail: { kind: [wide] } } }, run: limited, for_each: "{{ detail.list }}" }
  - { name: objects, on: { s3: { bucket: uploads } }, run: limited, ignore_older: true }
"#;

const KINDS: [&str; 9] = ["plain", "many", "both", "single", "keyed", "latest", "retried", "each", "wide"];
/// An invocation that takes longer is killed.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// All processes use the later config for this long before the earlier one loses its permissions, as `deploy` waits.
const DEPLOYED_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// A source gives up an event after this many failed deliveries.
const DELIVERIES_MAX: u32 = 5;
/// A person does something at one of so many steps, on average.
const OPERATED_EVERY: u32 = 300;
/// After this time no more faults occur.
const CHAOS: SignedDuration = SignedDuration::from_hours(2);
/// A history that takes longer breaks a rule: everything must have ended by then.
const END: SignedDuration = SignedDuration::from_hours(24 * 4);

/// The result of a history.
#[derive(Debug)]
pub struct Report {
    /// The first rule that was broken, if any.
    pub violation: Option<String>,
    /// Everything that happened, if `tells` was set.
    pub history: Vec<String>,
    /// The counts of what happened.
    pub tally: Tally,
}

/// Counts of what happened in histories, to detect a simulation in which nothing happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct Tally {
    pub events: usize,
    pub deliveries: usize,
    pub crashes: usize,
    pub sweeps: usize,
    pub cancelled: usize,
    pub retried: usize,
    pub run_task_calls: usize,
    pub tasks: usize,
    pub dead_letters: usize,
}

impl Tally {
    /// Adds the counts of another tally.
    pub fn add(&mut self, other: Self) {
        self.events += other.events;
        self.deliveries += other.deliveries;
        self.crashes += other.crashes;
        self.sweeps += other.sweeps;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.run_task_calls += other.run_task_calls;
        self.tasks += other.tasks;
        self.dead_letters += other.dead_letters;
    }
}

/// The two versions of the config that a history switches between.
#[derive(Debug)]
pub struct Configs {
    earlier: RoutingConfig,
    later: RoutingConfig,
    /// The later one with the earlier one's version.
    unnoticed: RoutingConfig,
}

impl Default for Configs {
    fn default() -> Self {
        let config = |version: &str, etag: &str| {
            let source = Source::new("simulation.yaml", CONFIG.replace("VERSION", version));
            let mut config = RoutingConfig::parse(source).unwrap_or_else(|problems| panic!("{problems:?}"));
            config.etag = Some(etag.to_owned());
            config
        };
        Self { earlier: config(EARLIER, "1"), later: config("two", "2"), unnoticed: config("two", "1") }
    }
}

/// Plays the history of a seed. If `tells` is set, the report lists everything that happened.
pub fn play(configs: &Configs, seed: u64, mutation: Option<Mutation>, tells: bool) -> Report {
    Play::new(configs, seed, mutation, tells).run()
}

type Running<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// A process: one invocation of a function.
struct Process<'a> {
    what: What,
    running: Running<'a>,
    deadline: Timestamp,
}

/// The input of an invocation.
#[derive(Debug, Clone)]
enum What {
    /// An event, by its position in the history.
    Event {
        event: usize,
        delivery: u32,
    },
    StateChange {
        event: String,
        delivery: u32,
    },
    Work(Vec<LaunchKey>),
    Redrive(RedrivenLaunch),
    /// A person cancels a launch.
    Cancel(LaunchKey),
    /// A person starts a launch again.
    Retry(LaunchKey),
    Sweep,
}

struct Play<'a> {
    configs: &'a Configs,
    world: Shared,
    begin: Timestamp,
    events: Vec<Event>,
    /// The deliveries to come, each with its time.
    coming: Vec<(Timestamp, What)>,
    processes: Vec<Process<'a>>,
    next_sweep: Timestamp,
    /// The number of dead letters that were looked at for a redrive.
    letters_seen: usize,
    /// For each event, whether some delivery of it was handled.
    done: Vec<bool>,
    tally: Tally,
}

impl<'a> Play<'a> {
    fn new(configs: &'a Configs, seed: u64, mutation: Option<Mutation>, tells: bool) -> Self {
        // An hour before midnight, so histories continue into the next day.
        let begin = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50 - 1);
        let mut world = World::new(seed, begin, mutation, tells);
        let rng = &mut world.rng;
        // Some histories are a crowd: many events of one kind within minutes, which share one limit.
        let crowd = (rng.u32(0..5) == 0).then(|| ["single", "keyed", "latest"][rng.usize(0..3)]);
        let (events_max, spread) = if crowd.is_some() { (10, 200) } else { (5, 1800) };
        let events: Vec<Event> =
            (0..rng.usize(1..=events_max)).map(|number| event(rng, number, begin, crowd)).collect();
        let mut coming = Vec::new();
        for event in 0..events.len() {
            let first = rng.i64(0..spread);
            for delivery in 0..rng.u32(1..=3) {
                let seconds = match (delivery, rng.u32(0..6)) {
                    (0, _) => first,
                    // At once, soon, or after ECS may have forgotten the client token.
                    (_, 0..=2) => first + rng.i64(0..3),
                    (_, 3 | 4) => first + rng.i64(0..4 * 3600),
                    _ => first + rng.i64(0..40 * 3600),
                };
                coming.push((begin + SignedDuration::from_secs(seconds), What::Event { event, delivery: 1 }));
            }
        }
        world.ecs.behaviour.failed_call_uses_token = rng.bool();
        // In some histories a deployment takes the earlier config's permissions away.
        world.retires_at = (rng.u32(0..5) == 0).then(|| begin + SignedDuration::from_secs(rng.i64(120..3600)));
        world.ecs.behaviour.lag = SignedDuration::from_secs(rng.i64(0..60));
        // From no faults to many.
        let harshness = [0.0, 0.01, 0.05, 0.15][rng.usize(0..4)];
        let mut chance = || harshness * rng.f64();
        world.faults = Faults {
            refused: chance(),
            lost: chance(),
            lost_at_first: 0.0,
            busy: chance(),
            crash: chance() / 2.0,
            freeze: chance() / 20.0,
        };
        if world.rng.u32(0..10) == 0 {
            world.loses_answers_of_writes_only = true;
            world.faults = Faults { lost_at_first: 0.2, ..Faults::default() };
        }
        let done = vec![false; events.len()];
        let (world, processes) = (Shared::new(world), Vec::new());
        let (next_sweep, letters_seen, tally) = (begin, 0, Tally::default());
        Self { configs, world, begin, events, coming, processes, next_sweep, letters_seen, done, tally }
    }

    fn run(mut self) -> Report {
        let mut is_over = false;
        while self.world.lock().violation.is_none() {
            let now = self.world.lock().now;
            if !is_over && now.duration_since(self.begin) > CHAOS {
                is_over = true;
                let mut world = self.world.lock();
                world.faults = Faults::default();
                world.ecs.capacity.clear();
                world.tell(|| "no more faults from now on".to_owned());
            }
            if now.duration_since(self.begin) > END {
                self.world.lock().violate(|| "the history does not end".to_owned());
                break;
            }
            self.world_passes();
            self.start_what_is_due();
            if self.processes.is_empty() {
                match self.next_time() {
                    Some(next) => self.world.lock().now = next.max(now),
                    None => break,
                }
            } else {
                self.step();
            }
        }
        self.report()
    }

    /// Advances the tasks, delivers their state changes, and changes the capacity at random.
    fn world_passes(&mut self) {
        let mut world = self.world.lock();
        let now = world.now;
        world.ecs.pass(now);
        let changes = std::mem::take(&mut world.ecs.changes);
        let in_chaos = world.faults.lost > 0.0;
        if in_chaos && world.rng.u32(0..12) == 0 {
            let provider = ["FARGATE", "FARGATE_SPOT", "EC2"][world.rng.usize(0..3)];
            let room = world.rng.u32(0..4);
            world.tell(|| format!("capacity of {provider}: {room}"));
            world.ecs.capacity.insert(provider.to_owned(), room);
        }
        if in_chaos && world.rng.u32(0..2000) == 0 {
            let seconds = world.rng.i64(1..600);
            world.tell(|| format!("the store does not answer for {seconds} s"));
            world.store_is_out_until = Some(now + SignedDuration::from_secs(seconds));
        }
        for change in changes {
            world.tell(|| format!("task state change: {}", change.event));
            let copies = match (world.rng.u32(0..10), in_chaos) {
                (0, true) => 0,
                (1, true) => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let seconds = if world.rng.u32(0..20) == 0 { world.rng.i64(0..7200) } else { world.rng.i64(0..20) };
                let what = What::StateChange { event: change.event.clone(), delivery: 1 };
                self.coming.push((now + SignedDuration::from_secs(seconds), what));
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let now = self.world.lock().now;
        let mut due = Vec::new();
        self.coming.retain(|(at, what)| {
            let is_due = *at <= now;
            if is_due {
                due.push(what.clone());
            }
            !is_due
        });
        for work in self.work_that_came(now) {
            due.push(What::Work(work));
        }
        self.redrive_some(now);
        due.extend(self.operate_some());
        if now >= self.next_sweep && self.first_due().is_some_and(|first| first <= now) {
            self.next_sweep = now + SignedDuration::from_mins(1);
            due.push(What::Sweep);
        }
        due.into_iter().for_each(|what| self.start(what));
    }

    fn start(&mut self, what: What) {
        let mut world = self.world.lock();
        world.tell(|| format!("starts: {what:?}"));
        let skew = SignedDuration::from_secs(world.rng.i64(-60..=60));
        let is_deployed = world.retires_at.is_some_and(|at| world.now >= at - DEPLOYED_BEFORE);
        let config = match is_deployed || world.rng.bool() {
            true if world.mutation == Some(Mutation::KeepRefusedRequests) => &self.configs.unnoticed,
            true => &self.configs.later,
            false => &self.configs.earlier,
        };
        let deadline = world.now + TIMEOUT;
        drop(world);
        let ports = Simulated::new(self.world.clone(), skew);
        let by_its_clock = Some(deadline + skew);
        let running: Running<'a> = match &what {
            What::Event { event, .. } => {
                self.tally.deliveries += 1;
                let event = self.events[*event].clone();
                Box::pin(async move {
                    let text = event.text.clone();
                    let times = Times { now: Timestamp::UNIX_EPOCH, deadline: by_its_clock };
                    let delivered = Delivered { text: &text, event: Ok(config.match_event(event)), times };
                    let result = handle(delivered, config, &ports).await;
                    ports.world.lock().tell(|| format!("handled: {result:?}"));
                    result.is_ok() || result.is_err_and(|error| error.is_settled())
                })
            }
            What::StateChange { event, .. } => {
                let change = Delivery::open(Door::TaskLifecycle, event).content;
                Box::pin(async move {
                    let Ok(Delivery::StateChange(change)) = change else { return false };
                    handle_state_change(&change, config, &ports, by_its_clock).await.is_ok()
                })
            }
            What::Work(launches) => {
                let launches = launches.clone();
                Box::pin(async move {
                    let result = continue_launches(&launches, config, &ports, by_its_clock).await;
                    ports.world.lock().tell(|| format!("worked: {result:?}"));
                    true
                })
            }
            What::Redrive(redriven) => {
                let mut redriven = redriven.clone();
                Box::pin(async move {
                    if ports.world.lock().mutation == Some(Mutation::RedriveOldLetters) {
                        let stored = ports.world.lock().store.read(&redriven.launch);
                        redriven.redrives = stored.map_or(0, |stored| stored.record.redrives());
                    }
                    let result = redrive(&redriven, config, &ports, by_its_clock).await;
                    ports.world.lock().tell(|| format!("redriven: {result:?}"));
                    true
                })
            }
            What::Cancel(launch) => {
                self.tally.cancelled += 1;
                let launch = launch.clone();
                Box::pin(async move {
                    let result = operate::cancel(&launch, config, &ports).await;
                    ports.world.lock().tell(|| format!("cancelled: {result:?}"));
                    true
                })
            }
            What::Retry(launch) => {
                self.tally.retried += 1;
                let launch = launch.clone();
                Box::pin(async move {
                    let result = operate::retry(&launch, config, &ports).await;
                    ports.world.lock().tell(|| format!("retried: {result:?}"));
                    true
                })
            }
            What::Sweep => {
                self.tally.sweeps += 1;
                Box::pin(async move {
                    let result = sweep(config, &ports, by_its_clock).await;
                    ports.world.lock().tell(|| format!("swept: {result:?}"));
                    true
                })
            }
        };
        self.processes.push(Process { what, running, deadline });
    }

    /// Runs a random process up to its next effect or its end, or crashes it.
    fn step(&mut self) {
        let mut world = self.world.lock();
        let chosen = world.rng.usize(0..self.processes.len());
        let Faults { crash, freeze, .. } = world.faults;
        let is_killed = world.now > self.processes[chosen].deadline;
        let crashes = world.chance(crash) || is_killed;
        if world.rng.u32(0..3) == 0 {
            let milliseconds = world.rng.i64(1..400);
            world.now += SignedDuration::from_millis(milliseconds);
        }
        if world.chance(freeze) {
            let seconds = world.rng.i64(1..1200);
            world.now += SignedDuration::from_secs(seconds);
            world.tell(|| format!("everything freezes for {seconds} s"));
        }
        if crashes {
            world.mishaps += 1;
            world.loses_answers_of_writes_only = false;
            self.tally.crashes += 1;
            let what = self.processes[chosen].what.clone();
            world.tell(|| format!("crashes: {what:?}"));
        }
        drop(world);
        let result = match crashes {
            true => Poll::Ready(false),
            false => self.processes[chosen].running.as_mut().poll(&mut Context::from_waker(Waker::noop())),
        };
        if let Poll::Ready(is_done) = result {
            let Process { what, .. } = self.processes.swap_remove(chosen);
            self.ended(what, is_done);
        }
    }

    /// Notes the end of a process. What was not handled is delivered again, a few times.
    fn ended(&mut self, what: What, is_done: bool) {
        let again = match what {
            What::Event { event, delivery } => {
                self.done[event] |= is_done;
                What::Event { event, delivery: delivery + 1 }
            }
            What::StateChange { event, delivery } => What::StateChange { event, delivery: delivery + 1 },
            What::Work(_) | What::Redrive(_) | What::Cancel(_) | What::Retry(_) | What::Sweep => return,
        };
        let (What::Event { delivery, .. } | What::StateChange { delivery, .. }) = &again else { return };
        if !is_done && *delivery <= DELIVERIES_MAX {
            let mut world = self.world.lock();
            let at = world.now + SignedDuration::from_secs(world.rng.i64(1..180));
            self.coming.push((at, again));
        }
    }

    /// Takes the messages of the work queue that are delivered now.
    fn work_that_came(&self, now: Timestamp) -> Vec<Vec<LaunchKey>> {
        let mut world = self.world.lock();
        let (came, coming) = std::mem::take(&mut world.work).into_iter().partition(|(at, _)| *at <= now);
        world.work = coming;
        let came: Vec<(Timestamp, Work)> = came;
        came.into_iter().map(|(_, work)| work.launches).collect()
    }

    /// Sometimes cancels a launch, or starts one again.
    fn operate_some(&self) -> Option<What> {
        let mut world = self.world.lock();
        let is_over = world.now.duration_since(self.begin) > CHAOS;
        if is_over || world.rng.u32(0..OPERATED_EVERY) > 0 {
            return None;
        }
        let launches: Vec<LaunchKey> = world.store.launches().map(|record| record.key.clone()).collect();
        let launch = world.rng.choice(launches)?;
        let in_doubt = world
            .dead_letters
            .iter()
            .any(|letter| letter.launch.as_deref() == Some(&launch.to_string()) && letter.reason.contains(IN_DOUBT));
        Some(match world.rng.bool() {
            true => {
                world.cancelled.push(launch.clone());
                What::Cancel(launch)
            }
            // Before a person starts such a launch again, they must look in ECS.
            false if in_doubt => return None,
            false => {
                world.retried.push(launch.clone());
                What::Retry(launch)
            }
        })
    }

    /// Delivers some new dead letters of launches again, some of them twice, at once or hours later.
    fn redrive_some(&mut self, now: Timestamp) {
        let mut world = self.world.lock();
        let is_over = now.duration_since(self.begin) > CHAOS;
        let new = world.dead_letters.len();
        for number in std::mem::replace(&mut self.letters_seen, new)..new {
            let letter = world.dead_letters[number].clone();
            // Before a person redrives such a letter, they must look in ECS.
            let is_known = ![IN_DOUBT, UNOBSERVED].iter().any(|words| letter.reason.contains(words));
            let launch = letter.launch.as_deref().and_then(LaunchKey::parse).filter(|_| is_known && !is_over);
            let Some(launch) = launch.filter(|_| world.rng.u32(0..4) == 0) else { continue };
            let redriven = RedrivenLaunch { launch, redrives: letter.redrives };
            if !world.redriven.contains(&redriven) {
                world.redriven.push(redriven.clone());
            }
            for _ in 0..world.rng.u32(1..=2) {
                let longest = [600, 6 * 3600][world.rng.usize(0..2)];
                let at = now + SignedDuration::from_secs(world.rng.i64(0..longest));
                self.coming.push((at, What::Redrive(redriven.clone())));
            }
        }
    }

    fn first_due(&self) -> Option<Timestamp> {
        self.world.lock().store.first_due()
    }

    fn next_time(&self) -> Option<Timestamp> {
        let coming = self.coming.iter().map(|(at, _)| *at).min();
        let sweep = self.first_due().map(|due| due.max(self.next_sweep));
        let (change, work) = {
            let world = self.world.lock();
            (world.ecs.next_change(), world.work.iter().map(|(at, _)| *at).min())
        };
        [coming, sweep, change, work].into_iter().flatten().min()
    }

    fn report(mut self) -> Report {
        let mut delivered = Vec::new();
        let mut lost = Vec::new();
        for (event, is_done) in self.events.iter().zip(&self.done) {
            let plan = Plan::new(&self.configs.earlier, event).unwrap_or_else(|errors| panic!("{errors:?}"));
            let keys: Vec<LaunchKey> = plan.launches.into_iter().map(|planned| planned.key).collect();
            if !is_done {
                lost.extend(keys.clone());
            }
            delivered.extend(keys);
        }
        let mut world = self.world.lock();
        if world.violation.is_none() {
            let broken = rules::at_the_end(&world, &delivered, &lost);
            broken.into_iter().for_each(|rule| world.violate(|| rule));
        }
        self.tally.events = self.events.len();
        self.tally.run_task_calls = world.ecs.calls.len();
        self.tally.tasks = world.ecs.tasks.len();
        self.tally.dead_letters = world.dead_letters.len();
        let history = world.history.take().unwrap_or_default();
        Report { violation: world.violation.take(), history, tally: self.tally }
    }
}

/// Makes a random event: about an object, or of one of the [`KINDS`].
fn event(rng: &mut fastrand::Rng, number: usize, begin: Timestamp, crowd: Option<&str>) -> Event {
    let time = begin.strftime("%Y-%m-%dT%H:%M:%SZ");
    let id = format!("00000000-0000-0000-0000-{number:012}");
    let (source, detail_type, detail) = match rng.u32(0..6) {
        0 if crowd.is_none() => {
            let sequencer = ["0001", "00015", "0002", "00020"][rng.usize(0..4)];
            let detail = format!(
                r#"{{"bucket":{{"name":"uploads"}},"object":{{"key":"k","size":1,"etag":"e{number}","sequencer":"{sequencer}"}},"reason":"PutObject"}}"#
            );
            ("aws.s3", "Object Created", detail)
        }
        _ => {
            let kind = crowd.unwrap_or(KINDS[rng.usize(0..KINDS.len())]);
            let key = if crowd.is_some() { 0 } else { rng.u32(0..2) };
            // Mostly few elements; sometimes so many that the work queue starts them.
            let elements = match rng.u32(0..400) {
                0 if kind == "wide" => 1000,
                0..50 => rng.u32(21..=40),
                _ => rng.u32(0..=5),
            };
            let list: Vec<u32> = (0..elements).collect();
            ("app", "job", format!(r#"{{"kind":"{kind}","key":"{key}","list":{list:?}}}"#))
        }
    };
    let text = format!(
        r#"{{"version":"0","id":"{id}","source":"{source}","detail-type":"{detail_type}","account":"1","time":"{time}","region":"r","resources":[],"detail":{detail}}}"#
    );
    Event::decode(&text).unwrap_or_else(|error| panic!("{error}"))
}
