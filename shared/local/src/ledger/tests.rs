//! The folder behaves as S3 does.

use tempfile::tempdir;
use trigger_engine::ports::{Entry, Expected, Ledger, LedgerError};

use super::FolderLedger;

#[tokio::test]
async fn of_two_who_write_at_once_one_is_told_so() {
    let folder = tempdir().expect("a folder");
    let ledger = FolderLedger::open(folder.path());
    let uri = "s3://state/launches/r/2026-01-01/1.json";
    assert_eq!(ledger.read(uri).await, Ok(None));
    let first = ledger.write(uri, "one", &Expected::Nothing).await.expect("is written");
    assert_eq!(ledger.write(uri, "two", &Expected::Nothing).await, Err(LedgerError::Changed));
    let second = ledger.write(uri, "two", &Expected::Version(first.clone())).await.expect("is written");
    assert_eq!(ledger.write(uri, "three", &Expected::Version(first)).await, Err(LedgerError::Changed));
    assert_eq!(ledger.read(uri).await, Ok(Some(Entry { text: "two".to_owned(), version: second })));
    assert_eq!(ledger.delete(uri).await, Ok(()));
    assert_eq!(ledger.delete(uri).await, Ok(()), "gone is gone");
}

#[tokio::test]
async fn what_is_due_is_listed_in_order_up_to_now() {
    let folder = tempdir().expect("a folder");
    let ledger = FolderLedger::open(folder.path());
    for name in ["2026-01-01T00:00:02Z/launch/c", "2026-01-01T00:00:01Z/launch/b", "2026-01-01T00:00:00Z/slots/a"] {
        ledger.write(&format!("s3://state/due/{name}"), "", &Expected::Anything).await.expect("is written");
    }
    let listed =
        ledger.list("s3://state/due/", None, "s3://state/due/2026-01-01T00:00:01Z0").await.expect("can be read");
    assert_eq!(listed, ["s3://state/due/2026-01-01T00:00:00Z/slots/a", "s3://state/due/2026-01-01T00:00:01Z/launch/b"]);
}

#[tokio::test]
async fn the_next_run_finds_what_the_last_one_wrote() {
    let folder = tempdir().expect("a folder");
    let uri = "s3://state/launches/r/2026-01-01/1.json";
    let version = FolderLedger::open(folder.path()).write(uri, "one", &Expected::Nothing).await.expect("is written");
    let read = FolderLedger::open(folder.path()).read(uri).await;
    assert_eq!(read, Ok(Some(Entry { text: "one".to_owned(), version })));
}

#[tokio::test]
async fn a_folder_goes_with_the_last_of_its_files() {
    let folder = tempdir().expect("a folder");
    let ledger = FolderLedger::open(folder.path());
    for name in ["10/launch/a", "10/launch/b", "11/launch/c"] {
        ledger.write(&format!("s3://state/due/{name}"), "", &Expected::Anything).await.expect("is written");
    }
    let due = folder.path().join(".ecs-trigger/ledger/state/due");
    ledger.delete("s3://state/due/10/launch/a").await.expect("is deleted");
    assert!(due.join("10/launch").exists(), "another file is in it");
    ledger.delete("s3://state/due/10/launch/b").await.expect("is deleted");
    assert!(!due.join("10").exists());
    ledger.delete("s3://state/due/11/launch/c").await.expect("is deleted");
    ledger.write("s3://state/due/11/launch/c", "", &Expected::Nothing).await.expect("is made again");
}
