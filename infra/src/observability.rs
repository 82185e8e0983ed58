//! Adds the alarms and the dashboard.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trigger_core::config::stack::LogClass;
use trigger_core::event::Queue;
use trigger_core::metrics::{self, Metric, NAMESPACE};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::ScalingRule;
use trigger_core::storage::{Index, Storage};

use crate::function::Function;
use crate::names::{dead_letters, identifier};
use crate::queues::{FAILED_WORK_ID, WORK_ID};
use crate::template::{Template, attribute, reference, sub};

/// The alarm goes off when a queue's oldest message is older than this many seconds, far more than any start takes.
const OLDEST_MESSAGE_SECONDS: u64 = 900;

/// The alarm goes off when work has waited for more than this many seconds: twice the longest delay of a message, which
/// counts as waiting.
const OLDEST_WORK_SECONDS: u64 = 1800;

/// An alarm that goes off when a metric is above a threshold for some minutes.
struct Alarm<'a> {
    id: String,
    description: String,
    namespace: &'a str,
    metric: &'a str,
    /// The dimensions of the metric, or of several: then the largest value counts.
    dimensions: Vec<Value>,
    statistic: &'a str,
    threshold: u64,
    minutes: u32,
    /// Whether the metric counts only the beginning of a problem, not each minute that it lasts.
    is_told_once: bool,
}

/// An alarm watches at most this many metrics.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>
const METRICS_MAX: usize = 10;
/// With more queues than this, an alarm watches several: a stack has at most 500 resources.
const QUEUES_WITH_ALARMS_MAX: usize = 25;

impl Alarm<'_> {
    /// Returns the properties that say what the alarm watches.
    fn metrics(&self) -> Vec<(&'static str, Value)> {
        const PERIOD_SECONDS: u32 = 60;
        if let [dimensions] = self.dimensions.as_slice() {
            return vec![
                ("Namespace", self.namespace.into()),
                ("MetricName", self.metric.into()),
                ("Dimensions", dimensions.clone()),
                ("Statistic", self.statistic.into()),
                ("Period", PERIOD_SECONDS.into()),
            ];
        }
        let one = |(position, dimensions): (usize, &Value)| {
            let metric = json!({ "Namespace": self.namespace, "MetricName": self.metric, "Dimensions": dimensions });
            json!({
                "Id": format!("m{position}"),
                "MetricStat": { "Metric": metric, "Period": PERIOD_SECONDS, "Stat": self.statistic },
                "ReturnData": false,
            })
        };
        let mut metrics: Vec<Value> = self.dimensions.iter().enumerate().map(one).collect();
        let all = (0..metrics.len()).map(|position| format!("FILL(m{position}, 0)")).collect::<Vec<_>>().join(", ");
        metrics.push(json!({ "Id": "largest", "Expression": format!("MAX([{all}])"), "ReturnData": true }));
        vec![("Metrics", metrics.into())]
    }
}

