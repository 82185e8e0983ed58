//! When more workers would not help: a message group that one message blocks, an image that does not start, a downstream that
//! throttles. Then a policy that only sees depth would go to its maximum and stay there.

use jiff::Timestamp;

use super::observation::Seen;
use super::{Demand, Memory, Mode, ScalingPolicy};

/// How many readings in a row must show idle workers beside waiting messages.
const READINGS: u32 = 3;
/// How many readings in a row must show that workers ended without having worked.
const GONE_READINGS: u32 = 2;
/// Which part of the workers' places must be taken for them not to count as idle; and for them to count as busy again.
const IDLE_BELOW: f64 = 0.5;
const BUSY_FROM: f64 = 0.75;
/// How many times as long as tasks take to start nothing may be worked on, at least so many seconds.
const STARTS: f64 = 3.0;
const UNSERVED_SECONDS_MIN: f64 = 120.0;
/// After how long those workers are given up that have nothing to do: seconds.
const GIVEN_UP_AFTER: f64 = 300.0;

/// What tells that more workers would not help.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signs {
    /// How many readings in a row show idle workers beside waiting messages.
    readings: u32,
    /// How many readings in a row tasks were gone that had not worked on anything, though messages wait.
    gone: u32,
    /// Since when messages wait and none is worked on, though workers were asked for: seconds.
    unserved_since: Option<f64>,
    /// How many workers there should be at the next reading.
    pub(super) expected: u32,
    /// Since when it is blocked: seconds.
    since: Option<f64>,
}

/// Whether more workers would not help, by this reading and those before.
pub(super) fn notice(memory: &mut Memory, seen: &Seen, policy: &ScalingPolicy, now: Timestamp) -> bool {
    let at = memory.seconds(now);
    let places = f64::from(policy.concurrency) * f64::from(seen.running);
    let in_flight = seen.in_flight as f64;
    let waits = seen.visible > 0;
    let was_asked = seen.desired > 0 || memory.last_order.is_some();
    let patience = (STARTS * horizon(memory, policy)).max(UNSERVED_SECONDS_MIN);
    let signs = &mut memory.blocked;
    let are_idle = waits && seen.pending == 0 && in_flight < places * IDLE_BELOW;
    signs.readings = if are_idle { signs.readings.saturating_add(1) } else { 0 };
    signs.unserved_since = match waits && seen.in_flight == 0 && was_asked {
        true => signs.unserved_since.or(Some(at)),
        false => None,
    };
    // A worker of its own ends only where no message waits.
    let is_gone = policy.mode == Mode::RunTask && waits && seen.in_flight == 0 && seen.desired < signs.expected;
    signs.gone = if is_gone { signs.gone.saturating_add(1) } else { 0 };
    let is_unserved = signs.unserved_since.is_some_and(|since| at - since >= patience);
    let stays = signs.since.is_some() && waits && in_flight < (places * BUSY_FROM).max(1.0);
    let is_blocked = signs.readings >= READINGS || signs.gone >= GONE_READINGS || is_unserved || stays;
    signs.since = if is_blocked { signs.since.or(Some(at)) } else { None };
    is_blocked
}

/// No more workers than are busy, and one to see whether there is something to do again.
pub(super) fn capped(demand: Demand, seen: &Seen, memory: &Memory, policy: &ScalingPolicy, now: Timestamp) -> Demand {
    let at = memory.seconds(now);
    let cap = seen.busy(policy.concurrency).saturating_add(1);
    // Workers that end as soon as they start are not to be started at every tick.
    let waits = policy.mode == Mode::RunTask
        && memory.last_order.is_some_and(|last| at - last < horizon(memory, policy).max(UNSERVED_SECONDS_MIN / 2.0));
    let out = if waits { demand.out.min(seen.desired) } else { demand.out.min(cap) };
    let is_given_up = memory.blocked.since.is_some_and(|since| at - since >= GIVEN_UP_AFTER);
    Demand { out, kept: if is_given_up { demand.kept.min(cap) } else { demand.kept } }
}

/// How long until what is asked for now can be seen to work: seconds.
fn horizon(memory: &Memory, policy: &ScalingPolicy) -> f64 {
    memory.start_delay(policy) + policy.tick.as_secs_f64()
}
