//! The config as it is written: one file for each element, with its keys, types and descriptions.
//!
//! The doc comments of elements are the descriptions in the JSON Schema. `load` turns the elements into a
//! [`crate::routing::RoutingConfig`].

pub mod file;
pub(crate) mod interpolate;
pub mod launching;
pub mod local;
mod overlay;
mod prefix;
pub mod route;
pub mod s3;
mod schema;
pub mod stack;
pub mod task;
pub mod test;
pub mod workers;

pub use overlay::effective;
pub(crate) use overlay::root;
pub use prefix::is_prefix;
pub use schema::schema;
