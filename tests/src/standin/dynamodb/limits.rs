//! How many units DynamoDB accepts per second.

use std::collections::HashMap;
use std::time::Instant;

use super::table::Units;
use super::value::Value;

/// The units per second. The units of one second may be used at once.
/// Sources: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The write units of one partition key.
    pub writes_of_partition: f64,
    /// The read units of one partition key.
    pub reads_of_partition: f64,
    /// The write units of the whole table.
    pub writes_of_table: f64,
    /// The read units of the whole table.
    pub reads_of_table: f64,
}

impl Limits {
    /// Those of a table that is billed per request, and has never had more load.
    pub const NEW_TABLE: Self = Self {
        writes_of_partition: 1000.0,
        reads_of_partition: 3000.0,
        writes_of_table: 4000.0,
        reads_of_table: 12_000.0,
    };
    /// Those of a table that had more load before: only partition keys are limited.
    pub const WARM_TABLE: Self =
        Self { writes_of_table: f64::INFINITY, reads_of_table: f64::INFINITY, ..Self::NEW_TABLE };
    /// None.
    pub const NONE: Self =
        Self { writes_of_partition: f64::INFINITY, reads_of_partition: f64::INFINITY, ..Self::WARM_TABLE };
}

/// Token buckets for the table, its partition keys and those of its indexes.
#[derive(Debug)]
pub(super) struct Buckets {
    limits: Limits,
    buckets: HashMap<(Whose, IsRead), Bucket>,
}

type IsRead = bool;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whose {
    Table,
    Partition(Option<String>, String),
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, buckets: HashMap::new() }
    }

    /// Takes the units of a write. Returns whether there were enough; if not, none is taken.
    pub(super) fn write(&mut self, partition: &Value, units: &Units, now: Instant) -> bool {
        let mut taken = vec![(Whose::Table, self.limits.writes_of_table, units.table)];
        let of_partition = |index: Option<&String>, partition: &Value| {
            Whose::Partition(index.cloned(), partition.as_text().unwrap_or_default().to_owned())
        };
        let limit = self.limits.writes_of_partition;
        taken.push((of_partition(None, partition), limit, units.table));
        let of_index =
            units.indexes.iter().map(|(index, partition, units)| (of_partition(Some(index), partition), *units));
        taken.extend(of_index.map(|(whose, units)| (whose, limit, units)));
        self.take(false, &taken, now)
    }

    /// Takes the units of a read. Returns whether there were enough; if not, none is taken.
    pub(super) fn read(&mut self, index: Option<&String>, partition: &Value, units: f64, now: Instant) -> bool {
        let whose = Whose::Partition(index.cloned(), partition.as_text().unwrap_or_default().to_owned());
        let of_table = (Whose::Table, self.limits.reads_of_table, units);
        self.take(true, &[of_table, (whose, self.limits.reads_of_partition, units)], now)
    }

    fn take(&mut self, is_read: IsRead, taken: &[(Whose, f64, f64)], now: Instant) -> bool {
        let limited: Vec<_> = taken.iter().filter(|(_, limit, _)| limit.is_finite()).collect();
        let has_enough =
            limited.iter().all(|(whose, limit, units)| self.bucket(whose, is_read, *limit, now).tokens >= *units);
        if has_enough {
            limited.iter().for_each(|(whose, limit, units)| self.bucket(whose, is_read, *limit, now).tokens -= units);
        }
        has_enough
    }

    fn bucket(&mut self, whose: &Whose, is_read: IsRead, limit: f64, now: Instant) -> &mut Bucket {
        let full = || Bucket { tokens: limit, at: now };
        let bucket = self.buckets.entry((whose.clone(), is_read)).or_insert_with(full);
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        *bucket = Bucket { tokens: (bucket.tokens + elapsed * limit).min(limit), at: now.max(bucket.at) };
        bucket
    }
}
