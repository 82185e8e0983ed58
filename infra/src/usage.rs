//! Counts what a stack uses of AWS's limits, without asking AWS.

use crate::body::Body;
use crate::check::{Limit, measures};

/// The limits that a config can reach.
const LIMITS: [Limit; 9] = [
    Limit::Resources,
    Limit::BodyBytes,
    Limit::Rules,
    Limit::Schedules,
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

/// Returns what a body uses of the limits that it may reach.
pub fn usage(body: &Body) -> Vec<Usage> {
    let measures = measures(body);
    let usage = |limit: Limit| {
        let used = measures.iter().filter(|measure| measure.limit == limit).map(|measure| measure.actual).max();
        let (what, max, remedy) = limit.parts();
        Usage { what, used: used.unwrap_or(0), max, remedy }
    };
    LIMITS.into_iter().map(usage).collect()
}

#[cfg(test)]
mod tests;
