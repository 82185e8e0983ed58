//! The metrics that the functions write and the stack's alarms watch.

/// The namespace of the metrics in CloudWatch.
pub const NAMESPACE: &str = "ecs-trigger";
/// The dimension with the stack's name, which every metric has.
pub const STACK: &str = "Stack";
/// The dimension with a route's name.
pub const ROUTE: &str = "Route";
/// The dimension with a worker's name.
pub const WORKER: &str = "Worker";
/// The dimension with the class of a failure's reason.
pub const REASON: &str = "Reason";

macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $metric:ident,)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])* $metric,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$metric),*];

            /// Returns the metric's name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Self::$metric => stringify!($metric),)* }
            }

            /// Returns the metric's meaning and its dimensions, in words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$metric => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

metrics! {
    /// Launches that started their tasks. By stack, and by stack and route.
    Launched,
    /// Launches that an earlier delivery of the event had already made. By stack, and by stack and route.
    Duplicate,
    /// Launches that are in the ledger and continue later. By stack, and by stack and route.
    Deferred,
    /// Launches and events that failed: the event is dead-lettered, or delivered again. By stack, by stack and route,
    /// and by stack and reason.
    Failed,
    /// Events that went to the dead-letter queue. By stack, and by stack and route.
    DeadLettered,
    /// Dead letters that the queue did not take. By stack.
    DeadLettersUnsent,
    /// The time from the event to the launch of its tasks. By stack, and by stack and route.
    LaunchLatency,
    /// How many more tasks the route's `concurrency` allows; with a `key`, for the key that was used last. By stack,
    /// and by stack and route.
    SlotsOpen,
    /// New versions of the config that have errors. By stack.
    ConfigRefused,
    /// Failed attempts to read the config. By stack.
    ConfigUnreadable,
    /// Messages that can be received. By stack, and by stack and worker.
    MessagesVisible,
    /// Messages that were received and not deleted. By stack, and by stack and worker.
    MessagesInFlight,
    /// Messages that were received and that no worker has: they wait for a retry, or their worker was lost. Many of them for
    /// a long time are messages that always fail. By stack, and by stack and worker.
    MessagesLeftAlone,
    /// Workers that run. By stack, and by stack and worker.
    WorkersRunning,
    /// The desired number of workers. By stack, and by stack and worker.
    WorkersDesired,
    /// 1 if the scaler does not change the number of workers because it cannot read something, because more workers would
    /// not help, or because busy workers are not protected from scale-in; otherwise 0. By stack, and by stack and worker.
    WorkersHeldBack,
    /// Failed reads of a queue or its workers, and failed changes of the workers. By stack, and by stack and worker.
    WorkersUnseen,
}

impl Metric {
    /// Returns the metric's unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self {
            Self::LaunchLatency => "Milliseconds",
            _ => "Count",
        }
    }
}
