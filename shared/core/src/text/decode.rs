//! Decodes [`Node`]s into typed config elements and reports every problem, not only the first.
//!
//! serde stops at its first error and loses positions; this small counterpart does neither. A [`record!`] declares an
//! element once: the doc comments of its fields become the descriptions in the JSON Schema, and their types the checks.

use super::diagnostic::{Diagnostic, did_you_mean};
use super::{Entry, Kind, Node, Span, Spanned, json, yaml};

/// A value longer than this is left out of what a help suggests to write.
const SUGGESTED_CHARACTERS_MAX: usize = 60;

/// A type that a config value can be decoded into.
pub(crate) trait Decode: Sized {
    /// What the value must be: the end of a message "expected ...".
    const EXPECTED: &'static str;
    /// The keys of other elements that are often written here by mistake.
    const NEAR: &'static [Near] = &[];

    /// Returns the value, or reports what is wrong with it and returns `None`.
    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self>;

    /// Returns the value of a missing field, or `None` if the field is required.
    fn absent() -> Option<Self> {
        None
    }

    /// Returns the value to continue with after a required value was reported as wrong or missing.
    fn fallback() -> Option<Self> {
        None
    }
}

/// Keys of another element.
pub(crate) struct Near {
    /// The keys.
    pub(crate) keys: &'static [&'static str],
    /// The element that they belong to, in words.
    pub(crate) place: &'static str,
    /// What to write; `KEY` stands for the key and its value.
    pub(crate) example: &'static str,
}

/// Reports that `node` is not what `T` expects.
pub(crate) fn wrong_type<T: Decode>(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<T> {
    problems.push(Diagnostic::error(node.span, format!("expected {}, found {}", T::EXPECTED, node.description())));
    None
}

impl<T: Decode> Decode for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        // A wrong value has been reported; continuing without it finds further problems.
        Some(T::decode(node, problems))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Spanned<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        T::decode(node, problems).map(|value| Spanned { span: node.span, value })
    }
}

impl<T: Decode> Decode for Box<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        T::decode(node, problems).map(Box::new)
    }
}

impl<T: Decode> Decode for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let Kind::Array(elements) = &node.kind else {
            wrong_type::<Self>(node, problems);
            let text = node.as_str().filter(|text| !text.is_empty())?;
            let meant = text.split(',').map(|word| Node { span: node.span, ..Node::string(word.trim()) });
            let meant: Vec<Node> = meant.collect();
            problems.last_mut()?.help = Some(format!("write `{}`", yaml::flow(&Node::array(meant.clone()))));
            return Some(meant.iter().filter_map(|element| T::decode(element, &mut Vec::new())).collect());
        };
        Some(elements.iter().filter_map(|element| T::decode(element, problems)).collect())
    }

    fn fallback() -> Option<Self> {
        Some(Self::new())
    }
}

impl Decode for bool {
    const EXPECTED: &'static str = "true or false";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match node.kind {
            Kind::Bool(value) => Some(value),
            // A boolean from an environment variable is a string.
            Kind::String(ref text) if text == "true" || text == "false" => Some(text == "true"),
            _ => wrong_type(node, problems),
        }
    }
}

impl Decode for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            // AWS's integers are signed: a greater number could not be sent.
            Kind::Number(text) | Kind::String(text) if json::is_number(text) => {
                text.parse().ok().filter(|number| i32::try_from(*number).is_ok()).or_else(|| {
                    let message = format!("expected a whole number from 0 to {}, found {text}", i32::MAX);
                    problems.push(Diagnostic::error(node.span, message));
                    None
                })
            }
            _ => wrong_type(node, problems),
        }
    }
}

impl Decode for i32 {
    const EXPECTED: &'static str = "a whole number";

    fn decode(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        match &node.kind {
            Kind::Number(text) | Kind::String(text) if json::is_number(text) => text.parse().ok().or_else(|| {
                let message = format!("expected a whole number from {} to {}, found {text}", i32::MIN, i32::MAX);
                problems.push(Diagnostic::error(node.span, message));
                None
            }),
            _ => wrong_type(node, problems),
        }
    }
}

/// A value of any type, kept as it was written.
impl Decode for Node {
    const EXPECTED: &'static str = "a value";

    fn decode(node: &Node, _: &mut Vec<Diagnostic>) -> Option<Self> {
        Some(node.clone())
    }
}

/// The entries of a record's mapping, read field by field.
pub(crate) struct Fields<'a> {
    span: Span,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Returns the mapping's entries, after reporting the keys that are not fields.
    pub(crate) fn of<T: Decode>(
        node: &'a Node,
        known: &[&'static str],
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Kind::Object(entries) = &node.kind else {
            wrong_type::<T>(node, problems);
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            problems.push(unknown_key(entry, known, T::NEAR));
        }
        Some(Self { span: node.span, entries })
    }

    pub(crate) fn take<T: Decode>(&self, name: &str, problems: &mut Vec<Diagnostic>) -> Option<T> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key.as_str() == name) {
            return T::decode(&entry.value, problems).or_else(T::fallback);
        }
        let absent = T::absent();
        if absent.is_none() {
            problems.push(
                Diagnostic::error(Span::new(self.span.start, self.span.start), format!("missing key `{name}`"))
                    .help(format!("add `{name}: ...`, {}", T::EXPECTED)),
            );
            return T::fallback();
        }
        absent
    }
}

