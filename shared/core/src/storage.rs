//! The layout of everything that ecs-trigger stores: `storage` in the config, and the keys of the objects below it.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sha2::{Digest, Sha256};

use crate::event::identity::{CLIENT_TOKEN_CHARACTERS, LAUNCH_ID_CHARACTERS, LaunchKey};
use crate::text::decode::{Decode, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Node, Spanned};

/// The name of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketName(pub String);

impl BucketName {
    /// Returns whether a text can be the name of a bucket, also of an old one from before S3's stricter rules. One or two
    /// characters are too few for S3, but enough for a folder that stands in for a bucket.
    pub fn is_valid(name: &str) -> bool {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let edges = is_edge(name.chars().next()) && is_edge(name.chars().next_back());
        let is_address = name.parse::<std::net::Ipv4Addr>().is_ok();
        (1..=255).contains(&name.len()) && name.chars().all(legal) && edges && !name.contains("..") && !is_address
    }

    /// Returns whether only an old bucket can have the name: one that was created in us-east-1 before March 2018.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
    fn is_old(name: &str) -> bool {
        name.len() > 63 || name.contains(|c: char| c.is_ascii_uppercase() || c == '_')
    }
}

/// Returns what to write instead of a text that is not a bucket's name: the name in its ARN or URI, if it is one.
fn bucket_meant(text: &str) -> String {
    let place = text.strip_prefix("s3://").or_else(|| text.strip_prefix("arn:aws:s3:::")).unwrap_or(text);
    let (name, key) = place.split_once('/').unwrap_or((place, ""));
    match key {
        _ if name == text || !BucketName::is_valid(name) => {
            "write the name of one bucket: 3 to 63 lower-case letters, \
                                                              digits, `.` and `-`, with a letter or digit at both ends"
                .to_owned()
        }
        "" | "*" => format!("write `{name}`"),
        key => format!("write `{name}` here, and `key: {{ prefix: {} }}` beside it", key.trim_end_matches('*')),
    }
}

impl Decode for BucketName {
    const EXPECTED: &'static str = "a bucket name";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let name = String::decode(node, problems)?;
        if !Self::is_valid(&name) {
            let problem = Diagnostic::error(node.span, format!("`{name}` is not a valid bucket name"));
            problems.push(problem.help(bucket_meant(&name)));
            return None;
        }
        if Self::is_old(&name) {
            let problem = Diagnostic::warning(node.span, format!("no new bucket can have the name `{name}`"));
            problems.push(problem.help("use at most 63 lower-case letters, digits, `.` and `-`"));
        }
        Some(Self(name))
    }
}

impl JsonSchema for BucketName {
    fn schema_name() -> Cow<'static, str> {
        "BucketName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a bucket.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$",
        })
    }
}

record! {
    /// The S3 bucket for everything that must outlive a call: the ledger and large payloads.
    pub struct Storage ("a mapping with `bucket`") {
        /// The name of the bucket. The functions write to it. Tasks need permission to read the payloads that they get.
        pub bucket: Spanned<BucketName>,
        /// The prefix of every key. Default: none, so payloads are at `payloads/CLIENT_TOKEN.json`, and the ledger's
        /// launches at `launches/ROUTE/DATE/ID.json`.
        #[schemars(example = &"ecs-trigger")]
        pub prefix: Option<String>,
    }
}

/// Something that is due at some time. It is stored as an empty object whose name sorts by that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it is due, in whole seconds.
    pub at: Timestamp,
    /// What is due.
    pub what: DueFor,
}

/// What to look at when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueFor {
    /// A launch.
    Launch(LaunchKey),
    /// The slots of this name.
    Slots(String),
}

/// A folder below the prefix of `storage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// The record of each launch.
    Launches,
    /// The entries of what is due, sorted by time.
    Due,
    /// The slots of each route and key.
    Slots,
    /// The last launched event about each object.
    Sequences,
    /// Events that do not fit into a task's overrides or into its launch records.
    Payloads,
}

impl Folder {
    /// The folders of the ledger.
    pub const LEDGER: [Self; 4] = [Self::Launches, Self::Slots, Self::Sequences, Self::Due];

    /// Returns the key of the folder, which ends in `/`.
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
    /// Returns the key of a folder, including the prefix. It ends in `/`.
    pub fn folder(&self, folder: Folder) -> String {
        match self.prefix.as_deref().unwrap_or_default().trim_matches('/') {
            "" => folder.as_str().to_owned(),
            prefix => format!("{prefix}/{}", folder.as_str()),
        }
    }

    /// Returns the URI of the object with this name in a folder.
    fn uri(&self, folder: Folder, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket.0, self.folder(folder))
    }

    /// Returns the URI of a payload. It is named by the client token of the first launch that needs it.
    pub fn payload_uri(&self, client_token: &str) -> String {
        self.uri(Folder::Payloads, &format!("{client_token}.json"))
    }

    /// Returns the URI of an event that does not fit into its dead letter. It is named by the event's content.
    pub fn event_uri(&self, event: &str) -> String {
        self.payload_uri(&format!("{:x}", Sha256::digest(event)))
    }

    /// Returns the URI of a launch's record.
    pub fn launch_uri(&self, key: &LaunchKey) -> String {
        self.uri(Folder::Launches, &format!("{key}.json"))
    }

    /// Returns the URI of the slots of this name.
    pub fn slots_uri(&self, name: &str) -> String {
        self.uri(Folder::Slots, &format!("{name}.json"))
    }

    /// Returns the URI of the last launched event about an object.
    pub fn sequence_uri(&self, name: &str) -> String {
        self.uri(Folder::Sequences, &format!("{name}.json"))
    }

    /// Returns the start of the URIs of all entries of what is due.
    pub fn due_prefix(&self) -> String {
        self.uri(Folder::Due, "")
    }

    /// Returns the URI of the entry of something due.
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

    /// Returns the URI up to which the entries are due at a time.
    pub fn due_until(&self, now: Timestamp) -> String {
        // `0` is the character after `/`, so this sorts after all entries of that second.
        self.uri(Folder::Due, &format!("{}0", stamp(now)))
    }

    /// Returns what is due according to the URI of an entry, or `None` if the URI is not that of an entry.
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

    /// Returns one key of each kind of object that launches of this route write. No route may take events about them.
    pub fn keys_written_by(&self, route: &str, has_ledger: bool) -> Vec<String> {
        let token = "0".repeat(CLIENT_TOKEN_CHARACTERS);
        let mut uris = vec![self.payload_uri(&token)];
        if has_ledger {
            let at = Timestamp::constant(1_767_225_600, 0);
            let launch = LaunchKey::new(route, "2026-01-01", &token);
            let name = format!("{route}/{}", launch.id);
            uris.extend([
                self.launch_uri(&launch),
                self.slots_uri(&name),
                self.sequence_uri(&name),
                self.due_uri(&Due { at, what: DueFor::Slots(name) }),
                self.due_uri(&Due { at, what: DueFor::Launch(launch) }),
            ]);
        }
        let bucket = format!("s3://{}/", self.bucket.0);
        uris.iter().filter_map(|uri| uri.strip_prefix(&bucket)).map(str::to_owned).collect()
    }
}

fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns a name, within a route, for something that the content of an event identifies. The parts are hashed, so an
/// event cannot choose the name.
pub fn hashed_name(route: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let hash = format!("{:x}", hasher.finalize());
    format!("{route}/{}", &hash[..LAUNCH_ID_CHARACTERS])
}
