//! The KMS keys of what a config names.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use trigger_aws::clients::causes;
use trigger_core::event::Queue;

use crate::account::Account;
use crate::signed::{Call, Signer};

/// AWS's own keys, which every principal in the account may use through the service. They need no permission.
const OF_AWS: &str = "alias/aws/";

/// A customer's key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) arn: String,
    /// Why nothing can be encrypted with it, if so.
    pub(crate) problem: Option<String>,
}

impl Key {
    /// Returns the key that an ARN, an id or an alias names; `None` if it is one of AWS's own.
    ///
    /// # Errors
    /// KMS refused the call, or could not be reached.
    pub(crate) async fn find(signer: &Signer, name: &str) -> Result<Option<Self>, String> {
        let alias = name.rsplit_once(':').map_or(name, |(_, alias)| alias);
        if alias.starts_with(OF_AWS) {
            return Ok(None);
        }
        let described = ask(signer, "DescribeKey", &json!({ "KeyId": name })).await?;
        let key = &described["KeyMetadata"];
        if key["KeyManager"] == "AWS" {
            return Ok(None);
        }
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let problem = match (text("KeyState").as_str(), text("KeySpec").as_str()) {
            ("Enabled", "SYMMETRIC_DEFAULT") => None,
            ("Enabled", spec) => Some(format!("it is a key of the kind {spec}, which AWS's services do not use")),
            (state, _) => Some(format!("its state is {state}")),
        };
        Ok(Some(Self { arn: text("Arn"), problem }))
    }

    /// Returns the account that owns the key.
    pub(crate) fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// Returns the key's policy.
    ///
    /// # Errors
    /// KMS refused the call, or could not be reached.
    pub(crate) async fn policy(&self, signer: &Signer) -> Result<Value, String> {
        let request = json!({ "KeyId": self.arn, "PolicyName": "default" });
        let got = ask(signer, "GetKeyPolicy", &request).await?;
        Ok(serde_json::from_str(got["Policy"].as_str().unwrap_or_default()).unwrap_or_default())
    }
}

/// Returns whether a key's policy lets a principal encrypt and decrypt. Conditions are not looked at.
pub(crate) fn allows(policy: &Value, principal: &str) -> bool {
    let many = |value: &Value| match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let is_named = |statement: &Value| {
        let named = &statement["Principal"];
        let kinds = ["AWS", "Service"].iter().flat_map(|kind| many(&named[*kind])).chain([named.clone()]);
        kinds.into_iter().any(|one| one == "*" || one == principal)
    };
    let covers = |pattern: &str, action: &str| match pattern.split_once('*') {
        Some((start, _)) => action.starts_with(start),
        None => action == pattern,
    };
    let statements = many(&policy["Statement"]);
    let allowing: Vec<&Value> =
        statements.iter().filter(|statement| statement["Effect"] == "Allow" && is_named(statement)).collect();
    ["kms:Decrypt", "kms:GenerateDataKey"].iter().all(|action| {
        let mut patterns = allowing.iter().flat_map(|statement| many(&statement["Action"]));
        patterns.any(|pattern| pattern.as_str().is_some_and(|pattern| covers(pattern, action)))
    })
}

/// Returns the name of a queue's key, if it has one.
///
/// # Errors
/// SQS refused the call, or could not be reached. A queue that does not exist has no key.
pub(crate) async fn of_queue(account: &Account, queue: &Queue) -> Result<Option<String>, String> {
    let owner = queue.account.clone();
    let url =
        match account.sqs.get_queue_url().queue_name(&queue.name).set_queue_owner_aws_account_id(owner).send().await {
            Ok(got) => got.queue_url().unwrap_or_default().to_owned(),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => {
                return Ok(None);
            }
            Err(error) => return Err(causes(&error)),
        };
    let get = account.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::KmsMasterKeyId);
    let attributes = get.send().await.map_err(|error| causes(&error))?.attributes.unwrap_or_default();
    Ok(attributes.get(&QueueAttributeName::KmsMasterKeyId).filter(|key| !key.is_empty()).cloned())
}

/// Returns the name of the key by which a bucket encrypts, if it has one.
///
/// # Errors
/// S3 refused the call, or could not be reached.
pub(crate) async fn of_bucket(account: &Account, bucket: &str) -> Result<Option<String>, String> {
    let got = match account.s3.get_bucket_encryption().bucket(bucket).send().await {
        Ok(got) => got,
        Err(error) if causes(&error).contains("ServerSideEncryptionConfigurationNotFound") => return Ok(None),
        Err(error) => return Err(causes(&error)),
    };
    let rules = got.server_side_encryption_configuration().map(|all| all.rules()).unwrap_or_default();
    let defaults = rules.iter().filter_map(|rule| rule.apply_server_side_encryption_by_default());
    Ok(defaults.filter_map(|default| default.kms_master_key_id()).next().map(str::to_owned))
}

async fn ask(signer: &Signer, operation: &str, request: &Value) -> Result<Value, String> {
    let target = format!("TrentService.{operation}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
    signer.json(Call::post("kms", &headers, &request.to_string())).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::allows;

    #[test]
    fn a_policy_allows_whom_it_names_with_both_actions() {
        let of = |principal: serde_json::Value, action: serde_json::Value| json!({ "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" }] });
        let logs = "logs.eu-west-1.amazonaws.com";
        let named = || json!({ "Service": ["s3.amazonaws.com", logs] });
        assert!(allows(&of(named(), json!(["kms:Decrypt*", "kms:GenerateDataKey*", "kms:Describe*"])), logs));
        assert!(allows(&of(json!("*"), json!("kms:*")), logs));
        assert!(!allows(&of(named(), json!(["kms:Decrypt"])), logs));
        assert!(!allows(&of(json!({ "Service": "s3.amazonaws.com" }), json!("kms:*")), logs));
        assert!(allows(&of(json!({ "AWS": "arn:aws:iam::1:root" }), json!("kms:*")), "arn:aws:iam::1:root"));
        assert!(!allows(&json!(null), logs));
    }
}
