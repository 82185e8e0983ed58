//! The mistakes that everybody makes once: each says what to write instead.

use expect_test::expect;

use super::{check, with_on, with_task, with_worker};
use crate::routing::RoutingConfig;
use crate::text::Source;

/// Returns a valid config with a further key of its route.
fn with_route_key(key: &str) -> String {
    format!(
        "version: 1\ntasks: {{ t: {{ task_definition: f }} }}\nroutes:\n  - name: r\n    on: {{ queue: q }}\n    run: t\n    {key}\n"
    )
}

#[test]
fn a_template_outside_quotes_is_shown_in_quotes() {
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: [go, {{ key }}] }] }"),
        expect![[
            r#"c.yaml:5:67: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"{{ key }}"`)"#
        ]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [s3://{{ bucket }}/{{ key }}, x] }] }",
        ),
        expect![[
            r#"c.yaml:5:63: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"s3://{{ bucket }}/{{ key }}"`)"#
        ]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, environment: { KEY: {{ key | replace(\"a\", \"b\") }} } }] }",
        ),
        expect![[
            r#"c.yaml:5:73: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `'{{ key | replace("a", "b") }}'`)"#
        ]],
    );
    check(
        &with_task("    reference_id: {{ key }}-{{ id }} # why\n    count: 1"),
        expect![[
            r#"c.yaml:5:19: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"{{ key }}-{{ id }}"`)"#
        ]],
    );
    check(&with_task("    reference_id: s3://{{ bucket }}/{{ key }}"), expect!["valid: routes r"]);
    check(
        &with_task("    reference_id: {% if key %}x{% endif %}"),
        expect![[
            r#"c.yaml:5:19: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"{% if key %}x{% endif %}"`)"#
        ]],
    );
    check(
        &with_task("    overrides: { cpu: ${env:CPU}, memory: \"${env:MEMORY}\" }"),
        expect![[
            r#"c.yaml:5:23: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"${env:CPU}"`)"#
        ]],
    );
    check(
        &with_task("    network: { subnets: [${env:ONE}, ${env:TWO}] }"),
        expect![[
            r#"c.yaml:5:26: error: this value needs quotes: YAML reads `{` as the start of a mapping (write `"${env:ONE}"`)"#
        ]],
    );
    check(
        &with_task("    tags: { note: \"{{ key }}\", it: 's {{ x }}', of: a {b }"),
        expect!["c.yaml:5:55: error: invalid YAML: while parsing a flow mapping, did not find expected ',' or '}'"],
    );
}

#[test]
fn a_merge_key_is_shown_with_the_keys_to_write() {
    check(
        "version: 1\ntasks:\n  t: &t { task_definition: t, count: 2 }\n  u:\n    <<: *t\n    task_definition: u\nroutes:\n  - { name: r, on: { queue: q }, run: [t, u] }\n",
        expect![
            "c.yaml:5:5: error: merge keys (`<<`) are not part of YAML 1.2 (write `task_definition`, `count` here; settings that all tasks share belong under `defaults`, and an alias can stand for one value, as in `tags: *tags`)"
        ],
    );
}

#[test]
fn a_key_condition_has_one_prefix_or_several() {
    check(&with_on("{ s3: { bucket: b, key: { suffix: [.csv, .tsv] } } }"), expect!["valid: routes r"]);
    check(
        &with_on("{ s3: { bucket: b, key: { prefix: [in/, out/], suffix: [.csv, .tsv] } } }"),
        expect!["valid: routes r"],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { wildcard: [\"in/*.csv\", \"out/*/a\"] } } }"),
        expect!["valid: routes r"],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { suffix: [] } } }"),
        expect!["c.yaml:5:43: error: the list is empty (list at least one value)"],
    );
    check(
        &with_on(
            "{ s3: { bucket: b, key: { prefix: [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10], suffix: [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9] } } }",
        ),
        expect![
            "c.yaml:5:33: error: these prefixes and suffixes make 110 pairs, but at most 100 are allowed (write one route for some of the suffixes)"
        ],
    );
}

#[test]
fn environment_variables_are_a_mapping_or_awss_list() {
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, environment: [{ name: KEY, value: \"{{ key }}\" }, { name: N, value: 5 }] }] }",
        ),
        expect!["valid: routes r"],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, environment: [{ name: A, value: x }, { name: A, value: y }, { Name: B, value: z }] }] }",
        ),
        expect![[r#"
            c.yaml:5:98: error: duplicate environment variable `A` (remove one of them)
            c.yaml:5:113: error: missing key `name` (add `name: ...`, a string)
            c.yaml:5:115: error: unknown key `Name`; did you mean `name`? (write `name`)"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, environment: [{ name: ECS_TRIGGER_X, value: x }] }] }",
        ),
        expect![
            "c.yaml:5:75: error: the environment variable `ECS_TRIGGER_X` is reserved (rename it: ecs-trigger sets the variables with the prefix `ECS_TRIGGER_`)"
        ],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, environment: [A=x] }] }"),
        expect!["c.yaml:5:67: error: expected a mapping with `name` and `value`, found a string"],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, environment: A=x }] }"),
        expect!["c.yaml:5:66: error: expected a mapping, or a list of `{ name: ..., value: ... }`, found a string"],
    );
}

