//! How late a launch continues that waits for a `backoff` or a `timeout`.

use std::thread;
use std::time::{Duration, Instant};

use e2e::standin::{EcsCall, Limits};
use serde_json::json;
use trigger_core::event::identity::LaunchKey;

use crate::account::{Account, event};
use crate::report::Row;
use crate::sandbox::Binaries;

/// The times of the config.
const BACKOFF: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(90);
/// The launches of each kind, which begin some time apart.
const LAUNCHES: usize = 5;
const APART: Duration = Duration::from_millis(1300);
/// The most seconds late.
const LATE_MAX: f64 = 5.0;

/// Measures both kinds at once, in an account of their own.
pub(crate) fn measure(binaries: &Binaries) -> Row {
    let account = Account::new(binaries, Limits::NEW_TABLE);
    let failed: Vec<Instant> = thread::scope(|scope| {
        account.work_off(scope);
        let (trigger, lifecycle) = (account.sandbox("event-trigger"), account.sandbox("task-lifecycle"));
        let mut failed = Vec::new();
        for number in 0..LAUNCHES {
            account.invoke(&trigger, &event("slow", number, &json!({})));
            account.take_task();
            account.invoke(&trigger, &event("flaky", LAUNCHES + number, &json!({})));
            if let Some(arn) = account.take_task() {
                let change = account.ecs.model.finish(&arn, 1);
                failed.push(Instant::now());
                account.invoke(&lifecycle, &change);
            }
            thread::sleep(APART);
        }
        let patience = TIMEOUT + Duration::from_secs(90);
        Account::wait_until(patience, || account.ecs.count("StopTask") == LAUNCHES);
        account.is_done();
        failed
    });
    row(&account.ecs.take_calls(), &failed)
}

fn row(calls: &[EcsCall], failed: &[Instant]) -> Row {
    // The calls of each kind are in the order of the launches.
    let times = |operation: &str, is_it: &dyn Fn(&EcsCall) -> bool| -> Vec<Instant> {
        let calls = calls.iter().filter(|call| call.operation == operation && is_it(call));
        calls.map(|call| call.arrived).collect()
    };
    let is_retry = |call: &EcsCall| {
        let launch = call.request["startedBy"].as_str().and_then(LaunchKey::of_started_by);
        launch.is_some_and(|(_, attempt)| attempt > 0)
    };
    let is_slow = |call: &EcsCall| call.request["taskDefinition"] == "slow";
    let backoffs = late(failed, &times("RunTask", &is_retry), BACKOFF);
    let timeouts = late(&times("RunTask", &is_slow), &times("StopTask", &|_| true), TIMEOUT);
    let latest = |late: &[f64]| late.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_good = |late: &[f64]| late.len() == LAUNCHES && late.iter().all(|late| (0.0..=LATE_MAX).contains(late));
    Row {
        work: "`backoff: 10s`, `timeout: 90s`".to_owned(),
        measured: format!(
            "at most {:.1} s and {:.1} s late, of {} and {} launches",
            latest(&backoffs),
            latest(&timeouts),
            backoffs.len(),
            timeouts.len(),
        ),
        goal: "within 5 s".to_owned(),
        is_met: is_good(&backoffs) && is_good(&timeouts),
        figures: json!({ "backoff_late_seconds": backoffs, "timeout_late_seconds": timeouts }),
    }
}

fn late(from: &[Instant], to: &[Instant], time: Duration) -> Vec<f64> {
    let late = |(from, to): (&Instant, &Instant)| to.duration_since(*from).as_secs_f64() - time.as_secs_f64();
    from.iter().zip(to).map(late).collect()
}
