//! Compares a template with the deployed one.

mod changes;
mod permissions;

pub use changes::{Action, Change, Detail, Parameters, changes};
pub use permissions::{Permissions, permissions};
