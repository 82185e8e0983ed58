//! The latency rule: enough workers that no message waits longer than is acceptable.
//!
//! It scales out by the work that will still wait when workers that are started now are ready. It scales in to what the
//! offered load will need by then, with a margin for noise. Both use the same threshold, half the acceptable latency,
//! so a scale-in never causes a scale-out at a constant load.

use std::time::Duration;

use jiff::Timestamp;

use super::observation::Seen;
use super::rule::whole;
use super::{Demand, Memory, Mode, Numbers, ScalingPolicy};

/// The windows over which the offered load is measured, in ticks: half a minute and two and a half, at the default tick.
const SHORT_WINDOW_TICKS: f64 = 6.0;
const LONG_WINDOW_TICKS: f64 = 30.0;
/// Before a scale-out, the growth of the queue counts by this share as arrivals that go on: after a burst, all of it would
/// start twice as many workers as drain it in time, and at a steady rise the next tick sees the rest.
const GROWTH: f64 = 0.7;
/// Waiting work below this share of what the running workers do in the acceptable latency does not prevent a scale-in.
const NEGLIGIBLE: f64 = 0.05;

/// Enough workers that no message waits longer than is acceptable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyRule {
    /// How long a message may wait. The rule can keep it if it is at least twice the start delay plus tick.
    pub acceptable_latency: Duration,
    /// How long fewer workers must be enough before a scale-in.
    pub scale_in_hold: Duration,
    /// The least time between two scale-ins. It does not apply to a scale-in to half or less.
    pub scale_in_every: Duration,
    /// The margin for the load's noise, in standard deviations.
    pub stability: f64,
}

impl LatencyRule {
    pub(super) fn demand(
        &self,
        seen: &Seen,
        memory: &mut Memory,
        policy: &ScalingPolicy,
        now: Timestamp,
        numbers: &mut Numbers,
    ) -> Demand {
        let state = State::new(self, seen, memory, policy);
        let (out, load, backlog) = state.out(memory);
        numbers.offered_load = Some(load);
        numbers.backlog_seconds = Some(backlog);
        let hold = self.scale_in_hold.as_secs_f64();
        let mut kept = state.kept(memory);
        if memory.had_messages(hold, policy.tick.as_secs_f64(), now) {
            kept = kept.max(1);
        }
        Demand { out, kept: memory.most_kept(kept, hold, policy.tick.as_secs_f64(), now) }
    }
}

/// The quantities of the rule, in messages, workers and seconds.
struct State<'a> {
    rule: &'a LatencyRule,
    visible: f64,
    in_flight: f64,
    running: f64,
    pending: f64,
    desired: f64,
    /// Messages that one worker processes at once.
    concurrency: f64,
    /// How long a message is in flight.
    service_time: f64,
    /// The time until workers that are started now are ready, plus one tick.
    horizon: f64,
    /// The time in which the waiting messages must be drained.
    drain: f64,
    tick: f64,
    /// The windows over which the offered load is measured.
    short_window: f64,
    long_window: f64,
    mode: Mode,
}

impl<'a> State<'a> {
    fn new(rule: &'a LatencyRule, seen: &Seen, memory: &Memory, policy: &ScalingPolicy) -> Self {
        Self {
            rule,
            visible: seen.visible as f64,
            in_flight: seen.worked_on as f64,
            running: f64::from(seen.running),
            pending: f64::from(seen.pending),
            desired: f64::from(seen.desired),
            concurrency: f64::from(policy.concurrency),
            service_time: memory.service_time(policy),
            horizon: memory.horizon(policy),
            drain: rule.acceptable_latency.as_secs_f64() / 2.0,
            tick: policy.tick.as_secs_f64(),
            short_window: SHORT_WINDOW_TICKS * policy.tick.as_secs_f64(),
            long_window: LONG_WINDOW_TICKS * policy.tick.as_secs_f64(),
            mode: policy.mode,
        }
    }

    /// Returns how many workers are needed at least, the offered load, and the seconds of work that will still wait at
    /// the horizon.
    fn out(&self, memory: &Memory) -> (u32, f64, f64) {
        let Self { visible, in_flight, running, pending, concurrency, service_time, horizon, drain, .. } = *self;
        let messages = visible + in_flight;
        let window = self.rule.acceptable_latency.as_secs_f64().clamp(self.short_window, self.long_window);
        let seen = memory.offered_load(window, self.tick, service_time, GROWTH);
        let load = seen.unwrap_or_else(|| in_flight.max(memory.offered_load_by_minutes(service_time).unwrap_or(0.0)));
        let done = concurrency * (running + pending) * horizon;
        let backlog = (visible * service_time + load * horizon - done).max(0.0);
        if messages == 0.0 {
            return (0, load, backlog);
        }
        let mut workers = 0;
        if backlog > drain * concurrency * (running + pending) {
            let needed = load.max(backlog / drain) / concurrency;
            // More workers than messages would be idle. Messages that arrive by the horizon count if their rate is
            // known.
            let coming = if seen.is_some() { load / service_time * horizon } else { 0.0 };
            let useful = (messages + coming) / concurrency;
            workers = whole(needed).min(whole(useful));
        }
        // Workers that start now can receive nothing if nothing waits.
        let most = if visible > 0.0 { u32::MAX } else { whole(running + pending) };
        (workers.max(1).min(most), load, backlog)
    }

    /// Returns how many workers are enough.
    fn kept(&self, memory: &Memory) -> u32 {
        let Self { visible, in_flight, running, desired, concurrency, service_time, horizon, drain, .. } = *self;
        if self.mode == Mode::RunTask {
            return 0;
        }
        let left = (-horizon / service_time).exp();
        let load_then = |window: f64| {
            let load = memory.offered_load(window, self.tick, service_time, 1.0).unwrap_or_else(|| {
                let by_minutes = memory.offered_load_by_minutes(service_time);
                by_minutes.map_or(in_flight.max(desired * concurrency), |load| load.max(in_flight))
            });
            let noise = (2.0 * load * service_time / window).sqrt();
            in_flight * left + load * (1.0 - left) + self.rule.stability * (1.0 - left) * noise
        };
        let load = load_then(self.short_window).min(load_then(self.long_window));
        let waiting = visible * service_time;
        let mut workers = whole((load + waiting / drain) / concurrency).max(whole(in_flight / concurrency));
        if waiting > NEGLIGIBLE * 2.0 * drain * concurrency * running {
            workers = workers.max(whole(desired));
        }
        workers
    }
}
