//! Compares a deployed template with the resources as they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changes::named;
use crate::body::Parameters;
use crate::names::hash_of_code;
use crate::references::{alone, parts_of_sub};

/// What an account knows of a deployed stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The stack's name.
    pub stack: String,
    /// The partition, for example `aws`.
    pub partition: String,
    /// The Region.
    pub region: String,
    /// The account's number.
    pub account: String,
    /// The resources' physical ids, by logical id.
    pub physical_ids: BTreeMap<String, String>,
}

/// The text that is shown for a missing value.
pub const NOTHING: &str = "nothing";

/// A property that somebody changed outside of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The resource's logical id.
    pub id: String,
    /// The resource's type.
    pub kind: String,
    /// The path to the property.
    pub path: String,
    /// The value that was deployed, as JSON, or [`NOTHING`].
    pub deployed: String,
    /// The value that the resource has, as JSON, or [`NOTHING`].
    pub actual: String,
}

/// The property under which the hash of a function's code is compared: its SHA-256 as hexadecimal digits. A template has
/// no such property, but the key of the archive contains the hash.
pub const CODE_HASH: &str = "CodeSha256";

/// Returns the properties of a resource that differ from the deployed template. `actual` has the properties that are
/// compared, in CloudFormation's form. What the template takes from elsewhere and cannot be known here is left out.
pub fn drift(template: &Value, parameters: &Parameters, place: &Place, id: &str, actual: &Value) -> Vec<Drift> {
    let resolver = Resolver { template, parameters, place };
    let mut found = Vec::new();
    for (name, actual) in actual.as_object().into_iter().flatten() {
        if let Some(deployed) = resolver.property(id, name) {
            compare(name, &deployed, actual, &mut found);
        }
    }
    let kind = template["Resources"][id]["Type"].as_str().unwrap_or_default();
    let drift = |(path, deployed, actual)| Drift { id: id.to_owned(), kind: kind.to_owned(), path, deployed, actual };
    found.into_iter().map(drift).collect()
}

/// Returns what AWS takes for a property that the template leaves out.
fn default(kind: &str, property: &str) -> Option<Value> {
    match (kind, property) {
        ("AWS::Events::Rule" | "AWS::Scheduler::Schedule", "State") => Some("ENABLED".into()),
        ("AWS::Lambda::EventSourceMapping", "Enabled") => Some(true.into()),
        ("AWS::Lambda::Function", "KmsKeyArn") => Some("".into()),
        ("AWS::Lambda::Function", "VpcConfig") => Some(json!({ "SubnetIds": [], "SecurityGroupIds": [] })),
        ("AWS::SQS::Queue", "VisibilityTimeout") => Some(30.into()),
        _ => None,
    }
}

/// Lists whose order has no meaning.
const SETS: [&str; 3] = ["ManagedPolicyArns", "SecurityGroupIds", "SubnetIds"];

fn compare(path: &str, deployed: &Value, actual: &Value, found: &mut Vec<(String, String, String)>) {
    if deployed == actual || deployed.is_null() {
        return;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), Value::to_string);
    if let (Value::Array(before), Value::Array(after)) = (deployed, actual)
        && let Some((before, after)) = named(before).zip(named(after))
    {
        let added = after.keys().filter(|name| !before.contains_key(*name));
        for name in before.keys().chain(added) {
            let path = format!("{path}[{name}]");
            match (before.get(name), after.get(name)) {
                (Some(before), Some(after)) => compare(&path, before, after, found),
                (before, after) => found.push((path, shown(before.copied()), shown(after.copied()))),
            }
        }
        return;
    }
    match (deployed, actual) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let path = format!("{path}.{key}");
                match (before.get(key), after.get(key)) {
                    (Some(before), Some(after)) => compare(&path, before, after, found),
                    // What is unknown here is not different.
                    (Some(Value::Null), _) => {}
                    (before, after) => found.push((path, shown(before), shown(after))),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if is_set(path) => {
            // An element that is unknown here may be any.
            if !before.contains(&Value::Null) {
                let lacks = |one: &[Value], element: &&Value| !one.contains(element);
                let gone = before.iter().filter(|one| lacks(after, one));
                found.extend(gone.map(|one| (path.to_owned(), one.to_string(), shown(None))));
                let added = after.iter().filter(|one| lacks(before, one));
                found.extend(added.map(|one| (path.to_owned(), shown(None), one.to_string())));
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (position, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}[{position}]"), before, after, found);
            }
        }
        _ => found.push((path.to_owned(), deployed.to_string(), actual.to_string())),
    }
}