/// Adds the alarms and the dashboard.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig, functions: &[Function]) {
    let alarms = alarms(config, functions);
    for alarm in &alarms {
        let mut properties = json!({
            "AlarmName": sub(format!("${{AWS::StackName}}-{}", alarm.id)),
            "AlarmDescription": alarm.description,
            "EvaluationPeriods": alarm.minutes,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        });
        for (key, value) in alarm.metrics() {
            properties[key] = value;
        }
        if let Some(topic) = &config.stack.alarm_topic {
            properties["AlarmActions"] = json!([topic.value]);
            // An alarm on a problem that is counted once, such as a refused config, would report OK a minute later.
            if !alarm.is_told_once {
                properties["OKActions"] = json!([topic.value]);
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
        dimensions: vec![stack()],
        statistic: "Sum",
        threshold: 0,
        minutes,
        is_told_once: matches!(metric, Metric::ConfigRefused | Metric::ConfigUnreadable),
    };
    let queues =
        |id: String, description: String, names: Vec<Value>, metric: &'static str, threshold: u64, minutes: u32| {
            Alarm {
                id,
                description,
                namespace: "AWS/SQS",
                metric,
                dimensions: names.into_iter().map(|name| json!([{ "Name": "QueueName", "Value": name }])).collect(),
                statistic: "Maximum",
                threshold,
                minutes,
                is_told_once: false,
            }
        };
    const WAITING: &str = "ApproximateNumberOfMessagesVisible";
    let own = attribute("DeadLetters", "QueueName");
    let about = "The dead-letter queue holds events whose tasks could not be started or failed".to_owned();
    let mut alarms = vec![queues("dead-letters".to_owned(), about, vec![own], WAITING, 0, 1)];
    for (name, of) in together(dead_letters(config).map(|(name, id)| (name.to_owned(), attribute(&id, "QueueName")))) {
        let about = format!("The dead-letter queue of {name} holds messages that could not be processed");
        alarms.push(queues(format!("dead-letters-of-{name}"), about, of, WAITING, 0, 1));
    }
    let mut by_patience: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (name, seconds) in watched_queues(config) {
        by_patience.entry(seconds).or_default().push(name);
    }
    for (seconds, names) in by_patience {
        for (name, of) in together(names.into_iter().map(|name| (name.clone(), name.into()))) {
            let about = format!("A message in {name} has been waiting for more than {seconds} s");
            let id = format!("oldest-message-of-{name}");
            alarms.push(queues(id, about, of, "ApproximateAgeOfOldestMessage", seconds, 3));
        }
    }
    if let Some(storage) = config.ledger() {
        let queue = |id: &str| vec![attribute(id, "QueueName")];
        let about = format!("Launches in the work queue have been waiting for more than {OLDEST_WORK_SECONDS} s");
        let (id, age) = ("oldest-work".to_owned(), "ApproximateAgeOfOldestMessage");
        alarms.push(queues(id, about, queue(WORK_ID), age, OLDEST_WORK_SECONDS, 3));
        let about = "Launches of the work queue could not be continued; the sweep tries them again".to_owned();
        alarms.push(queues("work-failed".to_owned(), about, queue(FAILED_WORK_ID), WAITING, 0, 1));
        alarms.extend(throttles(storage));
    }
    if !has_metrics_of_logs(config) {
        alarms.extend(functions.iter().map(errors));
        return alarms;
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
    alarms.extend(functions.iter().map(errors));
    alarms
}

/// Returns whether ecs-trigger's own metrics exist. CloudWatch takes them from the functions' logs, and only from log groups
/// of the standard class.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html>
fn has_metrics_of_logs(config: &RoutingConfig) -> bool {
    config.stack.log_class() == LogClass::Standard
}

/// Returns the alarm on a function's errors.
fn errors(function: &Function) -> Alarm<'static> {
    Alarm {
        id: format!("{}-errors", function.name()),
        description: format!("{} has returned errors for three minutes", function.name()),
        namespace: "AWS/Lambda",
        metric: "Errors",
        dimensions: vec![json!([{ "Name": "FunctionName", "Value": reference(function.id()) }])],
        statistic: "Sum",
        threshold: 0,
        minutes: 3,
        is_told_once: false,
    }
}

/// Returns the alarms on throttled requests to the table and to its indexes, whose metrics are apart. Functions read one
/// index. Of the others, none takes more writes of one list than that of all launches.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html>
fn throttles(storage: &Storage) -> Vec<Alarm<'static>> {
    let table = || json!({ "Name": "TableName", "Value": storage.table() });
    let index = |index: Index| json!([table(), { "Name": "GlobalSecondaryIndexName", "Value": index.name() }]);
    let watched = |place: &'static str, requests: &'static str, metric: &'static str, dimensions: Value| Alarm {
        id: format!("{place}-{requests}-throttled"),
        description: format!("DynamoDB has throttled {requests} of the launches' {place} for three minutes"),
        namespace: "AWS/DynamoDB",
        metric,
        dimensions: vec![dimensions],
        statistic: "Sum",
        threshold: 0,
        minutes: 3,
        is_told_once: false,
    };
    let (read, written) = ("ReadThrottleEvents", "WriteThrottleEvents");
    vec![
        watched("table", "reads", read, json!([table()])),
        watched("table", "writes", written, json!([table()])),
        watched("index", "reads", read, index(Index::Time)),
        watched("index", "writes", written, index(Index::Time)),
        watched("history-index", "writes", written, index(Index::Created)),
    ]
}

