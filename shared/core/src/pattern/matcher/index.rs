//! Finds, from an event's values, the alternatives that may match it.
//!
//! Each alternative is filed under one field, its access field: a field whose operators can all be found from a value,
//! by the value itself, its beginning, its end, or its size. Among several such fields the one with the rarest keys is
//! used: an event leads to few candidates however many patterns there are. An alternative without such a field is
//! always a candidate.

use std::collections::HashMap;
use std::net::IpAddr;

use super::scan::{Found, Value};
use super::{CompiledAlternative, CompiledField};
use crate::pattern::number::ComparableNumber;
use crate::pattern::operator::{Literal, NumericRange, Operator, Scalar, parse_address};

/// Alternatives by access key. A number identifies each alternative.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The access keys, by the path's number.
    by_path: Vec<PathIndex>,
    /// The alternatives without an access field.
    always: Vec<u32>,
}

/// An access key: it leads from a value to an operator that may match it.
#[derive(Debug, Clone, PartialEq)]
enum Key<'p> {
    Text(&'p str),
    Address(IpAddr),
    Number(ComparableNumber),
    /// A number beyond a double's precision, by its spelling.
    Spelling(&'p str),
    Literal(Literal),
    Prefix(&'p str),
    Suffix(&'p str),
    Range(&'p NumericRange),
}

/// The access keys of one path.
#[derive(Debug, Default)]
struct PathIndex {
    texts: HashMap<Box<str>, Vec<u32>>,
    addresses: HashMap<IpAddr, Vec<u32>>,
    numbers: HashMap<u64, Vec<u32>>,
    spellings: HashMap<Box<str>, Vec<u32>>,
    literals: [Vec<u32>; 3],
    prefixes: Affixes,
    /// The suffixes, each reversed.
    suffixes: Affixes,
    ranges: Ranges,
}

impl Index {
    pub(super) fn new(alternatives: &[CompiledAlternative], paths: usize) -> Self {
        let everything = (0_u32..).zip(alternatives).flat_map(|(number, alternative)| {
            alternative.fields.iter().filter_map(move |field| Some((number, field.path, keys(field)?)))
        });
        let all = Self::of(everything, paths);
        let mut always = Vec::new();
        let chosen = (0_u32..).zip(alternatives).filter_map(|(number, alternative)| {
            let accessible = alternative.fields.iter().filter_map(|field| Some((field.path, keys(field)?)));
            let rarest = accessible.min_by_key(|(path, keys)| {
                keys.iter().map(|key| all.by_path[*path as usize].frequency(key)).max().unwrap_or(0)
            });
            if rarest.is_none() {
                always.push(number);
            }
            rarest.map(|(path, keys)| (number, path, keys))
        });
        let by_path = Self::of(chosen, paths).by_path;
        Self { by_path, always }
    }

    fn of<'p>(entries: impl Iterator<Item = (u32, u32, Vec<Key<'p>>)>, paths: usize) -> Self {
        let mut by_path: Vec<PathIndex> = (0..paths).map(|_| PathIndex::default()).collect();
        for (number, path, keys) in entries {
            for key in keys {
                by_path[path as usize].add(&key, number);
            }
        }
        by_path.iter_mut().for_each(PathIndex::finish);
        Self { by_path, always: Vec::new() }
    }

    /// Returns the alternatives that may match, each once, in ascending order.
    pub(super) fn candidates(&self, found: &Found<'_>) -> Vec<u32> {
        let mut candidates = self.always.clone();
        let mut settled = candidates.len();
        for value in found.distinct_values() {
            self.by_path[value.path as usize].lookup(value, &mut candidates);
            // The elements of an array may lead to the same alternatives repeatedly.
            if candidates.len() > 2 * settled + REPEATED_MAX {
                unify(&mut candidates);
                settled = candidates.len();
            }
        }
        unify(&mut candidates);
        candidates
    }
}

/// Duplicates are removed when there are this many more candidates than twice those after the last removal.
const REPEATED_MAX: usize = 1000;

fn unify(candidates: &mut Vec<u32>) {
    candidates.sort_unstable();
    candidates.dedup();
}

/// Returns the keys of all operators of a field, or `None` if one of the operators cannot be found from a value.
fn keys(field: &CompiledField) -> Option<Vec<Key<'_>>> {
    field.operators.iter().map(key).collect()
}

fn key(operator: &Operator) -> Option<Key<'_>> {
    match operator {
        Operator::Equals(text) | Operator::Exactly(text) => Some(Key::Text(text)),
        Operator::EqualsAddress(address) => Some(Key::Address(*address)),
        Operator::EqualsNumber(number) => Some(match number.value {
            Some(value) => Key::Number(value),
            None => Key::Spelling(&number.text),
        }),
        Operator::EqualsLiteral(literal) => Some(Key::Literal(*literal)),
        Operator::Prefix(prefix) if !prefix.is_empty() => Some(Key::Prefix(prefix)),
        Operator::Suffix(suffix) if !suffix.is_empty() => Some(Key::Suffix(suffix)),
        Operator::Wildcard(wildcard) if !wildcard.head().is_empty() => Some(Key::Prefix(wildcard.head())),
        Operator::Wildcard(wildcard) if !wildcard.tail().is_empty() => Some(Key::Suffix(wildcard.tail())),
        Operator::Numeric(range) => Some(Key::Range(range)),
        _ => None,
    }
}

