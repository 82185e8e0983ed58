//! A deployed CloudFormation stack.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::StackStatus;
use infra::Parameters;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) status: StackStatus,
    /// The template, or null if it is neither JSON nor the YAML that `synth` prints.
    pub(crate) template: Value,
    pub(crate) parameters: Parameters,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The resources' physical ids, by logical id.
    pub(crate) physical_ids: BTreeMap<String, String>,
    /// The URLs of the stack's queues, by logical id.
    pub(crate) queues: BTreeMap<String, String>,
}

impl Stack {
    /// Returns the stack's tags that its config did not give it. They stay.
    pub(crate) fn tags_of_others(&self) -> BTreeMap<String, String> {
        let own = infra::tags(&self.template);
        self.tags
            .iter()
            .filter(|(key, _)| !own.contains_key(*key))
            .map(|(key, tag)| (key.clone(), tag.clone()))
            .collect()
    }

    /// Returns the value of a variable of the functions.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        variable(&self.template, name)
    }

    /// Returns whether the stack is only what a failed first deployment left.
    pub(crate) fn is_leftover(&self) -> bool {
        use StackStatus::{CreateFailed, DeleteFailed, ReviewInProgress, RollbackComplete, RollbackFailed};
        matches!(self.status, ReviewInProgress | RollbackComplete | CreateFailed | RollbackFailed | DeleteFailed)
    }

    /// Returns the URL of a queue whose messages must not be lost: of each but the stack's own queues for work, which
    /// only name launches.
    pub(crate) fn queue(&self, id: &str) -> Option<&str> {
        self.queues.get(id).filter(|_| !infra::WORK_QUEUES.contains(&id)).map(String::as_str)
    }

    /// Returns the URLs of all queues whose messages must not be lost.
    pub(crate) fn all_queues(&self) -> Vec<&str> {
        self.queues.keys().filter_map(|id| self.queue(id)).collect()
    }
}

/// Returns the value that a template gives a variable of its functions.
pub(super) fn variable(template: &Value, name: &str) -> Option<String> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    let mut variables = resources.map(|(_, resource)| &resource["Properties"]["Environment"]["Variables"]);
    variables.find_map(|variables| variables[name].as_str().map(str::to_owned))
}
