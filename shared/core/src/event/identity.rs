//! Which event this is, and which launch: both the same at every delivery.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a repeated delivery of the same event shares; no other event does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// A call of RunTask: the parts that its client token is made of.
#[derive(Debug, Clone, Copy)]
pub struct CallId<'a> {
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

impl CallId<'_> {
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

/// The length of a client token: a SHA-256 in hexadecimal, which is the longest that ECS accepts.
pub const CLIENT_TOKEN_CHARACTERS: usize = 64;
/// The length of a launch's id: the first 128 bits of its first client token.
pub const LAUNCH_ID_CHARACTERS: usize = 32;

/// What a launch is called: in the ledger, and in what its tasks record as their starter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaunchKey {
    /// The route's name.
    pub route: String,
    /// The day of the event in UTC, `2026-01-31`.
    pub date: String,
    /// The beginning of the client token of the first attempt.
    pub id: String,
}

impl LaunchKey {
    /// The key of the launch whose first attempt has this client token.
    pub fn new(route: &str, date: &str, client_token: &str) -> Self {
        let id = client_token.get(..LAUNCH_ID_CHARACTERS).unwrap_or(client_token).to_owned();
        Self { route: route.to_owned(), date: date.to_owned(), id }
    }

    /// The key in `ROUTE/DATE/ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (route, date, id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_key =
            parts.next().is_none() && id.len() == LAUNCH_ID_CHARACTERS && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_key.then_some(Self { route, date, id })
    }

    /// What the tasks of an attempt record as their starter, so that they lead back to their launch even where RunTask's reply
    /// was lost. At most 124 characters.
    pub fn started_by(&self, attempt: u32) -> String {
        format!("{STARTED_BY_PREFIX}{self}/{attempt}")
    }

    /// The launch, and its attempt, of a task with this starter, if it was started by a launch in the ledger.
    pub fn of_started_by(started_by: &str) -> Option<(Self, u32)> {
        let (key, attempt) = started_by.strip_prefix(STARTED_BY_PREFIX)?.rsplit_once('/')?;
        Some((Self::parse(key)?, attempt.parse().ok()?))
    }
}

/// What the starter of every task begins with, unless the config says otherwise.
pub const STARTED_BY_PREFIX: &str = "ecs-trigger/";

impl fmt::Display for LaunchKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.route, self.date, self.id)
    }
}
