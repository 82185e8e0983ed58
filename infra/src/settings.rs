//! Applies the settings of `stack` that hold for every resource of a type, whichever module adds it: the path and
//! boundary of roles, the key, the VPC, and the tags.

use serde_json::{Value, json};
use trigger_core::config::stack::Sender;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Spanned;

use crate::function::{Function, functions};
use crate::names::created_queues;
use crate::rules::rules;
use crate::template::{Template, iam_arn};

/// Applies the settings to a whole template.
pub(crate) fn apply(template: &mut Template, config: &RoutingConfig) {
    let stack = &config.stack;
    let boundary = stack.permissions_boundary.as_ref().map(|policy| iam_arn("policy", policy));
    let key = stack.kms_key.as_ref().map(|key| key.as_str());
    let vpc = stack.vpc.as_ref().map(|vpc| {
        let ids = |ids: &[Spanned<String>]| ids.iter().map(|id| Value::from(id.as_str())).collect::<Value>();
        json!({ "SubnetIds": ids(&vpc.subnets), "SecurityGroupIds": ids(&vpc.security_groups) })
    });
    let path = stack.role_path.as_ref().map(|path| Value::from(path.as_str()));
    for resource in template.resources_mut() {
        let kind = resource["Type"].as_str().unwrap_or_default().to_owned();
        let (has_path, has_boundary) = (kind.starts_with("AWS::IAM::"), kind == "AWS::IAM::Role");
        if let Some(path) = path.as_ref().filter(|_| has_path) {
            resource["Properties"]["Path"] = path.clone();
        }
        if let Some(boundary) = boundary.as_ref().filter(|_| has_boundary) {
            resource["Properties"]["PermissionsBoundary"] = boundary.clone();
        }
        if let Some(vpc) = vpc.as_ref().filter(|_| kind == "AWS::Lambda::Function") {
            resource["Properties"]["VpcConfig"] = vpc.clone();
        }
        if let Some(key) = key {
            encrypt(&kind, &mut resource["Properties"], key);
        }
    }
    template.set_tags(stack.tags());
}

/// Gives a resource the key, if its type can have one.
fn encrypt(kind: &str, properties: &mut Value, key: &str) {
    match kind {
        "AWS::DynamoDB::Table" => {
            properties["SSESpecification"] = json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": key });
        }
        "AWS::Lambda::Function" => properties["KmsKeyArn"] = key.into(),
        "AWS::Logs::LogGroup" => properties["KmsKeyId"] = key.into(),
        "AWS::S3::Bucket" => {
            let default = json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key });
            // With a key of the bucket, S3 asks KMS once for many objects.
            let rules = json!([{ "ServerSideEncryptionByDefault": default, "BucketKeyEnabled": true }]);
            properties["BucketEncryption"]["ServerSideEncryptionConfiguration"] = rules;
        }
        "AWS::SQS::Queue" => {
            properties["KmsMasterKeyId"] = key.into();
            // SQS takes one or the other.
            properties.as_object_mut().map(|properties| properties.remove("SqsManagedSseEnabled"));
        }
        _ => {}
    }
}

/// A service that uses the stack's key by the key's own policy, not by a role of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The service, without `amazonaws.com`. CloudWatch Logs has one in each Region.
    pub service: &'static str,
    /// What for.
    pub purpose: &'static str,
}

