//! The rate of RunTask calls that all functions share, in simulated time: many sandboxes that always have more to
//! launch reserve calls in the launch store and make them, against ECS's own token buckets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

use e2e::ecs::{Ecs, FARGATE, Fortune, RUN_TASK};
use expect_test::expect;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use trigger_core::ecs::{StoppedTask, TaskRequest};
use trigger_core::launch::{CallTimes, Pool, Verdict};
use trigger_engine::StoreModel;

/// How long each simulation takes.
const DURATION: SignedDuration = SignedDuration::from_mins(5);
/// The latencies of a request to the store and of RunTask. Half of each passes before it takes effect.
const STORE: SignedDuration = SignedDuration::from_millis(5);
const CALL: SignedDuration = SignedDuration::from_millis(150);
/// What the engine does: it leaves a launch whose call would have to wait longer, for this time.
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(10);
const LEFT_FOR: SignedDuration = SignedDuration::from_secs(5);
/// One in this many reservations is lost, because the sandbox ends.
const LOST: u32 = 50;
/// A sandbox freezes on average after this time, for some of these seconds.
const FREEZES_AFTER: SignedDuration = SignedDuration::from_secs(30);
const FROZEN_SECONDS: std::ops::Range<i64> = 1..9;

/// A simulation.
#[derive(Debug, Clone, Copy)]
struct Case {
    pool: Pool,
    sandboxes: usize,
    /// A sandbox reserves at most this many calls at once.
    reserved: u32,
    /// Each sandbox's clock is ahead or behind by at most this.
    skew: SignedDuration,
    freezes: bool,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A sandbox wants to launch, and asks for calls.
    Asks,
    /// The store reserves calls. The time is that of the sandbox's clock when it asked.
    Reserves(u32, Timestamp),
    /// The sandbox hears when it may make the calls.
    Hears(Vec<Timestamp>),
    /// It makes a call for a launch that has waited since a time.
    Calls(Timestamp),
    /// The call reaches ECS.
    Arrives(Timestamp),
    /// The sandbox hears whether ECS has throttled the call.
    Replied(Timestamp, bool),
    /// The store hears of the throttle. The time is that of the sandbox's clock.
    SlowsDown(Timestamp),
}

impl Happening {
    /// Returns whether it waits while the sandbox is frozen.
    fn is_in_sandbox(&self) -> bool {
        !matches!(self, Self::Reserves(..) | Self::Arrives(_) | Self::SlowsDown(_))
    }
}

#[derive(Debug, Default)]
struct Sandbox {
    /// How far its clock is ahead.
    skew: SignedDuration,
    /// From when to when it is frozen.
    frozen: Vec<(Timestamp, Timestamp)>,
    /// The launches that ECS has throttled, by the times since when they wait.
    throttled: VecDeque<Timestamp>,
    /// Since when the launches wait for which it asks now.
    waits_since: Option<Timestamp>,
    /// How many of its calls are not replied to.
    open: usize,
}

struct World {
    case: Case,
    rng: Rng,
    store: StoreModel,
    ecs: Ecs,
    request: TaskRequest,
    sandboxes: Vec<Sandbox>,
    /// What is to come, in the order of time.
    coming: BinaryHeap<Reverse<(Timestamp, u64, usize, Happening)>>,
    planned: u64,
    accepted: u32,
    throttled: u32,
    longest: SignedDuration,
}

/// What became of the calls.
struct Figures {
    /// The share of calls that were throttled, in percent.
    throttled: f64,
    /// The share that was used of the calls that ECS would have accepted, in percent.
    used: f64,
    /// The longest time that a launch has waited for its call.
    longest: SignedDuration,
}

impl World {
    fn new(case: Case) -> Self {
        let mut rng = Rng::with_seed(1);
        let sandboxes: Vec<Sandbox> = (0..case.sandboxes).map(|_| Sandbox::new(case, &mut rng)).collect();
        let request = json!({ "taskDefinition": "t", "startedBy": "s", "clientToken": "c", "launchType": "EC2" });
        let mut request: TaskRequest = serde_json::from_value(request).expect("is a request");
        if case.pool == Pool::Fargate {
            let strategy = json!([{ "capacityProvider": "FARGATE", "weight": 1 }]);
            let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"] } });
            request.launch_type = None;
            request.capacity_provider_strategy = serde_json::from_value(strategy).expect("is a strategy");
            request.network_configuration = serde_json::from_value(network).expect("is a network");
        }
        assert_eq!(Pool::of(&request), case.pool);
        let mut world = Self {
            case,
            rng,
            store: StoreModel::default(),
            ecs: Ecs::default(),
            request,
            sandboxes,
            coming: BinaryHeap::new(),
            planned: 0,
            accepted: 0,
            throttled: 0,
            longest: SignedDuration::ZERO,
        };
        for sandbox in 0..case.sandboxes {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(world.rng.i64(0..1000));
            world.plan(at, sandbox, Happening::Asks);
        }
        world
    }

