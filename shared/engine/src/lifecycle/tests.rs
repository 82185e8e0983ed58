//! State changes and sweeps against scripted ports.

use std::time::Duration;

use jiff::Timestamp;
use trigger_core::ecs::{ContainerExit, StoppedTask};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Event, TaskStateChange};
use trigger_core::launch::{LaunchRecord, Outcome, TaskStatus};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{StateChangeOutcome, handle_state_change, sweep};
use crate::handle::{Delivered, Times, handle};
use crate::ports::{Expected, Ledger};
use crate::scripted::Scripted;

const CONFIG: &str = r#"
version: 1
storage: { bucket: state }
tasks: { t: { task_definition: t } }
routes:
  - { name: plain, on: { event_pattern: { source: [plain] } }, run: t }
  - { name: single, on: { event_pattern: { source: [single] } }, run: t, concurrency: { max: 1 } }
"#;

fn config() -> RoutingConfig {
    RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("the config is valid")
}

async fn deliver(config: &RoutingConfig, world: &Scripted, source: &str, id: &str) {
    let text = format!(
        r#"{{"id":"{id}","source":"{source}","detail-type":"t","account":"1","time":"2026-01-01T10:00:00Z","region":"r","detail":{{}}}}"#
    );
    let event = Event::decode(&text).map(|event| config.match_event(event));
    let times = Times { now: Timestamp::UNIX_EPOCH, deadline: None };
    let delivered = Delivered { text: &text, event, times };
    handle(delivered, config, world).await.expect("is handled");
}

/// Returns the state change of a task that the call of this number started.
fn stopped(world: &Scripted, call: usize, arn: &str) -> TaskStateChange {
    let started_by = world.asked.lock().expect("not poisoned")[call].started_by.clone();
    TaskStateChange { task_arn: arn.to_owned(), started_by: Some(started_by), stopped: Some(done()) }
}

fn done() -> StoppedTask {
    StoppedTask {
        stop_code: Some("EssentialContainerExited".to_owned()),
        containers: vec![ContainerExit { name: "app".to_owned(), exit_code: Some(0), reason: None }],
        ..StoppedTask::default()
    }
}

async fn state_change(config: &RoutingConfig, world: &Scripted, change: &TaskStateChange) -> Option<Outcome> {
    match handle_state_change(change, config.ledger(), world, None).await.expect("is recorded") {
        StateChangeOutcome::Recorded { conclusion, .. } => conclusion.map(|conclusion| conclusion.outcome),
        StateChangeOutcome::Ignored => None,
    }
}

/// Sweeps. Returns how many launches were continued and how many entries failed.
async fn swept(config: &RoutingConfig, world: &Scripted) -> (usize, usize) {
    let report = sweep(config.ledger().expect("has a ledger"), world, None).await.expect("sweeps");
    (report.launches.len(), report.failed.len())
}

/// The numbers of requests in docs/costs.md.
#[tokio::test]
async fn a_launch_costs_four_writes_and_a_read() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    assert_eq!(world.take_requests(), "write write write", "the due entry, the attempt, its reply");
    let outcome = state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    assert_eq!(outcome, Some(Outcome::Succeeded));
    assert_eq!(world.take_requests(), "read write delete");
    swept(&config, &world).await;
    assert_eq!(world.take_requests(), "list", "nothing is due");
}

#[tokio::test]
async fn a_look_at_a_task_that_still_runs_costs_a_read_and_two_writes() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    world.take_requests();
    world.pass(Duration::from_secs(300));
    assert_eq!(swept(&config, &world).await, (1, 0));
    assert_eq!(world.take_requests(), "list read write write delete list");
}

#[tokio::test]
async fn a_slot_costs_five_writes_and_two_reads_more() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "single", "e").await;
    assert_eq!(world.take_requests(), "write write read write write write write");
    state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    assert_eq!(world.take_requests(), "read write read write write delete");
}

#[tokio::test]
async fn a_task_whose_state_change_never_came_is_looked_up() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    world.tasks.lock().expect("not poisoned").insert("arn:1".to_owned(), TaskStatus::Stopped(done()));
    world.pass(Duration::from_secs(300));
    swept(&config, &world).await;
    assert!(world.ledger.lock().expect("not poisoned").keys().all(|uri| !uri.contains("/due/")), "nothing is due");
}

#[tokio::test]
async fn whoever_gives_slots_back_starts_the_next_in_line() {
    let (config, world) = (config(), Scripted::that_starts());
    for id in ["a", "b", "c"] {
        deliver(&config, &world, "single", id).await;
    }
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 1);
    state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    let change = stopped(&world, 1, "arn:2");
    state_change(&config, &world, &change).await;
    // EventBridge may deliver the same state change twice.
    state_change(&config, &world, &change).await;
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 3);
}

#[tokio::test]
async fn a_task_of_no_launch_in_the_ledger_is_ignored() {
    let (config, world) = (config(), Scripted::that_starts());
    let change = |started_by: &str| TaskStateChange {
        task_arn: "arn:9".to_owned(),
        started_by: Some(started_by.to_owned()),
        stopped: Some(done()),
    };
    let unknown = LaunchKey::new("plain", "2026-01-01", &"0".repeat(64)).started_by(0);
    for started_by in ["ecs-svc/1", "ecs-trigger/plain", &unknown] {
        assert_eq!(state_change(&config, &world, &change(started_by)).await, None);
    }
}

#[tokio::test]
async fn what_is_due_of_a_launch_that_was_never_recorded_goes_after_a_while() {
    let (config, world) = (config(), Scripted::that_starts());
    let uri = "s3://state/due/2026-01-01T09:59:00Z/launch/plain/2026-01-01/00000000000000000000000000000000";
    world.write(uri, "", &Expected::Anything).await.expect("is written");
    swept(&config, &world).await;
    assert!(world.read(uri).await.expect("is read").is_some(), "its writer may only be slow");
    world.pass(Duration::from_secs(900));
    swept(&config, &world).await;
    assert!(world.read(uri).await.expect("is read").is_none());
}

#[tokio::test]
async fn slots_of_a_launch_that_has_ended_are_taken_back() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "single", "a").await;
    deliver(&config, &world, "single", "b").await;
    // A process ended the launch and crashed before it released the slots.
    let uri = {
        let ledger = world.ledger.lock().expect("not poisoned");
        let (uri, (text, _)) = ledger.iter().find(|(uri, _)| uri.contains("/launches/")).expect("is recorded");
        let mut record = LaunchRecord::parse(text).expect("is a record");
        let has_slot = record.slot == Some(trigger_core::launch::Slot::Held);
        let uri = if has_slot {
            uri.clone()
        } else {
            ledger.keys().rfind(|uri| uri.contains("/launches/")).expect("is").clone()
        };
        record = LaunchRecord::parse(&ledger[&uri].0).expect("is a record");
        let at = record.created;
        record.ended = Some(trigger_core::launch::Conclusion { at, outcome: Outcome::Succeeded });
        (uri, record.to_json())
    };
    world.write(&uri.0, &uri.1, &Expected::Anything).await.expect("is written");
    world.pass(Duration::from_secs(16 * 60));
    swept(&config, &world).await;
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 2, "the waiting launch has started");
}
