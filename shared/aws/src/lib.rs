//! The engine's ports on AWS.
//!
//! - [`clients`] - how the functions reach AWS; [`Aws`] - all ports: [`EcsLauncher`] by RunTask and its neighbours, [`S3Payloads`] and
//!   [`S3Ledger`] by S3, [`SqsDeadLetters`] by SQS;
//! - [`config_source`] - where the routing config is read from; [`ConfigCache`] - the version of it that is in force;
//! - [`SqsQueues`] and [`EcsWorkers`] - what scaling sees and changes; [`ScalerFunction`] - its function;
//! - [`Function`] - all of it together, as the functions use it; [`telemetry`] - what they log.

pub mod clients;
mod config_cache;
pub mod config_source;
mod dead_letters;
mod function;
mod ledger;
mod metrics;
mod payloads;
mod queues;
mod run_task;
mod scaler;
pub mod telemetry;
mod workers;
mod world;

pub use config_cache::{ConfigCache, MAX_AGE_VARIABLE};
pub use dead_letters::{DEAD_LETTER_QUEUE_VARIABLE, SqsDeadLetters};
pub use function::{Function, StartError};
pub use ledger::S3Ledger;
pub use payloads::S3Payloads;
pub use queues::SqsQueues;
pub use run_task::EcsLauncher;
pub use scaler::ScalerFunction;
pub use workers::EcsWorkers;
pub use world::{Aws, SystemClock};
