//! The engine's ports on AWS.
//!
//! - [`clients`] - how the functions reach AWS; [`EcsLauncher`] - the launcher port by RunTask;
//! - [`config_source`] - where the routing config is read from; [`telemetry`] - what a function logs.

pub mod clients;
pub mod config_source;
mod run_task;
pub mod telemetry;

pub use run_task::EcsLauncher;
