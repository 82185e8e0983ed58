//! Checks offline what is sent to CloudFormation against what AWS refuses.
//!
//! An emulator accepts most of it, and AWS refuses some of it only after half of a stack has changed. So `deploy` checks
//! each body before it sends it, and `validate` and `synth` check the template of the config.

mod limits;
mod references;
mod services;
mod values;

use std::fmt;

use crate::body::Body;
pub use limits::{Limit, Measure, measures};
#[cfg(test)]
pub(crate) use values::names;

/// A part of a body that AWS would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The logical id of the resource, or the name of the section that is at fault.
    pub id: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It refers to a parameter, resource or condition that the template lacks.
    Unresolved(String),
    /// Resources depend on each other in a cycle.
    Cycle,
    /// The parameter has no value, or the template has no such parameter.
    Parameter,
    /// A value at this path is null, which CloudFormation does not have.
    Null(String),
    /// A list at this path is empty, and must not be.
    Empty(String),
    /// A logical id has other characters than letters and digits.
    Id,
    /// Another resource of the same type, with this logical id, has the same name.
    SameName(String),
    /// The attribute is part of a table's or index's key but not defined, or defined but not part of one.
    KeyAttribute(String),
    /// A message of the queue becomes visible again, after so many seconds, before the function's timeout.
    VisibleTooSoon {
        /// The queue's logical id.
        queue: String,
        /// The queue's visibility timeout, in seconds.
        visible_after: u64,
        /// The function's timeout, in seconds.
        timeout: u64,
    },
    /// It exceeds a limit of AWS's; the number is the actual size.
    TooLarge(Limit, usize),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const REPORT: &str = "this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`";
        let id = &self.id;
        match &self.problem {
            Problem::Unresolved(name) => write!(f, "{id}: refers to `{name}`, which the template lacks; {REPORT}"),
            Problem::Cycle => write!(f, "{id}: depends on itself through other resources; {REPORT}"),
            Problem::Parameter => write!(f, "{id}: the parameter has no value, or is not the template's; {REPORT}"),
            Problem::Null(path) => {
                write!(f, "{id}: {path} is null, which CloudFormation does not accept; write a value, or leave it out")
            }
            Problem::Empty(path) => write!(f, "{id}: {path} is an empty list, which AWS refuses; {REPORT}"),
            Problem::Id => write!(f, "{id}: a logical id has only letters and digits, at most 255; {REPORT}"),
            Problem::SameName(other) => {
                write!(f, "{id}: has the same name as {other}; rename the route or the queue that it is for")
            }
            Problem::KeyAttribute(name) => {
                write!(f, "{id}: the attribute `{name}` is either only defined or only part of a key; {REPORT}")
            }
            Problem::VisibleTooSoon { queue, visible_after, timeout } => write!(
                f,
                "{id}: messages of {queue} become visible again after {visible_after} s, before the function's timeout \
                 of {timeout} s; {REPORT}"
            ),
            Problem::TooLarge(limit, actual) => {
                let (what, max, remedy) = limit.parts();
                write!(f, "{id}: {what} is {actual}, but AWS's limit is {max}; {remedy}")
            }
        }
    }
}

