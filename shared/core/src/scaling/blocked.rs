//! Notices when more workers would not help: one message blocks its message group, an image does not start or crashes,
//! or a downstream system throttles. A policy that sees only queue depth would then go to its maximum and stay there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observation::Seen;
use super::{Demand, Memory, Mode, ScalingPolicy};

/// This many readings in a row with idle workers beside waiting messages mean that the queue is blocked.
const READINGS: u32 = 3;
/// Workers count as idle if messages occupy less than this share of their places.
const IDLE_BELOW: f64 = 0.5;
/// The queue is no longer blocked when the messages in progress have risen by this share.
const RISE: f64 = 0.25;
/// If no message is processed for this many horizons (start delay plus tick), and for at least the seconds below,
/// scaling counts as blocked.
const STARTS: f64 = 3.0;
const UNSERVED_SECONDS_MIN: f64 = 120.0;
/// Messages in progress up to this share of the desired workers' places count as none.
const UNSERVED_PART: f64 = 0.1;
/// The least time between two tasks that are started to test whether the queue is still blocked, in seconds.
const TRIES_EVERY_MIN: f64 = 60.0;
/// In mode `run_task`, workers that are gone too early must be at least this share of those that were expected, to count
/// as a sign: Spot and single crashes take fewer.
const GONE_SHARE: f64 = 0.5;
/// After a queue has been blocked for this long, in seconds, more workers are tried once: the share `PROBE` of those
/// that run.
const PROBED_AFTER: f64 = 600.0;
const PROBE: f64 = 0.25;

/// A scale-in while the queue is blocked stops at most this share of the workers. If the others then have less to do,
/// the stopped ones were needed.
const HALVED: f64 = 0.5;
/// The seconds from a worker's start until it must have received its first message.
const SETTLING: f64 = 60.0;
/// After such a scale-in, the workers had been needed if fewer than this share of the messages are in progress.
const NEEDED: f64 = 0.75;

/// The signs that more workers would not help.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signs {
    /// The number of readings in a row that showed idle workers beside waiting messages.
    readings: u32,
    /// Since when messages have waited and almost none have been in progress although workers were requested, in
    /// seconds.
    unserved_since: Option<f64>,
    /// For how many workers messages waited at the last reading.
    waiting: u64,
    /// How many workers the next reading should show.
    pub(super) expected: u32,
    /// The state at the beginning of the block, while the queue is blocked.
    blocked: Option<Blocked>,
    /// The largest share of their places that workers use, if a probe showed that more workers help although they do
    /// not use all of their places.
    utilization: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Blocked {
    /// When the queue became blocked, in seconds.
    since: f64,
    /// The messages in progress then, or at the probe.
    in_flight: f64,
    /// The workers that ran then, or at the probe.
    running: f64,
    /// Whether more workers were tried.
    is_probed: bool,
    /// The trial with fewer workers, while one is made.
    trial: Option<Trial>,
}

/// A trial whether fewer workers get as much done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Trial {
    /// When it began, in seconds.
    since: f64,
    /// The messages in progress before.
    in_flight: f64,
    /// The workers before, and those that it keeps.
    from: u32,
    to: u32,
}