/// Returns the queues that an alarm watches, with the name of the queue or of all of them. Each has its own alarm unless
/// there are many.
fn together(queues: impl Iterator<Item = (String, Value)>) -> Vec<(String, Vec<Value>)> {
    let queues: Vec<(String, Value)> = queues.collect();
    let size = if queues.len() > QUEUES_WITH_ALARMS_MAX { METRICS_MAX } else { 1 };
    let name = |group: &[(String, Value)]| match group {
        [(only, _)] => only.clone(),
        [(first, _), .., (last, _)] => format!("{first}-to-{last}"),
        [] => String::new(),
    };
    queues.chunks(size).map(|group| (name(group), group.iter().map(|(_, value)| value.clone()).collect())).collect()
}

/// Returns each queue with the age of its oldest message, in seconds, at which its alarm goes off.
fn watched_queues(config: &RoutingConfig) -> BTreeMap<String, u64> {
    let patience = |queue: &Queue| {
        let workers = config.workers.iter().filter(|worker| worker.queues.iter().any(|known| known.is(queue)));
        let latencies = workers.filter_map(|worker| match &worker.policy.rule {
            ScalingRule::Latency(rule) => Some(rule.acceptable_latency),
            _ => None,
        });
        latencies.map(|latency| latency.as_secs() * 3).max().unwrap_or(0).max(OLDEST_MESSAGE_SECONDS)
    };
    config.all_queues().into_iter().map(|queue| (queue.name.clone(), patience(queue))).collect()
}

/// A widget shows at most this many metrics, and a dashboard 2,500: the routes and workers behind these are not shown.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
const WIDGET_METRICS_MAX: usize = 500;
const WORKERS_SHOWN_MAX: usize = 400;

