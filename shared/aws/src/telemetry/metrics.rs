//! Metrics, as log lines in CloudWatch's embedded metric format.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};
use trigger_core::environment;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{self, Conclusion};
use trigger_core::metrics::{Metric, NAMESPACE, REASON, ROUTE, STACK, WORKER};
use trigger_core::scaling::Observation;
use trigger_engine::{EventError, LaunchReport, Outcome, WorkerReport};

/// The reasons that failures are counted by, as ECS names them; all others count as `Other`. Each reason becomes a
/// metric of its own, so the content of an event must not be able to add one.
const REASONS: [&str; 22] = [
    "RESOURCE:CPU",
    "RESOURCE:MEMORY",
    "RESOURCE:PORTS",
    "RESOURCE:ENI",
    "RESOURCE:GPU",
    "RESOURCE:FARGATE",
    "Capacity is unavailable",
    "AGENT",
    "LOCATION",
    "ATTRIBUTE",
    "MISSING",
    "INACTIVE",
    "AccessDeniedException",
    "BlockedException",
    "ClientException",
    "ClusterNotFoundException",
    "InvalidParameterException",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "ServerException",
    "ThrottlingException",
    "UnsupportedFeatureException",
];

/// A metric and its value.
type Measured = (Metric, u64);

/// Adds one to a metric of the stack.
pub(crate) fn count(metric: Metric) {
    write(&[], &[(metric, 1)]);
}

/// Counts the result of an event.
pub(crate) fn of_event(result: &Result<LaunchReport, EventError>) {
    match result {
        Ok(report) | Err(EventError::Launch(report)) => of_launches(report),
        Err(EventError::DeadLettered(error)) => {
            of_failure(error);
            count(Metric::DeadLettered);
        }
        Err(error) => of_failure(error),
    }
}

fn of_failure(error: &EventError) {
    error.others().into_iter().for_each(of_launches);
    match error {
        EventError::Launch(report) => of_launches(report),
        EventError::Redrive { launch, reason } => failed(Some(&launch.route), reason),
        error => failed(None, error.kind()),
    }
}

/// Counts the outcome of each launch of an event.
pub(crate) fn of_launches(report: &LaunchReport) {
    let now = Timestamp::now();
    let since = report.event_time.map(|time| now.duration_since(time).as_millis());
    let latency = since.and_then(|since| u64::try_from(since).ok());
    // One line for each route adds up what its launches count. A latency or a number of free slots does not add up.
    let mut by_route: BTreeMap<&str, BTreeMap<Metric, u64>> = BTreeMap::new();
    for launch in &report.launches {
        let counts = by_route.entry(&launch.route).or_default();
        let counted = match &launch.outcome {
            Outcome::Launched { .. } => Some(Metric::Launched),
            Outcome::Duplicate { .. } => Some(Metric::Duplicate),
            Outcome::Deferred { .. } => Some(Metric::Deferred),
            Outcome::Skipped(_) => None,
            Outcome::DeadLettered { reason } => {
                failed(Some(&launch.route), reason);
                Some(Metric::DeadLettered)
            }
            Outcome::Failed { reason } => {
                failed(Some(&launch.route), reason);
                None
            }
        };
        if let Some(metric) = counted {
            *counts.entry(metric).or_default() += 1;
        }
        if let (Outcome::Launched { .. }, Some(latency)) = (&launch.outcome, latency) {
            counts.insert(Metric::LaunchLatency, latency);
        }
        if let Some(open) = launch.open_slots {
            counts.insert(Metric::SlotsOpen, u64::from(open));
        }
    }
    for (route, counts) in by_route.iter().filter(|(_, counts)| !counts.is_empty()) {
        write(&[(ROUTE, route)], &counts.iter().map(|(metric, value)| (*metric, *value)).collect::<Vec<_>>());
    }
}

/// Counts a launch that was started after its event was handled.
pub(crate) fn of_launched(launch: &LaunchKey) {
    write(&[(ROUTE, &launch.route)], &[(Metric::Launched, 1)]);
}

