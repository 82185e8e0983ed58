//! Plans the steps of a deployment.

use serde_json::Value;

use super::changes::brings_events;
use super::permissions::compare;
use super::variables::with_variables;
use crate::body::{Body, Parameters};

/// A step of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Gives the deployed functions the variables that the new config needs, with the resources that these name, and
    /// the permissions on what exists. Nothing else changes.
    Widen(Body),
    /// Uploads the config, which is in force from then on.
    UploadConfig,
    /// Waits until no function uses the old config any more.
    AwaitConfig,
    /// Changes the stack to what the config needs.
    Change(Body),
}

impl Step {
    /// Returns what the step sends to CloudFormation.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Self::Widen(body) | Self::Change(body) => Some(body),
            Self::UploadConfig | Self::AwaitConfig => None,
        }
    }
}

/// Returns the steps from the deployed template, if the stack exists, to the new one.
///
/// A function must never use a config that its role does not allow or for which it lacks a variable, and no event may
/// arrive that its config does not know. One change set cannot do that: the config has to change after variables and
/// permissions were added, and before sources of events are added or permissions are removed.
pub fn steps(before: Option<(&Value, &Parameters)>, after: Body) -> Vec<Step> {
    let Some(before) = before else { return vec![Step::UploadConfig, Step::Change(after)] };
    let new = (&after.template, &after.parameters);
    let prepared = with_variables(before.0, new.0);
    let compared = compare((&prepared, before.1), new);
    if !compared.narrows && !brings_events(before, new) {
        return vec![Step::Change(after), Step::UploadConfig];
    }
    let mut steps = Vec::new();
    let is_prepared = prepared == *before.0;
    if let Some(template) = compared.wider.or_else(|| (!is_prepared).then_some(prepared)) {
        steps.push(Step::Widen(Body { stack: after.stack.clone(), template, parameters: before.1.clone() }));
    }
    steps.push(Step::UploadConfig);
    steps.extend(compared.narrows.then_some(Step::AwaitConfig));
    steps.push(Step::Change(after));
    steps
}

#[cfg(test)]
mod tests;