/// Returns the dashboard's body, in which CloudFormation fills in `${...}`.
fn dashboard(config: &RoutingConfig, functions: &[Function]) -> Value {
    let ours = |metric: Metric| json!([NAMESPACE, metric.name(), metrics::STACK, "${AWS::StackName}"]);
    let has_ours = has_metrics_of_logs(config);
    let mut widgets = Vec::new();
    if has_ours {
        let launches = [Metric::Launched, Metric::Duplicate, Metric::Deferred, Metric::Failed];
        widgets.push(widget("Launches", "Sum", launches.map(ours).to_vec()));
        widgets.push(widget("Latency from event to launch, ms", "p99", vec![ours(Metric::LaunchLatency)]));
    }
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
    if config.ledger().is_some() {
        let work = |metric: &str, id: &str| json!(["AWS/SQS", metric, "QueueName", format!("${{{id}.QueueName}}")]);
        widgets.push(widget(
            "Work queue",
            "Maximum",
            vec![
                work("ApproximateNumberOfMessagesVisible", WORK_ID),
                work("ApproximateNumberOfMessagesDelayed", WORK_ID),
                work("ApproximateNumberOfMessagesVisible", FAILED_WORK_ID),
            ],
        ));
    }
    let invoked = |metric: &'static str| {
        functions
            .iter()
            .map(move |function| json!(["AWS/Lambda", metric, "FunctionName", format!("${{{}}}", function.id())]))
    };
    widgets.push(widget("Functions", "Sum", invoked("Invocations").chain(invoked("Errors")).collect()));
    let limited = config.routes.iter().filter(|route| has_ours && route.has_slots());
    let open = |route: &trigger_core::routing::Route| {
        json!([NAMESPACE, Metric::SlotsOpen.name(), metrics::STACK, "${AWS::StackName}", metrics::ROUTE, route.name])
    };
    let open: Vec<Value> = limited.map(open).take(WIDGET_METRICS_MAX).collect();
    if !open.is_empty() {
        widgets.push(widget("Open slots", "Minimum", open));
    }
    for worker in config.workers.iter().filter(|_| has_ours).take(WORKERS_SHOWN_MAX) {
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

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{METRICS_MAX, QUEUES_WITH_ALARMS_MAX, alarms, together};
    use crate::functions;

    #[test]
    fn a_ledger_has_alarms_on_its_work_and_on_its_table_and_its_index() {
        let text = "version: 1\nstorage: { bucket: state }\ntasks: {}\nroutes: []\n";
        let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
        let line = |alarm: &super::Alarm<'_>| {
            let dimensions: Vec<String> = alarm.dimensions.iter().map(Value::to_string).collect();
            let rule = format!("{} above {} for {} min", alarm.metric, alarm.threshold, alarm.minutes);
            format!("{}: {rule}\n{}", alarm.id, dimensions.iter().map(|of| format!("  {of}\n")).collect::<String>())
        };
        let all = alarms(&config, &functions(&config));
        let words = ["-work", "work-", "-throttled"];
        let new = all.iter().filter(|alarm| words.iter().any(|word| alarm.id.contains(word)));
        expect![[r#"
            oldest-work: ApproximateAgeOfOldestMessage above 1800 for 3 min
              [{"Name":"QueueName","Value":{"Fn::GetAtt":["Work","QueueName"]}}]
            work-failed: ApproximateNumberOfMessagesVisible above 0 for 1 min
              [{"Name":"QueueName","Value":{"Fn::GetAtt":["WorkFailed","QueueName"]}}]
            table-reads-throttled: ReadThrottleEvents above 0 for 3 min
              [{"Name":"TableName","Value":"state"}]
            table-writes-throttled: WriteThrottleEvents above 0 for 3 min
              [{"Name":"TableName","Value":"state"}]
            index-reads-throttled: ReadThrottleEvents above 0 for 3 min
              [{"Name":"TableName","Value":"state"},{"Name":"GlobalSecondaryIndexName","Value":"time"}]
            index-writes-throttled: WriteThrottleEvents above 0 for 3 min
              [{"Name":"TableName","Value":"state"},{"Name":"GlobalSecondaryIndexName","Value":"time"}]
            history-index-writes-throttled: WriteThrottleEvents above 0 for 3 min
              [{"Name":"TableName","Value":"state"},{"Name":"GlobalSecondaryIndexName","Value":"created"}]
        "#]]
        .assert_eq(&new.map(line).collect::<String>());
    }

    #[test]
    fn each_queue_is_watched_once_by_alarms_with_names_of_their_own() {
        for count in [0, 1, QUEUES_WITH_ALARMS_MAX, QUEUES_WITH_ALARMS_MAX + 1, 80] {
            let queues: Vec<(String, Value)> = (0..count).map(|at| (format!("q{at}"), json!(at))).collect();
            let groups = together(queues.into_iter());
            let watched: Vec<&Value> = groups.iter().flat_map(|(_, watched)| watched).collect();
            assert_eq!(watched, (0..count).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
            assert!(groups.iter().all(|(_, watched)| (1..=METRICS_MAX).contains(&watched.len())), "{groups:?}");
            assert_eq!(groups.len(), if count > QUEUES_WITH_ALARMS_MAX { count.div_ceil(METRICS_MAX) } else { count });
            let mut names: Vec<&String> = groups.iter().map(|(name, _)| name).collect();
            names.dedup();
            assert_eq!(names.len(), groups.len());
        }
    }
}
