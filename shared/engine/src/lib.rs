//! Drives the core's decisions through ports: the one place that sequences I/O.
//!
//! [`handle`] tells the whole sentence: an event is *decoded*, *matched*, *rendered*, *launched*, and its outcome *reported*.
//! A port is a trait that AWS, this machine and the simulation implement: so far the [`Launcher`].

mod handle;
mod launcher;

pub use handle::{EventError, LaunchOutcome, LaunchReport, Outcome, handle};
pub use launcher::{Failure, LaunchError, Launched, Launcher};
