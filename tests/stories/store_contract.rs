//! The launch store on DynamoDB keeps the contract of the store in memory: the same operations give the same answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use e2e::standin::{DynamoDb, Limits};
use e2e::{Emulator, Passage, Proxy};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::runtime::Runtime;
use trigger_aws::DynamoStore;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{Filter, HistoryQuery, LaunchState, Launches, ObjectName};
use trigger_core::launch::{
    Conclusion, LaunchRecord, LaunchSet, LaunchedTask, Line, Outcome, Pool, Sequence, SetCounts, Skipped, Slot,
};
use trigger_core::pattern::operator::Wildcard;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::{Index, TABLE_KEY, due_list};
use trigger_core::text::Source;
use trigger_engine::StoreModel;
use trigger_engine::ports::{Begun, Change, Cursor, DuePage, HistoryPage, LaunchStore, StoreError, Stored};

/// Few, so that the steps often meet.
const LAUNCHES: usize = 10;
const LIMITS: [&str; 2] = ["r/a", "r/b"];
const SETS: [&str; 2] = ["r/s", "r/t"];
const ROUTES: [&str; 2] = ["r", "s"];
const OBJECTS: [&str; 2] = ["in/a.csv", "in/b c.csv"];
/// A reserved time may differ by this much, because DynamoDB holds microseconds.
const ROUNDED: SignedDuration = SignedDuration::from_millis(1);

/// The two stores, at a time of the story's own.
struct Twins {
    store: DynamoStore,
    model: StoreModel,
    runtime: Runtime,
    rng: Rng,
    now: Timestamp,
    /// How many steps changed something, and how many were refused.
    advanced: usize,
    handed: usize,
    refused: usize,
    /// How many launches were told of.
    told: usize,
}

impl Twins {
    /// Creates empty stores. The one on DynamoDB uses the empty table of this name, and reaches it through this
    /// endpoint.
    fn new(table: &str, endpoint: &str, seed: u64) -> Self {
        Self {
            store: DynamoStore::new(Client::from_conf(client(endpoint).build()), table.to_owned()),
            model: StoreModel::default(),
            runtime: Runtime::new().expect("a runtime"),
            rng: Rng::with_seed(seed),
            now: beginning(),
            advanced: 0,
            handed: 0,
            refused: 0,
            told: 0,
        }
    }

    /// Carries out a random operation on both stores, and compares the answers.
    fn step(&mut self) {
        self.now += SignedDuration::from_millis(self.rng.i64(0..2000));
        match self.rng.u32(0..24) {
            0..4 => self.begin(),
            4..12 => self.advance(),
            12 => self.read(),
            13 => self.look_at_lines(),
            14 => self.take_turn(),
            15 => self.sets(),
            16 => self.due(),
            17 => self.postpone(),
            18..20 => self.hand_over(),
            20..22 => (0..5).for_each(|_| self.history()),
            _ => self.reserve(),
        }
    }

    fn draw_tickets(&mut self, limit: &str, count: u32) -> u64 {
        let first = self.runtime.block_on(self.store.draw_tickets(limit, count)).expect("are drawn");
        assert_eq!(first, self.model.draw_tickets(limit, count));
        first
    }

    fn begin(&mut self) {
        let count = self.rng.usize(1..5);
        let numbers = self.rng.choose_multiple(0..LAUNCHES, count);
        let mut records: Vec<LaunchRecord> = numbers.into_iter().map(record).collect();
        for record in &mut records {
            (record.created, record.due) = (self.now, self.later());
            if record.concurrency.is_some() && self.rng.bool() {
                self.wait(record);
            }
        }
        let begun: Vec<Begun> = self.runtime.block_on(self.store.begin(&records)).expect("are recorded");
        assert_eq!(begun, records.iter().map(|record| self.model.begin(record)).collect::<Vec<_>>());
    }

    /// Gives a launch a new ticket, with which it waits.
    fn wait(&mut self, record: &mut LaunchRecord) {
        let limit = record.concurrency.as_ref().expect("has a limit").slots.clone();
        record.ticket = Some(self.draw_tickets(&limit, 1));
        record.slot = Some(Slot::Waiting);
    }

