//! Drives the core's decisions through ports: the one place that sequences I/O.
//!
//! - [`handle`] - one event: *rendered* for the routes that it *matched*, *launched*, and its outcome *reported*; [`redrive`] - a launch
//!   whose dead letter was delivered again; [`handle_batch`] - each message of a batch;
//! - [`handle_state_change`], [`continue_launches`] and [`sweep`] - what follows a launch;
//! - [`Scaler`] - the workers of queues;
//! - [`StoreModel`] - a launch store in memory;
//! - [`ports`] - the traits that AWS, this machine and the simulation implement.

mod batch;
mod dead_letter;
mod drive;
mod handle;
mod lifecycle;
mod model;
pub mod operate;
pub mod ports;
mod render;
mod scale;
#[cfg(test)]
mod scripted;

pub use batch::{MessageOutcome, handle_batch};
pub use drive::{Continued, DriveError};
pub use handle::{Delivered, EventError, LaunchOutcome, LaunchReport, Outcome, Times, handle, redrive};
pub use lifecycle::{StateChangeOutcome, SweepReport, continue_launches, handle_state_change, sweep};
pub use model::{Item, StoreModel};
pub use operate::NotChanged;
pub use scale::{Scaler, ScalingPorts, WorkerReport};