/// Counts a launch that ended as a dead letter.
pub(crate) fn of_conclusion(launch: &LaunchKey, conclusion: &Conclusion) {
    if let launch::Outcome::DeadLettered(reason) = &conclusion.outcome {
        failed(Some(&launch.route), reason);
        write(&[(ROUTE, &launch.route)], &[(Metric::DeadLettered, 1)]);
    }
}

/// Writes the numbers of a worker as metrics.
pub(crate) fn of_worker(report: &WorkerReport) {
    let Observation { visible, in_flight, running, desired, .. } = report.observation;
    let values = [
        (Metric::MessagesVisible, visible),
        (Metric::MessagesInFlight, in_flight),
        (Metric::MessagesLeftAlone, report.decision.numbers.map(|numbers| numbers.left_alone)),
        (Metric::WorkersRunning, running.map(u64::from)),
        (Metric::WorkersDesired, desired.map(u64::from)),
        (Metric::WorkersHeldBack, Some(u64::from(report.decision.is_alarming()))),
        (Metric::WorkersUnseen, u64::try_from(report.problems.len()).ok()),
    ];
    let known: Vec<Measured> = values.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect();
    write(&[(WORKER, &report.worker)], &known);
}

fn failed(route: Option<&str>, reason: &str) {
    write(&route.map(|route| (ROUTE, route)).into_iter().collect::<Vec<_>>(), &[(Metric::Failed, 1)]);
    println!("{}", line(&stack(), &[(REASON, class(reason))], false, &[(Metric::Failed, 1)], now()));
}

/// Returns the class that a reason is counted under. The names of our own errors are classes themselves.
fn class(reason: &str) -> &str {
    const OWN: [&str; 5] = ["DecodeError", "PlanError", "MissedFiring", "OutOfTime", "Panic"];
    let known = OWN.iter().chain(&REASONS).find(|known| reason.contains(**known));
    known.copied().unwrap_or("Other")
}

/// Writes values by stack, and by stack and the dimensions `of`.
fn write(of: &[(&str, &str)], values: &[Measured]) {
    println!("{}", line(&stack(), of, true, values, now()));
}

fn stack() -> String {
    env::var(environment::STACK).unwrap_or_else(|_| "local".to_owned())
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Returns the log line of values by stack and the dimensions `of`; with `of_stack`, by the stack alone as well.
fn line(stack: &str, of: &[(&str, &str)], of_stack: bool, values: &[Measured], at: Duration) -> Value {
    let metrics: Vec<Value> =
        values.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let narrow: Vec<&str> = [STACK].into_iter().chain(of.iter().map(|(name, _)| *name)).collect();
    let mut dimensions = vec![narrow];
    if of_stack && !of.is_empty() {
        dimensions.insert(0, vec![STACK]);
    }
    let mut line = json!({
        "_aws": {
            "Timestamp": u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }],
        },
        STACK: stack,
    });
    for (name, value) in of {
        line[*name] = json!(value);
    }
    for (metric, value) in values {
        line[metric.name()] = json!(value);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;
    use trigger_core::metrics::{Metric, ROUTE};

    use super::{class, line};

    #[test]
    fn a_line_counts_by_stack_and_by_what_it_is_about() {
        let values = [(Metric::Launched, 1), (Metric::LaunchLatency, 812)];
        let line = line("prod", &[(ROUTE, "csv")], true, &values, Duration::from_millis(1_700_000_000_123));
        expect![[r#"{"_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"ecs-trigger","Dimensions":[["Stack"],["Stack","Route"]],"Metrics":[{"Name":"Launched","Unit":"Count"},{"Name":"LaunchLatency","Unit":"Milliseconds"}]}]},"Stack":"prod","Route":"csv","Launched":1,"LaunchLatency":812}"#]].assert_eq(&line.to_string());
    }

    #[test]
    fn reasons_are_counted_by_a_few_names() {
        assert_eq!(class("RESOURCE:FARGATE: no capacity"), "RESOURCE:FARGATE");
        assert_eq!(class("AccessDeniedException: User x is not authorized"), "AccessDeniedException");
        assert_eq!(class("PlanError"), "PlanError");
        assert_eq!(class("the container app ended with 1"), "Other");
    }
}
