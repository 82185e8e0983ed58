//! Adds the functions to the stack, each with its role, log group, environment and retries.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trigger_core::config::stack::LogClass;
use trigger_core::environment;
use trigger_core::routing::RoutingConfig;

use crate::function::Function;
use crate::names::{ARCHITECTURE_PARAMETER, BUCKET_PARAMETER, CONFIG_FILE, config_key};
use crate::policy::OfAccount;
use crate::queues::WORK_ID;
use crate::roles;
use crate::template::{Template, attribute, reference, sub};

/// Lambda retries an asynchronous invocation this many times, and for this many seconds: the maximum of both.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>
const RETRIES: u32 = 2;
const EVENT_AGE_SECONDS: u32 = 21_600;

/// Adds a function with its role, its log group, its retries and its failure destination.
pub(crate) fn add(
    template: &mut Template,
    config: &RoutingConfig,
    function: Function,
    environment: &BTreeMap<String, String>,
    known: Option<&OfAccount>,
) {
    let id = function.id();
    let role_id = format!("{id}Role");
    let (logs_id, logs_name) = function.log_group(&config.stack);
    template.parameter(
        &function.code_parameter(),
        json!({
            "Type": "String",
            "Description": format!("Key in the bucket of the archive that holds {} as `bootstrap`", function.name()),
        }),
    );
    let mut logs = json!({
        "LogGroupName": sub(format!("/aws/lambda/${{AWS::StackName}}-{logs_name}")),
        "RetentionInDays": config.stack.log_retention_days.as_ref().map_or(30, |days| days.value),
    });
    let has_another_group = config.stack.log_class() != LogClass::Standard;
    if has_another_group {
        logs["LogGroupClass"] = config.stack.log_class().as_str().into();
    }
    let deleted = json!({ "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete" });
    template.resource_with(&logs_id, "AWS::Logs::LogGroup", deleted, logs);
    let mut needed = roles::add(template, config, function, &role_id, &logs_id, known);
    let mut properties = json!({
        "FunctionName": function.deployed_name(),
        "Description": function.description(),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Architectures": [reference(ARCHITECTURE_PARAMETER)],
        "MemorySize": function.memory(config),
        "Timeout": function.timeout_seconds(),
        "Role": attribute(&role_id, "Arn"),
        "Code": { "S3Bucket": reference(BUCKET_PARAMETER), "S3Key": reference(&function.code_parameter()) },
        "Environment": { "Variables": variables(config, function, environment) },
    });
    if has_another_group {
        properties["LoggingConfig"] = json!({ "LogGroup": reference(&logs_id) });
    } else {
        // Lambda would create the group that it uses by default.
        needed.insert(0, logs_id);
    }
    let depends = if needed.is_empty() { json!({}) } else { json!({ "DependsOn": needed }) };
    if config.stack.tracing == Some(true) {
        properties["TracingConfig"] = json!({ "Mode": "Active" });
    }
    template.resource_with(id, "AWS::Lambda::Function", depends, properties);
    if function.is_asynchronous() {
        let mut invoke = json!({
            "FunctionName": reference(id),
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": RETRIES,
            "MaximumEventAgeInSeconds": EVENT_AGE_SECONDS,
            "DestinationConfig": { "OnFailure": { "Destination": attribute("DeadLetters", "Arn") } },
        });
        // No dead letters: a failed invocation loses no event, and the next one, a minute later, makes up for it.
        if matches!(function, Function::QueueScaler | Function::TaskLifecycle) {
            invoke.as_object_mut().map(|invoke| invoke.remove("DestinationConfig"));
        }
        if function == Function::QueueScaler {
            invoke["MaximumRetryAttempts"] = 0.into();
            invoke["MaximumEventAgeInSeconds"] = 60.into();
        }
        template.resource(&format!("{id}Retries"), "AWS::Lambda::EventInvokeConfig", invoke);
    }
}

/// Returns whether Lambda itself sets a variable and refuses it in a function's configuration.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn is_reserved(name: &str) -> bool {
    const OWN: [&str; 8] = [
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_EXECUTION_ENV",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ];
    OWN.contains(&name) || name.starts_with("AWS_LAMBDA_")
}

/// Returns the environment variables of a function.
fn variables(config: &RoutingConfig, function: Function, of_config: &BTreeMap<String, String>) -> Value {
    let mut variables: Map<String, Value> = of_config
        .iter()
        .filter(|(name, _)| !is_reserved(name))
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let place = format!("s3://${{{BUCKET_PARAMETER}}}/{}", config_key("${AWS::StackName}", CONFIG_FILE));
    variables.insert(environment::CONFIG.to_owned(), sub(place));
    variables.insert(environment::DEAD_LETTER_QUEUE.to_owned(), reference("DeadLetters"));
    variables.insert(environment::STACK.to_owned(), reference("AWS::StackName"));
    if let Some(storage) = config.ledger().filter(|_| function.keeps_launches()) {
        variables.insert(environment::TABLE.to_owned(), storage.table().into());
        variables.insert(environment::WORK_QUEUE.to_owned(), reference(WORK_ID));
    }
    variables.into()
}
