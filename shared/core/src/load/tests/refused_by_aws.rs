//! Values that AWS would refuse when the stack is deployed, or that would be lost there.

use expect_test::expect;

use super::{check, check_with_variables, with_on, with_task};

/// Returns a valid config with these settings of its stack, and two routes on queues.
fn with_stack(stack: &str, queues: [&str; 2]) -> String {
    let [one, two] = queues;
    format!(
        "version: 1\nstack: {stack}\ntasks: {{ t: {{ task_definition: family }} }}\nroutes:\n  - {{ name: a, on: {{ queue: \"{one}\" }}, run: t }}\n  - {{ name: b, on: {{ queue: \"{two}\" }}, run: t }}\n"
    )
}

#[test]
fn a_variable_has_a_name_that_lambda_takes() {
    let task = |name: &str| {
        format!("version: 1\ntasks: {{ t: {{ task_definition: \"${{env:{name}:-family}}\" }} }}\nroutes: []\n")
    };
    check_with_variables(
        &task("_X"),
        expect![
            "c.yaml:2:33: error: a Lambda function cannot have an environment variable `_X` (rename it: begin with a letter, and use at least two characters)"
        ],
    );
    check_with_variables(
        &task("X"),
        expect![
            "c.yaml:2:33: error: a Lambda function cannot have an environment variable `X` (rename it: begin with a letter, and use at least two characters)"
        ],
    );
    check_with_variables(&task("X_"), expect!["family None None"]);
}

#[test]
fn managed_instances_are_a_capacity_provider() {
    check(
        &with_task("    launch_type: MANAGED_INSTANCES"),
        expect![
            "c.yaml:5:18: error: ECS takes managed instances as a capacity provider, not as a launch type (write `capacity_provider_strategy: [{ capacity_provider: NAME, weight: 1 }]`, with the name of the cluster's capacity provider)"
        ],
    );
    check(
        &with_task("    capacity: [{ launch_type: MANAGED_INSTANCES }, { launch_type: EC2 }]"),
        expect![
            "c.yaml:5:31: error: ECS takes managed instances as a capacity provider, not as a launch type (write `capacity_provider_strategy: [{ capacity_provider: NAME, weight: 1 }]`, with the name of the cluster's capacity provider)"
        ],
    );
}

