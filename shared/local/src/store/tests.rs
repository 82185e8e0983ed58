//! What one run of `dev` wrote, the next one finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use redb::Database;
use tempfile::tempdir;
use tokio::task::JoinSet;
use trigger_core::event::identity::Identity;
use trigger_core::history::{HistoryQuery, Launches, ObjectName};
use trigger_core::launch::{Conclusion, LaunchRecord, LaunchSet, Outcome, Place, Sequence, SetCounts, Slot};
use trigger_engine::StoreModel;
use trigger_engine::ports::{Begun, Change, HistoryPage, LaunchStore, Stored};

use super::{CannotOpen, EmbeddedStore, ITEMS};

const NOW: &str = "2026-01-01T10:00:00Z";

/// Returns the record of a launch that waits for a slot.
fn record(number: u32, date: &str) -> LaunchRecord {
    let id = format!("{number:032}");
    let text = format!(
        r#"{{
  "version": 2, "key": {{ "route": "r", "date": "{date}", "id": "{id}" }}, "task": "t", "event_id": "e",
  "identity": ["e"], "event": {{ "text": "{{}}" }},
  "request": {{ "taskDefinition": "t", "startedBy": "ecs-trigger/r/{date}/{id}/0", "clientToken": "{id}" }},
  "concurrency": {{ "slots": "r/1", "max": 1, "when_full": "queue" }}, "slot": "waiting", "ticket": {number},
  "set": "r/2", "created": "{NOW}", "due": "{NOW}"
}}"#
    );
    LaunchRecord::parse(&text).expect("is a record")
}

fn file_in(project: &Path) -> PathBuf {
    project.join(".ecs-trigger/ledger.redb")
}

fn open(project: &Path) -> EmbeddedStore {
    EmbeddedStore::open(project).expect("can be opened")
}

#[tokio::test]
async fn what_was_answered_is_there_in_the_next_run_even_after_a_kill() {
    let [project, killed] = [(); 2].map(|()| tempdir().expect("a folder"));
    let store = open(project.path());
    assert_eq!(store.draw_tickets("r/1", 2).await, Ok(0));
    let waiting = record(0, "2026-01-01");
    assert_eq!(store.begin(std::slice::from_ref(&waiting)).await, Ok(vec![Begun::New(1)]));
    let set = LaunchSet {
        name: "r/2".to_owned(),
        event_id: "e".to_owned(),
        total: 1,
        created: NOW.parse().expect("is a time"),
    };
    store.record_set(&set).await.expect("is recorded");
    let stored = Stored { record: waiting.clone(), version: 1 };
    let change = Change::new(&stored, LaunchRecord { slot: Some(Slot::Held), ..waiting.clone() });
    let stored = store.advance(&change).await.expect("has its slot");
    let later = Sequence { name: "r/3".to_owned(), sequencer: "0b".to_owned() };
    assert_eq!(store.take_turn(&later, &waiting.key).await, Ok(true));

    // A kill leaves the file as it is at this moment, and does not close it.
    fs::create_dir(killed.path().join(".ecs-trigger")).expect("is made");
    fs::copy(file_in(project.path()), file_in(killed.path())).expect("is copied");
    drop(store);
    for project in [project, killed] {
        let store = open(project.path());
        assert_eq!(store.read(std::slice::from_ref(&waiting.key)).await, Ok(vec![Some(stored.clone())]));
        let line = store.line("r/1").await.expect("is read");
        let place = Place { ticket: 0, launch: waiting.key.clone(), is_held: true };
        assert_eq!((line.used, line.places), (1, vec![place]));
        assert_eq!(store.draw_tickets("r/1", 1).await, Ok(2));
        assert_eq!(store.read_set("r/2").await, Ok(Some((set.clone(), SetCounts::default()))));
        let earlier = Sequence { sequencer: "0a".to_owned(), ..later.clone() };
        assert_eq!(store.take_turn(&earlier, &waiting.key).await, Ok(false));
        assert_eq!(store.open_launches(), std::slice::from_ref(&stored.record));
    }
}

#[tokio::test]
async fn operations_at_the_same_time_are_all_written() {
    let project = tempdir().expect("a folder");
    let store = Arc::new(open(project.path()));
    let mut draws = JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        draws.spawn(async move { store.draw_tickets("r/1", 1).await.expect("is drawn") });
    }
    let mut tickets = draws.join_all().await;
    tickets.sort_unstable();
    assert_eq!(tickets, (0..100).collect::<Vec<u64>>());
    drop(store);
    assert_eq!(open(project.path()).draw_tickets("r/1", 1).await, Ok(100));
}

