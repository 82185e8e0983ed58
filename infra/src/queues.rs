//! Adds the queues that the stack creates, and the event source mappings of the queues that routes are on and of the
//! work queue.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trigger_core::config::stack::Sender;
use trigger_core::event::{Queue, RECEIVES_MIN, visibility_timeout_min};
use trigger_core::routing::RoutingConfig;

use crate::function::Function;
use crate::names::{created_queues, dead_letters_id, id_of, queue_arn, queue_id, rules_of_this_stack};
use crate::storage::DEAD_LETTERS_OUTPUT;
use crate::template::{Template, attribute, reference, sub};

/// SQS's longest retention, in seconds: a dead letter waits until somebody redrives it.
const LONGEST_RETENTION_SECONDS: u32 = 1_209_600;

/// Adds the stack's dead-letter queue. The stack's rules may send it events that they cannot deliver.
pub(crate) fn add_dead_letters(template: &mut Template) {
    let queue = json!({
        "QueueName": sub("${AWS::StackName}-dead-letters"),
        "MessageRetentionPeriod": LONGEST_RETENTION_SECONDS,
        "SqsManagedSseEnabled": true,
    });
    template.resource("DeadLetters", "AWS::SQS::Queue", queue);
    template.resource(
        "DeadLettersPolicy",
        "AWS::SQS::QueuePolicy",
        json!({
            "Queues": [reference("DeadLetters")],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "RulesOfThisStack",
                        "Effect": "Allow",
                        "Principal": { "Service": "events.amazonaws.com" },
                        "Action": "sqs:SendMessage",
                        "Resource": attribute("DeadLetters", "Arn"),
                        "Condition": { "ArnLike": { "aws:SourceArn": rules_of_this_stack() } },
                    },
                    over_tls_only(attribute("DeadLetters", "Arn")),
                ],
            },
        }),
    );
    template.output(DEAD_LETTERS_OUTPUT, "URL of the dead-letter queue", reference("DeadLetters"));
}

/// The logical id of the work queue: launches that `task-lifecycle` continues.
pub(crate) const WORK_ID: &str = "Work";
/// The logical id of the queue with work that failed.
pub(crate) const FAILED_WORK_ID: &str = "WorkFailed";

/// The logical ids of the stack's own queues whose messages may be lost: they only name launches, which the table
/// holds.
pub const WORK_QUEUES: [&str; 2] = [WORK_ID, FAILED_WORK_ID];

/// SQS deletes work after this many seconds. It is long done by then: the sweep continues each launch that is due.
const WORK_RETENTION_SECONDS: u32 = 86_400;
/// This many invocations continue launches at once. They make as many calls as ECS accepts: more would only wait for
/// the rate that all functions share.
const CONTINUED_AT_ONCE: u32 = 5;

/// Adds the work queue, the queue with work that failed, and the mapping that invokes `task-lifecycle`.
pub(crate) fn add_work(template: &mut Template) {
    let failed = json!({
        "QueueName": sub("${AWS::StackName}-work-failed"),
        "MessageRetentionPeriod": LONGEST_RETENTION_SECONDS,
        "SqsManagedSseEnabled": true,
    });
    let work = json!({
        "QueueName": sub("${AWS::StackName}-work"),
        "VisibilityTimeout": visibility_timeout_min(0),
        "MessageRetentionPeriod": WORK_RETENTION_SECONDS,
        "SqsManagedSseEnabled": true,
        "RedrivePolicy": {
            "deadLetterTargetArn": attribute(FAILED_WORK_ID, "Arn"),
            "maxReceiveCount": RECEIVES_MIN,
        },
    });
    template.resource(FAILED_WORK_ID, "AWS::SQS::Queue", failed);
    template.resource(WORK_ID, "AWS::SQS::Queue", work);
    template.resource(
        &format!("{WORK_ID}Policy"),
        "AWS::SQS::QueuePolicy",
        json!({
            "Queues": [reference(WORK_ID)],
            "PolicyDocument": { "Version": "2012-10-17", "Statement": [over_tls_only(attribute(WORK_ID, "Arn"))] },
        }),
    );
    template.resource(
        &format!("{WORK_ID}Mapping"),
        "AWS::Lambda::EventSourceMapping",
        json!({
            "FunctionName": reference(Function::TaskLifecycle.id()),
            "EventSourceArn": attribute(WORK_ID, "Arn"),
            "BatchSize": 1,
            "ScalingConfig": { "MaximumConcurrency": CONTINUED_AT_ONCE },
        }),
    );
}

