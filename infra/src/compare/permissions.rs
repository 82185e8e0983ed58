//! Compares what two templates allow.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::changes::filled_in;
use crate::body::Parameters;
use crate::references::resolves;

/// The policy that a role has only between two steps of a deployment.
const ADDED: &str = "added-by-deployment";

/// One action that a policy allows or denies on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The logical id of the resource whose policy it is.
    pub of: String,
    /// Who may do it; empty in a role's own policies, which are about the role.
    pub principal: String,
    /// `Allow` or `Deny`.
    pub effect: String,
    /// The action, for example `ecs:RunTask`.
    pub action: String,
    /// The resource's ARN, or `*`. What CloudFormation fills in is `${...}`.
    pub resource: String,
    /// The condition, or empty.
    pub condition: String,
}

/// Returns every permission of a template, in all policies of roles, queues, buckets and functions.
pub fn permissions((template, parameters): (&Value, &Parameters)) -> BTreeSet<Permission> {
    let mut found = BTreeSet::new();
    for (id, resource) in template["Resources"].as_object().into_iter().flatten() {
        let properties = &resource["Properties"];
        let mut documents = vec![&properties["AssumeRolePolicyDocument"], &properties["PolicyDocument"]];
        documents.extend(list(&properties["Policies"]).map(|policy| &policy["PolicyDocument"]));
        for statement in documents.into_iter().flat_map(|document| list(&document["Statement"])) {
            let statement = plain(statement, parameters);
            found.extend(of_statement(id, &statement));
        }
        if resource["Type"] == "AWS::Lambda::Permission" {
            let of_source = ["SourceArn", "SourceAccount"].iter().filter_map(|key| Some((*key, properties.get(key)?)));
            let condition = of_source.map(|(key, value)| format!("aws:{key} {}", text(&filled_in(value, parameters))));
            found.insert(Permission {
                of: id.clone(),
                principal: text(&properties["Principal"]),
                effect: "Allow".to_owned(),
                action: text(&properties["Action"]),
                resource: text(&filled_in(&properties["FunctionName"], parameters)),
                condition: condition.collect::<Vec<_>>().join(" and "),
            });
        }
    }
    found
}

fn of_statement(id: &str, statement: &Value) -> Vec<Permission> {
    let principal = match &statement["Principal"] {
        Value::Object(kinds) => kinds.values().flat_map(many).map(|value| text(&value)).collect::<Vec<_>>().join(", "),
        other => text(other),
    };
    // A trust policy has no resource: it is about its role.
    let of_trust = vec![Value::from(id)];
    let resources = if statement.get("Resource").is_none() { of_trust } else { many(&statement["Resource"]) };
    let mut permissions = Vec::new();
    for action in many(&statement["Action"]) {
        permissions.extend(resources.iter().map(|resource| Permission {
            of: id.to_owned(),
            principal: principal.clone(),
            effect: text(&statement["Effect"]),
            action: text(&action),
            resource: text(resource),
            condition: condition(&statement["Condition"]),
        }));
    }
    permissions
}

/// Returns a condition as text: each operator with its key and values.
fn condition(condition: &Value) -> String {
    let operators = condition.as_object().into_iter().flatten();
    let one = |(operator, keys): (&String, &Value)| {
        let keys: Vec<String> = keys
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, values)| {
                let values = many(values).iter().map(text).collect::<Vec<_>>().join(" or ");
                format!("{key} {operator} {values}")
            })
            .collect();
        keys
    };
    operators.flat_map(one).collect::<Vec<_>>().join(" and ")
}

/// Returns a value as people write it: `${Queue.Arn}` for an attribute.
fn text(value: &Value) -> String {
    let entry = value.as_object().and_then(|object| object.iter().next()).map(|(key, of)| (key.as_str(), of));
    match (entry, value) {
        (Some(("Fn::Sub", Value::String(text))), _) => text.clone(),
        (Some(("Ref", Value::String(name))), _) => format!("${{{name}}}"),
        (Some(("Fn::GetAtt", Value::Array(parts))), _) => {
            format!("${{{}}}", parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."))
        }
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => String::new(),
        (_, other) => other.to_string(),
    }
}

/// What the roles that two templates have in common may do, compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    /// The deployed template, with the permissions that only the new template gives; `None` if there are none that can
    /// be given beforehand.
    pub(super) wider: Option<Value>,
    /// Whether a permission is taken away.
    pub(super) narrows: bool,
}

