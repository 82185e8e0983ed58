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
use crate::text::diagnostic::Diagnostic;
use crate::text::values::Mapping;
use crate::text::{Spanned, shell};

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
            copies: settings.count.as_ref().map_or(1, |count| count.value),
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

/// Options with which a command may begin for a shell as the image's entry point. Other programs share few of them.
const SHELL_FLAGS: &str = "ceilouvx";

/// Warns of a template in a shell script: the shell would run what an event fills in, such as an object's key.
fn shell_script(container: &ContainerOverrideConfig) -> Option<Diagnostic> {
    let words = container.command.as_ref()?;
    let texts: Vec<&str> = words.iter().map(|word| word.0.as_str()).collect();
    let is_flags =
        |word: &&&str| word.strip_prefix('-').is_some_and(|flags| flags.chars().all(|flag| SHELL_FLAGS.contains(flag)));
    let is_shell = |word: &str| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word));
    let of_entry_point = texts.first().filter(is_flags).map(|_| 0);
    let of_shells = texts.iter().enumerate().filter(|(_, word)| is_shell(word)).map(|(at, _)| at + 1);
    let has_template = |at: &usize| ["{{", "{%"].iter().any(|opening| texts[*at].contains(opening));
    let (options, at) = of_entry_point
        .into_iter()
        .chain(of_shells)
        .filter_map(|options| Some((options, options + script(&texts[options..])?)))
        .find(|(_, at)| has_template(at))?;
    let message = match options {
        0 => "if the image's entry point is a shell, it runs what an event fills into this script as code",
        _ => "the shell runs what an event fills into this script as code",
    };
    // The parts of a statement cannot become arguments.
    let how = match texts[at].contains("{%") {
        true => "pass each value as an argument".to_owned(),
        false => {
            let safe = shell::command(&texts[..at], texts[at], &texts[at + 1..]);
            format!("pass it as an argument: write `{safe}`")
        }
    };
    Some(Diagnostic::warning(words[at].span, message).help(format!("{how}; or pass it in `environment`")))
}

/// Returns the position of the script among the arguments of a shell: with the option `c`, also in a group such as
/// `-ec`, it is the first word after all options.
fn script(arguments: &[&str]) -> Option<usize> {
    let mut takes_script = false;
    let mut at = 0;
    loop {
        match *arguments.get(at)? {
            "-" | "--" => {
                at += 1;
                break;
            }
            "--rcfile" | "--init-file" => at += 2,
            long if long.starts_with("--") => at += 1,
            flags if flags.starts_with(['-', '+']) => {
                takes_script |= flags.starts_with('-') && flags.contains('c');
                // Each `o` takes the name of an option, as in `-eo pipefail`.
                at += 1 + flags.matches(['o', 'O']).count();
            }
            _ => break,
        }
    }
    (takes_script && at < arguments.len()).then_some(at)
}

/// Returns the request with everything that no event changes. Values with templates are empty.
fn fixed_request(task_definition: &Spanned<String>, settings: &TaskSettings) -> TaskRequest {
    TaskRequest {
        cluster: value(&settings.cluster),
        task_definition: task_definition.value.clone(),
        count: None,
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
