//! Checks a task's settings against AWS's limits when the config is loaded.

use super::settings::{on_rung, value, values};
use crate::config::launching::CapacityConfig;
use crate::config::task::{ContainerOverrideConfig, Overrides, TaskSettings};
use crate::ecs::fargate::OnFargate;
use crate::ecs::{
    AssignPublicIp, AwsvpcConfiguration, CapacityProviderStrategyItem, LaunchType, PlacementConstraintType, fargate,
    limits,
};
use crate::environment::RESERVED_PREFIX;
use crate::launch::RetryOn;
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Mapping, Text};
use crate::text::{Span, Spanned};

/// Returns what AWS would refuse about a task, as far as this is known before an event.
pub(super) fn task(name: &Spanned<String>, settings: &TaskSettings) -> Vec<Diagnostic> {
    let mut problems = Problems(Vec::new());
    problems.ladder(name, settings);
    problems.launching(settings);
    problems.count(settings);
    problems.capacity(settings);
    problems.network(name, settings);
    problems.placement(settings);
    problems.of_fargate_only(settings);
    problems.tags(settings.tags.as_ref());
    problems.volumes(settings);
    if let Some(overrides) = &settings.overrides {
        problems.overrides(overrides, runs_on_fargate(settings));
    }
    problems.0
}

fn runs_on_fargate(settings: &TaskSettings) -> bool {
    let strategy = values(settings.capacity_provider_strategy.as_ref());
    OnFargate::new(value(&settings.launch_type), &strategy) == OnFargate::Yes
}

struct Problems(Vec<Diagnostic>);

