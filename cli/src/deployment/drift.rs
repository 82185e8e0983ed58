//! Finds what somebody changed in the stack's resources outside of deployments.

use aws_sdk_sqs::types::QueueAttributeName;
use infra::{Drift, Place, ROLE_POLICY};
use serde_json::{Value, json};
use trigger_aws::clients::causes;

use super::stack::Stack;
use crate::account::Account;
use crate::signed::Call;

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
    for (id, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
        let Some(physical) = stack.physical_ids.get(id) else { continue };
        let kind = resource["Type"].as_str().unwrap_or_default();
        match read(account, stack, kind, physical).await {
            Ok(None) => {}
            Ok(Some(actual)) => {
                let found = infra::drift(&stack.template, &stack.parameters, &place, id, &actual);
                drifted.found.extend(found.into_iter().map(|drift| {
                    let remedy = remedy(&drift, physical);
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
            let variables = &function["Environment"]["Variables"];
            json!({
                "MemorySize": function["MemorySize"],
                "Timeout": function["Timeout"],
                "Environment": { "Variables": variables },
            })
        }
        "AWS::Scheduler::Schedule" => {
            let path = format!("/schedules/{name}?groupName={}", stack.name);
            let schedule = signer.json(Call::get("scheduler", &path)).await?;
            json!({ "State": schedule["State"], "ScheduleExpression": schedule["ScheduleExpression"] })
        }
        "AWS::SQS::Queue" => queue(account, physical).await?,
        "AWS::IAM::Role" => {
            let got = account.iam.get_role_policy().role_name(name).policy_name(ROLE_POLICY).send().await;
            let got = got.map_err(|error| causes(&error))?;
            let document: Value = serde_json::from_str(&decoded(got.policy_document())).unwrap_or_default();
            json!({ "Policies": [{ "PolicyName": ROLE_POLICY, "PolicyDocument": document }] })
        }
        _ => return Ok(None),
    };
    Ok(Some(actual))
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

/// Returns how to set a property back.
fn remedy(drift: &Drift, physical: &str) -> String {
    let Drift { kind, path, deployed, .. } = drift;
    let name = physical.rsplit(['/', '|']).next().unwrap_or(physical);
    match (kind.as_str(), path.as_str()) {
        ("AWS::Events::Rule", "State") => format!("aws events enable-rule --name {name}"),
        ("AWS::Lambda::EventSourceMapping", "Enabled") => {
            format!("aws lambda update-event-source-mapping --uuid {name} --enabled")
        }
        ("AWS::Lambda::Function", "MemorySize" | "Timeout") => {
            let option = if path == "Timeout" { "timeout" } else { "memory-size" };
            format!("aws lambda update-function-configuration --function-name {name} --{option} {deployed}")
        }
        ("AWS::SQS::Queue", "VisibilityTimeout" | "MessageRetentionPeriod") => {
            format!("aws sqs set-queue-attributes --queue-url {physical} --attributes {path}={deployed}")
        }
        _ => "set it back by hand: CloudFormation does so only when the template changes the same resource".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_policy_is_read_with_or_without_its_encoding() {
        let plain = r#"{"Version":"2012-10-17","a":"100%"}"#;
        assert_eq!(decoded("%7B%22Version%22%3A%222012-10-17%22%2C%22a%22%3A%22100%25%22%7D"), plain);
        assert_eq!(decoded(plain), plain);
    }
}
