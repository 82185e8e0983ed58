//! Adds the queues that the stack creates, and the event source mappings of the queues that routes are on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trigger_core::event::Queue;
use trigger_core::routing::RoutingConfig;

use crate::function::Function;
use crate::names::{dead_letters_id, id_of, queue_arn, queue_id, rules_of_this_stack};
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
    template.output("DeadLetters", "URL of the dead-letter queue", reference("DeadLetters"));
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
    for queue in config.queues().into_iter().chain(config.worker_queues()) {
        if config.stack.queue(queue).is_created {
            add_queue(template, config, queue);
        }
    }
    for queue in config.queues() {
        add_mapping(template, config, queue);
    }
}

fn add_queue(template: &mut Template, config: &RoutingConfig, queue: &Queue) {
    let (id, settings) = (queue_id(queue), config.stack.queue(queue));
    let dead_letters_id = dead_letters_id(queue);
    let (stem, suffix) = queue.name.strip_suffix(".fifo").map_or((queue.name.as_str(), ""), |stem| (stem, ".fifo"));
    let mut dead_letters = json!({
        "QueueName": format!("{stem}-dead-letters{suffix}"),
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
    if !suffix.is_empty() {
        dead_letters["FifoQueue"] = true.into();
        properties["FifoQueue"] = true.into();
        properties["ContentBasedDeduplication"] = true.into();
    }
    template.resource(&dead_letters_id, "AWS::SQS::Queue", dead_letters);
    template.resource(&id, "AWS::SQS::Queue", properties);
    let mut statements = vec![over_tls_only(attribute(&id, "Arn"))];
    let buckets = notifying_buckets(config, queue);
    if !buckets.is_empty() {
        let arns = buckets.iter().map(|bucket| sub(format!("arn:${{AWS::Partition}}:s3:::{bucket}")));
        statements.push(json!({
            "Sid": "BucketsOfRoutes",
            "Effect": "Allow",
            "Principal": { "Service": "s3.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": attribute(&id, "Arn"),
            "Condition": {
                "StringEquals": { "aws:SourceAccount": reference("AWS::AccountId") },
                "ArnLike": { "aws:SourceArn": arns.collect::<Vec<_>>() },
            },
        }));
    }
    template.resource(
        &format!("{id}Policy"),
        "AWS::SQS::QueuePolicy",
        json!({
            "Queues": [reference(&id)],
            "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
        }),
    );
}

/// Returns the buckets whose notifications a queue's routes take.
fn notifying_buckets<'a>(config: &'a RoutingConfig, queue: &Queue) -> BTreeSet<&'a str> {
    let routes = config.routes.iter().filter(|route| route.queue().is_some_and(|known| known.is(queue)));
    let patterns = routes.filter_map(|route| route.event_pattern());
    patterns.flat_map(|pattern| pattern.buckets.iter().map(String::as_str)).collect()
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
