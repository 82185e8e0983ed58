use expect_test::{Expect, expect};
use trigger_core::pattern::Pattern;
use trigger_core::pattern::lint::RULE_CHARACTERS_MAX;
use trigger_core::pattern::matcher::Matcher;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, json};

use super::{RULES_MAX, Rule, rules};

fn config(routes: &str) -> RoutingConfig {
    let text = format!("version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes:\n{routes}");
    RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{:?}", &problems[..1]))
}

/// Returns a route on this pattern, as a line of the config.
fn route(name: impl std::fmt::Display, on: &str) -> String {
    format!("  - {{ name: r-{name}, on: {{ {on} }}, run: t }}\n")
}

/// Writes a line for each rule. `patterns` are of one route each.
fn check(patterns: &[&str], expect: &Expect) {
    let routes = patterns.iter().enumerate().map(|(at, on)| route(at, on)).collect::<String>();
    let line = |rule: &Rule| format!("{} [{}]: {}\n", rule.name, rule.routes.join(" "), rule.event_pattern);
    expect.assert_eq(&rules(&config(&routes)).iter().map(line).collect::<String>());
}

fn event(source: &str, detail_type: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"e","detail-type":"{detail_type}","source":"{source}","account":"111122223333","time":"2026-01-31T23:59:59Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
    )
}

/// Returns how many of the rules match an event.
fn deliveries(rules: &[Rule], event: &str) -> usize {
    let patterns: Vec<Pattern> = rules
        .iter()
        .map(|rule| {
            let node = json::parse(&rule.event_pattern.to_string()).unwrap_or_else(|error| panic!("{error:?}"));
            Pattern::parse(&node).unwrap_or_else(|problems| panic!("{problems:?}: {}", rule.event_pattern))
        })
        .collect();
    Matcher::new(patterns.iter()).matches(event).map_or(0, |matching| matching.len())
}

#[test]
fn a_rule_has_its_only_routes_own_pattern_without_wildcards_and_null() {
    check(
        &[
            "s3: { bucket: a, key: { prefix: in/, suffix: .csv } }",
            "s3: { bucket: b, key: { wildcard: '*/in/*.csv' } }",
            "s3: { bucket: c, key: { wildcard: '*in*' } }",
            r#"event_pattern: { source: [my.app], detail: { n: [{ numeric: [">", 1.5] }], gone: [null, x], not: [{ anything-but: { wildcard: "a*" } }] } }"#,
            r#"event_pattern: { source: [other.app], "$or": [{ detail: { a: [1] } }, { detail: { b: [true] } }] }"#,
        ],
        &expect![[r#"
            aws.s3.a-126b58 [r-0]: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["a"]},"object":{"key":[{"prefix":"in/"}]}}}
            aws.s3.b-218090 [r-1]: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["b"]},"object":{"key":[{"suffix":".csv"}]}}}
            aws.s3.c-4d42be [r-2]: {"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["c"]},"object":{"key":[{"exists":true}]}}}
            my.app.others-c861f0 [r-3]: {"source":["my.app"],"detail":{"gone":[{"exists":true}],"n":[{"numeric":[">",1.5]}],"not":[{"exists":true}]}}
            other.app.others-d0e6e2 [r-4]: {"source":["other.app"],"$or":[{"detail":{"a":[1]}},{"detail":{"b":[true]}}]}
        "#]],
    );
}

