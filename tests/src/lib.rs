//! Support for stories and histories.
//!
//! - [`harness`] - runs the real binaries against a real emulator of AWS;
//! - [`ecs`] - a model of ECS that refuses what AWS would refuse;
//! - [`histories`] - runs the engine against that model, through crashes, duplicates and lost replies;
//! - [`standin`] - stand-ins for AWS's services with stated latencies, which count what is asked of them.

pub mod ecs;
pub mod harness;
pub mod histories;
pub mod standin;

pub use harness::{
    Answer, Asked, Call, Cluster, Doomed, Emulator, Function, LaunchTable, Message, Passage, Proxy, Server,
    WithoutRate, binary, command, environment, invocation_headers, root, start_function, stripped,
};