    fn advance(&mut self) {
        let known: Vec<LaunchKey> = self.model.launches().map(|record| record.key.clone()).collect();
        let Some(key) = self.rng.choice(known) else { return };
        let stored = self.model.read(&key).expect("is known");
        let mut record = stored.record.clone();
        self.go_on(&mut record);
        let mut change = Change::new(&stored, record);
        if self.rng.u32(0..5) == 0 {
            // Another process has written the record, or this one is not there yet.
            change.version = if self.rng.bool() { change.version + 1 } else { change.version - 1 };
        }
        let advanced: Result<Stored, StoreError> = self.runtime.block_on(self.store.advance(&change));
        assert_eq!(advanced, self.model.advance(&change), "{change:?}");
        match advanced {
            Ok(_) => self.advanced += 1,
            Err(_) => self.refused += 1,
        }
    }

    /// Hands a slot from one launch to another, if there are two such launches.
    fn hand_over(&mut self) {
        let with = |slot: Slot, limit: Option<&str>| -> Vec<LaunchKey> {
            let is_it = |record: &&LaunchRecord| {
                let own = record.concurrency.as_ref().map(|concurrency| concurrency.slots.as_str());
                record.slot == Some(slot) && record.ticket.is_some() && limit.is_none_or(|limit| own == Some(limit))
            };
            self.model.launches().filter(is_it).map(|record| record.key.clone()).collect()
        };
        let Some(from) = self.rng.clone().choice(with(Slot::Held, None)) else { return };
        let from = self.model.read(&from).expect("is known");
        let limit = from.record.concurrency.as_ref().map(|concurrency| concurrency.slots.clone());
        let Some(to) = self.rng.clone().choice(with(Slot::Waiting, limit.as_deref())) else { return };
        let to = self.model.read(&to).expect("is known");
        let ended = Some(Conclusion { at: self.now, outcome: Outcome::Succeeded });
        let mut released =
            Change::new(&from, LaunchRecord { slot: Some(Slot::Released), ended, ..from.record.clone() });
        let mut taken = Change::new(&to, LaunchRecord { slot: Some(Slot::Held), ..to.record.clone() });
        match self.rng.u32(0..6) {
            0 => released.version += 1,
            1 => taken.version += 1,
            _ => {}
        }
        let handed = self.runtime.block_on(self.store.hand_over(&released, &taken));
        assert_eq!(handed, self.model.hand_over(&released, &taken), "{released:?} {taken:?}");
        match handed {
            Ok(_) => self.handed += 1,
            Err(_) => self.refused += 1,
        }
    }

    /// Changes what a write may change of a record.
    fn go_on(&mut self, record: &mut LaunchRecord) {
        record.due = self.later();
        match (record.slot, self.rng.bool()) {
            _ if record.concurrency.is_none() => {}
            (None | Some(Slot::Released), true) => self.wait(record),
            // A launch of a route that skips has no ticket.
            (None, false) => record.slot = Some(Slot::Held),
            (Some(Slot::Waiting), true) => record.slot = Some(Slot::Held),
            (Some(Slot::Waiting | Slot::Held), false) => record.slot = Some(Slot::Released),
            (Some(Slot::Held), true) | (Some(Slot::Released), false) => {}
        }
        if self.rng.bool() {
            record.tasks.push(LaunchedTask {
                arn: format!("arn:aws:ecs:us-east-1:000000000000:task/batch/{}", record.tasks.len()),
                attempt: 0,
                since: self.now,
                stop: None,
                stop_asked: false,
                stopped: None,
                retried: false,
            });
        }
        let outcomes = [
            Outcome::Succeeded,
            Outcome::Stopped,
            Outcome::Replaced,
            Outcome::Skipped(Skipped::Full),
            Outcome::DeadLettered(format!("it failed {} times", self.rng.u32(0..5))),
        ];
        let outcome = self.rng.choice(outcomes).filter(|_| self.rng.bool());
        record.ended = outcome.map(|outcome| Conclusion { at: self.now, outcome });
    }

    /// Returns a launch, a millisecond after the one before. Each third has failed.
    fn recorded(&mut self, number: usize) -> LaunchRecord {
        self.now += SignedDuration::from_millis(1);
        let failed = Conclusion { at: self.now, outcome: Outcome::DeadLettered("it failed".to_owned()) };
        let ended = Some(failed).filter(|_| number % 3 == 1);
        LaunchRecord { created: self.now, due: self.now, ended, concurrency: None, ..record(number) }
    }

