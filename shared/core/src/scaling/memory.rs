//! What a policy remembers from tick to tick. Losing it costs little: the policy does not scale in for most of a
//! minute.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decision::Action;
use super::observation::Seen;
use super::{Minute, Observation, ScalingDecision, ScalingPolicy, StartDelay};

/// Older samples are dropped, in ticks: two and a half minutes at the default tick.
const SAMPLES_TICKS: f64 = 30.0;
/// The most messages in flight are taken from samples up to this age, in ticks.
const RECENT_TICKS: f64 = 6.0;
/// With fewer samples the offered load is unknown.
const SAMPLES_MIN: usize = 3;
/// If the samples span less, the offered load is unknown: about 22 seconds at the default tick, or this share of the window
/// if that is shorter.
const SPAN_MIN_TICKS: f64 = 4.5;
const SPAN_SHARE: f64 = 0.7;
/// Each new minute reduces the weight of older measurements of the processing time to this share.
const DECAY: f64 = 0.97;
/// This decay never reduces the weight below this many messages.
const EXPERIENCE_MIN: f64 = 100.0;
/// Messages that became fewer within this many samples, or were deleted within this many seconds, are progress.
const PROGRESS_SAMPLES: usize = 4;
const PROGRESS_AGE_MAX: f64 = 180.0;
/// The start delays of this many tasks are kept.
const START_DELAYS_MAX: usize = 20;
/// After a cold start, the arrival rate is taken from at most, and at least, this many minutes of metrics.
const ARRIVAL_MINUTES_MAX: usize = 5;
const ARRIVAL_MINUTES_MIN: usize = 3;
/// Minutes that were read longer ago than this, in seconds, are dropped.
const ARRIVAL_MINUTES_AGE_MAX: f64 = 300.0;
/// A minute with more messages in flight than this many times the places of the workers teaches no processing time: some
/// of its messages wait for a retry, or their worker was lost.
const LEFT_BEHIND: f64 = 1.1;
/// The workers of a minute are the most that ran within this many seconds before it was read: it is one to three minutes
/// old by then.
const RUNNING_AGE_MAX: f64 = 300.0;
/// A reading of the protection counts for so long after a worker was last seen protected, in seconds, and only until the
/// next deployment: workers that no longer protect themselves must not count as idle.
const PROTECTION_AGE_MAX: f64 = 86_400.0;
/// Messages in flight beyond the places of the protected workers are left alone if all readings over this many seconds
/// showed them.
const LEFT_ALONE_SPAN: f64 = 60.0;
/// A reading of the protection that is older counts for nothing, in seconds.
const READING_AGE_MAX: f64 = 180.0;

/// What a policy remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The time of the first decision. All other times are seconds since then.
    origin: Option<Timestamp>,
    /// The latest samples, the last one last.
    samples: VecDeque<Sample>,
    /// The measured processing time.
    service: Option<Experience>,
    /// How long the last tasks took to start, in seconds.
    start_delays: VecDeque<f64>,
    /// For each of the last minutes, when it was read and how many messages were sent in it.
    sent: VecDeque<(f64, f64)>,
    /// How many workers ran at each of the last ticks, with the times.
    running: VecDeque<(f64, u32)>,
    /// When a minute last showed deleted messages.
    last_deleted: Option<f64>,
    /// The readings of the tasks' protection.
    protection: Protection,
    last_scale_in: Option<f64>,
    /// When a reading last showed messages.
    last_message: Option<f64>,
    /// The number of readings in a row that showed no messages.
    zero_readings: u32,
    /// For each tick of the hold, its time and how many workers it would have kept.
    kept: VecDeque<(f64, u32)>,
    /// The signs that more workers would not help.
    pub(super) blocked: super::blocked::Signs,
    /// When workers were last requested.
    pub(super) last_order: Option<f64>,
    /// When the number of workers last changed by a step.
    pub(super) last_step: Option<f64>,
}

/// The reading of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sample {
    at: f64,
    /// The messages that are visible or worked on.
    messages: f64,
    /// The messages that are worked on.
    in_flight: f64,
    /// All messages, also those in flight that nobody works on.
    all: f64,
}

/// The readings of the tasks' protection. Workers are protected while they have messages, so no worker has the messages in
/// flight beyond the places of the protected ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Protection {
    /// When a task was last seen protected, in seconds.
    seen_at: Option<f64>,
    /// The messages in flight beyond the protected workers' places at the last readings, each with its time.
    beyond: VecDeque<(f64, u64)>,
}

/// The seconds that messages were in flight, and how many messages were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Experience {
    seconds: f64,
    messages: f64,
}

