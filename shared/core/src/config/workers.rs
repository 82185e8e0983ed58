//! Which queues have workers of their own, and how many.

use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, OneOrMany};

record! {
    /// The workers of a queue: tasks of a service, or tasks started one by one, that receive its messages themselves. How many
    /// there are follows from what the queue holds.
    #[schemars(extend("oneOf" = [{ "required": ["service"] }, { "required": ["run"] }]))]
    pub struct WorkerConfig ("a mapping with `queue`, `scaling`, and `service` or `run`") {
        /// The name by which commands and logs know it: letters, digits, `-` and `_`, at most 64. Default: the name of the service,
        /// or of the task.
        #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"), example = &"image-worker")]
        pub name: Option<Spanned<String>>,
        /// The name, ARN or URL of the queue, or a list of several: then their messages are added up.
        #[schemars(example = &"images")]
        pub queue: OneOrMany<Spanned<String>>,
        /// Mode `service`: the name or ARN of the ECS service whose desired count is set. Workers of a service run until ECS stops
        /// them, so that they have to protect themselves while they work: `worker-shim` does.
        pub service: Option<Spanned<String>>,
        /// The cluster of the service. Default: that of `defaults`, or the cluster `default`.
        pub cluster: Option<Spanned<String>>,
        /// Mode `run_task`: the name of the task under `tasks` that is started for each worker that is missing. These workers have
        /// to end by themselves when they find no message for a while: `worker-shim` does.
        pub run: Option<Spanned<String>>,
        /// How many workers there are.
        pub scaling: Spanned<ScalingConfig>,
    }
}

record! {
    /// How many workers there are: between `min` and `max`, by exactly one of `acceptable_latency`, `target` and `step`.
    #[schemars(extend("oneOf" = [
        { "required": ["acceptable_latency"] }, { "required": ["target"] }, { "required": ["step"] },
    ]))]
    pub struct ScalingConfig ("a mapping with `max` and `acceptable_latency`") {
        /// The least workers, however idle: for a `service`, as those of `run` end when they are idle. More cost more; those that are
        /// there need no time to start. Default: 0.
        #[schemars(extend("default" = 0))]
        pub min: Option<Spanned<u32>>,
        /// The most workers, however long the queue: what bounds the cost.
        #[schemars(range(min = 1))]
        pub max: Spanned<u32>,
        /// How long a message may wait. Shorter costs more; shorter than twice the time in which a task starts can only be kept by
        /// workers that are there already.
        #[schemars(example = &"60s")]
        pub acceptable_latency: Option<Spanned<Duration>>,
        /// How long a worker works on one message, as far as you know: it is learned from the queue's metrics. Default: a quarter of
        /// `acceptable_latency`, until it is learned.
        #[schemars(example = &"5s")]
        pub msg_processing_time: Option<Spanned<Duration>>,
        /// How many messages one worker works on at once. Default: 1.
        #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
        pub concurrency: Option<Spanned<u32>>,
        /// Instead of `acceptable_latency`: one worker for so many messages that wait.
        pub target: Option<Spanned<TargetConfig>>,
        /// Instead of `acceptable_latency`: more or fewer workers by how many messages wait.
        pub step: Option<Spanned<StepConfig>>,
        /// Other bounds by time of day: those of the schedule that fired last hold.
        pub schedules: Option<Vec<Spanned<CapacityScheduleConfig>>>,
        /// Mode `run_task`: after how long without a message a worker ends. Each start of a task has its price, so that an expensive
        /// image wants a longer time. Workers get it as `ECS_TRIGGER_IDLE_EXIT`. Default: 10s.
        #[schemars(extend("default" = "10s"))]
        pub idle_exit: Option<Spanned<Duration>>,
        /// Mode `service`: how long fewer workers must be enough before there are fewer. Default: 10s; 300s with `target`.
        #[schemars(extend("default" = "10s"))]
        pub scale_in_hold: Option<Spanned<Duration>>,
        /// Whether nothing is changed, whatever the queue holds. Default: false.
        pub paused: Option<bool>,
        /// Advanced: how often it is decided, 1 to 60 seconds. The load is seen over 6 and 30 ticks, so that a shorter one is quicker,
        /// and less calm. Default: 10s.
        #[schemars(extend("default" = "10s"))]
        pub tick: Option<Spanned<Duration>>,
        /// Advanced: how long a task takes to start. Default: learned from the last 20 tasks; until then 45s on Fargate and 10s on
        /// container instances.
        pub start_delay: Option<Spanned<Duration>>,
        /// Advanced: how many standard deviations of the load's noise are kept as a margin; more is calmer, and costs more. Default: 2.
        #[schemars(range(max = 10), extend("default" = 2))]
        pub stability: Option<Spanned<u32>>,
        /// Advanced, mode `service`: how long there is between two scale-ins, except to half or less. Default: 60s.
        #[schemars(extend("default" = "60s"))]
        pub scale_in_every: Option<Spanned<Duration>>,
    }
}

record! {
    /// One worker for so many messages that wait.
    pub struct TargetConfig ("a mapping with `backlog_per_task`") {
        /// Messages that wait for each worker: the acceptable latency divided by the time that one message takes.
        #[schemars(range(min = 1))]
        pub backlog_per_task: Spanned<u32>,
    }
}

record! {
    /// More or fewer workers by how many messages wait.
    pub struct StepConfig ("a mapping with `adjustments`") {
        /// The adjustments. Of those whose bounds hold, the one that changes most is made.
        #[schemars(length(min = 1))]
        pub adjustments: Spanned<Vec<Spanned<StepAdjustmentConfig>>>,
        /// How long there is between two adjustments. Default: 60s.
        #[schemars(extend("default" = "60s"))]
        pub cooldown: Option<Spanned<Duration>>,
    }
}

record! {
    /// A change of the number of workers, and when it is made.
    pub struct StepAdjustmentConfig ("a mapping with `change`, and `lower` or `upper`") {
        /// So many messages wait, or more.
        pub lower: Option<u32>,
        /// So many messages wait, or fewer.
        pub upper: Option<u32>,
        /// How many workers more, or if negative fewer.
        pub change: Spanned<i32>,
    }
}

record! {
    /// Bounds that hold from each time at which the schedule fires, until another schedule fires or, with `for`, for so long.
    pub struct CapacityScheduleConfig ("a mapping with `cron`, and `min` or `max`") {
        /// When they begin: `cron(0 8 ? * MON-FRI *)` (minutes, hours, day-of-month, month, day-of-week, year), or the six fields
        /// alone.
        #[schemars(example = &"cron(0 8 ? * MON-FRI *)")]
        pub cron: Spanned<String>,
        /// The IANA name of the time zone of the schedule's times. Default: UTC.
        #[schemars(example = &"Europe/Berlin", extend("default" = "UTC"))]
        pub timezone: Option<Spanned<String>>,
        /// How long they hold. Default: until another schedule of this worker fires.
        #[schemars(example = &"10h")]
        pub r#for as "for": Option<Spanned<Duration>>,
        /// The least workers.
        pub min: Option<Spanned<u32>>,
        /// The most workers.
        pub max: Option<Spanned<u32>>,
    }
}
