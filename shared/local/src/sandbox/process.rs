//! A task request as commands of this machine, one for each container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trigger_core::config::local::{Local, LocalContainer, LocalTaskDefinition};
use trigger_core::ecs::{ContainerOverride, TaskRequest};
use trigger_core::text::Spanned;

use crate::folders::bucket::Bucket;
use crate::sandbox::reach::Reach;

/// A container of a task, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerProcess {
    /// The container's name.
    pub name: String,
    /// The program and its arguments. No shell interprets them.
    pub command: Vec<String>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// The working directory.
    pub folder: PathBuf,
    /// Whether the task ends when this container ends.
    pub essential: bool,
    /// The name of the Docker container, if the container runs an image.
    pub container: Option<String>,
}

/// The reason why a task cannot run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CannotRun {
    #[error("no local containers are set for the task definition `{0}`; add it under `local: task_definitions:`")]
    UnknownTaskDefinition(String),
    #[error("`{task_definition}` has no container `{container}` to override; its containers are {known}")]
    UnknownContainer { task_definition: String, container: String, known: String },
    #[error("the container `{0}` has nothing to run; give it an `entry_point`, a `command` or an `image`")]
    NothingToRun(String),
    #[error(
        "the container `{0}` has an `image`, but no Docker engine answers; start one, or replace `image` with `command`"
    )]
    NoDockerEngine(String),
}

/// A process inherits only these variables from `dev`: what programs need to be found and to write output.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER"];

/// The variables by which a Docker client finds its engine.
const OF_DOCKER: [&str; 5] = ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "XDG_RUNTIME_DIR"];

/// What all containers of a project share.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The config's folder.
    pub folder: &'a Path,
    /// The buckets.
    pub buckets: &'a [Bucket],
    /// Whether a Docker engine answers.
    pub docker: bool,
    /// How the task reaches the endpoint.
    pub reach: &'a Reach,
    /// Whether the task is a worker.
    pub is_worker: bool,
}

/// Returns the containers of one task of `request`, with overrides applied. `task_id` makes the names of the task's
/// Docker containers unique.
///
/// # Errors
/// The task cannot run on this machine. ECS would refuse most of these requests as well.
pub fn containers(
    local: Option<&Local>,
    family: &str,
    request: &TaskRequest,
    task_id: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<ContainerProcess>, CannotRun> {
    let definition = local
        .and_then(|local| local.task_definitions.as_ref())
        .and_then(|definitions| definitions.get(family))
        .ok_or_else(|| CannotRun::UnknownTaskDefinition(family.to_owned()))?;
    let overrides = &request.overrides.container_overrides;
    check_names(definition, family, overrides)?;
    let container = |(name, container): &(Spanned<String>, LocalContainer)| {
        let overridden = overrides.iter().find(|overridden| overridden.name == name.value);
        process(name, container, overridden, task_id, surroundings)
    };
    definition.container_definitions.0.iter().map(container).collect()
}

fn check_names(
    definition: &LocalTaskDefinition,
    family: &str,
    overrides: &[ContainerOverride],
) -> Result<(), CannotRun> {
    let known: Vec<&str> = definition.container_definitions.names().collect();
    match overrides.iter().find(|overridden| !known.contains(&overridden.name.as_str())) {
        Some(unknown) => Err(CannotRun::UnknownContainer {
            task_definition: family.to_owned(),
            container: unknown.name.clone(),
            known: known.join(", "),
        }),
        None => Ok(()),
    }
}

fn process(
    name: &str,
    container: &LocalContainer,
    overridden: Option<&ContainerOverride>,
    task_id: &str,
    surroundings: &Surroundings<'_>,
) -> Result<ContainerProcess, CannotRun> {
    let mut variables: BTreeMap<String, String> = container
        .environment
        .iter()
        .flat_map(|environment| &environment.0)
        .map(|(name, value)| (name.value.clone(), value.clone()))
        .collect();
    let command_override =
        overridden.map(|overridden| overridden.command.clone()).filter(|command| !command.is_empty());
    let words = command_override.or_else(|| container.command.as_deref().cloned()).unwrap_or_default();
    for variable in overridden.iter().flat_map(|overridden| &overridden.environment) {
        variables.insert(variable.name.clone(), variable.value.clone());
    }
    surroundings.reach.add_to(&mut variables, task_id, surroundings.is_worker);
    let entry_point = container.entry_point.as_deref().cloned().unwrap_or_default();
    let docker_name = format!("ecs-trigger-{task_id}-{name}");
    let command = match &container.image {
        Some(_) if !surroundings.docker => return Err(CannotRun::NoDockerEngine(name.to_owned())),
        Some(image) => docker_run(&docker_name, image, &entry_point, words, &variables, surroundings.buckets),
        None => [entry_point, words].concat(),
    };
    if command.is_empty() {
        return Err(CannotRun::NothingToRun(name.to_owned()));
    }
    let docker = if container.image.is_some() { &OF_DOCKER[..] } else { &[] };
    let inherited =
        INHERITED.iter().chain(docker).filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut environment: BTreeMap<String, String> = inherited.collect();
    environment.extend(variables);
    Ok(ContainerProcess {
        name: name.to_owned(),
        command,
        environment,
        folder: container
            .working_directory
            .as_ref()
            .map_or_else(|| surroundings.folder.to_owned(), |folder| surroundings.folder.join(&folder.value)),
        essential: container.essential.unwrap_or(true),
        container: container.image.is_some().then_some(docker_name),
    })
}

/// Returns the `docker run` command, with each bucket's folder mounted at `/buckets/NAME`. Variables are passed by name
/// and their values in the client's own environment, so no process list shows them. The container has this machine's
/// network: the endpoint is on its loopback, and as in one task of ECS, containers find each other on `localhost`.
fn docker_run(
    name: &str,
    image: &str,
    entry_point: &[String],
    words: Vec<String>,
    variables: &BTreeMap<String, String>,
    buckets: &[Bucket],
) -> Vec<String> {
    let mut command =
        ["docker", "run", "--rm", "--init", "--name", name, "--network", "host"].map(str::to_owned).to_vec();
    for variable in variables.keys() {
        command.extend(["--env".to_owned(), variable.clone()]);
    }
    for bucket in buckets {
        command.extend(["--volume".to_owned(), format!("{}:/buckets/{}", bucket.folder.display(), bucket.name)]);
    }
    let (program, more) = entry_point.split_first().map_or((None, &[][..]), |(program, more)| (Some(program), more));
    command.extend(program.iter().flat_map(|program| ["--entrypoint".to_owned(), (*program).clone()]));
    command.push(image.to_owned());
    command.extend_from_slice(more);
    command.extend(words);
    command
}

#[cfg(test)]
mod tests;
