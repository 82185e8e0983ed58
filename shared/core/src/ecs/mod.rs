//! ECS as plain data: the RunTask request, AWS's limits on it, and how a task stopped.

pub mod fargate;
pub mod limits;
mod stopped_task;
mod task_request;

pub use stopped_task::{ContainerExit, StoppedTask, UNOBSERVED};
pub use task_request::*;
