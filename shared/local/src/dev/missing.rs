//! What a config starts, but has no entry for under `local`.

use std::collections::{BTreeMap, BTreeSet};

use trigger_core::config::local::Local;
use trigger_core::routing::{RoutingConfig, RunsAs};

use crate::happening::Happening;

/// The container of a snippet if the task's overrides name none.
const ANY_CONTAINER: &str = "app";

/// Returns a happening for each task definition that routes or workers run and of which something is missing under `local`.
pub(super) fn missing_local(config: &RoutingConfig) -> Vec<Happening> {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let of_routes = config.routes.iter().flat_map(|route| config.tasks(route));
    let of_workers = config.workers.iter().filter_map(|worker| config.task_of_worker(worker));
    for task in of_routes.chain(of_workers) {
        let containers = task.request().overrides.container_overrides.iter();
        named.entry(task.request().family()).or_default().extend(containers.map(|container| container.name.as_str()));
    }
    for worker in &config.workers {
        if let RunsAs::Service { service, .. } = &worker.runs_as {
            named.entry(service.rsplit('/').next().unwrap_or_default()).or_default();
        }
    }
    let missing = named.into_iter().filter_map(|(family, containers)| {
        let snippet = snippet(config.local.as_ref(), family, containers)?;
        Some(Happening::MissingLocal { task_definition: family.to_owned(), snippet })
    });
    missing.collect()
}

/// Returns what to add to the config for a task definition, if something is missing.
fn snippet(local: Option<&Local>, family: &str, mut containers: BTreeSet<&str>) -> Option<String> {
    let definition = local.and_then(|local| local.task_definitions.as_ref()?.get(family));
    match definition {
        Some(definition) => {
            let known: BTreeSet<&str> = definition.container_definitions.names().collect();
            containers.retain(|name| !known.contains(name));
        }
        None if containers.is_empty() => containers.extend([ANY_CONTAINER]),
        None => {}
    }
    if containers.is_empty() {
        return None;
    }
    let mut snippet = format!("local:\n  task_definitions:\n    {family}:\n      container_definitions:\n");
    for container in containers {
        snippet.push_str(&format!("        {container}: {{ entry_point: [echo] }}  # its command on this machine\n"));
    }
    Some(snippet)
}

#[cfg(test)]
mod tests {
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::missing_local;
    use crate::happening::Happening;

    /// Returns the snippets for a config, and checks that nothing is missing with them.
    fn snippets(local: &str) -> Vec<String> {
        let text = r#"
version: 1
tasks:
  t: { task_definition: "fam:7", overrides: { container_overrides: [{ name: app }, { name: log }] } }
  u: { task_definition: arn:aws:ecs:us-east-1:123456789012:task-definition/other:2 }
  unused: { task_definition: unused }
routes:
  - { name: a, on: { s3: { bucket: b } }, run: [t, u] }
  - { name: b, on: { s3: { bucket: c } }, run: t }
"#;
        let config =
            |local: &str| RoutingConfig::parse(Source::new("c.yaml", format!("{text}{local}"))).expect("is valid");
        let missing = missing_local(&config(local)).into_iter().map(|happening| match happening {
            Happening::MissingLocal { snippet, .. } => snippet,
            other => panic!("{other:?}"),
        });
        missing.collect()
    }

    #[test]
    fn the_snippet_names_each_container_that_has_no_command() {
        let before = "local:\n  task_definitions:\n    ";
        let of = |family: &str, containers: &[&str]| {
            let entry =
                |name: &&str| format!("        {name}: {{ entry_point: [echo] }}  # its command on this machine\n");
            let entries: String = containers.iter().map(entry).collect();
            format!("{before}{family}:\n      container_definitions:\n{entries}")
        };
        let (fam, other) = (of("fam", &["app", "log"]), of("other", &["app"]));
        assert_eq!(snippets(""), [fam.clone(), other.clone()]);
        assert_eq!(snippets(&fam), std::slice::from_ref(&other));
        assert_eq!(snippets(&of("fam", &["log"])), [of("fam", &["app"]), other.clone()]);
        assert_eq!(snippets(&format!("{fam}{}", other.replace(before, "    "))), [] as [String; 0]);
    }
}