impl Memory {
    /// Returns this memory, or an empty one if the clock was set back to before the last sample.
    pub(super) fn starting_at(self, now: Timestamp) -> Self {
        let last = self.samples.back().map_or(0.0, |sample| sample.at);
        match self.origin {
            Some(origin) if now.duration_since(origin).as_secs_f64() >= last => self,
            _ => Self { origin: Some(now), ..Self::default() },
        }
    }

    /// Returns the seconds since the first decision.
    pub(super) fn seconds(&self, now: Timestamp) -> f64 {
        self.origin.map_or(0.0, |origin| now.duration_since(origin).as_secs_f64())
    }

    /// Learns processing times, arrivals and start delays from an observation.
    pub(super) fn learn(&mut self, observation: &Observation, policy: &ScalingPolicy, now: Timestamp) {
        let now = self.seconds(now);
        self.learn_protection(observation, policy, now);
        self.running.extend(observation.running.map(|running| (now, running)));
        self.running.retain(|(at, _)| now - at <= RUNNING_AGE_MAX);
        let most_running = self.running.iter().map(|(_, running)| *running).max();
        let places = f64::from(policy.concurrency) * most_running.map_or(f64::INFINITY, f64::from);
        let prior = policy.msg_processing_time;
        let mut known =
            self.service.unwrap_or(Experience { seconds: prior.seconds * prior.messages, messages: prior.messages });
        for Minute { sent, deleted, in_flight } in &observation.minutes {
            self.sent.extend(sent.filter(|sent| is_count(*sent)).map(|sent| (now, sent)));
            let (Some(deleted), Some(in_flight)) = (deleted, in_flight) else { continue };
            if *deleted > 0.0 {
                self.last_deleted = Some(now);
            }
            if !is_count(*deleted) || !is_count(*in_flight) || (*deleted == 0.0 && *in_flight == 0.0) {
                continue;
            }
            // Messages that no worker processes say nothing about the processing time. After a cold start it is unknown
            // how many workers ran.
            if *in_flight > LEFT_BEHIND * places && (places > 0.0 || *deleted == 0.0) {
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

    fn learn_protection(&mut self, observation: &Observation, policy: &ScalingPolicy, now: f64) {
        if observation.deployment_in_progress == Some(true) {
            self.protection = Protection::default();
        }
        let readings = &mut self.protection.beyond;
        readings.retain(|(at, _)| now - at <= READING_AGE_MAX);
        let Some(in_flight) = observation.in_flight else { return };
        readings.iter_mut().for_each(|(_, beyond)| *beyond = in_flight.min(*beyond));
        let Some(protected) = observation.protected else { return };
        if protected > 0 {
            self.protection.seen_at = Some(now);
        }
        let beyond = in_flight.saturating_sub(u64::from(protected) * u64::from(policy.concurrency));
        let readings = &mut self.protection.beyond;
        readings.push_back((now, beyond));
        // One reading older than the span stays, so that the readings cover it.
        while readings.get(1).is_some_and(|(at, _)| now - at >= LEFT_ALONE_SPAN) {
            readings.pop_front();
        }
    }

    /// Returns how many messages in flight no worker has, by the readings of the protection. A worker protects itself
    /// only after it received a message, so that a single reading does not count.
    pub(super) fn left_alone(&self, now: f64) -> u64 {
        let Protection { seen_at, beyond } = &self.protection;
        let is_known = seen_at.is_some_and(|at| now - at <= PROTECTION_AGE_MAX);
        let span = beyond.back().zip(beyond.front()).map_or(0.0, |((last, _), (first, _))| last - first);
        if !is_known || span < LEFT_ALONE_SPAN {
            return 0;
        }
        beyond.iter().map(|(_, beyond)| *beyond).min().unwrap_or(0)
    }

    /// Adds the reading of a tick.
    pub(super) fn see(&mut self, seen: &Seen, tick: f64, now: Timestamp) {
        let at = self.seconds(now);
        let (messages, in_flight) = (seen.messages() as f64, seen.worked_on as f64);
        let all = seen.visible as f64 + seen.in_flight as f64;
        self.samples.push_back(Sample { at, messages, in_flight, all });
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

    /// Returns how long a message is in flight on average, in seconds.
    pub fn service_time(&self, policy: &ScalingPolicy) -> f64 {
        let known = self.service.filter(|known| known.messages > 0.0 && known.seconds > 0.0);
        known.map_or(policy.msg_processing_time.seconds, |known| known.seconds / known.messages).max(1e-3)
    }

    /// Returns how long a task takes to start on average, in seconds.
    pub fn start_delay(&self, policy: &ScalingPolicy) -> f64 {
        match policy.start_delay {
            StartDelay::Fixed(seconds) => seconds,
            StartDelay::Learned(prior) if self.start_delays.is_empty() => prior,
            StartDelay::Learned(_) => self.start_delays.iter().sum::<f64>() / self.start_delays.len() as f64,
        }
    }

    /// Returns the horizon: the start delay plus one tick, in seconds. Workers that are started now are ready by then.
    pub(super) fn horizon(&self, policy: &ScalingPolicy) -> f64 {
        self.start_delay(policy) + policy.tick.as_secs_f64()
    }

    /// Returns the offered load of the last `window` seconds in Erlang: how many messages would be in progress at once
    /// if none waited. Returns `None` if too little was seen.
    ///
    /// Every message that arrives is either processed or adds to the queue. So the arriving work is the time that
    /// messages spent in flight, plus the growth of the number of messages times the processing time of one. No counter
    /// of arrivals is needed.
    ///
    /// More messages count by the share `growth`: 1 takes them for arrivals that go on, 0 for a burst that is over.
    pub(super) fn offered_load(&self, window: f64, tick: f64, service_time: f64, growth: f64) -> Option<f64> {
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
        let change = last.messages - first.messages;
        let change = if change > 0.0 { growth * change } else { change };
        Some(((in_flight_seconds + service_time * change) / span).max(0.0))
    }

    /// Returns the offered load by CloudWatch's last minutes, if there are enough of them.
    pub(super) fn offered_load_by_minutes(&self, service_time: f64) -> Option<f64> {
        let enough = self.sent.len() >= ARRIVAL_MINUTES_MIN;
        enough
            .then(|| self.sent.iter().map(|(_, sent)| sent).sum::<f64>() / self.sent.len() as f64 / 60.0 * service_time)
    }

    /// Returns whether there was a message within the last `hold` seconds. A single reading without messages does not
    /// count, because it may lag.
    pub(super) fn had_messages(&self, hold: f64, tick: f64, now: Timestamp) -> bool {
        let now = self.seconds(now);
        self.zero_readings < 2 || self.last_message.is_some_and(|last| now - last <= hold + tick / 2.0)
    }

    /// Adds what this tick would keep. Returns the most that any tick of the last `hold` seconds would have kept. A
    /// tick that is half a tick older still counts, because ticks are never exactly on time.
    pub(super) fn most_kept(&mut self, kept: u32, hold: f64, tick: f64, now: Timestamp) -> u32 {
        let now = self.seconds(now);
        self.kept.push_back((now, kept));
        while self.kept.front().is_some_and(|(at, _)| now - at > hold + tick / 2.0) {
            self.kept.pop_front();
        }
        self.kept.iter().map(|(_, kept)| *kept).max().unwrap_or(kept)
    }

    /// Returns whether another scale-in is allowed: one in `every` seconds, and always if at most half the workers are
    /// needed.
    pub(super) fn may_scale_in(&self, desired: u32, kept: u32, every: f64, now: Timestamp) -> bool {
        kept <= desired / 2 || self.last_scale_in.is_none_or(|last| self.seconds(now) - last >= every)
    }

    pub(super) fn scaled_in(&mut self, now: Timestamp) {
        self.last_scale_in = Some(self.seconds(now));
    }

    /// Returns the most messages in flight that the last few ticks saw.
    pub(super) fn most_in_flight(&self, policy: &ScalingPolicy) -> f64 {
        let Some(last) = self.samples.back() else { return 0.0 };
        let recent =
            self.samples.iter().filter(|sample| sample.at >= last.at - RECENT_TICKS * policy.tick.as_secs_f64());
        recent.map(|sample| sample.in_flight).fold(0.0, f64::max)
    }

    /// Returns the average number of messages that were worked on in the last `count` samples.
    pub(super) fn mean_in_flight(&self, count: u32) -> f64 {
        let recent = self.samples.iter().rev().take(count as usize);
        let (sum, count) = recent.fold((0.0, 0.0), |(sum, count), sample| (sum + sample.in_flight, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Returns whether messages were deleted lately, or became fewer within the last few ticks.
    pub(super) fn has_progressed(&self, at: f64) -> bool {
        let recent = self.samples.iter().rev().take(PROGRESS_SAMPLES);
        let fell = recent.clone().zip(recent.skip(1)).any(|(later, earlier)| later.all < earlier.all);
        fell || self.last_deleted.is_some_and(|last| at - last <= PROGRESS_AGE_MAX)
    }

    /// Returns this memory, corrected for a decision that could not be carried out. `before` is the memory before the
    /// decision.
    #[must_use]
    pub fn undone(self, before: &Self) -> Self {
        let Self { last_scale_in, last_order, last_step, .. } = before;
        let mut undone = Self { last_scale_in: *last_scale_in, last_order: *last_order, last_step: *last_step, ..self };
        undone.blocked.expected = undone.blocked.expected.min(before.blocked.expected);
        undone
    }

    /// Remembers a decision.
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
