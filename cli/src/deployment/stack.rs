//! A stack that is there.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::StackStatus;
use infra::Parameters;
use serde_json::Value;

/// A stack that is there.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) status: StackStatus,
    /// Its template; null if it is neither JSON nor the YAML that `synth` prints.
    pub(crate) template: Value,
    pub(crate) parameters: Parameters,
    pub(crate) outputs: BTreeMap<String, String>,
    /// What its resources are called, by logical id.
    pub(crate) physical_ids: BTreeMap<String, String>,
    /// The URLs of the queues that it made, by logical id.
    pub(crate) queues: BTreeMap<String, String>,
}

impl Stack {
    /// Whether it is only what is left of a first deployment that failed.
    pub(crate) fn is_leftover(&self) -> bool {
        use StackStatus::{CreateFailed, DeleteFailed, ReviewInProgress, RollbackComplete, RollbackFailed};
        matches!(self.status, ReviewInProgress | RollbackComplete | CreateFailed | RollbackFailed | DeleteFailed)
    }
}