/// Returns the services that the policy of the stack's key must allow to use it.
///
/// Sources: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html>
pub fn key_users(config: &RoutingConfig) -> Vec<KeyUse> {
    let has_sender =
        |of: fn(&Sender<'_>) -> bool| created_queues(config).any(|queue| config.stack.senders(queue).iter().any(of));
    let has_rules = !rules(config).is_empty() || functions(config).contains(&Function::TaskLifecycle);
    let has_buckets = created_queues(config).any(|queue| {
        let routes = config.routes.iter().filter(|route| route.queue().is_some_and(|known| known.is(queue)));
        routes.filter_map(|route| route.event_pattern()).any(|pattern| !pattern.buckets.is_empty())
    });
    let all = [
        (true, KeyUse { service: "logs", purpose: "the functions' log groups" }),
        (
            has_rules || has_sender(|sender| matches!(sender, Sender::Rule(_))),
            KeyUse { service: "events", purpose: "what rules send to queues" },
        ),
        (
            has_buckets || has_sender(|sender| matches!(sender, Sender::Bucket(_) | Sender::Account(_))),
            KeyUse { service: "s3", purpose: "what buckets send to queues" },
        ),
        (
            has_sender(|sender| matches!(sender, Sender::Topic(_))),
            KeyUse { service: "sns", purpose: "what topics send to queues" },
        ),
    ];
    all.into_iter().filter(|(is_used, _)| *is_used).map(|(_, of)| of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use crate::stack::{stack, storage};
    use crate::{OfAccount, Parameters, changes, key_users, stack_of_account, tags};

    fn templates(settings: &str) -> [Value; 2] {
        let text = format!(
            "version: 1\nstorage: {{ bucket: state }}\nstack: {{ {settings} }}\ntasks: {{ t: {{ task_definition: t, overrides: {{ task_role_arn: a/b }} }} }}\n\
             routes: [{{ name: s, on: {{ schedule: rate(1 hour) }}, run: t }}, {{ name: q, on: {{ queue: q }}, run: t }}]\n"
        );
        let config =
            RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"));
        [stack(&config, &BTreeMap::new()).to_json(), storage(&config).expect("has a bucket").to_json()]
    }

    fn of_type<'a>(template: &'a Value, kind: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let resources = template["Resources"].as_object().expect("has resources").iter();
        resources.filter(move |(_, resource)| resource["Type"] == kind).map(|(id, of)| (id, &of["Properties"]))
    }

    #[test]
    fn every_role_has_the_boundary_and_the_path_and_passes_only_roles_of_their_own_paths() {
        let [template, _] = templates("permissions_boundary: limits/team, role_path: /team/");
        let mut roles = 0;
        for (id, role) in of_type(&template, "AWS::IAM::Role") {
            let boundary = "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/limits/team";
            assert_eq!(role["PermissionsBoundary"], json!({ "Fn::Sub": boundary }), "{id}");
            assert_eq!(role["Path"], "/team/", "{id}");
            roles += 1;
        }
        assert_eq!(roles, 4);
        // The path is that of the stack's roles: those of tasks, which the config names, keep theirs.
        let passed = template.to_string();
        assert!(passed.contains(":role/a/b") && !passed.contains(":role/team"), "{passed}");
        let [template, _] = templates("permissions_boundary: \"arn:aws:iam::111122223333:policy/b\"");
        let (_, role) = of_type(&template, "AWS::IAM::Role").next().expect("has a role");
        assert_eq!(role["PermissionsBoundary"], "arn:aws:iam::111122223333:policy/b");
        assert_eq!(role.get("Path"), None);
    }

    #[test]
    fn both_stacks_have_the_tags_and_a_changed_tag_is_a_change_of_the_stack() {
        let all = templates("tags: { team: images, cost: 4711 }");
        for template in &all {
            assert_eq!(
                tags(template),
                BTreeMap::from(
                    [("team", "images"), ("cost", "4711")].map(|(key, value)| (key.to_owned(), value.to_owned()))
                )
            );
        }
        let [before, _] = &all;
        let [after, _] = templates("tags: { team: other, more: x }");
        let parameters = Parameters::new();
        let changes = changes(Some((before, &parameters)), (&after, &parameters));
        let shown = changes.iter().flat_map(|change| {
            change
                .details
                .iter()
                .map(|detail| format!("{} {}: {:?} -> {:?}", change.kind, detail.path, detail.before, detail.after))
        });
        expect_test::expect![[r#"
            AWS::CloudFormation::Stack Tags.cost: Some("\"4711\"") -> None
            AWS::CloudFormation::Stack Tags.team: Some("\"images\"") -> Some("\"other\"")
            AWS::CloudFormation::Stack Tags.more: None -> Some("\"x\"")"#]]
        .assert_eq(&shown.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn stacks_side_by_side_share_no_name() {
        let named = |settings: &str, storage: &str| {
            let text = format!(
                "version: 1\nstorage: {{ bucket: {storage} }}\nstack: {{ {settings}, queues: {{ jobs: {{ queue: create }}, w.fifo: {{ queue: create }} }} }}\n\
                 tasks: {{ t: {{ task_definition: t }} }}\nworkers: [{{ service: s, queue: w.fifo, scaling: {{ max: 3, acceptable_latency: 1m }} }}]\n\
                 routes: [{{ name: e, on: {{ event_pattern: {{ source: [my.app] }} }}, run: t }}, {{ name: s, on: {{ schedule: rate(1 hour) }}, run: t }}, {{ name: q, on: {{ queue: jobs }}, run: t }}]\n"
            );
            let config =
                RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"));
            let stack_name = config.stack.name().to_owned();
            let body = |template: crate::Template| crate::Body {
                stack: stack_name.clone(),
                template: template.to_json(),
                parameters: Parameters::new(),
            };
            let mut names = crate::check::names(&body(stack(&config, &BTreeMap::new())));
            names.extend(crate::check::names(&body(storage_of(&config))));
            names
        };
        let stacks = [
            named("name: images", "images-state"),
            named("name: images, name_prefix: staging-", "staging-state"),
            named("name: images, name_prefix: images-", "images-images-state"),
            named("name: images-2, name_prefix: other-", "other-state"),
        ];
        for (at, one) in stacks.iter().enumerate() {
            assert!(one.len() > 20, "{one:?}");
            for other in &stacks[at + 1..] {
                assert_eq!(one.intersection(other).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
            }
        }
    }

    fn storage_of(config: &RoutingConfig) -> crate::Template {
        storage(config).expect("has a bucket")
    }

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k";

    #[test]
    fn everything_that_is_stored_has_the_key() {
        let mut shown = String::new();
        for template in templates(&format!("kms_key: \"{KEY}\"")) {
            for (id, resource) in template["Resources"].as_object().expect("has resources") {
                let properties = &resource["Properties"];
                let encryption = [
                    "KmsMasterKeyId",
                    "SqsManagedSseEnabled",
                    "KmsKeyId",
                    "KmsKeyArn",
                    "SSESpecification",
                    "BucketEncryption",
                ];
                for (name, value) in encryption.iter().filter_map(|name| Some((name, properties.get(*name)?))) {
                    shown.push_str(&format!("{id} {name} {}\n", value.to_string().replace(KEY, "KEY")));
                }
            }
        }
        expect_test::expect![[r#"
            DeadLetters KmsMasterKeyId "KEY"
            WorkFailed KmsMasterKeyId "KEY"
            Work KmsMasterKeyId "KEY"
            ScheduleTriggerLogs KmsKeyId "KEY"
            ScheduleTrigger KmsKeyArn "KEY"
            SqsTriggerLogs KmsKeyId "KEY"
            SqsTrigger KmsKeyArn "KEY"
            TaskLifecycleLogs KmsKeyId "KEY"
            TaskLifecycle KmsKeyArn "KEY"
            Storage BucketEncryption {"ServerSideEncryptionConfiguration":[{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"KEY"},"BucketKeyEnabled":true}]}
            Table SSESpecification {"SSEEnabled":true,"SSEType":"KMS","KMSMasterKeyId":"KEY"}
        "#]].assert_eq(&shown);
    }

    #[test]
    fn roles_use_only_the_keys_of_what_they_read_and_write() {
        let of = |settings: &str, known: Option<&OfAccount>| {
            let text = format!(
                "version: 1\nstorage: {{ bucket: state }}\nstack: {{ {settings} }}\ntasks: {{ t: {{ task_definition: t }} }}\n\
                 routes: [{{ name: s, on: {{ schedule: rate(1 hour) }}, run: t }}, {{ name: q, on: {{ queue: q }}, run: t }}]\n\
                 workers: [{{ service: s, queue: w, scaling: {{ max: 3, acceptable_latency: 1m }} }}]\n"
            );
            let config =
                RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"));
            let template = match known {
                Some(known) => stack_of_account(&config, &BTreeMap::new(), known),
                None => stack(&config, &BTreeMap::new()),
            };
            let findings = crate::check(&crate::Body {
                stack: "s".to_owned(),
                template: template.to_json(),
                parameters: Parameters::new(),
            });
            assert!(findings.is_empty(), "{findings:?}");
            let mut shown = String::new();
            for (id, role) in of_type(&template.to_json(), "AWS::IAM::Role") {
                for statement in role["Policies"][0]["PolicyDocument"]["Statement"].as_array().into_iter().flatten() {
                    if statement.to_string().contains("kms:") {
                        shown.push_str(&format!("{id} {statement}\n"));
                    }
                }
            }
            shown
        };
        let known = OfAccount {
            queue_keys: ["arn:q".to_owned()].into(),
            bucket_key: Some("arn:b".to_owned()),
            ..OfAccount::default()
        };
        expect_test::expect![[r#"
            SqsTriggerRole {"Sid":"UseKeysOfQueues","Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:q"}
        "#]]
        .assert_eq(&of("", Some(&known)));
        expect_test::expect![[r#"
            SqsTriggerRole {"Fn::If":["HasAdoptedKeys",{"Sid":"UseAdoptedKeys","Effect":"Allow","Action":"kms:Decrypt","Resource":{"Ref":"AdoptedKeys"}},{"Ref":"AWS::NoValue"}]}
        "#]].assert_eq(&of("", None));
        expect_test::expect![[r#"
            ScheduleTriggerRole {"Sid":"UseKeyOfBucket","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:b"}
            SqsTriggerRole {"Sid":"UseKeysOfQueues","Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:q"}
            SqsTriggerRole {"Sid":"UseKeyOfBucket","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:b"}
            TaskLifecycleRole {"Sid":"UseKeyOfBucket","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:b"}
            QueueScalerRole {"Sid":"UseKeyOfBucket","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:b"}
        "#]].assert_eq(&of("storage_bucket: adopt", Some(&known)));
        expect_test::expect![[r#""#]].assert_eq(&of("queues: { q: { queue: create } }", None));
        expect_test::expect![[r#"
            ScheduleTriggerRole {"Sid":"UseKey","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:kms:eu-west-1:111122223333:key/k"}
            SqsTriggerRole {"Sid":"UseKey","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:kms:eu-west-1:111122223333:key/k"}
            TaskLifecycleRole {"Sid":"UseKey","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:kms:eu-west-1:111122223333:key/k"}
            QueueScalerRole {"Sid":"UseKey","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:kms:eu-west-1:111122223333:key/k"}
            SchedulesRole {"Sid":"UseKey","Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:kms:eu-west-1:111122223333:key/k"}
        "#]].assert_eq(&of(
            &format!("kms_key: \"{KEY}\", queues: {{ q: {{ queue: create }} }}"),
            Some(&OfAccount::default()),
        ));
    }

    #[test]
    fn every_function_is_in_the_vpc_and_its_code_may_not_use_what_lambda_may() {
        let [template, _] = templates("vpc: { subnets: [subnet-1, subnet-2], security_groups: [sg-1] }");
        let placed = json!({ "SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"] });
        assert!(of_type(&template, "AWS::Lambda::Function").all(|(_, function)| function["VpcConfig"] == placed));
        let (_, role) = of_type(&template, "AWS::IAM::Role").find(|(id, _)| *id == "SqsTriggerRole").expect("is there");
        let all = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().expect("is a list");
        let of_ec2 = all.iter().filter(|statement| statement.to_string().contains("ec2:"));
        let shown =
            of_ec2.map(|of| format!("{} {} {}\n", of["Sid"], of["Effect"], of["Condition"])).collect::<String>();
        expect_test::expect![[r#"
            "UseNetworkInterfaces" "Allow" null
            "NoInterfacesByCode" "Deny" {"ArnEquals":{"lambda:SourceFunctionArn":{"Fn::Sub":"arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-sqs-trigger"}}}
        "#]].assert_eq(&shown);
    }

    #[test]
    fn the_policy_of_the_key_allows_the_services_that_use_it_themselves() {
        let of = |on: &str, queue: &str| {
            let text = format!(
                "version: 1\nstack: {{ queues: {{ q: {{ queue: create{queue} }} }} }}\ntasks: {{ t: {{ task_definition: t }} }}\n\
                 routes: [{{ name: q, on: {{ queue: q{on} }}, run: t }}]\n"
            );
            let config =
                RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"));
            key_users(&config).iter().map(|user| user.service).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("", ""), "logs");
        assert_eq!(of(", s3: { bucket: b }", ""), "logs s3");
        let senders =
            ", senders: [\"arn:aws:sns:eu-west-1:111122223333:t\", \"arn:aws:events:eu-west-1:111122223333:rule/r\"]";
        assert_eq!(of("", senders), "logs events sns");
    }

    #[test]
    fn the_class_of_a_log_group_never_changes_so_another_class_has_another_group() {
        let [standard, _] = templates("log_class: STANDARD");
        let [infrequent, _] = templates("log_class: INFREQUENT_ACCESS");
        let groups = |template: &Value| {
            let groups = of_type(template, "AWS::Logs::LogGroup");
            groups
                .map(|(id, group)| format!("{id} {} {}\n", group["LogGroupName"]["Fn::Sub"], group["LogGroupClass"]))
                .collect::<String>()
        };
        expect_test::expect![[r#"
            ScheduleTriggerLogs "/aws/lambda/${AWS::StackName}-schedule-trigger" null
            SqsTriggerLogs "/aws/lambda/${AWS::StackName}-sqs-trigger" null
            TaskLifecycleLogs "/aws/lambda/${AWS::StackName}-task-lifecycle" null
            ScheduleTriggerInfrequentLogs "/aws/lambda/${AWS::StackName}-schedule-trigger-infrequent" "INFREQUENT_ACCESS"
            SqsTriggerInfrequentLogs "/aws/lambda/${AWS::StackName}-sqs-trigger-infrequent" "INFREQUENT_ACCESS"
            TaskLifecycleInfrequentLogs "/aws/lambda/${AWS::StackName}-task-lifecycle-infrequent" "INFREQUENT_ACCESS"
        "#]].assert_eq(&(groups(&standard) + &groups(&infrequent)));
        let logs = |template: &Value| {
            let functions = of_type(template, "AWS::Lambda::Function");
            functions.map(|(_, function)| function["LoggingConfig"].to_string()).collect::<Vec<_>>().join("\n")
        };
        expect_test::expect![[r#"
            null
            null
            null
            {"LogGroup":{"Ref":"ScheduleTriggerInfrequentLogs"}}
            {"LogGroup":{"Ref":"SqsTriggerInfrequentLogs"}}
            {"LogGroup":{"Ref":"TaskLifecycleInfrequentLogs"}}"#]]
        .assert_eq(&(logs(&standard) + "\n" + &logs(&infrequent)));
        // An alarm on a metric from logs would never go off.
        let alarms = |template: &Value| {
            let of_ours =
                of_type(template, "AWS::CloudWatch::Alarm").filter(|(_, alarm)| alarm["Namespace"] == "ecs-trigger");
            of_ours.count()
        };
        assert_eq!([alarms(&standard), alarms(&infrequent)], [4, 0]);
        assert!(standard.to_string().contains("Latency from event to launch"));
        assert!(!infrequent.to_string().contains("\\\"ecs-trigger\\\""), "{infrequent}");
    }
}
