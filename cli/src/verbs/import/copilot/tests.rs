//! Tests of the conversion of manifests. Most go through [`check`], which shows the config and the notes.

use expect_test::{Expect, expect};
use serde_json::Value;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, yaml};

use super::{Imported, Names, import, schedule};

fn names() -> Names {
    Names { app: "shop".into(), env: "prod".into(), ..Names::default() }
}

fn imported(manifests: &[&str], names: &Names) -> Result<(Imported, Source), String> {
    let mut source = Source::new("a.yml", manifests[0]);
    manifests.iter().skip(1).for_each(|manifest| source.include("b.yml", manifest));
    let nodes: Vec<_> =
        source.parts().map(|part| yaml::parse_with_merge_keys(part.start, part.text).0.expect("is YAML")).collect();
    match import(&nodes, names) {
        Ok(imported) => {
            let config = serde_saphyr::to_string(&imported.config).expect("is written");
            let parsed = RoutingConfig::parse_with(Source::new("c.yaml", config.clone()), &|name| Some(name.into()));
            parsed.unwrap_or_else(|problems| panic!("{problems:#?}\n{config}"));
            Ok((imported, source))
        }
        Err(problems) => Err(problems.iter().map(|problem| format!("{}\n", problem.line(&source))).collect()),
    }
}

/// Returns each note's place and key, and with `texts` also what it says.
fn notes(imported: &Imported, source: &Source, texts: bool) -> String {
    let line = |note: &super::Note| {
        let place = note.span.map_or("-".to_owned(), |span| source.place(span));
        let text = if texts { format!(": {}", note.text) } else { String::new() };
        format!("{place} {}{text}\n", note.key)
    };
    imported.notes.iter().map(line).collect()
}

/// Imports manifests for the environment `prod`, checks that the config is valid, and compares it and the notes' places
/// and keys.
fn check(manifests: &[&str], expected: &Expect) {
    let shown = imported(manifests, &names()).map(|(imported, source)| {
        let config = serde_saphyr::to_string(&imported.config).expect("is written");
        format!("{config}---\n{}", notes(&imported, &source, false))
    });
    expected.assert_eq(&shown.unwrap_or_else(|problems| problems));
}

/// Imports a job with these settings, and compares one value of its task, and the notes on keys that contain `about`.
fn check_job(settings: &str, pointer: &str, about: &str, expected: &Expect) {
    let manifest = format!("name: j\ntype: Scheduled Job\n{settings}");
    let manifest =
        if settings.contains("schedule:") { manifest } else { format!("{manifest}\non: {{ schedule: '@daily' }}") };
    check_part(&manifest, pointer, about, expected);
}

/// Imports a worker with these settings, and compares its queue and scaling, and the notes on keys that contain `about`.
fn check_worker(settings: &str, about: &str, expected: &Expect) {
    check_part(&format!("name: w\ntype: Worker Service\n{settings}"), "/workers/0/scaling", about, expected);
}

fn check_part(manifest: &str, pointer: &str, about: &str, expected: &Expect) {
    let shown = imported(&[manifest], &names()).map(|(imported, source)| {
        let value = imported.config.pointer(pointer).unwrap_or(&Value::Null);
        let all = notes(&imported, &source, true);
        let notes: String = all.lines().filter(|line| line.contains(about)).map(|line| format!("{line}\n")).collect();
        format!("{value}\n{notes}")
    });
    expected.assert_eq(&shown.unwrap_or_else(|problems| problems));
}

const REPORT: &str = r#"name: report
type: Scheduled Job
on:
  schedule: "@daily"
cpu: 256
memory: 512
retries: 3
timeout: 1h
image:
  build: ./Dockerfile
command: generate --all
variables:
  VERSION: 1.10
secrets:
  GITHUB_TOKEN: GITHUB_TOKEN
network:
  vpc:
    placement: private
environments:
  prod:
    cpu: 1024
  test:
    cpu: 512
"#;

const ANALYZER: &str = "name: cost-analyzer
type: Worker Service
image:
  build: ./cost-analyzer/Dockerfile
subscribe:
  topics:
    - { name: products, service: orders, filter_policy: { event: [{ anything-but: order_cancelled }] } }
    - { name: big-ones, service: orders, queue: { timeout: 5m } }
  queue: { retention: 96h, timeout: 30s, dead_letter: { tries: 10 } }
cpu: 256
memory: 512
variables: { LOG_LEVEL: info }
count:
  range: { min: 1, max: 10, spot_from: 2 }
  queue_delay: { acceptable_latency: 10m, msg_processing_time: 250ms }
  cooldown: { in: 30s }
  cpu_percentage: 70
