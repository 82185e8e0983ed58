//! What an account offers for a config.

use super::answers::LaunchType;

/// A value that the user may choose, and what to show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) value: String,
    pub(super) label: String,
}

impl From<&str> for Offer {
    fn from(value: &str) -> Self {
        Self { value: value.to_owned(), label: value.to_owned() }
    }
}

/// What there is to choose from.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) clusters: Vec<Offer>,
    pub(super) task_definitions: Vec<Offer>,
    pub(super) buckets: Vec<Offer>,
    pub(super) queues: Vec<Offer>,
    pub(super) subnets: Vec<Offer>,
    pub(super) security_groups: Vec<Offer>,
}

/// What a config takes from a task definition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// The containers, the essential ones first.
    pub(super) containers: Vec<Offer>,
    pub(super) launch_type: LaunchType,
    pub(super) is_awsvpc: bool,
}
