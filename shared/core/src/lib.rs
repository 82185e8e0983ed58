//! Every decision of ecs-trigger, without I/O.
//!
//! > An event is decoded into an `Event`, matched by the `RoutingConfig` to `Route`s, rendered into `TaskRequest`s, launched
//! > on ECS, and its outcome reported back to the source.
//!
//! In reading order:
//! - [`document`] - a JSON or YAML text as a tree with positions; [`diagnostic`] - what is wrong with it, and where;
//! - [`event`] - *decode*: from a delivered text to an [`event::Event`]; [`identity`] - which event it is at every delivery;
//! - [`config`] - the [`config::RoutingConfig`] and everything that is checked when it is loaded;
//! - [`schedule`] - when a schedule fires;
//! - [`pattern`] - *match*: EventBridge's event patterns; [`template`] - what a value of the config makes of an event;
//! - [`expectation`] - what the config's own tests expect, held against what is;
//! - [`batch`] - which messages of a batch may go on at once;
//! - [`plan`] - *render*: all [`task_request::TaskRequest`]s of one event, within AWS's [`limits`].
//!
//! Nothing here awaits, reads a clock, an environment variable, a file or randomness: functions fail only because of their
//! input. *Launch* and *report* are `trigger-engine`'s.

pub mod config;
pub mod ecs;
pub mod environment;
pub mod event;
pub mod expectation;
#[cfg(test)]
mod fixtures;
pub mod launch;
pub mod load;
pub mod metrics;
pub mod pattern;
pub mod plan;
pub mod routing;
pub mod scaling;
pub mod schedule;
pub mod storage;
pub mod template;
pub mod text;