#[test]
fn s3_notifies_no_fifo_queue() {
    check(
        &with_on("{ queue: jobs.fifo, s3: { bucket: uploads } }"),
        expect![[r#"
        c.yaml:5:18: warning: S3 cannot notify a FIFO queue (use a standard queue; or let an EventBridge rule send the bucket's events to the queue, and write `event_pattern` instead of `s3`)
        valid: routes r"#]],
    );
    check(&with_on("{ queue: jobs, s3: { bucket: uploads } }"), expect!["valid: routes r"]);
}

#[test]
fn no_route_takes_what_the_stack_creates_for_dead_letters() {
    let created = "{ name: images, queues: { jobs: { queue: create }, ordered.fifo: { queue: create } } }";
    let message = |queues| with_stack(created, queues);
    check(&message(["jobs", "ordered.fifo"]), expect!["valid: routes a, b"]);
    check(
        &message(["jobs", "jobs-dead-letters"]),
        expect![[r#"
        c.yaml:2:59: error: no route or worker uses a queue `ordered.fifo` (write the name of a queue that a route or worker uses, or remove this entry)
        c.yaml:6:29: error: the stack creates `jobs-dead-letters` for dead letters, which no route can take (read the dead letters and send them again, or use a queue that the stack does not create)"#]],
    );
    check(
        &message(["ordered.fifo", "ordered-dead-letters.fifo"]),
        expect![[r#"
        c.yaml:2:34: error: no route or worker uses a queue `jobs` (write the name of a queue that a route or worker uses, or remove this entry)
        c.yaml:6:29: error: the stack creates `ordered-dead-letters.fifo` for dead letters, which no route can take (read the dead letters and send them again, or use a queue that the stack does not create)"#]],
    );
    check(
        &with_stack("{ name: images }", ["images-dead-letters", "jobs-dead-letters"]),
        expect![
            "c.yaml:5:29: error: the stack creates `images-dead-letters` for dead letters, which no route can take (read the dead letters and send them again, or use a queue that the stack does not create)"
        ],
    );
    check(
        &with_on("{ queue: ecs-trigger-dead-letters }"),
        expect![
            "c.yaml:5:18: error: the stack creates `ecs-trigger-dead-letters` for dead letters, which no route can take (read the dead letters and send them again, or use a queue that the stack does not create)"
        ],
    );
}

#[test]
fn all_queues_of_routes_and_the_topic_are_in_one_region() {
    let queue = |region: &str| format!("arn:aws:sqs:{region}:111122223333:jobs");
    let topic = |region: &str| format!("{{ alarm_topic: \"arn:aws:sns:{region}:111122223333:alarms\" }}");
    let (seoul, tokyo) = ("ap-northeast-2", "ap-northeast-1");
    check(&with_stack(&topic(seoul), [&queue(seoul), "other"]), expect!["valid: routes a, b"]);
    check(
        &with_stack(&topic(tokyo), [&queue(seoul), "other"]),
        expect![
            "c.yaml:2:23: error: this is in the Region ap-northeast-1, but another queue of a route is in ap-northeast-2 (write a config for each Region: functions and alarms use only queues and topics of their own)"
        ],
    );
    check(
        &with_stack("{}", [&queue(seoul), &queue(tokyo)]),
        expect![
            "c.yaml:6:29: error: this is in the Region ap-northeast-1, but another queue of a route is in ap-northeast-2 (write a config for each Region: functions and alarms use only queues and topics of their own)"
        ],
    );
}

#[test]
fn alarms_notify_a_topic() {
    for topic in ["alarms", "arn:aws:sqs:eu-west-1:111122223333:alarms", "arn:aws:sns::111122223333:alarms"] {
        let source =
            crate::text::Source::new("c.yaml", with_stack(&format!("{{ alarm_topic: \"{topic}\" }}"), ["a", "b"]));
        let problems = crate::routing::RoutingConfig::parse(source).expect_err("is no topic");
        let said = format!("`{topic}` is not the ARN of an SNS topic");
        assert!(problems.iter().any(|problem| problem.message == said), "{problems:?}");
    }
}

#[test]
fn senders_are_topics_rules_buckets_and_accounts() {
    let of_queue = |queue: &str, settings: &str| {
        with_stack(&format!("{{ queues: {{ {queue}: {{ {settings} }} }} }}"), [queue, "other"])
    };
    let all = "senders: [\"arn:aws:sns:eu-west-1:111122223333:t\", \"arn:aws:events:eu-west-1:111122223333:rule/r\", \"arn:aws:s3:::b\", \"111122223333\"]";
    check(&of_queue("jobs", &format!("queue: create, {all}")), expect!["valid: routes a, b"]);
    check(
        &of_queue("jobs.fifo", &format!("queue: create, {all}")),
        expect![[r#"
        c.yaml:2:146: error: S3 cannot notify a FIFO queue (let an EventBridge rule send the bucket's events, and write the rule's ARN)
        c.yaml:2:164: error: S3 cannot notify a FIFO queue (let an EventBridge rule send the bucket's events, and write the rule's ARN)"#]],
    );
    check(
        &of_queue("jobs", "senders: \"111122223333\""),
        expect![
            "c.yaml:2:37: error: `senders` is only valid with `queue: create` (write the policy of a queue that exists where the queue is defined)"
        ],
    );
    check(
        &of_queue("jobs", "queue: create, senders: [uploads, \"arn:aws:events:eu-west-1:111122223333:event-bus/b\"]"),
        expect![[r#"
            c.yaml:2:53: error: `uploads` is neither the ARN of a topic, rule or bucket nor an account id (write for example `arn:aws:sns:eu-west-1:111122223333:orders`, `arn:aws:events:eu-west-1:111122223333:rule/orders`, `arn:aws:s3:::uploads` or `111122223333`)
            c.yaml:2:62: error: `arn:aws:events:eu-west-1:111122223333:event-bus/b` is neither the ARN of a topic, rule or bucket nor an account id (write for example `arn:aws:sns:eu-west-1:111122223333:orders`, `arn:aws:events:eu-west-1:111122223333:rule/orders`, `arn:aws:s3:::uploads` or `111122223333`)"#]],
    );
}
