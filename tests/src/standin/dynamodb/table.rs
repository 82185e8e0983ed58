//! A table with its indexes: what a write or a read does, and the units that it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::Value as Json;

use super::Refusal;
use super::expression::{Condition, Operand, Update};
use super::value::{Item, Value, bytes};

/// A write pays for each KB of an item, a read for each 4 KB.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const WRITE_UNIT: usize = 1024;
const READ_UNIT: usize = 4096;
/// The most bytes of an item.
const ITEM_BYTES_MAX: usize = 400 << 10;
/// The most bytes of a page of a query.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// The values of a key: of the partition key, and of the sort key.
pub(super) type KeyValues = [Value; 2];

/// The names of a key's attributes. Each table and index of a launch table has a sort key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key([String; 2]);

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    key: Key,
    items: BTreeMap<KeyValues, Item>,
    indexes: BTreeMap<String, Index>,
}

#[derive(Debug)]
struct Index {
    key: Key,
    /// The keys of the entries, and of their items.
    entries: BTreeSet<(KeyValues, KeyValues)>,
}

/// A write of one item.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) key: KeyValues,
    pub(super) kind: WriteKind,
    pub(super) condition: Option<Condition>,
    /// Whether a refusal returns the item that is there.
    pub(super) returns_found: bool,
}

#[derive(Debug, Clone)]
pub(super) enum WriteKind {
    Put(Item),
    Update(Update),
    Delete,
}

/// What a write does.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) before: Option<Item>,
    pub(super) after: Option<Item>,
}

/// The units that a request takes, by partition key of the table or of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    pub(super) table: f64,
    /// The index of each partition key and its units.
    pub(super) indexes: Vec<(String, Value, f64)>,
}

/// A query of one partition.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) index: Option<String>,
    pub(super) condition: Condition,
    pub(super) limit: Option<usize>,
    pub(super) after: Option<Item>,
    pub(super) is_backward: bool,
    pub(super) is_consistent: bool,
}

/// A page of a query.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) last: Option<Item>,
    pub(super) partition: Value,
    pub(super) units: f64,
}

impl Key {
    fn parse(schema: &Json) -> Option<Self> {
        let name = |kind: &str| {
            let mut attributes = schema.as_array()?.iter();
            Some(attributes.find(|attribute| attribute["KeyType"] == kind)?["AttributeName"].as_str()?.to_owned())
        };
        Some(Self([name("HASH")?, name("RANGE")?]))
    }

    /// Returns the values of the key in an item that has all its attributes.
    fn of(&self, item: &Item) -> Option<KeyValues> {
        let [partition, sort] = &self.0;
        Some([item.get(partition)?.clone(), item.get(sort)?.clone()])
    }

    fn item(&self, values: &KeyValues) -> Item {
        self.0.iter().cloned().zip(values.iter().cloned()).collect()
    }
}

impl Table {
    /// Creates the table that a template declares.
    ///
    /// # Panics
    /// The declaration is not one of a launch table.
    pub(super) fn new(declared: &Json) -> Self {
        let key = |schema: &Json| Key::parse(schema).unwrap_or_else(|| panic!("it has no key: {declared}"));
        let index = |index: &Json| {
            let name = index["IndexName"].as_str().unwrap_or_else(|| panic!("an index has no name: {declared}"));
            assert_eq!(index["Projection"]["ProjectionType"], "KEYS_ONLY", "an index has more than keys: {declared}");
            (name.to_owned(), Index { key: key(&index["KeySchema"]), entries: BTreeSet::new() })
        };
        let indexes = declared["GlobalSecondaryIndexes"].as_array().into_iter().flatten().map(index).collect();
        Self { key: key(&declared["KeySchema"]), items: BTreeMap::new(), indexes }
    }

    /// Returns all items whose partition keys start with a text.
    pub(super) fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Item> {
        let from = [Value::text(prefix), Value::text("")];
        let starts = move |([partition, _], _): &(&KeyValues, &Item)| {
            partition.as_text().is_some_and(|partition| partition.starts_with(prefix))
        };
        self.items.range(from..).take_while(starts).map(|(_, item)| item)
    }

    /// Returns the key of an item, which may have further attributes.
    pub(super) fn key_of(&self, item: &Item) -> Result<KeyValues, Refusal> {
        let key =
            self.key.of(item).filter(|key| key.iter().all(|value| value.as_text().is_some_and(|it| !it.is_empty())));
        key.ok_or_else(|| Refusal::invalid("an item lacks a text of the table's key"))
    }

    /// Returns the key in a request, which has nothing else.
    pub(super) fn key_in(&self, item: &Item) -> Result<KeyValues, Refusal> {
        if item.len() != self.key.0.len() {
            return Err(Refusal::invalid("the provided key element does not match the schema"));
        }
        self.key_of(item)
    }

