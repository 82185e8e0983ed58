//! The Lambda functions, and which of them a config needs.

use serde_json::Value;
use trigger_core::config::stack::{LogClass, StackConfig};
use trigger_core::event::SQS_TRIGGER_TIMEOUT_SECONDS;
use trigger_core::routing::{EventSource, RoutingConfig, Task};

use crate::template::sub;

/// One of the Lambda functions of ecs-trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Starts the tasks of EventBridge events.
    EventTrigger,
    /// Starts the tasks of schedules that fire.
    ScheduleTrigger,
    /// Starts the tasks of SQS messages.
    SqsTrigger,
    /// Records stopped tasks, and continues launches that are due.
    TaskLifecycle,
    /// Sets the number of each queue's workers.
    QueueScaler,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 5] =
        [Self::EventTrigger, Self::ScheduleTrigger, Self::SqsTrigger, Self::TaskLifecycle, Self::QueueScaler];

    /// Returns the name of the function's binary. The deployed function has the stack's name and `-` before it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventTrigger => "event-trigger",
            Self::ScheduleTrigger => "schedule-trigger",
            Self::SqsTrigger => "sqs-trigger",
            Self::TaskLifecycle => "task-lifecycle",
            Self::QueueScaler => "queue-scaler",
        }
    }

    /// Returns the function's logical id. The logical ids of its role and log group begin with it.
    pub fn id(self) -> &'static str {
        match self {
            Self::EventTrigger => "EventTrigger",
            Self::ScheduleTrigger => "ScheduleTrigger",
            Self::SqsTrigger => "SqsTrigger",
            Self::TaskLifecycle => "TaskLifecycle",
            Self::QueueScaler => "QueueScaler",
        }
    }

    /// Returns the name of the parameter that takes the key of the function's code in the bucket.
    pub fn code_parameter(self) -> String {
        format!("{}Code", self.id())
    }

    /// Returns the name of the parameter that takes the ARNs of the roles of the tasks that the function starts.
    pub fn roles_parameter(self) -> String {
        format!("{}TaskRoles", self.id())
    }

    /// Returns the name of the condition that the parameter with the roles is not empty.
    pub(crate) fn has_roles(self) -> String {
        format!("Has{}", self.roles_parameter())
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::EventTrigger => "Starts the tasks of EventBridge events",
            Self::ScheduleTrigger => "Starts the tasks of schedules that fire",
            Self::SqsTrigger => "Starts the tasks of SQS messages",
            Self::TaskLifecycle => "Records stopped tasks, and continues launches that are due",
            Self::QueueScaler => "Sets the number of workers by the depth of their queues",
        }
    }

    pub(crate) fn deployed_name(self) -> Value {
        sub(format!("${{AWS::StackName}}-{}", self.name()))
    }

    /// Returns the logical id of the function's log group, and its name after `/aws/lambda/` and the stack's name and `-`.
    ///
    /// The class of a log group cannot change, so each class has its own group.
    /// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html>
    pub(crate) fn log_group(self, stack: &StackConfig) -> (String, String) {
        match stack.log_class() {
            LogClass::Standard => (format!("{}Logs", self.id()), self.name().to_owned()),
            LogClass::InfrequentAccess => {
                (format!("{}InfrequentLogs", self.id()), format!("{}-infrequent", self.name()))
            }
        }
    }

    /// Returns the name of the function's log group.
    pub fn log_group_name(self, stack: &StackConfig) -> String {
        format!("/aws/lambda/{}-{}", stack.name(), self.log_group(stack).1)
    }

    /// Returns the function's memory in MiB. The scaler mostly waits, and gets the least.
    pub(crate) fn memory(self, config: &RoutingConfig) -> u32 {
        match self {
            Self::QueueScaler => 128,
            _ => config.stack.memory.as_ref().map_or(256, |memory| memory.value),
        }
    }

    /// Returns the seconds after which Lambda ends an invocation. The scaler runs until the next invocation takes over,
    /// which the schedule starts at most two minutes later.
    pub(crate) fn timeout_seconds(self) -> u32 {
        match self {
            Self::QueueScaler => 130,
            _ => SQS_TRIGGER_TIMEOUT_SECONDS,
        }
    }

    /// Returns whether the function is invoked asynchronously, which means that Lambda itself retries it.
    pub(crate) fn is_asynchronous(self) -> bool {
        self != Self::SqsTrigger
    }

    /// Returns whether the function records launches, if there is a ledger. The scaler's workers have no record.
    pub(crate) fn keeps_launches(self) -> bool {
        self != Self::QueueScaler
    }

    /// Returns the tasks that the function may start.
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

/// Returns the functions that a config needs.
pub fn functions(config: &RoutingConfig) -> Vec<Function> {
    let is_needed = |function: &Function| match function {
        // Even without a route: launches of removed routes may still be open.
        Function::TaskLifecycle => config.ledger().is_some(),
        Function::QueueScaler => !config.workers.is_empty(),
        function => !function.tasks(config).is_empty(),
    };
    Function::ALL.into_iter().filter(is_needed).collect()
}