impl PathIndex {
    fn add(&mut self, key: &Key<'_>, number: u32) {
        match key {
            Key::Text(text) => self.texts.entry((*text).into()).or_default().push(number),
            Key::Address(address) => self.addresses.entry(*address).or_default().push(number),
            Key::Number(value) => self.numbers.entry(value.value().to_bits()).or_default().push(number),
            Key::Spelling(text) => self.spellings.entry((*text).into()).or_default().push(number),
            Key::Literal(literal) => self.literals[*literal as usize].push(number),
            Key::Prefix(prefix) => self.prefixes.add(prefix.bytes().collect(), number),
            Key::Suffix(suffix) => self.suffixes.add(suffix.bytes().rev().collect(), number),
            Key::Range(range) => self.ranges.add(range, number),
        }
    }

    fn finish(&mut self) {
        self.prefixes.finish();
        self.suffixes.finish();
        self.ranges.finish();
    }

    /// Estimates how many candidates a value leads to if this key is among its keys.
    fn frequency(&self, key: &Key<'_>) -> usize {
        let mut numbers = Vec::new();
        match key {
            Key::Text(text) => return self.texts.get(*text).map_or(0, Vec::len),
            Key::Address(address) => return self.addresses.get(address).map_or(0, Vec::len),
            Key::Number(value) => return self.numbers.get(&value.value().to_bits()).map_or(0, Vec::len),
            Key::Spelling(text) => return self.spellings.get(*text).map_or(0, Vec::len),
            Key::Literal(literal) => return self.literals[*literal as usize].len(),
            Key::Prefix(prefix) => self.prefixes.lookup(prefix.as_bytes(), &mut numbers),
            Key::Suffix(suffix) => self.suffixes.lookup(&suffix.bytes().rev().collect::<Vec<u8>>(), &mut numbers),
            Key::Range(range) => match range.bottom.or(range.top) {
                Some((end, _)) => self.ranges.lookup(end, &mut numbers),
                None => return self.ranges.entries.len(),
            },
        }
        numbers.len()
    }

    #[inline]
    fn lookup(&self, value: &Value<'_>, numbers: &mut Vec<u32>) {
        match &value.scalar {
            Scalar::String(text) => self.lookup_text(text, numbers),
            Scalar::Number(text) => self.lookup_number(text, numbers),
            Scalar::Literal(literal) => numbers.extend_from_slice(&self.literals[*literal as usize]),
        }
    }

    fn lookup_text(&self, text: &str, numbers: &mut Vec<u32>) {
        if !self.texts.is_empty() {
            numbers.extend(self.texts.get(text).into_iter().flatten());
        }
        if !self.addresses.is_empty()
            && let Some(address) = parse_address(text)
        {
            numbers.extend(self.addresses.get(&address).into_iter().flatten());
        }
        self.prefixes.lookup(text.as_bytes(), numbers);
        if !self.suffixes.sorted.is_empty() {
            self.suffixes.lookup(&text.bytes().rev().collect::<Vec<u8>>(), numbers);
        }
    }

    fn lookup_number(&self, text: &str, numbers: &mut Vec<u32>) {
        if !self.spellings.is_empty() {
            numbers.extend(self.spellings.get(text).into_iter().flatten());
        }
        if self.numbers.is_empty() && self.ranges.entries.is_empty() {
            return;
        }
        if let Some(value) = ComparableNumber::parse(text) {
            numbers.extend(self.numbers.get(&value.value().to_bits()).into_iter().flatten());
            self.ranges.lookup(value, numbers);
        }
    }
}

