//! The steps between every two configs of a matrix: each body that a deployment would send passes the checks.

#[path = "matrix.rs"]
mod matrix;

use expect_test::expect;
use serde_json::json;

use super::{Step, steps};
use crate::body::{Body, Parameters};
use crate::check::{Problem, check};
use crate::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, Change, Template, changes, functions, stack};
use matrix::{LEDGER, body, config, matrix, part};

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
    for member in &matrix {
        assert_eq!(refused(&member.body), [""; 0], "fresh: {}", member.name());
    }
    for before in &matrix {
        for after in &matrix {
            let pair = format!("{} -> {}", before.name(), after.name());
            let steps = matrix::forth_and_back(&before.body, &after.body);
            let bodies: Vec<&Body> = steps.iter().filter_map(Step::body).collect();
            for body in bodies.iter().filter(|body| ![&before.body, &after.body].contains(body)) {
                assert_eq!(refused(body), [""; 0], "{pair}");
            }
            sent += bodies.len();
            let is_widened = matches!(steps.first(), Some(Step::Widen(_)));
            let uploads = steps.iter().filter(|step| **step == Step::UploadConfig).count();
            assert_eq!(uploads, 1 + usize::from(is_widened), "{pair}");
            let last = if is_widened { before } else { after };
            assert_eq!(bodies.last(), Some(&&last.body), "{pair}");
            widened += usize::from(is_widened);
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
    let changes = changes(Some((&before.template, &before.parameters)), (&wider.template, &wider.parameters));
    let paths = |change: &Change| {
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
