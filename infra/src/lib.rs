//! Generates the CloudFormation templates from the routing config. Pure: it calls no AWS API.
//!
//! - [`template`](Template), `names` - build a CloudFormation template, and name everything in it;
//! - [`function`](Function), [`policy`] - decide which functions a config needs, and what each of them may do;
//! - `functions`, `roles`, `rules`, `schedules`, `queues`, `observability` - add their own resources to a template;
//! - [`stack`](stack()) assembles them; [`storage`](storage()) is the template of the bucket, which outlives the stack;
//! - `compare` - finds how a template differs from the deployed one.

mod compare;
mod function;
mod functions;
mod names;
mod observability;
pub mod policy;
mod queues;
mod roles;
mod rules;
mod schedules;
mod stack;
mod storage;
mod template;

pub use compare::{Action, Change, Detail, Parameters, Permissions, changes, permissions};
pub use function::{Function, functions};
pub use names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, CONFIG_FILE, CONFIG_FOLDER};
pub use rules::{Rule, rules};
pub use schedules::{DeadLetterConfig, FlexibleTimeWindow, RetryPolicy, Schedule, Target, schedules};
pub use stack::stack;
pub use storage::{BUCKET_OUTPUT, storage};
pub use template::Template;
