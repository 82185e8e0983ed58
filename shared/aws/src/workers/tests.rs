//! The meaning of ECS's answers for workers.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Deployment, DeploymentRolloutState, Service, Task};
use trigger_engine::ports::{ServiceCounts, Unanswered};

use super::{counts, worker_task};

fn service(status: &str, states: &[DeploymentRolloutState]) -> Service {
    let deployments = states.iter().map(|state| Deployment::builder().rollout_state(state.clone()).build());
    Service::builder()
        .service_name("a")
        .status(status)
        .running_count(2)
        .pending_count(1)
        .desired_count(3)
        .set_deployments(Some(deployments.collect()))
        .build()
}

#[test]
fn a_service_tells_its_counts() {
    let of_states =
        |states: &[DeploymentRolloutState]| counts(&service("ACTIVE", states)).map(|it| it.deployment_in_progress);
    use DeploymentRolloutState::{Completed, InProgress};
    assert_eq!(
        counts(&service("ACTIVE", &[Completed])),
        Ok(ServiceCounts { running: 2, pending: 1, desired: 3, deployment_in_progress: false })
    );
    // A scale-out is a rollout too; tasks are replaced only if there is an older deployment.
    assert_eq!(of_states(&[InProgress]), Ok(false));
    assert_eq!(of_states(&[InProgress, Completed]), Ok(true));
}

#[test]
fn a_service_that_is_deleted_tells_nothing() {
    let expected = Err(Unanswered("the service `a` is INACTIVE".to_owned()));
    assert_eq!(counts(&service("INACTIVE", &[])), expected);
}

fn task(last: &str, desired: &str) -> Task {
    Task::builder()
        .task_arn("arn")
        .last_status(last)
        .desired_status(desired)
        .created_at(DateTime::from_secs(100))
        .started_at(DateTime::from_secs(142))
        .build()
}

#[test]
fn tasks_start_or_run_or_do_not_count() {
    let is_running = |last: &str, desired: &str| worker_task(&task(last, desired)).map(|task| task.is_running);
    assert_eq!(is_running("PROVISIONING", "RUNNING"), Some(false));
    assert_eq!(is_running("PENDING", "RUNNING"), Some(false));
    assert_eq!(is_running("RUNNING", "RUNNING"), Some(true));
    assert_eq!(is_running("RUNNING", "STOPPED"), None, "it is being stopped");
    assert_eq!(is_running("DEPROVISIONING", "STOPPED"), None);
    let delay = worker_task(&task("RUNNING", "RUNNING")).and_then(|task| task.start_delay);
    assert_eq!(delay, Some(std::time::Duration::from_secs(42)));
}
