//! `workers`: which queues have workers, and how many workers run.

use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, OneOrMany};

/// What applies where the config does not say: the schema shows these defaults, and loading uses them.
pub(crate) const TICK: Duration = Duration::from_secs(5);
pub(crate) const IDLE_EXIT: Duration = Duration::from_secs(5);
pub(crate) const SCALE_IN_HOLD: Duration = Duration::from_secs(5);
pub(crate) const TARGET_SCALE_IN_HOLD: Duration = Duration::from_secs(300);
pub(crate) const SCALE_IN_EVERY: Duration = Duration::from_secs(60);
pub(crate) const COOLDOWN: Duration = Duration::from_secs(60);
pub(crate) const CONCURRENCY: u32 = 1;
pub(crate) const CONCURRENCY_MAX: u32 = 1000;
pub(crate) const STABILITY: u32 = 2;
pub(crate) const STABILITY_MAX: u32 = 10;

record! {
    /// The workers of a queue: tasks of an ECS service, or tasks that are started one by one, which receive messages
    /// themselves. The queue sets how many run.
    #[schemars(extend("oneOf" = [{ "required": ["service"] }, { "required": ["run"] }]))]
    pub struct WorkerConfig ("a mapping with `queue`, `scaling`, and `service` or `run`")
        near [
            ["min", "max", "acceptable_latency", "msg_processing_time", "concurrency", "target", "step", "schedules",
             "idle_exit", "scale_in_hold", "paused", "tick", "start_delay", "stability", "scale_in_every"]:
                "`scaling`", "scaling: { KEY }";
        ]
    {
        /// The name of the workers in commands, logs and metrics: 1 to 64 letters, digits, `-` and `_`. Default: the
        /// name of the service or task.
        #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"), example = &"image-worker")]
        pub name: Option<Spanned<String>>,
        /// The name, ARN or URL of the queue, or a list of several, whose messages are added up.
        #[schemars(example = &"images")]
        pub queue: OneOrMany<Spanned<String>>,
        /// Mode `service`: the name or ARN of the ECS service whose desired count is set. ECS can stop these workers at
        /// any scale-in, so they must protect themselves while they work, as `worker-shim` does.
        pub service: Option<Spanned<String>>,
        /// Mode `service`: the cluster of the service. Default: the cluster of `defaults`, or the cluster `default`.
        pub cluster: Option<Spanned<String>>,
        /// Mode `run_task`: the name of the task under `tasks` that is started for each missing worker. These workers
        /// must end by themselves after a while without a message, as `worker-shim` does.
        pub run: Option<Spanned<String>>,
        /// How many workers run.
        pub scaling: Spanned<ScalingConfig>,
    }
}

