//! The steps between every two configs of a matrix: each body that a deployment would send passes the checks.

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::json;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Step, steps};
use crate::body::{Body, Parameters};
use crate::check::{Problem, check};
use crate::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, Template, functions, stack};

/// A part that a config has or lacks: what it adds to `tasks`, `routes`, `workers`, `stack.queues` and the top level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    name: &'static str,
    tasks: &'static str,
    routes: &'static str,
    workers: &'static str,
    queues: &'static str,
    top: &'static str,
    stack: &'static str,
}

const NONE: Part = Part { name: "", tasks: "", routes: "", workers: "", queues: "", top: "", stack: "" };

const PARTS: [Part; 15] = [
    Part { name: "events", routes: "{ name: events, on: { event_pattern: { source: [my.app] } }, run: t }", ..NONE },
    Part {
        name: "objects",
        routes: "{ name: objects, on: { s3: { bucket: b, key: { prefix: in/ } } }, run: t }",
        ..NONE
    },
    Part { name: "schedule", routes: "{ name: schedule, on: { schedule: rate(1 hour) }, run: t }", ..NONE },
    Part { name: "adopted", routes: "{ name: adopted, on: { queue: adopted }, run: t }", ..NONE },
    Part {
        name: "created",
        routes: "{ name: created, on: { queue: created }, run: t }",
        queues: "created: { queue: create }",
        ..NONE
    },
    Part {
        name: "fifo",
        routes: "{ name: fifo, on: { queue: second.fifo }, run: t }",
        queues: "second.fifo: { queue: create }",
        ..NONE
    },
    // The queue of `created`, adopted.
    Part { name: "given up", routes: "{ name: created, on: { queue: created }, run: t }", ..NONE },
    Part {
        name: "service",
        workers: "{ service: s, cluster: web, queue: jobs, scaling: { max: 3, acceptable_latency: 1m } }",
        ..NONE
    },
    Part {
        name: "workers",
        tasks: "w: { cluster: batch, task_definition: worker, overrides: { container_overrides: [{ name: app }] } }",
        workers: "{ run: w, queue: work, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }",
        queues: "work: { queue: create }",
        ..NONE
    },
    Part {
        name: "another task",
        tasks: "u: { cluster: other, task_definition: \"u:3\", tags: { team: x } }",
        routes: "{ name: other, on: { event_pattern: { source: [other.app] } }, run: u }",
        ..NONE
    },
    Part {
        name: "roles",
        tasks: "r: { task_definition: r, overrides: { task_role_arn: r, execution_role_arn: x } }",
        routes: "{ name: roles, on: { schedule: rate(2 hours) }, run: r }",
        ..NONE
    },
    Part {
        name: "payloads",
        routes: "{ name: payloads, on: { event_pattern: { source: [large.app] } }, run: t, large_payload: s3 }",
        top: "storage: { bucket: state }",
        ..NONE
    },
    Part { name: "tracing", stack: "tracing: true", ..NONE },
    Part { name: "alarms", stack: "alarm_topic: \"arn:aws:sns:eu-west-1:111122223333:a\", memory: 512", ..NONE },
    Part {
        name: "limit",
        routes: "{ name: limit, on: { queue: adopted-2 }, run: t, concurrency: { max: 2 } }",
        top: "storage: { bucket: state }",
        ..NONE
    },
];

const LEDGER: Part = Part { name: "ledger", top: "storage: { bucket: state }", ..NONE };
const RENAMED: Part =
    Part { name: "renamed", routes: "{ name: renamed, on: { event_pattern: { source: [my.app] } }, run: t }", ..NONE };

fn part(name: &str) -> Part {
    PARTS.into_iter().chain([LEDGER, RENAMED]).find(|part| part.name == name).expect("is a part")
}

