//! Plans the steps of a deployment.

use serde_json::Value;

use super::changes::{Parameters, brings_events};
use super::permissions::compare;
use crate::check::Body;

/// A step of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Gives the deployed functions the permissions that the new config needs, as far as the resources exist that they
    /// are about. Nothing else changes.
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
/// A function must never use a config that its role does not allow, and no event may arrive that its config does not
/// know. One change set cannot do that: the config has to change after permissions were added, and before sources of
/// events are added or permissions are removed.
pub fn steps(before: Option<(&Value, &Parameters)>, after: Body) -> Vec<Step> {
    let Some(before) = before else { return vec![Step::UploadConfig, Step::Change(after)] };
    let new = (&after.template, &after.parameters);
    let compared = compare(before, new);
    if !compared.narrows && !brings_events(before, new) {
        return vec![Step::Change(after), Step::UploadConfig];
    }
    let mut steps = Vec::new();
    if let Some(template) = compared.wider {
        steps.push(Step::Widen(Body { stack: after.stack.clone(), template, parameters: before.1.clone() }));
    }
    steps.push(Step::UploadConfig);
    steps.extend(compared.narrows.then_some(Step::AwaitConfig));
    steps.push(Step::Change(after));
    steps
}

#[cfg(test)]
mod tests;