record! {
    /// How many workers run: between `min` and `max`, by exactly one of `acceptable_latency`, `target` and `step`.
    #[schemars(extend("oneOf" = [
        { "required": ["acceptable_latency"] }, { "required": ["target"] }, { "required": ["step"] },
    ]))]
    pub struct ScalingConfig ("a mapping with `max` and `acceptable_latency`") {
        /// The minimum number of workers, also while the queue is empty. For `service` only, as workers of `run` end
        /// when they are idle. More workers cost more, but need no time to start.
        #[schemars(extend("default" = 0))]
        pub min: Option<Spanned<u32>>,
        /// The maximum number of workers, at least 1. It bounds the cost.
        #[schemars(range(min = 1))]
        pub max: Spanned<u32>,
        /// How long a message may wait, at least 1s. A shorter time costs more. If it is below 2 × (start delay +
        /// tick), only workers that already run can keep it: set `min`.
        #[schemars(example = &"60s")]
        pub acceptable_latency: Option<Spanned<Duration>>,
        /// How long a worker processes one message, as a starting value: the real time is learned from the queue's
        /// metrics. Default: a quarter of `acceptable_latency`, but 1s to 60s; with `target` or `step` 1s.
        #[schemars(example = &"5s")]
        pub msg_processing_time: Option<Spanned<Duration>>,
        /// How many messages one worker processes at once, 1 to 1000.
        #[schemars(range(min = 1, max = CONCURRENCY_MAX), extend("default" = CONCURRENCY))]
        pub concurrency: Option<Spanned<u32>>,
        /// Instead of `acceptable_latency`: one worker for a fixed number of visible messages.
        pub target: Option<Spanned<TargetConfig>>,
        /// Instead of `acceptable_latency`: adds or removes workers by the number of visible messages.
        pub step: Option<Spanned<StepConfig>>,
        /// Other values of `min` and `max` by time of day. Those of the schedule that fired last apply.
        pub schedules: Option<Vec<Spanned<CapacityScheduleConfig>>>,
        /// Mode `run_task`: how long a worker waits for a message before it ends, at least 1s. Every start of a task
        /// costs time and money, so use a longer time for a large image. Workers get the value, in seconds, as
        /// `ECS_TRIGGER_IDLE_EXIT`.
        #[schemars(extend("default" = IDLE_EXIT.to_string()))]
        pub idle_exit: Option<Spanned<Duration>>,
        /// Mode `service`: for how long fewer workers must have been enough before any is removed. Not used with
        /// `step`. Default: 5s; with `target`, 300s.
        #[schemars(extend("default" = SCALE_IN_HOLD.to_string()))]
        pub scale_in_hold: Option<Spanned<Duration>>,
        /// Whether scaling is paused: the number of workers is not changed, whatever the queue holds. Default: false.
        pub paused: Option<bool>,
        /// Advanced: how often the scaler decides, 1s to 60s. It measures the load over the last 6 and 30 ticks, so a
        /// shorter tick reacts faster and changes the number more often.
        #[schemars(extend("default" = TICK.to_string()))]
        pub tick: Option<Spanned<Duration>>,
        /// Advanced: how long a task takes to start. Default: learned from the last 20 tasks; before that, 10s on
        /// container instances, and 45s on Fargate or if the capacity is not known.
        pub start_delay: Option<Spanned<Duration>>,
        /// Advanced, with `acceptable_latency`: how many standard deviations of the load are kept as spare workers, 0
        /// to 10. A higher value changes the number less often and costs more.
        #[schemars(range(max = STABILITY_MAX), extend("default" = STABILITY))]
        pub stability: Option<Spanned<u32>>,
        /// Advanced, mode `service`, with `acceptable_latency`: the minimum time between two scale-ins. A scale-in to
        /// half or less does not wait.
        #[schemars(extend("default" = SCALE_IN_EVERY.to_string()))]
        pub scale_in_every: Option<Spanned<Duration>>,
    }
}

record! {
    /// One worker for a fixed number of visible messages.
    pub struct TargetConfig ("a mapping with `backlog_per_task`") {
        /// The number of visible messages for each worker, at least 1: the acceptable latency divided by the time that
        /// one message takes.
        #[schemars(range(min = 1))]
        pub backlog_per_task: Spanned<u32>,
    }
}

record! {
    /// More or fewer workers, by the number of visible messages.
    pub struct StepConfig ("a mapping with `adjustments`") {
        /// The adjustments. If several match, the one that adds or removes most applies.
        #[schemars(length(min = 1))]
        pub adjustments: Spanned<Vec<Spanned<StepAdjustmentConfig>>>,
        /// The minimum time between two adjustments.
        #[schemars(extend("default" = COOLDOWN.to_string()))]
        pub cooldown: Option<Spanned<Duration>>,
    }
}

record! {
    /// A change of the number of workers, and when it applies. At least one of `lower` and `upper` is required.
    pub struct StepAdjustmentConfig ("a mapping with `change`, and `lower` or `upper`") {
        /// The lowest number of visible messages at which it applies. Default: no limit.
        pub lower: Option<u32>,
        /// The highest number of visible messages at which it applies. Default: no limit.
        pub upper: Option<u32>,
        /// How many workers to add or, if negative, to remove. Workers are removed in mode `service` only.
        pub change: Spanned<i32>,
    }
}

record! {
    /// Bounds that apply from each time at which the schedule fires. They apply until another schedule of the worker
    /// fires, or until `for` has passed.
    pub struct CapacityScheduleConfig ("a mapping with `cron`, and `min` or `max`") {
        /// When the bounds begin to apply: `cron(0 8 ? * MON-FRI *)` (minutes, hours, day-of-month, month, day-of-week,
        /// year), or the six fields alone.
        #[schemars(example = &"cron(0 8 ? * MON-FRI *)")]
        pub cron: Spanned<String>,
        /// The IANA name of the time zone of the schedule's times.
        #[schemars(example = &"Europe/Berlin", extend("default" = "UTC"))]
        pub timezone: Option<Spanned<String>>,
        /// How long the bounds apply. Default: until another schedule of the worker fires.
        #[schemars(example = &"10h")]
        pub r#for as "for": Option<Spanned<Duration>>,
        /// The minimum number of workers. Default: that of `scaling`. At least one of `min` and `max` is required.
        pub min: Option<Spanned<u32>>,
        /// The maximum number of workers, at least 1. Default: that of `scaling`.
        pub max: Option<Spanned<u32>>,
    }
}
