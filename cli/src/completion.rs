//! Completes the names of a config's routes, schedules, queues and workers in a shell.
//!
//! The shell's script runs this command with the words of the line after `--`; see [`crate::verbs::completions`].

use std::env;
use std::path::{Path, PathBuf};

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use trigger_core::routing::RoutingConfig;

use crate::config::{Environment, FILE_NAME, file_of, parse, read};

/// The variable by which a shell's script asks for completions; it names the shell.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Completes the name of a route.
pub(crate) fn routes() -> ArgValueCandidates {
    names(|config| config.routes.iter().map(|route| route.name.clone()).collect())
}

/// Completes the name of a route that has a schedule.
pub(crate) fn schedules() -> ArgValueCandidates {
    names(|config| {
        let scheduled = config.routes.iter().filter(|route| route.schedule().is_some());
        scheduled.map(|route| route.name.clone()).collect()
    })
}

/// Completes the name of a route's queue.
pub(crate) fn queues_of_routes() -> ArgValueCandidates {
    names(|config| config.queues().iter().map(|queue| queue.name.clone()).collect())
}

/// Completes the name of a queue.
pub(crate) fn queues() -> ArgValueCandidates {
    names(|config| config.all_queues().iter().map(|queue| queue.name.clone()).collect())
}

/// Completes the name of a worker.
pub(crate) fn workers() -> ArgValueCandidates {
    names(|config| config.workers.iter().map(|worker| worker.name.clone()).collect())
}

/// Returns what completes names of the config that the line names. Without a valid config, there are none.
fn names(of: impl Fn(&RoutingConfig) -> Vec<String> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let words: Vec<String> = env::args().skip_while(|word| word != "--").skip(1).collect();
        let Named { config, environment } = named(&words, is_config);
        let source = read(&config, &Environment { name: environment });
        let config = source.ok().and_then(|source| parse(source).ok());
        config.iter().flat_map(&of).map(CompletionCandidate::new).collect()
    })
}

fn is_config(path: &Path) -> bool {
    let file = file_of(path);
    file.extension().is_some_and(|extension| extension == "yaml") && file.is_file()
}

/// The config and the environment that a line names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    config: PathBuf,
    environment: Option<String>,
}

/// Returns what the words of a line name. `is_config` returns whether a path is a config, or a folder that contains one.
fn named(words: &[String], is_config: impl Fn(&Path) -> bool) -> Named {
    let option = |name: &str| {
        let place = words.iter().position(|word| word.split('=').next() == Some(name))?;
        // A shell may break a word at `=`.
        let rest = words[place + 1..].iter().map(String::as_str);
        words[place]
            .split_once('=')
            .map(|(_, value)| value)
            .into_iter()
            .chain(rest)
            .find(|word| !["", "="].contains(word))
    };
    // The command and the verb come first; a verb that has no `--config` takes the config as its argument.
    let argument = words.iter().skip(2).find(|word| !word.starts_with('-') && is_config(Path::new(word)));
    let config = option("--config").or(argument.map(String::as_str)).unwrap_or(FILE_NAME);
    Named { config: config.into(), environment: option("--env").map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_config_and_the_environment_are_those_that_the_line_names() {
        for (line, config, environment) in [
            ("ecs-trigger plan --schedule", "ecs-trigger.yaml", None),
            ("ecs-trigger plan --config a.yaml --schedule", "a.yaml", None),
            ("ecs-trigger plan --config=a.yaml", "a.yaml", None),
            ("ecs-trigger plan --config = a.yaml", "a.yaml", None),
            ("ecs-trigger plan event.json --env staging", "ecs-trigger.yaml", Some("staging")),
            ("ecs-trigger dev b.yaml --route", "b.yaml", None),
            ("ecs-trigger dev missing.yaml --route", "ecs-trigger.yaml", None),
            ("ecs-trigger plan --config", "ecs-trigger.yaml", None),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = named(&words, |path| path.ends_with("b.yaml"));
            assert_eq!((found.config.to_str(), found.environment.as_deref()), (Some(config), environment), "{line}");
        }
    }
}
