//! Which version of a config is in force. Most tests use [`check`].

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::{Client, Config};
use expect_test::{Expect, expect};

use super::ConfigCache;
use crate::config::ConfigSource;

/// A client that no test may call.
fn no_s3() -> Client {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
    Client::from_conf(config.http_client(crate::clients::https()).endpoint_url("http://127.0.0.1:9").build())
}

fn config(route: &str) -> String {
    format!(
        "version: 1\ntasks: {{ t: {{ task_definition: t }} }}\nroutes: [{{ name: {route}, on: {{ event_pattern: {{ source: [app] }} }}, run: t }}]\n"
    )
}

/// Lets the cache check its config once more; returns the routes in force.
async fn look(cache: &Arc<ConfigCache>) -> String {
    let _ = cache.current();
    while cache.state().looking.is_some() {
        tokio::task::yield_now().await;
    }
    cache.state().in_force.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Writes versions of a config and its included files, one after the other; compares the routes in force after each.
async fn check(versions: &[&[(&str, &str)]], expected: Expect) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |files: &[(&str, &str)]| {
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("is written");
        }
    };
    let (first, later) = versions.split_first().expect("at least one version");
    write(first);
    let source = ConfigSource::File { path: folder.path().join("ecs-trigger.yaml").display().to_string() };
    let cache = match ConfigCache::read(source, no_s3(), Duration::ZERO).await {
        Ok(cache) => cache,
        Err(error) => {
            let shown = error.to_string().replace(&folder.path().display().to_string(), "");
            return expected.assert_eq(&format!("error: {shown}"));
        }
    };
    let mut shown = vec![look(&cache).await];
    for version in later {
        write(version);
        shown.push(look(&cache).await);
    }
    expected.assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn a_changed_config_comes_into_force_and_a_broken_one_does_not() {
    check(
        &[
            &[("ecs-trigger.yaml", &config("first"))],
            &[("ecs-trigger.yaml", &config("second"))],
            &[("ecs-trigger.yaml", "version: 1\nroutes: nothing")],
            &[("ecs-trigger.yaml", &config("third"))],
        ],
        expect![[r#"
            first
            second
            second
            third"#]],
    )
    .await;
}

#[tokio::test]
async fn a_changed_included_file_is_a_changed_config() {
    let main = format!("{}include: [more.yaml]\n", config("main"));
    let more = |route: &str| format!("routes: [{{ name: {route}, on: {{ queue: q }}, run: t }}]\n");
    check(
        &[
            &[("ecs-trigger.yaml", &main), ("more.yaml", &more("more"))],
            &[("more.yaml", &more("other"))],
            &[("more.yaml", "routes: 7")],
        ],
        expect![[r#"
            main, more
            main, other
            main, other"#]],
    )
    .await;
}

#[tokio::test]
async fn without_any_good_config_there_is_nothing_to_go_on_with() {
    check(
        &[&[("ecs-trigger.yaml", "version: 2\ntasks: {}\nroutes: []\n")]],
        expect![
            "error: the config has errors: file:///ecs-trigger.yaml:1:10: error: unknown version 2 (write `version: 1`)"
        ],
    )
    .await;
    check(
        &[&[("other.yaml", "")]],
        expect!["error: the config file:///ecs-trigger.yaml cannot be read: No such file or directory (os error 2)"],
    )
    .await;
    check(
        &[&[("ecs-trigger.yaml", "version: 1\ninclude: [gone.yaml]\ntasks: {}\nroutes: []\n")]],
        expect!["error: the config file:///gone.yaml cannot be read: No such file or directory (os error 2)"],
    )
    .await;
}

#[tokio::test]
async fn a_trusted_config_is_not_looked_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ecs-trigger.yaml");
    fs::write(&path, config("first")).expect("is written");
    let source = ConfigSource::File { path: path.display().to_string() };
    let cache = ConfigCache::read(source, no_s3(), Duration::from_secs(1000)).await.expect("is read");
    fs::write(&path, config("second")).expect("is written");
    assert_eq!(look(&cache).await, "first");
}

#[tokio::test]
async fn an_event_that_nothing_is_known_of_is_decided_by_the_latest_config() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ecs-trigger.yaml");
    fs::write(&path, config("first")).expect("is written");
    let source = ConfigSource::File { path: path.display().to_string() };
    let cache = ConfigCache::read(source, no_s3(), Duration::ZERO).await.expect("is read");
    fs::write(&path, config("second")).expect("is written");
    assert_eq!(cache.state().in_force.routes[0].name, "first");
    assert_eq!(cache.latest().await.routes[0].name, "second");
}
