//! What stories and histories need.
//!
//! - [`harness`] - the real binaries against a real emulator of AWS;
//! - [`ecs`] - a model of ECS that checks what AWS would refuse;
//! - [`histories`] - the engine against that model, through crashes, duplicates and lost replies.

pub mod ecs;
pub mod harness;
pub mod histories;

pub use harness::{
    Answer, Asked, Cluster, Emulator, Function, Proxy, Server, binary, command, environment, root, stripped,
};
