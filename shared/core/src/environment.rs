//! The environment variables that ecs-trigger defines: the contract between the stack, the functions and the containers.

/// The prefix of every variable that ecs-trigger defines. The config cannot set a variable with this prefix.
pub const RESERVED_PREFIX: &str = "ECS_TRIGGER_";

/// A variable, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// What the variable holds.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($(#[$doc:meta])* $list:ident { $($name:ident = $variable:literal, $meaning:literal;)* }) => {
        $(#[doc = $meaning] pub const $name: &str = $variable;)*

        $(#[$doc])*
        pub const $list: &[Variable] = &[$(Variable { name: $variable, meaning: $meaning }),*];
    };
}

variables! {
    /// The variables that the functions read.
    OF_FUNCTIONS {
        CONFIG = "ECS_TRIGGER_CONFIG", "Where the routing config is, `s3://BUCKET/KEY` or `file:///PATH`.";
        CONFIG_MAX_AGE = "ECS_TRIGGER_CONFIG_MAX_AGE", "The age in seconds at which the config is checked for a new version. Default: 30.";
        DEAD_LETTER_QUEUE = "ECS_TRIGGER_DEAD_LETTER_QUEUE", "The URL of the dead-letter queue.";
        STACK = "ECS_TRIGGER_STACK", "The name of the stack, which is a dimension of every metric.";
        TABLE = "ECS_TRIGGER_TABLE", "The name of the table that holds the launches.";
        WORK_QUEUE = "ECS_TRIGGER_WORK_QUEUE", "The URL of the queue with launches to continue.";
    }
}

variables! {
    /// The variables that the containers of a launch get: those that `container_overrides` names.
    OF_CONTAINERS {
        ROUTE = "ECS_TRIGGER_ROUTE", "The name of the route that launched the task.";
        EVENT_ID = "ECS_TRIGGER_EVENT_ID", "The id of the event that launched the task.";
        ATTEMPT = "ECS_TRIGGER_ATTEMPT", "The number of the attempt, from 0.";
        INDEX = "ECS_TRIGGER_INDEX", "The task's number, from 0, among those that `for_each` and `count` start.";
        COUNT = "ECS_TRIGGER_COUNT", "How many tasks `for_each` and `count` start.";
        EVENT_URI = "ECS_TRIGGER_EVENT_URI", "The URI of the event, if the event does not fit into the overrides.";
    }
}

variables! {
    /// The variables that the containers of a worker get in mode `run`.
    OF_WORKERS {
        WORKER = "ECS_TRIGGER_WORKER", "The name of the worker.";
        QUEUE = "ECS_TRIGGER_QUEUE", "The names or ARNs of the queues, separated by commas.";
        IDLE_EXIT = "ECS_TRIGGER_IDLE_EXIT", "The seconds without a message after which the worker exits.";
        CONCURRENCY = "ECS_TRIGGER_CONCURRENCY", "The number of messages that one worker processes at once.";
    }
}
