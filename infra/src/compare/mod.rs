//! Compares a template with the deployed one, and plans the steps from one to the other.

mod changes;
mod drift;
mod permissions;
mod steps;
mod variables;

pub use changes::{Action, Change, Detail, changes};
pub use drift::{CODE_HASH, Drift, NOTHING, Place, drift};
pub use permissions::{Permission, permissions};
pub use steps::{Step, steps};
