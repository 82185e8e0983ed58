//! The stack of what is stored: the bucket with the config, payloads and the functions' code, and the table with the
//! launches.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trigger_core::config::stack::Origin;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::{EXPIRES, Index, KEPT_DAYS, Storage, TABLE_KEY};

use crate::owner::Owner;
use crate::template::{Template, attribute, reference, sub};

/// The output with the bucket's name.
pub const BUCKET_OUTPUT: &str = "Bucket";
/// The output with the URL of the dead-letter queue, which only the functions' stack has.
pub const DEAD_LETTERS_OUTPUT: &str = "DeadLetters";
/// The output with the table's name. Both stacks have it: the functions' stack says which table its launches are in.
pub const TABLE_OUTPUT: &str = "Table";

/// The table's logical id.
const TABLE_ID: &str = "Table";

/// Returns the template of the storage stack, or nothing if the bucket is adopted and there is no ledger. The stack
/// must exist before the functions, whose code it holds, and outlives them with the records of what happened.
pub(crate) fn storage(config: &RoutingConfig) -> Option<Template> {
    let mut template = Template::new(
        "ecs-trigger: storage for the config, the launches, payloads and the functions' code",
        &Owner::of_storage(config),
    );
    let has_bucket = config.stack.storage_bucket != Some(Origin::Adopt);
    if has_bucket {
        add_bucket(&mut template, config);
    }
    if let Some(storage) = config.ledger() {
        add_table(&mut template, storage, has_bucket);
    }
    (!template.resources().is_empty()).then_some(template)
}

/// Returns the template with the table of the deployed stack, also if the config no longer has a ledger. Otherwise
/// CloudFormation would leave the table behind, and could not create it again under its name.
pub fn keep_table(mut template: Template, deployed: &Value) -> Template {
    if !template.resources().contains_key(TABLE_ID) {
        template.keep(deployed, TABLE_ID, TABLE_OUTPUT);
    }
    template
}

/// Returns the attributes of a resource that stays when it leaves the stack or is replaced. It goes only if the change
/// that creates it is rolled back.
fn kept() -> Value {
    json!({ "DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain" })
}

/// Adds the bucket: private, encrypted, versioned, accessible by TLS only.
fn add_bucket(template: &mut Template, config: &RoutingConfig) {
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
    template.resource_with("Storage", "AWS::S3::Bucket", kept(), bucket);
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
}

fn lifecycle(config: &RoutingConfig) -> Value {
    let payloads = config.storage.as_ref().map(|storage| {
        json!({
            "Id": "payloads",
            "Status": "Enabled",
            "Prefix": storage.payload_folder(),
            "ExpirationInDays": KEPT_DAYS,
        })
    });
    let old_versions = json!({
        "Id": "old-versions",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": { "NoncurrentDays": 7 },
        "ExpiredObjectDeleteMarker": true,
        "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 },
    });
    payloads.into_iter().chain([old_versions]).collect()
}

