//! The messages that the author of a config gets. Most tests use [`check`].

mod mistakes;
mod refused_by_aws;

use expect_test::{Expect, expect};

use crate::routing::{EventSource, RoutingConfig};
use crate::text::{Source, json};

/// Parses a config and compares its problems, one per line, or its warnings and route names.
fn check(text: &str, expected: Expect) {
    let source = Source::new("c.yaml", text);
    let said = match RoutingConfig::parse(source.clone()) {
        Ok(config) => {
            let warnings = config.warnings.iter().map(|warning| warning.line(&source) + "\n").collect::<String>();
            let routes: Vec<&str> = config.routes.iter().map(|route| route.name.as_str()).collect();
            format!("{warnings}valid: routes {}", routes.join(", "))
        }
        Err(problems) => problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&said);
}

/// Returns a valid config with `task` as the task's further settings.
fn with_task(task: &str) -> String {
    format!(
        "version: 1\ntasks:\n  t:\n    task_definition: family\n{task}\nroutes:\n  - {{ name: r, on: {{ s3: {{ bucket: b }} }}, run: t }}\n"
    )
}

/// Returns a valid config with `on` as the event source of its route.
fn with_on(on: &str) -> String {
    format!(
        "version: 1\ntasks: {{ t: {{ task_definition: family }} }}\nroutes:\n  - name: r\n    on: {on}\n    run: t\n"
    )
}

#[test]
fn a_small_config_is_valid() {
    check(&with_task(""), expect!["valid: routes r"]);
}