exec: true
";

#[test]
fn a_job_is_its_task_definition_on_a_schedule() {
    check(
        &[REPORT],
        &expect![[r#"
        version: 1
        storage:
          bucket: shop-prod-report-ecs-trigger
        tasks:
          report:
            cluster: ${env:CLUSTER}
            task_definition: shop-prod-report
            launch_type: FARGATE
            network:
              subnets:
              - ${env:PRIVATE_SUBNETS}
              security_groups:
              - ${env:ENVIRONMENT_SECURITY_GROUP}
              assign_public_ip: DISABLED
            propagate_tags: TASK_DEFINITION
            timeout: 1h
            retry:
              attempts: 4
              "on": any
              backoff: 10s
        routes:
        - name: report
          "on":
            schedule: cron(0 0 * * ? *)
          run: report
        stack:
          name: shop-prod-report-trigger
        ---
        - CLUSTER
        - PRIVATE_SUBNETS
        - ENVIRONMENT_SECURITY_GROUP
        - storage
        a.yml:2:7 cpu, memory, image, command, variables, secrets
        a.yml:4:13 on.schedule
        a.yml:8:10 timeout
        a.yml:10:3 task_definition
    "#]],
    );
}

#[test]
fn a_worker_service_is_a_worker_of_its_queues() {
    check(
        &[ANALYZER],
        &expect![[r#"
        version: 1
        workers:
        - name: cost-analyzer
          service: ${env:COST_ANALYZER_SERVICE}
          cluster: ${env:CLUSTER}
          queue:
          - ${env:COST_ANALYZER_QUEUE}
          - ${env:COST_ANALYZER_ORDERS_BIG_ONES_QUEUE}
          scaling:
            min: 1
            max: 10
            acceptable_latency: 10m
            msg_processing_time: 250ms
        stack:
          name: shop-prod-cost-analyzer-trigger
        ---
        - CLUSTER
        - COST_ANALYZER_SERVICE
        - COST_ANALYZER_QUEUE
        - COST_ANALYZER_ORDERS_BIG_ONES_QUEUE
        a.yml:2:7 task protection
        a.yml:2:7 image, cpu, memory, variables
        a.yml:6:3 subscribe.topics
        a.yml:9:3 subscribe.queue
        a.yml:14:10 count.range
        a.yml:14:29 count.range.spot_from
        a.yml:16:3 count.cooldown
        a.yml:17:3 count.cpu_percentage
        a.yml:18:1 exec
    "#]],
    );
}

#[test]
fn several_manifests_are_one_config() {
    let nightly = "name: nightly\ntype: Scheduled Job\non: { schedule: '0 3 * * *' }\n";
    check(
        &[REPORT, nightly],
        &expect![[r#"
        version: 1
        storage:
          bucket: shop-prod-ecs-trigger
        tasks:
          report:
            cluster: ${env:CLUSTER}
            task_definition: shop-prod-report
            launch_type: FARGATE
            network:
              subnets:
              - ${env:PRIVATE_SUBNETS}
              security_groups:
              - ${env:ENVIRONMENT_SECURITY_GROUP}
              assign_public_ip: DISABLED
            propagate_tags: TASK_DEFINITION
            timeout: 1h
            retry:
              attempts: 4
              "on": any
              backoff: 10s
          nightly:
            cluster: ${env:CLUSTER}
            task_definition: shop-prod-nightly
            launch_type: FARGATE
            network:
              subnets:
              - ${env:PUBLIC_SUBNETS}
              security_groups:
              - ${env:ENVIRONMENT_SECURITY_GROUP}
              assign_public_ip: ENABLED
            propagate_tags: TASK_DEFINITION
        routes:
        - name: report
          "on":
            schedule: cron(0 0 * * ? *)
          run: report
        - name: nightly
          "on":
            schedule: cron(0 3 * * ? *)
          run: nightly
        stack:
          name: shop-prod-trigger
        ---
        - CLUSTER
        - PRIVATE_SUBNETS
        - ENVIRONMENT_SECURITY_GROUP
        - PUBLIC_SUBNETS
        - storage
        a.yml:2:7 cpu, memory, image, command, variables, secrets
        a.yml:4:13 on.schedule
        a.yml:8:10 timeout
        a.yml:10:3 task_definition
        b.yml:2:7 task_definition
        b.yml:3:17 on.schedule
    "#]],
    );
    check(
        &[REPORT, REPORT],
        &expect![[r#"
        b.yml:1:7: error: two manifests have the name `report` (import only one of them)
    "#]],
    );
    check(
        &["name: j", "type: Backend Service"],
        &expect![[r#"
            a.yml:1:1: error: `j` has no `type` (import a `Scheduled Job` or a `Worker Service`: only these start by a schedule or a queue)
            b.yml:1:1: error: the manifest has no `name` (name a Copilot manifest)
        "#]],
    );
}

#[test]
fn each_note_says_what_to_do() {
    let (of_job, source) = imported(&[REPORT], &names()).expect("is imported");
    expect![[r#"
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - PRIVATE_SUBNETS: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-PrivateSubnets'].Value" --output text
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
        - storage: timeout and retries need a ledger; `deploy` creates this bucket for it, so its name must be free
        a.yml:2:7 cpu, memory, image, command, variables, secrets: in the task definition, which the config refers to and does not override; nothing to do
        a.yml:4:13 on.schedule: Copilot's rule starts the job too until you switch it off: set `on.schedule` to "none" in the manifest and run `copilot job deploy --name report --env prod`, or run: aws events disable-rule --name "$(aws cloudformation describe-stack-resource --stack-name shop-prod-report --logical-resource-id Rule --query StackResourceDetail.PhysicalResourceId --output text)"
        a.yml:8:10 timeout: Copilot's timeout is for all attempts together, ecs-trigger's for each attempt
        a.yml:10:3 task_definition: the config starts the latest revision of shop-prod-report, which names the image; for a new image, register a new revision, with `copilot job deploy` as long as you have it
    "#]].assert_eq(&notes(&of_job, &source, true));
    let (of_worker, source) = imported(&[ANALYZER], &names()).expect("is imported");
    expect![[r#"
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - COST_ANALYZER_SERVICE: set this variable; to find its value, run: aws cloudformation describe-stack-resource --stack-name shop-prod-cost-analyzer --logical-resource-id Service --query StackResourceDetail.PhysicalResourceId --output text
        - COST_ANALYZER_QUEUE: set this variable; to find its value, run: aws cloudformation describe-stack-resource --stack-name shop-prod-cost-analyzer --logical-resource-id EventsQueue --query StackResourceDetail.PhysicalResourceId --output text
        - COST_ANALYZER_ORDERS_BIG_ONES_QUEUE: set this variable; to find its value, run: aws cloudformation describe-stack-resource --stack-name shop-prod-cost-analyzer --logical-resource-id ordersbigonesEventsQueue --query StackResourceDetail.PhysicalResourceId --output text
        a.yml:2:7 task protection: a scale-in can stop a worker that has a message, unless it protects itself, as worker-shim does
        a.yml:2:7 image, cpu, memory, variables: in the task definition, which the config refers to and does not override; nothing to do
        a.yml:6:3 subscribe.topics: the queues keep their subscriptions and filters; nothing to do
        a.yml:9:3 subscribe.queue: the queue stays as Copilot made it; nothing to do
        a.yml:14:10 count.range: Copilot scales the service too until you switch it off: set `count` to a number in the manifest and run `copilot svc deploy --name cost-analyzer --env prod`, or run: aws application-autoscaling deregister-scalable-target --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id "$(aws cloudformation describe-stack-resource --stack-name shop-prod-cost-analyzer --logical-resource-id AutoScalingTarget --query StackResourceDetail.PhysicalResourceId --output text | cut -d '|' -f 1)"
        a.yml:14:29 count.range.spot_from: stays in the service's capacity provider strategy; nothing to do
        a.yml:16:3 count.cooldown: has no counterpart; `scale_in_hold` sets how long fewer workers must be enough before a scale-in
        a.yml:17:3 count.cpu_percentage: has no counterpart, as workers scale by their queue; infra/platform/service-web.yaml scales by it
        a.yml:18:1 exec: stays with the service; nothing to do
    "#]].assert_eq(&notes(&of_worker, &source, true));
}

#[test]
fn what_the_task_definition_has_is_not_overridden() {
    let settings =
        "command: [sleep, 30]\nvariables: { A: 1e3, B: , C: { from_cfn: X } }\nstorage: { ephemeral: 100 }\n";
    check_job(
        settings,
        "/tasks/j/overrides",
        "variables",
        &expect![[r#"
        null
        a.yml:2:7 command, variables, storage: in the task definition, which the config refers to and does not override; nothing to do
    "#]],
    );
    check_job(
        "sidecars: { proxy: { image: x } }",
        "/tasks/j/overrides",
        "sidecars",
        &expect![[r#"
        {"container_overrides":[{"name":"j"}]}
        a.yml:2:7 sidecars: in the task definition, which the config refers to and does not override; nothing to do
    "#]],
    );
}

#[test]
fn the_network_is_the_one_of_copilots_state_machine() {
    let of = |vpc: &str, expected: &Expect| {
        check_job(&format!("network: {{ vpc: {vpc} }}"), "/tasks/j/network", "- ", expected);
    };
    of(
        "{ placement: public }",
        &expect![[r#"
        {"subnets":["${env:PUBLIC_SUBNETS}"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}"],"assign_public_ip":"ENABLED"}
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - PUBLIC_SUBNETS: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-PublicSubnets'].Value" --output text
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
    "#]],
    );
    of(
        "{ placement: { subnets: [subnet-a, subnet-b] } }",
        &expect![[r#"
        {"subnets":["subnet-a","subnet-b"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}"],"assign_public_ip":"DISABLED"}
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
    "#]],
    );
    of(
        "{ placement: { subnets: { from_tags: { type: private, tier: [1, 2] } } } }",
        &expect![[r#"
        {"subnets":["${env:J_SUBNETS}"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}"],"assign_public_ip":"DISABLED"}
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - J_SUBNETS: set this variable; to find its value, run: aws ec2 describe-subnets --filters "Name=tag:type,Values=private" "Name=tag:tier,Values=1,2" --query "join(',', Subnets[].SubnetId)" --output text
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
    "#]],
    );
    of(
        "{ placement: { subnets: ['${SUBNET}', \"${COPILOT_ENVIRONMENT_NAME}-b\"] } }",
        &expect![[r#"
        {"subnets":["${env:SUBNET}","prod-b"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}"],"assign_public_ip":"DISABLED"}
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - SUBNET: set this variable, as for `copilot`; separate several ids by commas
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
    "#]],
    );
    of(
        "{ security_groups: [sg-1, { from_cfn: shop-db-sg }] }",
        &expect![[r#"
        {"subnets":["${env:PUBLIC_SUBNETS}"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}","sg-1","${env:SHOP_DB_SG}"],"assign_public_ip":"ENABLED"}
        - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
        - PUBLIC_SUBNETS: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-PublicSubnets'].Value" --output text
        - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
        - SHOP_DB_SG: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-db-sg'].Value" --output text
    "#]],
    );
    of(
        "{ security_groups: { groups: [{ from_cfn: a-b }, { from_cfn: a_b }], deny_default: false } }",
        &expect![[r#"
            {"subnets":["${env:PUBLIC_SUBNETS}"],"security_groups":["${env:ENVIRONMENT_SECURITY_GROUP}","${env:A_B}","${env:A_B_2}"],"assign_public_ip":"ENABLED"}
            - CLUSTER: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-ClusterId'].Value" --output text
            - PUBLIC_SUBNETS: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-PublicSubnets'].Value" --output text
            - ENVIRONMENT_SECURITY_GROUP: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='shop-prod-EnvironmentSecurityGroup'].Value" --output text
            - A_B: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='a-b'].Value" --output text
            - A_B_2: set this variable; to find its value, run: aws cloudformation list-exports --query "Exports[?Name=='a_b'].Value" --output text
        "#]],
    );
    of(
        "{ placement: elsewhere }",
        &expect![[r#"
        a.yml:3:30: error: the placement is neither `public` nor `private`, and names no subnets (write one of them)
    "#]],
    );
    of(
        "{ placement: { subnets: { tags: [a] } } }",
        &expect![[r#"
        a.yml:3:41: error: expected a list of subnets, or `from_tags` with names of tags and their values (write for example `from_tags: { type: private }`)
    "#]],
    );
    of(
        "{ security_groups: [{ from: x }] }",
        &expect![[r#"
        a.yml:3:37: error: expected an id, or `from_cfn` with the name of an export, found a mapping (write the id)
    "#]],
    );
    check_job(
        "network: { vpc: { security_groups: { groups: [sg-1], deny_default: true } } }",
        "/tasks/j/network/security_groups",
        "deny_default",
        &expect![[r#"
            ["sg-1"]
            a.yml:3:68 network.vpc.security_groups.deny_default: the config leaves out the environment's security group; Copilot gives it to jobs all the same, so add it if the job needs it
        "#]],
    );
}

#[test]
fn names_on_the_command_line_take_the_place_of_variables() {
    let job =
        |placement: &str| format!("{{ name: j, type: Scheduled Job, on: {{ schedule: '@daily' }}, {placement} }}");
    let given = Names {
        cluster: Some("main".into()),
        subnets: vec!["subnet-1".into(), "subnet-2".into()],
        security_groups: vec!["sg-1".into()],
        ..names()
    };
    let (of_job, source) = imported(&[&job("cpu: 256")], &given).expect("is imported");
    expect![[r#"
        {"cluster":"main","task_definition":"shop-prod-j","launch_type":"FARGATE","network":{"subnets":["subnet-1","subnet-2"],"security_groups":["sg-1"],"assign_public_ip":"ENABLED"},"propagate_tags":"TASK_DEFINITION"}
        a.yml:1:18 task_definition
        a.yml:1:18 cpu
        a.yml:1:49 on.schedule
    "#]].assert_eq(&format!("{}\n{}", of_job.config["tasks"]["j"], notes(&of_job, &source, false)));
    let own = job("network: { vpc: { placement: { subnets: [subnet-9] }, security_groups: { deny_default: true } } }");
    let (of_own, source) = imported(&[&own], &given).expect("is imported");
    expect![[r#"
        {"cluster":"main","task_definition":"shop-prod-j","launch_type":"FARGATE","network":{"subnets":["subnet-9"],"assign_public_ip":"DISABLED"},"propagate_tags":"TASK_DEFINITION"}
        - --subnets: not used: no imported job takes these from its environment
        - --security-groups: not used: no imported job takes these from its environment
        a.yml:1:18 task_definition: the config starts the latest revision of shop-prod-j, which names the image; for a new image, register a new revision, with `copilot job deploy` as long as you have it
        a.yml:1:49 on.schedule: Copilot's rule starts the job too until you switch it off: set `on.schedule` to "none" in the manifest and run `copilot job deploy --name j --env prod`, or run: aws events disable-rule --name "$(aws cloudformation describe-stack-resource --stack-name shop-prod-j --logical-resource-id Rule --query StackResourceDetail.PhysicalResourceId --output text)"
        a.yml:1:132 network.vpc.security_groups: names no group, so ECS gives tasks the default security group of the VPC
        a.yml:1:148 network.vpc.security_groups.deny_default: the config leaves out the environment's security group; Copilot gives it to jobs all the same, so add it if the job needs it
    "#]].assert_eq(&format!("{}\n{}", of_own.config["tasks"]["j"], notes(&of_own, &source, true)));
    let worker = |name: &str| format!("name: {name}\ntype: Worker Service\n");
    let private = job("network: { vpc: { placement: private } }").replace("name: j", "name: k");
    let of_worker = Names { service: Some("s".into()), queue: Some("q".into()), ..names() };
    let problems = [
        imported(&[&job("cpu: 256"), &private], &given),
        imported(&[&job("cpu: 256")], &of_worker),
        imported(&[&worker("a"), &worker("b")], &of_worker),
    ];
    expect![[r#"
        b.yml:1:90: error: `--subnets` cannot be the subnets of jobs whose placements differ (leave it out, and set the variables that the notes name)
        a.yml:1:18: error: `--service` and `--queue` name the resources of exactly one Worker Service (leave them out, and set the variables that the notes name)
        b.yml:2:7: error: `--service` and `--queue` name the resources of exactly one Worker Service (leave them out, and set the variables that the notes name)
    "#]].assert_eq(&problems.map(|result| result.map(|_| ()).expect_err("does not fit")).concat());
    let (of_worker, _) = imported(&[&worker("a")], &of_worker).expect("is imported");
    assert_eq!(
        (&of_worker.config["workers"][0]["service"], &of_worker.config["workers"][0]["queue"]),
        (&"s".into(), &"q".into())
    );
}

#[test]
fn an_environments_settings_are_merged_as_copilot_merges_them() {
    let of = |base: &str, own: &str, expected: &Expect| {
        check_worker(&format!("count: {base}\nenvironments: {{ prod: {{ count: {own} }} }}"), "no such note", expected);
    };
    of(
        "{ spot: 3 }",
        "{ range: 2-8, cpu_percentage: 70 }",
        &expect![[r#"
        {"min":2,"max":8,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "{ range: 1-5, cpu_percentage: 70 }",
        "{ spot: 4 }",
        &expect![[r#"
        {"min":4,"max":4,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "{ range: 1-5, cpu_percentage: 70 }",
        "7",
        &expect![[r#"
        {"min":7,"max":7,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "7",
        "{ range: { min: 1, max: 5 } }",
        &expect![[r#"
        {"min":1,"max":5,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "{ range: { min: 1, max: 5 } }",
        "{ range: { max: 9 } }",
        &expect![[r#"
        {"min":1,"max":9,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "{ range: { min: 1, max: 5 } }",
        "{ range: 0-2 }",
        &expect![[r#"
        {"min":0,"max":2,"acceptable_latency":"1m"}
    "#]],
    );
    of(
        "{ range: 1-5 }",
        "",
        &expect![[r#"
        {"min":1,"max":5,"acceptable_latency":"1m"}
    "#]],
    );
    check_job(
        "retries: 3\nenvironments: { prod: { retries: 0 } }",
        "/tasks/j/retry",
        "retries",
        &expect![[r#"
        null
    "#]],
    );
    check_job(
        "environments: { test: { retries: 2 } }",
        "/tasks/j/retry",
        "environments",
        &expect![[r#"
        null
        a.yml:3:15 environments: has no `prod`, so the settings that all environments share apply
    "#]],
    );
}

#[test]
fn a_job_that_is_switched_off_stays_off_and_keeps_its_schedule() {
    let on = "/routes/0/on";
    let own = "on: { schedule: '0 9 * * 1-5' }\nenvironments: { prod: { on: { schedule: none } } }";
    check_job(
        own,
        on,
        "schedule",
        &expect![[r#"
        {"schedule":"cron(0 9 ? * 2-6 *)","state":"disabled"}
        a.yml:4:41 on.schedule: `none`: Copilot does not start the job in `prod`, so the route is disabled; its schedule is that of the other environments, cron(0 9 ? * 2-6 *)
    "#]],
    );
    check_job(
        "on: { schedule: none }",
        on,
        "schedule",
        &expect![[r#"
        {"schedule":"rate(5 minutes)","state":"disabled"}
        a.yml:3:17 on.schedule: `none`: Copilot does not start the job, so the route is disabled; write a schedule in place of rate(5 minutes) before you enable it
    "#]],
    );
    check_job(
        "on: { schedule: none }\nenvironments: { prod: { on: { schedule: '@daily' } } }",
        on,
        "no such note",
        &expect![[r#"
            {"schedule":"cron(0 0 * * ? *)"}
        "#]],
    );
}

#[test]
fn a_fixed_count_stays_fixed() {
    check_worker(
        "count: 2",
        "count",
        &expect![[r#"
        {"min":2,"max":2,"acceptable_latency":"1m"}
        a.yml:3:8 count: fixed at 2, so Copilot does not scale the service, and neither does this worker; raise `max` to let the queue decide, or remove the worker, and the service runs on without ecs-trigger
    "#]],
    );
    check_worker(
        "count: 0",
        "count",
        &expect![[r#"
        {"min":0,"max":1,"acceptable_latency":"1m","paused":true}
        a.yml:3:8 count: 0: the service is switched off, so the worker is paused; to let its queue start workers, set `max` and remove `paused`
    "#]],
    );
    check_worker(
        "count: { range: 0-0 }",
        "count",
        &expect![[r#"
        {"min":0,"max":1,"acceptable_latency":"1m","paused":true}
        a.yml:3:17 count: 0: the service is switched off, so the worker is paused; to let its queue start workers, set `max` and remove `paused`
    "#]],
    );
    check_worker(
        "count: { spot: 3 }",
        "count",
        &expect![[r#"
        {"min":3,"max":3,"acceptable_latency":"1m"}
        a.yml:3:16 count.spot: Fargate Spot stays in the service's capacity provider strategy; nothing to do
        a.yml:3:16 count: fixed at 3, so Copilot does not scale the service, and neither does this worker; raise `max` to let the queue decide, or remove the worker, and the service runs on without ecs-trigger
    "#]],
    );
    check_worker(
        "cpu: 256",
        "subscribe",
        &expect![[r#"
        {"min":1,"max":1,"acceptable_latency":"1m"}
        a.yml:2:7 subscribe: without topics, only code of yours sends to the service's queue, and Copilot ignores `subscribe.queue`; if nothing sends to it, remove the worker: the service runs on without ecs-trigger
    "#]],
    );
}

#[test]
fn merge_keys_and_anchors_are_resolved() {
    let settings = "x-base: &base { retries: 1, timeout: 5m }\nx-other: &other { timeout: 1h, on: { schedule: '@hourly' } }\n\
                    <<: [*base, *other]\nretries: 2";
    check_job(
        settings,
        "/tasks/j/retry/attempts",
        "x-",
        &expect![[r#"
            3
            a.yml:3:1 x-base: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:4:1 x-other: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
        "#]],
    );
    check_job(
        settings,
        "/tasks/j/timeout",
        "no such note",
        &expect![[r#"
        "5m"
    "#]],
    );
    check_job(
        "<<: 3",
        "",
        "",
        &expect![[r#"
        a.yml:3:5: error: `<<` merges a number (merge a mapping, or a list of mappings)
    "#]],
    );
    check_job(
        "environments: { prod: &prod { retries: 4 }, test: { <<: *prod } }",
        "/tasks/j/retry",
        "no such note",
        &expect![[r#"
            {"attempts":5,"on":"any","backoff":"10s"}
        "#]],
    );
}

#[test]
fn a_key_that_copilot_does_not_read_is_noted_with_its_place() {
    let settings = "retry: 3\non: { schedule: '@daily', event: s3 }\nnetwork: { vpc: { placment: private } }\ncount: 2\nexec: true\n\
                    environments: { prod: { http: { path: / } } }";
    check_job(
        settings,
        "/tasks/j/count",
        "a.yml",
        &expect![[r#"
            null
            a.yml:2:7 task_definition: the config starts the latest revision of shop-prod-j, which names the image; for a new image, register a new revision, with `copilot job deploy` as long as you have it
            a.yml:3:1 retry: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:4:17 on.schedule: Copilot's rule starts the job too until you switch it off: set `on.schedule` to "none" in the manifest and run `copilot job deploy --name j --env prod`, or run: aws events disable-rule --name "$(aws cloudformation describe-stack-resource --stack-name shop-prod-j --logical-resource-id Rule --query StackResourceDetail.PhysicalResourceId --output text)"
            a.yml:4:27 on.event: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:5:19 network.vpc.placment: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:6:1 count: left out, as Copilot ignores it for jobs; the task's `count` starts several at once
            a.yml:7:1 exec: left out, as Copilot ignores it for jobs; `enable_execute_command: true` on the task enables it
            a.yml:8:25 http: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
        "#]],
    );
    check_worker(
        "count: { range: 1-2, requests: 3, queue_delay: { latency: 1m } }\ntimeout: 3s",
        "not a key",
        &expect![[r#"
            {"min":1,"max":2,"acceptable_latency":"1m"}
            a.yml:3:22 count.requests: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:3:50 count.queue_delay.latency: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
            a.yml:4:1 timeout: is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place
        "#]],
    );
}

#[test]
fn a_value_that_cannot_be_converted_is_an_error_at_its_place() {
    for (settings, expected) in [
        (
            "retries: lots",
            expect![[r#"
            a.yml:3:10: error: `retries` is not a whole number (write for example 3)
        "#]],
        ),
        (
            "timeout: soon",
            expect![[r#"
            a.yml:3:10: error: `timeout` is not a duration (write for example `90s` or `1h30m`)
        "#]],
        ),
        (
            "on: { schedule: '${SCHEDULE}' }",
            expect![[r#"
            a.yml:3:17: error: the import cannot convert a schedule that is a variable (write the schedule's value)
        "#]],
        ),
        (
            "on: { schedule: 5 }",
            expect![[r#"
            a.yml:3:17: error: `on.schedule` is not a string (write for example "@daily")
        "#]],
        ),
        (
            "on: { schedule: '0 9 1 * 1' }",
            expect![[r#"
            a.yml:3:17: error: the schedule cannot be converted (`0 9 1 * 1` sets both day of month and day of week, but EventBridge accepts only one; write `*` for the other)
        "#]],
        ),
        (
            "environments: { prod: { on: { schedule: 'sometimes' } } }",
            expect![[r#"
            a.yml:3:41: error: the schedule cannot be converted (`sometimes` is not a valid `on.schedule`; write five cron fields, or for example `@daily`, `@every 1h` or `rate(1 hour)`)
        "#]],
        ),
        (
            "network: { vpc: { security_groups: { deny_default: maybe } } }",
            expect![[r#"
            a.yml:3:52: error: `deny_default` is neither `true` nor `false` (write one of them)
        "#]],
        ),
    ] {
        check_job(settings, "", "", &expected);
    }
    for (settings, expected) in [
        (
            "count: many",
            expect![[r#"
            a.yml:3:8: error: `count` is not a whole number (write for example 3)
        "#]],
        ),
        (
            "count: { cpu_percentage: 70 }",
            expect![[r#"
            a.yml:3:8: error: `count` has no `range` (write for example `range: 1-10`)
        "#]],
        ),
        (
            "count: { range: 5 }",
            expect![[r#"
            a.yml:3:17: error: `count.range` has no minimum and maximum (write for example `1-10`)
        "#]],
        ),
        (
            "count: { range: { min: 1 } }",
            expect![[r#"
            a.yml:3:17: error: `count.range` has no minimum and maximum (write for example `1-10`)
        "#]],
        ),
        (
            "count: { range: 1-5, spot: 2 }",
            expect![[r#"
            a.yml:3:28: error: `count.spot` and `count.range` exclude each other (remove one of them)
        "#]],
        ),
        (
            "count: { range: 1-5, queue_delay: { acceptable_latency: 10 } }",
            expect![[r#"
            a.yml:3:57: error: `count.queue_delay.acceptable_latency` is not a duration (write for example `90s` or `1h30m`)
        "#]],
        ),
    ] {
        check_worker(settings, "", &expected);
    }
    check(
        &["name: w\ntype: Load Balanced Web Service"],
        &expect![[r#"
        a.yml:2:7: error: `w` is a `Load Balanced Web Service`, which has no counterpart (import a `Scheduled Job` or a `Worker Service`: only these start by a schedule or a queue)
    "#]],
    );
    check(
        &["name: w\ntype: Scheduled Job"],
        &expect![[r#"
        a.yml:2:7: error: the job has no `on.schedule` (write the schedule, or `none`)
    "#]],
    );
    check(
        &[""],
        &expect![[r#"
        a.yml:1:1: error: the manifest has no `name` (name a Copilot manifest)
    "#]],
    );
}

#[test]
fn the_configs_stack_never_has_the_name_of_a_stack_of_copilots() {
    let stack = |name: &str| {
        let manifest = format!("{{ name: {name}, type: Worker Service }}");
        let (imported, _) = imported(&[&manifest], &names()).expect("is imported");
        imported.config["stack"]["name"].as_str().expect("is a name").to_owned()
    };
    assert_eq!(stack("w"), "shop-prod-w-trigger");
    let long = stack("a-name-that-is-longer-than-a-name-can-be");
    assert!(long.len() <= 40 && long.starts_with("shop-prod-a-name"), "{long}");
}

#[test]
fn schedules_become_eventbridges() {
    let texts = [
        "@hourly",
        "@weekly",
        "@yearly",
        "@every 1h30m",
        "@every 1m",
        "@every 90s",
        "@every 60.5s",
        "rate(1 hour)",
        "cron(0 3 * * ? *)",
        "*/15 * * * *",
        "0 9 * * 1-5",
        "0 9 * * 1-5/2",
        "0 9 * * SUN,3",
        "0 9 1,15 * *",
        "0 9 */2 * *",
        "0 9 1 * 1",
        "0 9 * * 7",
        "0 9 * *",
    ];
    let line = |text: &str| match (schedule::expression(text), schedule::of_copilot(text)) {
        (Ok(expression), Some(fires)) if fires != expression => {
            format!("{text} -> {expression}, where Copilot fires at {fires}\n")
        }
        (Ok(expression), _) => format!("{text} -> {expression}\n"),
        (Err(reason), _) => format!("{text}: {reason}\n"),
    };
    expect![[r#"
        @hourly -> cron(0 * * * ? *)
        @weekly -> cron(0 0 ? * 1 *)
        @yearly -> cron(0 0 1 1 ? *)
        @every 1h30m -> rate(90 minutes)
        @every 1m -> rate(1 minute)
        @every 90s: `@every 90s` is not a whole number of minutes; write for example `@every 5m`
        @every 60.5s: `@every 60.5s` is not a whole number of minutes; write for example `@every 5m`
        rate(1 hour) -> rate(1 hour)
        cron(0 3 * * ? *) -> cron(0 3 * * ? *)
        */15 * * * * -> cron(*/15 * * * ? *)
        0 9 * * 1-5 -> cron(0 9 ? * 2-6 *)
        0 9 * * 1-5/2 -> cron(0 9 ? * 2-6/2 *), where Copilot fires at cron(0 9 ? * 2-6/3 *)
        0 9 * * SUN,3 -> cron(0 9 ? * SUN,4 *)
        0 9 1,15 * * -> cron(0 9 1,15 * ? *)
        0 9 */2 * * -> cron(0 9 */2 * ? *), where Copilot fires at cron(0 9 * * ? *)
        0 9 1 * 1: `0 9 1 * 1` sets both day of month and day of week, but EventBridge accepts only one; write `*` for the other
        0 9 * * 7: `7` is not a day of the week; write 0 for Sunday to 6 for Saturday
        0 9 * *: `0 9 * *` is not a valid `on.schedule`; write five cron fields, or for example `@daily`, `@every 1h` or `rate(1 hour)`
    "#]].assert_eq(&texts.map(line).concat());
}
