//! The stack: everything that starts tasks, and what watches it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trigger_core::config::RoutingConfig;
use trigger_core::event::SWEEP_INPUT;

use crate::functions::{self, Function, functions};
use crate::identifier::identifier;
use crate::policy::assumed_by;
use crate::queues::{self, rules_of_this_stack};
use crate::template::{Template, attribute, reference, sub};
use crate::{observability, rules, schedules};

/// The parameter with the name of the bucket that config and code lie in.
pub const BUCKET_PARAMETER: &str = "Bucket";
/// The parameter with the instruction set that the functions' code was built for.
pub const ARCHITECTURE_PARAMETER: &str = "Architecture";
/// The folder of configs in the bucket: each stack's lies in a folder of its own, with the files that it includes.
pub const CONFIG_FOLDER: &str = "config";
/// The config's name there.
pub const CONFIG_FILE: &str = "ecs-trigger.yaml";

/// The longest name of a rule. Source: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
const RULE_NAME_CHARACTERS_MAX: usize = 64;

/// What a rule does with an event that it cannot deliver: tries for as long as EventBridge can, then dead-letters it.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
const DELIVERY_ATTEMPTS: u32 = 185;
const DELIVERY_AGE_SECONDS: u32 = 86_400;

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
    let variables = variables(environment);
    queues::add_dead_letters(&mut template);
    for function in functions.iter().filter(|function| !function.tasks(config).is_empty()) {
        add_roles(&mut template, *function);
    }
    for function in &functions {
        functions::add(&mut template, config, *function, &variables);
    }
    add_rules(&mut template, config);
    add_schedules(&mut template, config, &functions);
    queues::add(&mut template, config);
    observability::add(&mut template, config, &functions);
    template
}

fn add_roles(template: &mut Template, function: Function) {
    let parameter = function.roles_parameter();
    template.parameter(
        &parameter,
        json!({
            "Type": "CommaDelimitedList",
            "Default": "",
            "Description": format!("The ARNs of the task and execution roles of what {} starts, which it gives to ECS", function.name()),
        }),
    );
    let is_empty = json!({ "Fn::Equals": [{ "Fn::Join": ["", reference(&parameter)] }, ""] });
    template.condition(&function.has_roles(), json!({ "Fn::Not": [is_empty] }));
}

/// Variables that Lambda itself sets, and that a function cannot be given.
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
    OWN.contains(&name) || name.starts_with("AWS_LAMBDA_") || name.starts_with('_')
}

/// What every function finds in its environment.
fn variables(environment: &BTreeMap<String, String>) -> Value {
    let mut variables: Map<String, Value> = environment
        .iter()
        .filter(|(name, _)| !is_reserved(name))
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let place = format!("s3://${{{BUCKET_PARAMETER}}}/{CONFIG_FOLDER}/${{AWS::StackName}}/{CONFIG_FILE}");
    variables.insert("ECS_TRIGGER_CONFIG".to_owned(), sub(place));
    variables.insert("ECS_TRIGGER_DEAD_LETTER_QUEUE".to_owned(), reference("DeadLetters"));
    variables.insert("ECS_TRIGGER_STACK".to_owned(), reference("AWS::StackName"));
    variables.into()
}

fn add_rules(template: &mut Template, config: &RoutingConfig) {
    let target = |function: Function| {
        json!([{
            "Id": function.name(),
            "Arn": attribute(function.id(), "Arn"),
            "RetryPolicy": { "MaximumRetryAttempts": DELIVERY_ATTEMPTS, "MaximumEventAgeInSeconds": DELIVERY_AGE_SECONDS },
            "DeadLetterConfig": { "Arn": attribute("DeadLetters", "Arn") },
        }])
    };
    let rules = rules(config);
    for rule in &rules {
        template.resource(
            &format!("Rule{}", identifier(&rule.name)),
            "AWS::Events::Rule",
            json!({
                "Name": rule_name(config.stack.name(), &rule.name),
                "Description": format!("Route {}", rule.name),
                "EventPattern": rule.event_pattern,
                "Targets": target(Function::EventTrigger),
            }),
        );
    }
    let has_lifecycle = functions(config).contains(&Function::TaskLifecycle);
    if has_lifecycle {
        template.resource(
            "TasksStopped",
            "AWS::Events::Rule",
            json!({
                // No route has a name with a dot.
                "Name": sub("${AWS::StackName}-.tasks-stopped"),
                "Description": "Tasks of ours that stopped",
                "EventPattern": rules::stopped_tasks(),
                "Targets": target(Function::TaskLifecycle),
            }),
        );
    }
    let invoked = [(!rules.is_empty(), Function::EventTrigger), (has_lifecycle, Function::TaskLifecycle)];
    for (_, function) in invoked.into_iter().filter(|(is_invoked, _)| *is_invoked) {
        template.resource(
            &format!("{}Invocation", function.id()),
            "AWS::Lambda::Permission",
            json!({
                "FunctionName": reference(function.id()),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": rules_of_this_stack(),
            }),
        );
    }
}

