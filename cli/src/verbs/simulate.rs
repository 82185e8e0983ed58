//! `ecs-trigger simulate`: simulates queues and their workers under several scaling policies.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::styling::Style;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use serde_json::{Value, json};
use trigger_core::scaling::{LatencyRule, Mode, ScalingRule};
use trigger_simulator::study::Case;
use trigger_simulator::{Generator, Outcome, ScalerKind, Setting, Surroundings, Workload, run, trace};

use crate::completion;
use crate::config::{Environment, FILE_NAME, load, worker_of};
use crate::exit::Failed;
use crate::output::{self, line, message};
use crate::plot;

/// The default price of a task-hour in US dollars: 0.25 vCPU and 0.5 GB on Fargate (Linux, x86) in us-east-1.
/// Source: <https://aws.amazon.com/fargate/pricing/>
const PRICE: f64 = 0.25 * 0.04048 + 0.5 * 0.004445;

/// Simulate queues and their workers, to compare waiting time and cost.
///
/// Gives the same messages to the scaling policy of a worker and to the alternatives: AWS Copilot's target tracking (as
/// it is, and in its best form), CDK's default steps, KEDA with the horizontal pod autoscaler, and the plain rule
/// `messages / backlog per task`. Use it to choose `max` and `acceptable_latency` before you deploy.
///
/// Without --worker and --config, it simulates the default policy in both modes, with settings that suit each workload.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # All workloads and all policies
  ecs-trigger simulate

  # One workload, with a plot
  ecs-trigger simulate --workload bursts --plot bursts.svg

  # Your worker, with another maximum
  ecs-trigger simulate --worker image-worker --max 20

  # Your worker, with your own arrivals
  ecs-trigger simulate --worker image-worker --trace arrivals.csv

Workloads:
  steady, step, batches, bursts, sparse, long-jobs, daily, hourly, clusters
  And those in which something goes wrong, only by --workload: poison,
  retry-delay, crash, spot, fifo-groups, queue-delay, stuck, flash, sawtooth

Traces:
  A trace is a CSV file with one time per line: seconds, or a date and time.
  With a header line, it can have two more columns: `count`, the number of
  messages until the time on the next line, and `work`, the seconds that a
  message takes. Other columns are ignored.

Columns of the table:
  p50, p99, max age   how long messages wait before a worker takes them
  task-hours          task-hours that are paid for
  /work               task-hours per hour of work
  launches            tasks that were started
  flaps               rises in the number of workers within 5 minutes of a fall
  kills               messages whose worker was stopped while it worked on them
  at zero             share of the time without any task
  cost                task-hours times the price, in US dollars")]