/// Compares the policies of the roles that both templates have.
pub(super) fn compare(before: (&Value, &Parameters), after: (&Value, &Parameters)) -> Compared {
    let (mut wider, mut narrows): (Option<Value>, bool) = (None, false);
    let roles = before.0["Resources"].as_object().into_iter().flatten();
    for (id, _) in roles.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
        if after.0["Resources"].get(id).is_none() {
            continue;
        }
        let (old, new) = (statements(before, id), statements(after, id));
        let (allowed, wanted) = (grants(&old), grants(&new));
        narrows |= !allowed.is_subset(&wanted);
        let added: Vec<Value> = new.iter().filter_map(|statement| added(statement, &allowed, before.0)).collect();
        if !added.is_empty() {
            let wider = wider.get_or_insert_with(|| before.0.clone());
            add(&mut wider["Resources"][id]["Properties"], added);
        }
    }
    Compared { wider, narrows }
}

/// Returns the part of a statement that is not allowed yet and whose resources exist.
///
/// CloudFormation refuses a template that refers to a resource which it lacks. A permission on a resource that is only
/// created later is not missed until then.
fn added(statement: &Value, allowed: &BTreeSet<String>, deployed: &Value) -> Option<Value> {
    let is_new = |resource: &Value| {
        let one = json!({ "Action": statement["Action"], "Resource": resource, "Condition": statement["Condition"] });
        !grants(&[one]).is_subset(allowed)
    };
    let resources = many(&statement["Resource"]).into_iter();
    let resources: Vec<Value> = resources.filter(|resource| is_new(resource) && resolves(deployed, resource)).collect();
    if resources.is_empty() || !resolves(deployed, &statement["Condition"]) {
        return None;
    }
    let mut added = statement.clone();
    added["Resource"] = resources.into();
    Some(added)
}

/// Adds statements to a role, in a policy of their own.
fn add(role: &mut Value, added: Vec<Value>) {
    let mut statements = added;
    let mut policies: Vec<Value> = list(&role["Policies"]).cloned().collect();
    // A deployment that failed leaves its policy behind.
    if let Some(left) = policies.iter().position(|policy| policy["PolicyName"] == ADDED) {
        let left = policies.remove(left);
        statements.splice(..0, list(&left["PolicyDocument"]["Statement"]).cloned());
    }
    for (position, statement) in statements.iter_mut().enumerate() {
        statement["Sid"] = format!("Added{}", position + 1).into();
    }
    policies.push(json!({
        "PolicyName": ADDED,
        "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
    }));
    role["Policies"] = policies.into();
}

/// Returns the statements of a role's policies, inline and managed.
fn statements((template, parameters): (&Value, &Parameters), role: &str) -> Vec<Value> {
    let resources = template["Resources"].as_object();
    let inline = list(&template["Resources"][role]["Properties"]["Policies"]);
    let names = |policy: &&Value| list(&policy["Properties"]["Roles"]).any(|of| of["Ref"] == role);
    let kinds = ["AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"];
    let managed = resources.into_iter().flat_map(Map::values);
    let managed = managed.filter(|resource| kinds.iter().any(|kind| resource["Type"] == *kind)).filter(names);
    let documents = inline.map(|policy| &policy["PolicyDocument"]);
    let documents = documents.chain(managed.map(|policy| &policy["Properties"]["PolicyDocument"]));
    let all = documents.flat_map(|document| list(&document["Statement"]));
    // A statement on an empty list of roles allows nothing.
    let all = all.map(|statement| plain(statement, parameters));
    all.filter(|statement| statement["Resource"] != Value::Array(Vec::new())).collect()
}

