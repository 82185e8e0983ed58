//! State changes and sweeps against scripted ports.

use std::time::Duration;

use jiff::Timestamp;
use trigger_core::ecs::{ContainerExit, StoppedTask};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Event, TaskStateChange};
use trigger_core::launch::{Outcome, TaskStatus};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{StateChangeOutcome, handle_state_change, sweep};
use crate::handle::{Delivered, Times, handle};
use crate::ports::postponed_by;
use crate::scripted::{Scripted, refused, started};

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
    match handle_state_change(change, config, world, None).await.expect("is recorded") {
        StateChangeOutcome::Recorded { conclusion, .. } => conclusion.map(|conclusion| conclusion.outcome),
        StateChangeOutcome::Ignored => None,
    }
}

/// Sweeps. Returns how many launches were continued and how many entries failed.
async fn swept(config: &RoutingConfig, world: &Scripted) -> (usize, usize) {
    let report = sweep(config, world, None).await.expect("sweeps");
    (report.launches.len(), report.failed.len())
}

/// The numbers of requests in docs/costs.md.
#[tokio::test]
async fn a_launch_costs_three_writes_and_a_read() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    assert_eq!(world.take_requests(), "begin advance", "the attempt, and its reply");
    let outcome = state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    assert_eq!(outcome, Some(Outcome::Succeeded));
    assert_eq!(world.take_requests(), "read advance");
    swept(&config, &world).await;
    assert_eq!(world.take_requests(), "due", "nothing is due");
}

#[tokio::test]
async fn a_look_at_a_task_that_still_runs_costs_a_read_and_a_write() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    world.take_requests();
    world.pass(Duration::from_secs(300));
    assert_eq!(swept(&config, &world).await, (1, 0));
    assert_eq!(world.take_requests(), "due read advance");
}

#[tokio::test]
async fn a_launch_with_a_limit_costs_a_write_and_three_reads_more() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "single", "e").await;
    assert_eq!(world.take_requests(), "tickets begin line advance advance");
    state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    assert_eq!(world.take_requests(), "read line advance line");
}

#[tokio::test]
async fn a_task_whose_state_change_never_came_is_looked_up() {
    let (config, world) = (config(), Scripted::that_starts());
    deliver(&config, &world, "plain", "e").await;
    world.tasks.lock().expect("not poisoned").insert("arn:1".to_owned(), TaskStatus::Stopped(done()));
    world.pass(Duration::from_secs(300));
    swept(&config, &world).await;
    assert_eq!(world.store.lock().expect("not poisoned").first_due(), None, "nothing is due");
}

#[tokio::test]
async fn whoever_gives_slots_back_starts_the_next_in_line() {
    let (config, world) = (config(), Scripted::that_starts());
    for id in ["a", "b", "c"] {
        deliver(&config, &world, "single", id).await;
    }
    assert_eq!(world.asked.lock().expect("not poisoned").len(), 1);
    world.take_requests();
    state_change(&config, &world, &stopped(&world, 0, "arn:1")).await;
    assert_eq!(world.take_requests(), "read line read hand over advance");
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
async fn a_launch_that_cannot_be_continued_stands_before_no_other() {
    let world =
        Scripted::new(|_, before| if before == 0 { refused("AccessDeniedException", "no") } else { started([1]) });
    let config = config();
    // There is no dead-letter queue, so this launch cannot end.
    deliver(&config, &world, "plain", "a").await;
    deliver(&config, &world, "plain", "b").await;
    world.tasks.lock().expect("not poisoned").insert("arn:1".to_owned(), TaskStatus::Stopped(done()));
    world.pass(Duration::from_secs(300));
    assert_eq!(swept(&config, &world).await, (1, 1));
    assert_eq!(swept(&config, &world).await, (0, 0), "it is due later");
}

#[test]
fn the_pause_of_a_launch_that_cannot_be_continued_grows_to_an_hour() {
    let minutes = |failures| postponed_by(failures).as_mins();
    assert_eq!([1, 2, 3, 6, 7, 100].map(minutes), [1, 2, 4, 32, 60, 60]);
}

#[tokio::test]
async fn tasks_of_many_launches_are_looked_up_together() {
    let (config, world) = (config(), Scripted::that_starts());
    for number in 0..250 {
        deliver(&config, &world, "plain", &number.to_string()).await;
        world.pass(Duration::from_millis(100));
    }
    world.pass(Duration::from_secs(300));
    world.take_requests();
    assert_eq!(swept(&config, &world).await, (250, 0));
    let requests = world.take_requests();
    assert!(requests.starts_with("due read advance"), "{requests}");
    assert_eq!(requests.matches("read").count(), 3);
    assert_eq!(*world.described.lock().expect("not poisoned"), [100, 100, 50]);
}
