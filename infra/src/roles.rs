//! Adds the functions' roles, with the service that may assume them and what they allow.

use serde_json::{Map, Value, json};
use trigger_core::routing::RoutingConfig;

use crate::function::Function;
use crate::names::{ADOPTED_KEYS_PARAMETER, HAS_ADOPTED_KEYS};
use crate::policy::{OfAccount, Statement, statements};
use crate::template::{Template, attribute, reference, sub};

/// Adds the parameter with the roles that a function passes to ECS, and the condition that it is not empty.
pub(crate) fn add_parameter(template: &mut Template, function: Function) {
    let description = format!("ARNs of the task and execution roles that {} passes to ECS", function.name());
    add_list(template, &function.roles_parameter(), &function.has_roles(), &description);
}

/// Adds the parameter with the keys of what the config adopts, and the condition that it is not empty.
pub(crate) fn add_adopted_keys(template: &mut Template) {
    let description = "ARNs of the customers' KMS keys of adopted queues and of an adopted bucket";
    add_list(template, ADOPTED_KEYS_PARAMETER, HAS_ADOPTED_KEYS, description);
}

fn add_list(template: &mut Template, parameter: &str, condition: &str, description: &str) {
    let list = json!({ "Type": "CommaDelimitedList", "Default": "", "Description": description });
    template.parameter(parameter, list);
    let is_empty = json!({ "Fn::Equals": [{ "Fn::Join": ["", reference(parameter)] }, ""] });
    template.condition(condition, json!({ "Fn::Not": [is_empty] }));
}

/// The name of a role's own policy.
pub(crate) const ROLE_POLICY: &str = "least-privilege";

/// A managed policy has at most this many characters, without white space.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub(crate) const MANAGED_CHARACTERS_MAX: usize = 6_144;

/// A role's own policy is filled with at most this many characters: the rest is for permissions that a deployment adds for
/// as long as it lasts.
const INLINE_CHARACTERS_FILLED: usize = 8_192;

/// Adds the role of a function. What does not fit into its own policy goes into managed policies, whose logical ids are
/// returned.
pub(crate) fn add(
    template: &mut Template,
    config: &RoutingConfig,
    function: Function,
    id: &str,
    logs_id: &str,
    known: Option<&OfAccount>,
) -> Vec<String> {
    let write = ["logs:CreateLogStream", "logs:PutLogEvents"];
    let log = Statement::new("Log", &write, vec![attribute(logs_id, "Arn")]);
    let mut all = vec![log];
    all.extend(statements(config, function, known));
    let reasons: Map<String, Value> =
        all.iter().filter_map(|statement| Some((statement.sid.clone(), statement.reason?.into()))).collect();
    let attributes = match reasons.is_empty() {
        true => json!({}),
        false => json!({ "Metadata": { "WhyEveryResource": reasons } }),
    };
    let mut policies = policies(all).into_iter();
    let own = policies.next().unwrap_or_default();
    template.resource_with(
        id,
        "AWS::IAM::Role",
        attributes,
        json!({
            "Description": sub(format!("Permissions of ${{AWS::StackName}}-{}", function.name())),
            "AssumeRolePolicyDocument": assumed_by("lambda.amazonaws.com", None),
            "Policies": [{ "PolicyName": ROLE_POLICY, "PolicyDocument": document(&own) }],
        }),
    );
    let managed = |(position, statements): (usize, Vec<Statement>)| {
        let policy_id = format!("{}Policy{}", function.id(), position + 1);
        template.resource(
            &policy_id,
            "AWS::IAM::ManagedPolicy",
            json!({
                "Description": sub(format!("Further permissions of ${{AWS::StackName}}-{}", function.name())),
                "Roles": [reference(id)],
                "PolicyDocument": document(&statements),
            }),
        );
        policy_id
    };
    policies.enumerate().map(managed).collect()
}

fn document(statements: &[Statement]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements.iter().map(Statement::to_json).collect::<Vec<_>>() })
}

/// Distributes statements to a role's own policy and to managed policies. If they do not fit into its own, the longest lists
/// of resources are split; each part keeps the statement's name.
fn policies(mut all: Vec<Statement>) -> Vec<Vec<Statement>> {
    if characters(&document(&all)) <= INLINE_CHARACTERS_FILLED {
        return vec![all];
    }
    // The short statements stay in the role's own policy.
    all.sort_by_key(|statement| statement.resources.len());
    let mut policies: Vec<Vec<Statement>> = vec![Vec::new()];
    let mut used = characters(&document(&[]));
    for statement in all {
        let empty = statement.on(Vec::new());
        let overhead = characters(&empty.to_json()) + ",".len();
        let mut part = empty.clone();
        used += overhead;
        for resource in statement.resources {
            let max = if policies.len() == 1 { INLINE_CHARACTERS_FILLED } else { MANAGED_CHARACTERS_MAX };
            let more = characters(&resource) + ",".len();
            if used + more > max {
                let full = std::mem::replace(&mut part, empty.clone());
                if let Some(last) = policies.last_mut().filter(|_| !full.resources.is_empty()) {
                    last.push(full);
                }
                policies.push(Vec::new());
                used = characters(&document(&[])) + overhead;
            }
            used += more;
            part.resources.push(resource);
        }
        if let Some(last) = policies.last_mut() {
            last.push(part);
        }
    }
    policies
}

/// Returns how many characters a value has for IAM once CloudFormation has filled it in, which is at most this many.
fn characters(value: &Value) -> usize {
    match value {
        Value::Object(object) => match object.iter().next() {
            Some((key, Value::String(text))) if key == "Fn::Sub" => filled_in(text) + "\"\"".len(),
            Some((key, _)) if key == "Fn::GetAtt" || key == "Ref" => LONGEST_REFERENCE,
            Some((key, Value::Array(branches))) if key == "Fn::If" => branches.get(1).map_or(0, characters),
            _ => object.iter().map(|(key, value)| key.len() + "\"\":,".len() + characters(value)).sum::<usize>() + 2,
        },
        Value::Array(elements) => elements.iter().map(|element| characters(element) + ",".len()).sum::<usize>() + 2,
        plain => plain.to_string().chars().filter(|c| !c.is_whitespace()).count(),
    }
}

/// An ARN of a queue or a log group of the stack, in quotes, has at most this many characters.
const LONGEST_REFERENCE: usize = 150;

fn filled_in(text: &str) -> usize {
    // The longest partition and Region, and the longest names of a stack and a bucket.
    let longest = [
        ("${AWS::Partition}", 10),
        ("${AWS::Region}", 14),
        ("${AWS::AccountId}", 12),
        ("${AWS::StackName}", 40),
        ("${Bucket}", 63),
    ];
    let fill = |length: usize, (name, longest): (&str, usize)| {
        let found = text.matches(name).count();
        length + found * longest - found * name.len()
    };
    longest.into_iter().fold(text.len(), fill)
}

/// Returns the trust policy of a role that a service may assume.
pub(crate) fn assumed_by(service: &str, condition: Option<Value>) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}
