//! Drives the core's decisions through ports: the one place that sequences I/O.
//!
//! [`handle`] tells the whole sentence: a decoded event is *matched*, *rendered*, *launched*, and its outcome *reported*;
//! [`handle_batch`] tells it for each message of a batch. A port is a trait that AWS, this machine and the simulation
//! implement: so far [`Launcher`] and [`Payloads`].

mod batch;
mod handle;
mod launcher;
mod payloads;

pub use batch::{MessageOutcome, handle_batch};
pub use handle::{EventError, LaunchOutcome, LaunchReport, Outcome, Ports, handle};
pub use launcher::{Failure, LaunchError, Launched, Launcher};
pub use payloads::{PayloadError, Payloads};