/// Returns a statement with the parameters filled in, without its condition in the template. A list of roles or keys that is
/// a parameter becomes a list.
fn plain(statement: &Value, parameters: &Parameters) -> Value {
    let statement = statement.get("Fn::If").and_then(|parts| parts.get(1)).unwrap_or(statement);
    let is_parameter = statement["Resource"].get("Ref").is_some();
    let mut statement = filled_in(statement, parameters);
    let listed = statement["Resource"].as_str().filter(|_| is_parameter).map(str::to_owned);
    if let Some(listed) = listed {
        statement["Resource"] =
            listed.split(',').filter(|arn| !arn.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    statement
}

/// Returns what the statements allow, as text: each action on each resource, with its condition.
fn grants(statements: &[Value]) -> BTreeSet<String> {
    let mut grants = BTreeSet::new();
    for statement in statements {
        for action in many(&statement["Action"]) {
            let of_action = many(&statement["Resource"]).into_iter();
            grants.extend(of_action.map(|resource| format!("{action} {resource} {}", statement["Condition"])));
        }
    }
    grants
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a list's elements, or the only value.
fn many(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{ADDED, Parameters, compare, list, permissions};
    use crate::stack;

    fn template(task: &str) -> Value {
        let run = if task.contains(" u:") { "[t, u]" } else { "t" };
        let text = format!(
            "version: 1\ntasks: {{ t: {{ {task} }} }}\nroutes: [{{ name: e, on: {{ event_pattern: {{ source: [a] }} }}, run: {run} }}]\n"
        );
        let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
        stack(&config, &BTreeMap::new()).to_json()
    }

    /// Checks what is added to the function's role before the config changes, and whether anything is taken away after.
    fn check(before: &str, after: &str, roles: (&str, &str), expect: &Expect) {
        let parameters = |roles: &str| Parameters::from([("EventTriggerTaskRoles".to_owned(), roles.to_owned())]);
        let (before, after) = (template(before), template(after));
        let found = compare((&before, &parameters(roles.0)), (&after, &parameters(roles.1)));
        let added = found.wider.as_ref().map(|wider| {
            let policies = list(&wider["Resources"]["EventTriggerRole"]["Properties"]["Policies"]);
            let policy = policies.last().filter(|policy| policy["PolicyName"] == ADDED).expect("is the last one");
            let added = list(&policy["PolicyDocument"]["Statement"]);
            added.map(|statement| format!("+ {} {}\n", statement["Action"], statement["Resource"])).collect::<String>()
        });
        expect.assert_eq(&format!("{}narrows: {}\n", added.unwrap_or_default(), found.narrows));
    }

    #[test]
    fn nothing_is_added_or_taken_back_where_all_is_equal() {
        check(
            "task_definition: a",
            "task_definition: a, count: 2",
            ("r", "r"),
            &expect![[r#"
            narrows: false
        "#]],
        );
    }

    #[test]
    fn another_task_definition_is_allowed_before_the_first_is_forbidden() {
        check(
            "task_definition: a",
            "task_definition: b",
            ("arn:r", "arn:r"),
            &expect![[r#"
            + "ecs:RunTask" [{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/b:*"}]
            narrows: true
        "#]],
        );
    }

    #[test]
    fn only_the_role_that_is_new_is_added() {
        check(
            "task_definition: a",
            "task_definition: a",
            ("arn:r", "arn:r,arn:s"),
            &expect![[r#"
            + "iam:PassRole" ["arn:s"]
            narrows: false
        "#]],
        );
    }

    #[test]
    fn only_the_task_definition_that_is_new_is_added() {
        let two = "task_definition: a }, u: { task_definition: b";
        check(
            "task_definition: a",
            two,
            ("arn:r", "arn:r"),
            &expect![[r#"
            + "ecs:RunTask" [{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/b:*"}]
            narrows: false
        "#]],
        );
    }

    #[test]
    fn what_is_new_takes_nothing_back() {
        check(
            "task_definition: a",
            "task_definition: a, tags: { k: v }",
            ("", ""),
            &expect![[r#"
            + "ecs:TagResource" [{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/default/*"}]
            narrows: false
        "#]],
        );
    }

    #[test]
    fn a_permission_on_a_resource_that_is_not_there_yet_waits_for_it() {
        let role = |resources: Value| {
            let document = json!({ "Statement": [{ "Sid": "A", "Action": "sqs:SendMessage", "Resource": resources }] });
            json!({ "Type": "AWS::IAM::Role", "Properties": { "Policies": [{ "PolicyName": "p", "PolicyDocument": document }] } })
        };
        let of = |id: &str| json!({ "Fn::GetAtt": [id, "Arn"] });
        let before = json!({ "Resources": { "R": role(json!(["arn:a"])), "Q": { "Type": "AWS::SQS::Queue" } } });
        let after = |resources: Value| json!({ "Resources": { "R": role(resources) } });
        let parameters = Parameters::new();
        let added = |resources: Value| {
            let wider = compare((&before, &parameters), (&after(resources), &parameters)).wider?;
            Some(
                wider["Resources"]["R"]["Properties"]["Policies"][1]["PolicyDocument"]["Statement"][0]["Resource"]
                    .clone(),
            )
        };
        assert_eq!(added(json!(["arn:a", of("New")])), None);
        assert_eq!(added(json!(["arn:a", of("Q"), of("New"), "arn:b"])), Some(json!([of("Q"), "arn:b"])));
    }

    #[test]
    fn what_a_failed_deployment_added_is_kept_until_the_next_one_succeeds() {
        let (a, b, c) =
            (template("task_definition: a"), template("task_definition: b"), template("task_definition: c"));
        let parameters = Parameters::from([("EventTriggerTaskRoles".to_owned(), "arn:r".to_owned())]);
        let wider = compare((&a, &parameters), (&b, &parameters)).wider.expect("something is added");
        let wider = compare((&wider, &parameters), (&c, &parameters)).wider.expect("something is added");
        let policies = &wider["Resources"]["EventTriggerRole"]["Properties"]["Policies"];
        let names: Vec<&Value> = list(policies).map(|policy| &policy["PolicyName"]).collect();
        assert_eq!(names, ["least-privilege", ADDED]);
        let statements = list(&policies[1]["PolicyDocument"]["Statement"]);
        let named: Vec<(&Value, bool)> = statements
            .map(|statement| (&statement["Sid"], statement["Resource"].to_string().contains("/b:*")))
            .collect();
        assert_eq!(named, [(&json!("Added1"), true), (&json!("Added2"), false)]);
    }

    #[test]
    fn permissions_are_listed_by_action_and_resource_whatever_their_statements_are_called() {
        let template = template("task_definition: a");
        let parameters = Parameters::from([("EventTriggerTaskRoles".to_owned(), "arn:r,arn:s".to_owned())]);
        let lines = permissions((&template, &parameters)).into_iter().map(|permission| {
            let super::Permission { of, principal, effect, action, resource, condition } = permission;
            format!("{of} | {principal} | {effect} | {action} | {resource} | {condition}\n")
        });
        expect![[r#"
            DeadLettersPolicy | * | Deny | sqs:* | ${DeadLetters.Arn} | aws:SecureTransport Bool false
            DeadLettersPolicy | events.amazonaws.com | Allow | sqs:SendMessage | ${DeadLetters.Arn} | aws:SourceArn ArnLike arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}.*
            EventTriggerInvocation | events.amazonaws.com | Allow | lambda:InvokeFunction | ${EventTrigger} | aws:SourceArn arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}.*
            EventTriggerRole |  | Allow | ecs:RunTask | arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/a:* | ecs:cluster ArnEquals arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:cluster/default
            EventTriggerRole |  | Allow | iam:PassRole | arn:r | iam:PassedToService StringEquals ecs-tasks.amazonaws.com
            EventTriggerRole |  | Allow | iam:PassRole | arn:s | iam:PassedToService StringEquals ecs-tasks.amazonaws.com
            EventTriggerRole |  | Allow | logs:CreateLogStream | ${EventTriggerLogs.Arn} | 
            EventTriggerRole |  | Allow | logs:PutLogEvents | ${EventTriggerLogs.Arn} | 
            EventTriggerRole |  | Allow | s3:GetObject | arn:${AWS::Partition}:s3:::${Bucket}/config/${AWS::StackName}/* | 
            EventTriggerRole |  | Allow | sqs:SendMessage | ${DeadLetters.Arn} | 
            EventTriggerRole | lambda.amazonaws.com | Allow | sts:AssumeRole | EventTriggerRole | 
        "#]].assert_eq(&lines.collect::<String>());
    }
}
