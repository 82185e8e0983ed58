//! The overlay of an environment, which changes parts of the config.

use crate::text::diagnostic::Diagnostic;
use crate::text::{Entry, Kind, Node, Part, Source, Span, yaml};

/// Reads the main file, and merges the overlay of the environment over it, if there is one. Returns the mapping without
/// the environment's variables filled in, and the included files that follow.
pub(crate) fn root<'a>(
    source: &'a Source,
    problems: &mut Vec<Diagnostic>,
) -> (Option<Node>, impl Iterator<Item = Part<'a>> + use<'a>) {
    let mut parts = source.parts();
    let mut parse = |part: Part<'_>| {
        let (node, of_text) = yaml::parse_at(part.start, part.text);
        problems.extend(of_text);
        node
    };
    let mut node = parts.next().and_then(&mut parse);
    let Some(environment) = source.environment() else { return (node, parts) };
    let overlay = parts.next().and_then(&mut parse);
    match overlay {
        Some(Node { kind: Kind::Object(_) | Kind::Null, .. }) => {}
        Some(other) => {
            let problem = Diagnostic::error(other.span, format!("expected a mapping, found {}", other.description()));
            problems.push(problem.help("write only the keys that differ from the config"));
            return (None, parts);
        }
        None => return (None, parts),
    }
    if let (Some(node), Some(overlay)) = (&mut node, overlay) {
        name(node, &overlay, environment);
        merge(node, overlay);
    }
    (node, parts)
}

/// Returns the text of the main file as it is with the overlay, if there is an overlay.
pub fn effective(source: &Source) -> Option<String> {
    source.environment()?;
    root(source, &mut Vec::new()).0.map(|node| yaml::file(&node))
}

/// Prefixes names with the environment's name, unless the overlay sets `name` or `name_prefix`: two environments may
/// share an account.
fn name(config: &mut Node, overlay: &Node, environment: &str) {
    let stack = overlay.get("stack");
    if ["name", "name_prefix"].iter().any(|key| stack.is_some_and(|stack| stack.get(key).is_some())) {
        return;
    }
    let prefix = config.get("stack").and_then(|stack| stack.get("name_prefix")).and_then(Node::as_str);
    let prefix = format!("{}{environment}-", prefix.unwrap_or_default());
    let span = Span::new(overlay.span.start, overlay.span.start);
    let place = |mut node: Node| {
        node.span = span;
        node
    };
    let stack = place(Node::object([("name_prefix", place(Node::string(&prefix)))]));
    merge(config, place(Node::object([("stack", stack)])));
}

/// Merges mappings key by key. Everything else replaces what was there, and null removes it.
fn merge(config: &mut Node, overlay: Node) {
    let Kind::Object(changes) = overlay.kind else { return };
    // Anything that is not a mapping, null included, is replaced as a whole.
    if !matches!(config.kind, Kind::Object(_)) {
        *config = Node { span: overlay.span, kind: Kind::Object(Vec::new()) };
    }
    let Kind::Object(entries) = &mut config.kind else { return };
    for Entry { key, value } in changes {
        let known = entries.iter().position(|entry| entry.key.value == key.value);
        match (known, &value.kind) {
            (Some(known), Kind::Null) => drop(entries.remove(known)),
            (None, Kind::Null) => {}
            (Some(known), Kind::Object(_)) => merge(&mut entries[known].value, value),
            (Some(known), _) => entries[known] = Entry { key, value },
            (None, _) => entries.push(Entry { key, value: without_null(value) }),
        }
    }
}

