//! The sweep of a table with many launches, few of which are due.

use std::collections::BTreeMap;

use e2e::ecs::Task;
use e2e::standin::{DynamoDbCall, Item, Limits, Value};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use trigger_core::storage::{DUE_SHARDS, Index, ItemKind, TABLE_KEY, due_list, pack};

use crate::account::{Account, Asked, SWEEP, known_of, record_of, uploaded};
use crate::report::Row;
use crate::sandbox::Binaries;

const FINISHED: usize = 1_000_000;
const DUE: usize = 1000;
/// The most calls to find what is due, and to read it.
const CALLS_MAX: usize = 20;

pub(crate) fn measure(binaries: &Binaries) -> Row {
    let account = Account::new(binaries, Limits::WARM_TABLE);
    fill(&account);
    account.dynamodb.take_calls();
    account.ecs.take_calls();
    let lifecycle = account.sandbox("task-lifecycle");
    let invocation = account.invoke(&lifecycle, SWEEP);
    row(&account, &account.dynamodb.take_calls(), invocation.took.as_secs_f64())
}

fn row(account: &Account, calls: &[DynamoDbCall], seconds: f64) -> Row {
    let asked = Asked::of(calls);
    let reads = asked.requests - asked.writes;
    let looked_up = account.ecs.take_calls().len();
    let failed = account.timed_out.load(std::sync::atomic::Ordering::Relaxed)
        + account.raised.load(std::sync::atomic::Ordering::Relaxed);
    Row {
        work: "sweep with 1,000,000 finished and 1,000 due launches".to_owned(),
        measured: format!(
            "{reads} calls to find and read them, {looked_up} to ask ECS for their tasks, and {} writes, one for each that \
             is due later again; {seconds:.1} s, {:.0} read units",
            asked.writes, asked.read_units,
        ),
        goal: format!("<= {CALLS_MAX} calls"),
        is_met: reads <= CALLS_MAX && asked.writes == DUE && failed == 0,
        figures: json!({ "reads": reads, "ecs_calls": looked_up, "seconds": seconds, "store": asked.to_json() }),
    }
}

/// Fills the table with copies of a launch that has ended, and of one whose task is to be looked up.
fn fill(account: &Account) {
    let (trigger, lifecycle) = (account.sandbox("event-trigger"), account.sandbox("task-lifecycle"));
    account.invoke(&trigger, &uploaded(0));
    let arn = account.take_task().expect("a task was started");
    account.invoke(&lifecycle, &account.ecs.model.finish(&arn, 0));
    let finished = only(account.dynamodb.items(ItemKind::Launch.prefix()));
    account.invoke(&trigger, &uploaded(1));
    let [list, at_attribute] = Index::Time.key();
    let due = account.dynamodb.items(ItemKind::Launch.prefix()).into_iter().filter(|item| item.contains_key(list));
    let due = only(due.collect());
    let arn = account.take_task().expect("a task was started");
    let task = account.ecs.model.ecs().tasks[&arn].clone();

    let (finished_id, due_id) = (id(&finished), id(&due));
    let record = record_of(&due);
    account.dynamodb.fill((0..FINISHED).map(|number| renamed(&finished, &finished_id, number)));
    let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
    let now = Timestamp::now();
    let copies = (0..DUE).map(|number| {
        let number = FINISHED + number;
        let mut item = renamed(&due, &due_id, number);
        let own = format!("{}{number:032x}", arn.split_at(arn.len() - 32).0);
        let record = record.replace(&due_id, &new_id(number)).replace(&arn, &own);
        let record = pack(&record, &known_of(&item)).expect("is short");
        item.insert("record".to_owned(), Value::B(record.into()));
        let at = now - SignedDuration::from_millis(i64::try_from(number % DUE).unwrap_or_default());
        let shard = u8::try_from(number % usize::from(DUE_SHARDS)).unwrap_or_default();
        item.insert(list.to_owned(), Value::text(&due_list(shard)));
        item.insert(at_attribute.to_owned(), Value::text(&format!("{at:.3}")));
        let mut task = task.clone();
        task.arn.clone_from(&own);
        tasks.insert(own, task);
        item
    });
    account.dynamodb.fill(copies.collect::<Vec<_>>().into_iter());
    account.ecs.model.ecs().tasks.extend(tasks);
}

fn only(items: Vec<Item>) -> Item {
    assert_eq!(items.len(), 1, "there is one launch");
    items.into_iter().next().unwrap_or_default()
}

/// Returns the id in the key of a launch.
fn id(item: &Item) -> String {
    let key = item[TABLE_KEY[0]].as_text().unwrap_or_default();
    key.rsplit('/').next().unwrap_or_default().to_owned()
}

fn new_id(number: usize) -> String {
    format!("{number:032x}")
}

/// Returns an item with another id in its key. The copies share their record.
fn renamed(item: &Item, id: &str, number: usize) -> Item {
    let key = item[TABLE_KEY[0]].as_text().unwrap_or_default().replace(id, &new_id(number));
    let mut item = item.clone();
    item.insert(TABLE_KEY[0].to_owned(), Value::text(&key));
    item
}
