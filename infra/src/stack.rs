//! The stack: everything that starts tasks, and what watches it. This file only assembles; each part adds its own resources.

use std::collections::BTreeMap;

use serde_json::json;
use trigger_core::routing::RoutingConfig;

use crate::function::functions;
use crate::names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER};
use crate::template::Template;
use crate::{functions as function_resources, observability, queues, roles, rules, schedules};

/// The template of a config's stack, a pure function of both arguments. `environment` is what its functions find in their environment
/// besides what they need: the variables that the config takes values from.
///
/// Its parameters are what only an account can tell: the bucket, the keys of the functions' code in it, and for each function the ARNs of
/// the roles of what it starts.
pub fn stack(config: &RoutingConfig, environment: &BTreeMap<String, String>) -> Template {
    let mut template =
        Template::new("ecs-trigger: starts ECS tasks when something happens; generated from its routing config");
    let mut bucket = json!({
        "Type": "String",
        "Description": "The bucket that the config, the ledger and the functions' code lie in",
    });
    if let Some(storage) = &config.storage {
        bucket["Default"] = storage.bucket.0.as_str().into();
    }
    template.parameter(BUCKET_PARAMETER, bucket);
    template.parameter(
        ARCHITECTURE_PARAMETER,
        json!({
            "Type": "String",
            "Default": "arm64",
            "AllowedValues": ["arm64", "x86_64"],
            "Description": "What the functions' code was built for",
        }),
    );
    let functions = functions(config);
    let variables = function_resources::variables(environment);
    queues::add_dead_letters(&mut template);
    for function in functions.iter().filter(|function| !function.tasks(config).is_empty()) {
        roles::add_parameter(&mut template, *function);
    }
    for function in &functions {
        function_resources::add(&mut template, config, *function, &variables);
    }
    rules::add(&mut template, config);
    schedules::add(&mut template, config, &functions);
    queues::add(&mut template, config);
    observability::add(&mut template, config, &functions);
    template
}
