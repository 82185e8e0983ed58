//! Adds the alarms and the dashboard.

use serde_json::{Value, json};
use trigger_core::event::Queue;
use trigger_core::metrics::{self, Metric, NAMESPACE};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::ScalingRule;

use crate::function::Function;
use crate::names::{dead_letters, identifier};
use crate::template::{Template, attribute, reference, sub};

/// The alarm goes off when a queue's oldest message is older than this many seconds, far more than any start takes.
const OLDEST_MESSAGE_SECONDS: u64 = 900;

/// An alarm that goes off when a metric is above a threshold for some minutes.
struct Alarm<'a> {
    id: String,
    description: String,
    namespace: &'a str,
    metric: &'a str,
    dimensions: Value,
    statistic: &'a str,
    threshold: u64,
    minutes: u32,
    /// Whether the metric counts only the beginning of a problem, not each minute that it lasts.
    is_told_once: bool,
}

/// Adds the alarms and the dashboard.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig, functions: &[Function]) {
    let alarms = alarms(config, functions);
    for alarm in &alarms {
        let mut properties = json!({
            "AlarmName": sub(format!("${{AWS::StackName}}-{}", alarm.id)),
            "AlarmDescription": alarm.description,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "Dimensions": alarm.dimensions,
            "Statistic": alarm.statistic,
            "Period": 60,
            "EvaluationPeriods": alarm.minutes,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        });
        if let Some(topic) = &config.stack.alarm_topic {
            properties["AlarmActions"] = json!([topic]);
            // An alarm on a problem that is counted once, such as a refused config, would report OK a minute later.
            if !alarm.is_told_once {
                properties["OKActions"] = json!([topic]);
            }
        }
        template.resource(&format!("Alarm{}", identifier(&alarm.id)), "AWS::CloudWatch::Alarm", properties);
    }
    let body = dashboard(config, functions);
    template.resource(
        "Dashboard",
        "AWS::CloudWatch::Dashboard",
        json!({ "DashboardName": sub("${AWS::StackName}-${AWS::Region}"), "DashboardBody": sub(body.to_string()) }),
    );
}

fn alarms<'a>(config: &RoutingConfig, functions: &[Function]) -> Vec<Alarm<'a>> {
    let stack = || json!([{ "Name": metrics::STACK, "Value": reference("AWS::StackName") }]);
    let of_ours = |metric: Metric, description: &str, minutes: u32| Alarm {
        id: words(metric.name()),
        description: description.to_owned(),
        namespace: NAMESPACE,
        metric: metric.name(),
        dimensions: stack(),
        statistic: "Sum",
        threshold: 0,
        minutes,
        is_told_once: matches!(metric, Metric::ConfigRefused | Metric::ConfigUnreadable),
    };
    let queue =
        |id: String, description: String, name: Value, metric: &'static str, threshold: u64, minutes: u32| Alarm {
            id,
            description,
            namespace: "AWS/SQS",
            metric,
            dimensions: json!([{ "Name": "QueueName", "Value": name }]),
            statistic: "Maximum",
            threshold,
            minutes,
            is_told_once: false,
        };
    const WAITING: &str = "ApproximateNumberOfMessagesVisible";
    let own = attribute("DeadLetters", "QueueName");
    let about = "The dead-letter queue holds events whose tasks could not be started or failed".to_owned();
    let mut alarms = vec![queue("dead-letters".to_owned(), about, own, WAITING, 0, 1)];
    for (name, id) in dead_letters(config) {
        let about = format!("The dead-letter queue of {name} holds messages that could not be processed");
        let of = attribute(&id, "QueueName");
        alarms.push(queue(format!("dead-letters-of-{}", dashes(name)), about, of, WAITING, 0, 1));
    }
    for (name, seconds) in watched_queues(config) {
        let about = format!("A message in {name} has been waiting for more than {seconds} s");
        let id = format!("oldest-message-of-{}", dashes(&name));
        alarms.push(queue(id, about, name.into(), "ApproximateAgeOfOldestMessage", seconds, 3));
    }
    alarms.push(of_ours(Metric::Failed, "A launch or an event failed", 1));
    alarms.push(of_ours(
        Metric::DeadLettersUnsent,
        "The dead-letter queue refuses a letter; its event is tried again and again",
        1,
    ));
    alarms.push(of_ours(
        Metric::ConfigRefused,
        "A new version of the config has errors; the last good one stays in force",
        1,
    ));
    alarms.push(of_ours(Metric::ConfigUnreadable, "The config cannot be read; the last good one stays in force", 1));
    if functions.contains(&Function::QueueScaler) {
        alarms.push(of_ours(Metric::WorkersUnseen, "The scaler cannot read a queue, or read or change its workers", 3));
    }
    for function in functions {
        alarms.push(Alarm {
            id: format!("{}-errors", function.name()),
            description: format!("{} has returned errors for three minutes", function.name()),
            namespace: "AWS/Lambda",
            metric: "Errors",
            dimensions: json!([{ "Name": "FunctionName", "Value": reference(function.id()) }]),
            statistic: "Sum",
            threshold: 0,
            minutes: 3,
            is_told_once: false,
        });
    }
    alarms
}