    fn read(&mut self) {
        // One of the launches is never recorded.
        let count = self.rng.usize(1..=LAUNCHES);
        let keys: Vec<LaunchKey> = self.rng.choose_multiple(0..=LAUNCHES, count).into_iter().map(key).collect();
        let read: Vec<Option<Stored>> = self.runtime.block_on(self.store.read(&keys)).expect("are read");
        assert_eq!(read, keys.iter().map(|key| self.model.read(key)).collect::<Vec<_>>());
    }

    fn look_at_lines(&self) {
        for limit in LIMITS {
            let line: Line = self.runtime.block_on(self.store.line(limit)).expect("is read");
            assert_eq!(line, self.model.line(limit));
        }
    }

    fn take_turn(&mut self) {
        let name = self.rng.choice(["r/x", "r/y"]).expect("there are some").to_owned();
        let sequencer = self.rng.choice(["0A", "0A1", "0B", "1"]).expect("there are some").to_owned();
        let sequence = Sequence { name, sequencer };
        let turn = self.runtime.block_on(self.store.take_turn(&sequence, &key(0))).expect("is answered");
        assert_eq!(turn, self.model.take_turn(&sequence), "{sequence:?}");
    }

    fn sets(&mut self) {
        let name = self.rng.choice(SETS).expect("there are some");
        if self.rng.bool() {
            let total = self.rng.u32(2..100);
            let set = LaunchSet { name: name.to_owned(), event_id: "e".to_owned(), total, created: self.now };
            self.runtime.block_on(self.store.record_set(&set)).expect("is recorded");
            self.model.record_set(&set);
        }
        let set: Option<(LaunchSet, SetCounts)> = self.runtime.block_on(self.store.read_set(name)).expect("is read");
        assert_eq!(set, self.model.read_set(name));
    }

    fn due(&mut self) {
        let until = self.later();
        let of_table = all(|after| self.runtime.block_on(self.store.due(until, after)).expect("is listed"));
        assert_eq!(of_table, all(|after| self.model.due(until, after)));
    }

    fn postpone(&mut self) {
        let key = key(self.rng.usize(0..=LAUNCHES));
        self.runtime.block_on(self.store.postpone(&key, self.now)).expect("is postponed");
        self.model.postpone(&key, self.now);
    }

    /// Asks a random question about what was launched.
    fn history(&mut self) {
        let object = ObjectName { bucket: "uploads".to_owned(), key: self.any(&OBJECTS).to_owned() };
        let of = self.any(&[Launches::All, Launches::Failed, Launches::Of(object), Launches::Open]);
        let route = self.rng.bool().then(|| self.any(&ROUTES).to_owned());
        let (since, until) = (self.rng.bool().then(|| self.earlier()), self.rng.bool().then(|| self.earlier()));
        let filters = [
            Filter { states: vec![LaunchState::Running, LaunchState::Skipped], ..Filter::default() },
            Filter { reason: Wildcard::parse("it*3*").ok(), ..Filter::default() },
            Filter { event_id: Some("e-1".to_owned()), ..Filter::default() },
            Filter { ecs_task: Some("1".to_owned()), ..Filter::default() },
        ];
        let filter = if self.rng.bool() { Filter::default() } else { self.any(&filters) };
        let page = self.rng.usize(1..5);
        self.ask(&HistoryQuery { of, route, since, until, filter, page });
    }

    /// Asks both stores the same, up to the last page, and compares the answers.
    fn ask(&mut self, query: &HistoryQuery) {
        let of_table = told(query, |after| self.runtime.block_on(self.store.history(query, after)).expect("is listed"));
        let of_model = told(query, |after| self.model.history(query, after.as_ref()));
        assert_eq!(of_table, of_model, "{query:?}");
        self.told += of_table.len();
    }

    fn any<T: Clone>(&mut self, of: &[T]) -> T {
        self.rng.choice(of.iter()).expect("there are some").clone()
    }

    /// Returns a time since the story has begun.
    fn earlier(&mut self) -> Timestamp {
        let passed = self.now.duration_since(beginning()).as_micros();
        beginning() + SignedDuration::from_micros(self.rng.i64(0..=i64::try_from(passed).expect("is short")))
    }