/// Returns a mapping that is new as a whole without the keys that it removes.
fn without_null(node: Node) -> Node {
    let Kind::Object(entries) = node.kind else { return node };
    let kept = entries.into_iter().filter(|entry| entry.value.kind != Kind::Null);
    let kept = kept.map(|Entry { key, value }| Entry { key, value: without_null(value) }).collect();
    Node { span: node.span, kind: Kind::Object(kept) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::effective;
    use crate::routing::RoutingConfig;
    use crate::text::{Entry, Kind, Node, Source, Span, Spanned, yaml};

    const CONFIG: &str = "\
version: 1
storage: { bucket: state }
defaults: { cluster: production, tags: { team: images } }
tasks: { resize: { task_definition: \"resize-${env:VERSION:-1}\", count: 2 } }
routes:
  - { name: a, on: { queue: jobs }, run: resize }
  - { name: b, on: { event_pattern: { source: [my.app], detail: { n: [{ numeric: [\">\", 1.50] }], none: [null] } } }, run: resize }
stack: { name: images, queues: { jobs: { queue: create } }, tags: { team: images } }
";

    fn with(overlay: &str) -> Source {
        let mut source = Source::new("ecs-trigger.yaml", CONFIG);
        source.overlay("staging", "ecs-trigger.staging.yaml", overlay);
        source
    }

    fn check(overlay: &str, expect: &Expect) {
        let source = with(overlay);
        let shown = match RoutingConfig::parse(source.clone()) {
            Ok(_) => effective(&source).expect("has an overlay"),
            Err(problems) => problems.iter().map(|problem| problem.line(&source) + "\n").collect(),
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn mappings_are_merged_and_everything_else_is_replaced_or_removed() {
        check(
            "storage: { bucket: staging-state }\ndefaults: { cluster: test, tags: null }\ntasks: { resize: { count: ~ } }\n",
            &expect![[r#"
                version: 1
                storage: { bucket: staging-state }
                defaults: { cluster: test }
                tasks: { resize: { task_definition: "resize-${env:VERSION:-1}" } }
                routes:
                  - { name: a, on: { queue: jobs }, run: resize }
                  - name: b
                    on: { event_pattern: { source: [my.app], detail: { n: [{ numeric: [">", 1.50] }], none: [null] } } }
                    run: resize
                stack: { name: images, queues: { jobs: { queue: create } }, tags: { team: images }, name_prefix: staging- }
            "#]],
        );
        check(
            "storage: null\nstack: { name: other }\nroutes: [{ name: c, on: { queue: jobs }, run: resize }]\nworkers: ~",
            &expect![[r#"
                version: 1
                defaults: { cluster: production, tags: { team: images } }
                tasks: { resize: { task_definition: "resize-${env:VERSION:-1}", count: 2 } }
                routes: [{ name: c, on: { queue: jobs }, run: resize }]
                stack: { name: other, queues: { jobs: { queue: create } }, tags: { team: images } }
            "#]],
        );
    }

    #[test]
    fn names_begin_with_the_environments_unless_the_overlay_says_otherwise() {
        let named = |overlay: &str| {
            let config = RoutingConfig::parse(with(overlay)).unwrap_or_else(|problems| panic!("{problems:?}"));
            format!("{} {}", config.stack.name(), config.queues()[0].name)
        };
        let bucket = "storage: { bucket: staging-state }\n";
        assert_eq!(named(bucket), "staging-images staging-jobs");
        assert_eq!(named(&format!("{bucket}stack: {{ name: trial }}")), "trial jobs");
        assert_eq!(named("stack: { name_prefix: s-, tags: null }\nstorage: { bucket: s-state }"), "s-images s-jobs");
        assert_eq!(named(&format!("{bucket}stack: {{ memory: 512 }}")), "staging-images staging-jobs");
    }

    #[test]
    fn problems_are_reported_where_they_are_written() {
        check(
            "tasks: { resize: { cont: 3 } }\nstorage: { bucket: staging-state }\n",
            &expect![[r#"
            ecs-trigger.staging.yaml:1:20: error: unknown key `cont`; did you mean `count`? (write `count`)
        "#]],
        );
        check(
            "",
            &expect![[r#"
            ecs-trigger.yaml:2:20: error: the bucket `state` does not begin with `staging-` (write `staging-state`, or adopt a bucket that exists)
        "#]],
        );
        check(
            "[a]",
            &expect![[r#"
            ecs-trigger.staging.yaml:1:1: error: expected a mapping, found a list (write only the keys that differ from the config)
        "#]],
        );
        check(
            "storage: { bucket: staging-state\n",
            &expect![[r#"
            ecs-trigger.staging.yaml:2:1: error: invalid YAML: while parsing a flow mapping, did not find expected ',' or '}'
        "#]],
        );
    }

    #[test]
    fn a_written_config_has_exactly_the_values_of_the_one_that_was_read() {
        fn plain(node: &Node) -> Node {
            let kind = match &node.kind {
                Kind::Array(elements) => Kind::Array(elements.iter().map(plain).collect()),
                Kind::Object(entries) => Kind::Object(entries.iter().map(plain_entry).collect()),
                other => other.clone(),
            };
            Node { span: Span::default(), kind }
        }
        fn plain_entry(entry: &Entry) -> Entry {
            let key = Spanned { span: Span::default(), value: entry.key.value.clone() };
            Entry { key, value: plain(&entry.value) }
        }
        let odd = "odd: [\"yes\", \"1\", 1.50, \"null\", ~, true, \"a: b\", \"# x\", \"\", \"a\\nb\\tc\\r\", \"it's \\\"so\\\"\", \"\\u00e9\\U0001F600\", {}, [], [[]], \"- a\", \"-c\", \"*x\"]\n\"a b\": { \"1\": { \"~\": [{ a: 1, b: [x, y] }] } }\n";
        let long = format!("long: [{{ a: {0}, b: [{0}, {{ c: {0}, d: {0} }}] }}, [{0}, {0}], {0}]\n", "x".repeat(70));
        for text in [CONFIG, odd, &long, &format!("{CONFIG}{odd}{long}")] {
            let node = yaml::parse(text).0.expect("is YAML");
            let written = yaml::file(&node);
            let again = yaml::parse(&written);
            assert!(again.1.is_empty(), "{written}: {:?}", again.1);
            assert_eq!(again.0.as_ref().map(plain), Some(plain(&node)), "{written}");
        }
    }
}
