//! The Lambda functions, and which of them a config needs.

use serde_json::Value;
use trigger_core::routing::{EventSource, RoutingConfig, Task};

use crate::template::sub;

/// A Lambda function of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// EventBridge's events start their tasks.
    EventTrigger,
    /// Schedules start their tasks.
    ScheduleTrigger,
    /// Messages start their tasks.
    SqsTrigger,
    /// What comes after a launch.
    TaskLifecycle,
    /// Queues decide how many workers run.
    QueueScaler,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EventTrigger, Self::ScheduleTrigger, Self::SqsTrigger, Self::TaskLifecycle, Self::QueueScaler];

    /// Its name: that of its binary, and of the function behind the stack's name and `-`.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventTrigger => "event-trigger",
            Self::ScheduleTrigger => "schedule-trigger",
            Self::SqsTrigger => "sqs-trigger",
            Self::TaskLifecycle => "task-lifecycle",
            Self::QueueScaler => "queue-scaler",
        }
    }

    /// The logical id of the function, with which those of its role and log group begin.
    pub fn id(self) -> &'static str {
        match self {
            Self::EventTrigger => "EventTrigger",
            Self::ScheduleTrigger => "ScheduleTrigger",
            Self::SqsTrigger => "SqsTrigger",
            Self::TaskLifecycle => "TaskLifecycle",
            Self::QueueScaler => "QueueScaler",
        }
    }

    /// The parameter with the key of its code in the bucket.
    pub fn code_parameter(self) -> String {
        format!("{}Code", self.id())
    }

    /// The parameter with the ARNs of the roles of what it starts.
    pub fn roles_parameter(self) -> String {
        format!("{}TaskRoles", self.id())
    }

    /// The condition that there are any.
    pub(crate) fn has_roles(self) -> String {
        format!("Has{}", self.roles_parameter())
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::EventTrigger => "An EventBridge event starts its tasks",
            Self::ScheduleTrigger => "A schedule that fires starts its tasks",
            Self::SqsTrigger => "Messages of SQS queues start their tasks",
            Self::TaskLifecycle => "Tasks that stop are recorded, and what is due is looked at",
            Self::QueueScaler => "Each queue decides how many of its workers run",
        }
    }

    /// The name of the deployed function.
    pub(crate) fn deployed_name(self) -> Value {
        sub(format!("${{AWS::StackName}}-{}", self.name()))
    }

    /// Its memory in MiB. The scaler, which mostly waits, has the least.
    pub(crate) fn memory(self, config: &RoutingConfig) -> u32 {
        match self {
            Self::QueueScaler => 128,
            _ => config.stack.memory.as_ref().map_or(256, |memory| memory.value),
        }
    }

    /// Whether it is invoked asynchronously, so that Lambda itself tries it again.
    pub(crate) fn is_asynchronous(self) -> bool {
        self != Self::SqsTrigger
    }

    /// The tasks that it may start.
    pub fn tasks(self, config: &RoutingConfig) -> Vec<&Task> {
        let of_routes = |fits: fn(&EventSource) -> bool| {
            let routes = config.routes.iter().filter(|route| fits(&route.on));
            routes.flat_map(|route| config.tasks(route)).collect()
        };
        match self {
            Self::EventTrigger => of_routes(|on| matches!(on, EventSource::Events(_))),
            Self::ScheduleTrigger => of_routes(|on| matches!(on, EventSource::Schedule(_))),
            Self::SqsTrigger => of_routes(|on| matches!(on, EventSource::Queue(_))),
            Self::TaskLifecycle => of_routes(|_| true),
            Self::QueueScaler => config.workers.iter().filter_map(|worker| config.task_of_worker(worker)).collect(),
        }
    }
}

/// The functions that a config needs.
pub fn functions(config: &RoutingConfig) -> Vec<Function> {
    let is_needed = |function: &Function| match function {
        // Also without a route: launches of former ones may still be open.
        Function::TaskLifecycle => config.ledger().is_some(),
        Function::QueueScaler => !config.workers.is_empty(),
        function => !function.tasks(config).is_empty(),
    };
    Function::ALL.into_iter().filter(is_needed).collect()
}
