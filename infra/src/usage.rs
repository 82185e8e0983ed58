//! Counts what a stack uses of AWS's limits, without asking AWS.

use std::collections::BTreeMap;

use trigger_core::routing::RoutingConfig;

use crate::check::{Body, Limit, measures};
use crate::stack;
use crate::template::Template;

/// The limits that a config can reach.
const LIMITS: [Limit; 8] = [
    Limit::Resources,
    Limit::BodyBytes,
    Limit::Rules,
    Limit::PatternCharacters,
    Limit::InlinePolicyCharacters,
    Limit::ManagedPolicyCharacters,
    Limit::ManagedPolicies,
    Limit::EnvironmentBytes,
];

/// A limit of AWS, and how much of it a stack uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// What is limited.
    pub what: &'static str,
    /// How much the stack uses: for a limit of each resource, the most that one of them uses.
    pub used: usize,
    /// How much AWS allows.
    pub max: usize,
    /// What to do if the stack uses more.
    pub remedy: &'static str,
}

impl Usage {
    /// Returns whether AWS would refuse the stack.
    pub fn is_exceeded(&self) -> bool {
        self.used > self.max
    }

    /// Returns whether more than 80 % are used.
    pub fn is_near(&self) -> bool {
        self.used * 5 > self.max * 4
    }

    /// Returns how much is used, in per cent.
    pub fn percent(&self) -> usize {
        self.used * 100 / self.max
    }
}

/// Returns what a config's stack uses of the limits that it may reach, without the roles of its task definitions, which
/// only the account knows. `environment` holds the variables that the config takes values from.
pub fn usage(config: &RoutingConfig, environment: &BTreeMap<String, String>) -> Vec<Usage> {
    of_template(config, &stack(config, environment))
}

/// Returns what a template uses of the limits that it may reach.
pub(crate) fn of_template(config: &RoutingConfig, template: &Template) -> Vec<Usage> {
    let stack = config.stack.name().to_owned();
    let measures = measures(&Body { stack, template: template.to_json(), parameters: BTreeMap::new() });
    let usage = |limit: Limit| {
        let used = measures.iter().filter(|measure| measure.limit == limit).map(|measure| measure.actual).max();
        let (what, max, remedy) = limit.parts();
        Usage { what, used: used.unwrap_or(0), max, remedy }
    };
    LIMITS.into_iter().map(usage).collect()
}

#[cfg(test)]
mod tests;
