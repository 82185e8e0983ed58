//! What one run of `dev` leaves to the next, with real processes and a ledger.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use redb::{Database, ReadableDatabase, ReadableTable};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Options, Summary, run};
use crate::happening::Happening;
use crate::store::ITEMS;

/// How a run ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// After its last task.
    ByItself,
    /// By Ctrl-C, when every file has its task and one has written a line.
    Interrupted,
    /// By a crash at that time.
    Killed,
}

/// Creates a project with a ledger and a file for each key. Its task writes a line, and ends when its standard input
/// closes, which a run that ends does.
fn project(keys: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("buckets/b")).expect("is made");
    for key in keys {
        let file = File::create(folder.path().join("buckets/b").join(key)).expect("is made");
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("is set");
    }
    folder
}

fn run_in(project: &Path, end: End) -> (Option<Summary>, Vec<Happening>) {
    let config = r#"
version: 1
storage: { bucket: state }
tasks: { t: { task_definition: t } }
routes: [{ name: r, on: { s3: { bucket: b } }, run: t }]
local: { task_definitions: { t: { container_definitions: { app: { command: [sh, -c, 'echo up; cat'] } } } } }
"#;
    let options = Options {
        config: RoutingConfig::parse(Source::new("c.yaml", config)).expect("is valid"),
        folder: project.canonicalize().expect("is there"),
        once: true,
        tasks_max: 1,
        // Takes the place of the real supervisor: it passes on the pipe of `dev` as standard input.
        supervisor: ["sh", "-c", "shift; exec \"$@\"", "sh"].map(str::to_owned).to_vec(),
        start_at: None,
        speed: 1.0,
        port: None,
    };
    let files = fs::read_dir(project.join("buckets/b")).expect("is a folder").count();
    let is_up = Notify::new();
    let mut happenings = Vec::new();
    let show = |happening: &Happening| {
        happenings.push(happening.clone());
        let count = |is_it: fn(&Happening) -> bool| happenings.iter().filter(|&happening| is_it(happening)).count();
        let launched = count(|happening| matches!(happening, Happening::Launched { .. }));
        if launched == files && count(|happening| matches!(happening, Happening::Output { .. })) > 0 {
            is_up.notify_one();
        }
    };
    let after = async |wanted: End| match end == wanted {
        true => is_up.notified().await,
        false => std::future::pending().await,
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("is built");
    let summary = runtime.block_on(async {
        tokio::select! {
            summary = run(options, || None, after(End::Interrupted), show) => Some(summary.expect("runs")),
            () = after(End::Killed) => None,
        }
    });
    (summary, happenings)
}

/// Returns the launches in the ledger's file, as text.
fn records(project: &Path) -> Vec<String> {
    let ledger = Database::open(project.join(".ecs-trigger/ledger.redb")).expect("is a ledger");
    let items = ledger.begin_read().expect("begins").open_table(ITEMS).expect("is there");
    let items = items.iter().expect("is read").map(|item| item.expect("is read"));
    let launches = items.filter(|(name, _)| name.value().starts_with("launch r/"));
    launches.map(|(_, content)| content.value().to_owned()).collect()
}

#[test]
fn a_task_that_ended_with_its_dev_is_a_failure_in_the_next_run() {
    let project = project(&["a"]);
    assert_eq!(run_in(project.path(), End::Killed).0, None);
    let (summary, happenings) = run_in(project.path(), End::ByItself);
    let reasons: Vec<&String> = happenings
        .iter()
        .filter_map(|happening| match happening {
            Happening::EventDeadLettered { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert!(
        matches!(reasons.as_slice(), [reason] if reason.contains("`dev` ended before the task did")),
        "{reasons:?}"
    );
    assert_eq!(summary.map(|summary| summary.succeeded + summary.failed), Some(0), "nothing runs twice");
    assert_eq!(records(project.path()).len(), 1, "the history stays");
}

#[test]
fn a_task_that_ctrl_c_stopped_is_not_a_failure_and_does_not_start_again() {
    let project = project(&["a"]);
    run_in(project.path(), End::Interrupted).0.expect("ends in order");
    let (summary, happenings) = run_in(project.path(), End::ByItself);
    let is_known = |happening: &Happening| matches!(happening, Happening::Duplicate { about } if about.subject == "a");
    assert!(happenings.iter().any(is_known), "{happenings:?}");
    assert_eq!(summary, Some(Summary { events: 1, ..Summary::default() }));
    assert!(records(project.path())[0].contains("\"stopped\""));
}

#[test]
fn a_task_that_never_got_a_place_before_ctrl_c_is_left_to_the_next_run() {
    let project = project(&["a", "b"]);
    let (_, happenings) = run_in(project.path(), End::Interrupted);
    let written = happenings.iter().filter(|happening| matches!(happening, Happening::Output { .. }));
    assert_eq!(written.count(), 1, "one task has a place");
    let records = records(project.path());
    let left: Vec<_> = records.iter().filter(|record| record.contains("TaskFailedToStart")).collect();
    assert_eq!((records.len(), left.len()), (2, 1), "{records:#?}");
    assert!(!left[0].contains("\"ended\""), "{}", left[0]);
}
