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
    check_with_variables(&task("X_"), expect!["family 1 None"]);
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
            "c.yaml:2:23: error: this is in the Region ap-northeast-1, but another part of the stack is in ap-northeast-2 (write a config for each Region: a stack uses only queues, topics and keys of its own)"
        ],
    );
    check(
        &with_stack("{}", [&queue(seoul), &queue(tokyo)]),
        expect![
            "c.yaml:6:29: error: this is in the Region ap-northeast-1, but another part of the stack is in ap-northeast-2 (write a config for each Region: a stack uses only queues, topics and keys of its own)"
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

#[test]
fn what_an_account_demands_of_the_stack_is_checked() {
    let of = |settings: &str| with_stack(settings, ["a", "b"]);
    check(
        &of(
            "{ tags: { team: images, cost-center: 4711 }, permissions_boundary: team/boundary, role_path: /team/, name_prefix: team-, log_class: STANDARD }",
        ),
        expect!["valid: routes a, b"],
    );
    check(
        &of(
            "{ tags: { \"aws:x\": a, b: \"{{ key }}\", \"\": c }, permissions_boundary: \"arn:aws:iam::1:role/x\", role_path: team, name_prefix: 1-, log_class: RARE }",
        ),
        expect![[r#"
            c.yaml:2:18: error: the tag `aws:x` has the prefix `aws:`, which AWS reserves (rename it)
            c.yaml:2:33: error: a tag's value cannot contain `{` (use letters, digits, spaces and `_ . : / = + - @`)
            c.yaml:2:46: error: the tag has an empty key (write a key)
            c.yaml:2:77: error: `arn:aws:iam::1:role/x` is neither the ARN nor the name of a policy (write for example `arn:aws:iam::111122223333:policy/team-boundary` or `team-boundary`)
            c.yaml:2:113: error: `team` is not the path of a role (begin and end with `/`, for example `/team/`)
            c.yaml:2:132: error: `1-` is not a valid prefix of names (begin with a letter; use at most 20 letters, digits and `-`)
            c.yaml:2:147: error: unknown value `RARE` (choose from `STANDARD` and `INFREQUENT_ACCESS`)"#]],
    );
    check(
        &of("{ permissions_boundary: \"arn:aws:iam::aws:policy/PowerUserAccess\", role_path: / }"),
        expect!["valid: routes a, b"],
    );
    check(
        &of("{ log_class: INFREQUENT_ACCESS }"),
        expect![[r#"
        c.yaml:2:21: warning: log groups of the class `INFREQUENT_ACCESS` have no metrics: the stack has no alarms on failed launches, unsent dead letters, refused configs and unseen workers (write `STANDARD` to have them; alarms on queues, the table and the functions' errors stay)
        valid: routes a, b"#]],
    );
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    check(&of(&format!("{{ kms_key: \"{key}\" }}")), expect!["valid: routes a, b"]);
    check(
        &of("{ kms_key: alias/team }"),
        expect![
            "c.yaml:2:19: error: `alias/team` is not the ARN of a KMS key (write for example `arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`: log groups and policies take no alias)"
        ],
    );
    check(
        &with_stack(&format!("{{ kms_key: \"{key}\" }}"), ["arn:aws:sqs:eu-west-2:111122223333:a", "b"]),
        expect![
            "c.yaml:2:19: error: this is in the Region eu-west-1, but another part of the stack is in eu-west-2 (write a config for each Region: a stack uses only queues, topics and keys of its own)"
        ],
    );
    check(&of("{ vpc: { subnets: [subnet-1, subnet-2], security_groups: [sg-1] } }"), expect!["valid: routes a, b"]);
    check(
        &of("{ vpc: { subnets: [sg-1], security_groups: [] } }"),
        expect![[r#"
        c.yaml:2:15: error: `security_groups` has 0 ids (write 1 to 5)
        c.yaml:2:27: error: `sg-1` is not an id of `subnets` (write for example `subnet-0a1b2c3d`)"#]],
    );
    check(
        &of("{ vpc: { subnets: \"subnet-1\" } }"),
        expect![[r#"
        c.yaml:2:15: error: missing key `security_groups` (add `security_groups: ...`, a list)
        c.yaml:2:15: error: `security_groups` has 0 ids (write 1 to 5)
        c.yaml:2:26: error: expected a list, found a string (write `[subnet-1]`)"#]],
    );
    let tags = |count: usize| (0..count).map(|tag| format!("t{tag}: x")).collect::<Vec<_>>().join(", ");
    check(&of(&format!("{{ tags: {{ {} }} }}", tags(50))), expect!["valid: routes a, b"]);
    check(
        &of(&format!("{{ tags: {{ {} }} }}", tags(51))),
        expect!["c.yaml:2:408: error: 51 tags, but AWS allows at most 50 (remove some)"],
    );
}

#[test]
fn names_begin_with_the_prefix() {
    use crate::routing::RoutingConfig;
    use crate::text::Source;
    let text = "
version: 1
stack: { name: images, name_prefix: team-, queues: { jobs: { queue: create }, team-work: { queue: create }, theirs: {} } }
storage: { bucket: team-state }
tasks: { t: { task_definition: family, overrides: { container_overrides: [{ name: app }] } } }
routes:
  - { name: a, on: { queue: jobs }, run: t }
  - { name: b, on: { queue: theirs }, run: t }
workers: [{ run: t, queue: team-work, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }]
local: { queues: { jobs: { folder: in } } }
tests: [{ name: m, message: { queue: jobs, body: x }, expect: { route: a } }]
";
    let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("is valid");
    assert_eq!(config.stack.name(), "team-images");
    let named = config.all_queues().into_iter();
    let shown: Vec<String> =
        named.map(|queue| format!("{} {}", queue.name, config.stack.queue(queue).is_created)).collect();
    assert_eq!(shown, ["team-jobs true", "theirs false", "team-work true"]);
    assert!(config.local.iter().flat_map(|local| &local.queues).all(|queues| queues.get("team-jobs").is_some()));
    let message = config.tests[0].message.as_ref().expect("is a message");
    assert_eq!(message.queue.as_str(), "team-jobs", "the message arrives at its route");

    check(
        &text.replace("team-work:", "team-jobs:"),
        expect![
            "c.yaml:3:37: error: the stack would create two queues of the name `team-jobs` (rename the queue `jobs`)"
        ],
    );
    check(
        &text.replace("bucket: team-state", "bucket: state"),
        expect![
            "c.yaml:4:20: error: the bucket `state` does not begin with `team-` (write `team-state`, or adopt a bucket that exists)"
        ],
    );
    check(
        &text.replace("team-state }", "state }").replace("name: images", "name: images, storage_bucket: adopt"),
        expect![
            "c.yaml:4:20: error: the table `state` does not begin with `team-` (add `table: team-state` to `storage`)"
        ],
    );
    check(
        &text
            .replace("team-state }", "state }\nledger: off")
            .replace("name: images", "name: images, storage_bucket: adopt"),
        expect!["valid: routes a, b"],
    );
    check(
        &text.replace("name: images", &format!("name: {}", "i".repeat(36))),
        expect![
            "c.yaml:3:16: error: `team-iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii` is not a valid stack name (begin with a letter; use at most 40 letters, digits and `-`)"
        ],
    );
}

#[test]
fn a_variable_stands_for_all_subnets_of_the_functions() {
    let text = with_stack("{ vpc: { subnets: [\"${env:SUBNETS}\"], security_groups: [sg-1] } }", ["a", "b"]);
    let source = crate::text::Source::new("c.yaml", text);
    let variables = |name: &str| (name == "SUBNETS").then(|| "subnet-1,subnet-2".to_owned());
    let config = crate::routing::RoutingConfig::parse_with(source, &variables).expect("is valid");
    let vpc = config.stack.vpc.expect("is there");
    assert_eq!(vpc.subnets.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["subnet-1", "subnet-2"]);
}
