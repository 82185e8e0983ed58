//! What stories need: the real binaries, a real emulator, and AWS's own command line to look at it from outside.
//!
//! Everything is made below `target/`, talks to 127.0.0.1 only, and is ended by its process id.

mod binaries;
mod cluster;
pub mod ecs;
mod emulator;
mod function;
mod http;
mod proxy;
mod python;
pub mod simulation;

pub use binaries::{binary, command, root, stripped};
pub use cluster::Cluster;
pub use emulator::Emulator;
pub use function::Function;
pub use http::{Answer, Asked, Server};
pub use proxy::Proxy;
pub use python::environment;