/// A set of texts, to find those that a longer text begins with.
#[derive(Debug, Default)]
struct Affixes {
    /// In ascending order once finished, each text once.
    sorted: Vec<Affix>,
}

#[derive(Debug)]
struct Affix {
    text: Box<[u8]>,
    numbers: Vec<u32>,
    /// The longest other text in the set that this one begins with.
    shorter: Option<u32>,
}

impl Affixes {
    fn add(&mut self, text: Box<[u8]>, number: u32) {
        self.sorted.push(Affix { text, numbers: vec![number], shorter: None });
    }

    fn finish(&mut self) {
        self.sorted.sort_by(|one, other| one.text.cmp(&other.text));
        self.sorted.dedup_by(|next, kept| {
            let same = next.text == kept.text;
            if same {
                kept.numbers.append(&mut next.numbers);
            }
            same
        });
        // In ascending order, a text comes after its prefixes: the stack holds the prefixes of the current text.
        let mut open: Vec<u32> = Vec::new();
        for at in 0..self.sorted.len() {
            while open.last().is_some_and(|last| !self.sorted[at].text.starts_with(&self.sorted[*last as usize].text)) {
                open.pop();
            }
            self.sorted[at].shorter = open.last().copied();
            open.push(at as u32);
        }
    }

    /// Finds all texts that `text` begins with: each is the greatest text not above it, or a prefix of that text.
    fn lookup(&self, text: &[u8], numbers: &mut Vec<u32>) {
        let above = self.sorted.partition_point(|affix| *affix.text <= *text);
        let mut at = above.checked_sub(1);
        while let Some(affix) = at.map(|at| &self.sorted[at]) {
            if text.starts_with(&affix.text) {
                numbers.extend_from_slice(&affix.numbers);
            }
            at = affix.shorter.map(|shorter| shorter as usize);
        }
    }
}

/// A set of ranges, to find those that may contain a number: a segment tree over their ends.
#[derive(Debug, Default)]
struct Ranges {
    entries: Vec<(Option<ComparableNumber>, Option<ComparableNumber>, u32)>,
    /// All ends in ascending order. They divide the numbers into points and gaps: point i is leaf 2i + 1, and the gap
    /// before it is leaf 2i.
    ends: Vec<ComparableNumber>,
    /// The nodes of the tree; the leaves are the second half.
    nodes: Vec<Vec<u32>>,
}

impl Ranges {
    fn add(&mut self, range: &NumericRange, number: u32) {
        let end = |end: Option<(ComparableNumber, bool)>| end.map(|(end, _)| end);
        self.entries.push((end(range.bottom), end(range.top), number));
    }

    fn leaves(&self) -> usize {
        2 * self.ends.len() + 1
    }

    fn finish(&mut self) {
        self.ends = self.entries.iter().flat_map(|(bottom, top, _)| [*bottom, *top]).flatten().collect();
        self.ends.sort_unstable();
        self.ends.dedup();
        let leaves = self.leaves();
        let mut nodes = vec![Vec::new(); 2 * leaves];
        let leaf_of = |end: &ComparableNumber| 2 * self.ends.partition_point(|other| other < end) + 1;
        for (bottom, top, number) in &self.entries {
            let mut from = leaves + bottom.as_ref().map_or(0, leaf_of);
            let mut to = leaves + top.as_ref().map_or(leaves, |top| leaf_of(top) + 1);
            while from < to {
                if from % 2 == 1 {
                    nodes[from].push(*number);
                    from += 1;
                }
                if to % 2 == 1 {
                    to -= 1;
                    nodes[to].push(*number);
                }
                from /= 2;
                to /= 2;
            }
        }
        self.nodes = nodes;
    }

    fn lookup(&self, value: ComparableNumber, numbers: &mut Vec<u32>) {
        if self.entries.is_empty() {
            return;
        }
        let below = self.ends.partition_point(|end| *end < value);
        let is_end = self.ends.get(below) == Some(&value);
        let mut node = self.leaves() + 2 * below + usize::from(is_end);
        while node > 0 {
            numbers.extend_from_slice(&self.nodes[node]);
            node /= 2;
        }
    }
}
