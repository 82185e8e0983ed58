//! Every decision of ecs-trigger, without I/O.
//!
//! > An event is decoded into an `Event`, matched by the `RoutingConfig` to `Route`s, rendered into `TaskRequest`s,
//! > launched on ECS, and its outcome is reported back to its source.
//!
//! The modules, in reading order:
//! - [`text`] parses JSON and YAML into trees with positions, and reports what is wrong in a text, and where;
//! - [`ecs`] describes ECS as plain data: RunTask's request, AWS's limits on it, and how a task stopped;
//! - [`event`] is *decode*: it turns a delivery into [`event::Event`]s, each with its identity;
//! - [`pattern`] evaluates EventBridge's event patterns;
//! - [`template`] renders config values from an event;
//! - [`schedule`] computes when a schedule fires;
//! - [`config`] defines the elements of the config file, as they are written;
//! - [`load`] checks these elements and builds the [`routing::RoutingConfig`] from them;
//! - [`routing`] is *match*: it holds the routes, tasks and workers, and finds the routes that take an event;
//! - [`plan`] is *render*: it makes all [`ecs::TaskRequest`]s of one event, within AWS's [`ecs::limits`];
//! - [`launch`] is *launch*: the state machine that starts the tasks of a request once;
//! - [`history`] asks which launches there were, and shows what became of them;
//! - [`status`] counts the launches of each route, and says what comes next;
//! - [`replay`] makes the events that objects and schedules would have had, and finds which of them ran;
//! - [`dead_letters`] says what dead letters are about, which belong together, and how each is delivered again;
//! - [`scaling`] decides how many workers the queues need;
//! - [`expectation`] compares what the config's own tests expect with what their events would start;
//! - [`storage`] defines the keys of everything that is stored, [`environment`] the environment variables, and
//!   [`metrics`] the metrics.
//!
//! Nothing here awaits, or reads a clock, an environment variable, a file or randomness: a function fails only because
//! of its input. `trigger-engine` does the I/O of *launch* and *report*.

pub mod config;
pub mod dead_letters;
pub mod ecs;
pub mod environment;
pub mod event;
pub mod expectation;
#[cfg(test)]
mod fixtures;
pub mod history;
pub mod launch;
pub mod load;
pub mod metrics;
pub mod pattern;
pub mod plan;
pub mod replay;
pub mod routing;
pub mod scaling;
pub mod schedule;
pub mod status;
pub mod storage;
pub mod template;
pub mod text;
