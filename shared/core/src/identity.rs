//! Which event this is, and which launch: both the same at every delivery.

use std::fmt;

use sha2::{Digest, Sha256};

/// What a repeated delivery of the same event shares; no other event does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Vec<String>);

impl Identity {
    /// An identity of these parts.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(parts.into_iter().map(str::to_owned).collect())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("/"))
    }
}

/// Which launch of an event this is.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The cluster: ECS scopes a client token to it.
    pub cluster: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// The name of the task that the route runs.
    pub task: &'a str,
    /// The event.
    pub identity: &'a Identity,
    /// The element of the event's list, where the route launches one task for each.
    pub index: Option<usize>,
    /// Counts the attempts that definitely failed before this one.
    pub attempt: u32,
    /// Counts the calls that one attempt needs.
    pub slice: u32,
}

impl Launch<'_> {
    /// RunTask's idempotency key: 64 hexadecimal digits, the longest that ECS takes, and the same for the same launch.
    ///
    /// Every part is hashed with its length before it, so that no two launches run into each other.
    pub fn client_token(&self) -> String {
        let mut hasher = Sha256::new();
        let (attempt, slice) = (self.attempt.to_string(), self.slice.to_string());
        let element = self.index.map(|index| format!("#{index}")).unwrap_or_default();
        let parts = self.identity.0.iter().map(String::as_str);
        for part in [self.cluster, self.route, self.task, &attempt, &slice, &element].into_iter().chain(parts) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        format!("{:x}", hasher.finalize())
    }
}