fn unknown_key(entry: &Entry, known: &[&'static str], near: &[Near]) -> Diagnostic {
    let key = &entry.key;
    if let Some(near) = near.iter().find(|near| near.keys.contains(&key.as_str())) {
        let value = Some(yaml::flow(&entry.value)).filter(|value| value.chars().count() <= SUGGESTED_CHARACTERS_MAX);
        let entry = format!("{}: {}", key.value, value.as_deref().unwrap_or("..."));
        return Diagnostic::error(key.span, format!("unknown key `{}`; it belongs to {}", key.value, near.place))
            .help(format!("write `{}`", near.example.replace("KEY", &entry)));
    }
    match did_you_mean(key, known.iter().copied()) {
        Some(meant) => Diagnostic::error(key.span, format!("unknown key `{}`; did you mean `{meant}`?", key.value))
            .help(format!("write `{meant}`")),
        None => Diagnostic::error(key.span, format!("unknown key `{}`", key.value))
            .help(format!("choose from {}", list(known))),
    }
}

/// Returns the words as "`a`, `b` and `c`".
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Declares a struct that is decoded from a mapping: unknown keys are errors, `Option` fields may be absent, and doc
/// comments become the schema's descriptions. `as "name"` sets a key that is not a valid Rust name. `near` lists keys
/// of other elements, see [`Near`].
macro_rules! record {
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    ($(#[$meta:meta])* pub struct $name:ident ($expected:literal)
        $(near [ $( [$( $near:literal ),*]: $place:literal, $example:literal; )* ])?
    {
        $( $(#[$field_meta:meta])* pub $field:ident $(as $key:literal)? : $type:ty, )*
    }) => {
        #[derive(Debug, Clone, PartialEq, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields, rename_all = "snake_case")]
        $(#[$meta])*
        pub struct $name {
            $( $(#[$field_meta])* $(#[schemars(rename = $key)])? pub $field: $type, )*
        }

        impl $crate::text::decode::Decode for $name {
            const EXPECTED: &'static str = $expected;
            $( const NEAR: &'static [$crate::text::decode::Near] = &[$(
                $crate::text::decode::Near { keys: &[$( $near ),*], place: $place, example: $example },
            )*]; )?

            fn decode(
                node: &$crate::text::Node,
                problems: &mut Vec<$crate::text::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                let known = [$( $crate::text::decode::record!(@key $field $($key)?) ),*];
                let fields = $crate::text::decode::Fields::of::<Self>(node, &known, problems)?;
                $( let $field = fields.take($crate::text::decode::record!(@key $field $($key)?), problems); )*
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
}
pub(crate) use record;

/// Declares an enum whose variants are literal words of the config, in AWS's spelling where AWS has the value.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $word)] $variant, )*
        }

        impl $name {
            /// Returns the word as the config, and AWS if it has the value, spells it.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::text::decode::Decode for $name {
            const EXPECTED: &'static str = concat!("one of", $( " `", $word, "`", )*);

            fn decode(
                node: &$crate::text::Node,
                problems: &mut Vec<$crate::text::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                match node.as_str() {
                    $( Some($word) => Some(Self::$variant), )*
                    Some(other) => {
                        problems.push($crate::text::decode::unknown_word(node.span, other, &[$($word),*]));
                        None
                    }
                    None => $crate::text::decode::no_word(node, &[$($word),*], problems),
                }
            }
        }
    };
}
pub(crate) use choice;

/// Reports a value that is not a word, and suggests the word that means `true` or `false`.
pub(crate) fn no_word<T: Decode>(node: &Node, known: &[&'static str], problems: &mut Vec<Diagnostic>) -> Option<T> {
    wrong_type::<T>(node, problems);
    let meanings: &[&str] = match node.kind {
        Kind::Bool(true) => &["enabled", "on"],
        Kind::Bool(false) => &["disabled", "off"],
        _ => &[],
    };
    let meant = known.iter().find(|known| meanings.iter().any(|meaning| known.eq_ignore_ascii_case(meaning)));
    if let (Some(meant), Some(problem)) = (meant, problems.last_mut()) {
        problem.help = Some(format!("write `{meant}`"));
    }
    None
}

pub(crate) fn unknown_word(span: Span, word: &str, known: &[&'static str]) -> Diagnostic {
    let meant = known
        .iter()
        .copied()
        .find(|known| known.eq_ignore_ascii_case(word))
        .or_else(|| did_you_mean(word, known.iter().copied()));
    let message = match meant {
        Some(meant) => format!("unknown value `{word}`; did you mean `{meant}`?"),
        None => format!("unknown value `{word}`"),
    };
    Diagnostic::error(span, message).help(format!("choose from {}", list(known)))
}
