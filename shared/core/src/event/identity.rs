//! The identities of events and launches, the same at every delivery.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every delivery of the same event shares and no other event has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity(Vec<String>);

impl Identity {
    /// Creates an identity from its parts.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(parts.into_iter().map(str::to_owned).collect())
    }

    /// Returns the identity's parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("/"))
    }
}

/// Returns an id in the form of EventBridge's and SQS's ids, always the same one for the same parts.
pub fn id_of(parts: &[&str]) -> String {
    let hash = format!("{:x}", Sha256::digest(parts.join("\0")));
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

/// A RunTask call: the parts from which its client token is made.
#[derive(Debug, Clone, Copy)]
pub struct CallId<'a> {
    /// The cluster, to which ECS scopes a client token.
    pub cluster: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// The name of the task that the route runs.
    pub task: &'a str,
    /// The event's identity.
    pub identity: &'a Identity,
    /// The position of the element in the event's list, if the route launches one task for each element.
    pub index: Option<usize>,
    /// The number of this call among those that differ in nothing else: one for each copy of the task.
    pub copy: u32,
    /// The number of attempts that definitely failed before this one.
    pub attempt: u32,
}

impl CallId<'_> {
    /// Returns RunTask's idempotency key: 64 hexadecimal digits, the longest that ECS accepts. It is the same at every
    /// repetition of the call.
    ///
    /// Each part is hashed after its length, so that two different calls never hash the same bytes.
    pub fn client_token(&self) -> String {
        let mut hasher = Sha256::new();
        let (attempt, copy) = (self.attempt.to_string(), self.copy.to_string());
        let element = self.index.map(|index| format!("#{index}")).unwrap_or_default();
        let parts = [self.cluster, self.route, self.task, &attempt, &copy, &element].into_iter();
        for part in parts.chain(self.identity.parts()) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        format!("{:x}", hasher.finalize())
    }
}

/// The length of a client token in characters: a SHA-256 in hexadecimal, the longest that ECS accepts.
pub const CLIENT_TOKEN_CHARACTERS: usize = 64;
/// The length of a launch's id in characters: the first 128 bits of its first client token.
pub const LAUNCH_ID_CHARACTERS: usize = 32;

/// The name of a launch, in the ledger and in the `startedBy` of its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaunchKey {
    /// The route's name.
    pub route: String,
    /// The day of the event in UTC, `2026-01-31`.
    pub date: String,
    /// The beginning of the first attempt's client token.
    pub id: String,
}

impl LaunchKey {
    /// Creates the key of the launch whose first attempt has this client token.
    pub fn new(route: &str, date: &str, client_token: &str) -> Self {
        let id = client_token.get(..LAUNCH_ID_CHARACTERS).unwrap_or(client_token).to_owned();
        Self { route: route.to_owned(), date: date.to_owned(), id }
    }

    /// Parses a key of the form `ROUTE/DATE/ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (route, date, id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_key = parts.next().is_none()
            && is_name(&route)
            && date.parse::<Date>().is_ok_and(|parsed| parsed.to_string() == date)
            && id.len() == LAUNCH_ID_CHARACTERS
            && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_key.then_some(Self { route, date, id })
    }

    /// Returns the `startedBy` of an attempt's tasks: it leads from a task to its launch, even if RunTask's reply was
    /// lost. At most 124 characters.
    pub fn started_by(&self, attempt: u32) -> String {
        format!("{STARTED_BY_PREFIX}{self}/{attempt}")
    }

    /// Parses the `startedBy` of a task. Returns the launch and the attempt, or `None` if it does not name a launch in
    /// the ledger.
    pub fn of_started_by(started_by: &str) -> Option<(Self, u32)> {
        let (key, attempt) = started_by.strip_prefix(STARTED_BY_PREFIX)?.rsplit_once('/')?;
        Some((Self::parse(key)?, attempt.parse().ok()?))
    }
}

/// The beginning of every task's `startedBy`, unless the config sets `started_by`.
pub const STARTED_BY_PREFIX: &str = "ecs-trigger/";

impl fmt::Display for LaunchKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.route, self.date, self.id)
    }
}

/// A longer name of a route or a worker, in characters, is refused.
const NAME_CHARACTERS_MAX: usize = 64;

/// Returns whether a route or a worker can have this name, which launch keys, metrics and AWS resources contain.
pub(crate) fn is_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=NAME_CHARACTERS_MAX).contains(&name.len()) && name.chars().all(is_legal)
}
