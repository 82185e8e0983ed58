//! The checks by which ECS refuses a RunTask call.

use trigger_core::ecs::{LaunchType, TaskRequest};
use trigger_core::launch::Reply;

use super::{Ecs, error};

/// The parts of a task definition that RunTask calls are checked against.
#[derive(Debug, Clone)]
pub struct TaskDefinition {
    /// The containers' names.
    pub containers: Vec<String>,
    /// Whether the network mode is `awsvpc`.
    pub awsvpc: bool,
}

impl Ecs {
    pub(super) fn check(&self, request: &TaskRequest) -> Result<(), Reply> {
        let invalid = |message: &str| Err(error("InvalidParameterException", message));
        let cluster = request.cluster.as_deref().unwrap_or("default");
        if !self.clusters.is_empty() && !self.clusters.iter().any(|known| known == cluster) {
            return Err(error("ClusterNotFoundException", "Cluster not found."));
        }
        if !(1..=10).contains(&request.count.unwrap_or(1)) {
            return invalid("Count should be between 1 and 10");
        }
        let token = &request.client_token;
        if token.len() > 64 || !token.bytes().all(|byte| (33..=126).contains(&byte)) {
            return invalid("The client token is invalid");
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
        if request.started_by.len() > 128 || !request.started_by.chars().all(is_legal) {
            return invalid("startedBy is invalid");
        }
        let overrides = serde_json::to_string(&request.overrides).unwrap_or_default();
        if overrides.chars().count() > 8192 {
            return invalid("Container Overrides length must be at most 8192");
        }
        if request.launch_type.is_some() && !request.capacity_provider_strategy.is_empty() {
            return invalid("You cannot specify both a launch type and a capacity provider strategy");
        }
        let strategy = &request.capacity_provider_strategy;
        if !strategy.is_empty() && strategy.iter().all(|item| item.weight.unwrap_or(0) == 0) {
            return invalid("At least one capacity provider must have a weight greater than 0");
        }
        let on_fargate = request.launch_type == Some(LaunchType::Fargate)
            || strategy.iter().any(|item| item.capacity_provider.starts_with("FARGATE"));
        let definition = self.task_definitions.get(request.family());
        if definition.is_none() && !self.task_definitions.is_empty() {
            return Err(error("ClientException", "TaskDefinition not found."));
        }
        let needs_network = on_fargate || definition.is_some_and(|definition| definition.awsvpc);
        if needs_network && request.network_configuration.is_none() {
            return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
        }
        if let Some(definition) = definition.filter(|definition| !definition.awsvpc && !on_fargate)
            && request.network_configuration.is_some()
        {
            let _ = definition;
            return invalid("Network Configuration is not valid for the given networkMode of this task definition.");
        }
        let unknown = definition.and_then(|definition| {
            let overridden = &request.overrides.container_overrides;
            overridden.iter().find(|container| !definition.containers.contains(&container.name))
        });
        match unknown {
            Some(container) => invalid(&format!(
                "Override for container named {} is not a container in the TaskDefinition.",
                container.name
            )),
            None => Ok(()),
        }
    }
}
