//! The engine's ports on AWS, and the functions around them.
//!
//! - [`clients`] - the SDK clients; [`Aws`] - the ports of a launch: [`EcsLauncher`] on ECS, [`DynamoStore`] on
//!   DynamoDB, [`S3Payloads`] on S3, [`SqsWorkQueue`] and [`SqsDeadLetters`] on SQS; [`SqsQueues`] and [`EcsWorkers`] -
//!   the ports of scaling;
//! - [`config`] - where the routing config is read from, and which version is in force;
//! - [`functions`] - what each Lambda function does around the engine; [`telemetry`] - its log and its metrics.

pub mod clients;
pub mod config;
mod dead_letters;
pub mod functions;
mod launcher;
mod payloads;
mod ports;
mod queues;
mod store;
pub mod telemetry;
mod work;
mod workers;

pub use config::ConfigCache;
pub use dead_letters::SqsDeadLetters;
pub use functions::{Function, ScalerFunction, StartError};
pub use launcher::EcsLauncher;
pub use payloads::S3Payloads;
pub use ports::{Aws, Places};
pub use queues::SqsQueues;
pub use store::DynamoStore;
pub use work::SqsWorkQueue;
pub use workers::EcsWorkers;