#[test]
fn every_error_is_reported_in_one_pass_in_order_of_place() {
    check(
        "version: 2\ntasks:\n  t:\n    comand: [x]\n    count: many\nroutes:\n  - name: a b\n    on: { s3: { bucket: b } }\n    run: u\n",
        expect![[r#"
            c.yaml:1:10: error: unknown version 2 (write `version: 1`)
            c.yaml:4:5: error: unknown key `comand` (choose from `cluster`, `task_definition`, `count`, `launch_type`, `capacity_provider_strategy`, `capacity`, `timeout`, `retry`, `platform_version`, `network`, `group`, `placement_constraints`, `placement_strategy`, `propagate_tags`, `tags`, `started_by`, `enable_execute_command`, `enable_ecs_managed_tags`, `reference_id`, `volume_configurations` and `overrides`)
            c.yaml:5:12: error: expected a whole number, found a string
            c.yaml:7:11: error: `a b` is not a valid route name (use 1 to 64 letters, digits, `-` and `_`)
            c.yaml:9:10: error: unknown task `u` (define it under `tasks`, or run one of `t`)"#]],
    );
}

#[test]
fn one_error_does_not_hide_another() {
    check(
        "version: \"1\"\nversion: 1\ntasks:\n  t: { comand: x, task_definition: t, count: 99 }\n  u: {}\nroutes:\n  - { name: r, on: {}, run: v }\n",
        expect![[r#"
            c.yaml:1:10: error: unknown version "1" (write `version: 1`)
            c.yaml:2:1: error: duplicate key `version` in this mapping (remove one of them)
            c.yaml:4:8: error: unknown key `comand` (choose from `cluster`, `task_definition`, `count`, `launch_type`, `capacity_provider_strategy`, `capacity`, `timeout`, `retry`, `platform_version`, `network`, `group`, `placement_constraints`, `placement_strategy`, `propagate_tags`, `tags`, `started_by`, `enable_execute_command`, `enable_ecs_managed_tags`, `reference_id`, `volume_configurations` and `overrides`)
            c.yaml:5:3: error: the task `u` has no `task_definition` (add `task_definition: FAMILY`, here or under `defaults`)
            c.yaml:7:20: error: `on` needs exactly one event source (write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, with `s3` or `event_pattern`)
            c.yaml:7:29: error: unknown task `v` (define it under `tasks`, or run one of `t` and `u`)"#]],
    );
    check(
        "tasks: { t: { task_definition: t, count: 99 } }\n",
        expect![[r#"
            c.yaml:1:1: error: missing key `version` (add `version: ...`, the number 1)
            c.yaml:1:1: error: missing key `routes` (add `routes: ...`, a list)"#]],
    );
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_key_meant() {
    check(
        &with_task("    overides: {}"),
        expect!["c.yaml:5:5: error: unknown key `overides`; did you mean `overrides`? (write `overrides`)"],
    );
    check(
        &with_task("    environment: {}"),
        expect![
            "c.yaml:5:5: error: unknown key `environment`; it belongs to a container of `overrides` (write `overrides: { container_overrides: [{ name: CONTAINER, environment: {} }] }`)"
        ],
    );
    check(
        "verson: 1\ntasks: {}\nroutes: []\n",
        expect![[r#"
            c.yaml:1:1: error: missing key `version` (add `version: ...`, the number 1)
            c.yaml:1:1: error: unknown key `verson`; did you mean `version`? (write `version`)"#]],
    );
}

#[test]
fn a_missing_key_is_an_error_at_the_mapping_that_lacks_it() {
    check("version: 1\ntasks: {}\n", expect!["c.yaml:1:1: error: missing key `routes` (add `routes: ...`, a list)"]);
    check(
        "version: 1\ntasks: { t: {} }\nroutes: []\n",
        expect![
            "c.yaml:2:10: error: the task `t` has no `task_definition` (add `task_definition: FAMILY`, here or under `defaults`)"
        ],
    );
    check("", expect!["c.yaml:1:1: error: expected a mapping with `version`, `tasks` and `routes`, found null"]);
}

#[test]
fn a_value_of_another_type_is_an_error() {
    check(&with_task("    cluster: [a]"), expect!["c.yaml:5:14: error: expected a string, found a list"]);
    check(
        &with_task("    cluster: 12"),
        expect![[r#"c.yaml:5:14: error: expected a string, found a number (write "12")"#]],
    );
    check(
        &with_task("    enable_execute_command: yes"),
        expect!["c.yaml:5:29: error: expected true or false, found a string"],
    );
    check(
        &with_task("    count: -1"),
        expect!["c.yaml:5:12: error: expected a whole number from 0 to 2147483647, found -1"],
    );
    check(
        &with_task("    launch_type: fargate"),
        expect![
            "c.yaml:5:18: error: unknown value `fargate`; did you mean `FARGATE`? (choose from `EC2`, `FARGATE`, `EXTERNAL` and `MANAGED_INSTANCES`)"
        ],
    );
    check("[]", expect!["c.yaml:1:1: error: expected a mapping with `version`, `tasks` and `routes`, found a list"]);
}

#[test]
fn text_that_is_not_yaml_is_an_error_with_its_place() {
    check(
        "version: 1\ntasks: {",
        expect!["c.yaml:2:9: error: invalid YAML: while parsing a node, did not find expected node content"],
    );
    check(
        "version: 1\nversion: 1\ntasks: {}\nroutes: []\n",
        expect!["c.yaml:2:1: error: duplicate key `version` in this mapping (remove one of them)"],
    );
    check(
        "version: 1\n--- \nversion: 1\n",
        expect!["c.yaml:2:1: error: the file has a second YAML document (keep one document per file)"],
    );
}

#[test]
fn aliases_are_followed_and_bounded() {
    check(
        "version: 1\ndefaults: { tags: &tags { team: data } }\ntasks: { t: { task_definition: f, tags: *tags } }\nroutes: []\n",
        expect![[r#"
            c.yaml:3:10: warning: no route or worker runs the task `t` (write `run: t` in a route, or remove the task)
            valid: routes "#]],
    );
    let mut bomb = "version: 1\na: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
        let aliases = vec![format!("*{of}"); 10].join(", ");
        bomb += &format!("{name}: &{name} [{aliases}]\n");
    }
    check(&bomb, expect!["c.yaml:8:8: error: the file has more than 2000000 values, aliases expanded"]);
}

#[test]
fn a_route_names_a_task_that_exists() {
    check(
        "version: 1\ntasks: { import-csv: { task_definition: f } }\nroutes:\n  - { name: r, on: { s3: { bucket: b } }, run: import-cvs }\n",
        expect![
            "c.yaml:4:48: error: unknown task `import-cvs`; did you mean `import-csv`? (define it under `tasks`, or run one of `import-csv`)"
        ],
    );
}

#[test]
fn route_names_are_unique_and_of_plain_characters() {
    check(
        "version: 1\ntasks: { t: { task_definition: f } }\nroutes:\n  - { name: r, on: { s3: { bucket: b } }, run: t }\n  - { name: r, on: { s3: { bucket: b } }, run: t }\n  - { name: \"\", on: { s3: { bucket: b } }, run: t }\n",
        expect![[r#"
            c.yaml:5:13: error: duplicate route name `r` (give each route a unique name: launches are identified by it)
            c.yaml:6:13: error: this value is empty (write a value, or remove the key)"#]],
    );
}

#[test]
fn a_route_is_on_exactly_one_kind_of_event() {
    check(
        &with_on("{}"),
        expect![
            "c.yaml:5:9: error: `on` needs exactly one event source (write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, with `s3` or `event_pattern`)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: b }, event_pattern: { source: [x] } }"),
        expect![
            "c.yaml:5:9: error: `on` needs exactly one event source (write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, with `s3` or `event_pattern`)"
        ],
    );
}

#[test]
fn a_key_condition_is_a_text_affixes_or_a_wildcard() {
    check(&with_on("{ s3: { bucket: b, key: a.csv } }"), expect!["valid: routes r"]);
    check(
        &with_on("{ s3: { bucket: [b, c], key: [{ prefix: a/ }, { suffix: .csv }, b.csv] } }"),
        expect![[r#"
            c.yaml:5:49: warning: a value of `detail.object.key` matches if either the prefix or the suffix fits (to require both, write one wildcard, as in {"wildcard": "prefix*suffix"}, or in short form `key: { prefix: ..., suffix: ... }`)
            valid: routes r"#]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { prefix: a, wildcard: a* } } }"),
        expect![[
            r#"c.yaml:5:33: error: a key condition needs `prefix`, `suffix` or both, or `wildcard` alone (write for example `{ prefix: in/, suffix: .csv }` or `{ wildcard: "in/*.csv" }`)"#
        ]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: {} } }"),
        expect![[
            r#"c.yaml:5:33: error: a key condition needs `prefix`, `suffix` or both, or `wildcard` alone (write for example `{ prefix: in/, suffix: .csv }` or `{ wildcard: "in/*.csv" }`)"#
        ]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { wildcard: 'a**' } } }"),
        expect!["c.yaml:5:45: error: EventBridge rejects this pattern: Consecutive wildcard characters"],
    );
    check(
        &with_on("{ s3: { bucket: b, key: [] } }"),
        expect!["c.yaml:5:33: error: the list is empty (list at least one value)"],
    );
    check(
        &with_on("{ s3: { bucket: b, detail_type: Object Delete } }"),
        expect![
            "c.yaml:5:41: error: unknown value `Object Delete`; did you mean `Object Deleted`? (choose from `Object Created`, `Object Deleted`, `Object Restore Initiated`, `Object Restore Completed`, `Object Restore Expired`, `Object Storage Class Changed`, `Object Access Tier Changed`, `Object ACL Updated`, `Object Tags Added` and `Object Tags Deleted`)"
        ],
    );
}

#[test]
fn an_event_pattern_is_refused_in_eventbridges_words() {
    check(
        &with_on("{ event_pattern: { source: aws.s3, detail: { size: [{ numeric: ['<', '5'] }] } } }"),
        expect![[r#"
            c.yaml:5:36: error: EventBridge rejects this pattern: "source" must be an object or an array (write `source: [aws.s3]`)
            c.yaml:5:78: error: EventBridge rejects this pattern: Value of < must be numeric"#]],
    );
}

#[test]
fn what_an_event_must_not_choose_cannot_be_a_template() {
    check(
        &with_task("    cluster: \"{{ bucket }}\""),
        expect![
            "c.yaml:5:14: error: this key cannot be a template (write the value itself; an event's content may fill in values, but must not choose a cluster, task definition, role or container)"
        ],
    );
    check(
        &with_task("    overrides: { task_role_arn: \"{{ key }}\", container_overrides: [{ name: \"{{ key }}\" }] }"),
        expect![[r#"
            c.yaml:5:33: error: this key cannot be a template (write the value itself; an event's content may fill in values, but must not choose a cluster, task definition, role or container)
            c.yaml:5:76: error: this key cannot be a template (write the value itself; an event's content may fill in values, but must not choose a cluster, task definition, role or container)"#]],
    );
}

#[test]
fn templates_are_parsed_when_the_config_is_loaded() {
    check(
        &with_task("    reference_id: \"x {{ bucket \""),
        expect![
            "c.yaml:5:25: error: the template has a syntax error: unexpected end of input, expected end of variable block (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
    check(
        &with_task("    reference_id: \"{{ buckt }} {{ key | basenam }}\""),
        expect![[r#"
            c.yaml:5:23: error: no event has a field `buckt`; did you mean `bucket`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)
            c.yaml:5:41: error: unknown filter `basenam`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)"#]],
    );
    check(
        &with_task("    reference_id: \"{{ event['detail-type'] | replace('|', '} |') | upper }}\""),
        expect!["valid: routes r"],
    );
}

#[test]
fn capacity_is_a_launch_type_or_a_strategy_with_a_weight() {
    check(
        &with_task("    launch_type: EC2\n    capacity_provider_strategy: [{ capacity_provider: spot, weight: 1 }]"),
        expect![
            "c.yaml:6:33: error: `launch_type` cannot be combined with `capacity_provider_strategy` (keep one of the two)"
        ],
    );
    check(
        &with_task("    capacity_provider_strategy: [{ capacity_provider: a }]"),
        expect![
            "c.yaml:5:33: error: no capacity provider has a weight above 0, so ECS cannot place tasks (add `weight: 1` to one of them)"
        ],
    );
    check(
        &with_task("    capacity_provider_strategy: []"),
        expect![
            "c.yaml:5:33: error: `capacity_provider_strategy` is empty (add a capacity provider, or remove the key)"
        ],
    );
    check(
        &with_task(
            "    capacity_provider_strategy: [{ capacity_provider: a, weight: 1001, base: 1 }, { capacity_provider: b, base: 100001 }]",
        ),
        expect![[r#"
            c.yaml:5:34: error: `weight` is 1001, but AWS allows 0 to 1000 (lower `weight`)
            c.yaml:5:83: error: `base` is 100001, but AWS allows 0 to 100000 (lower `base`)
            c.yaml:5:83: error: only one capacity provider may have a base (remove `base` here)"#]],
    );
    let items = vec!["{ capacity_provider: a, weight: 1 }"; 21].join(", ");
    check(
        &with_task(&format!("    capacity_provider_strategy: [{items}]")),
        expect!["c.yaml:5:33: error: 21 capacity providers, but AWS allows at most 20 (keep at most 20)"],
    );
}

#[test]
fn fargate_needs_a_network_and_takes_no_placement() {
    check(
        &with_task("    launch_type: FARGATE"),
        expect![
            "c.yaml:3:3: error: the task `t` runs on Fargate, which needs a network (add `network: { subnets: [subnet-...] }`, here or under `defaults`)"
        ],
    );
    check(
        &with_task(
            "    capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]\n    network: { subnets: [s] }\n    placement_strategy: [{ type: random }]\n    placement_constraints: [{ type: memberOf }]",
        ),
        expect![[r#"
            c.yaml:7:25: error: `placement_strategy` is not valid on Fargate (remove `placement_strategy`, or run the task on EC2)
            c.yaml:8:28: error: `placement_constraints` is not valid on Fargate (remove `placement_constraints`, or run the task on EC2)
            c.yaml:8:29: error: `memberOf` needs an expression (add `expression: ...`)"#]],
    );
}

#[test]
fn fargate_has_some_task_sizes_only() {
    let size = |cpu: &str, memory: &str| {
        with_task(&format!(
            "    launch_type: FARGATE\n    network: {{ subnets: [s] }}\n    overrides: {{ cpu: {cpu}, memory: {memory} }}"
        ))
    };
    check(&size("1024", "2048"), expect!["valid: routes r"]);
    check(&size("1 vCPU", "8 GB"), expect!["valid: routes r"]);
    check(
        &size("1024", "1024"),
        expect![
            "c.yaml:7:23: error: Fargate has no task size of cpu 1024 and memory 1024 (use cpu 256 with memory 512, 1024 or 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720; 8192 with 16384 to 61440; 16384 with 32768 to 122880)"
        ],
    );
    check(
        &size("16384", "32769"),
        expect![
            "c.yaml:7:23: error: Fargate has no task size of cpu 16384 and memory 32769 (use cpu 256 with memory 512, 1024 or 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720; 8192 with 16384 to 61440; 16384 with 32768 to 122880)"
        ],
    );
}

#[test]
fn limits_of_aws_are_checked_with_their_numbers() {
    check(&with_task("    count: 11"), expect!["valid: routes r"]);
    check(
        &with_task("    count: 0"),
        expect!["c.yaml:5:12: error: `count` is 0, but must be 1 to 10000 (write a number from 1 to 10000)"],
    );
    check(
        &with_task("    network: { subnets: [], security_groups: [a, b, c, d, e, f] }"),
        expect![[r#"
        c.yaml:5:14: error: `subnets` is empty (add 1 to 16 subnets of one VPC)
        c.yaml:5:14: error: 6 security groups, but AWS allows at most 5 (keep at most 5)"#]],
    );
    check(
        &with_task("    overrides: { ephemeral_storage: { size_in_gib: 20 } }"),
        expect![
            "c.yaml:5:37: error: `ephemeral_storage` is 20 GiB, but Fargate allows 21 to 200 (write a number from 21 to 200)"
        ],
    );
    check(
        &with_task("    tags: { \"AWS:x\": y, \"\": z }"),
        expect![[r#"
        c.yaml:5:13: error: the tag `AWS:x` has the prefix `aws:`, which AWS reserves (rename it)
        c.yaml:5:25: error: the tag has an empty key (write a key)"#]],
    );
    check(
        &with_task("    placement_constraints: [{ type: distinctInstance, expression: x }]"),
        expect!["c.yaml:5:29: error: `distinctInstance` takes no expression (remove `expression`)"],
    );
    check(
        &with_task("    volume_configurations: [{ name: v, managed_ebs_volume: { role_arn: r } }]"),
        expect!["c.yaml:5:29: error: the EBS volume has no size (add `size_in_gib` or `snapshot_id`)"],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: a, command: [], cpu: 0, memory: 3, environment: { \"A=B\": x } }, { name: a }] }",
        ),
        expect![[r#"
            c.yaml:5:60: error: `command` is empty (remove it to keep the task definition's command)
            c.yaml:5:69: error: `cpu: 0` would replace the task definition's value (remove `cpu` to keep that value)
            c.yaml:5:80: error: 3 MiB of memory, but ECS needs at least 4 (write at least 4, or remove the key to keep the task definition's value)
            c.yaml:5:98: error: `A=B` is not a valid environment variable name (rename it)
            c.yaml:5:120: error: the container `a` is overridden twice (merge both entries into one)"#]],
    );
}

#[test]
fn the_defaults_do_not_conflict_with_a_tasks_own_capacity() {
    check(
        "version: 1\ndefaults: { launch_type: EC2 }\ntasks:\n  t: { task_definition: f, capacity_provider_strategy: [{ capacity_provider: spot, weight: 1 }] }\nroutes: []\n",
        expect![[r#"
            c.yaml:4:3: warning: no route or worker runs the task `t` (write `run: t` in a route, or remove the task)
            valid: routes "#]],
    );
}

#[test]
fn sizes_are_sizes_and_no_templates() {
    check(
        &with_task("    overrides: { cpu: \"{{ size }}\", memory: 0 }"),
        expect![[r#"
        c.yaml:5:23: error: `{{ size }}` is not a valid size (write for example `1024` or `1 vCPU`; a template is not allowed here)
        c.yaml:5:45: error: `0` is not a valid size (write for example `2048` or `2 GB`; a template is not allowed here)"#]],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: a, cpu: 4000000000 }] }"),
        expect!["c.yaml:5:56: error: expected a whole number from 0 to 2147483647, found 4000000000"],
    );
}

#[test]
fn tags_hold_what_aws_takes() {
    check(
        &with_task("    tags: { \"a!b\": y, c: \"50%\", d: \"{{ key }}\" }"),
        expect![[r#"
        c.yaml:5:13: error: a tag's key cannot contain `!` (use letters, digits, spaces and `_ . : / = + - @`)
        c.yaml:5:26: error: a tag's value cannot contain `%` (use letters, digits, spaces and `_ . : / = + - @`)"#]],
    );
}

#[test]
fn names_are_not_empty_and_lead_nowhere_else() {
    check(
        &with_task("    cluster: \"\""),
        expect!["c.yaml:5:14: error: this value is empty (write a value, or remove the key)"],
    );
    check(
        &with_on("{ s3: { bucket: ../outside } }"),
        expect![
            "c.yaml:5:25: error: `../outside` is not a valid bucket name (write the name of one bucket: 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends)"
        ],
    );
}

#[test]
fn a_strategy_is_fargates_or_the_clusters_own() {
    let strategy = "[{ capacity_provider: FARGATE, weight: 1 }, { capacity_provider: own }]";
    check(
        &with_task(&format!("    capacity_provider_strategy: {strategy}")),
        expect![
            "c.yaml:5:33: error: a strategy cannot mix Fargate with other capacity providers (use only `FARGATE` and `FARGATE_SPOT`, or only providers of Auto Scaling groups)"
        ],
    );
}

#[test]
fn what_only_fargate_has_is_refused_elsewhere() {
    check(
        &with_task(
            "    launch_type: EC2\n    platform_version: LATEST\n    network: { subnets: [s], assign_public_ip: ENABLED }\n    overrides: { ephemeral_storage: { size_in_gib: 30 } }",
        ),
        expect![[r#"
            c.yaml:6:23: error: `platform_version` is only valid on Fargate, but the launch type is EC2 (remove `platform_version`)
            c.yaml:7:14: error: `assign_public_ip` is only valid on Fargate, but the launch type is EC2 (remove `assign_public_ip`)
            c.yaml:8:37: error: `ephemeral_storage` is only valid on Fargate, but the launch type is EC2 (remove `ephemeral_storage`)"#]],
    );
    check(
        &with_task("    launch_type: EC2\n    network: { subnets: [s], assign_public_ip: DISABLED }"),
        expect!["valid: routes r"],
    );
}

#[test]
fn a_schedule_is_an_expression_in_a_time_zone() {
    check(&with_on("{ schedule: cron(0 3 * * ? *), timezone: Asia/Seoul }"), expect!["valid: routes r"]);
    check(
        &with_on(
            "{ schedule: rate(1 hour), start: 2026-12-01T00:00:00, end: 2026-12-31T00:00:00+01:00, flexible_window: 15m, state: disabled, input: { a: [1] }, catch_up: last }",
        ),
        expect!["valid: routes r"],
    );
    check(
        &with_on("{ schedule: \"cron(0 25 * * ? *)\" }"),
        expect![
            "c.yaml:5:29: error: `25` is not a valid value of hours (write 0 to 23, or combine values with `,` `-` `*` `/`)"
        ],
    );
    check(
        &with_on("{ schedule: \"cron(0 3 1,14,L * ?)\" }"),
        expect![[r#"
        c.yaml:5:31: warning: AWS does not document a list with `L` or `W`, as in `1,14,L` (write a separate route for each day)
        valid: routes r"#]],
    );
    check(
        &with_on("{ schedule: rate(1 week), timezone: Asia/Soul, flexible_window: 90s }"),
        expect![[r#"
            c.yaml:5:28: error: `week` is not a valid unit for a rate (write a whole number of at least 1 and a unit, as in `rate(1 minute)`, `rate(5 hours)` or `rate(2 days)`)
            c.yaml:5:45: error: unknown time zone `Asia/Soul`; did you mean `Asia/Seoul`? (write an IANA name such as `Europe/Berlin`, or `UTC`)
            c.yaml:5:73: error: `flexible_window` must be 1 minute to 24 hours, in whole minutes (write for example `15m`)"#]],
    );
    check(
        &with_on("{ schedule: rate(1 hour), flexible_window: 2d, state: DISABLED, catch_up: all }"),
        expect![[r#"
        c.yaml:5:52: error: expected a duration such as `90s`, `15m` or `2h`, found a string
        c.yaml:5:63: error: unknown value `DISABLED`; did you mean `disabled`? (choose from `enabled` and `disabled`)
        c.yaml:5:83: error: unknown value `all` (choose from `none` and `last`)"#]],
    );
    check(
        &with_on("{ schedule: rate(1 hour), start: tomorrow, end: 2026-02-30 }"),
        expect![[r#"
        c.yaml:5:42: error: `tomorrow` is not a valid time (write for example `2026-12-01T00:00:00`, in the schedule's time zone or with an offset or `Z`)
        c.yaml:5:57: error: `2026-02-30` is not a valid time (write for example `2026-12-01T00:00:00`, in the schedule's time zone or with an offset or `Z`)"#]],
    );
    check(
        &with_on("{ schedule: rate(1 hour), start: 2026-12-02T00:00:00, end: 2026-12-01T00:00:00 }"),
        expect!["c.yaml:5:68: error: the schedule ends before it starts (write an `end` that is later than `start`)"],
    );
}

#[test]
fn a_schedule_that_never_fires_is_an_error() {
    check(
        &with_on("{ schedule: \"at(2025-03-30T02:30:00)\", timezone: Europe/Berlin }"),
        expect![
            "c.yaml:5:21: error: this schedule never fires (write a time that exists in its time zone, between its `start` and `end`)"
        ],
    );
    check(
        &with_on("{ schedule: cron(0 0 1 * ? 2026), start: \"2027-01-01T00:00:00\" }"),
        expect![
            "c.yaml:5:21: error: this schedule never fires (write a time that exists in its time zone, between its `start` and `end`)"
        ],
    );
}

#[test]
fn keys_of_one_source_mean_nothing_for_another() {
    check(
        &with_on("{ s3: { bucket: b }, timezone: UTC, unmatched: fail }"),
        expect![[r#"
        c.yaml:5:9: error: `timezone` is only valid with `schedule` (remove `timezone`, or add `schedule: ...`)
        c.yaml:5:9: error: `unmatched` is only valid with `queue` (remove `unmatched`, or add `queue: ...`)"#]],
    );
    check(
        &with_on("{ queue: q, schedule: rate(1 hour) }"),
        expect![
            "c.yaml:5:9: error: `on` needs exactly one event source (write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, with `s3` or `event_pattern`)"
        ],
    );
    check(
        &with_on("{ queue: q, s3: { bucket: b }, event_pattern: { body: [a] } }"),
        expect![
            "c.yaml:5:9: error: `on` needs exactly one event source (write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, with `s3` or `event_pattern`)"
        ],
    );
}

#[test]
fn a_queue_has_a_name_and_its_messages_have_fields_of_their_own() {
    check(
        &with_on("{ queue: q, event_pattern: { body: { kind: [resize] } }, unmatched: fail }"),
        expect!["valid: routes r"],
    );
    check(
        &with_on("{ queue: \"https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo\", s3: { bucket: b } }"),
        expect![[r#"
            c.yaml:5:18: warning: S3 cannot notify a FIFO queue (use a standard queue; or let an EventBridge rule send the bucket's events to the queue, and write `event_pattern` instead of `s3`)
            valid: routes r"#]],
    );
    check(
        &with_on("{ queue: \"my queue\" }"),
        expect![
            "c.yaml:5:18: error: `my queue` is not a valid queue name, ARN or URL (write its name (at most 80 letters, digits, `-` and `_`; that of a FIFO queue ends in `.fifo`), its ARN or its URL)"
        ],
    );
    check(
        &with_on("{ queue: q, event_pattern: { bdy: { kind: [resize] } } }"),
        expect![[r#"
        c.yaml:5:38: warning: no message has a field `bdy`; did you mean `body`? (put the message's own fields below `body`)
        valid: routes r"#]],
    );
}

/// Returns a valid config with these further keys of its route.
fn with_route(keys: &str) -> String {
    format!(
        "version: 1\nstorage: {{ bucket: state }}\ntasks: {{ t: {{ task_definition: f }}, u: {{ task_definition: f }} }}\nroutes:\n  - {{ name: r, on: {{ queue: q }}, {keys} }}\n  - {{ name: other, on: {{ queue: o }}, run: u }}\n"
    )
}

#[test]
fn a_route_runs_a_task_or_several() {
    check(&with_route("run: [t, u]"), expect!["valid: routes r, other"]);
    check(
        &with_route("run: [t, v, t]"),
        expect![[r#"
        c.yaml:5:43: error: unknown task `v` (define it under `tasks`, or run one of `t` and `u`)
        c.yaml:5:46: error: duplicate task `t` (remove it; to start several copies, set the `count` of the task)"#]],
    );
    check(&with_route("run: []"), expect!["c.yaml:5:39: error: the list is empty (list at least one value)"]);
}

#[test]
fn for_each_picks_a_list() {
    check(&with_route("run: t, for_each: \"{{ body.items }}\""), expect!["valid: routes r, other"]);
    check(&with_route("run: t, for_each: \"{{ body | split(',') }}\""), expect!["valid: routes r, other"]);
    check(
        &with_route("run: t, for_each: body.items"),
        expect![[
            r#"c.yaml:5:52: error: this must be a template that selects a list from the event (write one `{{ ... }}`, as in `"{{ body.items }}"`)"#
        ]],
    );
    check(
        &with_route("run: t, for_each: \"a {{ body.items }}\""),
        expect![[
            r#"c.yaml:5:52: error: this must be a template that selects a list from the event (write one `{{ ... }}`, as in `"{{ body.items }}"`)"#
        ]],
    );
    check(
        &with_route("run: t, for_each: \"{% if body %}{% endif %}\""),
        expect![[
            r#"c.yaml:5:52: error: this must be a template that selects a list from the event (write one `{{ ... }}`, as in `"{{ body.items }}"`)"#
        ]],
    );
    check(
        &with_route("run: t, for_each: \"{{ bdy.items }}\""),
        expect![[
            r#"c.yaml:5:56: error: no event has a field `bdy`; did you mean `body`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#
        ]],
    );
}

#[test]
fn large_payloads_need_a_place() {
    check(&with_route("run: t, large_payload: s3"), expect!["valid: routes r, other"]);
    check(
        &with_route("run: t, large_payload: s3").replace("storage: { bucket: state }", ""),
        expect!["c.yaml:5:57: error: `large_payload` needs `storage` (add `storage: { bucket: NAME }` to the file)"],
    );
    check(
        &with_route("run: t, large_payload: S3"),
        expect!["c.yaml:5:57: error: unknown value `S3`; did you mean `s3`? (choose from `s3`)"],
    );
}

#[test]
fn our_own_environment_variables_are_taken() {
    let environment = "    overrides: { container_overrides: [{ name: app, environment: { ECS_TRIGGER_ROUTE: x, ECS_TRIGGER_X: y } }] }";
    check(
        &with_task(environment),
        expect![[r#"
        c.yaml:5:68: error: the environment variable `ECS_TRIGGER_ROUTE` is reserved (rename it: ecs-trigger sets the variables with the prefix `ECS_TRIGGER_`)
        c.yaml:5:90: error: the environment variable `ECS_TRIGGER_X` is reserved (rename it: ecs-trigger sets the variables with the prefix `ECS_TRIGGER_`)"#]],
    );
}

#[test]
fn what_differs_between_deliveries_fills_nothing_in() {
    check(
        &with_task("    reference_id: \"{{ attributes.ApproximateReceiveCount }}\""),
        expect![[r#"
            c.yaml:5:19: warning: events of the route `r` never have `attributes` (run another task in this route, or add a default, as in `{{ name | default('-') }}`)
            c.yaml:5:34: error: `ApproximateReceiveCount` can differ between deliveries of a message (remove it; every delivery of a message must request the task with the same values)"#]],
    );
}

/// Parses a config with some environment variables set, and compares its problems or the first task's request.
fn check_with_variables(text: &str, expected: Expect) {
    let variables = |name: &str| match name {
        "NAME" => Some("production".to_owned()),
        "COUNT" => Some("3".to_owned()),
        "BRACES" => Some("{{ key }}".to_owned()),
        "OPENING" => Some("{ key }}".to_owned()),
        "BRACE" => Some("{".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let source = Source::new("c.yaml", text);
    let shown = match RoutingConfig::parse_with(source.clone(), &variables) {
        Ok(config) => {
            let task = &config.tasks[0];
            let reference = task.reference_id.as_ref().map(|template| template.source());
            format!("{} {:?} {reference:?}", task.fixed.task_definition, task.copies)
        }
        Err(problems) => problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn environment_variables_are_put_in_when_the_config_is_loaded() {
    let task = |settings: &str| format!("version: 1\ntasks: {{ t: {{ {settings} }} }}\nroutes: []\n");
    check_with_variables(
        &task("task_definition: \"import-${env:NAME}\", count: \"${env:COUNT}\""),
        expect!["import-production 3 None"],
    );
    check_with_variables(
        &task("task_definition: import-${env:NAME}, count: ${env:COUNT}"),
        expect![[
            r#"c.yaml:2:32: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"import-${env:NAME}"`)"#
        ]],
    );
    check_with_variables(&task("task_definition: \"${env:NOT_SET:-a}-${env:NOT_SET:-}b\""), expect!["a-b 1 None"]);
    check_with_variables(
        &task("task_definition: t, reference_id: \"$${env:NAME} $NAME ${NAME} {{ key }}/${env:NAME}\""),
        expect![[r#"t 1 Some("${env:NAME} $NAME ${NAME} {{ key }}/production")"#]],
    );
    check_with_variables(
        &task("task_definition: \"a-${env:NOT_SET}\""),
        expect![
            "c.yaml:2:35: error: the environment variable `NOT_SET` is not set (set it where the config is loaded, or add a default: `${env:NOT_SET:-default}`)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"{{ key ~ '${env:NAME}' }}\""),
        expect![
            "c.yaml:2:60: error: an environment variable cannot be used inside a template (move it before or after the braces: a template sees only the event)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"${env:BRACES}\""),
        expect![
            "c.yaml:2:50: error: the value of `${env:BRACES}` forms template braces (write the template in the config: a variable cannot add one)"
        ],
    );
    check_with_variables(
        &task("task_definition: \"${env:a b}${env:NAME\""),
        expect![[r#"
            c.yaml:2:33: error: `a b` is not a valid environment variable name (write `${env:NAME}` or `${env:NAME:-default}`; for a literal `${env:`, write `$${env:`)
            c.yaml:2:43: error: `${env:NAME` is not closed (end it with `}`)"#]],
    );
    // A variable's braces and the config's cannot form a template together.
    check_with_variables(
        &task("task_definition: t, reference_id: \"{${env:OPENING}\""),
        expect![
            "c.yaml:2:51: error: the value of `${env:OPENING}` forms template braces (write the template in the config: a variable cannot add one)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"${env:CLOSING:-{}{ key }}\""),
        expect![
            "c.yaml:2:50: error: the value of `${env:CLOSING:-{}` forms template braces (write the template in the config: a variable cannot add one)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"${env:BRACE}${env:EMPTY}{ key }}\""),
        expect![
            "c.yaml:2:50: error: the value of `${env:BRACE}` forms template braces (write the template in the config: a variable cannot add one)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"{${env:EMPTY}{ key }}\""),
        expect![
            "c.yaml:2:51: error: the value of `${env:EMPTY}` forms template braces (write the template in the config: a variable cannot add one)"
        ],
    );
    check_with_variables(
        &task("task_definition: t, reference_id: \"{${env:NAME}} ${env:BRACE} {{ key }}\""),
        expect![[r#"t 1 Some("{production} { {{ key }}")"#]],
    );
}

#[test]
fn environment_variables_are_put_into_keys() {
    let text = r#"
version: 1
tasks: { t: { task_definition: "${env:NAME}-import", tags: { "${env:NAME}": "yes" } } }
routes: [{ name: r, on: { queue: "${env:NAME}-jobs" }, run: t }]
stack: { queues: { "${env:NAME}-jobs": { queue: create } } }
local:
  queues: { "${env:NAME}-jobs": { folder: in } }
  task_definitions:
    ${env:NAME}-import: { container_definitions: { "${env:CONTAINER:-app}": { command: [import] } } }
"#;
    let variables = |name: &str| (name == "NAME").then(|| "production".to_owned());
    let config = RoutingConfig::parse_with(Source::new("c.yaml", text), &variables).expect("is valid");
    assert_eq!(config.warnings, []);
    assert!(config.stack.queue(config.queues()[0]).is_created, "the queue of the route is that of the stack");
    let local = config.local.expect("is there");
    assert!(local.queues.is_some_and(|queues| queues.get("production-jobs").is_some()));
    let definition = local.task_definitions.and_then(|all| all.get("production-import").cloned());
    assert!(definition.is_some_and(|definition| definition.container_definitions.get("app").is_some()));

    check_with_variables(
        &text.replace("queues: { \"$", "queues: { production-jobs: {}, \"$"),
        expect![[r#"
        c.yaml:5:41: error: duplicate key `production-jobs` in this mapping (remove one of them)
        c.yaml:7:34: error: duplicate key `production-jobs` in this mapping (remove one of them)"#]],
    );
    check_with_variables(
        &text.replace("${env:NAME}-jobs\": { queue", "${env:LACKING}-jobs\": { queue"),
        expect![
            "c.yaml:5:21: error: the environment variable `LACKING` is not set (set it where the config is loaded, or add a default: `${env:LACKING:-default}`)"
        ],
    );
    check_with_variables(
        &text.replace("tags: { \"", "tags: { \"$"),
        expect![
            "c.yaml:3:62: error: a tag's key cannot contain `$` (use letters, digits, spaces and `_ . : / = + - @`)"
        ],
    );
}

#[test]
fn a_variable_alone_in_a_list_of_the_network_may_hold_several_ids() {
    let ids = "x, y,";
    let subnets = |list: &str| {
        let task = format!("task_definition: t, network: {{ subnets: {list} }}");
        let text = format!("version: 1\ntasks: {{ t: {{ {task} }} }}\nroutes: []\n");
        let config =
            RoutingConfig::parse_with(Source::new("c.yaml", text), &|name| (name == "IDS").then(|| ids.into()));
        let config = config.expect("is valid");
        config.tasks[0].fixed.network_configuration.clone().expect("has a network").awsvpc_configuration.subnets
    };
    for (list, expected) in [
        (r#"["${env:IDS}"]"#, vec!["x", "y"]),
        (r#"[a, "${env:IDS}", b]"#, vec!["a", "x", "y", "b"]),
        (r#"["${env:NOT_SET:-a,b}"]"#, vec!["a", "b"]),
        (r#"["${env:NOT_SET:-a}"]"#, vec!["a"]),
    ] {
        assert_eq!(subnets(list), expected, "{list}");
    }
}

#[test]
fn only_the_network_of_a_task_of_the_defaults_or_of_a_rung_splits_a_variable_at_commas() {
    let ids = r#"["${env:IDS}"]"#;
    let network = format!("network: {{ subnets: {ids}, security_groups: {ids} }}");
    let rungs = format!("capacity: [{{ launch_type: FARGATE, {network} }}]");
    let input =
        format!("input: {{ network: {{ ids: {ids} }}, defaults: {{ {network} }}, tasks: {{ t: {{ {network} }} }} }}");
    let config = |defaults: &str, task: &str| {
        let text = format!(
            "version: 1\ndefaults: {{ {defaults} }}\ntasks: {{ t: {{ task_definition: t, {task} }} }}\n\
             routes: [{{ name: r, on: {{ schedule: rate(1 hour), {input} }}, run: t }}]\n"
        );
        RoutingConfig::parse_with(Source::new("c.yaml", text), &|_| Some("x,y".into())).expect("is valid")
    };
    for (defaults, task) in [("", network.as_str()), (network.as_str(), ""), ("", rungs.as_str()), (rungs.as_str(), "")]
    {
        let config = config(defaults, task);
        let network = config.tasks[0].fixed.network_configuration.clone().expect("has a network").awsvpc_configuration;
        assert_eq!(network.subnets, ["x", "y"], "{defaults} {task}");
        assert_eq!(network.security_groups.expect("has groups"), ["x", "y"], "{defaults} {task}");
        let EventSource::Schedule(schedule) = &config.routes[0].on else { panic!("is not a schedule") };
        let input = schedule.input.as_ref().map(json::write).expect("has an input");
        assert_eq!(input.matches(r#""x,y""#).count(), 5, "{input}");
    }
    let command = "overrides: { container_overrides: [{ name: network, command: [\"${env:IDS}\"] }] }";
    assert_eq!(config("", command).tasks[0].containers[0].command.len(), 1, "a word stays one word");
}

/// Parses a config that includes other files, and compares its problems, or its routes and the number of tests.
fn check_included(main: &str, included: &[(&str, &str)], expected: Expect) {
    let mut source = Source::new("c.yaml", main);
    for (name, text) in included {
        source.include(*name, text);
    }
    let shown = match RoutingConfig::parse(source.clone()) {
        Ok(config) => {
            let routes: Vec<String> =
                config.routes.iter().map(|route| format!("{} at {}", route.name, source.place(route.span))).collect();
            format!("{}; {} tests", routes.join(", "), config.tests.len())
        }
        Err(problems) => problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn included_files_add_tasks_routes_and_tests() {
    let main = "version: 1\ninclude: [a.yaml, b.yaml]\ntasks: { t: { task_definition: t } }\nroutes:\n  - { name: r, on: { queue: q }, run: u }\n";
    let a = "tasks: { u: { task_definition: u } }\nroutes:\n  - { name: s, on: { queue: q }, run: t }\n";
    check_included(
        main,
        &[("a.yaml", a), ("b.yaml", "# é\ntests: [{ name: n, event: e.json }]\n")],
        expect!["r at c.yaml:5:13, s at a.yaml:3:13; 1 tests"],
    );
    check_included(
        main,
        &[("a.yaml", a)],
        expect![
            "c.yaml:2:19: error: cannot read the included file `b.yaml` (write a path relative to this file's folder)"
        ],
    );
    let wrong =
        "tasks: { t: { task_definition: t } }\nroutes:\n  - { name: r, on: { queue: q }, run: v }\ninclude: [c.yaml]\n";
    check_included(
        main,
        &[("a.yaml", a), ("b.yaml", wrong)],
        expect![[r#"
            b.yaml:1:10: error: duplicate task name `t`, defined in another file (give each task a unique name)
            b.yaml:3:13: error: duplicate route name `r` (give each route a unique name: launches are identified by it)
            b.yaml:3:39: error: unknown task `v` (define it under `tasks`, or run one of `t` and `u`)
            b.yaml:4:1: error: unknown key `include` (choose from `version`, `tasks`, `routes`, `workers` and `tests`)"#]],
    );
    check_included(
        main,
        &[("a.yaml", "routes: ["), ("b.yaml", "")],
        expect![[r#"
            a.yaml:1:10: error: invalid YAML: while parsing a node, did not find expected node content
            b.yaml:1:1: error: expected a mapping with `tasks`, `routes`, `workers` or `tests`, found null"#]],
    );
}

#[test]
fn the_files_to_include_are_known_from_the_text() {
    let includes = |text: &str| {
        let found = super::includes(&Source::new("c.yaml", text), &|_| Some("prod".to_owned()));
        found.into_iter().map(|path| path.value).collect::<Vec<_>>()
    };
    assert_eq!(includes("include: [a.yaml, \"${env:STAGE}.yaml\"]\nroutes: wrong\n"), ["a.yaml", "prod.yaml"]);
    assert_eq!(includes("include: ["), [""; 0]);
}

/// Returns a config with these tests.
fn with_tests(tests: &str) -> String {
    format!(
        "version: 1\ntasks: {{ t: {{ task_definition: f }} }}\nroutes:\n  - {{ name: r, on: {{ schedule: rate(1 hour) }}, run: t }}\ntests:\n{tests}\n"
    )
}

#[test]
fn tests_name_one_event_and_what_there_is() {
    check(
        &with_tests(
            "  - { name: \"a {{ b }}\", event: a.json, expect: no route }\n  - { name: b, firing: { route: r, time: 2026-01-31T03:00:00Z }, expect: }",
        ),
        expect!["valid: routes r"],
    );
    check(
        &with_tests("  - { name: nothing, expect: no route }"),
        expect!["c.yaml:6:13: error: a test needs exactly one of `event`, `message` and `firing` (write one of them)"],
    );
    check(
        &with_tests("  - { name: two, event: { source: a }, message: { queue: q, body: x } }"),
        expect!["c.yaml:6:13: error: a test needs exactly one of `event`, `message` and `firing` (write one of them)"],
    );
    check(
        &with_tests("  - { name: a, firing: { route: s, time: soon } }"),
        expect!["c.yaml:6:42: error: `soon` is not a valid time (write for example `2026-01-31T03:00:00Z`)"],
    );
    check(
        &with_tests("  - { name: a, message: { queue: \"a b\", body: x }, expect: [{ route: s, task: u }] }"),
        expect![[r#"
            c.yaml:6:70: warning: unknown route `s` (write a name that this config defines: otherwise the test cannot pass)
            c.yaml:6:79: warning: unknown task `u` (write a name that this config defines: otherwise the test cannot pass)
            valid: routes r"#]],
    );
    check(
        &with_tests("  - { name: a, event: 7, expect: nothing }"),
        expect![[r#"
        c.yaml:6:23: error: expected the path of a JSON file, or an event, found a number
        c.yaml:6:34: error: expected `no route`, a launch, a list of launches, or `{ error: ... }`, found a string"#]],
    );
}

#[test]
fn names_that_a_routes_events_never_have_are_told() {
    let config = |on: &str, more: &str, word: &str| {
        format!(
            "version: 1\ntasks: {{ t: {{ task_definition: f, reference_id: \"{word}\" }} }}\nroutes:\n  - {{ name: r, on: {on}, run: t{more} }}\n"
        )
    };
    check(
        &config("{ schedule: rate(1 hour) }", "", "{{ key }}"),
        expect![[r#"
        c.yaml:2:49: warning: events of the route `r` never have `key` (run another task in this route, or add a default, as in `{{ name | default('-') }}`)
        valid: routes r"#]],
    );
    check(
        &config("{ s3: { bucket: b } }", "", "{{ scheduled.date }}"),
        expect![[r#"
        c.yaml:2:49: warning: events of the route `r` never have `scheduled` (run another task in this route, or add a default, as in `{{ name | default('-') }}`)
        valid: routes r"#]],
    );
    check(
        &config("{ queue: q }", "", "{{ item }} {{ body }} {{ bucket }}"),
        expect![[r#"
        c.yaml:2:49: warning: events of the route `r` never have `item` (run another task in this route, or add a default, as in `{{ name | default('-') }}`)
        valid: routes r"#]],
    );
    check(&config("{ queue: q }", ", for_each: \"{{ body }}\"", "{{ item }}"), expect!["valid: routes r"]);
    check(&config("{ schedule: rate(1 hour) }", "", "{{ key | default('-') }}"), expect!["valid: routes r"]);
}

#[test]
fn a_config_says_nothing_about_queues_that_no_route_is_on() {
    let local = "version: 1\ntasks: { t: { task_definition: f } }\nroutes: [{ name: r, on: { queue: jobs }, run: t }]\nlocal: { queues: { job: { max_receive_count: 0 } } }\n";
    check(
        local,
        expect![[r#"
            c.yaml:4:20: warning: no route or worker uses a queue `job`; did you mean `jobs`? (write the name of a queue that a route or worker uses, or remove this entry)
            c.yaml:4:46: error: `max_receive_count` must be at least 1 (write a number from 1)"#]],
    );
}

#[test]
fn queues_lie_in_accounts_of_twelve_digits() {
    check(
        &with_on("{ queue: \"arn:aws:sqs:eu-west-1:1111:q\" }"),
        expect![
            "c.yaml:5:18: error: `arn:aws:sqs:eu-west-1:1111:q` has no valid Region and account id (write an account id of 12 digits, or only the queue's name)"
        ],
    );
}

#[test]
fn included_files_lie_below_the_config() {
    let main = "version: 1\ninclude: [../a.yaml, /b.yaml, s3://c/d.yaml]\ntasks: {}\nroutes: []\n";
    check_included(
        main,
        &[],
        expect![[r#"
        c.yaml:2:11: error: `../a.yaml` is outside this file's folder (write a path in this folder or below it: `deploy` uploads no other files with the config)
        c.yaml:2:22: error: `/b.yaml` is outside this file's folder (write a path in this folder or below it: `deploy` uploads no other files with the config)
        c.yaml:2:31: error: `s3://c/d.yaml` is outside this file's folder (write a path in this folder or below it: `deploy` uploads no other files with the config)"#]],
    );
}

#[test]
fn an_error_in_a_task_is_the_only_thing_said_of_it() {
    let config = "version: 1\ntasks: { t: { comand: [x] }, u: { task_definition: u, reference_id: \"{{ item }}\" } }\nroutes:\n  - { name: r, on: { queue: q }, run: t }\n  - { name: s, on: { queue: q }, run: u }\n";
    check(
        config,
        expect![
            "c.yaml:2:15: error: unknown key `comand` (choose from `cluster`, `task_definition`, `count`, `launch_type`, `capacity_provider_strategy`, `capacity`, `timeout`, `retry`, `platform_version`, `network`, `group`, `placement_constraints`, `placement_strategy`, `propagate_tags`, `tags`, `started_by`, `enable_execute_command`, `enable_ecs_managed_tags`, `reference_id`, `volume_configurations` and `overrides`)"
        ],
    );
}

/// Returns a valid config with a ledger, with `task` as the task's further settings and `route` as the route's.
fn with_ledger(task: &str, route: &str) -> String {
    format!(
        "version: 1\nstorage: {{ bucket: state }}\ntasks:\n  t: {{ task_definition: family{task} }}\nroutes:\n  - {{ name: r, on: {{ s3: {{ bucket: b }} }}, run: t{route} }}\n"
    )
}

#[test]
fn a_ladder_a_timeout_retries_and_slots_are_valid_with_a_ledger() {
    let ladder = ", network: { subnets: [s] }, capacity: [{ capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }] }, { launch_type: EC2, cpu: 512, memory: 1024 }]";
    let task = format!(
        "{ladder}, timeout: 2h, retry: {{ attempts: 3, on: [spot_interruption, {{ exit_code: 137 }}], backoff: 30s }}"
    );
    let route = ", ignore_older: true, concurrency: { max: 10, key: \"{{ key }}\", when_full: replace }";
    check(&with_ledger(&task, route), expect!["valid: routes r"]);
}

#[test]
fn each_rung_of_a_ladder_is_held_against_awss_limits() {
    check(
        &with_ledger(", capacity: []", ""),
        expect!["c.yaml:4:43: error: `capacity` has no rungs (add at least one, or remove the key)"],
    );
    check(
        &with_ledger(", launch_type: EC2, capacity: [{ launch_type: EC2 }]", ""),
        expect![
            "c.yaml:4:61: error: `launch_type` cannot be combined with `capacity` (move `launch_type` into the first rung of `capacity`)"
        ],
    );
    check(
        &with_ledger(", capacity: [{ launch_type: EC2 }, { launch_type: FARGATE, cpu: 256, memory: 9999 }]", ""),
        expect![[r#"
        c.yaml:4:3: error: the task `t` runs on Fargate, which needs a network (add `network: { subnets: [subnet-...] }`, here or under `defaults`)
        c.yaml:4:95: error: Fargate has no task size of cpu 256 and memory 9999 (use cpu 256 with memory 512, 1024 or 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720; 8192 with 16384 to 61440; 16384 with 32768 to 122880)"#]],
    );
    check(
        &with_ledger(", capacity: [{ launch_type: EC2, platform_version: LATEST }, { cluster: other }]", ""),
        expect![[r#"
            c.yaml:4:82: error: `platform_version` is only valid on Fargate, but the launch type is EC2 (remove `platform_version`)
            c.yaml:4:92: error: this rung sets nothing (add for example `launch_type: ...`)
            c.yaml:4:94: error: unknown key `cluster` (choose from `launch_type`, `capacity_provider_strategy`, `platform_version`, `network`, `cpu` and `memory`)"#]],
    );
}

#[test]
fn retries_and_slots_have_borders() {
    check(
        &with_ledger(", timeout: 0s, retry: { attempts: 0, on: [spot, { exit_code: [0, 256] }] }", ""),
        expect![[r#"
        c.yaml:4:42: error: `timeout` must be at least 1s (write for example `30m`)
        c.yaml:4:53: error: 0 is not an exit code of a failure (write exit codes from 1 to 255)
        c.yaml:4:65: error: `attempts` is 0, but must be 1 to 20 (write a number from 1 to 20)
        c.yaml:4:73: error: unknown value `spot` (choose from `spot_interruption`, `failed_to_start`, `timeout` and `any`)"#]],
    );
    check(
        &with_ledger("", ", concurrency: { max: 0, when_full: wait }"),
        expect![[r#"
            c.yaml:6:71: error: `max` must be at least 1 (remove the route if nothing is to run)
            c.yaml:6:85: error: unknown value `wait` (choose from `queue`, `skip` and `replace`)"#]],
    );
    check(
        &with_ledger(
            ", retry: { attempts: 2, on: { exit_code: [0] } }",
            ", concurrency: { max: 10, key: \"{{ nothing }}\" }",
        ),
        expect![[r#"
        c.yaml:4:40: error: 0 is not an exit code of a failure (write exit codes from 1 to 255)
        c.yaml:6:84: error: no event has a field `nothing` (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#]],
    );
}

#[test]
fn a_retry_on_timeout_needs_a_timeout() {
    check(
        &with_ledger(", retry: { attempts: 2, on: timeout }", ""),
        expect![
            "c.yaml:4:40: error: the retry is on `timeout`, but the task has no `timeout` (add `timeout: ...` to the task)"
        ],
    );
}

#[test]
fn what_needs_the_ledger_says_so_and_the_ledger_needs_a_place() {
    let config = with_ledger(", timeout: 1h, retry: { attempts: 2 }", ", concurrency: { max: 1 }, ignore_older: true");
    check(
        &config.replace("storage: { bucket: state }\n", ""),
        expect![[r#"
            c.yaml:3:42: error: `timeout` needs the ledger (add `storage: { bucket: NAME }` to the file, which turns the ledger on)
            c.yaml:3:53: error: `retry` needs the ledger (add `storage: { bucket: NAME }` to the file, which turns the ledger on)
            c.yaml:5:64: error: `concurrency` needs the ledger (add `storage: { bucket: NAME }` to the file, which turns the ledger on)
            c.yaml:5:90: error: `ignore_older` needs the ledger (add `storage: { bucket: NAME }` to the file, which turns the ledger on)"#]],
    );
    check(
        &config.replace("storage: { bucket: state }\n", "ledger: on\n"),
        expect!["c.yaml:2:9: error: the ledger needs `storage` (add `storage: { bucket: NAME }` to the file)"],
    );
    check(
        &with_ledger(", timeout: 1h", "").replace("tasks:", "ledger: off\ntasks:"),
        expect!["c.yaml:5:42: error: `timeout` needs the ledger (remove `timeout`, or `ledger: off`)"],
    );
    check(
        &with_ledger(", started_by: me", ""),
        expect![
            "c.yaml:4:45: error: `started_by` cannot be set with the ledger, which records the launch in it (remove `started_by` and use `tags` or `reference_id` instead, or write `ledger: off`)"
        ],
    );
    check(&with_ledger(", started_by: me", "").replace("tasks:", "ledger: off\ntasks:"), expect!["valid: routes r"]);
}

#[test]
fn only_objects_are_in_an_order_of_their_own() {
    check(
        &with_ledger("", ", ignore_older: true").replace("s3: { bucket: b }", "schedule: rate(1 hour)"),
        expect![
            "c.yaml:6:70: error: `ignore_older` is only valid with `s3` (remove `ignore_older`, or add `s3: ...` under `on`)"
        ],
    );
}

#[test]
fn a_route_must_not_take_what_its_own_launches_write() {
    check(
        &with_ledger("", "").replace("bucket: b", "bucket: state"),
        expect![
            "c.yaml:6:13: error: the route takes events about objects that launches write, so it would launch tasks forever (use another bucket for `storage`, or limit the route to a key prefix that `storage` does not use)"
        ],
    );
    check(&with_ledger("", "").replace("bucket: b", "bucket: state, key: { prefix: in/ }"), expect!["valid: routes r"]);
    check(
        &with_ledger("", "").replace("bucket: b", "bucket: state, key: { prefix: payloads/ }"),
        expect![
            "c.yaml:6:13: error: the route takes events about objects that launches write, so it would launch tasks forever (use another bucket for `storage`, or limit the route to a key prefix that `storage` does not use)"
        ],
    );
}

#[test]
fn the_tasks_of_one_event_may_be_limited() {
    check(&with_ledger(", count: 5", ", max_at_once: 2"), expect!["valid: routes r"]);
    check(&with_ledger("", ", for_each: \"{{ detail.x }}\", max_at_once: 2"), expect!["valid: routes r"]);
    check(
        &with_ledger("", ", max_at_once: 2"),
        expect![
            "c.yaml:6:64: error: `max_at_once` has no effect: an event starts one task (remove it, or use `concurrency` to limit the tasks of all events)"
        ],
    );
    check(
        &with_ledger(", count: 5", ", max_at_once: 0, concurrency: { max: 1 }"),
        expect![[r#"
        c.yaml:6:64: error: `max_at_once` must be at least 1 (remove the route if nothing is to run)
        c.yaml:6:64: error: a route cannot have both `max_at_once` and `concurrency` (keep `max_at_once` for a limit within each event, or `concurrency` for one of the route)"#]],
    );
    check(
        &with_ledger(", count: 5", ", max_at_once: 2").replace("storage: { bucket: state }", "ledger: off"),
        expect!["c.yaml:6:64: error: `max_at_once` needs the ledger (remove `max_at_once`, or `ledger: off`)"],
    );
}

#[test]
fn tasks_of_one_event_do_not_skip_each_other() {
    check(&with_ledger(", count: 5", ", concurrency: { max: 5, when_full: skip }"), expect!["valid: routes r"]);
    check(
        &with_ledger(", count: 20", ", concurrency: { max: 10, when_full: skip }"),
        expect![
            "c.yaml:6:71: error: one event may start more than 10 tasks, which would skip each other (raise `max`, or write `when_full: queue`)"
        ],
    );
    check(
        &with_ledger("", ", for_each: \"{{ detail.x }}\", concurrency: { max: 10, when_full: replace }"),
        expect![
            "c.yaml:6:99: error: one event may start more than 10 tasks, which would replace each other (raise `max`, or write `when_full: queue`)"
        ],
    );
}

/// Returns a config of workers alone, with these settings.
fn with_worker(worker: &str) -> String {
    format!("version: 1\nworkers:\n  - {{ {worker} }}\n")
}

#[test]
fn workers_need_no_routes() {
    check(
        &with_worker("service: w, queue: q, scaling: { max: 5, acceptable_latency: 60s }"),
        expect!["valid: routes "],
    );
    check(
        "version: 1\n",
        expect![[r#"
        c.yaml:1:1: error: missing key `tasks` (add `tasks: ...`, a mapping)
        c.yaml:1:1: error: missing key `routes` (add `routes: ...`, a list)"#]],
    );
}

#[test]
fn workers_are_a_services_tasks_or_tasks_of_their_own() {
    let scaling = "queue: q, scaling: { max: 5, acceptable_latency: 60s }";
    check(
        &with_worker(scaling),
        expect![
            "c.yaml:3:5: error: workers need exactly one of `service` and `run` (write `service: NAME` or `run: TASK`)"
        ],
    );
    check(
        &with_worker(&format!("service: w, run: w, {scaling}")),
        expect![
            "c.yaml:3:5: error: workers need exactly one of `service` and `run` (write `service: NAME` or `run: TASK`)"
        ],
    );
    check(
        &with_worker(&format!("run: w, {scaling}")),
        expect!["c.yaml:3:12: error: unknown task `w` (define it under `tasks`)"],
    );
    check(
        &with_worker(&format!("service: \"a b\", {scaling}")),
        expect![
            "c.yaml:3:16: error: `a b` is not a valid worker name (use 1 to 64 letters, digits, `-` and `_`; if the service is named otherwise, add a `name`)"
        ],
    );
}

#[test]
fn a_workers_task_is_filled_in_from_no_event() {
    let config = |task: &str| {
        format!(
            "version: 1\ntasks:\n  w: {{ task_definition: w, {task} }}\nworkers:\n  - {{ run: w, queue: q, scaling: {{ max: 5, acceptable_latency: 60s }} }}\n"
        )
    };
    check(
        &config("overrides: { container_overrides: [{ name: app, command: [\"{{ id }}\"] }] }"),
        expect![
            "c.yaml:5:12: error: workers cannot run the task `w`, which has templates: no event starts a worker (run a task without `{{ ... }}`)"
        ],
    );
    check(
        &config("count: 3"),
        expect![[r#"
            c.yaml:5:12: error: workers cannot run the task `w`, which has a `count` (run a task without `count`: the scaler starts as many as are needed)
            c.yaml:5:12: warning: no container of the task `w` gets the name of the queue (add `overrides: { container_overrides: [{ name: CONTAINER }] }` to the task, or set the queue in the image)"#]],
    );
    check(&config("overrides: { container_overrides: [{ name: app, command: [work] }] }"), expect!["valid: routes "]);
}

#[test]
fn workers_are_scaled_by_one_rule_within_bounds() {
    let scaling = |scaling: &str| with_worker(&format!("service: w, queue: q, scaling: {{ {scaling} }}"));
    check(
        &scaling("max: 5"),
        expect![
            "c.yaml:3:38: error: `scaling` needs exactly one of `acceptable_latency`, `target` and `step` (write for example `acceptable_latency: 60s`)"
        ],
    );
    check(
        &scaling("max: 5, acceptable_latency: 60s, target: { backlog_per_task: 5 }"),
        expect![
            "c.yaml:3:38: error: `scaling` needs exactly one of `acceptable_latency`, `target` and `step` (write for example `acceptable_latency: 60s`)"
        ],
    );
    check(
        &scaling("max: 0, acceptable_latency: 60s"),
        expect![
            "c.yaml:3:45: error: `max` must be at least 1 (write a number from 1; to stop scaling, write `paused: true`)"
        ],
    );
    check(
        &scaling("min: 6, max: 5, acceptable_latency: 60s"),
        expect!["c.yaml:3:45: error: `min` is 6, but `max` is 5 (write a `min` that is at most `max`)"],
    );
    check(
        &scaling("max: 5, acceptable_latency: 500ms"),
        expect!["c.yaml:3:68: error: `acceptable_latency` must be at least 1s (write for example `10s`)"],
    );
    check(
        &scaling("max: 5, target: { backlog_per_task: 0 }"),
        expect!["c.yaml:3:76: error: `backlog_per_task` must be at least 1 (write a number from 1)"],
    );
    check(
        &scaling("max: 5, step: { adjustments: [] }"),
        expect![
            "c.yaml:3:69: error: `adjustments` is empty (add at least one, for example `{ lower: 100, change: 1 }`)"
        ],
    );
    check(
        &scaling(
            "max: 5, step: { adjustments: [{ change: 1 }, { lower: 9, upper: 1, change: 1 }, { upper: 0, change: 0 }] }",
        ),
        expect![[r#"
            c.yaml:3:70: error: this adjustment always applies (add `lower`, `upper` or both)
            c.yaml:3:85: error: this adjustment never applies (write a `lower` that is at most `upper`)
            c.yaml:3:120: error: `change: 0` changes nothing (write the number of workers to add, or a negative number to remove workers)"#]],
    );
    check(
        &scaling("max: 5, acceptable_latency: 60s, tick: 2m, concurrency: 0, msg_processing_time: 0s, idle_exit: 5s"),
        expect![[r#"
            c.yaml:3:79: error: `tick` must be at most 60s (write 1s to 60s, for example `10s`)
            c.yaml:3:96: error: `concurrency` must be 1 to 1000 (write a number in that range)
            c.yaml:3:120: error: `msg_processing_time` must be at least 1ms (write for example `5s`, or remove the key)
            c.yaml:3:135: error: `idle_exit` is only valid with `run` (remove `idle_exit`)"#]],
    );
}

#[test]
fn a_workers_schedules_change_bounds() {
    let schedules = |schedules: &str| {
        with_worker(&format!(
            "service: w, queue: q, scaling: {{ max: 5, acceptable_latency: 60s, schedules: [{schedules}] }}"
        ))
    };
    check(
        &schedules("{ cron: cron(0 8 ? * MON-FRI *), timezone: Europe/Berlin, for: 10h, min: 2 }"),
        expect!["valid: routes "],
    );
    check(&schedules("{ cron: 0 8 ? * MON-FRI *, max: 9 }"), expect!["valid: routes "]);
    check(
        &schedules("{ cron: 0 8 * * * *, min: 1 }"),
        expect![
            "c.yaml:3:101: error: exactly one of day-of-month and day-of-week must be `?` (write `?` for the one that does not matter, as in `cron(0 3 * * ? *)` or `cron(0 3 ? * MON *)`)"
        ],
    );
    check(
        &schedules(
            "{ cron: 0 8 * * ? * }, { cron: 0 8 * * ? *, min: 9 }, { cron: 0 8 * * ? *, min: 9, max: 8, timezone: Berlin }",
        ),
        expect![[r#"
            c.yaml:3:85: error: this schedule sets neither `min` nor `max` (add `min`, `max` or both)
            c.yaml:3:108: error: `min` is 9, but `max` is 5 (add a `max` to this schedule)
            c.yaml:3:139: error: `min` is 9, but `max` is 8 (write a `min` that is at most `max`)
            c.yaml:3:186: error: unknown time zone `Berlin` (write an IANA name such as `Europe/Berlin`, or `UTC`)"#]],
    );
}

#[test]
fn a_queue_whose_messages_others_take_as_well_is_a_warning() {
    check(
        "version: 1\ntasks: { t: { task_definition: t } }\nroutes: [{ name: r, on: { queue: q }, run: t }]\nworkers:\n  - { service: a, queue: q, scaling: { max: 5, acceptable_latency: 60s } }\n  - { service: b, queue: [p, q], scaling: { max: 5, acceptable_latency: 60s } }\n  - { service: b, name: c, queue: o, scaling: { max: 5, acceptable_latency: 60s } }\n  - { service: d, name: c, queue: s, scaling: { max: 5, acceptable_latency: 60s } }\n",
        expect![[r#"
            c.yaml:5:16: warning: a route also takes messages of the queue `q` (give each its own queue: otherwise each message goes to whichever receives it first)
            c.yaml:6:16: warning: a route also takes messages of the queue `q` (give each its own queue: otherwise each message goes to whichever receives it first)
            c.yaml:7:25: error: duplicate workers for the same service (list all of its queues in one entry: `queue: [one, another]`)
            c.yaml:8:25: error: duplicate worker name `c` (give each entry a unique `name`)"#]],
    );
}
