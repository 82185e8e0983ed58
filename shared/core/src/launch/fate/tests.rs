//! How a task ended. Tests of single tasks use [`check`].

use super::{Fate, StopReason};
use crate::ecs::{ContainerExit, StoppedTask};
use crate::launch::RetryOn;

/// Checks the fate of a task with the containers `app` and `sidecar`, of which `app` decides.
#[track_caller]
fn check(stop_code: &str, exit_codes: [Option<i32>; 2], stop: Option<StopReason>, expected: Fate) {
    let exit =
        |(name, exit_code): (&str, Option<i32>)| ContainerExit { name: name.to_owned(), exit_code, reason: None };
    let stopped = StoppedTask {
        stop_code: Some(stop_code.to_owned()),
        stopped_reason: None,
        containers: ["app", "sidecar"].into_iter().zip(exit_codes).map(exit).collect(),
        vanished: false,
    };
    assert_eq!(stopped.fate(stop, &["app"]), expected, "{stopped}");
}

#[test]
fn stop_codes_and_exit_codes_decide() {
    let exited = "EssentialContainerExited";
    check(exited, [Some(0), Some(0)], None, Fate::Succeeded);
    check(exited, [Some(3), Some(0)], None, Fate::ExitCode(3));
    check(exited, [None, Some(0)], None, Fate::Failed);
    check("TaskFailedToStart", [None, None], None, Fate::FailedToStart);
    check("SpotInterruption", [Some(137), Some(137)], None, Fate::SpotInterruption);
    check("TerminationNotice", [Some(143), Some(143)], None, Fate::SpotInterruption);
    check("InfrastructureHealth", [Some(0), Some(0)], None, Fate::Failed);
    check("UserInitiated", [Some(137), Some(137)], None, Fate::Stopped);
    check("SomethingNew", [Some(0), Some(0)], None, Fate::Succeeded);
}

/// Returns the fate of a task whose main container exited, judged by the containers with these names.
fn fate_of(containers: &[(&str, Option<i32>, Option<&str>)], judged: &[&str]) -> Fate {
    let exit = |(name, exit_code, reason): &(&str, Option<i32>, Option<&str>)| ContainerExit {
        name: (*name).to_owned(),
        exit_code: *exit_code,
        reason: reason.map(str::to_owned),
    };
    let stopped = StoppedTask {
        stop_code: Some("EssentialContainerExited".to_owned()),
        containers: containers.iter().map(exit).collect(),
        ..StoppedTask::default()
    };
    stopped.fate(None, judged)
}

/// Source: <https://github.com/treasure-data/digdag/issues/1724>, <https://github.com/aws/amazon-ecs-agent/issues/2940>
#[test]
fn a_container_without_an_exit_code_did_not_succeed() {
    let timed_out = Some("DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s");
    assert_eq!(fate_of(&[("app", None, timed_out), ("log", Some(0), None)], &[]), Fate::Failed);
    assert_eq!(fate_of(&[("app", None, timed_out), ("helper", Some(0), None)], &["app", "helper"]), Fate::Failed);
    assert_eq!(fate_of(&[("app", None, None), ("helper", Some(0), None)], &["app", "helper"]), Fate::Failed);
    assert_eq!(fate_of(&[("app", None, timed_out), ("helper", Some(3), None)], &["app", "helper"]), Fate::ExitCode(3));
    assert_eq!(fate_of(&[("app", Some(0), None), ("sidecar", None, None)], &[]), Fate::Succeeded, "it never started");
    assert_eq!(fate_of(&[("app", Some(0), None), ("log", None, timed_out)], &["app"]), Fate::Succeeded, "not judged");
}

#[test]
fn a_sidecar_that_is_killed_with_its_task_is_no_failure() {
    check("EssentialContainerExited", [Some(0), Some(143)], None, Fate::Succeeded);
}

#[test]
fn what_we_stopped_ends_for_our_reason_unless_it_was_faster() {
    check("UserInitiated", [Some(137), None], Some(StopReason::Timeout), Fate::Timeout);
    check("UserInitiated", [Some(137), None], Some(StopReason::Replaced), Fate::Replaced);
    check("EssentialContainerExited", [Some(0), None], Some(StopReason::Timeout), Fate::Succeeded);
}

#[test]
fn a_task_is_started_again_for_the_failures_that_are_named() {
    let spot = [RetryOn::SpotInterruption];
    assert!(Fate::SpotInterruption.is_retried(&spot));
    assert!(!Fate::ExitCode(1).is_retried(&spot));
    let codes = [RetryOn::ExitCode(vec![75, 137])];
    assert!(Fate::ExitCode(137).is_retried(&codes));
    assert!(!Fate::ExitCode(1).is_retried(&codes));
    let any = [RetryOn::Any];
    assert!([Fate::Timeout, Fate::FailedToStart, Fate::Failed].iter().all(|fate| fate.is_retried(&any)));
    assert!([Fate::Succeeded, Fate::Stopped, Fate::Replaced].iter().all(|fate| !fate.is_retried(&any)));
    assert!(!Fate::Vanished.is_retried(&any), "it may have done its work");
}