#[test]
fn a_command_is_a_list_of_words() {
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: [{ a: b }] }] }"),
        expect!["c.yaml:5:63: error: expected a string, found a mapping"],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: \"echo hi\" }] }"),
        expect![
            "c.yaml:5:62: error: expected a list of words, found a string (write `[echo, hi]`: no shell reads the command)"
        ],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: \"import --key '{{ key }}' \\\"a b\\\" --n 5\" }] }",
        ),
        expect![[
            r#"c.yaml:5:62: error: expected a list of words, found a string (write `[import, --key, "{{ key }}", "a b", --n, "5"]`: no shell reads the command)"#
        ]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: \"cat {{ key }} | wc -l > $OUT\" }] }",
        ),
        expect![[
            r#"c.yaml:5:62: error: expected a list of words, found a string (write `[sh, -c, 'cat "$1" | wc -l > $OUT', sh, "{{ key }}"]`: no shell reads a command unless it runs one)"#
        ]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: 'echo \"{{ key }}\" && echo {{ key }} {{ bucket }}' }] }",
        ),
        expect![[
            r#"c.yaml:5:62: error: expected a list of words, found a string (write `[sh, -c, 'echo "$1" && echo "$1" "$2"', sh, "{{ key }}", "{{ bucket }}"]`: no shell reads a command unless it runs one)"#
        ]],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: \"copy a\\\\ b \\\"\\\" c\" }] }"),
        expect![[
            r#"c.yaml:5:62: error: expected a list of words, found a string (write `[copy, "a b", "", c]`: no shell reads the command)"#
        ]],
    );
}

#[test]
fn a_list_in_place_of_one_value_is_shown_with_brackets() {
    check(
        &with_task("    network: { subnets: subnet-1 }"),
        expect!["c.yaml:5:25: error: expected a list, found a string (write `[subnet-1]`)"],
    );
    check(
        &with_task("    network: { subnets: \"subnet-1, subnet-2\" }"),
        expect!["c.yaml:5:25: error: expected a list, found a string (write `[subnet-1, subnet-2]`)"],
    );
}

#[test]
fn an_event_is_not_part_of_a_shell_script() {
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: [sh, -c, \"process {{ key }}\"] }] }"),
        expect![[r#"
            c.yaml:5:71: warning: the shell runs what an event fills into this script as code (pass it as an argument: write `[sh, -c, 'process "$1"', sh, "{{ key }}"]`; or pass it in `environment`)
            valid: routes r"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [/bin/bash, -ec, \"cp '{{ key }}' {{ bucket }} {{ key }}\"] }] }",
        ),
        expect![[r#"
            c.yaml:5:79: warning: the shell runs what an event fills into this script as code (pass it as an argument: write `[/bin/bash, -ec, 'cp "$1" "$2" "$1"', sh, "{{ key }}", "{{ bucket }}"]`; or pass it in `environment`)
            valid: routes r"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [sh, -c, 'process \"$1\"', sh, \"{{ key }}\"] }] }",
        ),
        expect!["valid: routes r"],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [python, -c, \"print(1)\", \"{{ key }}\"] }] }",
        ),
        expect!["valid: routes r"],
    );
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: [run, -c, \"{{ key }}\"] }] }"),
        expect!["valid: routes r"],
    );
}

