//! One verb, one file: its help, its arguments, and what it does.

pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod dead_letters;
#[cfg(feature = "aws")]
pub(crate) mod deploy;
#[cfg(feature = "aws")]
pub(crate) mod destroy;
pub(crate) mod dev;
#[cfg(feature = "aws")]
pub(crate) mod diff;
pub(crate) mod emit;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod pattern;
pub(crate) mod plan;
pub(crate) mod redrive;
#[cfg(feature = "aws")]
pub(crate) mod replay;
pub(crate) mod retry;
#[cfg(feature = "aws")]
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod scaling;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod synth;
pub(crate) mod test;
pub(crate) mod validate;
#[cfg(feature = "aws")]
pub(crate) mod verify;
#[cfg(not(feature = "aws"))]
mod without_aws;

#[cfg(not(feature = "aws"))]
pub(crate) use without_aws::{deploy, destroy, diff, replay, rollback, verify};