pub(crate) struct Simulate {
    /// The worker whose policy to simulate. Default with --config: the config's only worker.
    #[arg(long, value_name = "NAME", add = completion::workers())]
    worker: Option<String>,
    /// The config file, or the folder that contains it. Default with --worker: ecs-trigger.yaml.
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    environment: Environment,
    /// Simulate this workload only; repeatable.
    #[arg(long = "workload", value_name = "NAME", value_parser = generator)]
    workloads: Vec<Generator>,
    /// Read the arrivals from a CSV file instead of a workload.
    #[arg(long, value_name = "FILE", conflicts_with = "workloads")]
    trace: Option<PathBuf>,
    /// Simulate this policy only; repeatable. One of service, run_task, copilot, copilot-ideal, cdk, keda,
    /// keda-protected, ceil.
    #[arg(long = "policy", value_name = "NAME", value_parser = policy)]
    policies: Vec<ScalerKind>,
    /// Maximum number of workers. Default: the worker's own, otherwise 200.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// How long messages may wait. Default: the worker's own, otherwise 120s (600s for long-jobs).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    acceptable_latency: Option<Duration>,
    /// How long a worker takes for one message. Default: the worker's own, otherwise 5s (600s for long-jobs, 3s for
    /// clusters).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    msg_processing_time: Option<Duration>,
    /// How long a task takes to start.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "40s")]
    start_delay: Duration,
    /// Number of runs of each policy on each workload, each with another random seed.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    seeds: u16,
    /// The random seed of the first run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::from(u32::MAX)))]
    seed: u64,
    /// The price of a task-hour in US dollars. Default: the price of 0.25 vCPU and 0.5 GB on Fargate.
    #[arg(long, value_name = "USD", default_value_t = PRICE, value_parser = price, hide_default_value = true)]
    price: f64,
    /// Draw the first run of each policy into this .svg or .png file; needs a single workload.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print only the comparison over all workloads.
    #[arg(long)]
    summary: bool,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

/// A workload, generated once per seed, and the scalers' settings for it.
struct Given {
    name: String,
    is_bursty: bool,
    versions: Vec<Workload>,
    setting: Setting,
}

/// A policy's result on a workload.
struct Tried {
    kind: ScalerKind,
    outcome: Outcome,
}

impl Simulate {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let (base, ours) = self.base()?;
        let kinds = self.kinds(&ours);
        let given = self.given(base.as_ref())?;
        if let Some(file) = self.plot.as_ref().filter(|file| !plot::is_possible(file)) {
            return Err(Failed::Usage(format!("{}: a plot must be an .svg or .png file", file.display())));
        }
        if self.plot.is_some() && given.len() > 1 {
            return Err(Failed::Usage("a plot shows one workload; choose it with --workload or --trace".to_owned()));
        }
        let concurrency = base.as_ref().map_or(1, |base| base.policy.concurrency);
        let surroundings =
            Surroundings { start_delay: self.start_delay.as_secs_f64(), concurrency, ..Surroundings::default() };
        let results = self.results(&given, &kinds, &surroundings);
        if let Some(file) = &self.plot
            && let (Some(given), Some(results)) = (given.first(), results.first())
        {
            let courses: Vec<plot::Course<'_>> = results
                .iter()
                .map(|result| plot::Course {
                    name: result.kind.name(),
                    is_ours: result.kind.is_ours(),
                    outcome: &result.outcome,
                })
                .collect();
            plot::draw(file, &given.name, given.setting.acceptable_latency, &courses).map_err(Failed::Io)?;
        }
        match self.json {
            true => output::json(&self.as_json(&given, &results)),
            false => self.print(&given, &results),
        }
    }

    /// Returns the worker's settings and its mode. Without a worker, returns both modes; each workload then has
    /// settings of its own.
    fn base(&self) -> Result<(Option<Setting>, Vec<ScalerKind>), Failed> {
        if self.worker.is_none() && self.config.is_none() {
            return Ok((None, vec![ScalerKind::Service, ScalerKind::RunTask]));
        }
        let config = load(self.config.as_deref().unwrap_or(Path::new(FILE_NAME)), &self.environment, self.json)?;
        let worker = worker_of(&config, self.worker.as_deref())?;
        let mut policy = worker.policy.clone();
        if !policy.schedules.is_empty() {
            message!("note: ignoring the schedules of `{}`, because the other policies have none", worker.name);
            policy.schedules.clear();
        }
        let acceptable_latency = match (&mut policy.rule, self.acceptable_latency) {
            (ScalingRule::Latency(rule), Some(latency)) => {
                rule.acceptable_latency = latency;
                latency.as_secs_f64()
            }
            (ScalingRule::Latency(LatencyRule { acceptable_latency, .. }), None) => acceptable_latency.as_secs_f64(),
            (ScalingRule::Target(_) | ScalingRule::Step(_), latency) => latency.map_or(120.0, |l| l.as_secs_f64()),
        };
        if let Some(max) = self.max {
            policy.bounds.max = max;
            policy.bounds.min = policy.bounds.min.min(max);
        }
        if let Some(time) = self.msg_processing_time {
            policy.msg_processing_time.seconds = time.as_secs_f64();
        }
        let kind = match policy.mode {
            Mode::Service => ScalerKind::Service,
            Mode::RunTask => ScalerKind::RunTask,
        };
        let msg_processing_time = policy.msg_processing_time.seconds;
        let setting = Setting { policy, idle_exit: worker.idle_exit, acceptable_latency, msg_processing_time };
        Ok((Some(setting), vec![kind]))
    }

