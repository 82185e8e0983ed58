//! What a policy remembers from tick to tick. Losing it costs little: nothing is scaled in for most of a minute.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::decision::Action;
use super::observation::Seen;
use super::{Minute, Observation, ScalingDecision, ScalingPolicy, StartDelay};

/// How far back samples are kept: five minutes, at the usual tick.
const SAMPLES_TICKS: f64 = 30.0;
/// How far back "just now" is.
const RECENT_TICKS: f64 = 6.0;
/// How many samples tell a load.
const SAMPLES_MIN: usize = 3;
/// How long they must span: 45 seconds at the usual tick, or a part of the window.
const SPAN_MIN_TICKS: f64 = 4.5;
const SPAN_SHARE: f64 = 0.7;
/// How much of what was known about service times is left after another minute.
const DECAY: f64 = 0.97;
/// How many messages' experience is never forgotten.
const EXPERIENCE_MIN: f64 = 100.0;
/// How many tasks' start delays are kept.
const START_DELAYS_MAX: usize = 20;
/// How many minutes tell the rate of arrivals after a cold start.
const ARRIVAL_MINUTES_MAX: usize = 5;
const ARRIVAL_MINUTES_MIN: usize = 3;
/// How old what was told of them may be: seconds.
const ARRIVAL_MINUTES_AGE_MAX: f64 = 300.0;
/// How many times as many messages as workers have places for may be in flight, before they count as left behind by workers that
/// broke down.
const LEFT_BEHIND: f64 = 1.5;

/// What a policy remembers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// What times are counted from: that of the first decision.
    origin: Option<Timestamp>,
    /// The last five minutes, the latest last.
    samples: VecDeque<Sample>,
    /// Seconds that messages were in flight, and how many of them were done with.
    service: Option<Experience>,
    /// How long the last tasks took to start: seconds.
    start_delays: VecDeque<f64>,
    /// How many messages were sent in each of the last minutes, and when that was told: seconds.
    sent: VecDeque<(f64, f64)>,
    /// When it was scaled in last: seconds.
    last_scale_in: Option<f64>,
    /// When there were messages last: seconds.
    last_message: Option<f64>,
    /// Since when nothing, reading after reading, was seen of messages: how many readings.
    zero_readings: u32,
    /// What would have been kept at each tick of the hold.
    kept: VecDeque<(f64, u32)>,
    /// What tells that more workers would not help.
    pub(super) blocked: super::blocked::Signs,
    /// When a worker was asked for last: seconds.
    pub(super) last_order: Option<f64>,
    /// When a step was made last: seconds.
    pub(super) last_step: Option<f64>,
}

/// One tick.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    /// Seconds.
    at: f64,
    /// All messages.
    messages: f64,
    /// Those that are worked on.
    in_flight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Experience {
    seconds: f64,
    messages: f64,
}

impl Memory {
    /// This memory, or none of it if the clock was set back behind it.
    pub(super) fn starting_at(self, now: Timestamp) -> Self {
        let last = self.samples.back().map_or(0.0, |sample| sample.at);
        match self.origin {
            Some(origin) if now.duration_since(origin).as_secs_f64() >= last => self,
            _ => Self { origin: Some(now), ..Self::default() },
        }
    }

    /// Seconds since the first decision.
    pub(super) fn seconds(&self, now: Timestamp) -> f64 {
        self.origin.map_or(0.0, |origin| now.duration_since(origin).as_secs_f64())
    }

    /// Takes in what does not concern this very moment.
    pub(super) fn learn(&mut self, observation: &Observation, policy: &ScalingPolicy, now: Timestamp) {
        let now = self.seconds(now);
        let places = f64::from(policy.concurrency) * observation.running.map_or(f64::INFINITY, f64::from);
        let prior = policy.msg_processing_time;
        let mut known =
            self.service.unwrap_or(Experience { seconds: prior.seconds * prior.messages, messages: prior.messages });
        for Minute { sent, deleted, in_flight } in &observation.minutes {
            self.sent.extend(sent.filter(|sent| is_count(*sent)).map(|sent| (now, sent)));
            let (Some(deleted), Some(in_flight)) = (deleted, in_flight) else { continue };
            if !is_count(*deleted) || !is_count(*in_flight) || (*deleted == 0.0 && *in_flight == 0.0) {
                continue;
            }
            // What nobody works on says nothing of how long it takes.
            if *deleted == 0.0 && *in_flight > LEFT_BEHIND * places {
                continue;
            }
            if known.messages * DECAY >= EXPERIENCE_MIN {
                known = Experience { seconds: known.seconds * DECAY, messages: known.messages * DECAY };
            }
            known.seconds += in_flight * 60.0;
            known.messages += deleted;
        }
        self.service = Some(known);
        truncate_front(&mut self.sent, ARRIVAL_MINUTES_MAX);
        self.sent.retain(|(told_at, _)| now - told_at <= ARRIVAL_MINUTES_AGE_MAX);
        self.start_delays.extend(observation.start_delays.iter().copied().filter(|delay| is_count(*delay)));
        truncate_front(&mut self.start_delays, START_DELAYS_MAX);
    }

    /// Takes in a reading.
    pub(super) fn see(&mut self, seen: &Seen, tick: f64, now: Timestamp) {
        let at = self.seconds(now);
        let (messages, in_flight) = (seen.messages() as f64, seen.in_flight as f64);
        self.samples.push_back(Sample { at, messages, in_flight });
        while self.samples.front().is_some_and(|sample| sample.at < at - SAMPLES_TICKS * tick) {
            self.samples.pop_front();
        }
        match seen.messages() {
            0 => self.zero_readings = self.zero_readings.saturating_add(1),
            _ => {
                self.zero_readings = 0;
                self.last_message = Some(at);
            }
        }
    }

