//! The metrics that functions count and the stack watches.

/// Their namespace in CloudWatch.
pub const NAMESPACE: &str = "ecs-trigger";
/// The dimension with the stack's name, which every metric has.
pub const STACK: &str = "Stack";
/// The dimension with a route's name.
pub const ROUTE: &str = "Route";
/// The dimension with a worker's name.
pub const WORKER: &str = "Worker";
/// The dimension with the class of reason that something failed for.
pub const REASON: &str = "Reason";

macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident,)*) => {
        /// What is counted or measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $metric,)*
        }

        impl Metric {
            /// Its name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Self::$metric => stringify!($metric),)* }
            }
        }
    };
}

metrics! {
    /// A launch started its tasks. By stack and route.
    Launched,
    /// A launch had been made before: its event was delivered again. By stack and route.
    Duplicate,
    /// A launch is in the ledger and goes on later. By stack and route.
    Deferred,
    /// A launch, or an event, has failed: its event is dead-lettered, or delivered again. By stack, by stack and route, by stack and
    /// reason.
    Failed,
    /// An event went to the dead-letter queue. By stack and route.
    DeadLettered,
    /// From the event's time to its tasks' launch, in milliseconds. By stack and route.
    LaunchLatency,
    /// How many more tasks of a route's limit may start. By stack and route; where slots are counted by key, of the key that was taken
    /// last.
    SlotsOpen,
    /// A version of the config was refused. By stack.
    ConfigRefused,
    /// The config could not be looked after. By stack.
    ConfigUnreadable,
    /// Messages that wait. By stack and worker.
    MessagesVisible,
    /// Messages that are worked on. By stack and worker.
    MessagesInFlight,
    /// Workers that run. By stack and worker.
    WorkersRunning,
    /// Workers that there are to be. By stack and worker.
    WorkersDesired,
    /// Whether there are fewer workers than the load needs, and that should be looked at. By stack and worker.
    WorkersHeldBack,
    /// How often a queue or its workers could not be seen or changed. By stack, and by stack and worker.
    WorkersUnseen,
}

impl Metric {
    /// Its unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self {
            Self::LaunchLatency => "Milliseconds",
            _ => "Count",
        }
    }
}
