//! Compares the stack that the config needs with the deployed one.

use std::collections::BTreeMap;

use infra::{Body, Change, Owner, Parameters, Permission};
use serde_json::Value;

use super::stack::Stack;

/// A stack as the config needs it, and how it differs from the deployed one.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) body: Body,
    pub(crate) owner: Owner,
    pub(crate) existing: Option<Stack>,
    /// The tags that others gave the deployed stack.
    tags_of_others: BTreeMap<String, String>,
    /// Whether no stack of this name exists that could be updated.
    pub(crate) is_new: bool,
    pub(crate) changes: Vec<Change>,
}

impl Difference {
    pub(crate) fn new(body: Body, owner: Owner, existing: Option<Stack>) -> Self {
        let is_new = existing.as_ref().is_none_or(Stack::is_leftover);
        let tags_of_others = existing.as_ref().map(Stack::tags_of_others).unwrap_or_default();
        let mut difference = Self { body, owner, existing, tags_of_others, is_new, changes: Vec::new() };
        difference.changes =
            infra::changes(difference.deployed(), (&difference.body.template, &difference.body.parameters));
        difference
    }

    /// Returns the deployed template with its parameters, unless the stack is new.
    pub(crate) fn deployed(&self) -> Option<(&Value, &Parameters)> {
        let existing = self.existing.as_ref().filter(|_| !self.is_new)?;
        Some((&existing.template, &existing.parameters))
    }

    /// Returns the difference between the same deployed stack and another body.
    pub(crate) fn with_body(&self, body: Body) -> Self {
        let changes = infra::changes(self.deployed(), (&body.template, &body.parameters));
        let (owner, tags_of_others) = (self.owner.clone(), self.tags_of_others.clone());
        Self { body, owner, existing: None, tags_of_others, is_new: self.is_new, changes }
    }

    /// Returns the tags that the stack must have, or nothing if they do not change. CloudFormation gives them to each
    /// resource that can have tags, and removes those that are left out.
    pub(crate) fn tags(&self) -> Option<BTreeMap<String, String>> {
        let own = infra::tags(&self.body.template);
        let is_tagged = self.deployed().is_some_and(|(template, _)| !infra::tags(template).is_empty());
        (is_tagged || !own.is_empty()).then(|| self.tags_of_others.clone().into_iter().chain(own).collect())
    }

    /// Returns the permissions that would be added, and those that would be removed.
    pub(crate) fn permissions(&self) -> (Vec<Permission>, Vec<Permission>) {
        let before = self.deployed().map(infra::permissions).unwrap_or_default();
        let after = infra::permissions((&self.body.template, &self.body.parameters));
        let only = |in_one: &std::collections::BTreeSet<Permission>,
                    not_in: &std::collections::BTreeSet<Permission>| {
            in_one.difference(not_in).cloned().collect()
        };
        (only(&after, &before), only(&before, &after))
    }
}