fn is_set(path: &str) -> bool {
    SETS.contains(&path.rsplit('.').next().unwrap_or(path))
}

/// Fills in what a template refers to.
struct Resolver<'a> {
    template: &'a Value,
    parameters: &'a Parameters,
    place: &'a Place,
}

impl Resolver<'_> {
    /// Returns a property of a resource as it was deployed, with null for what is unknown.
    fn property(&self, id: &str, name: &str) -> Option<Value> {
        let resource = &self.template["Resources"][id];
        let (kind, properties) = (resource["Type"].as_str().unwrap_or_default(), &resource["Properties"]);
        match (kind, name) {
            ("AWS::Lambda::Function", CODE_HASH) => {
                let key = self.value(&properties["Code"]["S3Key"])?;
                Some(hash_of_code(key.as_str()?)?.into())
            }
            ("AWS::IAM::Role", "ManagedPolicyArns") => Some(self.managed_policies(id)),
            _ => properties.get(name).map_or_else(|| default(kind, name), |deployed| self.value(deployed)),
        }
    }

    /// Returns the ARNs of the managed policies of a role: of its own list, and of the stack's policies that name it.
    fn managed_policies(&self, role: &str) -> Value {
        let resources = self.template["Resources"].as_object().into_iter().flatten();
        let of_stack = resources.filter(|(_, policy)| {
            let roles = policy["Properties"]["Roles"].as_array().into_iter().flatten();
            policy["Type"] == "AWS::IAM::ManagedPolicy" && roles.into_iter().any(|of| of["Ref"] == role)
        });
        let own = self.template["Resources"][role]["Properties"]["ManagedPolicyArns"].as_array().into_iter().flatten();
        let own = own.map(|arn| self.value(arn).unwrap_or_default());
        own.chain(of_stack.map(|(id, _)| self.reference(id).map_or(Value::Null, Value::from))).collect()
    }

    /// Returns a value with everything filled in, and null for what is unknown.
    fn value(&self, value: &Value) -> Option<Value> {
        match (alone(value), value) {
            (Some(("Ref", Value::String(name))), _) if name == "AWS::NoValue" => None,
            (Some(("Ref", Value::String(name))), _) => Some(self.reference(name).map_or(Value::Null, Value::from)),
            (Some(("Fn::GetAtt", of)), _) => {
                let part = |at: usize| of.get(at).and_then(Value::as_str).unwrap_or_default();
                Some(self.attribute(part(0), part(1)).map_or(Value::Null, Value::from))
            }
            (Some(("Fn::Sub", Value::String(text))), _) => Some(self.sub(text).map_or(Value::Null, Value::from)),
            (Some((function, _)), _) if function.starts_with("Fn::") => Some(Value::Null),
            (_, Value::Array(elements)) => Some(elements.iter().filter_map(|element| self.value(element)).collect()),
            (_, Value::Object(entries)) => {
                let filled = entries.iter().filter_map(|(key, value)| Some((key.clone(), self.value(value)?)));
                Some(Value::Object(filled.collect()))
            }
            (_, plain) => Some(plain.clone()),
        }
    }

    fn sub(&self, text: &str) -> Option<String> {
        let fill = |name: &str| match name.split_once('.') {
            Some((id, attribute)) => self.attribute(id, attribute),
            None => self.reference(name),
        };
        parts_of_sub(text, fill)
    }

    fn reference(&self, name: &str) -> Option<String> {
        let Place { stack, partition, region, account, physical_ids } = self.place;
        let known = match name {
            "AWS::StackName" => Some(stack),
            "AWS::Partition" => Some(partition),
            "AWS::Region" => Some(region),
            "AWS::AccountId" => Some(account),
            _ => self.parameters.get(name).or_else(|| physical_ids.get(name)),
        };
        known.cloned()
    }

    /// Returns an attribute of a resource, which its physical id contains.
    fn attribute(&self, id: &str, attribute: &str) -> Option<String> {
        let Place { partition, region, account, physical_ids, .. } = self.place;
        let physical = physical_ids.get(id)?;
        let resource = &self.template["Resources"][id];
        let name = physical.rsplit('/').next().unwrap_or(physical);
        match (resource["Type"].as_str()?, attribute) {
            ("AWS::SQS::Queue", "QueueName") => Some(name.to_owned()),
            ("AWS::SQS::Queue", "Arn") => Some(format!("arn:{partition}:sqs:{region}:{account}:{name}")),
            ("AWS::Lambda::Function", "Arn") => {
                Some(format!("arn:{partition}:lambda:{region}:{account}:function:{physical}"))
            }
            ("AWS::Logs::LogGroup", "Arn") => {
                Some(format!("arn:{partition}:logs:{region}:{account}:log-group:{physical}:*"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Drift, Parameters, Place, drift};
    use crate::{Function, code_key};
    use expect_test::expect;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn check(id: &str, actual: &Value) -> String {
        let template = json!({ "Resources": {
            "Rule": { "Type": "AWS::Events::Rule", "Properties": { "EventPattern": { "source": ["a"] } } },
            "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "RedrivePolicy": { "deadLetterTargetArn": { "Fn::GetAtt": ["Dead", "Arn"] }, "maxReceiveCount": 5 } } },
            "Dead": { "Type": "AWS::SQS::Queue", "Properties": {} },
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "Policies": [{ "PolicyName": "own", "PolicyDocument": { "Statement": [] } }] } },
            "Policy": { "Type": "AWS::IAM::ManagedPolicy", "Properties": { "Roles": [{ "Ref": "Role" }] } },
            "Unknown": { "Type": "AWS::IAM::Role", "Properties": { "ManagedPolicyArns": [{ "Fn::ImportValue": "x" }] } },
            "Placed": { "Type": "AWS::Lambda::Function", "Properties": {
                "Code": { "S3Key": { "Ref": "OtherCode" } },
                "KmsKeyArn": "key",
                "VpcConfig": { "SubnetIds": ["a", "b"], "SecurityGroupIds": ["c"] },
            } },
            "Function": { "Type": "AWS::Lambda::Function", "Properties": { "Code": { "S3Key": { "Ref": "Code" } }, "MemorySize": 256, "Environment": { "Variables": {
                "A": { "Ref": "Dead" }, "B": { "Fn::Sub": "s3://${Bucket}/${AWS::StackName}" }, "C": { "Fn::GetAtt": ["Other", "X"] },
            } } } },
        } });
        let text = |text: &str| text.to_owned();
        let place = Place {
            stack: text("s"),
            partition: text("aws"),
            region: text("r"),
            account: text("1"),
            physical_ids: BTreeMap::from([
                (text("Dead"), text("https://sqs/1/dead")),
                (text("Policy"), text("arn:aws:iam::1:policy/further")),
            ]),
        };
        let parameters = Parameters::from([
            (text("Bucket"), text("b")),
            (text("Code"), code_key(Function::EventTrigger, &"ab".repeat(32))),
            (text("OtherCode"), text("functions/by-hand.zip")),
        ]);
        let line = |Drift { path, deployed, actual, .. }: &Drift| format!("{path}: {deployed} -> {actual}\n");
        drift(&template, &parameters, &place, id, actual).iter().map(line).collect()
    }

    #[test]
    fn what_is_as_it_was_deployed_is_no_drift() {
        let none = [
            check("Rule", &json!({ "State": "ENABLED", "EventPattern": { "source": ["a"] } })),
            check(
                "Queue",
                &json!({ "VisibilityTimeout": 30, "RedrivePolicy": { "deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": 5 } }),
            ),
            check(
                "Function",
                &json!({ "MemorySize": 256, "Environment": { "Variables": { "A": "https://sqs/1/dead", "B": "s3://b/s", "C": "?" } } }),
            ),
            check(
                "Function",
                &json!({ "CodeSha256": "ab".repeat(32), "KmsKeyArn": "", "VpcConfig": { "SubnetIds": [], "SecurityGroupIds": [] } }),
            ),
            // A key without a hash says nothing about the code.
            check(
                "Placed",
                &json!({ "CodeSha256": "cd", "KmsKeyArn": "key", "VpcConfig": { "SubnetIds": ["b", "a"], "SecurityGroupIds": ["c"] } }),
            ),
            check(
                "Role",
                &json!({ "ManagedPolicyArns": ["arn:aws:iam::1:policy/further"], "Policies": [{ "PolicyName": "own", "PolicyDocument": { "Statement": [] } }] }),
            ),
            check("Unknown", &json!({ "ManagedPolicyArns": ["any"] })),
        ];
        assert_eq!(none.concat(), "");
    }

    #[test]
    fn each_property_that_differs_is_named_with_both_values() {
        let all = [
            check("Rule", &json!({ "State": "DISABLED", "EventPattern": { "source": ["b"] } })),
            check(
                "Queue",
                &json!({ "VisibilityTimeout": 5, "RedrivePolicy": { "deadLetterTargetArn": "x", "maxReceiveCount": 5 } }),
            ),
            check(
                "Function",
                &json!({ "MemorySize": 128, "Environment": { "Variables": { "B": "other", "D": "d" } } }),
            ),
            check(
                "Function",
                &json!({ "CodeSha256": "cd", "KmsKeyArn": "key", "VpcConfig": { "SubnetIds": ["a"], "SecurityGroupIds": [] } }),
            ),
            check(
                "Placed",
                &json!({ "KmsKeyArn": "", "VpcConfig": { "SubnetIds": ["b", "d"], "SecurityGroupIds": ["c"] } }),
            ),
            check(
                "Role",
                &json!({ "ManagedPolicyArns": ["outside"], "Policies": [{ "PolicyName": "other", "PolicyDocument": {} }] }),
            ),
        ];
        expect![[r#"
            State: "ENABLED" -> "DISABLED"
            EventPattern.source[0]: "a" -> "b"
            VisibilityTimeout: 30 -> 5
            RedrivePolicy.deadLetterTargetArn: "arn:aws:sqs:r:1:dead" -> "x"
            MemorySize: 256 -> 128
            Environment.Variables.A: "https://sqs/1/dead" -> nothing
            Environment.Variables.B: "s3://b/s" -> "other"
            Environment.Variables.D: nothing -> "d"
            CodeSha256: "abababababababababababababababababababababababababababababababab" -> "cd"
            KmsKeyArn: "" -> "key"
            VpcConfig.SubnetIds: nothing -> "a"
            KmsKeyArn: "key" -> ""
            VpcConfig.SubnetIds: "a" -> nothing
            VpcConfig.SubnetIds: nothing -> "d"
            ManagedPolicyArns: "arn:aws:iam::1:policy/further" -> nothing
            ManagedPolicyArns: nothing -> "outside"
            Policies[own]: {"PolicyName":"own","PolicyDocument":{"Statement":[]}} -> nothing
            Policies[other]: nothing -> {"PolicyName":"other","PolicyDocument":{}}
        "#]]
        .assert_eq(&all.concat());
    }
}
