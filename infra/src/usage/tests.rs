use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use expect_test::expect;
use serde_json::Value;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Usage, usage};
use crate::body::Body;
use crate::policy::{OfAccount, TaskRoles};
use crate::rules::rules;
use crate::{Template, stack, stack_of_account};

fn config(text: &str) -> RoutingConfig {
    RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{:?}", &problems[..1]))
}

const TASKS: usize = 300;

/// Returns a config with 2,000 routes on events of 40 buckets and 10 sources, 60 adopted and 20 created queues, 100
/// schedules and 300 task definitions.
fn large() -> RoutingConfig {
    let mut text = "version: 1\nstorage: { bucket: state }\nstack:\n  queues:\n".to_owned();
    let mut add = |line: String| writeln!(text, "{line}").expect("a string takes text");
    for queue in 0..20 {
        add(format!("    created-queue-{queue}: {{ queue: create }}"));
    }
    add("tasks:".to_owned());
    for task in 0..TASKS {
        add(format!("  task-{task}: {{ cluster: production, task_definition: team-service-{task} }}"));
    }
    add("routes:".to_owned());
    let mut route = |name: String, on: String, number: usize| {
        add(format!("  - {{ name: {name}, on: {{ {on} }}, run: task-{} }}", number % TASKS));
    };
    for number in 0..1000 {
        let key = format!("{{ prefix: team-{}/dataset-{number}/incoming/, suffix: .csv }}", number % 17);
        route(
            format!("object-{number}"),
            format!("s3: {{ bucket: bucket-of-a-team-{}, key: {key} }}", number % 40),
            number,
        );
        let pattern = format!(
            "source: [com.example.app-{}], detail-type: [Happened], detail: {{ kind: [kind-{number}] }}",
            number % 10
        );
        route(format!("event-{number}"), format!("event_pattern: {{ {pattern} }}"), number);
    }
    for queue in 0..80 {
        let kind = if queue < 20 { "created-queue" } else { "adopted-queue" };
        route(format!("queue-{queue}"), format!("queue: {kind}-{queue}"), queue * 3);
    }
    for number in 0..100 {
        route(format!("schedule-{number}"), format!("schedule: rate({} minutes)", number + 1), number * 2);
    }
    config(&text)
}

/// Returns two roles for each task definition of the large config.
fn roles() -> TaskRoles {
    let role = |task: usize, kind: &str| format!("arn:aws:iam::111122223333:role/team-service-{task}-{kind}");
    let of = |task: usize| BTreeSet::from(["task", "execution"].map(|kind| role(task, kind)));
    (0..TASKS).map(|task| (format!("team-service-{task}"), of(task))).collect()
}

fn lines(limits: &[Usage]) -> String {
    limits.iter().map(|limit| format!("{} {} of {}\n", limit.what, limit.used, limit.max)).collect()
}

fn counts(template: &Template) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in template.resources().values() {
        *counts.entry(resource["Type"].as_str().unwrap_or_default()).or_default() += 1;
    }
    counts.into_iter().map(|(kind, count)| format!("{kind} {count}\n")).collect()
}

