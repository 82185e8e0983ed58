//! A queue, its workers and what scales them, simulated event by event.
//!
//! - [`workload`] - when messages come, and how long each takes: generators and traces;
//! - [`scaler`] - what scales: the policy of `trigger-core`, or one of the [`peers`];
//! - [`world`] - the queue, ECS and the workers, event by event; [`outcome`] - what it came to;
//! - [`study`] - workloads, scalers and seeds against each other.
//!
//! Nothing here reads a clock or a file, and all chance comes from a seed: a run can be repeated.

mod erlang;
pub mod outcome;
pub mod peers;
pub mod random;
pub mod scaler;
pub mod study;
pub mod trace;
pub mod workload;
pub mod world;

pub use erlang::erlang_c_wait;
pub use outcome::{Outcome, Point};
pub use scaler::{Order, PolicyScaler, Scaler, View};
pub use study::{ScalerKind, Setting, run};
pub use workload::{Generator, Workload};
pub use world::{Surroundings, simulate};