    fn reserve(&mut self) {
        let pool = self.rng.choice(Pool::ALL).expect("there are some");
        if self.rng.u32(0..5) == 0 {
            self.runtime.block_on(self.store.slow_down(pool, self.now)).expect("is slowed down");
            return self.model.slow_down(pool, self.now);
        }
        let calls = self.rng.u32(1..60);
        let longest = if self.rng.bool() { SignedDuration::ZERO } else { SignedDuration::from_secs(3) };
        let reserved = self.store.reserve_calls(pool, calls, self.now, longest);
        let reserved = self.runtime.block_on(reserved).expect("is answered");
        let expected = self.model.reserve_calls(pool, calls, self.now, longest);
        let differs = reserved.zip(expected).map(|(one, other)| one.first.duration_since(other.first).abs());
        assert!(
            reserved.is_some() == expected.is_some() && differs.is_none_or(|differs| differs <= ROUNDED),
            "{reserved:?} instead of {expected:?}"
        );
    }

    /// Compares everything that the stores hold.
    fn compare(&mut self) {
        let keys: Vec<LaunchKey> = (0..=LAUNCHES).map(key).collect();
        let read: Vec<Option<Stored>> = self.runtime.block_on(self.store.read(&keys)).expect("are read");
        assert_eq!(read, keys.iter().map(|key| self.model.read(key)).collect::<Vec<_>>());
        self.look_at_lines();
        for name in SETS {
            let set = self.runtime.block_on(self.store.read_set(name)).expect("is read");
            assert_eq!(set, self.model.read_set(name));
        }
        self.due();
    }

    /// Returns a time in the next minutes. DynamoDB holds due times in milliseconds.
    fn later(&mut self) -> Timestamp {
        self.now + SignedDuration::from_millis(self.rng.i64(0..300_000))
    }
}

/// Returns the launches of all pages.
fn all(mut page: impl FnMut(Option<Cursor>) -> DuePage) -> BTreeSet<LaunchKey> {
    let (mut launches, mut after) = (BTreeSet::new(), None);
    loop {
        let listed = page(after);
        launches.extend(listed.launches);
        after = listed.next;
        if after.is_none() {
            return launches;
        }
    }
}

