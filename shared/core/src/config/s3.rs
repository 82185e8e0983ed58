//! `on.s3`: the short form of an event pattern for S3's events.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::event::S3DetailType;
use crate::pattern::operator::parse_address;
use crate::storage::BucketName;
use crate::text::decode::{Decode, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{OneOrMany, Text};
use crate::text::{Entry, Kind, Node, Span, Spanned};

record! {
    /// S3's events about objects, selected by bucket and key.
    pub struct S3Filter ("a mapping with `bucket`")
        near [
            ["prefix", "suffix", "wildcard"]: "`key`", "key: { KEY }";
            ["queue", "event_pattern"]: "`on`, beside `s3`", "on: { s3: { ... }, KEY }";
            ["run", "name", "ignore_older"]: "the route, beside `on`", "on: { s3: { ... } }, KEY";
        ]
    {
        /// The name of the bucket, or a list of names.
        pub bucket: OneOrMany<Spanned<BucketName>>,
        /// The object key: a text that the key equals, a mapping with `prefix`, `suffix` (both must match) or
        /// `wildcard`, each a text or a list of texts of which one must match, or a list of all these of which one must
        /// match. Default: every key.
        pub key: Option<KeyFilter>,
        /// What happened to the object, one or a list of `Object Created`, `Object Deleted`, `Object Restore
        /// Initiated`, `Object Restore Completed`, `Object Restore Expired`, `Object Storage Class Changed`, `Object
        /// Access Tier Changed`, `Object ACL Updated`, `Object Tags Added`, `Object Tags Deleted`. Default: `Object
        /// Created`.
        pub detail_type: Option<OneOrMany<Spanned<S3DetailType>>>,
    }
}

/// A condition with more pairs of a prefix and a suffix than this is refused: each becomes a wildcard. Our own limit.
const PAIRS_MAX: usize = 100;

/// Alternative conditions on an object's key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFilter(Vec<KeyCondition>);

#[derive(Debug, Clone, PartialEq)]
enum KeyCondition {
    Equals(Spanned<String>),
    Affixes { span: Span, affixes: Affixes },
}

record! {
    /// A condition on an object's key.
    #[schemars(extend("minProperties" = 1))]
    pub struct Affixes ("a text, or a mapping with `prefix`, `suffix` or `wildcard`") {
        /// The start of the key, or a list of which one must match.
        #[schemars(example = &"in/")]
        pub prefix: Option<OneOrMany<Spanned<Text>>>,
        /// The end of the key, or a list of which one must match. With `prefix`, both must match.
        #[schemars(example = &serde_json::json!([".csv", ".tsv"]))]
        pub suffix: Option<OneOrMany<Spanned<Text>>>,
        /// The whole key, or a list of which one must match. `*` matches any characters, including `/`; write `\*` and
        /// `\\` for a literal `*` and `\`. Cannot be combined with `prefix` or `suffix`.
        pub wildcard: Option<OneOrMany<Spanned<Text>>>,
    }
}

impl Decode for KeyFilter {
    const EXPECTED: &'static str = Affixes::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        OneOrMany::decode(node, problems).map(|OneOrMany(conditions)| Self(conditions))
    }
}

impl Decode for KeyCondition {
    const EXPECTED: &'static str = Affixes::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        if let Some(text) = node.as_str() {
            return Some(Self::Equals(Spanned { span: node.span, value: text.to_owned() }));
        }
        let before = problems.len();
        let affixes = Affixes::decode(node, problems)?;
        if problems.len() > before {
            return None;
        }
        let given = [&affixes.prefix, &affixes.suffix, &affixes.wildcard].into_iter().flatten().count();
        if given == 0 || (affixes.wildcard.is_some() && given > 1) {
            let problem =
                Diagnostic::error(node.span, "a key condition needs `prefix`, `suffix` or both, or `wildcard` alone");
            problems.push(
                problem.help("write for example `{ prefix: in/, suffix: .csv }` or `{ wildcard: \"in/*.csv\" }`"),
            );
            return None;
        }
        let count = |texts: &Option<OneOrMany<_>>| texts.as_ref().map_or(1, |OneOrMany(texts)| texts.len());
        let pairs = count(&affixes.prefix) * count(&affixes.suffix);
        if pairs > PAIRS_MAX {
            let message =
                format!("these prefixes and suffixes make {pairs} pairs, but at most {PAIRS_MAX} are allowed");
            problems.push(Diagnostic::error(node.span, message).help("write one route for some of the suffixes"));
            return None;
        }
        Some(Self::Affixes { span: node.span, affixes })
    }
}

