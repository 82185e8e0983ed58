//! A task's containers as processes.
//!
//! - [`process`] - a container as a process; [`supervise`] - keeps a process from outliving its task;
//! - [`endpoint`] - SQS and the ECS agent for workers.

pub mod endpoint;
pub mod process;
pub mod supervise;