#[test]
fn routes_on_the_same_events_share_a_rule() {
    check(
        &[
            "s3: { bucket: a, key: { prefix: in/, suffix: .csv } }",
            "s3: { bucket: a, key: { prefix: in/ } }",
            "s3: { bucket: [a, b], key: { prefix: out/ }, detail_type: Object Deleted }",
            "event_pattern: { source: [my.app], detail-type: [A, B] }",
            "event_pattern: { source: [my.app], detail-type: [B], detail: { n: [1] } }",
            "event_pattern: { source: [my.app], detail: { m: [1] } }",
            "event_pattern: { source: [{ prefix: my. }], detail-type: [A] }",
            "event_pattern: { source: [your.app], detail: { n: [1] } }",
            "event_pattern: { source: [your.app], detail-type: [{ prefix: A }] }",
            "event_pattern: { source: [your.app], detail-type: [AB, B] }",
        ],
        &expect![[r#"
            aws.s3.a-126b58 [r-0 r-1 r-2]: {"source":["aws.s3"],"detail":{"bucket":{"name":["a"]}},"$or":[{"detail-type":["Object Created"],"detail":{"object":{"key":[{"prefix":"in/"}]}}},{"detail-type":["Object Deleted"],"detail":{"object":{"key":[{"prefix":"out/"}]}}}]}
            aws.s3.b-218090 [r-2]: {"source":["aws.s3"],"detail-type":["Object Deleted"],"detail":{"bucket":{"name":["b"]},"object":{"key":[{"prefix":"out/"}]}}}
            your.app.others-3ba4a4 [r-7 r-8 r-9]: {"source":["your.app"],"$or":[{"detail":{"n":[1]}},{"detail-type":[{"prefix":"A"}]},{"detail-type":["AB","B"]}]}
            others.others-48c6c9 [r-3 r-4 r-5 r-6]: {"$or":[{"source":["my.app"],"detail":{"m":[1]}},{"source":[{"prefix":"my."}],"detail-type":["A"]},{"source":["my.app"],"detail-type":["A","B"]},{"source":["my.app"],"detail-type":["B"],"detail":{"n":[1]}}]}
        "#]],
    );
}

#[test]
fn every_event_of_a_route_is_delivered_once() {
    let routes = [
        "s3: { bucket: a, key: { prefix: in/, suffix: .csv } }",
        "s3: { bucket: [a, b], key: { prefix: in/ } }",
        "event_pattern: { source: [aws.s3], detail-type: [Object Created] }",
        "event_pattern: { source: [aws.s3], detail: { object: { size: [{ numeric: ['>', 5] }] } } }",
        "event_pattern: { source: [my.app], detail-type: [A, B] }",
        "event_pattern: { source: [my.app], detail-type: [{ prefix: A }] }",
        "event_pattern: { source: [{ prefix: my. }] }",
        "event_pattern: { detail: { n: [null] } }",
        "event_pattern: { detail-type: [A], detail: { n: [{ exists: false }] } }",
    ];
    let object = |bucket: &str, key: &str, size: u32| {
        event(
            "aws.s3",
            "Object Created",
            &format!(r#"{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}","size":{size}}}}}"#),
        )
    };
    let events = [
        object("a", "in/x.csv", 1),
        object("a", "in/x", 9),
        object("b", "in/x", 1),
        object("c", "x", 9),
        event("aws.s3", "AWS API Call via CloudTrail", r#"{"object":{"size":6}}"#),
        event("aws.s3", "Object Created", "{}"),
        event("my.app", "A", "{}"),
        event("my.app", "AB", r#"{"n":null}"#),
        event("my.app", "C", "{}"),
        event("my.other", "A", "{}"),
        event("your.app", "A", "{}"),
        event("your.app", "B", r#"{"n":null}"#),
    ];
    // Every choice of routes, as the parts of one choice differ from those of another.
    let mut taken = 0;
    for chosen in 1..1_u32 << routes.len() {
        let lines = routes.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        let config = config(&lines.map(|(at, on)| route(at, on)).collect::<String>());
        let rules = rules(&config);
        for event in &events {
            let patterns = config.routes.iter().filter_map(|route| route.pattern());
            let is_taken = !Matcher::new(patterns).matches(event).expect("is JSON").is_empty();
            let deliveries = deliveries(&rules, event);
            taken += usize::from(is_taken);
            assert!(deliveries <= 1 && (deliveries == 1 || !is_taken), "{chosen:b}: {deliveries} of {event}");
        }
    }
    assert!(taken > 1000, "only {taken} events are taken");
}

#[test]
fn a_pattern_becomes_wider_until_it_fits() {
    let many = |on: &dyn Fn(usize) -> String| {
        let routes: String = (0..100).map(|at| route(at, &on(at))).collect();
        rules(&config(&routes))
    };
    let by_prefix =
        many(&|at| format!("s3: {{ bucket: a, key: {{ prefix: team-{}/folder-{at}/, suffix: .csv }} }}", at % 7));
    let by_field = many(&|at| format!("event_pattern: {{ source: [a], detail: {{ field-{at}: [a, long, list] }} }}"));
    for rules in [&by_prefix, &by_field] {
        assert_eq!(rules.len(), 1);
        assert!(rules[0].event_pattern.to_string().len() <= RULE_CHARACTERS_MAX);
    }
    expect![[r#"{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["a"]},"object":{"key":[{"prefix":"team-0/folde"},{"prefix":"team-1/folde"},{"prefix":"team-2/folde"},{"prefix":"team-3/folde"},{"prefix":"team-4/folde"},{"prefix":"team-5/folde"},{"prefix":"team-6/folde"}]}}}"#]].assert_eq(&by_prefix[0].event_pattern.to_string());
    expect![[r#"{"source":["a"]}"#]].assert_eq(&by_field[0].event_pattern.to_string());
}

#[test]
fn a_bus_has_room_for_the_rules_of_any_config() {
    let routes: String =
        (0..300).map(|at| route(at, &format!("s3: {{ bucket: bucket-{at}, key: {{ prefix: in/ }} }}"))).collect();
    let rules = rules(&config(&routes));
    assert!(rules.len() <= RULES_MAX, "{} rules", rules.len());
    assert!(rules.iter().all(|rule| rule.event_pattern.to_string().len() <= RULE_CHARACTERS_MAX));
}

#[test]
fn rules_of_different_events_and_stacks_have_different_names() {
    let long = "x".repeat(60);
    let keys: Vec<Vec<Option<String>>> = [
        vec![Some("my.app"), Some("x.y")],
        vec![Some("my.app.x"), Some("y")],
        vec![Some("my.app.x.y")],
        vec![Some("my.app"), Some("x y")],
        vec![Some("my.app"), Some("x-y")],
        vec![Some("others"), None],
        vec![None, Some("others")],
        vec![Some(&long), Some("a")],
        vec![Some(&long), Some("b")],
    ]
    .map(|key| key.into_iter().map(|value| value.map(str::to_owned)).collect())
    .to_vec();
    let stack = "a-stack-with-a-name-of-forty-characters-";
    let names: std::collections::BTreeSet<String> =
        keys.iter().map(|key| crate::names::rule_name(stack, key)).collect();
    assert_eq!(names.len(), keys.len(), "{names:?}");
    assert!(names.iter().all(|name| stack.len() + 1 + name.len() <= 64), "{names:?}");
}
