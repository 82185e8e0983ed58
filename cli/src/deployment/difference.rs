//! Compares the stack that the config needs with the deployed one.

use infra::{Change, Parameters, Template};
use serde_json::Value;

use super::stack::Stack;

/// A stack as the config needs it, and how it differs from the deployed one.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) name: String,
    pub(crate) template: Value,
    pub(crate) parameters: Parameters,
    pub(crate) existing: Option<Stack>,
    /// Whether no stack of this name exists that could be updated.
    pub(crate) is_new: bool,
    pub(crate) changes: Vec<Change>,
}

impl Difference {
    pub(crate) fn new(name: String, template: &Template, parameters: Parameters, existing: Option<Stack>) -> Self {
        let template = template.to_json();
        let is_new = existing.as_ref().is_none_or(Stack::is_leftover);
        let before = existing.as_ref().filter(|_| !is_new);
        let before = before.map(|stack| (&stack.template, &stack.parameters));
        let changes = infra::changes(before, (&template, &parameters));
        Self { name, template, parameters, existing, is_new, changes }
    }

    /// Returns the difference between the same deployed stack and another template with its parameters.
    pub(crate) fn with_template(&self, (template, parameters): (Value, Parameters)) -> Self {
        let existing = self.existing.as_ref().map(|stack| (&stack.template, &stack.parameters));
        let changes = infra::changes(existing, (&template, &parameters));
        Self { name: self.name.clone(), template, parameters, existing: None, is_new: self.is_new, changes }
    }
}
