//! Which commands run for a task request.

use std::path::Path;

use expect_test::{Expect, expect};
use trigger_core::event::Event;
use trigger_core::plan::Plan;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Surroundings, containers};
use crate::folders::bucket::Bucket;
use crate::sandbox::reach::Reach;

/// Plans an event for a task with these overrides and these local containers; compares what would run.
fn check(overrides: &str, local: &str, docker: bool, expected: Expect) {
    let config = format!(
        "version: 1\ntasks: {{ t: {{ task_definition: \"fam:3\", overrides: {{ container_overrides: {overrides} }} }} }}\n\
         routes: [{{ name: r, on: {{ event_pattern: {{ source: [app] }} }}, run: t }}]\n\
         local: {{ task_definitions: {local} }}\n"
    );
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let event = r#"{"id":"e","source":"app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r","detail":{}}"#;
    let plan = Plan::new(&config, &Event::decode(event).expect("is an event")).expect("can be planned");
    let request = &plan.launches[0].request;
    let buckets = [Bucket { name: "b".into(), folder: "/data/b".into() }];
    let reach = Reach { host: "h".into(), key: "k".into(), secret: "s".into(), path: "/p".into() };
    let folder = Path::new("/project");
    let surroundings = Surroundings { folder, buckets: &buckets, docker, reach: &reach, is_worker: false };
    let shown = match containers(config.local.as_ref(), request.family(), request, "id", &surroundings) {
        Err(error) => error.to_string(),
        Ok(processes) => processes
            .into_iter()
            .map(|mut process| {
                process
                    .environment
                    .retain(|name, _| !super::INHERITED.contains(&name.as_str()) && !name.starts_with("AWS_"));
                let essential = if process.essential { "essential" } else { "not essential" };
                let (name, command, environment) = (process.name, process.command, process.environment);
                format!("{name}: {command:?} {environment:?} in {}, {essential}\n", process.folder.display())
            })
            .collect(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn an_overridden_command_replaces_the_command_and_not_the_entry_point() {
    let local = "{ fam: { container_definitions: { app: { entry_point: [run, it], command: [a] } } } }";
    check(
        "[{ name: app, command: [b, c] }]",
        local,
        false,
        expect![[r#"
            app: ["run", "it", "b", "c"] {"ECS_TRIGGER_ATTEMPT": "0", "ECS_TRIGGER_EVENT_ID": "e", "ECS_TRIGGER_ROUTE": "r"} in /project, essential
        "#]],
    );
    check(
        "[{ name: app }]",
        local,
        false,
        expect![[r#"
            app: ["run", "it", "a"] {"ECS_TRIGGER_ATTEMPT": "0", "ECS_TRIGGER_EVENT_ID": "e", "ECS_TRIGGER_ROUTE": "r"} in /project, essential
        "#]],
    );
}

#[test]
fn overridden_variables_win_over_the_containers_own() {
    let local = "{ fam: { container_definitions: { app: { command: [a], environment: { X: '1', Y: '2' } } } } }";
    check(
        "[{ name: app, environment: { X: 3, Z: 4 } }]",
        local,
        false,
        expect![[r#"
            app: ["a"] {"ECS_TRIGGER_ATTEMPT": "0", "ECS_TRIGGER_EVENT_ID": "e", "ECS_TRIGGER_ROUTE": "r", "X": "3", "Y": "2", "Z": "4"} in /project, essential
        "#]],
    );
}

#[test]
fn containers_run_in_their_folders() {
    let local = "{ fam: { container_definitions: { app: { command: [a], working_directory: src }, side: { command: [b], essential: false } } } }";
    check(
        "[]",
        local,
        false,
        expect![[r#"
            app: ["a"] {} in /project/src, essential
            side: ["b"] {} in /project, not essential
        "#]],
    );
}

#[test]
fn an_image_needs_an_engine() {
    let local = "{ fam: { container_definitions: { app: { image: alpine, entry_point: [run, it], command: [a] } } } }";
    check(
        "[{ name: app, environment: { X: 3 } }]",
        local,
        false,
        expect![
            "the container `app` has an `image`, but no Docker engine answers; start one, or replace `image` with `command`"
        ],
    );
    check(
        "[{ name: app, environment: { X: 3 } }]",
        local,
        true,
        expect![[r#"
            app: ["docker", "run", "--rm", "--init", "--name", "ecs-trigger-id-app", "--network", "host", "--env", "AWS_ACCESS_KEY_ID", "--env", "AWS_DEFAULT_REGION", "--env", "AWS_ENDPOINT_URL", "--env", "AWS_REGION", "--env", "AWS_SECRET_ACCESS_KEY", "--env", "ECS_TRIGGER_ATTEMPT", "--env", "ECS_TRIGGER_EVENT_ID", "--env", "ECS_TRIGGER_ROUTE", "--env", "X", "--volume", "/data/b:/buckets/b", "--entrypoint", "run", "alpine", "it", "a"] {"ECS_TRIGGER_ATTEMPT": "0", "ECS_TRIGGER_EVENT_ID": "e", "ECS_TRIGGER_ROUTE": "r", "X": "3"} in /project, essential
        "#]],
    );
}

#[test]
fn what_cannot_run_is_said_with_the_remedy() {
    check(
        "[]",
        "{ other: { container_definitions: {} } }",
        false,
        expect!["no local containers are set for the task definition `fam`; add it under `local: task_definitions:`"],
    );
    check(
        "[{ name: ap }]",
        "{ fam: { container_definitions: { app: { command: [a] } } } }",
        false,
        expect!["`fam` has no container `ap` to override; its containers are app"],
    );
    check(
        "[]",
        "{ fam: { container_definitions: { app: {} } } }",
        false,
        expect!["the container `app` has nothing to run; give it an `entry_point`, a `command` or an `image`"],
    );
}