    fn kinds(&self, ours: &[ScalerKind]) -> Vec<ScalerKind> {
        let is_asked = |kind: &ScalerKind| match self.policies.as_slice() {
            [] => ours.contains(kind) || !kind.is_ours(),
            policies => policies.contains(kind),
        };
        ScalerKind::ALL.into_iter().filter(is_asked).collect()
    }

    fn given(&self, base: Option<&Setting>) -> Result<Vec<Given>, Failed> {
        let setting = |work: f64, latency: f64| match base {
            Some(setting) => setting.clone(),
            None => {
                let latency = self.acceptable_latency.map_or(latency, |latency| latency.as_secs_f64());
                Setting::usual(self.max.unwrap_or(200), latency, work)
            }
        };
        let work_asked = self.msg_processing_time.map(|time| time.as_secs_f64());
        let work_of_worker = base.map(|base| base.msg_processing_time);
        let seeds = self.seed..self.seed.saturating_add(self.seeds.into());
        if let Some(path) = &self.trace {
            let text = fs::read_to_string(path).map_err(|error| Failed::File { path: path.clone(), error })?;
            let work = work_asked.or(work_of_worker).unwrap_or(5.0);
            let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let versions = seeds.map(|seed| trace::parse(&name, &text, work, seed)).collect::<Result<Vec<_>, _>>();
            let versions = versions.map_err(|error| Failed::Usage(format!("{}: {error}", path.display())))?;
            let mean = versions.first().map_or(work, Workload::mean_work);
            return Ok(vec![Given { name, is_bursty: false, versions, setting: setting(mean, 120.0) }]);
        }
        let generators = if self.workloads.is_empty() { Generator::ALL.to_vec() } else { self.workloads.clone() };
        let given = |generator: Generator| {
            let work = work_asked.or(work_of_worker).unwrap_or_else(|| generator.usual_work());
            Given {
                name: generator.name().to_owned(),
                is_bursty: generator.is_bursty(),
                versions: seeds.clone().map(|seed| generator.generate(work, seed)).collect(),
                setting: setting(work, generator.usual_latency()),
            }
        };
        Ok(generators.into_iter().map(given).collect())
    }

    fn results(&self, given: &[Given], kinds: &[ScalerKind], surroundings: &Surroundings) -> Vec<Vec<Tried>> {
        let mut cases: Vec<Case<'_>> = Vec::new();
        for Given { versions, setting, .. } in given {
            for kind in kinds {
                let versions = (self.seed..).zip(versions);
                cases.extend(versions.map(|(seed, workload)| Case { workload, kind: *kind, setting, seed }));
            }
        }
        let bar = progress(cases.len());
        let outcomes = run(&cases, surroundings, || bar.inc(1));
        bar.finish_and_clear();
        let of_kinds = outcomes.chunks(usize::from(self.seeds));
        let means: Vec<Outcome> = of_kinds.map(Outcome::mean).collect();
        let result = |(kind, outcome): (&ScalerKind, &Outcome)| Tried { kind: *kind, outcome: outcome.clone() };
        means.chunks(kinds.len().max(1)).map(|means| kinds.iter().zip(means).map(result).collect()).collect()
    }

