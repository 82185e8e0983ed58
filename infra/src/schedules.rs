//! Adds the schedules of EventBridge Scheduler.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use trigger_core::event::{SCHEDULER_INPUT, SWEEP_INPUT};
use trigger_core::routing::{Route, RoutingConfig};

use crate::function::{Function, functions};
use crate::names::identifier;
use crate::policy::use_key;
use crate::roles::{ROLE_POLICY, assumed_by};
use crate::template::{Template, attribute, reference, sub};

/// A schedule that invokes the `schedule-trigger` function. Its serialized form has AWS's own keys, as CloudFormation's
/// `AWS::Scheduler::Schedule` and `aws scheduler create-schedule --cli-input-json` take them.
/// Source: <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are AWS's own")]
pub struct Schedule {
    pub name: String,
    pub schedule_expression: String,
    pub schedule_expression_timezone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    pub flexible_time_window: FlexibleTimeWindow,
    /// `ENABLED` or `DISABLED`.
    pub state: &'static str,
    pub target: Target,
}

/// How long after its scheduled time a firing may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are AWS's own")]
pub struct FlexibleTimeWindow {
    /// `OFF` or `FLEXIBLE`.
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_window_in_minutes: Option<u32>,
}

/// The function that a schedule invokes, and its input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are AWS's own")]
pub struct Target {
    pub arn: String,
    pub role_arn: String,
    pub input: String,
    pub retry_policy: RetryPolicy,
    pub dead_letter_config: DeadLetterConfig,
}

/// The queue for firings that cannot be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are AWS's own")]
pub struct DeadLetterConfig {
    pub arn: String,
}

/// How long, and how many times, Scheduler retries the invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are AWS's own")]
pub struct RetryPolicy {
    pub maximum_event_age_in_seconds: u32,
    pub maximum_retry_attempts: u32,
}

/// Returns the schedules that a config needs: one for each route on a schedule, with the route's name. They invoke
/// `function_arn` with the role `role_arn`; firings that cannot be delivered go to the queue `dead_letter_arn`.
pub fn schedules(config: &RoutingConfig, function_arn: &str, role_arn: &str, dead_letter_arn: &str) -> Vec<Schedule> {
    let all = config.routes.iter();
    all.filter_map(|route| schedule(route, function_arn, role_arn, dead_letter_arn)).collect()
}

fn schedule(route: &Route, function_arn: &str, role_arn: &str, dead_letter_arn: &str) -> Option<Schedule> {
    let schedule = route.schedule()?;
    let date = |time: Timestamp| time.strftime("%FT%TZ").to_string();
    Some(Schedule {
        name: route.name.clone(),
        schedule_expression: schedule.expression_for_aws(),
        schedule_expression_timezone: schedule.timezone.iana_name().unwrap_or("UTC").to_owned(),
        start_date: schedule.start.map(date),
        end_date: schedule.end.map(date),
        flexible_time_window: FlexibleTimeWindow {
            mode: if schedule.flexible_window_minutes.is_some() { "FLEXIBLE" } else { "OFF" },
            maximum_window_in_minutes: schedule.flexible_window_minutes,
        },
        state: if schedule.enabled { "ENABLED" } else { "DISABLED" },
        target: Target {
            arn: function_arn.to_owned(),
            role_arn: role_arn.to_owned(),
            input: SCHEDULER_INPUT.replace("ROUTE", &route.name),
            // Scheduler's maximum: the function decides which firings are too late.
            retry_policy: RetryPolicy { maximum_event_age_in_seconds: 86_400, maximum_retry_attempts: 185 },
            dead_letter_config: DeadLetterConfig { arn: dead_letter_arn.to_owned() },
        },
    })
}

/// The functions that a schedule invokes each minute, with the schedule's logical id and its input.
const EACH_MINUTE: [(Function, &str, &str); 2] =
    [(Function::TaskLifecycle, "Sweep", SWEEP_INPUT), (Function::QueueScaler, "Scale", "{}")];

/// Returns whether a config's stack has schedules, and a group of schedules for them.
pub fn has_schedules(config: &RoutingConfig) -> bool {
    let is_scheduled =
        |function| function == Function::ScheduleTrigger || EACH_MINUTE.iter().any(|(each, ..)| *each == function);
    functions(config).into_iter().any(is_scheduled)
}

