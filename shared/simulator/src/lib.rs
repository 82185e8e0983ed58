//! Simulates a queue, its workers and the policy that scales them, event by event.
//!
//! - [`workload`] - when messages arrive and how long each takes: generators; [`trace`] - the same from a file's text;
//! - [`scaler`] - what scales the workers: the policy of `trigger-core`, or one of the [`peers`];
//! - [`world`] - the queue, ECS and the workers; [`outcome`] - the results of a run;
//! - [`study`] - many runs: workloads by scalers by seeds.
//!
//! Nothing here reads a clock or a file, and all randomness comes from a seed, so every run can be repeated.

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
