//! Workloads: when messages arrive, and how long each takes.

use std::fmt;

use fastrand::Rng;

use crate::random::{exponential, log_normal};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;

/// The messages of a run, and what goes wrong in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workload {
    /// The name that results show.
    pub name: String,
    /// The messages in the order of their arrival.
    pub messages: Vec<Message>,
    /// The duration of the workload, in seconds.
    pub duration: f64,
    /// What goes wrong.
    pub troubles: Troubles,
}

/// A message of a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Message {
    /// The arrival, in seconds since the start.
    pub at: f64,
    /// How long a worker takes to handle it, in seconds.
    pub work: f64,
    /// The message group in a FIFO queue: one message of a group is handled at a time.
    pub group: Option<u32>,
    /// How its worker handles it.
    pub fate: Fate,
}

/// How a worker handles a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is handled and deleted.
    #[default]
    Handled,
    /// It fails each time, and becomes visible again after the retry delay.
    Fails,
    /// It ends its worker each time, and becomes visible again after the visibility timeout.
    CrashesWorker,
}

/// What goes wrong in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Troubles {
    /// The seconds until a failed message is visible again, after its first failure. Each further one doubles it, up to
    /// [`RETRY_DELAY_MAX`], as `worker-shim` does.
    pub retry_delay: f64,
    /// The message goes to a dead-letter queue after it was received so often. None: there is no dead-letter queue.
    pub receives_max: Option<u32>,
    /// The queue's delay: the seconds from the sending of a message until it is visible.
    pub delay: f64,
    /// The times at which Spot takes this share of the running workers.
    pub reclaims: Vec<(f64, f64)>,
    /// From when until when a message is in flight that no worker has: its worker was lost.
    pub orphans: Vec<(f64, f64)>,
}

/// The longest retry delay, in seconds.
pub const RETRY_DELAY_MAX: f64 = 900.0;

impl Workload {
    /// Returns the work of all messages that can be handled, in seconds.
    pub fn work(&self) -> f64 {
        let handled = self.messages.iter().filter(|message| message.fate == Fate::Handled);
        handled.map(|message| message.work).sum()
    }

    /// Returns the average work of a message, in seconds.
    pub fn mean_work(&self) -> f64 {
        if self.messages.is_empty() { 0.0 } else { self.work() / self.messages.len() as f64 }
    }
}

/// A generator of workloads. Each seed gives another workload of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// A constant 40 Erlang.
    Steady,
    /// 2 Erlang, 40 for an hour, and 2 again.
    Step,
    /// Batches of log-normal size, every 20 minutes on average.
    Batches,
    /// Bursts: 40 Erlang for about 5 minutes, 1 for about 20 (a Markov-modulated Poisson process).
    Bursts,
    /// One message in 10 minutes.
    Sparse,
    /// Jobs of 10 minutes, in groups.
    LongJobs,
    /// A day on which the load rises from 2 to 30 Erlang and falls again.
    Daily,
    /// 500 messages each hour, all within 20 seconds.
    Hourly,
    /// Requests of very different size that arrive in clusters.
    Clusters,
    /// 20 messages that always fail, without a dead-letter queue, beside half an Erlang.
    Poison,
    /// 8 Erlang, of which 5 % always fail and are retried after ten minutes.
    RetryDelay,
    /// 20 Erlang, of which 2 % crash their worker.
    Crash,
    /// 20 Erlang; every ten minutes Spot takes 40 % of the workers.
    Spot,
    /// 400 messages of four message groups at once, every two hours.
    FifoGroups,
    /// 250 messages at once every half an hour, of a queue with a delay of a minute.
    QueueDelay,
    /// 50 messages at once every half an hour, while a lost message is in flight all the time.
    Stuck,
    /// 1,000 messages within a second, every hour.
    Flash,
    /// 50 Erlang for 55 seconds, then nothing for 55 seconds, and so on.
    Sawtooth,
}

impl Generator {
    /// The workloads on which policies are compared.
    pub const ALL: [Self; 9] = [
        Self::Steady,
        Self::Step,
        Self::Batches,
        Self::Bursts,
        Self::Sparse,
        Self::LongJobs,
        Self::Daily,
        Self::Hourly,
        Self::Clusters,
    ];

    /// The workloads in which something goes wrong, or that are made to mislead a policy.
    pub const ADVERSE: [Self; 9] = [
        Self::Poison,
        Self::RetryDelay,
        Self::Crash,
        Self::Spot,
        Self::FifoGroups,
        Self::QueueDelay,
        Self::Stuck,
        Self::Flash,
        Self::Sawtooth,
    ];