    fn print(&self, given: &[Given], results: &[Vec<Tried>]) -> Result<(), Failed> {
        const BOLD: Style = Style::new().bold();
        for (given, results) in given.iter().zip(results).filter(|_| !self.summary) {
            let messages =
                given.versions.iter().map(|version| version.messages.len()).sum::<usize>() / given.versions.len();
            let Setting { acceptable_latency, msg_processing_time, policy, .. } = &given.setting;
            line!(
                "{BOLD}{}{BOLD:#}: {messages} messages of {msg_processing_time:.1} s each, acceptable latency \
                 {acceptable_latency:.0} s, at most {} workers",
                given.name,
                policy.bounds.max
            )?;
            line!(
                "  {:<14}{:>9}{:>9}{:>9}{:>11}{:>8}{:>10}{:>7}{:>7}{:>9}{:>10}",
                "policy",
                "p50 age",
                "p99 age",
                "max age",
                "task-hours",
                "/work",
                "launches",
                "flaps",
                "kills",
                "at zero",
                "cost"
            )?;
            for Tried { kind, outcome } in results {
                let row = format!(
                    "{:>7.0} s{:>7.0} s{:>7.0} s{:>11.2}{:>8.2}{:>10}{:>7}{:>7}{:>7.0} %{:>8.2} $",
                    outcome.p50_age,
                    outcome.p99_age,
                    outcome.max_age,
                    outcome.task_hours,
                    outcome.hours_per_work(),
                    outcome.launches,
                    outcome.flaps,
                    outcome.kills,
                    outcome.time_at_zero * 100.0,
                    outcome.task_hours * self.price,
                );
                let left = if outcome.left > 0 { format!("  {} unprocessed", outcome.left) } else { String::new() };
                let name = kind.name();
                match kind.is_ours() {
                    true => line!("  {BOLD}{name:<14}{BOLD:#}{row}{left}")?,
                    false => line!("  {name:<14}{row}{left}")?,
                }
            }
            line!("")?;
        }
        if given.len() > 1 { self.print_summary(given, results) } else { Ok(()) }
    }

    /// Prints how each of our policies compares with each peer, over all workloads.
    fn print_summary(&self, given: &[Given], results: &[Vec<Tried>]) -> Result<(), Failed> {
        line!(
            "{:<10}{:<14}{:>16}{:>16}{:>17}{:>17}{:>12}{:>10}",
            "ours",
            "against",
            "p99 age",
            "at worst",
            "task-hours",
            "at worst",
            "flaps",
            "kills"
        )?;
        for comparison in compare(given, results) {
            let Comparison { ours, peer, p99, hours, flaps, kills } = comparison;
            line!(
                "{:<10}{:<14}{:>14.2} x{:>14.2} x{:>15.2} x{:>15.2} x{:>12}{:>10}",
                ours.name(),
                peer.name(),
                p99.mean,
                p99.worst,
                hours.mean,
                hours.worst,
                format!("{}:{}", flaps.0, flaps.1),
                format!("{}:{}", kills.0, kills.1)
            )?;
        }
        line!(
            "(geometric means; copilot and cdk are compared on the bursty workloads only: not steady, daily and sparse)"
        )
    }

    fn as_json(&self, given: &[Given], results: &[Vec<Tried>]) -> Value {
        let workloads = given.iter().zip(results).map(|(given, results)| {
            let policies = results.iter().map(|Tried { kind, outcome }| {
                let mut policy = json!(outcome);
                policy["policy"] = json!(kind.name());
                policy["p99_age_to_acceptable"] = json!(outcome.p99_age / given.setting.acceptable_latency);
                policy["task_hours_to_work"] = json!(outcome.hours_per_work());
                policy["cost"] = json!(outcome.task_hours * self.price);
                policy
            });
            json!({
                "workload": given.name,
                "is_bursty": given.is_bursty,
                "acceptable_latency": given.setting.acceptable_latency,
                "msg_processing_time": given.setting.msg_processing_time,
                "max": given.setting.policy.bounds.max,
                "policies": policies.collect::<Vec<_>>(),
            })
        });
        let comparisons = compare(given, results).into_iter().map(|comparison| {
            json!({
                "policy": comparison.ours.name(),
                "peer": comparison.peer.name(),
                "p99_age": { "mean": comparison.p99.mean, "worst": comparison.p99.worst },
                "task_hours": { "mean": comparison.hours.mean, "worst": comparison.hours.worst },
                "flaps": [comparison.flaps.0, comparison.flaps.1],
                "kills": [comparison.kills.0, comparison.kills.1],
            })
        });
        json!({ "workloads": workloads.collect::<Vec<_>>(), "comparisons": comparisons.collect::<Vec<_>>() })
    }
}

