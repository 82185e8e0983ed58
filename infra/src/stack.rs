//! Assembles the stack's template. Each module adds its own resources.

use std::collections::BTreeMap;

use serde_json::json;
use trigger_core::routing::RoutingConfig;

use crate::function::{Function, functions};
use crate::names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER};
use crate::owner::Owner;
use crate::policy::TaskRoles;
use crate::storage::TABLE_OUTPUT;
use crate::template::Template;
use crate::{functions as function_resources, observability, queues, roles, rules, schedules};

/// Returns the template of a config's stack, which depends on these two arguments only. `environment` holds the
/// variables that the config takes values from; the functions get them beside their own.
///
/// The template's parameters are what only an account knows: the bucket, the keys of the functions' code in it, and for
/// each function the ARNs of the roles of the tasks that it starts.
pub fn stack(config: &RoutingConfig, environment: &BTreeMap<String, String>) -> Template {
    assembled(config, environment, None)
}

/// Does the same as [`stack`], but the roles of the tasks are in the template: CloudFormation refuses a parameter with
/// more than 4,096 characters, which some twenty task definitions with roles of their own have.
pub fn stack_with_roles(
    config: &RoutingConfig,
    environment: &BTreeMap<String, String>,
    task_roles: &TaskRoles,
) -> Template {
    assembled(config, environment, Some(task_roles))
}

fn assembled(
    config: &RoutingConfig,
    environment: &BTreeMap<String, String>,
    task_roles: Option<&TaskRoles>,
) -> Template {
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
    template.parameter(
        ARCHITECTURE_PARAMETER,
        json!({
            "Type": "String",
            "Default": "arm64",
            "AllowedValues": ["arm64", "x86_64"],
            "Description": "Architecture that the functions' code was built for",
        }),
    );
    let functions = functions(config);
    queues::add_dead_letters(&mut template);
    if let Some(storage) = config.ledger() {
        queues::add_work(&mut template);
        template.output(TABLE_OUTPUT, "Name of the table with the launches", storage.table().into());
    }
    let are_parameters = |function: &&Function| task_roles.is_none() && !function.tasks(config).is_empty();
    for function in functions.iter().filter(are_parameters) {
        roles::add_parameter(&mut template, *function);
    }
    for function in &functions {
        function_resources::add(&mut template, config, *function, environment, task_roles);
    }
    rules::add(&mut template, config);
    schedules::add(&mut template, config, &functions);
    queues::add(&mut template, config);
    observability::add(&mut template, config, &functions);
    template
}