    /// Returns what a write would do, or that its condition fails.
    pub(super) fn try_to_write(&self, write: &Write) -> Result<Effect, Refusal> {
        let before = self.items.get(&write.key);
        if write.condition.as_ref().is_some_and(|condition| !condition.holds(before)) {
            return Err(Refusal::condition(before.filter(|_| write.returns_found).cloned()));
        }
        let after = self.after(write, before)?;
        let is_too_large = |item: &Item| bytes(item) > ITEM_BYTES_MAX;
        if after.as_ref().is_some_and(is_too_large) {
            return Err(Refusal::invalid("Item size has exceeded the maximum allowed size"));
        }
        for index in self.indexes.values() {
            let of_wrong_type = |name: &String| after.as_ref()?.get(name).filter(|value| value.as_text().is_none());
            if let Some(value) = index.key.0.iter().find_map(of_wrong_type) {
                return Err(Refusal::invalid(format!("an index's key has the type {}", value.kind())));
            }
        }
        Ok(Effect { before: before.cloned(), after })
    }

    fn after(&self, write: &Write, before: Option<&Item>) -> Result<Option<Item>, Refusal> {
        Ok(match &write.kind {
            WriteKind::Put(item) => Some(item.clone()),
            WriteKind::Delete => None,
            WriteKind::Update(update) => {
                if update.names().any(|name| self.key.0.contains(name)) {
                    return Err(Refusal::invalid("an update changes the key"));
                }
                let new = || self.key.item(&write.key);
                Some(update.apply(&before.cloned().unwrap_or_else(new))?)
            }
        })
    }

    /// Returns the units of a write. One that fails takes those of the table as well, for the larger of the item that
    /// is there and the one that was to be written.
    pub(super) fn units(&self, write: &Write, effect: Option<&Effect>) -> Units {
        let found = self.items.get(&write.key);
        let attempted = match effect {
            Some(effect) => effect.after.clone(),
            None => self.after(write, found).ok().flatten(),
        };
        let largest = found.map_or(0, bytes).max(attempted.as_ref().map_or(0, bytes));
        let indexes = self.indexes.iter().filter(|_| effect.is_some()).flat_map(|(name, index)| {
            let entries = index.units(&self.key, found, attempted.as_ref());
            entries.into_iter().map(|(partition, units)| (name.clone(), partition, units))
        });
        Units { table: write_units(largest), indexes: indexes.collect() }
    }

    /// Makes a write whose effect is known.
    pub(super) fn apply(&mut self, key: &KeyValues, effect: Effect) {
        let Effect { before, after } = effect;
        for index in self.indexes.values_mut() {
            let entry = |item: &Item| Some((index.key.of(item)?, key.clone()));
            let [old, new] = [&before, &after].map(|item| item.as_ref().and_then(entry));
            if old != new {
                old.map(|entry| index.entries.remove(&entry));
                new.map(|entry| index.entries.insert(entry));
            }
        }
        match after {
            Some(item) => drop(self.items.insert(key.clone(), item)),
            None => drop(self.items.remove(key)),
        }
    }

    /// Puts an item as it is.
    pub(super) fn put(&mut self, item: Item) -> Result<(), Refusal> {
        let key = self.key_of(&item)?;
        let before = self.items.get(&key).cloned();
        self.apply(&key, Effect { before, after: Some(item) });
        Ok(())
    }

    /// Reads an item. Returns it with its units.
    pub(super) fn get(&self, key: &KeyValues, is_consistent: bool) -> (Option<&Item>, f64) {
        let item = self.items.get(key);
        (item, read_units(item.map_or(0, bytes), is_consistent))
    }

