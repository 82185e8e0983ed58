//! A task's containers as processes.
//!
//! - [`process`] - a container as a process; [`supervise`] - keeps a process from outliving its task;
//! - [`endpoint`] - SQS and the ECS agent for tasks; `s3` - S3; [`reach`] - how tasks find them.

pub mod endpoint;
pub mod process;
pub mod reach;
mod s3;
pub mod supervise;
