//! Generates the CloudFormation templates from the routing config. Pure: it calls no AWS API.
//!
//! - [`template`](Template), `names` - build a CloudFormation template, and name everything in it;
//! - [`body`](Body), `references` - say what is sent to CloudFormation, and find what a template's values refer to;
//! - [`function`](Function), [`policy`] - decide which functions a config needs, and what each of them may do;
//! - `functions`, `roles`, `rules`, `schedules`, `queues`, `observability` - add their own resources to a template;
//! - `storage` - the template of the bucket and the table, which outlive the stack;
//! - `settings` - applies what holds for every resource of a type;
//! - [`stack`](stack()) assembles them;
//! - [`usage`](usage()) - counts what a stack uses of AWS's limits;
//! - `owner` - says in the template which config the stack belongs to;
//! - `compare` - finds how a template differs from the deployed one, and the steps from one to the other;
//! - [`check`](check()) - finds what AWS would refuse.

mod body;
mod check;
mod compare;
mod function;
mod functions;
mod names;
mod observability;
mod owner;
pub mod policy;
mod queues;
mod references;
mod roles;
mod rules;
mod schedules;
mod settings;
mod stack;
mod storage;
mod template;
mod usage;

pub use body::{Body, Parameters};
pub use check::{Finding, Limit, Measure, Problem, check, measures};
pub use compare::{
    Action, CODE_HASH, Change, Detail, Drift, NOTHING, Permission, Place, Step, changes, drift, permissions, steps,
};
pub use function::{Function, functions};
pub use names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, CONFIG_FILE, code_key, config_key};
pub use owner::Owner;
pub use policy::{OfAccount, TaskRoles, endpoints};
pub use queues::WORK_QUEUES;
pub use rules::{Rule, rules};
pub use schedules::{
    DeadLetterConfig, FlexibleTimeWindow, RetryPolicy, Schedule, Target, has_schedules, schedules, without_past,
};
pub use settings::{KeyUse, key_users};
pub use stack::{stack, stack_of_account, storage};
pub use storage::{BUCKET_OUTPUT, DEAD_LETTERS_OUTPUT, TABLE_OUTPUT, keep_table};
pub use template::{Template, tags};
pub use usage::{Usage, usage};
