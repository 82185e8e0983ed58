//! Adds the functions' roles, with the service that may assume them and what they allow.

use serde_json::{Map, Value, json};
use trigger_core::routing::RoutingConfig;

use crate::function::Function;
use crate::policy::{Statement, statements};
use crate::template::{Template, attribute, reference, sub};

/// Adds the parameter with the roles that a function passes to ECS, and the condition that it is not empty.
pub(crate) fn add_parameter(template: &mut Template, function: Function) {
    let parameter = function.roles_parameter();
    template.parameter(
        &parameter,
        json!({
            "Type": "CommaDelimitedList",
            "Default": "",
            "Description": format!("ARNs of the task and execution roles that {} passes to ECS", function.name()),
        }),
    );
    let is_empty = json!({ "Fn::Equals": [{ "Fn::Join": ["", reference(&parameter)] }, ""] });
    template.condition(&function.has_roles(), json!({ "Fn::Not": [is_empty] }));
}

/// Adds the role of a function.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig, function: Function, id: &str, logs_id: &str) {
    let write = ["logs:CreateLogStream", "logs:PutLogEvents"];
    let log = Statement::new("Log", &write, vec![attribute(logs_id, "Arn")]);
    let mut all = vec![log];
    all.extend(statements(config, function));
    let reasons: Map<String, Value> =
        all.iter().filter_map(|statement| Some((statement.sid.clone(), statement.reason?.into()))).collect();
    let attributes = match reasons.is_empty() {
        true => json!({}),
        false => json!({ "Metadata": { "WhyEveryResource": reasons } }),
    };
    let statements: Vec<Value> = all.iter().map(Statement::to_json).collect();
    template.resource_with(
        id,
        "AWS::IAM::Role",
        attributes,
        json!({
            "Description": sub(format!("Permissions of ${{AWS::StackName}}-{}", function.name())),
            "AssumeRolePolicyDocument": assumed_by("lambda.amazonaws.com", None),
            "Policies": [{
                "PolicyName": "least-privilege",
                "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
            }],
        }),
    );
}

/// Returns the trust policy of a role that a service may assume.
pub(crate) fn assumed_by(service: &str, condition: Option<Value>) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}
