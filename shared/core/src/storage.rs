//! The layout of everything that ecs-trigger stores: `storage` in the config, the table's items, and the keys in the
//! bucket.

mod packed;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sha2::{Digest, Sha256};

use crate::event::identity::{CLIENT_TOKEN_CHARACTERS, LAUNCH_ID_CHARACTERS};
use crate::text::decode::{Decode, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Node, Spanned};

pub use packed::{NotPacked, UNPACKED_BYTES_MAX, known, pack, unpack};

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

/// The name of a DynamoDB table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(pub String);

impl TableName {
    /// The lengths of a table's name, in characters.
    /// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
    const LENGTHS: std::ops::RangeInclusive<usize> = 3..=255;

    /// Returns whether a table can have this name.
    fn is_valid(name: &str) -> bool {
        Self::LENGTHS.contains(&name.len()) && name.chars().all(Self::is_legal)
    }

    fn is_legal(c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
    }
}

impl Decode for TableName {
    const EXPECTED: &'static str = "a table name";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let name = String::decode(node, problems)?;
        if Self::is_valid(&name) {
            return Some(Self(name));
        }
        let problem = Diagnostic::error(node.span, format!("`{name}` is not a valid table name"));
        problems.push(problem.help("write 3 to 255 letters, digits, `.`, `-` and `_`"));
        None
    }
}

impl JsonSchema for TableName {
    fn schema_name() -> Cow<'static, str> {
        "TableName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "The name of a DynamoDB table.", "type": "string", "pattern": "^[A-Za-z0-9._-]{3,255}$" })
    }
}

record! {
    /// Where everything is stored that must outlive a call: launches in a DynamoDB table, large events in an S3 bucket.
    pub struct Storage ("a mapping with `bucket`") {
        /// The name of the bucket. Events that do not fit into a task's overrides are stored in it. Tasks need permission
        /// to read the payloads that they get.
        pub bucket: Spanned<BucketName>,
        /// The name of the table that holds the launches. Default: the bucket's name, and the prefix if there is one.
        pub table: Option<TableName>,
        /// The prefix of every key in the bucket. Default: none, so payloads are at `payloads/CLIENT_TOKEN.json`.
        #[schemars(example = &"ecs-trigger")]
        pub prefix: Option<String>,
    }
}

impl Storage {
    /// Returns the name of the table that holds the launches.
    pub fn table(&self) -> String {
        if let Some(table) = &self.table {
            return table.0.clone();
        }
        let prefix = self.prefix();
        let legal = |c: char| if TableName::is_legal(c) { c } else { '-' };
        let parts = [self.bucket.0.as_str(), prefix].into_iter().filter(|part| !part.is_empty());
        let name: String = parts.collect::<Vec<_>>().join("-").chars().map(legal).take(255).collect();
        // A folder that stands in for a bucket may have a shorter name than a table can.
        format!("{name:_<3}")
    }

    fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default().trim_matches('/')
    }

    /// Returns the start of the keys of all payloads, which ends in `/`.
    pub fn payload_folder(&self) -> String {
        match self.prefix() {
            "" => "payloads/".to_owned(),
            prefix => format!("{prefix}/payloads/"),
        }
    }

    /// Returns the URI of a payload. It is named by the client token of the first launch that needs it.
    pub fn payload_uri(&self, client_token: &str) -> String {
        format!("s3://{}/{}", self.bucket.0, self.payload_key(client_token))
    }

    fn payload_key(&self, client_token: &str) -> String {
        format!("{}{client_token}.json", self.payload_folder())
    }

    /// Returns the URI of an event that does not fit into its dead letter. It is named by the event's content.
    pub fn event_uri(&self, event: &str) -> String {
        self.payload_uri(&format!("{:x}", Sha256::digest(event)))
    }

    /// Returns a key in the bucket such as launches write. No route may take events about them.
    pub fn key_written_by_launches(&self) -> String {
        self.payload_key(&"0".repeat(CLIENT_TOKEN_CHARACTERS))
    }
}

/// The kinds of items in the table, which the start of an item's partition key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A launch.
    Launch,
    /// The launches that share a limit: how many slots are taken, and who holds and awaits them.
    Line,
    /// The last launched event about an object.
    Sequence,
    /// The launches of one event.
    Set,
    /// The calls that all functions share.
    Rate,
}

impl ItemKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Launch, Self::Line, Self::Sequence, Self::Set, Self::Rate];

    /// Returns the start of the partition keys of all items of this kind.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Launch => "launch/",
            Self::Line => "line/",
            Self::Sequence => "sequence/",
            Self::Set => "set/",
            Self::Rate => "rate/",
        }
    }

    /// Returns the partition key of the item of this name.
    pub fn key(self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }
}

/// The attributes of the table's key.
pub const TABLE_KEY: [&str; 2] = ["item", "part"];

/// A secondary index of the table. It has an entry for each launch with the attributes of its key, and the entry holds
/// keys only: the launch's, and the index's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The launches that are open, by the time when they are due, and those that failed, by the time of their failure.
    Time,
    /// All launches, by the time when they were recorded.
    Created,
    /// The launches of a route, by the time when they were recorded.
    Route,
    /// The failed launches of a route, by the time of their failure.
    Failures,
    /// The launches that events about an S3 object made, by the time when they were recorded.
    Object,
}

impl Index {
    /// All indexes.
    pub const ALL: [Self; 5] = [Self::Time, Self::Created, Self::Route, Self::Failures, Self::Object];

    /// Returns the index's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Created => "created",
            Self::Route => "route",
            Self::Failures => "failures",
            Self::Object => "object",
        }
    }

    /// Returns the attributes of the index's key: what an entry is listed under, and the time that sorts it.
    pub fn key(self) -> [&'static str; 2] {
        match self {
            Self::Time => ["list", "at"],
            Self::Created => ["shard", "created"],
            Self::Route => ["route", "created"],
            Self::Failures => ["failed_route", "at"],
            Self::Object => ["object", "created"],
        }
    }
}

/// Open launches spread over this many lists of [`Index::Time`]: each takes a thousand writes a second.
pub const DUE_SHARDS: u8 = 4;

/// All launches, and those of one route, spread over this many lists: a page of them takes a query of each.
pub const CREATED_SHARDS: u8 = 2;

/// Returns the name of a list of open launches in [`Index::Time`].
pub fn due_list(shard: u8) -> String {
    format!("due/{shard}")
}

/// The name of the list of failed launches in [`Index::Time`].
pub const FAILED_LIST: &str = "failed";

/// Returns the name of a list of a route's launches in [`Index::Route`].
pub fn route_list(route: &str, shard: u8) -> String {
    format!("{route}/{shard}")
}

/// A list of an index has no longer name than this, in bytes: DynamoDB accepts no longer partition key. S3's own names of
/// objects are shorter.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const LIST_NAME_BYTES_MAX: usize = 2048;

/// The attribute with the time at which DynamoDB deletes an item.
pub const EXPIRES: &str = "expires";

/// A launch is kept for this many days after it has ended: later than any dead letter, because a redrive needs it. A
/// payload is kept as long.
pub const KEPT_DAYS: u32 = 90;

/// The tickets and the count of slots of a limit are kept for this many days after their last change. A limit that rests
/// for longer begins anew.
pub const LIMIT_KEPT_DAYS: u32 = 400;

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
