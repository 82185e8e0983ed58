//! When more workers would not help: a message group that one message blocks, an image that does not start or breaks down, a
//! downstream that throttles. Then a policy that only sees depth would go to its maximum and stay there.

use jiff::Timestamp;

use super::observation::Seen;
use super::{Demand, Memory, Mode, ScalingPolicy};

/// How many readings in a row must show idle workers beside waiting messages.
const READINGS: u32 = 3;
/// Which part of the workers' places must be taken for them not to count as idle.
const IDLE_BELOW: f64 = 0.5;
/// By which part more messages must be worked on for it to be over.
const RISE: f64 = 0.25;
/// How many times as long as tasks take to start nothing may be worked on, at least so many seconds.
const STARTS: f64 = 3.0;
const UNSERVED_SECONDS_MIN: f64 = 120.0;
/// Which part of the places that were asked for counts as nothing.
const UNSERVED_PART: f64 = 0.1;
/// How long there is at least between two tasks that are started to see whether it is over: seconds.
const TRIES_EVERY_MIN: f64 = 60.0;
/// After how long it is tried once whether more workers help nevertheless, and how many more: a part of those that run.
const PROBED_AFTER: f64 = 600.0;
const PROBE: f64 = 0.25;

/// What tells that more workers would not help.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signs {
    /// How many readings in a row show idle workers beside waiting messages.
    readings: u32,
    /// Since when messages wait and next to none is worked on, though workers were asked for: seconds.
    unserved_since: Option<f64>,
    /// For how many workers messages waited at the last reading.
    waiting: u64,
    /// How many workers there should be at the next reading.
    pub(super) expected: u32,
    /// Since when it is blocked.
    blocked: Option<Blocked>,
    /// Which part of their places workers use at most, where they were seen not to use all, and more of them to help.
    utilization: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Blocked {
    /// Seconds.
    since: f64,
    /// Messages that were worked on.
    in_flight: f64,
    /// Workers that ran.
    running: f64,
    /// Whether more were tried.
    is_probed: bool,
}

/// Whether more workers would not help, by this reading and those before.
pub(super) fn notice(memory: &mut Memory, seen: &Seen, policy: &ScalingPolicy, now: Timestamp) -> bool {
    let at = memory.seconds(now);
    let patience = (STARTS * memory.horizon(policy)).max(UNSERVED_SECONDS_MIN);
    let was_asked = seen.desired > 0 || memory.last_order.is_some();
    let waits = seen.visible > 0;
    let places = f64::from(policy.concurrency) * f64::from(seen.running);
    let in_flight = worked_on(seen, policy);
    let recently = memory.most_in_flight(policy).min(places).max(in_flight);
    let signs = &mut memory.blocked;
    let are_idle = waits && seen.pending == 0 && in_flight < places * signs.utilization.unwrap_or(1.0) * IDLE_BELOW;
    signs.readings = if are_idle { signs.readings.saturating_add(1) } else { 0 };
    let wanted = f64::from(policy.concurrency) * f64::from(seen.desired);
    signs.unserved_since = match waits && in_flight <= UNSERVED_PART * wanted && was_asked {
        true => signs.unserved_since.or(Some(at)),
        false => None,
    };
    let is_unserved = signs.unserved_since.is_some_and(|since| at - since >= patience);
    // A worker of its own ends only where it finds no message for a while: not where there was one for each, and is.
    let gone = signs.expected.saturating_sub(seen.desired);
    let waiting = seen.visible / u64::from(policy.concurrency.max(1));
    let is_for_each = waits && signs.waiting.min(waiting) >= u64::from(signs.expected);
    let are_gone = policy.mode == Mode::RunTask && is_for_each && gone > 0 && gone >= signs.expected / 4;
    signs.waiting = waiting;
    if let Some(blocked) = signs.blocked {
        let more = f64::from(seen.running) / blocked.running.max(1.0) - 1.0;
        if blocked.is_probed && more >= PROBE / 2.0 && in_flight >= blocked.in_flight * (1.0 + more / 2.0) {
            // More of them do more: they are only not as busy as it seemed they should be.
            signs.utilization = Some((in_flight / places.max(1.0)).clamp(0.01, 1.0));
            signs.readings = 0;
            signs.blocked = None;
        } else if !waits || in_flight >= blocked.in_flight + (RISE * blocked.in_flight).max(1.0) {
            signs.blocked = None;
        }
    }
    if signs.readings >= READINGS || is_unserved || are_gone {
        let running = f64::from(seen.running);
        signs.blocked.get_or_insert(Blocked { since: at, in_flight: recently, running, is_probed: false });
    }
    signs.blocked.is_some()
}

/// No more workers than are busy, and one to see whether there is something to do again.
pub(super) fn capped(
    demand: Demand,
    seen: &Seen,
    memory: &mut Memory,
    policy: &ScalingPolicy,
    now: Timestamp,
) -> Demand {
    let at = memory.seconds(now);
    let tried_every = memory.horizon(policy).max(TRIES_EVERY_MIN);
    // Workers that end as soon as they start are not to be started at every tick.
    let was_tried = memory.last_order.is_some_and(|last| at - last < tried_every);
    if policy.mode == Mode::RunTask && was_tried {
        return Demand { out: demand.out.min(seen.desired), ..demand };
    }
    let mut cap = seen.busy(policy.concurrency).min(seen.running).saturating_add(1);
    if let Some(blocked) = &mut memory.blocked.blocked
        && !blocked.is_probed
        && seen.running > 0
        && at - blocked.since >= PROBED_AFTER
    {
        *blocked = Blocked {
            in_flight: worked_on(seen, policy),
            running: f64::from(seen.running),
            is_probed: true,
            ..*blocked
        };
        cap = cap.max(seen.running.saturating_add((f64::from(seen.running) * PROBE).ceil() as u32));
    }
    Demand { out: demand.out.min(cap), ..demand }
}

/// Messages that a running worker can be working on: what workers left behind that broke down is in flight as well, for a while.
fn worked_on(seen: &Seen, policy: &ScalingPolicy) -> f64 {
    let places = f64::from(policy.concurrency) * f64::from(seen.running);
    (seen.in_flight as f64).min(places)
}
