//! The layout of everything that is stored: `storage` in the config, and the key of each object below it.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sha2::{Digest, Sha256};

use crate::event::identity::{CLIENT_TOKEN_CHARACTERS, LAUNCH_ID_CHARACTERS, LaunchKey};
use crate::text::decode::{Decode, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Node, Spanned};

/// The name of a bucket: letters, digits, `.`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketName(pub String);

impl BucketName {
    /// Whether a text can name a bucket, also one from before today's narrower rules.
    pub fn is_valid(name: &str) -> bool {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (1..=255).contains(&name.len()) && name.chars().all(legal) && !name.starts_with('.') && !name.contains("..")
    }
}

impl Decode for BucketName {
    const EXPECTED: &'static str = "a bucket's name";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let name = String::decode(node, problems)?;
        if !Self::is_valid(&name) {
            let problem = Diagnostic::error(node.span, format!("`{name}` cannot be a bucket's name"));
            problems.push(problem.help("use letters, digits, `.` and `-`; for several buckets, a list"));
            return None;
        }
        Some(Self(name))
    }
}

impl JsonSchema for BucketName {
    fn schema_name() -> Cow<'static, str> {
        "BucketName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "The name of a bucket.", "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$" })
    }
}

record! {
    /// Where ecs-trigger keeps what has to outlive a call.
    pub struct Storage ("a mapping with `bucket`") {
        /// The bucket's name. The functions write into it; tasks must be allowed to read what they are pointed to.
        pub bucket: Spanned<BucketName>,
        /// What every key begins with. Default: nothing, so that payloads are `payloads/CLIENT_TOKEN.json`, and the ledger's
        /// launches `launches/ROUTE/DATE/ID.json`.
        #[schemars(example = &"ecs-trigger")]
        pub prefix: Option<String>,
    }
}

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

/// A folder of everything that is stored, below the prefix of `storage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// The record of each launch.
    Launches,
    /// What is due, sorted by time.
    Due,
    /// The slots of each route and key.
    Slots,
    /// The last launched event of each object.
    Sequences,
    /// Events that do not fit into a task's overrides or into the records of its launches.
    Payloads,
}

impl Folder {
    /// The folders of the ledger.
    pub const LEDGER: [Self; 4] = [Self::Launches, Self::Slots, Self::Sequences, Self::Due];

    /// Returns its key, which ends in `/`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launches => "launches/",
            Self::Due => "due/",
            Self::Slots => "slots/",
            Self::Sequences => "sequences/",
            Self::Payloads => "payloads/",
        }
    }
}

impl Storage {
    /// Returns the key of a folder, with the prefix before it: it ends in `/`.
    pub fn folder(&self, folder: Folder) -> String {
        match self.prefix.as_deref().unwrap_or_default().trim_matches('/') {
            "" => folder.as_str().to_owned(),
            prefix => format!("{prefix}/{}", folder.as_str()),
        }
    }

    /// Returns the URI of what has this name in a folder.
    fn uri(&self, folder: Folder, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket.0, self.folder(folder))
    }

    /// Returns the URI of a payload: an event that is named by the client token of the first launch that needs it.
    pub fn payload_uri(&self, client_token: &str) -> String {
        self.uri(Folder::Payloads, &format!("{client_token}.json"))
    }

    /// Returns the URI of a launch's record.
    pub fn launch_uri(&self, key: &LaunchKey) -> String {
        self.uri(Folder::Launches, &format!("{key}.json"))
    }

    /// Returns the URI of the slots of this name.
    pub fn slots_uri(&self, name: &str) -> String {
        self.uri(Folder::Slots, &format!("{name}.json"))
    }

    /// Returns the URI of the last launched event of an object.
    pub fn sequence_uri(&self, name: &str) -> String {
        self.uri(Folder::Sequences, &format!("{name}.json"))
    }

    /// Returns the URI that every entry of something due starts with.
    pub fn due_prefix(&self) -> String {
        self.uri(Folder::Due, "")
    }

    /// Returns the URI of an entry of something due.
    pub fn due_uri(&self, due: &Due) -> String {
        let time = stamp(due.at);
        self.uri(
            Folder::Due,
            &match &due.what {
                DueFor::Launch(key) => format!("{time}/launch/{key}"),
                DueFor::Slots(name) => format!("{time}/slots/{name}"),
            },
        )
    }

    /// Returns the URI up to which entries are due at that time.
    pub fn due_until(&self, now: Timestamp) -> String {
        // `0` is the character after `/`, so this sorts behind everything of that second.
        self.uri(Folder::Due, &format!("{}0", stamp(now)))
    }

    /// Returns what an entry's URI says is due; `None` if the URI is not one of an entry.
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

    /// Returns a key of each kind of object that launches of this route write. No route may take events of them.
    pub fn keys_written_by(&self, route: &str, has_ledger: bool) -> Vec<String> {
        let key = |folder: Folder, name: &str| format!("{}{name}", self.folder(folder));
        let id = "0".repeat(LAUNCH_ID_CHARACTERS);
        let token = "0".repeat(CLIENT_TOKEN_CHARACTERS);
        let mut keys = vec![key(Folder::Payloads, &format!("{token}.json"))];
        if has_ledger {
            keys.extend([
                key(Folder::Launches, &format!("{route}/2026-01-01/{id}.json")),
                key(Folder::Due, &format!("2026-01-01T00:00:00Z/launch/{route}/2026-01-01/{id}")),
                key(Folder::Due, &format!("2026-01-01T00:00:00Z/slots/{route}/{id}")),
                key(Folder::Slots, &format!("{route}/{id}.json")),
                key(Folder::Sequences, &format!("{route}/{id}.json")),
            ]);
        }
        keys
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
    format!("{route}/{}", &hash[..LAUNCH_ID_CHARACTERS])
}