/// Returns the launches of all pages of an answer. Those of the same time are in the order of their keys.
fn told(query: &HistoryQuery, mut page: impl FnMut(Option<Cursor>) -> HistoryPage) -> Vec<Stored> {
    let time = |launch: &Stored| match query.of {
        Launches::Open => launch.record.due.as_millisecond(),
        _ => -query.time(&launch.record).as_millisecond(),
    };
    let (mut launches, mut after) = (Vec::new(), None);
    loop {
        let HistoryPage { launches: of_page, unreadable, next } = page(after);
        assert!(of_page.len() <= query.page, "{} launches on a page: {query:?}", of_page.len());
        assert_eq!(unreadable, []);
        launches.extend(of_page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert!(launches.is_sorted_by_key(time), "{query:?}: {launches:?}");
    launches.sort_by_key(|launch| (time(launch), launch.record.key.to_string()));
    launches
}

/// Returns the time at which a story begins.
fn beginning() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("is a time")
}

fn key(number: usize) -> LaunchKey {
    LaunchKey::new(ROUTES[number % 2], "2026-01-01", &format!("{number:032}"))
}

/// Returns a launch that is not recorded. Some have a limit, some are in a set, and the events of some are about an
/// object.
fn record(number: usize) -> LaunchRecord {
    let limit = |slots: &str, max: u32| json!({ "slots": slots, "max": max, "when_full": "queue" });
    let concurrency = [None, Some(limit(LIMITS[0], 2)), Some(limit(LIMITS[1], 3))][number % 3].clone();
    let set = [None, Some(SETS[0]), Some(SETS[1])][number / 2 % 3];
    let of_object = |key: &str| json!(["s3", "Object Created", "uploads", key, "v", "0A"]);
    let identity = [json!(["e"]), of_object(OBJECTS[0]), of_object(OBJECTS[1])][number % 3].clone();
    let record = json!({
        "version": 2,
        "key": key(number),
        "task": "t",
        "event_id": format!("e-{}", number % 4),
        "identity": identity,
        "event": { "text": "{}" },
        "request": { "taskDefinition": "t", "startedBy": "s", "clientToken": "c" },
        "concurrency": concurrency,
        "set": set,
        "created": "2026-01-01T00:00:00Z",
        "due": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(record).expect("is a record")
}

/// Returns the configuration of a client.
fn client(endpoint: &str) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(trigger_aws::clients::https())
        .endpoint_url(endpoint)
}

/// Returns a config with a launch table.
fn config() -> RoutingConfig {
    let config = "version: 1\nstorage: { bucket: state, table: launches }\ntasks: {}\nroutes: []\n";
    RoutingConfig::parse(Source::new("ecs-trigger.yaml", config)).expect("the config is valid")
}

/// Starts DynamoDB's stand-in with an empty table, without latency and limits.
fn stand_in() -> DynamoDb {
    DynamoDb::start(&config(), Duration::ZERO, Limits::NONE)
}

/// Carries out many random operations on a table and in memory.
fn compare_operations(table: &str, endpoint: &str) {
    let mut twins = Twins::new(table, endpoint, 1);
    (0..600).for_each(|_| twins.step());
    twins.compare();
    // Guards against steps of which few do anything.
    assert!(twins.advanced > 100 && twins.refused > 30, "{} advanced, {} refused", twins.advanced, twins.refused);
    assert!(twins.handed > 5, "{} slots were handed over", twins.handed);
    assert!(twins.told > 300, "{} launches were told of", twins.told);
}

#[test]
fn a_page_of_history_takes_few_requests() {
    const OTHERS: usize = 700;
    let emulator = Emulator::start();
    let proxy = Proxy::start(emulator.address(), |_| Passage::Pass);
    let mut twins = Twins::new(&emulator.create_table(&config()).name, &proxy.endpoint, 3);
    // Of the last launches, each third failed; the events of two thirds are about one of the two objects.
    let records: Vec<LaunchRecord> = (0..OTHERS + 600).map(|number| twins.recorded(number)).collect();
    twins.runtime.block_on(twins.store.begin(&records)).expect("are recorded");
    records.iter().for_each(|record| drop(twins.model.begin(record)));
    let object = ObjectName { bucket: "uploads".to_owned(), key: OBJECTS[0].to_owned() };
    let route = Some(ROUTES[0].to_owned());
    for (query, most) in [
        (HistoryQuery::new(Launches::All), 3),
        (HistoryQuery { route: route.clone(), ..HistoryQuery::new(Launches::All) }, 3),
        (HistoryQuery::new(Launches::Failed), 2),
        (HistoryQuery { route: route.clone(), ..HistoryQuery::new(Launches::Failed) }, 2),
        (HistoryQuery::new(Launches::Of(object.clone())), 2),
        (HistoryQuery { route, ..HistoryQuery::new(Launches::Of(object)) }, 2),
        (HistoryQuery::new(Launches::Open), 5),
    ] {
        let before = proxy.calls().len();
        let page = twins.runtime.block_on(twins.store.history(&query, None)).expect("is listed");
        let requests = proxy.calls().len() - before;
        assert_eq!((page.launches.len(), page.next.is_some()), (100, true), "{query:?}");
        assert_eq!(requests, most, "{query:?}");
        twins.ask(&query);
    }
}

/// Carries out operations whose answers are often lost on their way from this endpoint.
fn compare_with_lost_answers(table: &str, endpoint: &str) {
    let loses = Arc::new(AtomicBool::new(false));
    let (now, mut writes) = (Arc::clone(&loses), 0);
    let proxy = Proxy::start(endpoint.trim_start_matches("http://"), move |asked| {
        let is_write = matches!(asked.operation(), "PutItem" | "UpdateItem" | "TransactWriteItems");
        // A ticket that is drawn again does no harm, but has another number.
        if !is_write || !now.load(Ordering::Relaxed) || asked.body.contains(r#""tickets""#) {
            return Passage::Pass;
        }
        writes += 1;
        if writes % 3 == 1 { Passage::LoseResponse } else { Passage::Pass }
    });
    let mut twins = Twins::new(table, &proxy.endpoint, 2);
    (0..100).for_each(|_| twins.step());
    loses.store(true, Ordering::Relaxed);
    for number in 0..30 {
        match number % 5 {
            0 => twins.begin(),
            1 => twins.take_turn(),
            2 => twins.sets(),
            _ => twins.advance(),
        }
    }
    loses.store(false, Ordering::Relaxed);
    twins.compare();
}

#[test]
fn the_same_operations_give_the_same_answers() {
    let emulator = Emulator::start();
    compare_operations(&emulator.create_table(&config()).name, &emulator.endpoint);
}

#[test]
fn writes_whose_answers_are_lost_give_the_same_answers() {
    let emulator = Emulator::start();
    compare_with_lost_answers(&emulator.create_table(&config()).name, &emulator.endpoint);
}

/// The benchmark of the launch store rests on the stand-in.
#[test]
fn the_stand_in_gives_the_same_answers() {
    let stand_in = stand_in();
    compare_operations(&stand_in.table, &stand_in.endpoint);
    assert!(stand_in.take_calls().iter().all(|call| call.refused.as_deref() != Some("ValidationException")));
}

#[test]
fn the_stand_in_gives_the_same_answers_when_some_are_lost() {
    let stand_in = stand_in();
    compare_with_lost_answers(&stand_in.table, &stand_in.endpoint);
}

/// Requests to a launch table without the launch store.
struct Table {
    client: Client,
    name: String,
    runtime: Runtime,
}

type Attributes = HashMap<String, AttributeValue>;

impl Table {
    /// A refused request is not repeated.
    fn new(name: &str, endpoint: &str) -> Self {
        let client = Client::from_conf(client(endpoint).retry_config(RetryConfig::disabled()).build());
        Self { client, name: name.to_owned(), runtime: Runtime::new().expect("a runtime") }
    }

    /// Puts an item. Returns the units that it takes, or the code of the refusal.
    fn put(&self, item: Attributes) -> Result<f64, String> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let put = self.runtime.block_on(put.return_consumed_capacity(ReturnConsumedCapacity::Total).send());
        put.map(|put| units(put.consumed_capacity())).map_err(|error| error.code().unwrap_or_default().to_owned())
    }

    fn put_in_transaction(&self, item: Attributes) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.name).set_item(Some(item)).build().expect("is complete");
        TransactWriteItem::builder().put(put).build()
    }

    fn delete_in_transaction(&self, key: Attributes) -> TransactWriteItem {
        let delete = Delete::builder().table_name(&self.name).set_key(Some(key)).build().expect("is complete");
        TransactWriteItem::builder().delete(delete).build()
    }

    fn count_in_transaction(&self, key: Attributes) -> TransactWriteItem {
        let update = Update::builder().table_name(&self.name).set_key(Some(key)).update_expression("ADD #count :one");
        let update = update.expression_attribute_names("#count", "count");
        let update = update.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        TransactWriteItem::builder().update(update.build().expect("is complete")).build()
    }

    fn transact(&self, actions: Vec<TransactWriteItem>) -> f64 {
        let transact = self.client.transact_write_items().set_transact_items(Some(actions));
        let transact = transact.return_consumed_capacity(ReturnConsumedCapacity::Total).send();
        units(self.runtime.block_on(transact).expect("is made").consumed_capacity().first())
    }

    fn get(&self, keys: Vec<Attributes>, is_consistent: bool) -> f64 {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(is_consistent).build();
        let get = self.client.batch_get_item().request_items(&self.name, keys.expect("is complete"));
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total).send();
        units(self.runtime.block_on(get).expect("are read").consumed_capacity().first())
    }

    fn query(&self, index: Option<&str>, name: &str, value: &str) -> f64 {
        let query = self.client.query().table_name(&self.name).set_index_name(index.map(str::to_owned));
        let query = query.key_condition_expression("#name = :value").expression_attribute_names("#name", name);
        let query = query.expression_attribute_values(":value", text(value)).consistent_read(index.is_none());
        let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total).send();
        units(self.runtime.block_on(query).expect("is read").consumed_capacity())
    }
}

fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).expect("is told")
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
}

fn item_key(item: &str) -> Attributes {
    attributes(&[(TABLE_KEY[0], item), (TABLE_KEY[1], "p")])
}

/// Returns an item with this many bytes more than a few.
fn item(name: &str, due: Option<&str>, bytes: usize) -> Attributes {
    let mut item = item_key(name);
    item.insert("record".to_owned(), text(&"x".repeat(bytes)));
    if let Some(due) = due {
        let [list, at] = Index::Time.key();
        item.extend(attributes(&[(list, &due_list(0)), (at, due)]));
    }
    item
}

#[test]
fn the_stand_in_counts_the_same_units() {
    let emulator = Emulator::start();
    let stand_in = stand_in();
    let tables = [
        Table::new(&emulator.create_table(&config()).name, &emulator.endpoint),
        Table::new(&stand_in.table, &stand_in.endpoint),
    ];
    let [of_emulator, of_stand_in] = tables.map(|table| {
        let put = |item: Attributes| table.put(item).expect("is put");
        vec![
            ("an item", put(item("a", None, 500))),
            ("a larger one instead", put(item("a", None, 2500))),
            ("a smaller one instead", put(item("a", None, 10))),
            ("with an entry", put(item("b", Some("1"), 1500))),
            ("with the same entry", put(item("b", Some("1"), 1600))),
            ("with another entry", put(item("b", Some("2"), 1500))),
            ("without the entry", put(item("b", None, 1500))),
            (
                "a transaction",
                table.transact(vec![
                    table.put_in_transaction(item("c", Some("1"), 1500)),
                    table.put_in_transaction(item("d", Some("2"), 100)),
                    table.count_in_transaction(item_key("e")),
                    table.delete_in_transaction(item_key("b")),
                ]),
            ),
            ("a query of the table", table.query(None, TABLE_KEY[0], "c")),
            ("a query of nothing", table.query(None, TABLE_KEY[0], "none")),
            ("a query of the index", table.query(Some(Index::Time.name()), Index::Time.key()[0], &due_list(0))),
        ]
    });
    assert_eq!(of_stand_in, of_emulator);

    // The emulator does not tell the units of these reads. Each item, also a missing one, takes one for each 4 KB.
    let table = Table::new(&stand_in.table, &stand_in.endpoint);
    table.put(item("large", None, 4096)).expect("is put");
    let keys = vec![item_key("c"), item_key("large"), item_key("none")];
    assert_eq!((table.get(keys.clone(), true), table.get(keys, false)), (4.0, 2.0));
}