    fn play(mut self) -> Figures {
        let end = Timestamp::UNIX_EPOCH + DURATION;
        while let Some(Reverse((now, _, sandbox, happening))) = self.coming.pop() {
            if now > end {
                break;
            }
            let thaws = self.sandboxes[sandbox].thaws(now).filter(|_| happening.is_in_sandbox());
            match thaws {
                Some(thaws) => self.plan(thaws, sandbox, happening),
                None => self.happen(now, sandbox, happening),
            }
        }
        let accepted = match self.case.pool {
            Pool::Fargate => FARGATE,
            Pool::Instances => RUN_TASK,
        };
        let allowed = f64::from(accepted.per_second) * DURATION.as_secs_f64() + f64::from(accepted.burst);
        Figures {
            throttled: f64::from(self.throttled) * 100.0 / f64::from(self.throttled + self.accepted),
            used: f64::from(self.accepted) * 100.0 / allowed,
            longest: self.longest,
        }
    }

    fn plan(&mut self, at: Timestamp, sandbox: usize, happening: Happening) {
        self.planned += 1;
        self.coming.push(Reverse((at, self.planned, sandbox, happening)));
    }

    fn happen(&mut self, now: Timestamp, number: usize, happening: Happening) {
        let sandbox = &mut self.sandboxes[number];
        let clock = now + sandbox.skew;
        match happening {
            Happening::Asks => {
                sandbox.waits_since.get_or_insert(now);
                let calls = self.rng.u32(1..=self.case.reserved);
                self.plan(now + STORE / 2, number, Happening::Reserves(calls, clock));
            }
            Happening::Reserves(calls, clock) => {
                let times: Option<CallTimes> = self.store.reserve_calls(self.case.pool, calls, clock, WAIT_MAX);
                let times = times.iter().flat_map(|times| (0..calls).map(|number| times.at(number))).collect();
                self.plan(now + STORE / 2, number, Happening::Hears(times));
            }
            Happening::Hears(times) if times.is_empty() => self.plan(now + LEFT_FOR, number, Happening::Asks),
            // Another sandbox takes its place.
            Happening::Hears(_) if self.rng.u32(0..LOST) == 0 => self.plan(now, number, Happening::Asks),
            Happening::Hears(times) => {
                sandbox.open = times.len();
                let fresh = sandbox.waits_since.take().unwrap_or(now);
                let skew = sandbox.skew;
                for at in times {
                    let since = self.sandboxes[number].throttled.pop_front().unwrap_or(fresh);
                    self.plan(now.max(at - skew), number, Happening::Calls(since));
                }
            }
            Happening::Calls(since) => self.plan(now + CALL / 2, number, Happening::Arrives(since)),
            Happening::Arrives(since) => {
                let reply = self.ecs.run_task(&self.request, now, for_a_moment);
                let is_throttled = reply.verdict(1) == Verdict::Busy { throttled: true };
                if is_throttled {
                    self.throttled += 1;
                } else {
                    self.accepted += 1;
                    self.longest = self.longest.max(now.duration_since(since));
                }
                self.plan(now + CALL / 2, number, Happening::Replied(since, is_throttled));
            }
            Happening::Replied(since, is_throttled) => {
                sandbox.open -= 1;
                let is_last = sandbox.open == 0;
                if is_throttled {
                    sandbox.throttled.push_back(since);
                    self.plan(now + STORE / 2, number, Happening::SlowsDown(clock));
                }
                if is_last {
                    self.plan(now, number, Happening::Asks);
                }
            }
            Happening::SlowsDown(clock) => self.store.slow_down(self.case.pool, clock),
        }
    }
}

impl Sandbox {
    fn new(case: Case, rng: &mut Rng) -> Self {
        let share = rng.f64() * 2.0 - 1.0;
        let skew = SignedDuration::from_secs_f64(case.skew.as_secs_f64() * share);
        let (mut frozen, mut at) = (Vec::new(), Timestamp::UNIX_EPOCH);
        while case.freezes && at < Timestamp::UNIX_EPOCH + DURATION {
            at += SignedDuration::from_secs_f64(-(1.0 - rng.f64()).ln() * FREEZES_AFTER.as_secs_f64());
            let thaws = at + SignedDuration::from_secs(rng.i64(FROZEN_SECONDS));
            frozen.push((at, thaws));
            at = thaws;
        }
        Self { skew, frozen, ..Self::default() }
    }

