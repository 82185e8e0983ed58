//! What is sent to CloudFormation.

use std::collections::BTreeMap;

use serde_json::Value;
use trigger_core::routing::RoutingConfig;

use crate::template::Template;

/// The values of a template's parameters, by name.
pub type Parameters = BTreeMap<String, String>;

/// What a change set is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The stack's name.
    pub stack: String,
    /// The template.
    pub template: Value,
    /// The values of the template's parameters. Empty if they are not known yet.
    pub parameters: Parameters,
}

impl Body {
    /// Returns the body of a template of one of a config's stacks, as far as it is known without an account: without
    /// parameters.
    pub fn new(config: &RoutingConfig, template: &Template) -> Self {
        Self { stack: config.stack.name().to_owned(), template: template.to_json(), parameters: Parameters::new() }
    }
}