/// Returns everything in a body that AWS would refuse.
pub fn check(body: &Body) -> Vec<Finding> {
    let mut findings = references::findings(body);
    findings.extend(values::findings(body));
    findings.extend(services::findings(body));
    let too_large = measures(body).into_iter().filter(|measure| measure.actual > measure.limit.parts().1);
    findings.extend(
        too_large.map(|measure| Finding { id: measure.id, problem: Problem::TooLarge(measure.limit, measure.actual) }),
    );
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::{Body, check};

    fn check_body(resources: Value, expect: &Expect) {
        let template = json!({
            "Parameters": { "Given": { "Type": "String" }, "Default": { "Type": "String", "Default": "d" } },
            "Conditions": { "Known": { "Fn::Equals": [{ "Ref": "Given" }, "a"] } },
            "Resources": resources,
        });
        let parameters = BTreeMap::from([("Given".to_owned(), "a".to_owned())]);
        let findings = check(&Body { stack: "s".to_owned(), template, parameters });
        expect.assert_eq(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
    }

    fn role(statements: Value) -> Value {
        let document = json!({ "Version": "2012-10-17", "Statement": statements });
        json!({ "Type": "AWS::IAM::Role", "Properties": { "Policies": [{ "PolicyName": "p", "PolicyDocument": document }] } })
    }

    fn queue(name: impl Into<Value>) -> Value {
        json!({ "Type": "AWS::SQS::Queue", "Properties": { "QueueName": name.into() } })
    }

    #[test]
    fn what_refers_to_parameters_conditions_resources_and_aws_own_values_is_accepted() {
        check_body(
            json!({
                "A": queue(json!({ "Fn::Sub": "${AWS::StackName}-${Given}-${!Literal}-a" })),
                "B": {
                    "Type": "AWS::SNS::Topic",
                    "Condition": "Known",
                    "DependsOn": ["A"],
                    "Properties": { "DisplayName": { "Fn::If": ["Known", { "Fn::GetAtt": ["A", "Arn"] }, { "Ref": "AWS::NoValue" }] } },
                },
            }),
            &expect![""],
        );
    }

    #[test]
    fn what_the_template_lacks_is_named_whatever_refers_to_it() {
        check_body(
            json!({
                "A": { "Type": "T", "Condition": "None", "DependsOn": "Gone", "Properties": {
                    "Of": [{ "Ref": "Nothing" }, { "Fn::GetAtt": ["Queue", "Arn"] }, { "Fn::GetAtt": "Other.Arn" }],
                    "Text": { "Fn::Sub": "${Third.Arn}/${Fourth}" },
                    "If": { "Fn::If": ["Never", 1, 2] },
                } },
            }),
            &expect![[r#"
                A: refers to `None`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Gone`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Nothing`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Queue`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Other`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Third`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Fourth`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                A: refers to `Never`, which the template lacks; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
            "#]],
        );
    }

    #[test]
    fn resources_that_depend_on_each_other_are_named() {
        check_body(
            json!({
                "A": { "Type": "T", "Properties": { "Of": { "Ref": "B" } } },
                "B": { "Type": "T", "DependsOn": "A" },
                "C": { "Type": "T", "DependsOn": "A" },
            }),
            &expect![[r#"
                A: depends on itself through other resources; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                B: depends on itself through other resources; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
            "#]],
        );
    }

    #[test]
    fn null_empty_lists_and_ids_that_aws_refuses_are_named_with_their_path() {
        check_body(
            json!({
                "A": { "Type": "AWS::Events::Rule", "Properties": { "EventPattern": { "detail": { "a": [null] } } } },
                "Role": role(json!([{ "Action": [], "Resource": [] }])),
                "No-Id": { "Type": "T" },
                "First": queue("same"),
                "Second": queue("same"),
            }),
            &expect![[r#"
                A: Properties.EventPattern.detail.a[0] is null, which CloudFormation does not accept; write a value, or leave it out
                Role: Properties.Policies[0].PolicyDocument.Statement[0].Action is an empty list, which AWS refuses; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                Role: Properties.Policies[0].PolicyDocument.Statement[0].Resource is an empty list, which AWS refuses; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                No-Id: a logical id has only letters and digits, at most 255; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                Second: has the same name as First; rename the route or the queue that it is for
            "#]],
        );
    }

    #[test]
    fn a_key_without_definition_and_a_queue_that_is_quicker_than_its_function_are_named() {
        let table = |name: &str, defined: &[&str], index: &str| {
            let key = |name: &str| json!([{ "AttributeName": name, "KeyType": "HASH" }]);
            let define = |name: &&str| json!({ "AttributeName": name, "AttributeType": "S" });
            json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
                "TableName": name,
                "AttributeDefinitions": defined.iter().map(define).collect::<Vec<_>>(),
                "KeySchema": key("item"),
                "GlobalSecondaryIndexes": [{ "IndexName": "i", "KeySchema": key(index) }],
            } })
        };
        let mapping = |queue: &str| {
            json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
                "EventSourceArn": { "Fn::GetAtt": [queue, "Arn"] },
                "FunctionName": { "Ref": "Function" },
            } })
        };
        let mut slow = queue("slow");
        slow["Properties"]["VisibilityTimeout"] = 60.into();
        check_body(
            json!({
                "Table": table(&"t".repeat(256), &["item", "more"], "due"),
                "Fits": table("fits", &["due", "item"], "due"),
                "Function": { "Type": "AWS::Lambda::Function", "Properties": { "FunctionName": "f", "Timeout": 60 } },
                "Quick": queue("quick"),
                "Slow": slow,
                "One": mapping("Quick"),
                "Two": mapping("Slow"),
            }),
            &expect![[r#"
                Table: the attribute `due` is either only defined or only part of a key; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                Table: the attribute `more` is either only defined or only part of a key; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                One: messages of Quick become visible again after 30 s, before the function's timeout of 60 s; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
                Table: the number of characters of its name is 256, but AWS's limit is 255; shorten the name of the stack, route, queue or table
            "#]],
        );
    }

    #[test]
    fn each_limit_is_reported_with_its_remedy_once_it_is_exceeded() {
        let long = "x".repeat(5000);
        let statement = |size: usize| json!([{ "Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "x".repeat(size) }]);
        check_body(
            json!({
                "Role": role(statement(10_200)),
                "Function": { "Type": "AWS::Lambda::Function", "Properties": {
                    "FunctionName": { "Fn::Sub": format!("${{AWS::StackName}}-{}", "f".repeat(63)) },
                    "Environment": { "Variables": { "A1": long, "B": "b" } },
                } },
                "Rule": { "Type": "AWS::Events::Rule", "Properties": {
                    "Name": "r",
                    "EventPattern": { "source": ["x".repeat(2048)] },
                    "Targets": [1, 2, 3, 4, 5, 6],
                } },
                "Queue": queue("q".repeat(81)),
                "Fits": role(statement(10_100)),
                "Policy": { "Type": "AWS::IAM::ManagedPolicy", "Properties": {
                    "PolicyDocument": { "Statement": statement(6200) },
                    "Roles": [{ "Ref": "Role" }],
                } },
            }),
            &expect![[r#"
                Role: the number of characters of the role's policies is 10305, but AWS's limit is 10240; deploy in two steps, first what is removed, then what is added; if that does not fit either, give fewer task definitions roles of their own, or split the config into several stacks
                Function: the number of characters of its name is 65, but AWS's limit is 64; shorten the name of the stack, route, queue or table
                Function: the size in bytes of the function's environment variables is 5017, but AWS's limit is 4096; take fewer or shorter values by `${env:...}`
                Rule: the number of characters of the event pattern is 2063, but AWS's limit is 2048; shorten the route's event pattern
                Rule: the number of the rule's targets is 6, but AWS's limit is 5; split the config into several, each with a stack of its own (`stack: { name: ... }`)
                Queue: the number of characters of its name is 81, but AWS's limit is 80; shorten the name of the stack, route, queue or table
                Policy: the number of characters of the policy is 6282, but AWS's limit is 6144; deploy in two steps, first what is removed, then what is added; if that does not fit either, give fewer task definitions roles of their own, or split the config into several stacks
            "#]],
        );
    }

    #[test]
    fn a_template_has_at_most_500_resources_and_a_value_of_a_parameter_4096_characters() {
        let resources: serde_json::Map<String, Value> =
            (0..501).map(|n| (format!("A{n}"), json!({ "Type": "T" }))).collect();
        let template = json!({
            "Description": "d".repeat(1025),
            "Parameters": { "P": { "Type": "String" }, "Q": { "Type": "String" } },
            "Resources": resources,
        });
        let given = |name: &str, value: String| (name.to_owned(), value);
        let parameters = BTreeMap::from([given("P", "p".repeat(4097)), given("Unknown", String::new())]);
        let findings = check(&Body { stack: "s".to_owned(), template, parameters });
        expect![[r#"
            Q: the parameter has no value, or is not the template's; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
            Unknown: the parameter has no value, or is not the template's; this is a fault of ecs-trigger; report it with the output of `ecs-trigger synth`
            Resources: the number of resources is 501, but AWS's limit is 500; split the config into several, each with a stack of its own (`stack: { name: ... }`)
            Description: the description's size in bytes is 1025, but AWS's limit is 1024; shorten it
            P: the number of characters of the parameter's value is 4097, but AWS's limit is 4096; let more task definitions share their task and execution roles, or split the config into several stacks
        "#]].assert_eq(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
    }
}