fn over_tls_only(resource: Value) -> Value {
    json!({
        "Sid": "OverTlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": resource,
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

/// Adds the queues that the stack creates, each with a dead-letter queue, and the mappings of the queues that routes
/// are on.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig) {
    for queue in created_queues(config) {
        add_queue(template, config, queue);
    }
    for queue in config.queues() {
        add_mapping(template, config, queue);
    }
}

fn add_queue(template: &mut Template, config: &RoutingConfig, queue: &Queue) {
    let (id, settings) = (queue_id(queue), config.stack.queue(queue));
    let dead_letters_id = dead_letters_id(queue);
    let mut dead_letters = json!({
        "QueueName": queue.dead_letters_name(),
        "MessageRetentionPeriod": LONGEST_RETENTION_SECONDS,
        "SqsManagedSseEnabled": true,
    });
    let mut properties = json!({
        "QueueName": queue.name,
        "VisibilityTimeout": settings.visibility_timeout,
        // The maximum: no message may expire while somebody fixes a fault.
        "MessageRetentionPeriod": LONGEST_RETENTION_SECONDS,
        "SqsManagedSseEnabled": true,
        "RedrivePolicy": {
            "deadLetterTargetArn": attribute(&dead_letters_id, "Arn"),
            "maxReceiveCount": settings.max_receive_count,
        },
    });
    if queue.is_fifo() {
        dead_letters["FifoQueue"] = true.into();
        properties["FifoQueue"] = true.into();
        properties["ContentBasedDeduplication"] = true.into();
    }
    template.resource(&dead_letters_id, "AWS::SQS::Queue", dead_letters);
    template.resource(&id, "AWS::SQS::Queue", properties);
    let mut statements = vec![over_tls_only(attribute(&id, "Arn"))];
    statements.extend(senders(config, queue, &attribute(&id, "Arn")));
    template.resource(
        &format!("{id}Policy"),
        "AWS::SQS::QueuePolicy",
        json!({
            "Queues": [reference(&id)],
            "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
        }),
    );
}

/// Returns the statements that allow others to send messages to a queue: the buckets of its routes, and its `senders`.
fn senders(config: &RoutingConfig, queue: &Queue, arn: &Value) -> Vec<Value> {
    let routes = config.routes.iter().filter(|route| route.queue().is_some_and(|known| known.is(queue)));
    let patterns = routes.filter_map(|route| route.event_pattern());
    // S3 cannot notify a FIFO queue.
    let named = patterns.filter(|_| !queue.is_fifo()).flat_map(|pattern| &pattern.buckets).collect::<BTreeSet<_>>();
    let mut buckets: Vec<Value> =
        named.into_iter().map(|bucket| sub(format!("arn:${{AWS::Partition}}:s3:::{bucket}"))).collect();
    let (mut topics, mut rules) = (Vec::new(), Vec::new());
    let mut accounts = vec![reference("AWS::AccountId")];
    for sender in config.stack.senders(queue) {
        match sender {
            Sender::Account(account) => accounts.push(account.into()),
            Sender::Bucket(arn) => buckets.push(arn.into()),
            Sender::Topic(arn) => topics.push(arn.into()),
            Sender::Rule(arn) => rules.push(arn.into()),
        }
    }
    let mut statements = Vec::new();
    for (sid, service, sources) in [
        ("Buckets", "s3.amazonaws.com", buckets),
        ("Topics", "sns.amazonaws.com", topics),
        ("Rules", "events.amazonaws.com", rules),
    ] {
        if sources.is_empty() {
            continue;
        }
        let mut condition = json!({ "ArnLike": { "aws:SourceArn": sources } });
        // A bucket's ARN has no account.
        if sid == "Buckets" {
            condition["StringEquals"] = json!({ "aws:SourceAccount": accounts });
        }
        statements.push(json!({
            "Sid": sid,
            "Effect": "Allow",
            "Principal": { "Service": service },
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": condition,
        }));
    }
    statements
}

fn add_mapping(template: &mut Template, config: &RoutingConfig, queue: &Queue) {
    let settings = config.stack.queue(queue);
    let mut mapping = json!({
        "FunctionName": reference(Function::SqsTrigger.id()),
        "EventSourceArn": queue_arn(config, queue),
        "BatchSize": settings.batch_size,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    if settings.batch_window > 0 {
        mapping["MaximumBatchingWindowInSeconds"] = settings.batch_window.into();
    }
    if let Some(maximum) = settings.maximum_concurrency {
        mapping["ScalingConfig"] = json!({ "MaximumConcurrency": maximum });
    }
    template.resource(&format!("Mapping{}", id_of(queue)), "AWS::Lambda::EventSourceMapping", mapping);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{WORK_ID, attribute, senders};
    use crate::{Function, stack};

    #[test]
    fn work_stays_hidden_for_six_times_the_functions_timeout_and_fails_into_a_queue_of_its_own() {
        let template = |ledger: &str| {
            let text = format!("version: 1\nstorage: {{ bucket: state }}\nledger: {ledger}\ntasks: {{}}\nroutes: []\n");
            let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
            stack(&config, &BTreeMap::new())
        };
        assert!(!template("off").resources().contains_key(WORK_ID));
        let template = template("on");
        let work = &template.resources()[WORK_ID]["Properties"];
        assert_eq!(work["VisibilityTimeout"], 6 * Function::TaskLifecycle.timeout_seconds());
        expect![[r#"
            {"QueueName":{"Fn::Sub":"${AWS::StackName}-work"},"VisibilityTimeout":360,"MessageRetentionPeriod":86400,"SqsManagedSseEnabled":true,"RedrivePolicy":{"deadLetterTargetArn":{"Fn::GetAtt":["WorkFailed","Arn"]},"maxReceiveCount":5}}
            {"FunctionName":{"Ref":"TaskLifecycle"},"EventSourceArn":{"Fn::GetAtt":["Work","Arn"]},"BatchSize":1,"ScalingConfig":{"MaximumConcurrency":5}}
        "#]].assert_eq(&format!("{}\n{}\n", work, template.resources()["WorkMapping"]["Properties"]));
    }

    #[test]
    fn a_created_queue_takes_messages_from_its_routes_buckets_and_its_senders() {
        let config = r#"
version: 1
stack:
  queues:
    plain: { queue: create }
    uploads: { queue: create }
    shared: { queue: create, senders: ["444455556666", "arn:aws:s3:::theirs", "arn:aws:sns:eu-west-1:111122223333:t", "arn:aws:events:eu-west-1:111122223333:rule/r"] }
    ordered.fifo: { queue: create, senders: "arn:aws:events:eu-west-1:111122223333:rule/r" }
tasks: { t: { task_definition: t } }
routes:
  - { name: plain, on: { queue: plain }, run: t }
  - { name: uploads, on: { queue: uploads, s3: { bucket: [a, b] } }, run: t }
  - { name: shared, on: { queue: shared, s3: { bucket: a } }, run: t }
  - { name: ordered, on: { queue: ordered.fifo, s3: { bucket: a } }, run: t }
"#;
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let line = |statement: &serde_json::Value| {
            format!("  {} {}\n", statement["Principal"]["Service"], statement["Condition"])
        };
        let shown = config.queues().into_iter().map(|queue| {
            let statements = senders(&config, queue, &attribute("Q", "Arn"));
            format!("{}\n{}", queue.name, statements.iter().map(line).collect::<String>())
        });
        expect![[r#"
            plain
            uploads
              "s3.amazonaws.com" {"ArnLike":{"aws:SourceArn":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::a"},{"Fn::Sub":"arn:${AWS::Partition}:s3:::b"}]},"StringEquals":{"aws:SourceAccount":[{"Ref":"AWS::AccountId"}]}}
            shared
              "s3.amazonaws.com" {"ArnLike":{"aws:SourceArn":[{"Fn::Sub":"arn:${AWS::Partition}:s3:::a"},"arn:aws:s3:::theirs"]},"StringEquals":{"aws:SourceAccount":[{"Ref":"AWS::AccountId"},"444455556666"]}}
              "sns.amazonaws.com" {"ArnLike":{"aws:SourceArn":["arn:aws:sns:eu-west-1:111122223333:t"]}}
              "events.amazonaws.com" {"ArnLike":{"aws:SourceArn":["arn:aws:events:eu-west-1:111122223333:rule/r"]}}
            ordered.fifo
              "events.amazonaws.com" {"ArnLike":{"aws:SourceArn":["arn:aws:events:eu-west-1:111122223333:rule/r"]}}
        "#]].assert_eq(&shown.collect::<String>());
    }
}
