//! Assembles the stack's template. Each module adds its own resources.

use std::collections::BTreeMap;

use serde_json::json;
use trigger_core::routing::RoutingConfig;

use crate::function::{Function, functions};
use crate::names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER};
use crate::owner::Owner;
use crate::policy::{OfAccount, may_need_adopted_keys};
use crate::storage::{self, BUCKET_OUTPUT, TABLE_OUTPUT};
use crate::template::{Template, reference};
use crate::{functions as function_resources, observability, queues, roles, rules, schedules, settings};

/// Returns the template of a config's stack, which depends on these two arguments only. `environment` holds the
/// variables that the config takes values from; the functions get them beside their own.
///
/// The template's parameters are what only an account knows: the bucket, the keys of the functions' code in it, and for
/// each function the ARNs of the roles of the tasks that it starts, and the keys of adopted queues and an adopted bucket.
pub fn stack(config: &RoutingConfig, environment: &BTreeMap<String, String>) -> Template {
    assembled(config, environment, None)
}

/// Does the same as [`stack`], but what the account knows is in the template: CloudFormation refuses a parameter with
/// more than 4,096 characters, which the roles of some twenty task definitions have.
pub fn stack_of_account(config: &RoutingConfig, environment: &BTreeMap<String, String>, known: &OfAccount) -> Template {
    assembled(config, environment, Some(known))
}

/// Returns the template of the storage stack, or nothing if the bucket is adopted and there is no ledger. The stack
/// must exist before the functions, whose code it holds, and outlives them with the records of what happened.
pub fn storage(config: &RoutingConfig) -> Option<Template> {
    let mut template = storage::storage(config)?;
    settings::apply(&mut template, config);
    Some(template)
}

fn assembled(config: &RoutingConfig, environment: &BTreeMap<String, String>, known: Option<&OfAccount>) -> Template {
    let mut template = Template::new(
        "ecs-trigger: starts ECS tasks when something happens; generated from the routing config",
        &Owner::of_functions(config),
    );
    let mut bucket = json!({
        "Type": "String",
        "Description": "Bucket with the config, payloads and the functions' code",
    });
    if let Some(storage) = &config.storage {
        bucket["Default"] = storage.bucket.0.as_str().into();
    }
    template.parameter(BUCKET_PARAMETER, bucket);
    let functions = functions(config);
    if functions.is_empty() {
        // Nothing else uses the parameter, by which the next deployment finds the bucket.
        template.output(BUCKET_OUTPUT, "Bucket with the config", reference(BUCKET_PARAMETER));
    } else {
        template.parameter(
            ARCHITECTURE_PARAMETER,
            json!({
                "Type": "String",
                "Default": "arm64",
                "AllowedValues": ["arm64", "x86_64"],
                "Description": "Architecture that the functions' code was built for",
            }),
        );
    }
    queues::add_dead_letters(&mut template);
    if let Some(storage) = config.ledger() {
        queues::add_work(&mut template);
        template.output(TABLE_OUTPUT, "Name of the table with the launches", storage.table().into());
    }
    let are_parameters = |function: &&Function| known.is_none() && !function.tasks(config).is_empty();
    for function in functions.iter().filter(are_parameters) {
        roles::add_parameter(&mut template, *function);
    }
    if known.is_none() && may_need_adopted_keys(config, &functions) {
        roles::add_adopted_keys(&mut template);
    }
    for function in &functions {
        function_resources::add(&mut template, config, *function, environment, known);
    }
    rules::add(&mut template, config);
    schedules::add(&mut template, config, &functions);
    queues::add(&mut template, config);
    observability::add(&mut template, config, &functions);
    settings::apply(&mut template, config);
    template
}
