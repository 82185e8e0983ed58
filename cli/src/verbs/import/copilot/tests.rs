//! Tests of the conversion of manifests; all but the last go through [`check`].

use expect_test::{Expect, expect};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, json, yaml};

use super::{Names, import, schedule};

/// Imports a manifest for the environment `prod`, compares the config and the keys of the notes, and checks that the config
/// is valid.
fn check(manifest: &str, expect: &Expect) {
    let node = yaml::parse(manifest).0.expect("is YAML");
    let manifest = serde_json::from_str(&json::write(&node)).expect("is JSON");
    let names = Names { app: "shop".into(), env: "prod".into(), ..Names::default() };
    let shown = match import(&manifest, &names) {
        Ok(imported) => {
            let config = serde_saphyr::to_string(&imported.config).expect("is written");
            let parsed = RoutingConfig::parse_with(Source::new("c.yaml", config.clone()), &|_| Some("x".into()));
            parsed.unwrap_or_else(|problems| panic!("{problems:#?}\n{config}"));
            let keys: Vec<&str> = imported.notes.iter().map(|note| note.key.as_str()).collect();
            format!("{config}notes: {}\n", keys.join(", "))
        }
        Err(reason) => format!("error: {reason}\n"),
    };
    expect.assert_eq(&shown);
}

#[test]
fn a_scheduled_job_is_a_route_on_a_schedule() {
    check(
        r#"
name: report-generator
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
  LOG_LEVEL: info
  TABLE: "${COPILOT_APPLICATION_NAME}-${STAGE}"
secrets:
  GITHUB_TOKEN: GITHUB_TOKEN
network:
  vpc:
    placement: private
environments:
  prod:
    cpu: 1024
    memory: 2048
  test:
    cpu: 512
"#,
        &expect![[r#"
            version: 1
            storage:
              bucket: shop-prod-report-generator-ecs-trigger
            tasks:
              report-generator:
                cluster: ${env:CLUSTER}
                task_definition: shop-prod-report-generator
                launch_type: FARGATE
                network:
                  subnets:
                  - ${env:SUBNET}
                  security_groups:
                  - ${env:SECURITY_GROUP}
                  assign_public_ip: DISABLED
                propagate_tags: TASK_DEFINITION
                timeout: 1h
                retry:
                  attempts: 4
                  "on": any
                  backoff: 10s
                overrides:
                  cpu: 1024
                  memory: 2048
                  container_overrides:
                  - name: report-generator
                    command:
                    - generate
                    - --all
                    environment:
                      LOG_LEVEL: info
                      TABLE: shop-${env:STAGE}
            routes:
            - name: report-generator
              "on":
                schedule: cron(0 0 * * ? *)
              run: report-generator
            stack:
              name: shop-prod-report-generator
            notes: cluster, network.vpc.placement, network.vpc.security_groups, task_definition, timeout, storage, image, secrets
        "#]],
    );
}

#[test]
fn a_worker_service_is_a_worker_of_its_queue() {
    check(
        r#"
name: cost-analyzer
type: Worker Service
image:
  build: ./cost-analyzer/Dockerfile
subscribe:
  topics:
    - { name: products, service: orders, filter_policy: { event: [{ anything-but: order_cancelled }] } }
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
"#,
        &expect![[r#"
            version: 1
            workers:
            - name: cost-analyzer
              service: ${env:SERVICE}
              cluster: ${env:CLUSTER}
              queue: ${env:QUEUE}
              scaling:
                min: 1
                max: 10
                acceptable_latency: 10m
                msg_processing_time: 250ms
            stack:
              name: shop-prod-cost-analyzer
            notes: cluster, service, subscribe.queue, count.range.spot_from, count.cooldown, count.cpu_percentage, count, subscribe.topics, subscribe.queue.retention, subscribe.queue.timeout, subscribe.queue.dead_letter, variables, cpu, memory, code, image, exec
        "#]],
    );
}

#[test]
fn a_fixed_count_stays_fixed() {
    check(
        "{ name: w, type: Worker Service, count: 2, image: { location: x } }",
        &expect![[r#"
        version: 1
        workers:
        - name: w
          service: ${env:SERVICE}
          cluster: ${env:CLUSTER}
          queue: ${env:QUEUE}
          scaling:
            min: 2
            max: 2
            acceptable_latency: 1m
        stack:
          name: shop-prod-w
        notes: cluster, service, subscribe.queue, count, count, code, image
    "#]],
    );
}

#[test]
fn a_text_that_looks_like_a_template_stays_as_it_is() {
    check(
        r#"{ name: j, type: Scheduled Job, on: { schedule: none }, variables: { A: "{{ x }}", B: { from_cfn: Export } } }"#,
        &expect![[r#"
            version: 1
            tasks:
              j:
                cluster: ${env:CLUSTER}
                task_definition: shop-prod-j
                launch_type: FARGATE
                network:
                  subnets:
                  - ${env:SUBNET}
                  security_groups:
                  - ${env:SECURITY_GROUP}
                  assign_public_ip: ENABLED
                propagate_tags: TASK_DEFINITION
                overrides:
                  container_overrides:
                  - name: j
                    environment:
                      A: "{% raw %}{{ x }}{% endraw %}"
            routes:
            - name: j
              "on":
                schedule: rate(5 minutes)
                state: disabled
              run: j
            stack:
              name: shop-prod-j
            notes: cluster, variables.B, network.vpc.placement, network.vpc.security_groups, task_definition
        "#]],
    );
}

#[test]
fn other_services_have_no_counterpart() {
    check(
        "{ name: w, type: Load Balanced Web Service }",
        &expect![[r#"
        error: the manifest's type is `Load Balanced Web Service`; only a `Scheduled Job` or a `Worker Service` can be converted
    "#]],
    );
    check(
        "{ name: w, type: Scheduled Job }",
        &expect![[r#"
        error: the manifest has no `on.schedule`
    "#]],
    );
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
    let line = |text: &str| match schedule(text) {
        Ok((expression, _)) => format!("{text} -> {expression}\n"),
        Err(reason) => format!("{text}: {reason}\n"),
    };
    expect![[r#"
        @hourly -> cron(0 * * * ? *)
        @weekly -> cron(0 0 ? * 1 *)
        @yearly -> cron(0 0 1 1 ? *)
        @every 1h30m -> rate(90 minutes)
        @every 1m -> rate(1 minute)
        @every 90s: `@every 90s` is not a whole number of minutes; write for example `@every 5m`
        rate(1 hour) -> rate(1 hour)
        cron(0 3 * * ? *) -> cron(0 3 * * ? *)
        */15 * * * * -> cron(*/15 * * * ? *)
        0 9 * * 1-5 -> cron(0 9 ? * 2-6 *)
        0 9 * * 1-5/2 -> cron(0 9 ? * 2-6/2 *)
        0 9 * * SUN,3 -> cron(0 9 ? * SUN,4 *)
        0 9 1,15 * * -> cron(0 9 1,15 * ? *)
        0 9 */2 * * -> cron(0 9 */2 * ? *)
        0 9 1 * 1: `0 9 1 * 1` sets both day of month and day of week, but EventBridge accepts only one; write `*` for the other
        0 9 * * 7: `7` is not a day of the week; write 0 for Sunday to 6 for Saturday
        0 9 * *: `0 9 * *` is not a valid `on.schedule`; write five cron fields, or for example `@daily`, `@every 1h` or `rate(1 hour)`
    "#]].assert_eq(&texts.map(line).concat());
}
