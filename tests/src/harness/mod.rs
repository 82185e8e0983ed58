//! The real binaries, a real emulator of AWS, and the stand-ins between them.
//!
//! Everything is made below `target/`, talks to 127.0.0.1 only, and is ended by its process id.

mod binaries;
mod cluster;
mod emulator;
mod function;
pub(crate) mod http;
mod proxy;
mod python;

pub use binaries::{binary, command, root, stripped};
pub use cluster::Cluster;
pub use emulator::Emulator;
pub use function::Function;
pub use http::{Answer, Asked, Server};
pub use proxy::Proxy;
pub use python::environment;
