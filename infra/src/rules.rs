//! Adds the EventBridge rules.

use serde_json::{Value, json};
use trigger_core::event::identity::STARTED_BY_PREFIX;
use trigger_core::pattern::lint::RULE_CHARACTERS_MAX;
use trigger_core::pattern::operator::Wildcard;

use crate::function::{Function, functions};
use crate::names::{identifier, rule_name, rules_of_this_stack};
use crate::template::{Template, attribute, reference, sub};
use trigger_core::routing::{EventPattern, EventSource, RoutingConfig};
use trigger_core::text::json::write;

/// EventBridge retries a delivery this many times, and for this many seconds, the maximum of both; then it dead-letters
/// the event.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
const DELIVERY_ATTEMPTS: u32 = 185;
const DELIVERY_AGE_SECONDS: u32 = 86_400;

/// A rule with more wildcards than this is "too complex" for EventBridge. The limit is not documented; this many pass.
const WILDCARDS_MAX: usize = 10;

/// An EventBridge rule that sends a route's events to the `event-trigger` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The route's name.
    pub name: String,
    /// The route's event pattern, or a wider one if that is longer than EventBridge accepts.
    pub event_pattern: Value,
}

/// Returns the rules that a config needs: one for each route on events. The function itself matches every event again.
pub fn rules(config: &RoutingConfig) -> Vec<Rule> {
    let rule = |route: &trigger_core::routing::Route| match &route.on {
        EventSource::Events(pattern) => Some(Rule { name: route.name.clone(), event_pattern: event_pattern(pattern) }),
        EventSource::Schedule(_) | EventSource::Queue(_) => None,
    };
    config.routes.iter().filter_map(rule).collect()
}

/// Returns the route's own pattern if EventBridge accepts it: if it has too many wildcards, with prefixes and suffixes
/// for them. If it is too long, returns its conditions on source, detail-type, account, Region and bucket, as far as
/// they fit. The function matches the whole pattern.
fn event_pattern(pattern: &EventPattern) -> Value {
    let mut whole: Value = serde_json::from_str(&write(&pattern.node)).unwrap_or_default();
    let mut wider = json!({});
    if wildcards(&whole) > WILDCARDS_MAX {
        widen(&mut whole);
    }
    if fits(&whole) {
        return whole;
    }
    for key in ["source", "detail-type", "account", "region"] {
        add_if_it_fits(&mut wider, &[key], &whole[key]);
    }
    add_if_it_fits(&mut wider, &["detail", "bucket"], &whole["detail"]["bucket"]);
    // A pattern must not be empty. This one matches every event, as every event has a source.
    if wider == json!({}) { json!({ "source": [{ "prefix": "" }] }) } else { wider }
}

/// Returns how many wildcards a pattern has.
fn wildcards(pattern: &Value) -> usize {
    match pattern {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| usize::from(key == "wildcard" && value.is_string()) + wildcards(value))
            .sum(),
        Value::Array(elements) => elements.iter().map(wildcards).sum(),
        _ => 0,
    }
}

/// Replaces every wildcard in a pattern's lists by the prefix or suffix that its matches have.
fn widen(pattern: &mut Value) {
    match pattern {
        // What an exclusion excludes must not become more.
        Value::Object(object) => {
            object.iter_mut().filter(|(key, _)| *key != "anything-but").for_each(|(_, value)| widen(value));
        }
        Value::Array(elements) => {
            let mut wider: Vec<Value> = Vec::new();
            for mut element in std::mem::take(elements) {
                match element["wildcard"].as_str().map(Wildcard::parse) {
                    Some(Ok(wildcard)) if wildcard.head().is_empty() => element = json!({ "suffix": wildcard.tail() }),
                    Some(Ok(wildcard)) => element = json!({ "prefix": wildcard.head() }),
                    _ => widen(&mut element),
                }
                if !wider.contains(&element) {
                    wider.push(element);
                }
            }
            *elements = wider;
        }
        _ => {}
    }
}

fn add_if_it_fits(pattern: &mut Value, path: &[&str], part: &Value) {
    let mut with = pattern.clone();
    if !part.is_null() {
        *path.iter().fold(&mut with, |place, key| &mut place[*key]) = part.clone();
        if fits(&with) {
            *pattern = with;
        }
    }
}

fn fits(pattern: &Value) -> bool {
    pattern.to_string().chars().count() <= RULE_CHARACTERS_MAX
}