/// The name of a route's rule, which begins with the stack's: that is what the function and the dead-letter queue let in.
fn rule_name(stack: &str, route: &str) -> Value {
    let room = RULE_NAME_CHARACTERS_MAX - stack.len() - 1;
    match route.len() <= room {
        true => sub(format!("${{AWS::StackName}}-{route}")),
        false => {
            let id = identifier(route);
            // The end of it is the hash.
            sub(format!("${{AWS::StackName}}-{}", &id[id.len().saturating_sub(room)..]))
        }
    }
}

fn add_schedules(template: &mut Template, config: &RoutingConfig, functions: &[Function]) {
    let each_minute: Vec<(Function, &str, &str)> =
        [(Function::TaskLifecycle, "Sweep", SWEEP_INPUT), (Function::QueueScaler, "Scale", "{}")]
            .into_iter()
            .filter(|(function, ..)| functions.contains(function))
            .collect();
    let has_routes = functions.contains(&Function::ScheduleTrigger);
    if !has_routes && each_minute.is_empty() {
        return;
    }
    template.resource("Schedules", "AWS::Scheduler::ScheduleGroup", json!({ "Name": reference("AWS::StackName") }));
    let of_routes = [Function::ScheduleTrigger].into_iter().filter(|_| has_routes);
    let invoked: Vec<Value> = of_routes
        .chain(each_minute.iter().map(|(function, ..)| *function))
        .map(|function| attribute(function.id(), "Arn"))
        .collect();
    let of_this_stack = json!({
        "StringEquals": { "aws:SourceAccount": reference("AWS::AccountId") },
        "ArnEquals": { "aws:SourceArn": attribute("Schedules", "Arn") },
    });
    template.resource(
        "SchedulesRole",
        "AWS::IAM::Role",
        json!({
            "Description": sub("What the schedules of ${AWS::StackName} may do"),
            "AssumeRolePolicyDocument": assumed_by("scheduler.amazonaws.com", Some(of_this_stack)),
            "Policies": [{
                "PolicyName": "least-privilege",
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        { "Sid": "Invoke", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": invoked },
                        { "Sid": "DeadLetter", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": attribute("DeadLetters", "Arn") },
                    ],
                },
            }],
        }),
    );
    for schedule in schedules(config, "", "", "") {
        let id = format!("Schedule{}", identifier(&schedule.name));
        add_schedule(template, &id, Function::ScheduleTrigger, json!(schedule));
    }
    for (function, id, input) in each_minute {
        // A minute that could not be kept is made good by the next one.
        let schedule = json!({
            "Name": sub(format!("${{AWS::StackName}}-{}", id.to_ascii_lowercase())),
            "ScheduleExpression": "rate(1 minute)",
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "State": "ENABLED",
            "Target": { "Input": input, "RetryPolicy": { "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0 } },
        });
        add_schedule(template, id, function, schedule);
    }
}

fn add_schedule(template: &mut Template, id: &str, function: Function, mut schedule: Value) {
    schedule["GroupName"] = reference("Schedules");
    schedule["Target"]["Arn"] = attribute(function.id(), "Arn");
    schedule["Target"]["RoleArn"] = attribute("SchedulesRole", "Arn");
    if function == Function::ScheduleTrigger {
        schedule["Target"]["DeadLetterConfig"] = json!({ "Arn": attribute("DeadLetters", "Arn") });
    }
    template.resource(id, "AWS::Scheduler::Schedule", schedule);
}