/// Adds the schedules in a schedule group of their own, and the role with which they invoke the functions.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig, functions: &[Function]) {
    if !has_schedules(config) {
        return;
    }
    let has_routes = functions.contains(&Function::ScheduleTrigger);
    let each_minute: Vec<_> = EACH_MINUTE.into_iter().filter(|(function, ..)| functions.contains(function)).collect();
    template.resource("Schedules", "AWS::Scheduler::ScheduleGroup", json!({ "Name": reference("AWS::StackName") }));
    let of_routes = [Function::ScheduleTrigger].into_iter().filter(|_| has_routes);
    let invoked: Vec<Value> = of_routes
        .chain(each_minute.iter().map(|(function, ..)| *function))
        .map(|function| attribute(function.id(), "Arn"))
        .collect();
    let of_this_stack = json!({
        "StringEquals": { "aws:SourceAccount": reference("AWS::AccountId") },
        "ArnEquals": { "aws:SourceArn": attribute("Schedules", "Arn") },
    });
    let mut statements = vec![
        json!({ "Sid": "Invoke", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": invoked }),
        json!({
            "Sid": "DeadLetter",
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": attribute("DeadLetters", "Arn"),
        }),
    ];
    statements.extend(use_key(config).map(|statement| statement.to_json()));
    template.resource(
        "SchedulesRole",
        "AWS::IAM::Role",
        json!({
            "Description": sub("Permissions of the schedules of ${AWS::StackName}"),
            "AssumeRolePolicyDocument": assumed_by("scheduler.amazonaws.com", Some(of_this_stack)),
            "Policies": [{
                "PolicyName": ROLE_POLICY,
                "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
            }],
        }),
    );
    for schedule in schedules(config, "", "", "") {
        let id = schedule_id(&schedule.name);
        add_schedule(template, &id, Function::ScheduleTrigger, json!(schedule));
    }
    for (function, id, input) in each_minute {
        // No retries: the next minute's invocation makes up for a failed one.
        let schedule = json!({
            "Name": sub(format!("${{AWS::StackName}}-{}", id.to_ascii_lowercase())),
            "ScheduleExpression": "rate(1 minute)",
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "State": "ENABLED",
            "Target": { "Input": input, "RetryPolicy": { "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0 } },
        });
        add_schedule(template, id, function, schedule);
    }
}

fn schedule_id(route: &str) -> String {
    format!("Schedule{}", identifier(route))
}

/// Removes what has passed, because Scheduler refuses it: the schedules that never fire again, and start dates.
/// Source: <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
pub fn without_past(mut template: Value, config: &RoutingConfig, now: Timestamp) -> Value {
    let Some(resources) = template["Resources"].as_object_mut() else { return template };
    for id in past(config, now) {
        resources.remove(&id);
    }
    for resource in resources.values_mut() {
        let Some(properties) = resource["Properties"].as_object_mut() else { continue };
        let start = properties.get("StartDate").and_then(Value::as_str);
        if start.and_then(|start| start.parse::<Timestamp>().ok()).is_some_and(|start| start <= now) {
            properties.remove("StartDate");
        }
    }
    template
}

/// Returns the logical ids of the schedules that never fire again. One whose last firing may still be delivered, in its
/// flexible window, is not among them.
fn past(config: &RoutingConfig, now: Timestamp) -> impl Iterator<Item = String> {
    let is_past = move |route: &&Route| {
        route.schedule().is_some_and(|schedule| {
            let window = SignedDuration::from_mins(schedule.flexible_window_minutes.unwrap_or(0).into());
            let since = now.checked_sub(window).unwrap_or(now);
            schedule.next_after(since, since).is_none()
        })
    };
    config.routes.iter().filter(is_past).map(|route| schedule_id(&route.name))
}

fn add_schedule(template: &mut Template, id: &str, function: Function, mut schedule: Value) {
    schedule["GroupName"] = reference("Schedules");
    schedule["Target"]["Arn"] = attribute(function.id(), "Arn");
    schedule["Target"]["RoleArn"] = attribute("SchedulesRole", "Arn");
    if function == Function::ScheduleTrigger {
        schedule["Target"]["DeadLetterConfig"] = json!({ "Arn": attribute("DeadLetters", "Arn") });
    }
    template.resource(id, "AWS::Scheduler::Schedule", schedule);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{schedules, without_past};

    #[test]
    fn the_template_has_no_schedule_and_no_start_that_has_passed() {
        let on = [
            ("past", "schedule: at(2026-03-01T08:59:00)"),
            ("present-in-its-zone", "schedule: at(2026-03-01T18:30:00), timezone: Asia/Seoul"),
            ("in-its-window", "schedule: at(2026-03-01T08:50:00), flexible_window: 15m"),
            ("ended", "schedule: rate(1 hour), end: 2026-03-01T08:00:00"),
            ("ended-and-off", "schedule: cron(0 3 * * ? *), end: 2026-03-01T08:00:00, state: disabled"),
            ("started", "schedule: rate(1 hour), start: 2026-03-01T08:00:00"),
            ("coming", "schedule: rate(1 hour), start: 2026-03-01T10:00:00, end: 2026-03-02T00:00:00"),
        ];
        let routes: String =
            on.iter().map(|(name, on)| format!("  - {{ name: {name}, on: {{ {on} }}, run: t }}\n")).collect();
        let config = format!("version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes:\n{routes}");
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let now = "2026-03-01T09:00:00Z".parse().expect("is a time");
        let template = crate::stack(&config, &std::collections::BTreeMap::new()).to_json();
        let template = without_past(template, &config, now);
        let resources = template["Resources"].as_object().into_iter().flatten().map(|(_, resource)| resource);
        let schedules = resources.filter(|resource| resource["Type"] == "AWS::Scheduler::Schedule");
        let line = |schedule: &serde_json::Value| {
            let properties = &schedule["Properties"];
            format!("{} from {} to {}\n", properties["Name"], properties["StartDate"], properties["EndDate"])
        };
        expect![[r#"
            "present-in-its-zone" from null to null
            "in-its-window" from null to null
            "started" from null to null
            "coming" from "2026-03-01T10:00:00Z" to "2026-03-02T00:00:00Z"
        "#]]
        .assert_eq(&schedules.map(line).collect::<String>());
    }

    #[test]
    fn each_route_on_a_schedule_has_a_schedule_in_its_zone() {
        let config = r#"
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: events, on: { event_pattern: { source: [my.app] } }, run: t }
  - { name: often, on: { schedule: rate(1 hours) }, run: t }
  - { name: monthly, on: { schedule: cron(0 3 L-3 * ?) }, run: t }
  - name: nightly
    on: { schedule: cron(0 3 * * ? *), timezone: Asia/Seoul, start: "2026-12-01T00:00:00", end: "2027-01-01T00:00:00Z", flexible_window: 15m, state: disabled }
    run: t
"#;
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let schedules = schedules(&config, "arn:function", "arn:role", "arn:queue");
        let shown = serde_json::to_string_pretty(&schedules).expect("is JSON");
        expect![[r#"
            [
              {
                "Name": "often",
                "ScheduleExpression": "rate(1 hour)",
                "ScheduleExpressionTimezone": "UTC",
                "FlexibleTimeWindow": {
                  "Mode": "OFF"
                },
                "State": "ENABLED",
                "Target": {
                  "Arn": "arn:function",
                  "RoleArn": "arn:role",
                  "Input": "{\"route\":\"often\",\"schedule_arn\":\"<aws.scheduler.schedule-arn>\",\"scheduled_time\":\"<aws.scheduler.scheduled-time>\",\"execution_id\":\"<aws.scheduler.execution-id>\",\"attempt_number\":\"<aws.scheduler.attempt-number>\"}",
                  "RetryPolicy": {
                    "MaximumEventAgeInSeconds": 86400,
                    "MaximumRetryAttempts": 185
                  },
                  "DeadLetterConfig": {
                    "Arn": "arn:queue"
                  }
                }
              },
              {
                "Name": "monthly",
                "ScheduleExpression": "cron(0 3 L-3 * ? *)",
                "ScheduleExpressionTimezone": "UTC",
                "FlexibleTimeWindow": {
                  "Mode": "OFF"
                },
                "State": "ENABLED",
                "Target": {
                  "Arn": "arn:function",
                  "RoleArn": "arn:role",
                  "Input": "{\"route\":\"monthly\",\"schedule_arn\":\"<aws.scheduler.schedule-arn>\",\"scheduled_time\":\"<aws.scheduler.scheduled-time>\",\"execution_id\":\"<aws.scheduler.execution-id>\",\"attempt_number\":\"<aws.scheduler.attempt-number>\"}",
                  "RetryPolicy": {
                    "MaximumEventAgeInSeconds": 86400,
                    "MaximumRetryAttempts": 185
                  },
                  "DeadLetterConfig": {
                    "Arn": "arn:queue"
                  }
                }
              },
              {
                "Name": "nightly",
                "ScheduleExpression": "cron(0 3 * * ? *)",
                "ScheduleExpressionTimezone": "Asia/Seoul",
                "StartDate": "2026-11-30T15:00:00Z",
                "EndDate": "2027-01-01T00:00:00Z",
                "FlexibleTimeWindow": {
                  "Mode": "FLEXIBLE",
                  "MaximumWindowInMinutes": 15
                },
                "State": "DISABLED",
                "Target": {
                  "Arn": "arn:function",
                  "RoleArn": "arn:role",
                  "Input": "{\"route\":\"nightly\",\"schedule_arn\":\"<aws.scheduler.schedule-arn>\",\"scheduled_time\":\"<aws.scheduler.scheduled-time>\",\"execution_id\":\"<aws.scheduler.execution-id>\",\"attempt_number\":\"<aws.scheduler.attempt-number>\"}",
                  "RetryPolicy": {
                    "MaximumEventAgeInSeconds": 86400,
                    "MaximumRetryAttempts": 185
                  },
                  "DeadLetterConfig": {
                    "Arn": "arn:queue"
                  }
                }
              }
            ]"#]].assert_eq(&shown);
    }
}
