//! The environment variables that ecs-trigger defines: the contract between the stack, the functions and the containers.

/// The prefix of every variable that ecs-trigger defines. The config cannot set a variable with this prefix.
pub const RESERVED_PREFIX: &str = "ECS_TRIGGER_";

/// Functions: where the routing config is, `s3://BUCKET/KEY` or `file:///PATH`.
pub const CONFIG: &str = "ECS_TRIGGER_CONFIG";
/// Functions: the age in seconds at which the config is checked for a new version.
pub const CONFIG_MAX_AGE: &str = "ECS_TRIGGER_CONFIG_MAX_AGE";
/// Functions: the URL of the dead-letter queue.
pub const DEAD_LETTER_QUEUE: &str = "ECS_TRIGGER_DEAD_LETTER_QUEUE";
/// Functions: the name of the stack, which is a dimension of every metric.
pub const STACK: &str = "ECS_TRIGGER_STACK";

/// Containers: the name of the route that launched the task.
pub const ROUTE: &str = "ECS_TRIGGER_ROUTE";
/// Containers: the id of the event that launched the task.
pub const EVENT_ID: &str = "ECS_TRIGGER_EVENT_ID";
/// Containers: the number of the attempt, from 0.
pub const ATTEMPT: &str = "ECS_TRIGGER_ATTEMPT";
/// Containers: the position of the element that the task is for, in a route with `for_each`.
pub const INDEX: &str = "ECS_TRIGGER_INDEX";
/// Containers: the URI of the event, if the event does not fit into the overrides.
pub const EVENT_URI: &str = "ECS_TRIGGER_EVENT_URI";

/// Worker containers: the name of the worker.
pub const WORKER: &str = "ECS_TRIGGER_WORKER";
/// Worker containers: the names or ARNs of the queues, separated by commas.
pub const QUEUE: &str = "ECS_TRIGGER_QUEUE";
/// Worker containers: the seconds without a message after which the worker exits.
pub const IDLE_EXIT: &str = "ECS_TRIGGER_IDLE_EXIT";
/// Worker containers: the number of messages that one worker processes at once.
pub const CONCURRENCY: &str = "ECS_TRIGGER_CONCURRENCY";
