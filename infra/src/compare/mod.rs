//! Compares a template with the deployed one, and plans the steps from one to the other.

mod changes;
mod permissions;
mod steps;
mod variables;

pub use changes::{Action, Change, Detail, Parameters, changes};
pub use permissions::{Permission, permissions};
pub use steps::{Step, steps};