impl JsonSchema for KeyFilter {
    fn schema_name() -> Cow<'static, str> {
        "KeyFilter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<Affixes>()] });
        json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one, "minItems": 1 }] })
    }
}

impl S3Filter {
    /// Returns the event pattern that this filter stands for. Each part of it has the position of the filter's own
    /// part.
    pub(crate) fn event_pattern(&self, span: Span) -> Node {
        let detail_types = match &self.detail_type {
            Some(OneOrMany(types)) => types.iter().map(|one| string(one.span, one.as_str())).collect(),
            None => vec![string(span, S3DetailType::ObjectCreated.as_str())],
        };
        let buckets = self.bucket.0.iter().map(|bucket| string(bucket.span, &bucket.0)).collect();
        let mut detail = vec![("bucket", object(span, vec![("name", array(buckets))]))];
        if let Some(KeyFilter(conditions)) = &self.key {
            let keys = conditions.iter().flat_map(KeyCondition::operators).collect();
            detail.push(("object", object(span, vec![("key", array(keys))])));
        }
        object(
            span,
            vec![
                ("source", array(vec![string(span, crate::event::S3_EVENT_SOURCE)])),
                ("detail-type", array(detail_types)),
                ("detail", object(span, detail)),
            ],
        )
    }
}

impl KeyCondition {
    fn operators(&self) -> Vec<Node> {
        match self {
            Self::Equals(text) => vec![equals(text.span, text)],
            Self::Affixes { span, affixes } => affixes.operators(*span),
        }
    }
}

impl Affixes {
    fn operators(&self, span: Span) -> Vec<Node> {
        let any_of = |name: &'static str, OneOrMany(texts): &OneOrMany<Spanned<Text>>| {
            texts.iter().map(|text| operator(name, text.span, &text.0)).collect()
        };
        match (&self.prefix, &self.suffix, &self.wildcard) {
            (Some(OneOrMany(prefixes)), Some(OneOrMany(suffixes)), _) => {
                let pairs = prefixes.iter().flat_map(|prefix| suffixes.iter().map(move |suffix| (prefix, suffix)));
                pairs.flat_map(|(prefix, suffix)| both(span, &prefix.0, &suffix.0)).collect()
            }
            (Some(prefixes), None, _) => any_of("prefix", prefixes),
            (None, Some(suffixes), _) => any_of("suffix", suffixes),
            (None, None, Some(wildcards)) => any_of("wildcard", wildcards),
            (None, None, None) => Vec::new(),
        }
    }
}

/// Returns operators that ask for `prefix` and `suffix` at once. An array in a pattern means "or", so "and" must be a
/// wildcard. A wildcard needs the two texts one after the other, so the few keys in which they overlap are added to the
/// array.
fn both(span: Span, prefix: &str, suffix: &str) -> Vec<Node> {
    let overlaps =
        suffix.char_indices().map(|(at, c)| at + c.len_utf8()).filter(|length| prefix.ends_with(&suffix[..*length]));
    let mut operators = vec![operator("wildcard", span, &format!("{}*{}", escape(prefix), escape(suffix)))];
    operators.extend(overlaps.map(|length| equals(span, &format!("{prefix}{}", &suffix[length..]))));
    operators
}

/// Returns the operator for exactly this text. A plain text that is an IP address would also match other spellings of
/// it.
fn equals(span: Span, text: &str) -> Node {
    if parse_address(text).is_some() { operator("exactly", span, text) } else { string(span, text) }
}

fn escape(literal: &str) -> String {
    literal.replace('\\', "\\\\").replace('*', "\\*")
}

fn operator(name: &str, span: Span, text: &str) -> Node {
    object(span, vec![(name, string(span, text))])
}

fn string(span: Span, text: &str) -> Node {
    Node { span, kind: Kind::String(text.to_owned()) }
}

/// Returns a list with the position of its elements.
fn array(elements: Vec<Node>) -> Node {
    let start = elements.first().map_or(0, |first| first.span.start);
    let end = elements.last().map_or(start, |last| last.span.end);
    Node { span: Span::new(start, end), kind: Kind::Array(elements) }
}

fn object(span: Span, entries: Vec<(&str, Node)>) -> Node {
    let entries = entries
        .into_iter()
        .map(|(key, value)| Entry { key: Spanned { span: value.span, value: key.to_owned() }, value })
        .collect();
    Node { span, kind: Kind::Object(entries) }
}
