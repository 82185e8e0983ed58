//! Finds what somebody changed in the stack's resources outside of deployments.

use aws_sdk_sqs::types::QueueAttributeName;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, stream};
use infra::{BUCKET_PARAMETER, CODE_HASH, Drift, NOTHING, Place};
use serde_json::{Value, json};
use trigger_aws::clients::causes;

use super::stack::Stack;
use crate::account::Account;
use crate::signed::Call;

/// So many resources are read at the same time. IAM and Lambda answer about as many calls a second.
const READS_AT_ONCE: usize = 8;

/// How the deployed resources differ from the deployed template.
#[derive(Debug, Default)]
pub(crate) struct Drifted {
    /// What differs, each with how to set it back.
    pub(crate) found: Vec<(Drift, String)>,
    /// The resources that could not be read, each with the reason.
    pub(crate) unread: Vec<(String, String)>,
}

/// Reads the resources that events and permissions depend on, and compares them with the deployed template.
pub(crate) async fn drifted(account: &Account, stack: &Stack) -> Drifted {
    let identity = &account.identity;
    let place = Place {
        stack: stack.name.clone(),
        partition: identity.partition().to_owned(),
        region: identity.region.clone(),
        account: identity.account.clone(),
        physical_ids: stack.physical_ids.clone(),
    };
    let mut drifted = Drifted::default();
    let resources = stack.template["Resources"].as_object().into_iter().flatten();
    let known = resources.filter_map(|(id, resource)| {
        Some((id, resource["Type"].as_str().unwrap_or_default(), stack.physical_ids.get(id)?))
    });
    let reading = stream::iter(known)
        .map(|(id, kind, physical)| async move { (id, kind, physical, read(account, stack, kind, physical).await) });
    let all: Vec<_> = reading.buffered(READS_AT_ONCE).collect().await;
    for (id, kind, physical, actual) in all {
        match actual {
            Ok(None) => {}
            Ok(Some(actual)) => {
                let found = infra::drift(&stack.template, &stack.parameters, &place, id, &actual);
                drifted.found.extend(found.into_iter().map(|drift| {
                    let remedy = remedy(&drift, physical, stack);
                    (drift, remedy)
                }));
            }
            Err(reason) => drifted.unread.push((format!("{kind} {id}"), reason)),
        }
    }
    drifted
}

/// Returns the properties of a resource that are compared, or nothing if the type is not.
async fn read(account: &Account, stack: &Stack, kind: &str, physical: &str) -> Result<Option<Value>, String> {
    let signer = &account.signer;
    let name = physical.rsplit(['/', '|']).next().unwrap_or(physical);
    let actual = match kind {
        "AWS::Events::Rule" => {
            let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.DescribeRule")];
            let request = json!({ "Name": name }).to_string();
            let rule = signer.json(Call::post("events", &headers, &request)).await?;
            let pattern: Value =
                serde_json::from_str(rule["EventPattern"].as_str().unwrap_or_default()).unwrap_or_default();
            json!({ "State": rule["State"], "EventPattern": pattern })
        }
        "AWS::Lambda::EventSourceMapping" => {
            let path = format!("/2015-03-31/event-source-mappings/{name}");
            let mapping = signer.json(Call::get("lambda", &path)).await?;
            let is_off = ["Disabled", "Disabling"].iter().any(|state| mapping["State"] == *state);
            json!({ "Enabled": !is_off, "BatchSize": mapping["BatchSize"] })
        }
        "AWS::Lambda::Function" => {
            let path = format!("/2015-03-31/functions/{name}/configuration");
            let function = signer.json(Call::get("lambda", &path)).await?;
            let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
            let vpc = &function["VpcConfig"];
            json!({
                CODE_HASH: hexadecimal(function["CodeSha256"].as_str().unwrap_or_default()),
                "MemorySize": function["MemorySize"],
                "Timeout": function["Timeout"],
                "Environment": { "Variables": function["Environment"]["Variables"] },
                "KmsKeyArn": function["KMSKeyArn"].as_str().unwrap_or_default(),
                "VpcConfig": {
                    "SubnetIds": list(&vpc["SubnetIds"]),
                    "SecurityGroupIds": list(&vpc["SecurityGroupIds"]),
                },
            })
        }
        "AWS::Scheduler::Schedule" => {
            let path = format!("/schedules/{name}?groupName={}", stack.name);
            let schedule = signer.json(Call::get("scheduler", &path)).await?;
            json!({ "State": schedule["State"], "ScheduleExpression": schedule["ScheduleExpression"] })
        }
        "AWS::SQS::Queue" => queue(account, physical).await?,
        "AWS::IAM::Role" => role(account, name).await?,
        _ => return Ok(None),
    };
    Ok(Some(actual))
}

