//! What runs a task's containers as processes.
//!
//! - [`process`] - a container as a process; [`supervise`] - what keeps a process from outliving its task;
//! - [`endpoint`] - SQS and the ECS agent, as workers talk to them.

pub mod endpoint;
pub mod process;
pub mod supervise;
