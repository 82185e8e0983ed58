//! A matrix of configs, and every body that deployments between two of them send. The file that declares this module
//! imports what it needs.

use std::collections::BTreeMap;

use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, Body, Parameters, Step, Template, functions, stack, steps};

/// A part that a config has or lacks: what it adds to `tasks`, `routes`, `workers`, `stack.queues` and the top level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
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

pub(super) const LEDGER: Part = Part { name: "ledger", top: "storage: { bucket: state }", ..NONE };
const RENAMED: Part =
    Part { name: "renamed", routes: "{ name: renamed, on: { event_pattern: { source: [my.app] } }, run: t }", ..NONE };

pub(super) fn part(name: &str) -> Part {
    PARTS.into_iter().chain([LEDGER, RENAMED]).find(|part| part.name == name).expect("is a part")
}

pub(super) fn config(parts: &[Part]) -> RoutingConfig {
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
pub(super) fn body(config: &RoutingConfig) -> Body {
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

/// A config of the matrix.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) parts: Vec<Part>,
    /// What a deployment of it sends.
    pub(super) body: Body,
}

impl Member {
    pub(super) fn name(&self) -> String {
        self.parts.iter().map(|part| part.name).collect::<Vec<_>>().join(" + ")
    }
}

/// Returns the configs: each part alone, with the ledger, with each of some neighbours, and everything but one part.
pub(super) fn matrix() -> Vec<Member> {
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
    let member = |parts: Vec<Part>| Member { body: body(&config(&parts)), parts };
    configs.into_iter().map(member).collect()
}

/// Returns the steps from one config to the other. If the first one only adds permissions, the second change may fail:
/// the steps that deploy the old config again follow.
pub(super) fn forth_and_back(before: &Body, after: &Body) -> Vec<Step> {
    let mut forth = steps(Some((&before.template, &before.parameters)), after.clone());
    if let Some(Step::Widen(wider)) = forth.first() {
        let back = steps(Some((&wider.template, &wider.parameters)), before.clone());
        forth.extend(back);
    }
    forth
}
