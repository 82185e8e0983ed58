//! What is deployed, generated from the routing config. Pure: no AWS call.

mod rules;
mod schedules;

pub use rules::{Rule, rules};
pub use schedules::{DeadLetterConfig, FlexibleTimeWindow, RetryPolicy, Schedule, Target, schedules};