#[test]
fn a_shell_script_is_found_after_the_options_of_its_shell_or_of_the_entry_point() {
    for (command, safe) in [
        (r#"[bash, -e, -c, "echo {{ key }}"]"#, Some(r#"[bash, -e, -c, 'echo "$1"', sh, "{{ key }}"]"#)),
        (
            r#"[bash, -euo, pipefail, -c, "echo {{ key }}"]"#,
            Some(r#"[bash, -euo, pipefail, -c, 'echo "$1"', sh, "{{ key }}"]"#),
        ),
        (r#"[bash, -c, -e, "echo {{ key }}"]"#, Some(r#"[bash, -c, -e, 'echo "$1"', sh, "{{ key }}"]"#)),
        (r#"[sh, -ce, --, "echo {{ key }}"]"#, Some(r#"[sh, -ce, --, 'echo "$1"', sh, "{{ key }}"]"#)),
        (
            r#"[bash, --rcfile, a, --posix, +x, -c, "echo {{ key }}"]"#,
            Some(r#"[bash, --rcfile, a, --posix, "+x", -c, 'echo "$1"', sh, "{{ key }}"]"#),
        ),
        (
            r#"[timeout, "60", sh, -c, "echo {{ key }}"]"#,
            Some(r#"[timeout, "60", sh, -c, 'echo "$1"', sh, "{{ key }}"]"#),
        ),
        (r#"[sh, -c, "echo $1 {{ key }}", app, a]"#, Some(r#"[sh, -c, 'echo $1 "$2"', app, a, "{{ key }}"]"#)),
        (r#"[-c, "echo {{ key }}"]"#, Some(r#"[-c, 'echo "$1"', sh, "{{ key }}"]"#)),
        (r#"[-e, -c, "echo {{ key }}"]"#, Some(r#"[-e, -c, 'echo "$1"', sh, "{{ key }}"]"#)),
        (r#"[-lc, "echo {{ key }}"]"#, Some(r#"[-lc, 'echo "$1"', sh, "{{ key }}"]"#)),
        (r#"[bash, -e, script.sh, -c, "{{ key }}"]"#, None),
        (r#"[sh, -o, -c, script.sh, "{{ key }}"]"#, None),
        (r#"[sh, -c]"#, None),
        (r#"[-c, 'echo "$1"', sh, "{{ key }}"]"#, None),
        (r#"[-config, "{{ key }}"]"#, None),
        (r#"[--c, "{{ key }}"]"#, None),
        (r#"[-x, "{{ key }}"]"#, None),
    ] {
        let text =
            with_task(&format!("    overrides: {{ container_overrides: [{{ name: app, command: {command} }}] }}"));
        let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("is valid");
        let helps: Vec<&str> = config.warnings.iter().filter_map(|warning| warning.help.as_deref()).collect();
        let expected = safe.map(|safe| format!("pass it as an argument: write `{safe}`; or pass it in `environment`"));
        assert_eq!(helps, expected.iter().map(String::as_str).collect::<Vec<_>>(), "{command}");
    }
    check(
        &with_task("    overrides: { container_overrides: [{ name: app, command: [-c, \"echo {{ key }}\"] }] }"),
        expect![[r#"
            c.yaml:5:67: warning: if the image's entry point is a shell, it runs what an event fills into this script as code (pass it as an argument: write `[-c, 'echo "$1"', sh, "{{ key }}"]`; or pass it in `environment`)
            valid: routes r"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [sh, -c, \"{% if size > 3 %}echo \
             {{ key }}{% endif %}\"] }] }",
        ),
        expect![[r#"
            c.yaml:5:71: warning: the shell runs what an event fills into this script as code (pass each value as an argument; or pass it in `environment`)
            valid: routes r"#]],
    );
}

#[test]
fn placeholders_of_other_systems_are_shown_as_templates() {
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [\"<$.detail.bucket.name>\", \"s3://${detail.bucket.name}/${detail.object.key}\", \"$.detail-type\", \"<aws.scheduler.scheduled-time>\"] }] }",
        ),
        expect![[r#"
            c.yaml:5:64: warning: `<$.detail.bucket.name>` is not a placeholder here, so nothing fills it in (write `{{ detail.bucket.name }}`)
            c.yaml:5:95: warning: `${detail.bucket.name}` is not a placeholder here, so nothing fills it in (write `{{ detail.bucket.name }}`)
            c.yaml:5:117: warning: `${detail.object.key}` is not a placeholder here, so nothing fills it in (write `{{ detail.object.key }}`)
            c.yaml:5:141: warning: `$.detail-type` is not a placeholder here, so nothing fills it in (write `{{ detail_type }}`)
            c.yaml:5:158: warning: `<aws.scheduler.scheduled-time>` is not a placeholder here, so nothing fills it in (write `{{ scheduled_time }}`)
            valid: routes r"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, environment: { A: \"<$.detail.instance-id>\", B: \"<$.own.x>\", C: \"$.detail.items[0].name\" } }] }",
        ),
        expect![[r#"
            c.yaml:5:72: warning: `<$.detail.instance-id>` is not a placeholder here, so nothing fills it in (write `{{ detail["instance-id"] }}`)
            c.yaml:5:101: warning: `<$.own.x>` is not a placeholder here, so nothing fills it in (write `{{ event.own.x }}`)
            c.yaml:5:117: warning: `$.detail.items[0].name` is not a placeholder here, so nothing fills it in (write `{{ detail.items[0].name }}`)
            valid: routes r"#]],
    );
    check(
        &with_task(
            "    overrides: { container_overrides: [{ name: app, command: [\"${HOME} ${key} $HOME <b> $${env:X}\", \"{{ detail.x }}\"] }] }",
        ),
        expect!["valid: routes r"],
    );
}

#[test]
fn event_patterns_are_shown_as_they_are_meant() {
    check(
        &with_on("{ event_pattern: { source: aws.s3, detail: { size: 5, state: running } } }"),
        expect![[r#"
        c.yaml:5:36: error: EventBridge rejects this pattern: "source" must be an object or an array (write `source: [aws.s3]`)
        c.yaml:5:60: error: EventBridge rejects this pattern: "size" must be an object or an array (write `size: [5]`)
        c.yaml:5:70: error: EventBridge rejects this pattern: "state" must be an object or an array (write `state: [running]`)"#]],
    );
    check(
        &with_on("{ event_pattern: { detail: { object: { key: { prefix: in/ } } } } }"),
        expect![[
            r#"c.yaml:5:63: error: EventBridge rejects this pattern: "prefix" must be an object or an array (write the operator in the field's list: `[{ prefix: in/ }]`)"#
        ]],
    );
    check(
        &with_on("{ event_pattern: { detail: { object: { key: [{ prefix: in/, suffix: .csv }] } } } }"),
        expect![[
            r#"c.yaml:5:69: error: EventBridge rejects this pattern: Only one key allowed in match expression (to require both, write `{ wildcard: "in/*.csv" }`; for either, write `{ prefix: in/ }, { suffix: .csv }`)"#
        ]],
    );
    check(
        &with_on("{ event_pattern: { detail: { object: { key: [{ prefix: in/, exists: true }] } } } }"),
        expect![
            "c.yaml:5:69: error: EventBridge rejects this pattern: Only one key allowed in match expression (write one operator per object, of which any may match: `{ prefix: in/ }, { exists: true }`)"
        ],
    );
    check(
        &with_on("{ event_pattern: { detail: { object: { key: [{ suffix: [.csv, .tsv] }] } } } }"),
        expect![
            "c.yaml:5:64: error: EventBridge rejects this pattern: suffix match pattern must be a string (write the operator in the field's list: `[{ suffix: .csv }, { suffix: .tsv }]`)"
        ],
    );
    check(
        &with_on(
            "{ event_pattern: { detail: { key: [{ anything-but: [{ wildcard: \"*.tmp\" }, { wildcard: \"x*\" }] }] } } }",
        ),
        expect![[
            r#"c.yaml:5:61: error: EventBridge rejects this pattern: Inside anything but list, start|null|boolean is not supported. (write `anything-but: { wildcard: ["*.tmp", "x*"] }`)"#
        ]],
    );
    check(
        &with_on(
            "{ event_pattern: { detail: { key: [{ anything-but: [{ wildcard: \"*.tmp\" }, { prefix: x }] }] } } }",
        ),
        expect![
            "c.yaml:5:61: error: EventBridge rejects this pattern: Inside anything but list, start|null|boolean is not supported. (exclude one kind: EventBridge cannot combine kinds of exclusion for one field)"
        ],
    );
}

#[test]
fn an_operator_inside_or_is_shown_in_a_list() {
    check(
        &with_on("{ event_pattern: { detail: { $or: [{ a: { prefix: [x] } }, { b: [y] }] } } }"),
        expect![
            "c.yaml:5:51: error: EventBridge rejects this pattern: prefix is Ruler reserved fieldName which cannot be used inside $or. (write the operator in the field's list: `[{ prefix: x }]`)"
        ],
    );
}

#[test]
fn keys_that_no_object_has_are_told() {
    check(
        &with_on("{ s3: { bucket: b, key: { prefix: /in/ } } }"),
        expect![[r#"
        c.yaml:5:43: warning: keys usually do not begin with a slash, as `/in/` does (write `{ prefix: in/ }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: \"in/*\" } }"),
        expect![[r#"
        c.yaml:5:33: warning: only a key with an asterisk in its name equals `in/*` (write `{ wildcard: "in/*" }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { suffix: \"*.csv\" } } }"),
        expect![[r#"
        c.yaml:5:43: warning: `*` stands for itself in `*.csv` (write `{ suffix: .csv }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { prefix: \"in/*\" } } }"),
        expect![[r#"
        c.yaml:5:43: warning: `*` stands for itself in `in/*` (write `{ prefix: in/ }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ s3: { bucket: b, key: { prefix: \"in/a%20b/\" } } }"),
        expect![[r#"
        c.yaml:5:43: warning: keys are not URL-encoded in events, but `in/a%20b/` is (write `{ prefix: "in/a b/" }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ queue: q, s3: { bucket: b, key: \"*.csv\" } }"),
        expect![[r#"
        c.yaml:5:43: warning: only a key with an asterisk in its name equals `*.csv` (write `{ wildcard: "*.csv" }`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ queue: q, event_pattern: { message_attributes: { n: [5] } } }"),
        expect![[r#"
        c.yaml:5:60: warning: no message matches this condition on `message_attributes.n`: attributes are strings (write `["5"]`)
        valid: routes r"#]],
    );
    check(
        &with_on("{ queue: q, event_pattern: { message_attributes: { n: [{ numeric: [\">\", 5] }] } } }"),
        expect![[r#"
            c.yaml:5:60: warning: no message matches this condition on `message_attributes.n`: attributes are strings (match a string; `numeric` compares no strings)
            valid: routes r"#]],
    );
    check(
        &with_on("{ queue: q, event_pattern: { message_attributes: { n: [\"5\", { exists: false }] } } }"),
        expect!["valid: routes r"],
    );
}

#[test]
fn a_network_has_its_ids_where_they_belong() {
    check(
        &with_task("    network: { subnets: [sg-1], security_groups: [subnet-1] }"),
        expect![
            "c.yaml:5:14: error: `subnets` and `security_groups` are swapped (write `subnets: [subnet-1]` and `security_groups: [sg-1]`)"
        ],
    );
    check(
        &with_task("    network: { subnets: [subnet-1, sg-1] }"),
        expect![
            "c.yaml:5:14: error: `sg-1` is the id of a security group, but is under `subnets` (write `security_groups: [sg-1]`)"
        ],
    );
    check(
        &with_task("    network: { subnets: [subnet-1], security_groups: [subnet-2] }"),
        expect![
            "c.yaml:5:14: error: `subnet-2` is the id of a subnet, but is under `security_groups` (write `subnets: [subnet-2]`)"
        ],
    );
    check(
        &with_task("    network: { subnets: [\"subnet-1,subnet-2\"] }"),
        expect!["c.yaml:5:14: error: `subnet-1,subnet-2` is not one id (write `[subnet-1, subnet-2]`)"],
    );
    check(
        &with_task("    network: { subnets: [subnet-1], assign_public_ip: true }"),
        expect!["c.yaml:5:55: error: expected one of `ENABLED` `DISABLED`, found a boolean (write `ENABLED`)"],
    );
}

#[test]
fn a_word_that_means_true_or_false_is_shown() {
    check(
        "version: 1\nledger: false\ntasks: { t: { task_definition: f } }\nroutes: [{ name: r, on: { schedule: rate(1 hour), state: true }, run: t }]\n",
        expect![[r#"
            c.yaml:2:9: error: expected one of `on` `off`, found a boolean (write `off`)
            c.yaml:4:58: error: expected one of `enabled` `disabled`, found a boolean (write `enabled`)"#]],
    );
}

#[test]
fn a_bucket_has_a_name_that_s3_takes() {
    check(
        &with_on("{ s3: { bucket: \"s3://uploads/in/\" } }"),
        expect![
            "c.yaml:5:25: error: `s3://uploads/in/` is not a valid bucket name (write `uploads` here, and `key: { prefix: in/ }` beside it)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: \"arn:aws:s3:::uploads\" } }"),
        expect!["c.yaml:5:25: error: `arn:aws:s3:::uploads` is not a valid bucket name (write `uploads`)"],
    );
    check(
        &with_on("{ s3: { bucket: \"uploads-*\" } }"),
        expect![
            "c.yaml:5:25: error: `uploads-*` is not a valid bucket name (write the name of one bucket: 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: 192.168.0.1 } }"),
        expect![
            "c.yaml:5:25: error: `192.168.0.1` is not a valid bucket name (write the name of one bucket: 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: uploads- } }"),
        expect![
            "c.yaml:5:25: error: `uploads-` is not a valid bucket name (write the name of one bucket: 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: Up_loads } }"),
        expect![[r#"
        c.yaml:5:25: warning: no new bucket can have the name `Up_loads` (use at most 63 lower-case letters, digits, `.` and `-`)
        valid: routes r"#]],
    );
}

#[test]
fn a_key_elsewhere_is_told_where_it_belongs() {
    check(
        &with_on("{ s3: { bucket: b, prefix: in/ } }"),
        expect!["c.yaml:5:28: error: unknown key `prefix`; it belongs to `key` (write `key: { prefix: in/ }`)"],
    );
    check(
        &with_on("{ bucket: b }"),
        expect!["c.yaml:5:11: error: unknown key `bucket`; it belongs to `s3` (write `s3: { bucket: b }`)"],
    );
    check(
        &with_on("{ source: [aws.s3] }"),
        expect![
            "c.yaml:5:11: error: unknown key `source`; it belongs to `event_pattern` (write `event_pattern: { source: [aws.s3] }`)"
        ],
    );
    check(
        &with_on("{ s3: { bucket: b }, run: t }"),
        expect![
            "c.yaml:5:30: error: unknown key `run`; it belongs to the route, beside `on` (write `on: { ... }, run: t`)"
        ],
    );
    check(
        &with_route_key("retry: { attempts: 2 }"),
        expect![
            "c.yaml:7:5: error: unknown key `retry`; it belongs to the task that the route runs (write `tasks: { NAME: { retry: { attempts: 2 } } }`)"
        ],
    );
    check(
        &with_route_key("cluster: c"),
        expect![
            "c.yaml:7:5: error: unknown key `cluster`; it belongs to the task that the route runs (write `tasks: { NAME: { cluster: c } }`)"
        ],
    );
    check(
        &with_route_key("schedule: rate(1 hour)"),
        expect![[
            r#"c.yaml:7:5: error: unknown key `schedule`; it belongs to `on` (write `on: { schedule: "rate(1 hour)" }`)"#
        ]],
    );
    check(
        &with_task("    command: [echo, hi]"),
        expect![
            "c.yaml:5:5: error: unknown key `command`; it belongs to a container of `overrides` (write `overrides: { container_overrides: [{ name: CONTAINER, command: [echo, hi] }] }`)"
        ],
    );
    check(
        &with_task("    environment: { KEY: a value that is much too long to be repeated in a line of help }"),
        expect![
            "c.yaml:5:5: error: unknown key `environment`; it belongs to a container of `overrides` (write `overrides: { container_overrides: [{ name: CONTAINER, environment: ... }] }`)"
        ],
    );
    check(
        &with_task("    subnets: [subnet-1]"),
        expect![
            "c.yaml:5:5: error: unknown key `subnets`; it belongs to `network` (write `network: { subnets: [subnet-1] }`)"
        ],
    );
    check(
        &with_task("    cpu: 256"),
        expect!["c.yaml:5:5: error: unknown key `cpu`; it belongs to `overrides` (write `overrides: { cpu: 256 }`)"],
    );
    check(
        &with_task("    concurrency: { max: 1 }"),
        expect![
            "c.yaml:5:5: error: unknown key `concurrency`; it belongs to a route (write `routes: [{ name: NAME, ..., concurrency: { max: 1 } }]`)"
        ],
    );
    check(
        &with_worker("service: w, queue: q, max: 5, scaling: { max: 5, acceptable_latency: 60s }"),
        expect!["c.yaml:3:29: error: unknown key `max`; it belongs to `scaling` (write `scaling: { max: 5 }`)"],
    );
    check(
        "version: 1\ncluster: c\ntasks: { t: { task_definition: f } }\nroutes: [{ name: r, on: { queue: q }, run: t }]\n",
        expect![
            "c.yaml:2:1: error: unknown key `cluster`; it belongs to `defaults` (write `defaults: { cluster: c }`)"
        ],
    );
}

#[test]
fn a_time_zone_has_a_name_and_no_abbreviation() {
    check(
        &with_on("{ schedule: rate(1 hour), timezone: KST }"),
        expect!["c.yaml:5:45: error: unknown time zone `KST` (write the IANA name `Asia/Seoul`)"],
    );
    check(
        &with_on("{ schedule: rate(1 hour), timezone: ist }"),
        expect![
            "c.yaml:5:45: error: unknown time zone `ist` (write the IANA name `Asia/Kolkata` (India), `Europe/Dublin` or `Asia/Jerusalem`)"
        ],
    );
    check(
        &with_on("{ schedule: rate(1 hour), timezone: EST }"),
        expect![[r#"
        c.yaml:5:45: warning: `EST` has no daylight saving time (write `America/New_York` for the local time there)
        valid: routes r"#]],
    );
    check(&with_on("{ schedule: rate(1 hour), timezone: CET }"), expect!["valid: routes r"]);
}

#[test]
fn what_nothing_uses_is_told() {
    check(
        "version: 1\ntasks: { t: { task_definition: f }, u: { task_definition: f } }\nroutes: [{ name: r, on: { s3: { bucket: uploads } }, run: t }]\nlocal:\n  buckets: { upload: in }\n  queues: { q: {} }\n  task_definitions: { g: { container_definitions: { app: { command: [a] } } } }\n",
        expect![[r#"
            c.yaml:2:37: warning: no route or worker runs the task `u` (write `run: u` in a route, or remove the task)
            c.yaml:5:14: warning: no route uses a bucket `upload`; did you mean `uploads`? (write the name of a bucket that a route uses, or remove this entry)
            c.yaml:6:13: warning: no route or worker uses a queue `q` (write the name of a queue that a route or worker uses, or remove this entry)
            c.yaml:7:23: warning: no task or worker uses a task definition `g` (write the name of the family of a task's `task_definition`, or the service of workers, or remove this entry)
            valid: routes r"#]],
    );
    check(
        "version: 1\nstorage: { bucket: state }\ntasks: { t: { task_definition: \"arn:aws:ecs:eu-west-1:111122223333:task-definition/f:3\" } }\nroutes: [{ name: r, on: { event_pattern: { source: [x] } }, run: t }]\nworkers: [{ service: c/w, queue: q, scaling: { max: 5, acceptable_latency: 60s } }]\nlocal:\n  buckets: { any: in, state: out }\n  queues: { q: {} }\n  task_definitions: { f: { container_definitions: {} }, w: { container_definitions: {} } }\n",
        expect!["valid: routes r"],
    );
}

#[test]
fn one_mistake_is_one_error() {
    check(
        "version: 1\ntasks: { t: , u: [x] }\nroutes: [{ name: r, on: { queue: q }, run: t }, { name: s, on: { queue: q }, run: [t, u] }]\n",
        expect![[r#"
            c.yaml:2:11: error: expected a mapping, found null
            c.yaml:2:18: error: expected a mapping, found a list"#]],
    );
    check(
        "version: 1\ntasks: [t]\nroutes: [{ name: r, on: { queue: q }, run: t }]\n",
        expect!["c.yaml:2:8: error: expected a mapping, found a list"],
    );
    check(
        "version: 1\ntasks: { t: { task_definition: f } }\nroutes: [{ name: r, on: { queue: q }, run: { t: x } }]\nstack: { queues: { q: {} } }\ntests: [{ name: n, event: e.json, expect: { route: r } }]\nlocal: { queues: { q: {} } }\n",
        expect!["c.yaml:3:44: error: expected a string, found a mapping"],
    );
    check(
        "version: 1\ntasks: { t: { task_definition: f, count: \"${env:COUNT}\" } }\nroutes: [{ name: r, on: { queue: q }, run: \"${env:TASK}\" }]\n",
        expect![[r#"
            c.yaml:2:43: error: the environment variable `COUNT` is not set (set it where the config is loaded, or add a default: `${env:COUNT:-default}`)
            c.yaml:3:45: error: the environment variable `TASK` is not set (set it where the config is loaded, or add a default: `${env:TASK:-default}`)"#]],
    );
    check(
        "version: 1\ndefaults: { reference_id: \"{{ ky }} {{ key | basenam }}\", tags: { \"a!b\": x } }\ntasks: { t: { task_definition: f }, u: { task_definition: f } }\nroutes: [{ name: r, on: { queue: q }, run: [t, u] }]\n",
        expect![[r#"
            c.yaml:2:31: error: no event has a field `ky`; did you mean `key`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)
            c.yaml:2:46: error: unknown filter `basenam`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)
            c.yaml:2:67: error: a tag's key cannot contain `!` (use letters, digits, spaces and `_ . : / = + - @`)"#]],
    );
}

#[test]
fn an_error_in_a_block_is_at_its_line() {
    check(
        &with_task(
            "    overrides:\n      container_overrides:\n        - name: app\n          environment:\n            SCRIPT: |\n              first\n                {{ buckt }}\n              last\n            FOLDED: >-\n              first line\n              second {{ key | basenam }}\n\n              third {{ kei }}\n            PLAIN: some words\n              and {{ idd }}\n            QUOTED: \"some words\n              and {{ bukket }}\"",
        ),
        expect![[r#"
            c.yaml:11:20: error: no event has a field `buckt`; did you mean `bucket`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)
            c.yaml:15:31: error: unknown filter `basenam`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)
            c.yaml:17:24: error: no event has a field `kei`; did you mean `key`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)
            c.yaml:19:22: error: no event has a field `idd`; did you mean `id`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)
            c.yaml:21:22: error: no event has a field `bukket`; did you mean `bucket`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#]],
    );
    check(
        &with_task("    reference_id: |\n      first\n      second {{ key "),
        expect![
            "c.yaml:7:17: error: the template has a syntax error: unexpected end of input, expected end of variable block (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
}

#[test]
fn a_schedule_in_the_past_is_told_to_whoever_knows_the_time() {
    let past = |on: &str, now: &str| {
        let source = Source::new("c.yaml", with_on(on));
        let config = RoutingConfig::parse(source.clone()).expect("is valid");
        let warnings = config.past_schedules(now.parse().expect("is a time"));
        warnings.iter().map(|warning| warning.line(&source)).collect::<Vec<_>>().join("\n")
    };
    let told = "c.yaml:4:11: warning: the schedule of the route `r` never fires again (write a time in the future, as in `at(2026-12-31T23:59:00)`, or remove the route)";
    let cases = [
        ("{ schedule: \"at(2026-01-01T12:00:00)\" }", "2026-01-01T11:59:59Z", ""),
        ("{ schedule: \"at(2026-01-01T12:00:00)\" }", "2026-01-01T12:00:00Z", told),
        ("{ schedule: \"at(2026-01-01T12:00:00)\", timezone: Asia/Seoul }", "2026-01-01T11:00:00Z", told),
        ("{ schedule: \"at(2026-01-01T12:00:00)\", state: disabled }", "2026-01-02T00:00:00Z", ""),
        ("{ schedule: rate(1 hour), end: \"2026-01-01T00:00:00\" }", "2026-01-02T00:00:00Z", told),
        ("{ schedule: cron(0 0 1 1 ? 2025-2026) }", "2026-01-01T00:00:00Z", told),
        ("{ schedule: cron(0 0 * * ? *) }", "2026-01-01T00:00:00Z", ""),
        ("{ queue: q }", "2026-01-01T00:00:00Z", ""),
    ];
    for (on, now, expected) in cases {
        assert_eq!(past(on, now), expected, "{on}");
    }
}
