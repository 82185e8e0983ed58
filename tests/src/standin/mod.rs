//! Stand-ins for AWS's services with stated latencies, for measurements: what the functions ask of them takes as long
//! each time, and is counted.
//!
//! - [`DynamoDb`] - a table in memory, with the units that its requests take;
//! - [`Sqs`] - queues, from which the measurement takes messages as an event source mapping does;
//! - [`S3`] - objects;
//! - [`SlowEcs`] - the model of ECS behind a latency.

mod dynamodb;
mod ecs;
mod s3;
mod sqs;

pub use dynamodb::{Call as DynamoDbCall, DynamoDb, Item, Limits, Value};
pub use ecs::{Call as EcsCall, SlowEcs};
pub use s3::S3;
pub use sqs::Sqs;