#[test]
fn in_the_stand_in_transactions_conflict_and_partition_keys_have_limits() {
    let latency = Duration::from_millis(50);
    let stand_in = DynamoDb::start(&config(), latency, Limits::NEW_TABLE);
    let table = Table::new(&stand_in.table, &stand_in.endpoint);
    let actions =
        |name: &str| vec![table.put_in_transaction(item("a", None, 1)), table.put_in_transaction(item(name, None, 1))];
    let transactions = ["b", "c"].map(|name| {
        let transact = table.client.transact_write_items().set_transact_items(Some(actions(name)));
        table.runtime.spawn(transact.send())
    });
    let made = transactions.map(|transaction| table.runtime.block_on(transaction).expect("ends").is_ok());
    assert_eq!(made.into_iter().filter(|it| *it).count(), 1, "the other one conflicts");
    let refused: Vec<String> = stand_in.take_calls().into_iter().filter_map(|call| call.refused).collect();
    assert_eq!(refused, ["TransactionConflict"]);

    let puts: Vec<Result<f64, String>> = (0..5).map(|_| table.put(item("large", None, 390_000))).collect();
    assert_eq!(puts[0], Ok(381.0));
    assert_eq!(puts[4], Err("ThrottlingException".to_owned()));
}

#[test]
fn the_stand_in_refuses_what_it_does_not_know() {
    let stand_in = stand_in();
    let table = Table::new(&stand_in.table, &stand_in.endpoint);
    let condition = |condition: &str| {
        let put = table.client.put_item().table_name(&table.name).set_item(Some(item("a", None, 1)));
        let put = put.condition_expression(condition).expression_attribute_names("#record", "record");
        let put = put.expression_attribute_values(":x", text("x"));
        table.runtime.block_on(put.send()).err().and_then(|error| error.code().map(str::to_owned))
    };
    assert_eq!(condition("attribute_not_exists(#record) OR #record = :x"), None);
    for unknown in
        ["contains(#record, :x)", "record = :x", "#record = :y", "#record = :x AND", "attribute_exists(#record)"]
    {
        assert_eq!(condition(unknown).as_deref(), Some("ValidationException"), "{unknown}");
    }
    let mut list = item_key("b");
    list.insert("list".to_owned(), AttributeValue::L(Vec::new()));
    assert_eq!(table.put(list), Err("ValidationException".to_owned()));
}
