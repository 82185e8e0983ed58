//! How a template differs from the one that is deployed.

mod changes;
mod permissions;

pub use changes::{Action, Change, Detail, Parameters, changes};
pub use permissions::{Permissions, permissions};
