//! One verb, one file: its help, its arguments, and what it does.

pub(crate) mod completions;
#[cfg(feature = "aws")]
pub(crate) mod deploy;
#[cfg(feature = "aws")]
pub(crate) mod destroy;
pub(crate) mod dev;
#[cfg(feature = "aws")]
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod pattern;
pub(crate) mod plan;
#[cfg(feature = "aws")]
pub(crate) mod rollback;
pub(crate) mod scaling;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod send;
pub(crate) mod simulate;
pub(crate) mod synth;
pub(crate) mod test;
pub(crate) mod validate;
#[cfg(feature = "aws")]
pub(crate) mod verify;
#[cfg(not(feature = "aws"))]
mod without_aws;

#[cfg(not(feature = "aws"))]
pub(crate) use without_aws::{deploy, destroy, diff, rollback, verify};
