//! The bucket with the config, the ledger, payloads and the functions' code.

use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::Folder;

use crate::owner::Owner;
use crate::template::{Template, attribute, reference, sub};

/// The output with the bucket's name.
pub const BUCKET_OUTPUT: &str = "Bucket";

/// Launch records expire after this many days: later than any dead letter, because a redrive needs the record.
const LAUNCH_DAYS: u32 = 90;
/// Payloads, which are events too large for overrides or launch records, expire after this many days.
const PAYLOAD_DAYS: u32 = 30;

/// Returns the template of the bucket's stack. The bucket must exist before the functions, whose code it holds, and
/// outlives them with the records of what happened. It is private, encrypted, versioned, and accepts only TLS.
pub fn storage(config: &RoutingConfig) -> Template {
    let mut template = Template::new(
        "ecs-trigger: bucket with the config, the ledger and the functions' code",
        &Owner::of_bucket(config),
    );
    let mut bucket = json!({
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }],
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": true,
            "BlockPublicPolicy": true,
            "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true,
        },
        "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
        "VersioningConfiguration": { "Status": "Enabled" },
        "LifecycleConfiguration": { "Rules": lifecycle(config) },
    });
    if let Some(storage) = &config.storage {
        bucket["BucketName"] = storage.bucket.0.as_str().into();
    }
    let kept = json!({ "DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain" });
    template.resource_with("Storage", "AWS::S3::Bucket", kept, bucket);
    template.resource(
        "StoragePolicy",
        "AWS::S3::BucketPolicy",
        json!({
            "Bucket": reference("Storage"),
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "OverTlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [attribute("Storage", "Arn"), sub("${Storage.Arn}/*")],
                    "Condition": { "Bool": { "aws:SecureTransport": "false" } },
                }],
            },
        }),
    );
    template.output(BUCKET_OUTPUT, "Name of the bucket", reference("Storage"));
    template
}

fn lifecycle(config: &RoutingConfig) -> Value {
    let key = |folder: Folder| match &config.storage {
        Some(storage) => storage.folder(folder),
        None => folder.as_str().to_owned(),
    };
    let expire = |id: &str, folder: Folder, days: u32| json!({ "Id": id, "Status": "Enabled", "Prefix": key(folder), "ExpirationInDays": days });
    json!([
        expire("launches", Folder::Launches, LAUNCH_DAYS),
        expire("sequences", Folder::Sequences, LAUNCH_DAYS),
        expire("payloads", Folder::Payloads, PAYLOAD_DAYS),
        {
            // Due entries are written and deleted all the time, and their old versions would slow down listing them.
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": { "NoncurrentDays": 7 },
            "ExpiredObjectDeleteMarker": true,
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 },
        },
    ])
}

#[cfg(test)]
mod tests {
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::storage;

    #[test]
    fn what_expires_lies_below_the_prefix_and_what_is_due_never_does() {
        let config = "version: 1\nstorage: { bucket: state, prefix: /team/ }\ntasks: {}\nroutes: []\n";
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let template = storage(&config);
        let rules = template.resources()["Storage"]["Properties"]["LifecycleConfiguration"]["Rules"].clone();
        let expire = |rule: &serde_json::Value| rule.get("ExpirationInDays")?.as_u64();
        let expiring: Vec<(String, u64)> = rules
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|rule| Some((rule["Prefix"].as_str()?.to_owned(), expire(rule)?)))
            .collect();
        let expected = [("team/launches/", 90), ("team/sequences/", 90), ("team/payloads/", 30)];
        assert_eq!(expiring, expected.map(|(prefix, days)| (prefix.to_owned(), days)));
    }
}
