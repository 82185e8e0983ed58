//! Where the ledger's objects lie, below the bucket and prefix of `storage`.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::route::Storage;
use crate::identity::LaunchKey;

/// What is due at some time: the name of an empty object that sorts by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When, in whole seconds.
    pub at: Timestamp,
    /// What.
    pub what: DueFor,
}

/// What is looked at when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueFor {
    /// A launch.
    Launch(LaunchKey),
    /// The slots of this name.
    Slots(String),
}

impl Storage {
    /// The record of a launch.
    pub fn launch_uri(&self, key: &LaunchKey) -> String {
        self.uri(&format!("launches/{key}.json"))
    }

    /// The slots of a route and key.
    pub fn slots_uri(&self, name: &str) -> String {
        self.uri(&format!("slots/{name}.json"))
    }

    /// The last launched event of an object.
    pub fn sequence_uri(&self, name: &str) -> String {
        self.uri(&format!("sequences/{name}.json"))
    }

    /// What every name of something that is due begins with.
    pub fn due_prefix(&self) -> String {
        self.uri("due/")
    }

    /// The name of something that is due.
    pub fn due_uri(&self, due: &Due) -> String {
        let time = stamp(due.at);
        self.uri(&match &due.what {
            DueFor::Launch(key) => format!("due/{time}/launch/{key}"),
            DueFor::Slots(name) => format!("due/{time}/slots/{name}"),
        })
    }

    /// Names up to this one are due at that time.
    pub fn due_until(&self, now: Timestamp) -> String {
        // The character after `/`, so that it sorts behind everything of that second.
        self.uri(&format!("due/{}0", stamp(now)))
    }

    /// What is due, by its name.
    pub fn parse_due(&self, uri: &str) -> Option<Due> {
        let (at, what) = uri.strip_prefix(&self.due_prefix())?.split_once('/')?;
        let (kind, name) = what.split_once('/')?;
        let what = match kind {
            "launch" => DueFor::Launch(LaunchKey::parse(name)?),
            "slots" => DueFor::Slots(name.to_owned()),
            _ => return None,
        };
        Some(Due { at: at.parse().ok()?, what })
    }
}

fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A name of a route's own for anything that an event's content names: it holds nothing that an event could choose.
pub fn hashed_name(route: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let hash = format!("{:x}", hasher.finalize());
    format!("{route}/{}", &hash[..32])
}