    /// Returns the name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Step => "step",
            Self::Batches => "batches",
            Self::Bursts => "bursts",
            Self::Sparse => "sparse",
            Self::LongJobs => "long-jobs",
            Self::Daily => "daily",
            Self::Hourly => "hourly",
            Self::Clusters => "clusters",
            Self::Poison => "poison",
            Self::RetryDelay => "retry-delay",
            Self::Crash => "crash",
            Self::Spot => "spot",
            Self::FifoGroups => "fifo-groups",
            Self::QueueDelay => "queue-delay",
            Self::Stuck => "stuck",
            Self::Flash => "flash",
            Self::Sawtooth => "sawtooth",
        }
    }

    /// Returns the generator with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::ADVERSE).find(|generator| generator.name() == name)
    }

    /// Returns whether the load jumps, which slow policies cannot follow.
    pub fn is_bursty(self) -> bool {
        !matches!(self, Self::Steady | Self::Daily | Self::Sparse)
    }

    /// Returns the default average work of a message, in seconds.
    pub fn usual_work(self) -> f64 {
        match self {
            Self::LongJobs => 600.0,
            Self::Clusters => 3.0,
            _ => 5.0,
        }
    }

    /// Returns the default acceptable latency, in seconds.
    pub fn usual_latency(self) -> f64 {
        match self {
            Self::LongJobs => 600.0,
            _ => 120.0,
        }
    }

    /// Generates a workload whose messages take `work` seconds on average.
    pub fn generate(self, work: f64, seed: u64) -> Workload {
        let rng = &mut Rng::with_seed(seed);
        let (times, duration) = self.times(work, rng);
        let sigma = if self == Self::Clusters { 1.0 } else { 0.5 };
        let message = |at| Message { at, work: log_normal(rng, work, sigma), ..Message::default() };
        let messages = times.into_iter().map(message).collect();
        let mut workload = Workload { name: self.name().to_owned(), messages, duration, ..Workload::default() };
        self.go_wrong(&mut workload, work, rng);
        workload
    }

    fn go_wrong(self, workload: &mut Workload, work: f64, rng: &mut Rng) {
        let Workload { messages, duration, troubles, .. } = workload;
        let spoil = |messages: &mut [Message], share: f64, fate: Fate, rng: &mut Rng| {
            messages.iter_mut().filter(|_| rng.f64() < share).for_each(|message| message.fate = fate);
        };
        match self {
            Self::Poison => {
                troubles.retry_delay = 5.0;
                messages.extend((0..20).map(|_| Message { at: 600.0, work, fate: Fate::Fails, group: None }));
                messages.sort_by(|one, other| one.at.total_cmp(&other.at));
            }
            Self::RetryDelay => {
                (troubles.retry_delay, troubles.receives_max) = (600.0, Some(5));
                spoil(messages, 0.05, Fate::Fails, rng);
            }
            Self::Crash => {
                troubles.receives_max = Some(3);
                spoil(messages, 0.02, Fate::CrashesWorker, rng);
            }
            Self::Spot => {
                let times = (1..).map(|count| f64::from(count) * 10.0 * MINUTE);
                troubles.reclaims = times.take_while(|at| at < duration).map(|at| (at, 0.4)).collect();
            }
            Self::FifoGroups => messages.iter_mut().for_each(|message| message.group = Some(rng.u32(..4))),
            Self::QueueDelay => troubles.delay = 60.0,
            Self::Stuck => troubles.orphans = vec![(60.0, *duration)],
            _ => {}
        }
    }

    fn times(self, work: f64, rng: &mut Rng) -> (Vec<f64>, f64) {
        match self {
            Self::Steady => (poisson(rng, 2.0 * HOUR, |_| 40.0 / work), 2.0 * HOUR),
            Self::Step => {
                let load = |at: f64| if (0.5 * HOUR..1.5 * HOUR).contains(&at) { 40.0 } else { 2.0 };
                (poisson(rng, 2.5 * HOUR, |at| load(at) / work), 2.5 * HOUR)
            }
            Self::Daily => {
                let load = |at: f64| 16.0 - 14.0 * (std::f64::consts::TAU * at / (24.0 * HOUR)).cos();
                (poisson(rng, 24.0 * HOUR, |at| load(at) / work), 24.0 * HOUR)
            }
            Self::Sparse => (poisson(rng, 48.0 * HOUR, |_| 1.0 / (10.0 * MINUTE)), 48.0 * HOUR),
            Self::Bursts => {
                let duration = 6.0 * HOUR;
                let mut changes = vec![];
                let (mut at, mut is_high) = (exponential(rng, 20.0 * MINUTE), true);
                while at < duration {
                    let lasts = exponential(rng, if is_high { 5.0 } else { 20.0 } * MINUTE);
                    changes.push((at, at + lasts, is_high));
                    (at, is_high) = (at + lasts, !is_high);
                }
                let load = |at: f64| {
                    let is_high = changes.iter().any(|(start, end, is_high)| *is_high && (*start..*end).contains(&at));
                    if is_high { 40.0 } else { 1.0 }
                };
                (poisson(rng, duration, |at| load(at) / work), duration)
            }
            Self::Batches => {
                let duration = 8.0 * HOUR;
                let starts = poisson(rng, duration - 0.5 * HOUR, |_| 1.0 / (20.0 * MINUTE));
                let messages = |size: f64| (size * 5.0 / work).ceil() as usize;
                (batches(rng, &starts, 10.0, |rng| messages(log_normal(rng, 250.0, 1.0))), duration)
            }
            Self::Hourly => {
                let starts: Vec<f64> = (0..6).map(|hour| f64::from(hour) * HOUR + 60.0).collect();
                (batches(rng, &starts, 20.0, |_| (2500.0 / work).ceil() as usize), 6.0 * HOUR)
            }
            Self::LongJobs => {
                let starts = poisson(rng, 10.0 * HOUR, |_| 1.0 / (15.0 * MINUTE));
                (batches(rng, &starts, 30.0, |rng| log_normal(rng, 10.0, 0.8).ceil() as usize), 12.0 * HOUR)
            }
            Self::Poison => (poisson(rng, 6.0 * HOUR, |_| 0.5 / work), 6.0 * HOUR),
            Self::RetryDelay => (poisson(rng, 4.0 * HOUR, |_| 8.0 / work), 4.0 * HOUR),
            Self::Crash | Self::Spot => (poisson(rng, 2.0 * HOUR, |_| 20.0 / work), 2.0 * HOUR),
            Self::FifoGroups => {
                let starts = [60.0, 2.0 * HOUR, 4.0 * HOUR];
                (batches(rng, &starts, 5.0, |_| (2000.0 / work).ceil() as usize), 6.0 * HOUR)
            }
            Self::QueueDelay | Self::Stuck => {
                let starts: Vec<f64> = (0..12).map(|half| f64::from(half) * 0.5 * HOUR + 120.0).collect();
                let size = if self == Self::Stuck { 250.0 } else { 1250.0 };
                (batches(rng, &starts, 5.0, |_| (size / work).ceil() as usize), 6.0 * HOUR)
            }
            Self::Flash => {
                let starts: Vec<f64> = (0..4).map(|hour| f64::from(hour) * HOUR + 60.0).collect();
                (batches(rng, &starts, 1.0, |_| (5000.0 / work).ceil() as usize), 4.0 * HOUR)
            }
            Self::Sawtooth => {
                let load = |at: f64| if at % 110.0 < 55.0 { 50.0 } else { 0.01 };
                (poisson(rng, 2.0 * HOUR, |at| load(at) / work), 2.0 * HOUR)
            }
            Self::Clusters => {
                let duration = 6.0 * HOUR;
                let starts = poisson(rng, duration - 0.25 * HOUR, |_| 1.0 / (3.0 * MINUTE));
                let messages = |size: f64| (size * 3.0 / work).ceil() as usize;
                (batches(rng, &starts, 60.0, |rng| messages(log_normal(rng, 120.0, 1.2))), duration)
            }
        }
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Returns the times of a Poisson process whose rate changes, by thinning.
fn poisson(rng: &mut Rng, duration: f64, rate: impl Fn(f64) -> f64) -> Vec<f64> {
    let highest = (0..=1000).map(|step| rate(duration * f64::from(step) / 1000.0)).fold(0.0, f64::max);
    let mut times = Vec::new();
    let mut at = 0.0;
    loop {
        at += exponential(rng, 1.0 / highest);
        if at >= duration {
            return times;
        }
        if rng.f64() * highest < rate(at) {
            times.push(at);
        }
    }
}

/// Returns the times of batches: `size` messages after each start, spread at random over `spread` seconds.
fn batches(rng: &mut Rng, starts: &[f64], spread: f64, mut size: impl FnMut(&mut Rng) -> usize) -> Vec<f64> {
    let mut times = Vec::new();
    for start in starts {
        let size = size(rng);
        times.extend((0..size).map(|_| start + rng.f64() * spread));
    }
    times.sort_by(f64::total_cmp);
    times
}