fn config(parts: &[Part]) -> RoutingConfig {
    let mut top: Vec<&str> = parts.iter().map(|part| part.top).filter(|text| !text.is_empty()).collect();
    top.dedup();
    let joined = |of: fn(&Part) -> &'static str| {
        let all: Vec<&str> = parts.iter().map(of).filter(|text| !text.is_empty()).collect();
        all.join(", ")
    };
    let of_stack = joined(|part| part.stack);
    let of_stack = if of_stack.is_empty() { String::new() } else { format!("{of_stack}, ") };
    let tasks = joined(|part| part.tasks);
    let text = format!(
        "version: 1\n{}\ntasks: {{ t: {{ task_definition: t }}{}{tasks} }}\nroutes: [{}]\nworkers: [{}]\n\
         stack: {{ {of_stack}queues: {{ {} }} }}\n",
        top.join("\n"),
        if tasks.is_empty() { "" } else { ", " },
        joined(|part| part.routes),
        joined(|part| part.workers),
        joined(|part| part.queues),
    );
    RoutingConfig::parse(Source::new("c.yaml", text.as_str())).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Returns what a deployment of the config sends, with parameters as an account would give them.
fn body(config: &RoutingConfig) -> Body {
    let template: Template = stack(config, &BTreeMap::new());
    let mut parameters = Parameters::from([
        (BUCKET_PARAMETER.to_owned(), "state".to_owned()),
        (ARCHITECTURE_PARAMETER.to_owned(), "arm64".to_owned()),
    ]);
    for function in functions(config) {
        let role = |family: &str| format!("arn:aws:iam::111122223333:role/{family}");
        let roles: Vec<String> = function.tasks(config).iter().map(|task| role(task.task_definition())).collect();
        parameters.insert(function.roles_parameter(), roles.join(","));
        parameters.insert(function.code_parameter(), format!("functions/{}.zip", function.name()));
    }
    parameters.retain(|name, _| template.parameters().any(|known| known == name));
    Body { stack: config.stack.name().to_owned(), template: template.to_json(), parameters }
}

/// Returns the configs: each part alone, with the ledger, with each of some neighbours, and everything but one part.
fn matrix() -> Vec<(String, Body)> {
    // Two parts that say the same route or the same queue in two ways are not in one config.
    let excludes = |one: &Part, other: &Part| [one.name, other.name] == ["created", "given up"];
    let mut configs: Vec<Vec<Part>> = Vec::new();
    let starts_tasks = |part: &Part| !part.routes.is_empty();
    for part in PARTS {
        configs.push(vec![part]);
        if starts_tasks(&part) && part.top.is_empty() {
            configs.push(vec![LEDGER, part]);
        }
    }
    for (one, other) in [("created", "adopted"), ("created", "fifo"), ("schedule", "workers"), ("service", "workers")] {
        configs.push(vec![part(one), part(other)]);
        configs.push(vec![LEDGER, part(one), part(other), part("events")]);
    }
    configs.push(vec![RENAMED]);
    configs.push(vec![LEDGER, RENAMED, part("schedule")]);
    let all: Vec<Part> = PARTS.into_iter().filter(|part| part.name != "given up").collect();
    for left_out in &all {
        configs.push(all.iter().filter(|part| part != &left_out).copied().collect());
    }
    configs.push(all);
    configs.retain(|parts| !parts.iter().any(|one| parts.iter().any(|other| excludes(one, other))));
    let named = |parts: &Vec<Part>| parts.iter().map(|part| part.name).collect::<Vec<_>>().join(" + ");
    configs.iter().map(|parts| (named(parts), body(&config(parts)))).collect()
}

fn refused(body: &Body) -> Vec<String> {
    check(body).iter().map(ToString::to_string).collect()
}

fn between(before: &Body, after: &Body) -> Vec<Step> {
    steps(Some((&before.template, &before.parameters)), after.clone())
}

#[test]
fn every_body_between_any_two_configs_is_accepted() {
    let matrix = matrix();
    assert!(matrix.len() >= 40, "{} configs", matrix.len());
    let (mut widened, mut sent) = (0, 0);
    for (name, body) in &matrix {
        assert_eq!(refused(body), [""; 0], "fresh: {name}");
    }
    for (from, before) in &matrix {
        for (to, after) in &matrix {
            let steps = between(before, after);
            assert!(steps.contains(&Step::UploadConfig), "{from} -> {to}");
            sent += steps.iter().filter_map(Step::body).count();
            let Some(Step::Widen(wider)) = steps.first() else { continue };
            widened += 1;
            assert_eq!(refused(wider), [""; 0], "{from} -> {to}");
            // The second change set failed, and the user deploys the old config again.
            let back = between(wider, before);
            assert_eq!(back.last(), Some(&Step::Change(before.clone())), "{from} -> {to} and back");
            if let Some(Step::Widen(wider)) = back.first() {
                assert_eq!(refused(wider), [""; 0], "{from} -> {to} and back");
            }
        }
    }
    assert!(widened > 100 && sent > 1600, "{widened} of {sent} bodies only add permissions");
}

