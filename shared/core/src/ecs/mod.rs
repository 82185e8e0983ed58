//! ECS as plain data: the RunTask request, AWS's limits on it, how a task stopped, and where its output is.

pub mod fargate;
pub mod limits;
pub mod logs;
mod stopped_task;
mod task_request;

pub use stopped_task::{ContainerExit, StoppedTask, UNOBSERVED};
pub use task_request::*;