/// Adds a reading to the signs. Returns whether more workers would not help.
pub(super) fn notice(memory: &mut Memory, seen: &Seen, policy: &ScalingPolicy, now: Timestamp) -> bool {
    let at = memory.seconds(now);
    let patience = (STARTS * memory.horizon(policy)).max(UNSERVED_SECONDS_MIN);
    let was_asked = seen.desired > 0 || memory.last_order.is_some();
    let waits = seen.visible > 0;
    let places = f64::from(policy.concurrency) * f64::from(seen.running);
    let in_flight = seen.worked_on as f64;
    let has_progressed = memory.has_progressed(at);
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
    // In mode `run_task` a worker ends only after a while without a message. Workers that are gone although there was
    // and is a message for each of them must have crashed.
    let gone = signs.expected.saturating_sub(seen.desired);
    let waiting = seen.visible / u64::from(policy.concurrency.max(1));
    let is_for_each = waits && signs.waiting.min(waiting) >= u64::from(signs.expected);
    let are_most = f64::from(gone) >= GONE_SHARE * f64::from(signs.expected);
    let are_gone = policy.mode == Mode::RunTask && is_for_each && gone > 0 && are_most && !has_progressed;
    signs.waiting = waiting;
    if let Some(blocked) = signs.blocked {
        let more = f64::from(seen.running) / blocked.running.max(1.0) - 1.0;
        if blocked.is_probed && more >= PROBE / 2.0 && in_flight >= blocked.in_flight * (1.0 + more / 2.0) {
            // More workers get more done. They only use fewer of their places than was assumed.
            signs.utilization = Some((in_flight / places.max(1.0)).clamp(0.01, 1.0));
            signs.readings = 0;
            signs.blocked = None;
        } else if !waits || in_flight >= blocked.in_flight + (RISE * blocked.in_flight).max(1.0) {
            signs.blocked = None;
        }
    }
    if signs.readings >= READINGS || is_unserved || are_gone {
        let running = f64::from(seen.running);
        signs.blocked.get_or_insert(Blocked { since: at, in_flight: recently, running, is_probed: false, trial: None });
    }
    signs.blocked.is_some()
}

/// Caps the demand at the busy workers plus one, which tests whether the queue is still blocked.
pub(super) fn capped(
    demand: Demand,
    seen: &Seen,
    memory: &mut Memory,
    policy: &ScalingPolicy,
    now: Timestamp,
) -> Demand {
    let at = memory.seconds(now);
    let tried_every = memory.horizon(policy).max(TRIES_EVERY_MIN);
    // Workers that end as soon as they start must not be started at every tick.
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
        *blocked =
            Blocked { in_flight: seen.worked_on as f64, running: f64::from(seen.running), is_probed: true, ..*blocked };
        cap = cap.max(seen.running.saturating_add((f64::from(seen.running) * PROBE).ceil() as u32));
    }
    let capped = Demand { out: demand.out.min(cap), ..demand };
    if policy.mode == Mode::Service { tried_with_fewer(capped, cap, seen, memory, policy, now) } else { capped }
}

/// Scales a service's idle workers in, by half at a time: a message group that blocks the others keeps them idle, but
/// workers that spend much of their time between two messages only look so. If fewer get less done, they come back.
fn tried_with_fewer(
    demand: Demand,
    cap: u32,
    seen: &Seen,
    memory: &mut Memory,
    policy: &ScalingPolicy,
    now: Timestamp,
) -> Demand {
    let at = memory.seconds(now);
    let in_flight = memory.mean_in_flight(READINGS);
    // Workers that were started lately may still be on their way to their first message.
    let have_settled = at - memory.last_order.unwrap_or(0.0) >= memory.horizon(policy) + SETTLING;
    let are_idle = memory.blocked.readings >= READINGS && have_settled && in_flight > 0.0;
    let signs = &mut memory.blocked;
    let Some(blocked) = &mut signs.blocked else { return demand };
    let trial = match blocked.trial {
        None if are_idle && seen.running > cap => {
            let to = cap.max((f64::from(seen.running) * HALVED).ceil() as u32);
            Trial { since: at, in_flight, from: seen.running, to }
        }
        None => return demand,
        // It begins when the surplus workers are gone.
        Some(trial) if seen.running > trial.to => Trial { since: at, ..trial },
        Some(trial) if at - trial.since < f64::from(READINGS) * policy.tick.as_secs_f64() => trial,
        Some(trial) if in_flight < NEEDED * trial.in_flight => {
            let places = f64::from(policy.concurrency) * f64::from(trial.from);
            signs.utilization = Some((trial.in_flight / places).clamp(0.01, 1.0));
            signs.readings = 0;
            signs.blocked = None;
            return Demand { out: trial.from, kept: demand.kept.max(trial.from) };
        }
        Some(_) => {
            blocked.trial = None;
            return demand;
        }
    };
    blocked.trial = Some(trial);
    Demand { out: demand.out, kept: demand.kept.min(trial.to) }
}
