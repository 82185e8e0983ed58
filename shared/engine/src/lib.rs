//! Drives the core's decisions through ports: the one place that sequences I/O.
//!
//! [`handle`] tells the whole sentence: a decoded event is *matched*, *rendered*, *launched*, and its outcome *reported*;
//! [`handle_batch`] tells it for each message of a batch. [`handle_state_change`] and [`sweep`] see to what comes after a launch.
//! [`Scaler`] looks after the workers of queues.
//! A port is a trait that AWS, this machine and the simulation implement: see [`ports`].

mod batch;
mod drive;
mod handle;
mod lifecycle;
pub mod ports;
mod scale;
#[cfg(test)]
mod scripted;

pub use batch::{MessageOutcome, Times, handle_batch};
pub use drive::DriveError;
pub use handle::{Delivered, EventError, LaunchOutcome, LaunchReport, Outcome, handle};
pub use lifecycle::{StateChangeOutcome, SweepReport, handle_state_change, sweep};
pub use scale::{Scaler, ScalingPorts, WorkerReport};