#[tokio::test]
async fn the_next_run_tells_the_same_history_as_the_model() {
    let project = tempdir().expect("a folder");
    let (store, mut model) = (open(project.path()), StoreModel::default());
    // Launches that ended long ago are forgotten.
    let now = Timestamp::now();
    for number in 0..40 {
        // Several are of the same second, each third is about the object, and each fourth fails.
        let created = now + SignedDuration::from_secs(i64::from(number / 3));
        let key = if number % 3 == 0 { "a.csv" } else { "b.csv" };
        let identity = Identity::new(["s3", "Object Created", "uploads", key, "v", "0A"]);
        let begun = LaunchRecord { created, identity, concurrency: None, slot: None, ..record(number, "2026-01-01") };
        store.begin(std::slice::from_ref(&begun)).await.expect("is recorded");
        model.begin(&begun);
        if number % 2 == 0 {
            let failed = Outcome::DeadLettered("it failed".to_owned());
            let outcome = if number % 4 == 0 { failed } else { Outcome::Succeeded };
            let ended = Some(Conclusion { at: created + SignedDuration::from_hours(1), outcome });
            let change = Change::new(&Stored { record: begun.clone(), version: 1 }, LaunchRecord { ended, ..begun });
            assert_eq!(store.advance(&change).await, model.advance(&change));
        }
    }
    drop(store);
    let store = open(project.path());
    let object = ObjectName { bucket: "uploads".to_owned(), key: "a.csv".to_owned() };
    for (of, count) in [(Launches::All, 40), (Launches::Failed, 10), (Launches::Of(object), 14), (Launches::Open, 20)] {
        for page in [1, 7, 100] {
            let query = HistoryQuery { page, ..HistoryQuery::new(of.clone()) };
            let (mut told, mut after) = (0, None);
            loop {
                let page: HistoryPage = store.history(&query, after.clone()).await.expect("is read");
                assert_eq!(page, model.history(&query, after.as_ref()), "{query:?}");
                told += page.launches.len();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(told, count, "{query:?}");
        }
    }
}

#[tokio::test]
async fn launches_that_ended_long_ago_are_forgotten() {
    let project = tempdir().expect("a folder");
    let ended = |record: LaunchRecord, at: &str| {
        let ended = format!(r#"{{ "at": "{at}", "outcome": "succeeded" }}"#);
        LaunchRecord { ended: Some(serde_json::from_str(&ended).expect("is a conclusion")), slot: None, ..record }
    };
    let records = [
        ended(record(0, "2020-01-01"), "2020-01-01T10:00:00Z"),
        ended(record(1, "2020-01-01"), &Timestamp::now().to_string()),
        record(2, "2020-01-01"),
    ];
    open(project.path()).begin(&records).await.expect("are recorded");
    let keys = records.map(|record| record.key);
    let read = open(project.path()).read(&keys).await.expect("are read");
    assert_eq!(read.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let project = tempdir().expect("a folder");
    let file = file_in(project.path());
    fs::create_dir_all(&file).expect("is made");
    let error = EmbeddedStore::open(project.path()).expect_err("is a folder");
    assert!(matches!(&error, CannotOpen::Unusable { path, .. } if *path == file), "{error}");
}

#[test]
fn a_file_that_is_no_ledger_is_named_with_the_remedy() {
    let project = tempdir().expect("a folder");
    let file = file_in(project.path());
    fs::create_dir(project.path().join(".ecs-trigger")).expect("is made");
    fs::write(&file, "a text").expect("is written");
    let error = EmbeddedStore::open(project.path()).expect_err("is a text").to_string();
    assert!(error.starts_with(&format!("cannot read the ledger in {}: ", file.display())), "{error}");
    assert!(error.contains("delete the file"), "{error}");
}

#[test]
fn a_launch_that_cannot_be_read_is_named_with_its_file() {
    let project = tempdir().expect("a folder");
    drop(open(project.path()));
    let ledger = Database::open(file_in(project.path())).expect("is a ledger");
    let write = ledger.begin_write().expect("begins");
    write.open_table(ITEMS).expect("is there").insert("launch r/2026-01-01/1", "{}").expect("is written");
    write.commit().expect("is written");
    drop(ledger);
    let error = EmbeddedStore::open(project.path()).expect_err("cannot be read").to_string();
    assert!(error.contains("`launch r/2026-01-01/1`: missing field"), "{error}");
    assert!(error.contains("ledger.redb") && error.contains("delete the file"), "{error}");
}
