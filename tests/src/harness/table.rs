//! The launch table in the emulator: creates it as a deployment does, reads it, and moves its launches in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use trigger_core::launch::{Pool, SetCounts};
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::{FAILED_LIST, Index, ItemKind, TABLE_KEY, known, pack, unpack};

use crate::harness::http::ask;

/// While ECS's rate is lifted, the calls that functions have reserved are forgotten this often.
const RESTS: Duration = Duration::from_millis(20);

/// A launch table in the emulator.
#[derive(Debug, Clone)]
pub struct LaunchTable {
    /// The emulator's address.
    address: String,
    /// The table's name.
    pub name: String,
}

impl LaunchTable {
    pub(super) fn new(address: &str, name: &str) -> Self {
        Self { address: address.to_owned(), name: name.to_owned() }
    }

    /// Creates the table that the template of a config's storage declares.
    pub(super) fn create(address: &str, config: &RoutingConfig) -> Self {
        let (name, declared) = declared(config);
        let table = Self::new(address, &name);
        // CloudFormation calls these properties as the API does.
        let keys = ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];
        let properties = keys.map(|key| (key.to_owned(), declared[key].clone()));
        table.ask("CreateTable", Value::Object(properties.into_iter().collect()));
        table
    }

    /// Returns the attributes of all items whose partition keys start with `prefix`, as plain JSON.
    pub fn items(&self, prefix: &str) -> Vec<Map<String, Value>> {
        let mut items = Vec::new();
        let mut request = json!({
            "FilterExpression": "begins_with(#item, :prefix)",
            "ExpressionAttributeNames": { "#item": TABLE_KEY[0] },
            "ExpressionAttributeValues": { ":prefix": { "S": prefix } },
            "ConsistentRead": true,
        });
        loop {
            let mut answer = self.ask("Scan", request.clone());
            let page = answer["Items"].as_array().into_iter().flatten().filter_map(Value::as_object);
            items.extend(page.map(|item| item.iter().map(|(name, value)| (name.clone(), plain(value))).collect()));
            match answer["LastEvaluatedKey"].take() {
                Value::Null => return items,
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }

    /// Returns the keys and records of a route's launches, in the order of the keys. Each record has its due time.
    ///
    /// # Panics
    /// A record cannot be read.
    pub fn launches(&self, route: &str) -> Vec<(String, Value)> {
        let prefix = ItemKind::Launch.prefix();
        let launch = |item: Map<String, Value>| {
            let key = text(&item, TABLE_KEY[0]).unwrap_or_default().trim_start_matches(prefix).to_owned();
            let mut record = unpacked(&item).unwrap_or_else(|error| panic!("the record of {key}: {error}"));
            let [list, at] = Index::Time.key().map(|name| text(&item, name));
            if let Some(due) = at.filter(|_| list != Some(FAILED_LIST)) {
                record["due"] = due.into();
            }
            (key, record)
        };
        let items = self.items(&ItemKind::Launch.key(&format!("{route}/")));
        items.into_iter().map(launch).collect::<BTreeMap<_, _>>().into_iter().collect()
    }

    /// Returns the number of launches in the only launch set of a route, once it is recorded, and the sums of the set's
    /// counts.
    pub fn set(&self, route: &str) -> (Option<u64>, SetCounts) {
        let (mut total, mut counts) = (None, SetCounts::default());
        for item in self.items(&ItemKind::Set.key(&format!("{route}/"))) {
            total = total.or_else(|| item.get("total")?.as_u64());
            let count = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or_default();
            counts.running += count("running");
            counts.succeeded += count("succeeded");
            counts.failed += count("failed");
            counts.other += count("other");
        }
        (total, counts)
    }

    /// Simulates the passing of time for the launches of a route that `concerns` picks by their records: moves every
    /// time in them back.
    pub fn pass(&self, route: &str, duration: SignedDuration, concerns: impl Fn(&Value) -> bool) {
        for item in self.items(&ItemKind::Launch.key(&format!("{route}/"))) {
            let mut record = unpacked(&item).unwrap_or_else(|error| panic!("the record of {item:?}: {error}"));
            if !concerns(&record) {
                continue;
            }
            earlier(&mut record, duration);
            let key = text(&item, TABLE_KEY[0]).unwrap_or_default();
            let packed = pack(&record.to_string(), &known(key, text(&item, Index::Object.key()[0])));
            let packed = STANDARD.encode(packed.unwrap_or_else(|error| panic!("{key}: {error}")));
            let mut names = json!({ "#record": "record" });
            let mut values = json!({ ":record": { "B": packed } });
            let mut update = "SET #record = :record".to_owned();
            for name in [Index::Time.key()[1], Index::Created.key()[1]] {
                let time: Option<Timestamp> = text(&item, name).and_then(|time| time.parse().ok());
                let Some(time) = time else { continue };
                names[format!("#{name}")] = name.into();
                values[format!(":{name}")] = json!({ "S": format!("{:.3}", time - duration) });
                update += &format!(", #{name} = :{name}");
            }
            let request = json!({
                "Key": item_key(key, "record"),
                "UpdateExpression": update,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            });
            self.ask("UpdateItem", request);
        }
    }

    /// Forgets the calls of RunTask that functions have made or reserved, as after a pause: many may be made at once.
    pub fn rest(&self) {
        for pool in Pool::ALL {
            self.ask("DeleteItem", json!({ "Key": item_key(&ItemKind::Rate.key(pool.as_str()), "next") }));
        }
    }

    /// Lifts ECS's rate until the returned value is dropped, so that a story with many launches does not wait for it.
    pub fn without_rate(&self) -> WithoutRate {
        let (table, is_over) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&is_over);
        let resting = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                table.rest();
                thread::park_timeout(RESTS);
            }
        });
        WithoutRate { is_over, resting: Some(resting) }
    }

    fn ask(&self, operation: &str, mut request: Value) -> Value {
        request["TableName"] = self.name.as_str().into();
        ask(&self.address, &format!("DynamoDB_20120810.{operation}"), &request)
    }
}