    /// Reads a page.
    pub(super) fn query(&self, query: &Query) -> Result<Page, Refusal> {
        let index = query.index.as_ref().map(|name| {
            let index = self.indexes.get(name);
            index.ok_or_else(|| Refusal::invalid(format!("the table does not have the specified index: {name}")))
        });
        let index = index.transpose()?;
        if index.is_some() && query.is_consistent {
            return Err(Refusal::invalid("Consistent reads are not supported on global secondary indexes"));
        }
        let key = index.map_or(&self.key, |index| &index.key);
        let (partition, range) = key_condition(key, &query.condition)?;
        let after = query.after.as_ref().map(|after| self.position(key, after)).transpose()?;
        let entries: Box<dyn Iterator<Item = (&Item, (&KeyValues, &KeyValues))>> = match index {
            None => {
                let first = [partition.clone(), Value::text("")];
                let found = self.items.range(first..).take_while(|(key, _)| key[0] == partition);
                Box::new(found.map(|(key, item)| (item, (key, key))))
            }
            Some(index) => {
                let first = ([partition.clone(), Value::text("")], [Value::text(""), Value::text("")]);
                let found = index.entries.range((Bound::Included(first), Bound::Unbounded));
                let found = found.take_while(|(entry, _)| entry[0] == partition);
                Box::new(found.filter_map(|(entry, key)| Some((self.items.get(key)?, (entry, key)))))
            }
        };
        let in_range = |item: &Item| range.as_ref().is_none_or(|range| range.holds(Some(item)));
        let mut entries: Vec<_> = entries.filter(|(item, _)| in_range(item)).collect();
        if query.is_backward {
            entries.reverse();
        }
        let is_after = |at: &(&KeyValues, &KeyValues)| {
            after.as_ref().is_none_or(|(entry, key)| match query.is_backward {
                false => *at > (entry, key),
                true => *at < (entry, key),
            })
        };
        let mut left = entries.into_iter().filter(|(_, at)| is_after(at)).peekable();
        let (mut items, mut read, mut last) = (Vec::new(), 0, None);
        while let Some((item, at)) = left.next() {
            let item = index.map_or_else(|| item.clone(), |index| index.entry(&self.key, item));
            read += bytes(&item);
            items.push(item);
            // A page that ends by its limit has a last key, also if nothing follows.
            if query.limit == Some(items.len()) || (read >= PAGE_BYTES_MAX && left.peek().is_some()) {
                last = Some(key.item(at.0).into_iter().chain(self.key.item(at.1)).collect());
                break;
            }
        }
        Ok(Page { items, last, partition, units: read_units(read, query.is_consistent) })
    }

    /// Returns the position of a key at which a page begins.
    fn position(&self, key: &Key, after: &Item) -> Result<(KeyValues, KeyValues), Refusal> {
        let position = key.of(after).zip(self.key.of(after));
        let names: BTreeSet<&String> = key.0.iter().chain(&self.key.0).collect();
        let is_whole = names.into_iter().eq(after.keys());
        position.filter(|_| is_whole).ok_or_else(|| Refusal::invalid("The provided starting key is invalid"))
    }
}

impl Index {
    /// Returns the entry of an item: its keys.
    fn entry(&self, key: &Key, item: &Item) -> Item {
        let is_key = |name: &String| self.key.0.contains(name) || key.0.contains(name);
        item.iter().filter(|(name, _)| is_key(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Returns the units of a change: those of the entry that is removed, and of the one that is added or changed.
    fn units(&self, key: &Key, before: Option<&Item>, after: Option<&Item>) -> Vec<(Value, f64)> {
        let entry = |item: &Item| Some((self.key.of(item)?, self.entry(key, item)));
        let [old, new] = [before, after].map(|item| item.and_then(entry));
        let units = |(key, item): &(KeyValues, Item)| (key[0].clone(), write_units(bytes(item)));
        match (old, new) {
            (Some(old), Some(new)) if old == new => Vec::new(),
            (Some(old), Some(new)) if old.0 == new.0 => {
                let largest = bytes(&old.1).max(bytes(&new.1));
                vec![(new.0[0].clone(), write_units(largest))]
            }
            (old, new) => old.iter().chain(&new).map(units).collect(),
        }
    }
}

impl Units {
    /// Returns the sum of the units.
    pub(super) fn sum(&self) -> f64 {
        self.table + self.indexes.iter().map(|(.., units)| units).sum::<f64>()
    }
}

/// Returns the partition of a query, and the condition on its sort key.
fn key_condition(key: &Key, condition: &Condition) -> Result<(Value, Option<Condition>), Refusal> {
    let [partition_name, sort_name] = &key.0;
    let invalid = || Refusal::invalid("Query condition missed key schema element, or has others");
    let mut parts = condition.clone().all();
    let is_partition = |part: &Condition| part.equals().is_some_and(|(name, _)| name == partition_name);
    let position = parts.iter().position(is_partition).ok_or_else(invalid)?;
    let partition = parts.remove(position).equals().map(|(_, value)| value.clone()).ok_or_else(invalid)?;
    let range = parts.pop();
    let is_sort = |range: &Condition| {
        let is_key_condition =
            !matches!(range, Condition::Compare(Operand::Name(_), comparison, _) if comparison == "<>");
        is_key_condition && range.subject() == Some(sort_name.as_str())
    };
    match parts.is_empty() && range.as_ref().is_none_or(is_sort) {
        true => Ok((partition, range)),
        false => Err(invalid()),
    }
}

fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(WRITE_UNIT).max(1) as f64
}

fn read_units(bytes: usize, is_consistent: bool) -> f64 {
    let units = bytes.div_ceil(READ_UNIT).max(1) as f64;
    if is_consistent { units } else { units / 2.0 }
}
