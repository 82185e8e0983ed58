//! Says what to do after a deployment: where to look, and how to try it.

use trigger_core::config::stack::LogClass;
use trigger_core::event::Queue;
use trigger_core::routing::{EventSource, Route, RoutingConfig};

/// Returns what to do next, each with its name: the dashboard, the logs, the dead-letter queue, and how to try the
/// first route or worker.
pub(crate) fn afterwards(
    config: &RoutingConfig,
    region: &str,
    dead_letters: Option<&str>,
) -> Vec<(&'static str, String)> {
    let stack = config.stack.name();
    let mut next = vec![("dashboard", format!("{stack}-{region}, in CloudWatch"))];
    let functions = infra::functions(config);
    let log = |function: &infra::Function| {
        let group = function.log_group_name(&config.stack);
        (
            "log",
            match config.stack.log_class() {
                LogClass::Standard => format!("aws logs tail {group} --follow"),
                LogClass::InfrequentAccess => format!("{group}, in CloudWatch Logs Insights"),
            },
        )
    };
    next.extend(functions.iter().map(log));
    next.extend(dead_letters.map(|url| ("dead letters", url.to_owned())));
    let of_worker = || Some(send(config.workers.first()?.queues.first()?));
    next.extend(config.routes.first().map(attempt).or_else(of_worker).map(|how| ("try it", how)));
    next
}

/// Returns how to make a route start its tasks.
fn attempt(route: &Route) -> String {
    match &route.on {
        EventSource::Events(pattern) => match pattern.buckets.first() {
            Some(bucket) => {
                format!("aws s3 cp FILE s3://{bucket}/KEY  (an object that the route {} takes)", route.name)
            }
            None => {
                format!("aws events put-events --entries file://FILE  (an event that the route {} takes)", route.name)
            }
        },
        EventSource::Schedule(_) => format!("ecs-trigger schedule next  (when the route {} fires)", route.name),
        EventSource::Queue(source) => send(&source.queue),
    }
}

fn send(queue: &Queue) -> String {
    let group = if queue.is_fifo() { " --message-group-id GROUP" } else { "" };
    let url = format!("$(aws sqs get-queue-url --queue-name {} --query QueueUrl --output text)", queue.name);
    format!("aws sqs send-message --queue-url \"{url}\" --message-body BODY{group}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::afterwards;

    #[test]
    fn the_first_route_or_else_the_first_worker_says_how_to_try_it() {
        let lines = |routes: &str, workers: &str| {
            let text = format!(
                "version: 1\nstack: {{ name: images }}\ntasks: {{ t: {{ task_definition: t }} }}\nroutes: [{routes}]\nworkers: [{workers}]\n"
            );
            let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
            let next = afterwards(&config, "eu-west-1", Some("https://sqs/images-dead-letters"));
            next.into_iter().map(|(name, what)| format!("{name}: {what}\n")).collect::<String>()
        };
        let all = [
            lines("{ name: a, on: { s3: { bucket: b } }, run: t }", ""),
            lines("{ name: a, on: { event_pattern: { source: [my.app] } }, run: t }", ""),
            lines("{ name: a, on: { schedule: rate(1 hour) }, run: t }", ""),
            lines("{ name: a, on: { queue: jobs.fifo }, run: t }", ""),
            lines("", "{ service: s, queue: jobs, scaling: { max: 3, acceptable_latency: 1m } }"),
            lines("", ""),
        ];
        expect![[r#"
            dashboard: images-eu-west-1, in CloudWatch
            log: aws logs tail /aws/lambda/images-event-trigger --follow
            dead letters: https://sqs/images-dead-letters
            try it: aws s3 cp FILE s3://b/KEY  (an object that the route a takes)

            dashboard: images-eu-west-1, in CloudWatch
            log: aws logs tail /aws/lambda/images-event-trigger --follow
            dead letters: https://sqs/images-dead-letters
            try it: aws events put-events --entries file://FILE  (an event that the route a takes)

            dashboard: images-eu-west-1, in CloudWatch
            log: aws logs tail /aws/lambda/images-schedule-trigger --follow
            dead letters: https://sqs/images-dead-letters
            try it: ecs-trigger schedule next  (when the route a fires)

            dashboard: images-eu-west-1, in CloudWatch
            log: aws logs tail /aws/lambda/images-sqs-trigger --follow
            dead letters: https://sqs/images-dead-letters
            try it: aws sqs send-message --queue-url "$(aws sqs get-queue-url --queue-name jobs.fifo --query QueueUrl --output text)" --message-body BODY --message-group-id GROUP

            dashboard: images-eu-west-1, in CloudWatch
            log: aws logs tail /aws/lambda/images-queue-scaler --follow
            dead letters: https://sqs/images-dead-letters
            try it: aws sqs send-message --queue-url "$(aws sqs get-queue-url --queue-name jobs --query QueueUrl --output text)" --message-body BODY

            dashboard: images-eu-west-1, in CloudWatch
            dead letters: https://sqs/images-dead-letters
        "#]].assert_eq(&all.join("\n"));
    }
}
