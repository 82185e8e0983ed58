//! EventBridge rules.

use trigger_core::config::{EventSource, RoutingConfig};
use trigger_core::document::json;

/// An EventBridge rule that sends a route's events to the `event-trigger` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The rule's name, from the route's: at most 64 characters.
    pub name: String,
    /// The event pattern as JSON.
    pub event_pattern: String,
}

/// The rules that a config needs: one for each route on events. The function itself decides again by the same patterns.
pub fn rules(config: &RoutingConfig) -> Vec<Rule> {
    let rule = |route: &trigger_core::config::Route| match &route.on {
        EventSource::Events(pattern) => {
            Some(Rule { name: route.name.clone(), event_pattern: json::write(&pattern.node) })
        }
        EventSource::Schedule(_) | EventSource::Queue(_) => None,
    };
    config.routes.iter().filter_map(rule).collect()
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
  - { name: whole, on: { event_pattern: { source: [my.app], detail: { n: [{ numeric: [">", 1.50] }] } } }, run: t }
  - { name: queue, on: { queue: q, event_pattern: { body: { n: [1] } } }, run: t }
  - { name: schedule, on: { schedule: rate(1 hour) }, run: t }
"#;
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let shown: Vec<String> =
            rules(&config).iter().map(|rule| format!("{}: {}", rule.name, rule.event_pattern)).collect();
        expect![[r#"
            short: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["uploads"]},"object":{"key":[{"wildcard":"in/*.csv"}]}}}
            whole: {"source":["my.app"],"detail":{"n":[{"numeric":[">",1.50]}]}}"#]].assert_eq(&shown.join("\n"));
    }
}
