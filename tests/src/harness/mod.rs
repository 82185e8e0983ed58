//! Runs the real binaries against a real emulator of AWS, with stand-ins for what the emulator lacks.
//!
//! All files are below `target/` or in temporary folders, all connections are to 127.0.0.1, and processes are ended by
//! their id.

mod binaries;
mod cluster;
mod emulator;
mod function;
pub(crate) mod http;
mod proxy;
mod python;
pub(crate) mod table;

pub use binaries::{binary, command, root, stripped};
pub use cluster::Cluster;
pub use emulator::{Emulator, Message};
pub use function::{Doomed, Function, invocation_headers, start_function};
pub use http::{Answer, Asked, Server};
pub use proxy::{Call, Passage, Proxy};
pub use python::environment;
pub use table::{LaunchTable, WithoutRate};
