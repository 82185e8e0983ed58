//! The engine's ports on AWS.
//!
//! - [`clients`] - how the functions reach AWS; [`EcsLauncher`] - the launcher port by RunTask; [`S3Payloads`] - the payloads
//!   port by S3;
//! - [`config_source`] - where the routing config is read from; [`ConfigCache`] - the version of it that is in force;
//! - [`Function`] - all of it together, as the functions use it; [`telemetry`] - what they log.

pub mod clients;
mod config_cache;
pub mod config_source;
mod function;
mod payloads;
mod run_task;
pub mod telemetry;

pub use config_cache::{ConfigCache, MAX_AGE_VARIABLE};
pub use function::Function;
pub use payloads::S3Payloads;
pub use run_task::EcsLauncher;