/// ECS's rate is lifted while this value exists.
#[derive(Debug)]
pub struct WithoutRate {
    is_over: Arc<AtomicBool>,
    resting: Option<JoinHandle<()>>,
}

impl Drop for WithoutRate {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(resting) = self.resting.take() {
            resting.thread().unpark();
            // An error means that the emulator has ended already.
            let _ = resting.join();
        }
    }
}

/// Returns the name of the table that the template of a config's storage declares, and its properties.
pub(crate) fn declared(config: &RoutingConfig) -> (String, Value) {
    let template = infra::storage(config).unwrap_or_else(|| panic!("the config has no ledger"));
    let mut tables = template.resources().values().filter(|resource| resource["Type"] == "AWS::DynamoDB::Table");
    let properties = tables.next().unwrap_or_else(|| panic!("the storage has no table"))["Properties"].clone();
    let storage = config.storage.as_ref().unwrap_or_else(|| panic!("the config has no storage"));
    (storage.table(), properties)
}

fn item_key(item: &str, part: &str) -> Value {
    json!({ (TABLE_KEY[0]): { "S": item }, (TABLE_KEY[1]): { "S": part } })
}

/// Returns the value of an attribute as plain JSON.
fn plain(attribute: &Value) -> Value {
    let number = || serde_json::from_str(attribute["N"].as_str()?).ok();
    let text = || attribute.get("S").or_else(|| attribute.get("BOOL")).cloned();
    number().or_else(text).unwrap_or_else(|| attribute.clone())
}

fn text<'a>(item: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    item.get(name)?.as_str()
}

/// Returns the record in a launch's item, without the due time of an open launch.
fn unpacked(item: &Map<String, Value>) -> Result<Value, String> {
    let packed = item.get("record").and_then(|record| record["B"].as_str()).ok_or("it is not there")?;
    let packed = STANDARD.decode(packed).map_err(|error| error.to_string())?;
    let known = known(text(item, TABLE_KEY[0]).unwrap_or_default(), text(item, Index::Object.key()[0]));
    let record = unpack(&packed, &known).map_err(|error| error.to_string())?;
    serde_json::from_str(&record).map_err(|error| error.to_string())
}

/// Moves every time in a value back. The result is in whole seconds.
fn earlier(value: &mut Value, duration: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time - duration).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| earlier(value, duration)),
        Value::Object(fields) => fields.values_mut().for_each(|value| earlier(value, duration)),
        _ => {}
    }
}
