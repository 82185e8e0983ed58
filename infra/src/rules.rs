//! EventBridge rules.

use serde_json::{Value, json};
use trigger_core::config::{EventPattern, EventSource, RoutingConfig};
use trigger_core::document::json::write;
use trigger_core::identity::STARTED_BY_PREFIX;
use trigger_core::pattern::lint::RULE_CHARACTERS_MAX;

/// An EventBridge rule that sends a route's events to the `event-trigger` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The rule's name, from the route's: at most 64 characters.
    pub name: String,
    /// The event pattern: the route's, or a wider one where that is longer than EventBridge takes.
    pub event_pattern: Value,
}

/// The rules that a config needs: one for each route on events. The function itself decides again by the same patterns.
pub fn rules(config: &RoutingConfig) -> Vec<Rule> {
    let rule = |route: &trigger_core::config::Route| match &route.on {
        EventSource::Events(pattern) => Some(Rule { name: route.name.clone(), event_pattern: event_pattern(pattern) }),
        EventSource::Schedule(_) | EventSource::Queue(_) => None,
    };
    config.routes.iter().filter_map(rule).collect()
}

/// The route's own pattern if EventBridge takes it; else what it says of source, detail-type and bucket, as far as there is room. The function
/// decides by the whole pattern.
fn event_pattern(pattern: &EventPattern) -> Value {
    let whole: Value = serde_json::from_str(&write(&pattern.node)).unwrap_or_default();
    let mut wider = json!({});
    if fits(&whole) {
        return whole;
    }
    for key in ["source", "detail-type", "account", "region"] {
        add_if_it_fits(&mut wider, &[key], &whole[key]);
    }
    add_if_it_fits(&mut wider, &["detail", "bucket"], &whole["detail"]["bucket"]);
    // A pattern must say something: every event has a source.
    if wider == json!({}) { json!({ "source": [{ "prefix": "" }] }) } else { wider }
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

/// The pattern of state changes that `task-lifecycle` is told.
pub(crate) fn stopped_tasks() -> Value {
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": { "lastStatus": ["STOPPED"], "startedBy": [{ "prefix": STARTED_BY_PREFIX }] },
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_core::config::RoutingConfig;
    use trigger_core::document::Source;

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
"#;
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let shown: Vec<String> =
            rules(&config).iter().map(|rule| format!("{}: {}", rule.name, rule.event_pattern)).collect();
        expect![[r#"
            short: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["uploads"]},"object":{"key":[{"wildcard":"in/*.csv"}]}}}
            whole: {"source":["my.app"],"detail":{"n":[{"numeric":[">",1.5]}]}}"#]].assert_eq(&shown.join("\n"));
    }
}
