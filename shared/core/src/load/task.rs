//! `tasks`: turns a task's settings into the request that its launches start from.

use super::settings::{on_rung, value, values};
use super::{Loader, launching, limits};
use crate::config::file::ConfigFile;
use crate::config::launching::CapacityConfig;
use crate::config::task::{ContainerOverrideConfig, Overrides, TaskSettings};
use crate::ecs::{
    Capacity, ContainerOverride, EnvironmentVariable, NetworkConfiguration, Tag, TaskOverride, TaskRequest,
};
use crate::routing::{ContainerTemplates, Task};
use crate::text::Spanned;
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Mapping, shell_command};

impl Loader<'_> {
    pub(super) fn tasks(&mut self, file: &ConfigFile) -> Vec<Task> {
        file.tasks()
            .0
            .iter()
            .filter_map(|(name, settings)| {
                let settings = match &file.defaults {
                    Some(defaults) => Spanned { span: settings.span, value: settings.value.clone().over(defaults) },
                    None => settings.clone(),
                };
                self.problems.extend(limits::task(name, &settings));
                self.task(name, &settings)
            })
            .collect()
    }

    fn task(&mut self, name: &Spanned<String>, settings: &Spanned<TaskSettings>) -> Option<Task> {
        let Some(task_definition) = &settings.task_definition else {
            if self.is_read_whole(settings.span) {
                let problem =
                    Diagnostic::error(name.span, format!("the task `{}` has no `task_definition`", name.value));
                self.problems.push(problem.help("add `task_definition: FAMILY`, here or under `defaults`"));
            }
            return None;
        };
        let containers = settings.overrides.as_ref().and_then(|overrides| overrides.container_overrides.as_deref());
        self.problems.extend(containers.unwrap_or_default().iter().filter_map(shell_script));
        let capacity = ladder(settings);
        let mut fixed = fixed_request(task_definition, settings);
        capacity.iter().take(1).for_each(|first| first.apply(&mut fixed));
        Some(Task {
            name: name.value.clone(),
            fixed,
            capacity,
            timeout: settings.timeout.as_ref().map(|timeout| timeout.value.0),
            retry: settings.retry.as_ref().map(launching::retry),
            tags: self.template_values(settings.tags.as_ref()),
            started_by: settings.started_by.as_ref().map(|text| self.template(text)),
            reference_id: settings.reference_id.as_ref().map(|text| self.template(text)),
            containers: containers
                .unwrap_or_default()
                .iter()
                .map(|container| ContainerTemplates {
                    command: container
                        .command
                        .iter()
                        .flat_map(|words| words.iter())
                        .map(|word| self.template(word))
                        .collect(),
                    environment: self.template_values(container.environment.as_deref()),
                })
                .collect(),
        })
    }
}

/// The names of shells that take a script after `-c`.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// Warns of a template in a shell script: the shell would run what an event fills in, such as an object's key.
fn shell_script(container: &ContainerOverrideConfig) -> Option<Diagnostic> {
    let words = container.command.as_ref()?;
    let is_shell = |word: &str| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word));
    // Options can be combined, as in `-ec`.
    let takes_script = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    // A command that begins with an option has its shell in the image's entry point.
    let options = match words.iter().position(|word| is_shell(&word.0)) {
        Some(shell) => shell + 1,
        None => 0,
    };
    let options = words.iter().enumerate().skip(options).take_while(|(_, word)| word.0.starts_with('-'));
    let (option, _) = options.into_iter().find(|(_, word)| takes_script(&word.0))?;
    let script = words.get(option + 1)?;
    if !["{{", "{%"].iter().any(|opening| script.0.contains(opening)) {
        return None;
    }
    let message = "the shell runs what an event fills into this script as code";
    let help = format!("pass it as an argument: write `{}`; or pass it in `environment`", shell_command(&script.0));
    Some(Diagnostic::warning(script.span, message).help(help))
}

/// Returns the request with everything that no event changes. Values with templates are empty.
fn fixed_request(task_definition: &Spanned<String>, settings: &TaskSettings) -> TaskRequest {
    TaskRequest {
        cluster: value(&settings.cluster),
        task_definition: task_definition.value.clone(),
        count: value(&settings.count),
        launch_type: value(&settings.launch_type),
        capacity_provider_strategy: values(settings.capacity_provider_strategy.as_ref()),
        platform_version: value(&settings.platform_version),
        network_configuration: value(&settings.network)
            .map(|awsvpc_configuration| NetworkConfiguration { awsvpc_configuration }),
        group: value(&settings.group),
        placement_constraints: values(settings.placement_constraints.as_ref()),
        placement_strategy: values(settings.placement_strategy.as_ref()),
        propagate_tags: value(&settings.propagate_tags),
        tags: names(settings.tags.as_ref()).map(|key| Tag { key, value: String::new() }).collect(),
        started_by: String::new(),
        enable_execute_command: value(&settings.enable_execute_command),
        enable_ecs_managed_tags: value(&settings.enable_ecs_managed_tags),
        reference_id: None,
        volume_configurations: settings
            .volume_configurations
            .iter()
            .flatten()
            .map(|volume| volume.value.clone())
            .collect(),
        overrides: settings.overrides.as_ref().map(fixed_overrides).unwrap_or_default(),
        client_token: String::new(),
    }
}

/// Returns the capacity of each rung of a task's ladder. A key that a rung leaves out has the task's value.
fn ladder(settings: &TaskSettings) -> Vec<Capacity> {
    let rungs = settings.capacity.iter().flat_map(|rungs| &rungs.value);
    let capacity = |rung: &Spanned<CapacityConfig>| {
        let settings = on_rung(settings, rung);
        let overrides = settings.overrides.unwrap_or_default();
        Capacity {
            launch_type: value(&settings.launch_type),
            capacity_provider_strategy: values(settings.capacity_provider_strategy.as_ref()),
            platform_version: value(&settings.platform_version),
            network_configuration: value(&settings.network)
                .map(|awsvpc_configuration| NetworkConfiguration { awsvpc_configuration }),
            cpu: value(&overrides.cpu).map(|text| text.0),
            memory: value(&overrides.memory).map(|text| text.0),
        }
    };
    rungs.map(capacity).collect()
}

fn fixed_overrides(overrides: &Overrides) -> TaskOverride {
    TaskOverride {
        cpu: value(&overrides.cpu).map(|text| text.0),
        memory: value(&overrides.memory).map(|text| text.0),
        task_role_arn: value(&overrides.task_role_arn),
        execution_role_arn: value(&overrides.execution_role_arn),
        ephemeral_storage: value(&overrides.ephemeral_storage),
        container_overrides: overrides.container_overrides.iter().flatten().map(fixed_container).collect(),
    }
}

fn fixed_container(container: &ContainerOverrideConfig) -> ContainerOverride {
    ContainerOverride {
        name: container.name.value.clone(),
        command: Vec::new(),
        environment: names(container.environment.as_deref())
            .map(|name| EnvironmentVariable { name, value: String::new() })
            .collect(),
        environment_files: container.environment_files.clone().unwrap_or_default(),
        cpu: value(&container.cpu),
        memory: value(&container.memory),
        memory_reservation: value(&container.memory_reservation),
        resource_requirements: container.resource_requirements.clone().unwrap_or_default(),
    }
}

fn names<T>(mapping: Option<&Mapping<T>>) -> impl Iterator<Item = String> {
    mapping.into_iter().flat_map(Mapping::names).map(str::to_owned)
}