    /// How long a message is in flight, on average: seconds.
    pub fn service_time(&self, policy: &ScalingPolicy) -> f64 {
        let known = self.service.filter(|known| known.messages > 0.0 && known.seconds > 0.0);
        known.map_or(policy.msg_processing_time.seconds, |known| known.seconds / known.messages).max(1e-3)
    }

    /// How long a task takes to start, on average: seconds.
    pub fn start_delay(&self, policy: &ScalingPolicy) -> f64 {
        match policy.start_delay {
            StartDelay::Fixed(seconds) => seconds,
            StartDelay::Learned(prior) if self.start_delays.is_empty() => prior,
            StartDelay::Learned(_) => self.start_delays.iter().sum::<f64>() / self.start_delays.len() as f64,
        }
    }

    /// How long until workers that are asked for now are ready, and it is decided again: seconds.
    pub(super) fn horizon(&self, policy: &ScalingPolicy) -> f64 {
        self.start_delay(policy) + policy.tick.as_secs_f64()
    }

    /// How many messages are worked on at once where none wait: the offered load in Erlang, of the last `window` seconds. None
    /// where too little was seen.
    ///
    /// What comes in either is worked on or adds to the queue, so that in-flight messages plus the queue's growth, weighed with
    /// the time that a message takes, are what came in: no counter of arrivals is needed.
    pub(super) fn offered_load(&self, window: f64, tick: f64, service_time: f64) -> Option<f64> {
        let last = self.samples.back()?;
        let first = self.samples.iter().position(|sample| sample.at >= last.at - window)?;
        let samples = self.samples.range(first..);
        let first = self.samples.get(first)?;
        let span = last.at - first.at;
        if samples.len() < SAMPLES_MIN || span < (SPAN_MIN_TICKS * tick).min(SPAN_SHARE * window) {
            return None;
        }
        let pairs = samples.clone().zip(samples.skip(1));
        let in_flight_seconds: f64 =
            pairs.map(|(one, next)| (next.at - one.at) * (one.in_flight + next.in_flight) / 2.0).sum();
        Some(((in_flight_seconds + service_time * (last.messages - first.messages)) / span).max(0.0))
    }

    /// The offered load by CloudWatch's last minutes, if there are enough.
    pub(super) fn offered_load_by_minutes(&self, service_time: f64) -> Option<f64> {
        let enough = self.sent.len() >= ARRIVAL_MINUTES_MIN;
        enough
            .then(|| self.sent.iter().map(|(_, sent)| sent).sum::<f64>() / self.sent.len() as f64 / 60.0 * service_time)
    }

    /// Whether there was a message within `hold` seconds, or only one reading says that there is none: it may lag.
    pub(super) fn had_messages(&self, hold: f64, tick: f64, now: Timestamp) -> bool {
        let now = self.seconds(now);
        self.zero_readings < 2 || self.last_message.is_some_and(|last| now - last <= hold + tick / 2.0)
    }

    /// The most that any tick of the last `hold` seconds would have kept, this one and, as ticks are never quite on time, one a
    /// little older among them.
    pub(super) fn most_kept(&mut self, kept: u32, hold: f64, tick: f64, now: Timestamp) -> u32 {
        let now = self.seconds(now);
        self.kept.push_back((now, kept));
        while self.kept.front().is_some_and(|(at, _)| now - at > hold + tick / 2.0) {
            self.kept.pop_front();
        }
        self.kept.iter().map(|(_, kept)| *kept).max().unwrap_or(kept)
    }

    /// Whether it may be scaled in again: once in `every` seconds, or where at most half is needed.
    pub(super) fn may_scale_in(&self, desired: u32, kept: u32, every: f64, now: Timestamp) -> bool {
        kept <= desired / 2 || self.last_scale_in.is_none_or(|last| self.seconds(now) - last >= every)
    }

    pub(super) fn scaled_in(&mut self, now: Timestamp) {
        self.last_scale_in = Some(self.seconds(now));
    }

    /// The most messages in flight that were seen within some ticks.
    pub(super) fn most_in_flight(&self, policy: &ScalingPolicy) -> f64 {
        let Some(last) = self.samples.back() else { return 0.0 };
        let recent =
            self.samples.iter().filter(|sample| sample.at >= last.at - RECENT_TICKS * policy.tick.as_secs_f64());
        recent.map(|sample| sample.in_flight).fold(0.0, f64::max)
    }

    /// This memory where what was decided could not be done.
    #[must_use]
    pub fn undone(self, before: &Self) -> Self {
        let Self { last_scale_in, last_order, last_step, .. } = before;
        let mut undone = Self { last_scale_in: *last_scale_in, last_order: *last_order, last_step: *last_step, ..self };
        undone.blocked.expected = undone.blocked.expected.min(before.blocked.expected);
        undone
    }

    /// Remembers what was decided.
    pub(super) fn ordered(&mut self, decision: &ScalingDecision, seen: &Seen, now: Timestamp) {
        self.blocked.expected = match decision.action {
            Action::Launch(count) => seen.desired.saturating_add(count),
            Action::SetDesired(count) => count,
            Action::Hold => seen.desired,
        };
        let is_order = match decision.action {
            Action::Launch(count) => count > 0,
            Action::SetDesired(count) => count > seen.desired,
            Action::Hold => false,
        };
        if is_order {
            self.last_order = Some(self.seconds(now));
        }
    }
}

fn is_count(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn truncate_front<T>(deque: &mut VecDeque<T>, length: usize) {
    deque.drain(..deque.len().saturating_sub(length));
}
