//! The routing config on AWS: where it is read from, and which version is in force.

mod cache;
mod source;

pub use cache::ConfigCache;
pub use source::{ConfigSource, ConfigSourceError, Version};
