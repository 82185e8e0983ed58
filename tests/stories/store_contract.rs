//! The launch store on DynamoDB keeps the contract of the store in memory: the same operations give the same answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use e2e::{Emulator, Passage, Proxy};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::runtime::Runtime;
use trigger_aws::DynamoStore;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{
    Conclusion, LaunchRecord, LaunchSet, LaunchedTask, Line, Outcome, Pool, Sequence, SetCounts, Skipped, Slot,
};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_engine::StoreModel;
use trigger_engine::ports::{Begun, Change, Cursor, DuePage, LaunchStore, StoreError, Stored};

/// Few, so that the steps often meet.
const LAUNCHES: usize = 10;
const LIMITS: [&str; 2] = ["r/a", "r/b"];
const SETS: [&str; 2] = ["r/s", "r/t"];
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
    refused: usize,
}

impl Twins {
    /// Creates empty stores. The one on DynamoDB is reached through this endpoint.
    fn new(emulator: &Emulator, endpoint: &str, seed: u64) -> Self {
        let config = "version: 1\nstorage: { bucket: state, table: launches }\ntasks: {}\nroutes: []\n";
        let config = RoutingConfig::parse(Source::new("ecs-trigger.yaml", config)).expect("the config is valid");
        let table = emulator.create_table(&config);
        let client = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(trigger_aws::clients::https())
            .endpoint_url(endpoint)
            .build();
        Self {
            store: DynamoStore::new(Client::from_conf(client), table.name),
            model: StoreModel::default(),
            runtime: Runtime::new().expect("a runtime"),
            rng: Rng::with_seed(seed),
            now: "2026-01-01T00:00:00Z".parse().expect("is a time"),
            advanced: 0,
            refused: 0,
        }
    }

    /// Carries out a random operation on both stores, and compares the answers.
    fn step(&mut self) {
        self.now += SignedDuration::from_millis(self.rng.i64(0..2000));
        match self.rng.u32(0..20) {
            0..4 => self.begin(),
            4..12 => self.advance(),
            12 => self.read(),
            13 => self.look_at_lines(),
            14 => self.take_turn(),
            15 => self.sets(),
            16 => self.due(),
            17 => self.postpone(),
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
            Outcome::DeadLettered("it failed".to_owned()),
        ];
        let outcome = self.rng.choice(outcomes).filter(|_| self.rng.bool());
        record.ended = outcome.map(|outcome| Conclusion { at: self.now, outcome });
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

fn key(number: usize) -> LaunchKey {
    LaunchKey::new("r", "2026-01-01", &format!("{number:032}"))
}

/// Returns a launch that is not recorded. Some have a limit, some are in a set, some need two slots.
fn record(number: usize) -> LaunchRecord {
    let limit = |slots: &str, max: u32| json!({ "slots": slots, "max": max, "when_full": "queue" });
    let concurrency = [None, Some(limit(LIMITS[0], 2)), Some(limit(LIMITS[1], 3))][number % 3].clone();
    let set = [None, Some(SETS[0]), Some(SETS[1])][number / 2 % 3];
    let record = json!({
        "version": 2,
        "key": key(number),
        "task": "t",
        "event_id": "e",
        "identity": ["e"],
        "event": { "text": "{}" },
        "request": { "taskDefinition": "t", "startedBy": "s", "clientToken": "c", "count": number % 2 + 1 },
        "concurrency": concurrency,
        "set": set,
        "created": "2026-01-01T00:00:00Z",
        "due": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(record).expect("is a record")
}

#[test]
fn the_same_operations_give_the_same_answers() {
    let emulator = Emulator::start();
    let mut twins = Twins::new(&emulator, &emulator.endpoint, 1);
    (0..600).for_each(|_| twins.step());
    twins.compare();
    // Guards against steps of which few do anything.
    assert!(twins.advanced > 100 && twins.refused > 30, "{} advanced, {} refused", twins.advanced, twins.refused);
}

#[test]
fn writes_whose_answers_are_lost_give_the_same_answers() {
    let emulator = Emulator::start();
    let loses = Arc::new(AtomicBool::new(false));
    let (now, mut writes) = (Arc::clone(&loses), 0);
    let proxy = Proxy::start(emulator.address(), move |asked| {
        let is_write = matches!(asked.operation(), "PutItem" | "UpdateItem" | "TransactWriteItems");
        // A ticket that is drawn again does no harm, but has another number.
        if !is_write || !now.load(Ordering::Relaxed) || asked.body.contains(r#""tickets""#) {
            return Passage::Pass;
        }
        writes += 1;
        if writes % 3 == 1 { Passage::LoseResponse } else { Passage::Pass }
    });
    let mut twins = Twins::new(&emulator, &proxy.endpoint, 2);
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