/// Returns the pattern of the task state changes that `task-lifecycle` receives.
pub(crate) fn stopped_tasks() -> Value {
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": { "lastStatus": ["STOPPED"], "startedBy": [{ "prefix": STARTED_BY_PREFIX }] },
    })
}

/// Adds the rules, and the permissions to invoke their functions.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig) {
    let target = |function: Function| {
        json!([{
            "Id": function.name(),
            "Arn": attribute(function.id(), "Arn"),
            "RetryPolicy": { "MaximumRetryAttempts": DELIVERY_ATTEMPTS, "MaximumEventAgeInSeconds": DELIVERY_AGE_SECONDS },
            "DeadLetterConfig": { "Arn": attribute("DeadLetters", "Arn") },
        }])
    };
    let rules = rules(config);
    for rule in &rules {
        template.resource(
            &format!("Rule{}", identifier(&rule.name)),
            "AWS::Events::Rule",
            json!({
                "Name": rule_name(config.stack.name(), &rule.name),
                "Description": format!("Events of the route {}", rule.name),
                "EventPattern": rule.event_pattern,
                "Targets": target(Function::EventTrigger),
            }),
        );
    }
    let has_lifecycle = functions(config).contains(&Function::TaskLifecycle);
    if has_lifecycle {
        template.resource(
            "TasksStopped",
            "AWS::Events::Rule",
            json!({
                // A route's name has no dot, and cannot be the same.
                "Name": sub("${AWS::StackName}-.tasks-stopped"),
                "Description": "Stopped tasks that ecs-trigger started",
                "EventPattern": stopped_tasks(),
                "Targets": target(Function::TaskLifecycle),
            }),
        );
    }
    let invoked = [(!rules.is_empty(), Function::EventTrigger), (has_lifecycle, Function::TaskLifecycle)];
    for (_, function) in invoked.into_iter().filter(|(is_invoked, _)| *is_invoked) {
        template.resource(
            &format!("{}Invocation", function.id()),
            "AWS::Lambda::Permission",
            json!({
                "FunctionName": reference(function.id()),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": rules_of_this_stack(),
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::rules;

    #[test]
    fn each_route_on_events_has_a_rule_with_its_pattern() {
        let config = r#"
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: short, on: { s3: { bucket: uploads, key: { prefix: in/, suffix: .csv } } }, run: t }
  - { name: whole, on: { event_pattern: { source: [my.app], detail: { n: [{ numeric: [">", 1.5] }] } } }, run: t }
  - { name: queue, on: { queue: q, event_pattern: { body: { n: [1] } } }, run: t }
  - { name: schedule, on: { schedule: rate(1 hour) }, run: t }
  - { name: pairs, on: { s3: { bucket: uploads, key: { prefix: [in/, out/], suffix: [.csv, .tsv] } } }, run: t }
  - { name: many, on: { s3: { bucket: uploads, key: { prefix: [a/, b/], suffix: [.1, .2, .3, .4, .5, .6] } } }, run: t }
  - { name: ends, on: { event_pattern: { detail: { key: [k, { wildcard: "*.0" }, { wildcard: "*.1" }, { wildcard: "*.2" }, { wildcard: "*.3" }, { wildcard: "*.4" }, { wildcard: "*.5" }, { wildcard: "*.6" }, { wildcard: "*.7" }, { wildcard: "*.8" }, { wildcard: "a*.8" }, { anything-but: { wildcard: "x*" } }] } } }, run: t }
"#;
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let shown: Vec<String> =
            rules(&config).iter().map(|rule| format!("{}: {}", rule.name, rule.event_pattern)).collect();
        expect![[r#"
            short: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["uploads"]},"object":{"key":[{"wildcard":"in/*.csv"}]}}}
            whole: {"source":["my.app"],"detail":{"n":[{"numeric":[">",1.5]}]}}
            pairs: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["uploads"]},"object":{"key":[{"wildcard":"in/*.csv"},{"wildcard":"in/*.tsv"},{"wildcard":"out/*.csv"},{"wildcard":"out/*.tsv"}]}}}
            many: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["uploads"]},"object":{"key":[{"prefix":"a/"},{"prefix":"b/"}]}}}
            ends: {"detail":{"key":["k",{"suffix":".0"},{"suffix":".1"},{"suffix":".2"},{"suffix":".3"},{"suffix":".4"},{"suffix":".5"},{"suffix":".6"},{"suffix":".7"},{"suffix":".8"},{"prefix":"a"},{"anything-but":{"wildcard":"x*"}}]}}"#]].assert_eq(&shown.join("\n"));
    }
}