/// Returns the policies that are in a role, and those that are attached to it.
async fn role(account: &Account, name: &str) -> Result<Value, String> {
    let mut policies = Vec::new();
    let mut names = account.iam.list_role_policies().role_name(name).into_paginator().items().send();
    while let Some(policy) = names.next().await {
        let policy = policy.map_err(|error| causes(&error))?;
        let got = account.iam.get_role_policy().role_name(name).policy_name(&policy).send().await;
        let got = got.map_err(|error| causes(&error))?;
        let document: Value = serde_json::from_str(&decoded(got.policy_document())).unwrap_or_default();
        policies.push(json!({ "PolicyName": policy, "PolicyDocument": document }));
    }
    let mut attached = Vec::new();
    let mut pages = account.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
    while let Some(policy) = pages.next().await {
        attached.extend(policy.map_err(|error| causes(&error))?.policy_arn);
    }
    Ok(json!({ "Policies": policies, "ManagedPolicyArns": attached }))
}

async fn queue(account: &Account, url: &str) -> Result<Value, String> {
    let names = [
        QueueAttributeName::VisibilityTimeout,
        QueueAttributeName::MessageRetentionPeriod,
        QueueAttributeName::RedrivePolicy,
    ];
    let get = account.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let attributes = get.send().await.map_err(|error| causes(&error))?.attributes.unwrap_or_default();
    let mut queue = json!({});
    for name in names {
        let Some(text) = attributes.get(&name) else { continue };
        // A number, or JSON whose numbers may be texts.
        let mut value: Value = serde_json::from_str(text).unwrap_or_default();
        let count = value["maxReceiveCount"].as_str().and_then(|count| count.parse::<u64>().ok());
        if let Some(count) = count {
            value["maxReceiveCount"] = count.into();
        }
        queue[name.as_str()] = value;
    }
    Ok(queue)
}

/// Returns a policy without the percent-encoding in which IAM returns it.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns a hash, which Lambda returns as base64, as hexadecimal digits.
fn hexadecimal(hash: &str) -> String {
    let bytes = BASE64_STANDARD.decode(hash).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns how to set a property back.
fn remedy(drift: &Drift, physical: &str, stack: &Stack) -> String {
    let Drift { id, kind, path, deployed, actual } = drift;
    let name = physical.rsplit(['/', '|']).next().unwrap_or(physical);
    let parameter = |name: &str| stack.parameters.get(name).map_or("", String::as_str);
    let policy_of_role = path.strip_prefix("Policies[").and_then(|rest| rest.strip_suffix(']'));
    let is_added = deployed == NOTHING;
    match (kind.as_str(), path.as_str()) {
        ("AWS::Events::Rule", "State") => format!("aws events enable-rule --name {name}"),
        ("AWS::Lambda::EventSourceMapping", "Enabled") => {
            format!("aws lambda update-event-source-mapping --uuid {name} --enabled")
        }
        ("AWS::Lambda::Function", CODE_HASH) => format!(
            "aws lambda update-function-code --function-name {name} --s3-bucket {} --s3-key {}",
            parameter(BUCKET_PARAMETER),
            parameter(&format!("{id}Code")),
        ),
        ("AWS::Lambda::Function", "MemorySize" | "Timeout" | "KmsKeyArn") => {
            let option = match path.as_str() {
                "Timeout" => "timeout",
                "MemorySize" => "memory-size",
                _ => "kms-key-arn",
            };
            format!("aws lambda update-function-configuration --function-name {name} --{option} {deployed}")
        }
        ("AWS::IAM::Role", "ManagedPolicyArns") => match is_added {
            true => format!("aws iam detach-role-policy --role-name {name} --policy-arn {actual}"),
            false => format!("aws iam attach-role-policy --role-name {name} --policy-arn {deployed}"),
        },
        ("AWS::IAM::Role", _) if is_added && policy_of_role.is_some() => {
            let policy = policy_of_role.unwrap_or_default();
            format!("aws iam delete-role-policy --role-name {name} --policy-name {policy}")
        }
        ("AWS::SQS::Queue", "VisibilityTimeout" | "MessageRetentionPeriod") => {
            format!("aws sqs set-queue-attributes --queue-url {physical} --attributes {path}={deployed}")
        }
        _ => "set it back by hand: CloudFormation does so only when the template changes the same resource".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{decoded, hexadecimal};

    #[test]
    fn a_policy_is_read_with_or_without_its_encoding() {
        let plain = r#"{"Version":"2012-10-17","a":"100%"}"#;
        assert_eq!(decoded("%7B%22Version%22%3A%222012-10-17%22%2C%22a%22%3A%22100%25%22%7D"), plain);
        assert_eq!(decoded(plain), plain);
    }

    #[test]
    fn a_hash_is_compared_as_hexadecimal_digits() {
        assert_eq!(hexadecimal("AP8Q"), "00ff10");
        assert_eq!(hexadecimal("no base64"), "");
    }
}
