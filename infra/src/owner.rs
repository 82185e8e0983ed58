//! Says in a stack's template which config the stack belongs to.

use std::fmt;

use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;

/// The key of what ecs-trigger says in a template's metadata.
pub(crate) const KEY: &str = "EcsTrigger";

/// The config that a stack belongs to, and which of the config's two stacks it is. A stack without an owner is not
/// ecs-trigger's, and must not be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    config: String,
    holds: String,
}

impl Owner {
    /// Returns the owner of the stack with a config's functions.
    pub fn of_functions(config: &RoutingConfig) -> Self {
        Self { config: config.stack.name().to_owned(), holds: "functions".to_owned() }
    }

    /// Returns the owner of the stack with a config's bucket and table.
    pub fn of_storage(config: &RoutingConfig) -> Self {
        Self { config: config.stack.name().to_owned(), holds: "storage".to_owned() }
    }

    /// Returns the owner that a template names.
    pub fn read(template: &Value) -> Option<Self> {
        let text = |name: &str| template["Metadata"][KEY][name].as_str().map(str::to_owned);
        Some(Self { config: text("Config")?, holds: text("Holds")? })
    }

    /// Returns a template's metadata.
    pub(crate) fn to_json(&self) -> Value {
        json!({ KEY: { "Config": self.config, "Holds": self.holds } })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of the config `{}`", self.holds, self.config)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::Owner;
    use crate::{stack, storage};

    #[test]
    fn each_template_names_its_config_and_what_it_holds() {
        let named = |name: &str| {
            let text = format!("version: 1\nstack: {{ name: {name} }}\ntasks: {{}}\nroutes: []\n");
            RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid")
        };
        let (own, other) = (named("a-storage"), named("a"));
        let functions = Owner::read(&stack(&own, &BTreeMap::new()).to_json());
        assert_eq!(functions, Some(Owner::of_functions(&own)));
        let storage = storage(&other).and_then(|template| Owner::read(&template.to_json()));
        assert_eq!(storage, Some(Owner::of_storage(&other)));
        assert_ne!(functions, storage, "two stacks that have the same name by chance are told apart");
        assert_eq!(Owner::read(&json!({ "Resources": {}, "Metadata": { "EcsTrigger": "x" } })), None);
    }
}