/// The comparison of one of our policies with a peer.
struct Comparison {
    ours: ScalerKind,
    peer: ScalerKind,
    p99: Ratio,
    hours: Ratio,
    flaps: (usize, usize),
    kills: (usize, usize),
}

/// Our result divided by the peer's, over several workloads.
struct Ratio {
    /// The geometric mean.
    mean: f64,
    worst: f64,
}

impl Ratio {
    fn of(ratios: &[f64]) -> Self {
        let count = ratios.len().max(1) as f64;
        let mean = (ratios.iter().map(|ratio| ratio.max(1e-9).ln()).sum::<f64>() / count).exp();
        Self { mean, worst: ratios.iter().copied().fold(0.0, f64::max) }
    }
}

fn compare(given: &[Given], results: &[Vec<Tried>]) -> Vec<Comparison> {
    let kinds: Vec<ScalerKind> = results.first().into_iter().flatten().map(|result| result.kind).collect();
    let pairs = kinds
        .iter()
        .filter(|kind| kind.is_ours())
        .flat_map(|ours| kinds.iter().filter(|kind| !kind.is_ours()).map(move |peer| (*ours, *peer)));
    let comparison = |(ours, peer): (ScalerKind, ScalerKind)| {
        // With little to do, a policy that always runs a task is never late, which would make the comparison
        // meaningless.
        let is_always_on = matches!(peer, ScalerKind::Copilot | ScalerKind::CopilotIdeal | ScalerKind::Cdk);
        let of = |kind: ScalerKind, results: &[Tried]| {
            results.iter().find(|result| result.kind == kind).map(|result| result.outcome.clone())
        };
        let outcomes: Vec<(Outcome, Outcome)> = given
            .iter()
            .zip(results)
            .filter(|(given, _)| given.is_bursty || !is_always_on)
            .filter_map(|(_, results)| Some((of(ours, results)?, of(peer, results)?)))
            .collect();
        let ratios = |of: fn(&Outcome) -> f64| {
            Ratio::of(
                &outcomes
                    .iter()
                    .map(|(ours, peer)| of(ours).max(RATIO_FROM) / of(peer).max(RATIO_FROM))
                    .collect::<Vec<_>>(),
            )
        };
        let sums = |of: fn(&Outcome) -> usize| {
            outcomes.iter().fold((0, 0), |sums, (ours, peer)| (sums.0 + of(ours), sums.1 + of(peer)))
        };
        Comparison {
            ours,
            peer,
            p99: ratios(|outcome| outcome.p99_age),
            hours: ratios(|outcome| outcome.task_hours),
            flaps: sums(|outcome| outcome.flaps),
            kills: sums(|outcome| outcome.kills),
        }
    };
    // With a single workload, there may be nothing to compare.
    let is_compared = |comparison: &Comparison| comparison.p99.worst > 0.0;
    pairs.map(comparison).filter(is_compared).collect()
}

/// Smaller results, in seconds or task-hours, count as this much in a ratio.
const RATIO_FROM: f64 = 0.01;

/// Returns a progress bar, hidden if standard error is not a terminal.
fn progress(runs: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn generator(name: &str) -> Result<Generator, String> {
    let names: Vec<&str> = Generator::ALL.into_iter().chain(Generator::ADVERSE).map(Generator::name).collect();
    let names = names.join(", ");
    Generator::named(name).ok_or_else(|| format!("write one of {names}"))
}

fn policy(name: &str) -> Result<ScalerKind, String> {
    let names = ScalerKind::ALL.map(ScalerKind::name).join(", ");
    ScalerKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("write one of {names}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.filter(|duration| !duration.is_zero()).ok_or_else(|| "write a duration such as `90s` or `15m`".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "write an amount in US dollars, such as 0.05".to_owned())
}
