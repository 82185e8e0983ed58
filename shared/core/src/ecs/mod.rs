//! What ECS takes and tells: RunTask's request as plain data, AWS's limits on it, and how a task stopped.

pub mod fargate;
pub mod limits;
mod stopped_task;
mod task_request;

pub use stopped_task::{ContainerExit, StoppedTask};
pub use task_request::*;