#[test]
fn thousands_of_routes_with_hundreds_of_roles_fit_into_one_stack() {
    let config = large();
    let template = stack_of_account(&config, &BTreeMap::new(), &OfAccount { roles: roles(), ..OfAccount::default() });
    let limits = usage(&Body::new(&config, &template));
    assert!(template.resources().len() < 400 && limits.iter().all(|limit| !limit.is_exceeded()), "{}", lines(&limits));
    expect![[r#"
        the number of resources 388 of 500
        the template's size in bytes 457371 of 1000000
        the number of rules of the event bus 51 of 300
        the number of schedules of the account 101 of 10000000
        the number of characters of the event pattern 1184 of 2048
        the number of characters of the role's policies 7161 of 10240
        the number of characters of the policy 6134 of 6144
        the number of the role's managed policies 10 of 10
        the size in bytes of the function's environment variables 236 of 4096
    "#]]
    .assert_eq(&lines(&limits));
    assert_documented("2,000 routes", &limits);
    expect![[r#"
        AWS::CloudWatch::Alarm 44
        AWS::CloudWatch::Dashboard 1
        AWS::Events::Rule 51
        AWS::IAM::ManagedPolicy 26
        AWS::IAM::Role 5
        AWS::Lambda::EventInvokeConfig 3
        AWS::Lambda::EventSourceMapping 81
        AWS::Lambda::Function 4
        AWS::Lambda::Permission 2
        AWS::Logs::LogGroup 4
        AWS::SQS::Queue 43
        AWS::SQS::QueuePolicy 22
        AWS::Scheduler::Schedule 101
        AWS::Scheduler::ScheduleGroup 1
    "#]]
    .assert_eq(&counts(&template));
    // Every role and task definition is allowed, however the statements are distributed.
    let text = template.to_json().to_string();
    for function in ["EventTrigger", "TaskLifecycle"] {
        let policies = template.resources().iter().filter(|(id, resource)| {
            id.starts_with(function)
                && ["AWS::IAM::Role", "AWS::IAM::ManagedPolicy"]
                    .contains(&resource["Type"].as_str().unwrap_or_default())
        });
        let allowed: String = policies.map(|(_, policy)| policy.to_string()).collect();
        for (definition, roles) in roles() {
            assert!(allowed.contains(&format!("task-definition/{definition}:*\"")), "{function}: {definition}");
            assert!(roles.iter().all(|role| allowed.contains(&format!("\"{role}\""))), "{function}: {roles:?}");
        }
    }
    assert!(rules(&config).iter().all(|rule| !rule.event_pattern.to_string().contains("wildcard")));
    assert!(!text.contains("null"));
}

#[test]
fn what_does_not_fit_is_said() {
    let schedules: String =
        (0..500).map(|at| format!("  - {{ name: s{at}, on: {{ schedule: rate(1 hour) }}, run: t }}\n")).collect();
    let text = format!("version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes:\n{schedules}");
    let config = config(&text);
    let template = stack(&config, &BTreeMap::from([("LONG".to_owned(), "x".repeat(4000))]));
    let limits = usage(&Body::new(&config, &template));
    let exceeded = limits.iter().filter(|limit| limit.is_exceeded());
    expect![[r#"
        the number of resources 515 of 500
        the size in bytes of the function's environment variables 4169 of 4096
    "#]]
    .assert_eq(&lines(&exceeded.cloned().collect::<Vec<_>>()));
}

#[test]
fn a_limit_is_near_above_four_fifths() {
    let limit = |used| Usage { what: "", used, max: 500, remedy: "" };
    assert_eq!([400, 401, 500, 501].map(|used| limit(used).is_near()), [false, true, true, true]);
    assert_eq!([500, 501].map(|used| limit(used).is_exceeded()), [false, true]);
}

/// Returns the statements and conditions of a template that name nothing.
fn empty_lists<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            let lists = ["Resource", "ecs:cluster", "Statement", "aws:SourceArn"];
            let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
            found.extend(
                object.iter().filter(|(key, value)| lists.contains(&key.as_str()) && is_empty(value)).map(|_| value),
            );
            object.values().for_each(|value| empty_lists(value, found));
        }
        Value::Array(elements) => elements.iter().for_each(|value| empty_lists(value, found)),
        _ => {}
    }
}

#[test]
fn no_statement_is_without_resources() {
    let worker = "workers: [{ service: s, cluster: c, queue: q, scaling: { max: 3, acceptable_latency: 1m } }]\n";
    let route = "routes: [{ name: r, on: { queue: q }, run: t }]\n";
    for rest in [worker, "routes: []\n", route, &format!("{route}{worker}")] {
        for storage in ["", "storage: { bucket: b }\n"] {
            let text = format!("version: 1\n{storage}tasks: {{ t: {{ task_definition: t }} }}\n{rest}");
            let template = stack(&config(&text), &BTreeMap::new()).to_json();
            let mut found = Vec::new();
            empty_lists(&template, &mut found);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
}

#[test]
fn names_that_differ_only_in_signs_have_resources_of_their_own() {
    let text = "
version: 1
stack: { queues: { jobs.fifo: { queue: create }, jobs-fifo: { queue: create } } }
tasks: { t: { task_definition: t } }
routes:
  - { name: a, on: { queue: jobs.fifo }, run: t }
  - { name: b, on: { queue: jobs-fifo }, run: t }
  - { name: c-d, on: { schedule: rate(1 hour) }, run: t }
  - { name: c_d, on: { schedule: rate(1 hour) }, run: t }
";
    let template = stack(&config(text), &BTreeMap::new());
    let names: Vec<String> = template
        .resources()
        .values()
        .filter_map(|resource| {
            let name = ["QueueName", "AlarmName", "Name"].iter().find_map(|key| resource["Properties"].get(*key))?;
            Some(format!("{} {name}", resource["Type"]))
        })
        .collect();
    assert!(names.len() > 12, "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    expect![[r#"
        AWS::CloudWatch::Alarm 11
        AWS::CloudWatch::Dashboard 1
        AWS::IAM::Role 3
        AWS::Lambda::EventInvokeConfig 1
        AWS::Lambda::EventSourceMapping 2
        AWS::Lambda::Function 2
        AWS::Logs::LogGroup 2
        AWS::SQS::Queue 5
        AWS::SQS::QueuePolicy 3
        AWS::Scheduler::Schedule 2
        AWS::Scheduler::ScheduleGroup 1
    "#]]
    .assert_eq(&counts(&template));
}

#[test]
fn the_examples_are_far_from_every_limit_as_the_page_on_deploying_shows() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(&folder).expect("is a folder").map(|entry| entry.expect("is readable").path());
    let mut files: Vec<_> =
        entries.map(|example| example.join("ecs-trigger.yaml")).filter(|file| file.exists()).collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let name =
            file.parent().and_then(|example| example.file_name()).expect("has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("is readable");
        let mut source = Source::new("ecs-trigger.yaml", text);
        let variable = |_: &str| Some("value".to_owned());
        for included in trigger_core::load::includes(&source, &variable) {
            let text = std::fs::read_to_string(file.with_file_name(&included.value)).expect("is readable");
            source.include(included.value, &text);
        }
        let config = RoutingConfig::parse_with(source, &variable).unwrap_or_else(|problems| panic!("{problems:?}"));
        let usage = usage(&Body::new(&config, &stack(&config, &BTreeMap::new())));
        assert!(!usage.iter().any(Usage::is_near), "{name}: {}", lines(&usage));
        assert_documented(&format!("`examples/{name}`"), &usage);
    }
}

/// Checks that `docs/deploying.md` has a row with these numbers.
fn assert_documented(name: &str, usage: &[Usage]) {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploying.md");
    let page = std::fs::read_to_string(page).expect("is readable");
    let used: Vec<String> = usage.iter().map(|usage| usage.used.to_string()).collect();
    let row = format!("| {name} | {} |\n", used.join(" | "));
    assert!(page.contains(&row), "docs/deploying.md lacks {row}");
}