impl Problems {
    fn add(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Diagnostic::error(span, message).help(help));
    }

    fn too_many(&mut self, span: Span, count: usize, max: usize, what: &str) {
        if count > max {
            self.add(span, format!("{count} {what}, but AWS allows at most {max}"), format!("keep at most {max}"));
        }
    }

    fn count(&mut self, settings: &TaskSettings) {
        if let Some(count) = &settings.count
            && !(1..=limits::TASKS_MAX).contains(&count.value)
        {
            let message = format!("`count` is {}, but must be 1 to {}", count.value, limits::TASKS_MAX);
            self.add(count.span, message, "write a number from 1 to 10000");
        }
    }

    /// Checks each rung against the same limits as a task without a ladder.
    fn ladder(&mut self, name: &Spanned<String>, settings: &TaskSettings) {
        let Some(ladder) = &settings.capacity else { return };
        if ladder.is_empty() {
            self.add(ladder.span, "`capacity` has no rungs", "add at least one, or remove the key");
        }
        if ladder.len() > limits::RUNGS_MAX {
            let message =
                format!("`capacity` has {} rungs, but at most {} are allowed", ladder.len(), limits::RUNGS_MAX);
            self.add(ladder.span, message, "remove some rungs");
        }
        let own = [
            ("launch_type", settings.launch_type.as_ref().map(|setting| setting.span)),
            ("capacity_provider_strategy", settings.capacity_provider_strategy.as_ref().map(|setting| setting.span)),
        ];
        for (key, span) in own.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("`{key}` cannot be combined with `capacity`");
            self.add(span.max(ladder.span), message, format!("move `{key}` into the first rung of `capacity`"));
        }
        for rung in &ladder.value {
            let CapacityConfig { launch_type, capacity_provider_strategy, platform_version, network, cpu, memory } =
                &rung.value;
            let chooses = launch_type.is_some() || capacity_provider_strategy.is_some() || network.is_some();
            if !chooses && platform_version.is_none() && cpu.is_none() && memory.is_none() {
                self.add(rung.span, "this rung sets nothing", "add for example `launch_type: ...`");
            }
            self.0.extend(task(name, &on_rung(settings, rung)));
        }
    }

    fn launching(&mut self, settings: &TaskSettings) {
        if let Some(timeout) = settings.timeout.as_ref().filter(|timeout| timeout.0.as_secs() == 0) {
            self.add(timeout.span, "`timeout` must be at least 1s", "write for example `30m`");
        }
        let Some(retry) = &settings.retry else { return };
        if !(1..=limits::RETRY_ATTEMPTS_MAX).contains(&retry.attempts.value) {
            let message = format!("`attempts` is {}, but must be 1 to 20", retry.attempts.value);
            self.add(retry.attempts.span, message, "write a number from 1 to 20");
        }
        if let Some(backoff) = retry.backoff.filter(|backoff| backoff.0.as_secs() > limits::BACKOFF_SECONDS_MAX) {
            self.add(
                retry.span,
                format!("`backoff` is {} s, but must be at most 1h", backoff.0.as_secs()),
                "write `1h` or less",
            );
        }
        let on_timeout = retry.on.iter().flat_map(|on| &on.0).any(|on| *on == RetryOn::Timeout);
        if on_timeout && settings.timeout.is_none() {
            self.add(
                retry.span,
                "the retry is on `timeout`, but the task has no `timeout`",
                "add `timeout: ...` to the task",
            );
        }
        let of_exit_codes = retry.on.iter().flat_map(|on| &on.0).filter_map(|on| match on {
            RetryOn::ExitCode(codes) => Some(codes),
            _ => None,
        });
        if let Some(code) = of_exit_codes.flatten().find(|code| !(1..=255).contains(*code)) {
            self.add(retry.span, format!("{code} is not an exit code of a failure"), "write exit codes from 1 to 255");
        }
    }

    fn capacity(&mut self, settings: &TaskSettings) {
        let launch_type = settings.launch_type.as_ref();
        if let Some(chosen) = launch_type.filter(|chosen| chosen.value == LaunchType::ManagedInstances) {
            let message = "ECS takes managed instances as a capacity provider, not as a launch type";
            let help = "write `capacity_provider_strategy: [{ capacity_provider: NAME, weight: 1 }]`, with the name of the \
                        cluster's capacity provider";
            self.add(chosen.span, message, help);
        }
        let Some(strategy) = &settings.capacity_provider_strategy else { return };
        if let Some(launch_type) = &settings.launch_type {
            let message = "`launch_type` cannot be combined with `capacity_provider_strategy`";
            self.add(launch_type.span.max(strategy.span), message, "keep one of the two");
        }
        if strategy.is_empty() {
            self.add(
                strategy.span,
                "`capacity_provider_strategy` is empty",
                "add a capacity provider, or remove the key",
            );
        }
        self.too_many(strategy.span, strategy.len(), limits::STRATEGY_ITEMS_MAX, "capacity providers");
        for item in &strategy.value {
            self.strategy_item(item);
        }
        let on_fargate = strategy.iter().filter(|item| fargate::is_provider(&item.capacity_provider)).count();
        if on_fargate > 0 && on_fargate < strategy.len() {
            let message = "a strategy cannot mix Fargate with other capacity providers";
            self.add(
                strategy.span,
                message,
                "use only `FARGATE` and `FARGATE_SPOT`, or only providers of Auto Scaling groups",
            );
        }
        if !strategy.is_empty() && strategy.iter().all(|item| item.weight.unwrap_or(0) == 0) {
            let message = "no capacity provider has a weight above 0, so ECS cannot place tasks";
            self.add(strategy.span, message, "add `weight: 1` to one of them");
        }
        let bases: Vec<_> = strategy.iter().filter(|item| item.base.unwrap_or(0) > 0).collect();
        if let [_, second, ..] = bases.as_slice() {
            self.add(second.span, "only one capacity provider may have a base", "remove `base` here");
        }
    }

    fn strategy_item(&mut self, item: &Spanned<CapacityProviderStrategyItem>) {
        for (name, number, max) in [("weight", item.weight, limits::WEIGHT_MAX), ("base", item.base, limits::BASE_MAX)]
        {
            if let Some(number) = number.filter(|number| *number > max) {
                self.add(
                    item.span,
                    format!("`{name}` is {number}, but AWS allows 0 to {max}"),
                    format!("lower `{name}`"),
                );
            }
        }
    }

    fn network(&mut self, name: &Spanned<String>, settings: &TaskSettings) {
        let Some(network) = &settings.network else {
            if runs_on_fargate(settings) {
                let message = format!("the task `{}` runs on Fargate, which needs a network", name.value);
                self.add(name.span, message, "add `network: { subnets: [subnet-...] }`, here or under `defaults`");
            }
            return;
        };
        if network.subnets.is_empty() {
            self.add(network.span, "`subnets` is empty", "add 1 to 16 subnets of one VPC");
        }
        self.too_many(network.span, network.subnets.len(), limits::SUBNETS_MAX, "subnets");
        let groups = network.security_groups.as_deref().unwrap_or_default();
        self.too_many(network.span, groups.len(), limits::SECURITY_GROUPS_MAX, "security groups");
        let mistaken = |ids: &[String], prefix: &str| ids.iter().find(|id| id.starts_with(prefix)).cloned();
        match (mistaken(&network.subnets, "sg-"), mistaken(groups, "subnet-")) {
            (Some(group), Some(subnet)) => {
                let help = format!("write `subnets: [{subnet}]` and `security_groups: [{group}]`");
                self.add(network.span, "`subnets` and `security_groups` are swapped", help);
            }
            (Some(group), None) => {
                let message = format!("`{group}` is the id of a security group, but is under `subnets`");
                self.add(network.span, message, format!("write `security_groups: [{group}]`"));
            }
            (None, Some(subnet)) => {
                let message = format!("`{subnet}` is the id of a subnet, but is under `security_groups`");
                self.add(network.span, message, format!("write `subnets: [{subnet}]`"));
            }
            (None, None) => {}
        }
        for id in network.subnets.iter().chain(groups).filter(|id| id.contains([',', ' '])) {
            let ids: Vec<&str> = id.split([',', ' ']).filter(|id| !id.is_empty()).collect();
            self.add(network.span, format!("`{id}` is not one id"), format!("write `[{}]`", ids.join(", ")));
        }
    }

    fn placement(&mut self, settings: &TaskSettings) {
        if let Some(strategies) = &settings.placement_strategy {
            self.too_many(strategies.span, strategies.len(), limits::PLACEMENT_STRATEGIES_MAX, "placement strategies");
            self.not_on_fargate(settings, strategies.span, "placement_strategy");
        }
        let Some(constraints) = &settings.placement_constraints else { return };
        self.too_many(constraints.span, constraints.len(), limits::PLACEMENT_CONSTRAINTS_MAX, "placement constraints");
        self.not_on_fargate(settings, constraints.span, "placement_constraints");
        for constraint in &constraints.value {
            match (constraint.kind, &constraint.expression) {
                (PlacementConstraintType::MemberOf, None) => {
                    self.add(constraint.span, "`memberOf` needs an expression", "add `expression: ...`");
                }
                (PlacementConstraintType::DistinctInstance, Some(_)) => {
                    self.add(constraint.span, "`distinctInstance` takes no expression", "remove `expression`");
                }
                (_, Some(expression)) => {
                    let (length, max) = (expression.chars().count(), limits::EXPRESSION_CHARACTERS_MAX);
                    self.too_many(constraint.span, length, max, "characters of an expression");
                }
                _ => {}
            }
        }
    }

    /// Reports keys that are valid on Fargate only, if the launch type is another.
    fn of_fargate_only(&mut self, settings: &TaskSettings) {
        let Some(launch_type) = &settings.launch_type else { return };
        if !matches!(launch_type.value, LaunchType::Ec2 | LaunchType::External) {
            return;
        }
        let public = |network: &AwsvpcConfiguration| network.assign_public_ip == Some(AssignPublicIp::Enabled);
        let storage = settings.overrides.as_ref().and_then(|overrides| overrides.ephemeral_storage.as_ref());
        let asked = [
            ("platform_version", settings.platform_version.as_ref().map(|version| version.span)),
            ("ephemeral_storage", storage.map(|storage| storage.span)),
            (
                "assign_public_ip",
                settings.network.as_ref().filter(|network| public(network)).map(|network| network.span),
            ),
        ];
        for (key, span) in asked.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let launch_type = launch_type.as_str();
            self.add(
                span,
                format!("`{key}` is only valid on Fargate, but the launch type is {launch_type}"),
                format!("remove `{key}`"),
            );
        }
    }

    fn not_on_fargate(&mut self, settings: &TaskSettings, span: Span, key: &str) {
        if runs_on_fargate(settings) {
            self.add(
                span,
                format!("`{key}` is not valid on Fargate"),
                format!("remove `{key}`, or run the task on EC2"),
            );
        }
    }

    fn tags(&mut self, tags: Option<&Mapping<Spanned<Text>>>) {
        let Some(Mapping(tags)) = tags else { return };
        if let Some((key, _)) = tags.get(limits::TAGS_MAX) {
            self.too_many(key.span, tags.len(), limits::TAGS_MAX, "tags");
        }
        for (key, value) in tags {
            if !value.0.contains('{') {
                self.tag_characters(value.span, "value", &value.0);
            }
            self.too_many(key.span, key.chars().count(), limits::TAG_KEY_CHARACTERS_MAX, "characters of a tag's key");
            if key.is_empty() {
                self.add(key.span, "the tag has an empty key", "write a key");
            }
            self.tag_characters(key.span, "key", key);
            if key.to_ascii_lowercase().starts_with("aws:") {
                self.add(
                    key.span,
                    format!("the tag `{}` has the prefix `aws:`, which AWS reserves", key.value),
                    "rename it",
                );
            }
        }
    }

    fn tag_characters(&mut self, span: Span, part: &str, text: &str) {
        if let Some(refused) = limits::refused_in_tag(text) {
            let message = format!("a tag's {part} cannot contain `{}`", refused.escape_debug());
            self.add(span, message, "use letters, digits, spaces and `_ . : / = + - @`");
        }
    }

    fn volumes(&mut self, settings: &TaskSettings) {
        for volume in settings.volume_configurations.iter().flatten() {
            if let Some(ebs) = &volume.managed_ebs_volume {
                if ebs.size_in_gib.is_none() && ebs.snapshot_id.is_none() {
                    self.add(volume.span, "the EBS volume has no size", "add `size_in_gib` or `snapshot_id`");
                }
                if [ebs.size_in_gib, ebs.iops, ebs.throughput, ebs.volume_initialization_rate].contains(&Some(0)) {
                    self.add(
                        volume.span,
                        "the value 0 would replace EBS's default",
                        "remove the key to keep the default",
                    );
                }
            }
        }
    }

    fn overrides(&mut self, overrides: &Overrides, on_fargate: bool) {
        if let Some(storage) = &overrides.ephemeral_storage
            && !limits::EPHEMERAL_STORAGE_GIB.contains(&storage.size_in_gib)
        {
            let message = format!("`ephemeral_storage` is {} GiB, but Fargate allows 21 to 200", storage.size_in_gib);
            self.add(storage.span, message, "write a number from 21 to 200");
        }
        let sizes = [
            (&overrides.cpu, limits::cpu_units as fn(&str) -> _, "`1024` or `1 vCPU`"),
            (&overrides.memory, limits::memory_mib, "`2048` or `2 GB`"),
        ];
        for (size, quantity, examples) in sizes {
            if let Some(size) = size.as_ref().filter(|size| quantity(&size.0).is_none_or(|number| number == 0)) {
                self.add(
                    size.span,
                    format!("`{}` is not a valid size", size.0),
                    format!("write for example {examples}; a template is not allowed here"),
                );
            }
        }
        if let (true, Some(cpu), Some(memory)) = (on_fargate, &overrides.cpu, &overrides.memory) {
            self.fargate_size(cpu, memory);
        }
        let containers = overrides.container_overrides.as_deref().unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            self.container(container);
            if containers[..index].iter().any(|other| *other.name == *container.name) {
                let message = format!("the container `{}` is overridden twice", container.name.value);
                self.add(container.name.span, message, "merge both entries into one");
            }
        }
        if let Some(container) = containers.get(limits::CONTAINERS_MAX) {
            self.too_many(container.name.span, containers.len(), limits::CONTAINERS_MAX, "container overrides");
        }
    }

    fn fargate_size(&mut self, cpu: &Spanned<Text>, memory: &Spanned<Text>) {
        let size = (limits::cpu_units(&cpu.0), limits::memory_mib(&memory.0));
        match size {
            (Some(cpu_units), Some(memory_mib)) if limits::is_fargate_size(cpu_units, memory_mib) => {}
            _ => {
                let message = format!("Fargate has no task size of cpu {} and memory {}", cpu.0, memory.0);
                self.add(
                    cpu.span,
                    message,
                    "use cpu 256 with memory 512, 1024 or 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 \
                     with 4096 to 16384; 4096 with 8192 to 30720; 8192 with 16384 to 61440; 16384 with 32768 to \
                     122880",
                );
            }
        }
    }

    fn container(&mut self, container: &ContainerOverrideConfig) {
        if let Some(command) = &container.command
            && command.is_empty()
        {
            self.add(command.span, "`command` is empty", "remove it to keep the task definition's command");
        }
        if let Some(cpu) = container.cpu.as_ref().filter(|cpu| cpu.value == 0) {
            self.add(cpu.span, "`cpu: 0` would replace the task definition's value", "remove `cpu` to keep that value");
        }
        for memory in [&container.memory, &container.memory_reservation].into_iter().flatten() {
            if memory.value < limits::CONTAINER_MEMORY_MIB_MIN {
                let message = format!(
                    "{} MiB of memory, but ECS needs at least {}",
                    memory.value,
                    limits::CONTAINER_MEMORY_MIB_MIN
                );
                self.add(
                    memory.span,
                    message,
                    "write at least 4, or remove the key to keep the task definition's value",
                );
            }
        }
        for (name, _) in container.environment.iter().flat_map(|environment| &environment.0) {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.add(name.span, format!("`{}` is not a valid environment variable name", name.value), "rename it");
            }
            if name.starts_with(RESERVED_PREFIX) {
                let message = format!("the environment variable `{}` is reserved", name.value);
                self.add(
                    name.span,
                    message,
                    "rename it: ecs-trigger sets the variables with the prefix `ECS_TRIGGER_`",
                );
            }
        }
    }
}