    /// Returns when the sandbox goes on, if it is frozen.
    fn thaws(&self, now: Timestamp) -> Option<Timestamp> {
        self.frozen.iter().find(|(from, to)| (*from..*to).contains(&now)).map(|(_, to)| *to)
    }
}

impl Figures {
    /// Returns whether at most 1 % of the calls are throttled, and at least 95 % of the rate is used.
    fn are_good(&self) -> bool {
        self.throttled <= 1.0 && self.used >= 95.0
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { throttled, used, longest } = self;
        write!(formatter, "{throttled:>8.2} % {used:>6.1} % {:>6.1} s", longest.as_secs_f64())
    }
}

fn for_a_moment() -> Fortune {
    let moment = SignedDuration::ZERO;
    Fortune { pending: moment, running: moment, end: StoppedTask::default(), stopping: moment }
}

/// The clocks of Lambda's hosts differ by milliseconds. If clocks differ by seconds, Fargate's bucket of 20 calls is
/// too small for calls that come that much too early or late. `!` marks what misses the goal.
#[test]
fn sandboxes_share_the_rate() {
    let mut table = "pool      sandboxes  reserve  clocks differ  freeze  throttled     used   longest\n".to_owned();
    for pool in Pool::ALL {
        for (sandboxes, reserved, milliseconds, freezes) in [
            (1, 10, 10, false),
            (10, 10, 10, false),
            (50, 10, 10, false),
            (50, 25, 10, false),
            (50, 5, 10, true),
            (50, 10, 10, true),
            (50, 25, 10, true),
            (10, 10, 2000, true),
            (50, 5, 2000, false),
            (50, 10, 2000, false),
            (50, 10, 2000, true),
        ] {
            let skew = SignedDuration::from_millis(milliseconds);
            let figures = World::new(Case { pool, sandboxes, reserved, skew, freezes }).play();
            let is_usual = sandboxes == 50 && reserved <= 10 && milliseconds <= 10;
            assert!(figures.are_good() || !is_usual, "{pool:?}, {reserved} calls at once: {figures}");
            table += &format!(
                "{:<9} {sandboxes:>9} {reserved:>8}  {milliseconds:>10} ms  {:<6} {figures}{}\n",
                pool.as_str(),
                if freezes { "yes" } else { "no" },
                if figures.are_good() { "" } else { " !" },
            );
        }
    }
    expect![[r#"
        pool      sandboxes  reserve  clocks differ  freeze  throttled     used   longest
        fargate           1       10          10 ms  no         0.00 %   95.4 %    1.2 s
        fargate          10       10          10 ms  no         0.00 %   95.6 %    4.5 s
        fargate          50       10          10 ms  no         0.00 %   96.1 %   55.4 s
        fargate          50       25          10 ms  no         0.00 %   97.0 %  236.3 s
        fargate          50        5          10 ms  yes        0.00 %   96.0 %   15.8 s
        fargate          50       10          10 ms  yes        0.40 %   95.5 %   49.6 s
        fargate          50       25          10 ms  yes        3.04 %   93.3 %  198.7 s !
        fargate          10       10        2000 ms  yes        2.49 %   85.4 %   17.2 s !
        fargate          50        5        2000 ms  no         1.68 %   94.2 %   28.4 s !
        fargate          50       10        2000 ms  no         5.09 %   91.6 %  240.3 s !
        fargate          50       10        2000 ms  yes        6.35 %   89.7 %  180.8 s !
        instances         1       10          10 ms  no         0.00 %   87.0 %    0.1 s !
        instances        10       10          10 ms  no         0.00 %   95.6 %    2.2 s
        instances        50       10          10 ms  no         0.00 %   95.7 %    8.9 s
        instances        50       25          10 ms  no         0.00 %   95.5 %   90.1 s
        instances        50        5          10 ms  yes        0.00 %   95.8 %   11.7 s
        instances        50       10          10 ms  yes        0.00 %   95.6 %   15.1 s
        instances        50       25          10 ms  yes        0.00 %   96.1 %   91.9 s
        instances        10       10        2000 ms  yes        0.00 %   95.5 %   10.5 s
        instances        50        5        2000 ms  no         0.00 %   95.2 %    6.4 s
        instances        50       10        2000 ms  no         0.00 %   94.9 %   10.2 s !
        instances        50       10        2000 ms  yes        0.00 %   95.9 %   15.6 s
    "#]]
    .assert_eq(&table);
}