/// Returns each queue with the age of its oldest message, in seconds, at which its alarm goes off.
fn watched_queues(config: &RoutingConfig) -> Vec<(String, u64)> {
    let patience = |queue: &Queue| {
        let workers = config.workers.iter().filter(|worker| worker.queues.iter().any(|known| known.is(queue)));
        let latencies = workers.filter_map(|worker| match &worker.policy.rule {
            ScalingRule::Latency(rule) => Some(rule.acceptable_latency),
            _ => None,
        });
        latencies.map(|latency| latency.as_secs() * 3).max().unwrap_or(0).max(OLDEST_MESSAGE_SECONDS)
    };
    let all = config.queues().into_iter().chain(config.worker_queues());
    all.map(|queue| (queue.name.clone(), patience(queue))).collect()
}

/// Returns the dashboard's body, in which CloudFormation fills in `${...}`.
fn dashboard(config: &RoutingConfig, functions: &[Function]) -> Value {
    let ours = |metric: Metric| json!([NAMESPACE, metric.name(), metrics::STACK, "${AWS::StackName}"]);
    let mut widgets = vec![
        widget(
            "Launches",
            "Sum",
            [Metric::Launched, Metric::Duplicate, Metric::Deferred, Metric::Failed].map(ours).to_vec(),
        ),
        widget("Latency from event to launch, ms", "p99", vec![ours(Metric::LaunchLatency)]),
    ];
    let mut dead =
        vec![json!(["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${DeadLetters.QueueName}"])];
    for (_, id) in dead_letters(config) {
        dead.push(json!([
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            "QueueName",
            format!("${{{id}.QueueName}}")
        ]));
    }
    widgets.push(widget("Dead letters", "Maximum", dead));
    let invoked = |metric: &'static str| {
        functions
            .iter()
            .map(move |function| json!(["AWS/Lambda", metric, "FunctionName", format!("${{{}}}", function.id())]))
    };
    widgets.push(widget("Functions", "Sum", invoked("Invocations").chain(invoked("Errors")).collect()));
    let limited = config.routes.iter().filter(|route| route.has_slots());
    let open = |route: &trigger_core::routing::Route| {
        json!([NAMESPACE, Metric::SlotsOpen.name(), metrics::STACK, "${AWS::StackName}", metrics::ROUTE, route.name])
    };
    let open: Vec<Value> = limited.map(open).collect();
    if !open.is_empty() {
        widgets.push(widget("Open slots", "Minimum", open));
    }
    for worker in &config.workers {
        let of = |metric: Metric| {
            json!([NAMESPACE, metric.name(), metrics::STACK, "${AWS::StackName}", metrics::WORKER, worker.name])
        };
        let shown = [Metric::MessagesVisible, Metric::MessagesInFlight, Metric::WorkersRunning, Metric::WorkersDesired];
        widgets.push(widget(&format!("Workers {}", worker.name), "Maximum", shown.map(of).to_vec()));
    }
    const COLUMNS: usize = 2;
    const WIDTH: usize = 12;
    const HEIGHT: usize = 6;
    for (position, widget) in widgets.iter_mut().enumerate() {
        widget["x"] = (position % COLUMNS * WIDTH).into();
        widget["y"] = (position / COLUMNS * HEIGHT).into();
        widget["width"] = WIDTH.into();
        widget["height"] = HEIGHT.into();
    }
    json!({ "widgets": widgets })
}

/// Returns a graph.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>
fn widget(title: &str, statistic: &str, metrics: Vec<Value>) -> Value {
    json!({
        "type": "metric",
        "properties": {
            "title": title,
            "region": "${AWS::Region}",
            "stat": statistic,
            "period": 60,
            "metrics": metrics,
        },
    })
}

/// Turns `ConfigRefused` into `config-refused`.
fn words(name: &str) -> String {
    let dash = |(at, c): (usize, char)| {
        let is_first = at == 0 || !c.is_ascii_uppercase();
        format!("{}{}", if is_first { "" } else { "-" }, c.to_ascii_lowercase())
    };
    name.char_indices().map(dash).collect()
}

/// Returns a queue's name as a part of an alarm's name.
fn dashes(name: &str) -> String {
    name.replace('.', "-")
}
