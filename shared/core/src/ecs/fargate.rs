//! Whether a task runs on Fargate.

use super::{CapacityProviderStrategyItem, LaunchType};

/// Whether a task runs on Fargate, as far as its request shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFargate {
    /// All tasks run on Fargate.
    Yes,
    /// At least some tasks run elsewhere: on container instances, external instances or Managed Instances.
    No,
    /// The request names no capacity, so the cluster's default strategy decides.
    Unknown,
}

impl OnFargate {
    /// Returns where a request with this launch type and strategy runs. ECS accepts at most one of the two.
    pub fn new(launch_type: Option<LaunchType>, strategy: &[CapacityProviderStrategyItem]) -> Self {
        match launch_type {
            Some(LaunchType::Fargate) => Self::Yes,
            Some(LaunchType::Ec2 | LaunchType::External | LaunchType::ManagedInstances) => Self::No,
            None if strategy.is_empty() => Self::Unknown,
            None if strategy.iter().all(|item| is_provider(&item.capacity_provider)) => Self::Yes,
            None => Self::No,
        }
    }
}

/// Returns whether a capacity provider is one of Fargate's own.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>
pub fn is_provider(name: &str) -> bool {
    matches!(name, "FARGATE" | "FARGATE_SPOT")
}

#[cfg(test)]
mod tests {
    use super::OnFargate;
    use crate::ecs::{CapacityProviderStrategyItem, LaunchType};

    #[test]
    fn a_request_runs_on_fargate_only_if_all_of_its_capacity_does() {
        let strategy = |names: &[&str]| -> Vec<CapacityProviderStrategyItem> {
            let item = |name: &&str| CapacityProviderStrategyItem {
                capacity_provider: (*name).to_owned(),
                weight: None,
                base: None,
            };
            names.iter().map(item).collect()
        };
        for (launch_type, providers, expected) in [
            (None, &[][..], OnFargate::Unknown),
            (None, &["FARGATE"], OnFargate::Yes),
            (None, &["FARGATE", "FARGATE_SPOT"], OnFargate::Yes),
            (None, &["FARGATE", "own"], OnFargate::No),
            (None, &["FARGATE_LIKE"], OnFargate::No),
            (Some(LaunchType::Fargate), &[], OnFargate::Yes),
            (Some(LaunchType::Ec2), &[], OnFargate::No),
            (Some(LaunchType::ManagedInstances), &[], OnFargate::No),
        ] {
            assert_eq!(OnFargate::new(launch_type, &strategy(providers)), expected, "{launch_type:?} {providers:?}");
        }
    }
}