#[test]
fn a_body_with_a_permission_on_a_resource_that_it_lacks_is_refused() {
    let (before, after) = (body(&config(&[part("adopted")])), body(&config(&[part("adopted"), part("created")])));
    // The deployed template with the new statements as they are.
    let mut wider = before.clone();
    wider.template["Resources"]["SqsTriggerRole"]["Properties"]["Policies"] =
        after.template["Resources"]["SqsTriggerRole"]["Properties"]["Policies"].clone();
    let problems: Vec<Problem> = check(&wider).into_iter().map(|finding| finding.problem).collect();
    let [Problem::Unresolved(id)] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(id.starts_with("QueueCreated"), "{id}");
    // What a deployment really sends first has nothing of it.
    let steps = between(&before, &after);
    assert!(matches!(steps.as_slice(), [Step::UploadConfig, Step::Change(_)]), "{steps:?}");
}

#[test]
fn the_config_changes_after_permissions_are_added_and_before_events_come_and_permissions_go() {
    let names = |before: Option<&[&str]>, after: &[&str]| {
        let parts = |names: &[&str]| body(&config(&names.iter().map(|name| part(name)).collect::<Vec<_>>()));
        let after = parts(after);
        let steps = match before.map(parts) {
            Some(before) => between(&before, &after),
            None => steps(None, after),
        };
        let name = |step: &Step| match step {
            Step::Widen(_) => "widen",
            Step::UploadConfig => "config",
            Step::AwaitConfig => "wait",
            Step::Change(_) => "change",
        };
        steps.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    for (before, after, expected) in [
        (None, &["events"][..], "config, change"),
        (Some(&["events"][..]), &["events"], "change, config"),
        (Some(&["events"]), &["events", "tracing"], "change, config"),
        (Some(&["events"]), &["events", "objects"], "config, change"),
        (Some(&["events"]), &["events", "another task"], "widen, config, change"),
        (Some(&["events", "another task"]), &["events"], "config, wait, change"),
        (Some(&["events"]), &["ledger", "events"], "widen, config, change"),
        (Some(&["ledger", "events"]), &["events"], "config, wait, change"),
        (Some(&["events"]), &["another task"], "widen, config, wait, change"),
    ] {
        assert_eq!(names(before, after), expected, "{before:?} -> {after:?}");
    }
}

#[test]
fn only_the_roles_differ_in_the_body_that_adds_permissions() {
    let (before, after) = (body(&config(&[part("events")])), body(&config(&[part("events"), part("another task")])));
    let steps = between(&before, &after);
    let Some(Step::Widen(wider)) = steps.first() else { panic!("{steps:?}") };
    assert_eq!(wider.parameters, before.parameters);
    let mut template = wider.template.clone();
    let policies = &mut template["Resources"]["EventTriggerRole"]["Properties"]["Policies"];
    assert_eq!(policies.as_array().map(Vec::len), Some(2));
    *policies = json!([policies[0]]);
    assert_eq!(template, before.template);
}

#[test]
fn a_function_has_the_table_and_the_work_queue_before_its_config_has_a_ledger() {
    let (before, after) =
        (body(&config(&[part("events")])), body(&config(&[LEDGER, part("events"), part("schedule")])));
    let steps = between(&before, &after);
    let Some(Step::Widen(wider)) = steps.first() else { panic!("{steps:?}") };
    let changes = crate::changes(Some((&before.template, &before.parameters)), (&wider.template, &wider.parameters));
    let paths = |change: &crate::Change| {
        let paths = change.details.iter().map(|detail| detail.path.as_str());
        format!("{:?} {} {}\n", change.action, change.id, paths.collect::<Vec<_>>().join(", "))
    };
    expect![[r#"
        Modify EventTriggerRole Properties.Policies[added-by-deployment]
        Modify EventTrigger Properties.Environment.Variables.ECS_TRIGGER_TABLE, Properties.Environment.Variables.ECS_TRIGGER_WORK_QUEUE
        Add Work 
        Add WorkFailed 
    "#]].assert_eq(&changes.iter().map(paths).collect::<String>());
}
