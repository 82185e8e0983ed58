//! What is deployed, generated from the routing config. Pure: no AWS call.
//!
//! [`stack`] makes the template of everything that starts tasks: functions with a role each ([`policy`]), what invokes them ([`rules`],
//! [`schedules`], [`queues`]), and what watches them ([`observability`]); [`storage`] makes the template of the bucket that config, ledger
//! and functions' code lie in, which outlives the stack.

mod changes;
mod functions;
mod identifier;
mod observability;
mod permissions;
pub mod policy;
mod queues;
mod rules;
mod schedules;
mod stack;
mod storage;
mod template;

pub use changes::{Action, Change, Detail, Parameters, changes};
pub use functions::{Function, functions};
pub use permissions::{Permissions, permissions};
pub use rules::{Rule, rules};
pub use schedules::{DeadLetterConfig, FlexibleTimeWindow, RetryPolicy, Schedule, Target, schedules};
pub use stack::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, CONFIG_FILE, CONFIG_FOLDER, stack};
pub use storage::{BUCKET_OUTPUT, storage};
pub use template::Template;