/// Adds the table: billed per request, encrypted by DynamoDB's own key, with backups of the last 35 days, and protected
/// from deletion.
///
/// CloudFormation replaces a table whose key changes. It adds or removes one index per update, so a version of
/// ecs-trigger changes at most one.
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html>
fn add_table(template: &mut Template, storage: &Storage, has_bucket: bool) {
    let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |[partition, sort]: [&str; 2]| {
        json!([
            { "AttributeName": partition, "KeyType": "HASH" },
            { "AttributeName": sort, "KeyType": "RANGE" },
        ])
    };
    let index = |index: Index| {
        json!({
            "IndexName": index.name(),
            "KeySchema": key(index.key()),
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        })
    };
    // Some are in the keys of several indexes, and each is defined once.
    let defined: BTreeSet<&str> = TABLE_KEY.into_iter().chain(Index::ALL.into_iter().flat_map(Index::key)).collect();
    let mut attributes = kept();
    if has_bucket {
        // Last: a protected table could not be deleted if the bucket failed, which its name often causes.
        attributes["DependsOn"] = json!(["StoragePolicy"]);
    }
    template.resource_with(
        TABLE_ID,
        "AWS::DynamoDB::Table",
        attributes,
        json!({
            "TableName": storage.table(),
            "AttributeDefinitions": defined.into_iter().map(text).collect::<Vec<_>>(),
            "KeySchema": key(TABLE_KEY),
            "GlobalSecondaryIndexes": Index::ALL.map(index),
            "BillingMode": "PAY_PER_REQUEST",
            "TimeToLiveSpecification": { "AttributeName": EXPIRES, "Enabled": true },
            "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
            "DeletionProtectionEnabled": true,
        }),
    );
    template.output(TABLE_OUTPUT, "Name of the table with the launches", reference(TABLE_ID));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{keep_table, storage};

    fn config(top: &str) -> RoutingConfig {
        let text = format!("version: 1\n{top}\ntasks: {{}}\nroutes: []\n");
        RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn payloads_below_the_prefix_expire_when_launches_do() {
        let rules = |top: &str| {
            let template = storage(&config(top)).expect("there is a bucket");
            let rules = template.resources()["Storage"]["Properties"]["LifecycleConfiguration"]["Rules"].clone();
            let rule = |rule: &Value| format!("{} {} {}", rule["Id"], rule["Prefix"], rule["ExpirationInDays"]);
            rules.as_array().into_iter().flatten().map(rule).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            rules("storage: { bucket: state, prefix: /team/ }"),
            r#""payloads" "team/payloads/" 90, "old-versions" null null"#
        );
        assert_eq!(rules(""), r#""old-versions" null null"#);
    }

    #[test]
    fn the_stack_holds_the_bucket_unless_it_is_adopted_and_the_table_if_there_is_a_ledger() {
        let held = |top: &str| {
            let template = storage(&config(top));
            template.map(|template| template.resources().keys().cloned().collect::<Vec<_>>().join(" "))
        };
        for (top, expected) in [
            ("", Some("Storage StoragePolicy")),
            ("storage: { bucket: state }", Some("Storage StoragePolicy Table")),
            ("storage: { bucket: state }\nledger: off", Some("Storage StoragePolicy")),
            ("storage: { bucket: state }\nstack: { storage_bucket: adopt }", Some("Table")),
            ("storage: { bucket: state }\nledger: off\nstack: { storage_bucket: adopt }", None),
        ] {
            assert_eq!(held(top).as_deref(), expected, "{top}");
        }
    }

    #[test]
    fn the_table_has_all_indexes_from_the_beginning_and_defines_each_attribute_once() {
        let template = storage(&config("storage: { bucket: state }")).expect("has both").to_json();
        let table = &template["Resources"]["Table"]["Properties"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let defined = list(&table["AttributeDefinitions"]);
        let defined: Vec<String> = defined.iter().map(|defined| text(&defined["AttributeName"])).collect();
        assert_eq!(defined.join(" "), "at created failed_route item list object part route shard");
        let index = |index: &Value| {
            let key: Vec<String> = list(&index["KeySchema"]).iter().map(|key| text(&key["AttributeName"])).collect();
            format!(
                "{}: {}, {}",
                text(&index["IndexName"]),
                key.join(" "),
                text(&index["Projection"]["ProjectionType"])
            )
        };
        let indexes: Vec<String> = list(&table["GlobalSecondaryIndexes"]).iter().map(index).collect();
        assert_eq!(
            indexes,
            [
                "time: list at, KEYS_ONLY",
                "created: shard created, KEYS_ONLY",
                "route: route created, KEYS_ONLY",
                "failures: failed_route at, KEYS_ONLY",
                "object: object created, KEYS_ONLY",
            ]
        );
    }

    #[test]
    fn the_table_is_created_last_and_stays_when_its_stack_or_the_ledger_goes() {
        let before = storage(&config("storage: { bucket: state, prefix: team }")).expect("has both").to_json();
        let table = &before["Resources"]["Table"];
        assert_eq!(table["DependsOn"], json!(["StoragePolicy"]));
        assert_eq!([&table["DeletionPolicy"], &table["UpdateReplacePolicy"]], ["RetainExceptOnCreate", "Retain"]);
        assert_eq!(table["Properties"]["TableName"], "state-team");
        let off = config("storage: { bucket: state, prefix: team }\nledger: off");
        let fresh = storage(&off).expect("has a bucket");
        assert_eq!(fresh.to_json()["Resources"].get("Table"), None);
        let after = keep_table(fresh, &before).to_json();
        assert_eq!(after["Resources"]["Table"], *table);
        assert_eq!(after["Outputs"]["Table"], before["Outputs"]["Table"]);
    }
}
