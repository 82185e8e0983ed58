//! What a reply means. All tests use [`check`].

use super::{Failure, Reply, Verdict};

/// Returns a reply with `count` tasks and these failures.
fn tasks(count: usize, failures: &[&str]) -> Reply {
    let failure = |reason: &&str| Failure { arn: None, reason: (*reason).to_owned(), detail: None };
    Reply::Tasks {
        task_arns: (0..count).map(|task| format!("arn:{task}")).collect(),
        failures: failures.iter().map(failure).collect(),
    }
}

fn error(code: &str, message: &str) -> Reply {
    Reply::Error { code: code.to_owned(), message: message.to_owned(), resource_ids: Vec::new(), of_server: false }
}

const IN_DOUBT: Verdict = Verdict::InDoubt;
const FULL: Verdict = Verdict::Busy { throttled: false };
const SLOWER: Verdict = Verdict::Busy { throttled: true };

#[track_caller]
fn check(reply: &Reply, expected: &Verdict) {
    assert_eq!(reply.verdict(2), *expected, "{reply}");
}

#[test]
fn all_tasks_are_launched_and_fewer_are_asked_for_again_on_the_next_rung() {
    check(&tasks(2, &[]), &Verdict::Launched);
    check(&tasks(1, &["RESOURCE:MEMORY"]), &Verdict::NextRung);
    check(&tasks(1, &[]), &Verdict::NextRung);
    // An empty reply proves nothing.
    check(&tasks(0, &[]), &IN_DOUBT);
}

#[test]
fn every_failure_is_definite() {
    let known = [
        "RESOURCE:CPU",
        "RESOURCE:MEMORY",
        "RESOURCE:PORTS",
        "RESOURCE:ENI",
        "RESOURCE:GPU",
        "RESOURCE:FARGATE",
        "AGENT",
        "LOCATION",
        "ATTRIBUTE",
        "MISSING",
        "INACTIVE",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        "SOMETHING:NEW",
    ];
    for reason in known {
        check(&tasks(0, &[reason, reason]), &Verdict::NextRung);
    }
}

#[test]
fn a_conflict_is_a_launch_if_it_names_its_tasks() {
    let conflict = |resource_ids: &[&str]| Reply::Error {
        code: "ConflictException".to_owned(),
        message: "m".to_owned(),
        resource_ids: resource_ids.iter().map(|&id| id.to_owned()).collect(),
        of_server: false,
    };
    check(&conflict(&["arn:1"]), &Verdict::AlreadyLaunched);
    check(&conflict(&[]), &IN_DOUBT);
}

#[test]
fn errors_by_their_names_and_what_they_say() {
    for (code, message, expected) in [
        ("AccessDeniedException", "User is not authorized", Verdict::Permanent),
        ("BlockedException", "Your account is blocked", Verdict::Permanent),
        ("ClientException", "TaskDefinition is inactive", Verdict::Permanent),
        ("ClusterNotFoundException", "Cluster not found.", Verdict::Permanent),
        ("InvalidParameterException", "Count should be between 1 and 10", Verdict::Permanent),
        ("PlatformTaskDefinitionIncompatibilityException", "m", Verdict::Permanent),
        ("PlatformUnknownException", "m", Verdict::Permanent),
        ("UnsupportedFeatureException", "m", Verdict::Permanent),
        ("ThrottlingException", "Rate exceeded", SLOWER),
        ("RequestLimitExceeded", "m", SLOWER),
        ("InvalidParameterException", "Override for container named throttler is not a container", Verdict::Permanent),
        // Amazon EC2's throttling, as ECS passes it on.
        ("InvalidParameterException", "... Rate exceeded (Service: AmazonEC2; ErrorCode: Throttling)", SLOWER),
        ("ClientException", "You've reached the limit on the number of tasks you can run concurrently", FULL),
        ("ClientException", "The cluster has too many tasks in PROVISIONING", FULL),
        ("ClientException", "Capacity is unavailable at this time. Please try again later", Verdict::NextRung),
        ("InvalidParameterException", "No Container Instances were found in your cluster.", Verdict::NextRung),
        // Errors of other services, wrapped by ECS, as users have reported them.
        (
            "InvalidParameterException",
            "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
            SLOWER,
        ),
        (
            "InvalidParameterException",
            "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
            SLOWER,
        ),
        (
            "InvalidParameterException",
            "Error retrieving subnet information for [subnet-1]: The service is unavailable (ErrorCode: Unavailable)",
            FULL,
        ),
        (
            "InvalidParameterException",
            "Error retrieving subnet information for [subnet-1]: An internal error (ErrorCode: InternalError)",
            FULL,
        ),
        (
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
            FULL,
        ),
        ("ClientException", "Tasks provisioning capacity limit exceeded.", FULL),
        ("InvalidParameterException", "The subnet ID 'subnet-gone' does not exist", Verdict::Permanent),
        // What a user named is not what ECS says.
        (
            "ClientException",
            "ECS was unable to assume the role 'arn:aws:iam::111122223333:role/rate-limiter-task' that was provided for this task.",
            Verdict::Permanent,
        ),
        (
            "ClientException",
            "ECS was unable to assume the role arn:aws:iam::111122223333:role/quota-task that was provided for this task.",
            Verdict::Permanent,
        ),
        ("ExpiredTokenException", "The security token included in the request is expired", IN_DOUBT),
        ("SomethingNewException", "m", IN_DOUBT),
    ] {
        check(&error(code, message), &expected);
    }
}

#[test]
fn what_fails_on_the_way_leaves_open_what_happened() {
    check(&Reply::Nothing { message: "timeout".to_owned() }, &IN_DOUBT);
    for code in ["ServerException", "AccessDeniedException"] {
        let of_server =
            Reply::Error { code: code.to_owned(), message: "m".to_owned(), resource_ids: Vec::new(), of_server: true };
        check(&of_server, &IN_DOUBT);
    }
}
