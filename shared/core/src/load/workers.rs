//! `workers`: turns its elements into workers with a scaling policy.

use std::time::Duration;

use jiff::Timestamp;

use super::Loader;
use crate::config::file::ConfigFile;
use crate::config::workers::{self, CapacityScheduleConfig, ScalingConfig, StepConfig, WorkerConfig};
use crate::ecs::fargate::OnFargate;
use crate::event::Queue;
use crate::event::identity::is_name;
use crate::routing::{Route, RunsAs, Task, Worker};
use crate::scaling::{
    Bounds, CapacitySchedule, LatencyRule, Mode, ScalingPolicy, ScalingRule, ServiceTimePrior, StartDelay,
    StepAdjustment, StepRule, TargetRule,
};
use crate::schedule::{Schedule, ScheduleExpression};
use crate::text::diagnostic::Diagnostic;
use crate::text::values as text;
use crate::text::{Span, Spanned};

/// The weight of a processing time from the config, and of a guessed one, in messages.
const CONFIGURED_MESSAGES: f64 = 20.0;
const GUESSED_MESSAGES: f64 = 3.0;

impl Loader<'_> {
    pub(super) fn workers(&mut self, file: &ConfigFile, tasks: &[Task], routes: &[Route]) -> Vec<Worker> {
        let mut workers: Vec<Worker> = Vec::new();
        for config in file.workers.iter().flatten() {
            if let Some(worker) = self.worker(config, file, tasks) {
                self.beside(&worker, &workers, routes);
                workers.push(worker);
            }
        }
        workers
    }

    fn worker(&mut self, config: &Spanned<WorkerConfig>, file: &ConfigFile, tasks: &[Task]) -> Option<Worker> {
        let (runs_as, own_name) = match (&config.service, &config.run) {
            (Some(service), None) => {
                let default = file.defaults.as_ref().and_then(|defaults| defaults.cluster.as_ref());
                let cluster = config.cluster.as_ref().or(default).map(|cluster| cluster.value.clone());
                (RunsAs::Service { cluster, service: service.value.clone() }, service)
            }
            (None, Some(run)) => (RunsAs::Task(self.task_of_worker(run, config, file, tasks)?), run),
            _ => {
                if self.is_read_whole(config.span) {
                    let problem = Diagnostic::error(config.span, "workers need exactly one of `service` and `run`");
                    self.problems.push(problem.help("write `service: NAME` or `run: TASK`"));
                }
                return None;
            }
        };
        let name = match &config.name {
            Some(name) => name.clone(),
            // The last part of an ARN is the service's name.
            None => Spanned { span: own_name.span, value: own_name.rsplit('/').next().unwrap_or_default().to_owned() },
        };
        if !is_name(&name) {
            let problem = Diagnostic::error(name.span, format!("`{}` is not a valid worker name", name.value));
            self.problems.push(
                problem
                    .help("use 1 to 64 letters, digits, `-` and `_`; if the service is named otherwise, add a `name`"),
            );
        }
        let queues: Vec<Queue> = config.queue.0.iter().filter_map(|queue| self.queue_named(queue)).collect();
        for (position, queue) in queues.iter().enumerate() {
            if queues[..position].iter().any(|other| other.is(queue)) {
                let problem = Diagnostic::error(name.span, format!("duplicate queue `{}`", queue.name));
                self.problems.push(problem.help("remove it: otherwise its messages count twice"));
            }
        }
        let policy = self.policy(&config.scaling, &runs_as, tasks);
        Some(Worker {
            name: name.value,
            span: name.span,
            queues,
            runs_as,
            policy: policy?,
            idle_exit: self.at_least_a_second("idle_exit", config.scaling.idle_exit.as_ref(), workers::IDLE_EXIT.0),
        })
    }

    /// Returns the position of the task that is started for each worker.
    fn task_of_worker(
        &mut self,
        run: &Spanned<String>,
        config: &WorkerConfig,
        file: &ConfigFile,
        tasks: &[Task],
    ) -> Option<usize> {
        let names: Vec<&str> = file.tasks().names().collect();
        if !names.contains(&run.as_str()) {
            self.unknown_task(run, &names);
            return None;
        }
        if let Some(cluster) = &config.cluster {
            let problem = Diagnostic::error(cluster.span, "`cluster` is only valid with `service`");
            self.problems.push(problem.help("remove `cluster` here, and set it in the task"));
        }
        let position = tasks.iter().position(|task| task.name == run.value)?;
        let task = &tasks[position];
        if task.copies != 1 {
            let problem = Diagnostic::error(
                run.span,
                format!("workers cannot run the task `{}`, which has a `count`", run.value),
            );
            self.problems.push(problem.help("run a task without `count`: the scaler starts as many as are needed"));
        }
        if task.templates().any(crate::template::Template::is_filled_in) {
            let message =
                format!("workers cannot run the task `{}`, which has templates: no event starts a worker", run.value);
            self.problems.push(Diagnostic::error(run.span, message).help("run a task without `{{ ... }}`"));
        }
        if task.containers.is_empty() {
            let message = format!("no container of the task `{}` gets the name of the queue", run.value);
            let help = "add `overrides: { container_overrides: [{ name: CONTAINER }] }` to the task, or set the queue \
                        in the image";
            self.problems.push(Diagnostic::warning(run.span, message).help(help));
        }
        if task.retry.is_some() || task.timeout.is_some() {
            let message = format!("`retry` and `timeout` of the task `{}` have no effect on workers", run.value);
            let help = "run a task without them: if a worker fails, its messages become visible again";
            self.problems.push(Diagnostic::warning(run.span, message).help(help));
        }
        Some(position)
    }

    /// Reports what a worker shares with other workers and with routes: its name, its service or its queues.
    fn beside(&mut self, worker: &Worker, others: &[Worker], routes: &[Route]) {
        if others.iter().any(|other| other.name == worker.name) {
            let problem = Diagnostic::error(worker.span, format!("duplicate worker name `{}`", worker.name));
            self.problems.push(problem.help("give each entry a unique `name`"));
        }
        let is_service = matches!(worker.runs_as, RunsAs::Service { .. });
        if is_service && others.iter().any(|other| other.runs_as == worker.runs_as) {
            let problem = Diagnostic::error(worker.span, "duplicate workers for the same service");
            self.problems.push(problem.help("list all of its queues in one entry: `queue: [one, another]`"));
        }
        for queue in &worker.queues {
            let is_shared = routes.iter().filter_map(Route::queue).any(|of_route| of_route.is(queue));
            let is_of_others = others.iter().flat_map(|other| &other.queues).any(|other| other.is(queue));
            if is_shared || is_of_others {
                let who = if is_shared { "a route also takes" } else { "other workers also take" };
                let message = format!("{who} messages of the queue `{}`", queue.name);
                let help = "give each its own queue: otherwise each message goes to whichever receives it first";
                self.problems.push(Diagnostic::warning(worker.span, message).help(help));
            }
        }
    }

    fn policy(&mut self, config: &Spanned<ScalingConfig>, runs_as: &RunsAs, tasks: &[Task]) -> Option<ScalingPolicy> {
        let mode = match runs_as {
            RunsAs::Service { .. } => Mode::Service,
            RunsAs::Task(_) => Mode::RunTask,
        };
        let of_other_mode = match mode {
            Mode::Service => [("idle_exit", config.idle_exit.as_ref(), "run"), ("", None, "")],
            Mode::RunTask => [
                ("scale_in_hold", config.scale_in_hold.as_ref(), "service"),
                ("scale_in_every", config.scale_in_every.as_ref(), "service"),
            ],
        };
        for (key, setting, mode) in of_other_mode {
            if let Some(setting) = setting {
                let problem = Diagnostic::error(setting.span, format!("`{key}` is only valid with `{mode}`"));
                self.problems.push(problem.help(format!("remove `{key}`")));
            }
        }
        let min = config.min.as_ref().map_or(0, |min| min.value);
        let bounds = self.bounds(min, &config.max, config.min.as_ref().map_or(config.max.span, |min| min.span));
        if let Some(min) = config.min.as_ref().filter(|min| mode == Mode::RunTask && min.value > 0) {
            let message = "workers of `run` end when idle, so a `min` above 0 starts them again and again";
            let help = "write `min: 0`, or use a `service` for workers that always run";
            self.problems.push(Diagnostic::warning(min.span, message).help(help));
        }
        if let Some(stability) = config.stability.as_ref().filter(|stability| stability.value > workers::STABILITY_MAX)
        {
            let problem =
                Diagnostic::error(stability.span, format!("`stability` must be at most {}", workers::STABILITY_MAX));
            self.problems.push(problem.help("write a number of standard deviations, for example 2"));
        }
        let tick = self.at_least_a_second("tick", config.tick.as_ref(), workers::TICK.0);
        if tick > Duration::from_secs(60) {
            let problem = Diagnostic::error(
                config.tick.as_ref().map_or(config.span, |tick| tick.span),
                "`tick` must be at most 60s",
            );
            self.problems.push(problem.help("write 1s to 60s, for example `10s`"));
        }
        let rule = self.rule(config)?;
        let guess = match &rule {
            ScalingRule::Latency(rule) => (rule.acceptable_latency.as_secs_f64() / 4.0).clamp(1.0, 60.0),
            ScalingRule::Target(_) | ScalingRule::Step(_) => 1.0,
        };
        let concurrency = config.concurrency.as_ref().map_or(workers::CONCURRENCY, |concurrency| concurrency.value);
        if let Some(odd) = config
            .concurrency
            .as_ref()
            .filter(|concurrency| !(1..=workers::CONCURRENCY_MAX).contains(&concurrency.value))
        {
            let message = format!("`concurrency` must be 1 to {}", workers::CONCURRENCY_MAX);
            self.problems.push(Diagnostic::error(odd.span, message).help("write a number in that range"));
        }
        let msg_processing_time = match &config.msg_processing_time {
            Some(time) if time.value.0 < Duration::from_millis(1) => {
                let problem = Diagnostic::error(time.span, "`msg_processing_time` must be at least 1ms");
                self.problems.push(problem.help("write for example `5s`, or remove the key"));
                return None;
            }
            Some(time) => ServiceTimePrior { seconds: time.value.0.as_secs_f64(), messages: CONFIGURED_MESSAGES },
            None => ServiceTimePrior { seconds: guess, messages: GUESSED_MESSAGES },
        };
        let on_fargate = match runs_as {
            RunsAs::Service { .. } => OnFargate::Unknown,
            RunsAs::Task(task) => tasks.get(*task).map_or(OnFargate::Unknown, |task| task.fixed.on_fargate()),
        };
        // Tasks start more slowly on Fargate. If the capacity is unknown, the longer delay is the safe assumption.
        let learned = match on_fargate {
            OnFargate::Yes | OnFargate::Unknown => StartDelay::FARGATE,
            OnFargate::No => StartDelay::EC2,
        };
        let start_delay = match &config.start_delay {
            Some(delay) => StartDelay::Fixed(delay.value.0.as_secs_f64()),
            None => StartDelay::Learned(learned),
        };
        let schedules = config.schedules.iter().flatten();
        let schedules = schedules.filter_map(|schedule| self.capacity_schedule(schedule, bounds)).collect();
        let paused = config.paused.unwrap_or(false);
        Some(ScalingPolicy {
            mode,
            bounds,
            schedules,
            concurrency,
            paused,
            tick,
            rule,
            msg_processing_time,
            start_delay,
        })
    }

    fn bounds(&mut self, min: u32, max: &Spanned<u32>, span_of_min: Span) -> Bounds {
        if max.value == 0 {
            let problem = Diagnostic::error(max.span, "`max` must be at least 1");
            self.problems.push(problem.help("write a number from 1; to stop scaling, write `paused: true`"));
        } else if min > max.value {
            let problem = Diagnostic::error(span_of_min, format!("`min` is {min}, but `max` is {}", max.value));
            self.problems.push(problem.help("write a `min` that is at most `max`"));
        }
        Bounds { min, max: max.value }
    }

    fn at_least_a_second(
        &mut self,
        key: &str,
        setting: Option<&Spanned<text::Duration>>,
        default: Duration,
    ) -> Duration {
        let Some(setting) = setting else { return default };
        if setting.value.0 < Duration::from_secs(1) {
            let problem = Diagnostic::error(setting.span, format!("`{key}` must be at least 1s"));
            self.problems.push(problem.help("write for example `10s`"));
        }
        setting.value.0
    }

    fn rule(&mut self, config: &Spanned<ScalingConfig>) -> Option<ScalingRule> {
        let hold = |default| config.scale_in_hold.as_ref().map_or(default, |hold| hold.value.0);
        match (&config.acceptable_latency, &config.target, &config.step) {
            (latency @ Some(_), None, None) => Some(ScalingRule::Latency(LatencyRule {
                acceptable_latency: self.at_least_a_second("acceptable_latency", latency.as_ref(), workers::TICK.0),
                scale_in_hold: hold(workers::SCALE_IN_HOLD.0),
                scale_in_every: config.scale_in_every.as_ref().map_or(workers::SCALE_IN_EVERY.0, |every| every.value.0),
                stability: f64::from(config.stability.as_ref().map_or(workers::STABILITY, |stability| stability.value)),
            })),
            (None, Some(target), None) => {
                let backlog_per_task = target.backlog_per_task.value;
                if backlog_per_task == 0 {
                    let problem =
                        Diagnostic::error(target.backlog_per_task.span, "`backlog_per_task` must be at least 1");
                    self.problems.push(problem.help("write a number from 1"));
                }
                Some(ScalingRule::Target(TargetRule {
                    backlog_per_task,
                    scale_in_hold: hold(workers::TARGET_SCALE_IN_HOLD.0),
                }))
            }
            (None, None, Some(step)) => Some(ScalingRule::Step(self.steps(step))),
            _ => {
                if self.is_read_whole(config.span) {
                    let problem = Diagnostic::error(
                        config.span,
                        "`scaling` needs exactly one of `acceptable_latency`, `target` and `step`",
                    );
                    self.problems.push(problem.help("write for example `acceptable_latency: 60s`"));
                }
                None
            }
        }
    }

    fn steps(&mut self, config: &StepConfig) -> StepRule {
        if config.adjustments.is_empty() {
            let problem = Diagnostic::error(config.adjustments.span, "`adjustments` is empty");
            self.problems.push(problem.help("add at least one, for example `{ lower: 100, change: 1 }`"));
        }
        for step in &config.adjustments.value {
            let (message, help) = match (step.lower, step.upper, step.change.value) {
                (_, _, 0) => (
                    "`change: 0` changes nothing",
                    "write the number of workers to add, or a negative number to remove workers",
                ),
                (None, None, _) => ("this adjustment always applies", "add `lower`, `upper` or both"),
                (Some(lower), Some(upper), _) if lower > upper => {
                    ("this adjustment never applies", "write a `lower` that is at most `upper`")
                }
                _ => continue,
            };
            self.problems.push(Diagnostic::error(step.span, message).help(help));
        }
        let adjustment = |step: &Spanned<_>| {
            let step: &crate::config::workers::StepAdjustmentConfig = &step.value;
            let (lower, upper) = (step.lower.map(u64::from), step.upper.map(u64::from));
            StepAdjustment { lower, upper, change: step.change.value }
        };
        StepRule {
            adjustments: config.adjustments.iter().map(adjustment).collect(),
            cooldown: config.cooldown.as_ref().map_or(workers::COOLDOWN.0, |cooldown| cooldown.value.0),
        }
    }

    fn capacity_schedule(
        &mut self,
        config: &Spanned<CapacityScheduleConfig>,
        bounds: Bounds,
    ) -> Option<CapacitySchedule> {
        let timezone = self.timezone(config.timezone.as_ref());
        let text = &config.cron;
        let parsed = match text.contains('(') {
            true => ScheduleExpression::parse(text),
            false => ScheduleExpression::parse_cron_fields(text),
        };
        let expression = self.expression(text, parsed);
        let (min, max) = (config.min.as_ref().map(|min| min.value), config.max.as_ref().map(|max| max.value));
        if min.is_none() && max.is_none() && self.is_read_whole(config.span) {
            let problem = Diagnostic::error(config.span, "this schedule sets neither `min` nor `max`");
            self.problems.push(problem.help("add `min`, `max` or both"));
        }
        if max == Some(0) {
            let problem = Diagnostic::error(config.span, "`max` must be at least 1");
            self.problems.push(problem.help("write a `max` of at least 1"));
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let problem = Diagnostic::error(config.span, format!("`min` is {min}, but `max` is {max}"));
            self.problems.push(problem.help("write a `min` that is at most `max`"));
        } else if let Some(min) = min.filter(|min| max.is_none() && *min > bounds.max) {
            let problem = Diagnostic::error(config.span, format!("`min` is {min}, but `max` is {}", bounds.max));
            self.problems.push(problem.help("add a `max` to this schedule"));
        }
        let schedule = Schedule {
            expression: expression?,
            text: text.value.clone(),
            timezone: timezone?,
            start: None,
            end: None,
            flexible_window_minutes: None,
            enabled: true,
            input: None,
            catch_up: None,
        };
        if schedule.next_after(Timestamp::MIN, Timestamp::UNIX_EPOCH).is_none() {
            let problem = Diagnostic::error(text.span, "this schedule never fires");
            self.problems.push(problem.help("write a time that exists in its time zone"));
        }
        Some(CapacitySchedule { schedule, lasts: config.r#for.as_ref().map(|lasts| lasts.value.0), min, max })
    }
}
