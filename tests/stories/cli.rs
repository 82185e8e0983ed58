//! The command line as a user sees it: its output, and the exit codes that its help documents.

use std::fs::{self, File};
use std::io::{self, Write};
use std::process::{Output, Stdio};

use e2e::{command, root};
use expect_test::{Expect, expect};
use serde_json::Value;

const EVENT: &str = "examples/quickstart/event.json";

/// Runs `ecs-trigger` with these arguments and this standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ecs-trigger starts");
    // A verb that does not read its input may have ended already.
    let _ = child.stdin.take().expect("is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("ecs-trigger ends")
}

/// Runs `ecs-trigger` and compares its exit code, standard output and standard error.
fn check(arguments: &[&str], input: &str, expected: Expect) {
    let output = run(arguments, input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let code = output.status.code().expect("an exit code");
    expected.assert_eq(&format!("exit {code}\n{}\n--\n{}", text(&output.stdout), text(&output.stderr)));
}

/// Writes a config with three errors into a temporary folder. Returns the folder and its path.
fn broken() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "version: 1\ntasks: { t: { task_definition: t, comand: [x] } }\nroutes:\n  - { name: r, on: { s3: { buckt: b } }, run: u }\n";
    fs::write(folder.path().join("ecs-trigger.yaml"), text).expect("is written");
    let path = folder.path().display().to_string();
    (folder, path)
}

#[test]
fn a_valid_config_is_reported_as_valid() {
    check(
        &["validate", "examples/quickstart"],
        "",
        expect![[r#"
            exit 0
            examples/quickstart/ecs-trigger.yaml: valid, with 1 route
            the ledger is off: a redelivered event starts its tasks again once its client
            token has expired (1 hour after the tasks stop, 24 hours at most), and an event
            fails if no rung has capacity for it; set `storage` to turn the ledger on
            --
        "#]],
    );
}

#[test]
fn all_errors_are_shown_at_once_with_carets() {
    let (folder, path) = broken();
    let output = run(&["validate", &path], "");
    assert_eq!(output.status.code(), Some(3));
    let drawn = String::from_utf8_lossy(&output.stderr).replace(&format!("{path}/"), "");
    expect![[r#"
        error: unknown key `comand`
         --> ecs-trigger.yaml:2:35
          |
        2 | tasks: { t: { task_definition: t, comand: [x] } }
          |                                   ^^^^^^
          |
          = help: choose from `cluster`, `task_definition`, `count`, `launch_type`, `capacity_provider_strategy`, `capacity`, `timeout`, `retry`, `platform_version`, `network`, `group`, `placement_constraints`, `placement_strategy`, `propagate_tags`, `tags`, `started_by`, `enable_execute_command`, `enable_ecs_managed_tags`, `reference_id`, `volume_configurations` and `overrides`

        error: missing key `bucket`
         --> ecs-trigger.yaml:4:26
          |
        4 |   - { name: r, on: { s3: { buckt: b } }, run: u }
          |                          ^
          |
          = help: add `bucket: ...`, a bucket name

        error: unknown key `buckt`; did you mean `bucket`?
         --> ecs-trigger.yaml:4:28
          |
        4 |   - { name: r, on: { s3: { buckt: b } }, run: u }
          |                            ^^^^^
          |
          = help: write `bucket`

        error: unknown task `u`
         --> ecs-trigger.yaml:4:47
          |
        4 |   - { name: r, on: { s3: { buckt: b } }, run: u }
          |                                               ^
          |
          = help: define it under `tasks`, or run one of `t`

    "#]].assert_eq(&drawn);
    drop(folder);
}

#[test]
fn errors_are_json_when_asked_for() {
    let (folder, path) = broken();
    let output = run(&["validate", "--json", &path], "");
    assert_eq!(output.status.code(), Some(3));
    let printed: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let problems = printed["problems"].as_array().expect("is a list").iter();
    let shown: Vec<String> = problems
        .map(|problem| format!("{}:{} {} {}", problem["line"], problem["column"], problem["text"], problem["message"]))
        .collect();
    expect![[r#"
        2:35 "comand" "unknown key `comand`"
        4:26 null "missing key `bucket`"
        4:28 "buckt" "unknown key `buckt`; did you mean `bucket`?"
        4:47 "u" "unknown task `u`""#]]
    .assert_eq(&shown.join("\n"));
    drop(folder);
}

#[test]
fn a_plan_is_shown_with_the_exact_request() {
    check(
        &["plan", "--config", "examples/quickstart", EVENT],
        "",
        expect![[r#"
            exit 0
            event aws.s3 Object Created: s3/Object Created/uploads/incoming/orders 2026.csv/b1946ac92492d2347c6235b4d2611184/617f08299329d189

            route csv-upload would run the task import-csv:
            {
              "cluster": "batch",
              "taskDefinition": "import-csv",
              "launchType": "FARGATE",
              "networkConfiguration": {
                "awsvpcConfiguration": {
                  "subnets": [
                    "subnet-0a1b2c3d",
                    "subnet-4e5f6a7b"
                  ],
                  "securityGroups": [
                    "sg-0a1b2c3d"
                  ]
                }
              },
              "startedBy": "ecs-trigger/csv-upload",
              "overrides": {
                "containerOverrides": [
                  {
                    "name": "app",
                    "command": [
                      "uploads",
                      "incoming/orders 2026.csv"
                    ],
                    "environment": [
                      {
                        "name": "OBJECT_SIZE",
                        "value": "71"
                      },
                      {
                        "name": "ECS_TRIGGER_ROUTE",
                        "value": "csv-upload"
                      },
                      {
                        "name": "ECS_TRIGGER_EVENT_ID",
                        "value": "17793124-05d4-b198-2fde-7ededc63b103"
                      },
                      {
                        "name": "ECS_TRIGGER_ATTEMPT",
                        "value": "0"
                      }
                    ]
                  }
                ]
              },
              "clientToken": "e7dc0226ada82b4a2e69cf86f683c18dc5eb5aa1f6b44d7e1f05b3b990a00fe0"
            }
            --
        "#]],
    );
}

#[test]
fn a_plan_is_json_when_asked_for_and_takes_the_event_from_standard_input() {
    let event = fs::read_to_string(root().join(EVENT)).expect("is there");
    let output = run(&["plan", "--config", "examples/quickstart", "--json", "-"], &event);
    let plan: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!(plan["launches"][0]["route"], "csv-upload");
    assert_eq!(plan["launches"][0]["run_task"]["taskDefinition"], "import-csv");
}

#[test]
fn an_event_that_no_route_takes_is_not_an_error() {
    let event = fs::read_to_string(root().join(EVENT)).expect("is there").replace("incoming/", "elsewhere/");
    check(
        &["plan", "--config", "examples/quickstart", "-"],
        &event,
        expect![[r#"
        exit 0
        event aws.s3 Object Created: s3/Object Created/uploads/elsewhere/orders 2026.csv/b1946ac92492d2347c6235b4d2611184/617f08299329d189
        no route matches: nothing would start
        --
    "#]],
    );
}

#[test]
fn each_failure_has_its_documented_exit_code() {
    let (folder, path) = broken();
    let event = fs::read_to_string(root().join(EVENT)).expect("is there");
    let code = |arguments: &[&str], input: &str| run(arguments, input).status.code();
    assert_eq!(code(&["plan"], ""), Some(2), "the event is missing");
    assert_eq!(code(&["no-such-verb"], ""), Some(2));
    assert_eq!(code(&["plan", "--config", &path, EVENT], ""), Some(3), "the config has errors");
    assert_eq!(code(&["dev", &path, "--once"], ""), Some(3), "the config has errors");
    assert_eq!(code(&["plan", "--config", "examples/quickstart", "-"], "{"), Some(4), "no JSON");
    assert_eq!(code(&["plan", "--config", "examples/quickstart", "-"], "{}"), Some(4), "no event");
    let long = event.replace("orders 2026", &"x".repeat(9000));
    assert_eq!(code(&["plan", "--config", "examples/quickstart", "-"], &long), Some(5), "over AWS's limit");
    assert_eq!(code(&["validate", "no/such/file"], ""), Some(6));
    assert_eq!(code(&["plan", "--config", "examples/quickstart", "no-such-event.json"], ""), Some(6));
    drop(folder);
}

#[test]
fn an_error_about_a_missing_field_names_field_template_and_line() {
    let config = fs::read_to_string(root().join("examples/quickstart/ecs-trigger.yaml")).expect("is there");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    fs::write(&path, config.replace("{{ size }}", "{{ detail.object.owner }}")).expect("is written");
    let output = run(&["plan", "--config", &path.display().to_string(), EVENT], "");
    assert_eq!(output.status.code(), Some(5));
    assert!(output.stdout.is_empty(), "nothing would start");
    let said = String::from_utf8_lossy(&output.stderr).replace(&path.display().to_string(), "c.yaml");
    expect![[r#"
        error: the route `csv-upload` cannot launch its task: c.yaml:14:43: the event has no `detail.object.owner` (in the template "{{ detail.object.owner }}")
    "#]].assert_eq(&said);
}

#[test]
fn no_input_causes_a_panic_and_json_keeps_a_key_byte_for_byte() {
    for text in ["{é", "\u{feff}{}", "[", "\"\\ud800", "{\"a\":é}"] {
        assert_eq!(run(&["plan", "--config", "examples/quickstart", "-"], text).status.code(), Some(4), "{text}");
    }
    let key = "incoming/a\u{7f}\u{1b}[1mb.csv";
    let event = fs::read_to_string(root().join(EVENT)).expect("is there");
    let event = event.replace("incoming/orders 2026.csv", "incoming/a\u{7f}\\u001b[1mb.csv");
    let plan: Value =
        serde_json::from_slice(&run(&["plan", "--config", "examples/quickstart", "--json", "-"], &event).stdout)
            .expect("is JSON");
    assert_eq!(plan["launches"][0]["run_task"]["overrides"]["containerOverrides"][0]["command"][1], key);
    let shown = run(&["plan", "--config", "examples/quickstart", "-"], &event).stdout;
    assert!(!shown.contains(&0x1b), "a key cannot steer a terminal");
}

#[test]
fn every_verb_has_help_with_examples() {
    for verb in ["validate", "plan", "explain", "pattern", "simulate", "scaling decide", "schema", "dev", "completions"]
    {
        let verb: Vec<&str> = verb.split(' ').collect();
        let help = run(&[&verb[..], &["--help"]].concat(), "");
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:\n"), "{verb:?}");
    }
    let help = run(&["--help"], "");
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes:\n"));
}

#[test]
fn an_environment_changes_parts_of_the_config_for_every_verb() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "version: 1\ntasks: { t: { task_definition: t, cluster: production } }\nroutes: [{ name: q, on: { queue: jobs }, run: t }]\nstack: { name: images, queues: { jobs: { queue: create } } }\n";
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    let overlay = |text: &str| fs::write(folder.path().join("ecs-trigger.staging.yaml"), text).expect("is written");
    let run = |arguments: &[&str]| {
        let output = command().current_dir(folder.path()).args(arguments).stdin(Stdio::null()).output().expect("runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = run(&["validate", "--env", "staging"]);
    assert!(code == Some(6) && said.contains("ecs-trigger.staging.yaml: No such file"), "{said}");
    assert!(said.contains("write into it what differs in the environment `staging`"), "{said}");
    let (code, said) = run(&["validate", "--env", "../x"]);
    assert!(code == Some(2) && said.contains("begin with a letter"), "{said}");

    overlay("tasks: { t: { cluster: staging } }\n");
    let (code, said) = run(&["synth", "--env", "staging"]);
    assert!(code == Some(0) && said.contains("cluster/staging") && said.contains("staging-jobs"), "{said}");
    let (code, said) = run(&["synth"]);
    assert!(code == Some(0) && said.contains("cluster/production") && !said.contains("staging"), "{said}");
    fs::write(folder.path().join("event.json"), r#"{"a":1}"#).expect("is written");
    let (code, said) = run(&["plan", "event.json", "--queue", "staging-jobs", "--env", "staging"]);
    assert!(code == Some(0) && said.contains("staging"), "{said}");

    overlay("tasks:\n  t:\n    clustr: staging\n");
    let (code, said) = run(&["validate", "--env", "staging"]);
    assert!(code == Some(3) && said.contains("ecs-trigger.staging.yaml:3:5"), "{said}");
    let (code, said) = run(&["test", "--update", "--env", "staging"]);
    assert!(code == Some(2) && said.contains("cannot be used with"), "{said}");
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], "");
        assert!(String::from_utf8_lossy(&script.stdout).contains("COMPLETE"), "{shell}");
    }
}

#[test]
fn the_committed_schema_is_the_one_that_is_printed() {
    let path = root().join("ecs-trigger.schema.json");
    let printed = String::from_utf8(run(&["schema"], "").stdout).expect("is UTF-8");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &printed).expect("is written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == printed, "run `cargo run -p ecs-trigger -- schema > ecs-trigger.schema.json`");
}

#[test]
fn every_example_is_valid_by_the_schema_and_by_validate() {
    let schema: Value = serde_json::from_slice(&run(&["schema"], "").stdout).expect("is JSON");
    let schema = jsonschema::validator_for(&schema).expect("is a JSON Schema");
    let folders = fs::read_dir(root().join("examples")).expect("is a folder");
    let mut seen = 0;
    for folder in folders.map(|folder| folder.expect("can be read").path()) {
        let config = folder.join("ecs-trigger.yaml");
        let text = fs::read_to_string(&config).expect("each example has a config");
        let node = trigger_core::text::yaml::parse(&text).0.expect("is YAML");
        let value: Value = serde_json::from_str(&trigger_core::text::json::write(&node)).expect("is JSON");
        let errors: Vec<String> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", config.display());
        let validated = run(&["validate", &folder.display().to_string()], "");
        assert!(validated.status.success() && validated.stderr.is_empty(), "{}", config.display());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn the_schema_refuses_what_the_config_refuses() {
    let schema: Value = serde_json::from_slice(&run(&["schema"], "").stdout).expect("is JSON");
    let schema = jsonschema::validator_for(&schema).expect("is a JSON Schema");
    let valid = serde_json::json!({
        "version": 1, "tasks": { "t": { "task_definition": "f" } },
        "routes": [{ "name": "r", "on": { "s3": { "bucket": "b", "key": [{ "prefix": "a" }, "b"] } }, "run": "t" }],
    });
    assert!(schema.is_valid(&valid));
    for (path, right) in [
        ("/routes/0/on", serde_json::json!({ "queue": "q", "s3": { "bucket": "b" }, "unmatched": "fail" })),
        (
            "/routes/0/on",
            serde_json::json!({ "schedule": "rate(1 day)", "timezone": "Asia/Seoul", "state": "disabled" }),
        ),
        (
            "/tasks/t",
            serde_json::json!({ "task_definition": "f", "count": "${env:COUNT}", "launch_type": "${env:TYPE:-EC2}" }),
        ),
        ("/routes/0/run", serde_json::json!(["t", "t"])),
    ] {
        let mut changed = valid.clone();
        *changed.pointer_mut(path).expect("is there") = right.clone();
        assert!(schema.is_valid(&changed), "{path} = {right}");
    }
    for (path, wrong) in [
        ("/version", serde_json::json!(2)),
        ("/tasks/t", serde_json::json!({ "comand": [] })),
        ("/tasks/t", serde_json::json!({ "count": 10_001 })),
        ("/tasks/t", serde_json::json!({ "launch_type": "fargate" })),
        ("/routes/0/name", serde_json::json!("a b")),
        ("/routes/0/on", serde_json::json!({})),
        ("/routes/0/on", serde_json::json!({ "s3": { "bucket": "b" }, "event_pattern": { "a": [1] } })),
        ("/routes/0/on/s3/key", serde_json::json!({ "prefx": "a" })),
        ("/routes/0/on", serde_json::json!({ "s3": { "bucket": "b" }, "timezone": "UTC" })),
        ("/routes/0/on", serde_json::json!({ "schedule": "every day" })),
        ("/routes/0/on", serde_json::json!({ "schedule": "rate(1 day)", "queue": "q" })),
        ("/routes/0/on", serde_json::json!({ "queue": "q", "unmatched": "drop" })),
        ("/routes/0/run", serde_json::json!([])),
    ] {
        let mut changed = valid.clone();
        *changed.pointer_mut(path).expect("is there") = wrong.clone();
        assert!(!schema.is_valid(&changed), "{path} = {wrong}");
    }
}

/// Writes files into a temporary folder. Returns the folder and the paths.
fn files<const N: usize>(contents: [(&str, &str); N]) -> (tempfile::TempDir, [String; N]) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = contents.map(|(name, content)| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("is written");
        path.display().to_string()
    });
    (folder, paths)
}

#[test]
fn a_route_is_explained_field_by_field_with_places_and_values() {
    let event = fs::read_to_string(root().join(EVENT)).expect("is there").replace("incoming/", "elsewhere/\\u001b");
    check(
        &["explain", "--config", "examples/quickstart", EVENT],
        "",
        expect![[r#"
            exit 0
            the route csv-upload matches
              ok   detail-type is "Object Created"  examples/quickstart/ecs-trigger.yaml:18:9
              ok   detail.bucket.name is "uploads"  examples/quickstart/ecs-trigger.yaml:18:25
              ok   detail.object.key is "incoming/orders 2026.csv"  examples/quickstart/ecs-trigger.yaml:18:39
              ok   source is "aws.s3"  examples/quickstart/ecs-trigger.yaml:18:9
            --
        "#]],
    );
    check(
        &["explain", "--config", "examples/quickstart", "-", "--route", "csv-upload"],
        &event,
        expect![[r#"
            exit 0
            the route csv-upload does not match
              ok   detail-type is "Object Created"  examples/quickstart/ecs-trigger.yaml:18:9
              ok   detail.bucket.name is "uploads"  examples/quickstart/ecs-trigger.yaml:18:25
              miss detail.object.key is "elsewhere/\u001borders 2026.csv"; wanted: {"wildcard":"incoming/*.csv"}  examples/quickstart/ecs-trigger.yaml:18:39
              ok   source is "aws.s3"  examples/quickstart/ecs-trigger.yaml:18:9
            --
        "#]],
    );
    let json = run(&["explain", "--config", "examples/quickstart", "--json", "-"], &event).stdout;
    let json: Value = serde_json::from_slice(&json).expect("is JSON");
    let field = &json["routes"][0]["alternatives"][0]["fields"][2];
    assert_eq!((field["path"].as_str(), field["verdict"].as_str()), (Some("detail.object.key"), Some("no_match")));
    check(
        &["explain", "--config", "examples/quickstart", EVENT, "--route", "csv-uplod"],
        "",
        expect![[r#"
        exit 2

        --
        error: the config has no route `csv-uplod`; did you mean `csv-upload`?"#]],
    );
}

#[test]
fn pattern_match_decides_as_eventbridge_does() {
    let event =
        r#"{"id":"1","account":"1","source":"my.app","time":"t","region":"r","detail-type":"d","detail":{"n":5}}"#;
    let pattern = r#"{"source":["my.app"],"detail":{"n":[{"numeric":[">",4]}]}}"#;
    let try_pattern = |pattern: &str, event: &str| {
        let (_folder, [pattern, event]) = files([("pattern.json", pattern), ("event.json", event)]);
        run(&["pattern", "match", "--pattern", &pattern, "--event", &event], "")
    };
    let code = |pattern: &str, event: &str| try_pattern(pattern, event).status.code();
    assert_eq!(code(pattern, event), Some(0));
    assert_eq!(code(&pattern.replace('4', "5"), event), Some(1));
    assert_eq!(code(&pattern.replace("numeric", "regex"), event), Some(2));
    assert_eq!(code("{", event), Some(2));
    assert_eq!(code(pattern, "{"), Some(2));
    assert_eq!(code(pattern, "[]"), Some(2));
    let warned = try_pattern(pattern, r#"{"source":"my.app","detail":{"n":5}}"#);
    assert_eq!(warned.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&warned.stderr).contains("EventBridge would refuse an event without `id`"));
    let refused = try_pattern(r#"{"source":["my.app"],"detail":{"n":[{"regex":"x"}],"m":"y"}}"#, event);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("Unrecognized match type regex") && said.contains(r#""m" must be an object or an array"#),
        "{said}"
    );
}

#[test]
fn cases_are_checked_and_every_disagreement_is_printed() {
    let cases = r#"[
        {"name":"agrees","pattern_text":"{\"a\":[1]}","event_text":"{\"a\":1.0}","expected":"match"},
        {"name":"differs","pattern_text":"{\"a\":[1]}","event_text":"{\"a\":2}","expected":"match"},
        {"pattern_text":"{\"a\":1}","event_text":"{}","expected":"no_match"},
        {"name":"loads","pattern_text":"{\"a\":[1]}","expected":"valid"},
        {"name":"cut off","pattern_text":"{\"a\":[1]}","event_text":"{\"a\":1","expected":"exception"},
        {"name":"odd","pattern_text":"{\"a\":[1]} x","event_text":"{\"a\":1}","expected":"match","quirk":true}
    ]"#;
    check(
        &["pattern", "check", "-"],
        cases,
        expect![[r#"
        exit 1
        #1 differs: expected match, got no_match
        #2 (unnamed): expected no_match, got exception
        #5 odd: expected match, got exception (quirk)
        1 known quirk not followed
        3 passed, 2 failed
        --
    "#]],
    );
    let good = cases
        .replace("\"differs\"", "\"x\"")
        .replace("{\\\"a\\\":2}", "{\\\"a\\\":1}")
        .replace("\"no_match\"", "\"exception\"");
    let output = run(&["pattern", "check", "-"], &good);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some("5 passed, 0 failed"));
    assert_eq!(run(&["pattern", "check", "-"], "{}").status.code(), Some(4));
}

#[test]
fn validate_warns_of_odd_patterns_and_overlapping_routes() {
    let config = "version: 1\ntasks: { t: { task_definition: t } }\nroutes:\n  - { name: a, on: { s3: { bucket: b, key: [{ prefix: in/ }, { suffix: .csv }] } }, run: t }\n  - { name: c, on: { s3: { bucket: b, key: { prefix: in/csv/ } } }, run: t }\n  - { name: d, on: { event_pattern: { deatil: { x: [1] } } }, run: t }\n";
    let (_folder, [path]) = files([("c.yaml", config)]);
    let warnings = |arguments: &[&str]| {
        let output = run(&[&["validate", "--json", &path], arguments].concat(), "");
        assert_eq!(output.status.code(), Some(0), "warnings are no errors");
        let printed: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
        let problems = printed["problems"].as_array().expect("is a list").iter();
        problems.map(|problem| format!("{} {}\n", problem["line"], problem["message"])).collect::<String>()
    };
    expect![[r#"
        4 "a value of `detail.object.key` matches if either the prefix or the suffix fits"
        6 "no event has a field `deatil`; did you mean `detail`?"
    "#]]
    .assert_eq(&warnings(&[]));
    expect![[r#"
        4 "a value of `detail.object.key` matches if either the prefix or the suffix fits"
        6 "no event has a field `deatil`; did you mean `detail`?"
        5 "an event that matches `c` can also match `a`"
        6 "an event that matches `d` can also match `a` and `c`"
    "#]]
    .assert_eq(&warnings(&["--overlaps"]));
}

/// Creates a project with a schedule, a queue and tests in a temporary folder.
fn tested() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("is written");
    write(
        "ecs-trigger.yaml",
        r#"version: 1
include: [more.yaml]
tasks:
  t: { task_definition: "t-${env:STAGE:-test}", overrides: { container_overrides: [{ name: app, command: ["{{ body.kind }}"] }] } }
routes:
  - { name: jobs, on: { queue: jobs }, run: t } # a comment
tests:
  # it passes
  - { name: passes, message: { queue: jobs, body: { kind: a } }, expect: { command: [a] } }
  - name: another value
    message: { queue: jobs, body: { kind: b } }
    expect: { command: [a] } # stays
  - { name: nothing expected yet, message: { queue: jobs, body: { kind: c } } }
"#,
    );
    write(
        "more.yaml",
        "# included\ntasks: { u: { task_definition: u } }\nroutes:\n  - { name: nightly, on: { schedule: cron(0 3 * * ? *), timezone: Europe/Berlin }, run: u }\ntests:\n  - name: a file\n    event: event.json\n",
    );
    write(
        "event.json",
        r#"{"route":"nightly","schedule_arn":"arn:x:schedule/g/nightly","scheduled_time":"2026-01-01T02:00:00Z"}"#,
    );
    folder
}

/// Runs `ecs-trigger` in a folder and compares its exit code, standard output and standard error.
fn check_in(folder: &tempfile::TempDir, arguments: &[&str], expected: Expect) {
    let output = command().args(arguments).current_dir(folder.path()).output().expect("ecs-trigger runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let code = output.status.code().expect("an exit code");
    expected.assert_eq(&format!("exit {code}\n{}\n--\n{}", text(&output.stdout), text(&output.stderr)));
}

#[test]
fn config_tests_show_what_differs_and_can_be_updated() {
    let folder = tested();
    check_in(
        &folder,
        &["test"],
        expect![[r#"
            exit 1
            ok   passes
            fail another value  ecs-trigger.yaml:10:11
                 launch 1: command
                 - [a]
                 + [b]
            fail nothing expected yet  ecs-trigger.yaml:13:13
                 no expectation yet; `--update` writes it: { route: jobs, task: t, command: [c] }
            fail a file  more.yaml:6:11
                 no expectation yet; `--update` writes it: { route: nightly, task: u }
            4 tests: 1 passed, 3 failed
            --
        "#]],
    );
    check_in(
        &folder,
        &["test", "--json"],
        expect![[r#"
            exit 1
            {
              "passed": 1,
              "failed": 3,
              "tests": [
                {
                  "name": "passes",
                  "file": "ecs-trigger.yaml",
                  "line": 9,
                  "passed": true,
                  "error": null,
                  "actual": "{ route: jobs, task: t, command: [a] }",
                  "differences": []
                },
                {
                  "name": "another value",
                  "file": "ecs-trigger.yaml",
                  "line": 10,
                  "passed": false,
                  "error": null,
                  "actual": "{ route: jobs, task: t, command: [b] }",
                  "differences": [
                    {
                      "what": "launch 1: command",
                      "expected": "[a]",
                      "actual": "[b]"
                    }
                  ]
                },
                {
                  "name": "nothing expected yet",
                  "file": "ecs-trigger.yaml",
                  "line": 13,
                  "passed": false,
                  "error": null,
                  "actual": "{ route: jobs, task: t, command: [c] }",
                  "differences": []
                },
                {
                  "name": "a file",
                  "file": "more.yaml",
                  "line": 6,
                  "passed": false,
                  "error": null,
                  "actual": "{ route: nightly, task: u }",
                  "differences": []
                }
              ]
            }
            --
        "#]],
    );
    check_in(
        &folder,
        &["test", "--update"],
        expect![[r#"
            exit 0
            ok   passes
            new  another value  ecs-trigger.yaml:10:11
                 launch 1: command
                 - [a]
                 + [b]
            new  nothing expected yet  ecs-trigger.yaml:13:13
                 no expectation yet: { route: jobs, task: t, command: [c] }
            new  a file  more.yaml:6:11
                 no expectation yet: { route: nightly, task: u }
            4 tests: 1 passed, 3 new
            --
            note: wrote ecs-trigger.yaml
            note: wrote more.yaml"#]],
    );
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("is there");
    expect![[r#"
        version: 1
        include: [more.yaml]
        tasks:
          t: { task_definition: "t-${env:STAGE:-test}", overrides: { container_overrides: [{ name: app, command: ["{{ body.kind }}"] }] } }
        routes:
          - { name: jobs, on: { queue: jobs }, run: t } # a comment
        tests:
          # it passes
          - { name: passes, message: { queue: jobs, body: { kind: a } }, expect: { command: [a] } }
          - name: another value
            message: { queue: jobs, body: { kind: b } }
            expect: { command: [b] } # stays
          - { name: nothing expected yet, message: { queue: jobs, body: { kind: c } }, expect: { route: jobs, task: t, command: [c] } }
    "#]].assert_eq(&read("ecs-trigger.yaml"));
    expect![[r#"
        # included
        tasks: { u: { task_definition: u } }
        routes:
          - { name: nightly, on: { schedule: cron(0 3 * * ? *), timezone: Europe/Berlin }, run: u }
        tests:
          - name: a file
            event: event.json
            expect: { route: nightly, task: u }
    "#]]
    .assert_eq(&read("more.yaml"));
    check_in(
        &folder,
        &["test"],
        expect![[r#"
            exit 0
            ok   passes
            ok   another value
            ok   nothing expected yet
            ok   a file
            4 tests: 4 passed, 0 failed
            --
        "#]],
    );
}

#[test]
fn upcoming_firings_are_shown_in_the_routes_time_zone_and_in_utc() {
    let folder = tested();
    let next = ["schedule", "next", "nightly", "--count", "3", "--after", "2026-03-27T12:00:00Z"];
    check_in(
        &folder,
        &next,
        expect![[r#"
            exit 0
            nightly: cron(0 3 * * ? *) in Europe/Berlin
              Sat 2026-03-28 03:00:00 +01:00   2026-03-28 02:00:00 UTC
              Sun 2026-03-29 03:00:00 +02:00   2026-03-29 01:00:00 UTC
              Mon 2026-03-30 03:00:00 +02:00   2026-03-30 01:00:00 UTC
            --
        "#]],
    );
    check_in(
        &folder,
        &[&next[..], &["--json"]].concat(),
        expect![[r#"
            exit 0
            {
              "schedules": [
                {
                  "route": "nightly",
                  "schedule": "cron(0 3 * * ? *)",
                  "timezone": "Europe/Berlin",
                  "enabled": true,
                  "next": [
                    {
                      "local": "2026-03-28T03:00:00+01:00",
                      "utc": "2026-03-28T02:00:00Z"
                    },
                    {
                      "local": "2026-03-29T03:00:00+02:00",
                      "utc": "2026-03-29T01:00:00Z"
                    },
                    {
                      "local": "2026-03-30T03:00:00+02:00",
                      "utc": "2026-03-30T01:00:00Z"
                    }
                  ]
                }
              ]
            }
            --
        "#]],
    );
    check_in(
        &folder,
        &["schedule", "next", "nigtly"],
        expect![[r#"
            exit 2

            --
            error: the config has no scheduled route `nigtly`; did you mean `nightly`?"#]],
    );
    check_in(
        &folder,
        &["schedule", "next", "--after", "tomorrow"],
        expect![[r#"
            exit 2

            --
            error: invalid value 'tomorrow' for '--after <TIME>': write a time such as 2026-12-31T18:00:00Z or 2026-12-31T18:00:00+09:00

            For more information, try '--help'."#]],
    );
}

#[test]
fn a_plan_can_be_made_for_messages_and_firings() {
    let folder = tested();
    fs::write(folder.path().join("body.json"), r#"{"kind":"x"}"#).expect("is written");
    check_in(
        &folder,
        &["plan", "--queue", "jobs", "body.json"],
        expect![[r#"
            exit 0
            message of jobs: message/jobs/00000000-0000-4000-8000-000000000000

            route jobs would run the task t:
            {
              "taskDefinition": "t-test",
              "startedBy": "ecs-trigger/jobs",
              "overrides": {
                "containerOverrides": [
                  {
                    "name": "app",
                    "command": [
                      "x"
                    ],
                    "environment": [
                      {
                        "name": "ECS_TRIGGER_ROUTE",
                        "value": "jobs"
                      },
                      {
                        "name": "ECS_TRIGGER_EVENT_ID",
                        "value": "00000000-0000-4000-8000-000000000000"
                      },
                      {
                        "name": "ECS_TRIGGER_ATTEMPT",
                        "value": "0"
                      }
                    ]
                  }
                ]
              },
              "clientToken": "947685c965239335d4772fe111d903d7cede04849dad0074834a16eb0c93cabf"
            }
            --
        "#]],
    );
    check_in(
        &folder,
        &["plan", "--schedule", "nightly", "--at", "2026-01-01T02:00:00Z"],
        expect![[r#"
            exit 0
            firing of nightly: schedule/arn:aws:scheduler:us-east-1:000000000000:schedule/ecs-trigger/nightly/2026-01-01T02:00:00Z

            route nightly would run the task u:
            {
              "taskDefinition": "u",
              "startedBy": "ecs-trigger/nightly",
              "clientToken": "6e4f80e70a1af1e16de98f49f714f00db990c518694327231134d7c00dc9e8dd"
            }
            --
        "#]],
    );
    check_in(
        &folder,
        &["plan", "--queue", "jobs", "event.json", "--schedule", "nightly"],
        expect![[r#"
        exit 2

        --
        error: the argument '--queue <QUEUE>' cannot be used with '--schedule <ROUTE>'

        Usage: ecs-trigger plan --queue <QUEUE> <EVENT>

        For more information, try '--help'."#]],
    );
    check_in(
        &folder,
        &["explain", "event.json"],
        expect![[r#"
            exit 0
            the route jobs does not match
              its source is the queue jobs
            the route nightly matches
              the event is a firing of its schedule
            --
        "#]],
    );
}

#[test]
fn an_error_names_an_included_file_that_does_not_exist() {
    let folder = tested();
    fs::remove_file(folder.path().join("more.yaml")).expect("is removed");
    check_in(
        &folder,
        &["validate"],
        expect![[r#"
            exit 6

            --
            error: more.yaml: No such file or directory (os error 2); it is included at ecs-trigger.yaml:2:11"#]],
    );
}

#[test]
fn a_message_for_an_unknown_queue_is_refused() {
    let folder = tested();
    check_in(
        &folder,
        &["send", "job", "x"],
        expect![[r#"
            exit 2

            --
            error: no route or worker uses the queue `job`; did you mean `jobs`?"#]],
    );
    check_in(
        &folder,
        &["send", "jobs", "x", "--attribute", "y"],
        expect![[r#"
        exit 2

        --
        error: invalid value 'y' for '--attribute <NAME=VALUE>': write NAME=VALUE

        For more information, try '--help'."#]],
    );
}

#[test]
fn every_example_passes_its_own_tests() {
    for folder in fs::read_dir(root().join("examples")).expect("is a folder") {
        let folder = folder.expect("can be read").path().display().to_string();
        let tested = run(&["test", &folder, "--json"], "");
        let printed: Value = serde_json::from_slice(&tested.stdout).expect("is JSON");
        // An example without routes has no tests.
        let least = if folder.ends_with("workers") { 0 } else { 1 };
        assert!(tested.status.success() && printed["passed"].as_u64() >= Some(least), "{folder}: {printed:#}");
    }
}

/// Runs `test --update` on a test without an expectation. Returns the test as it is written then.
fn updated(test: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "version: 1\ntasks: { t: { task_definition: t } }\nroutes: [{ name: r, on: { event_pattern: { source: [a] } }, run: t }]\ntests:\n";
    let path = folder.path().join("ecs-trigger.yaml");
    fs::write(&path, format!("{config}{test}")).expect("is written");
    let folder_path = folder.path().display().to_string();
    let ran = run(&["test", &folder_path, "--update"], "");
    assert!(ran.status.success(), "{test}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(run(&["test", &folder_path], "").status.success(), "{test} passes then");
    fs::read_to_string(path).expect("is there")[config.len()..].to_owned()
}

#[test]
fn an_expectation_is_written_where_it_belongs_however_the_test_is_written() {
    let with = "{ route: r, task: t }";
    for (before, after) in [
        (
            "  - { name: n, event: { source: a, detail: {x: 1}}} # c\n",
            "  - { name: n, event: { source: a, detail: {x: 1}}, expect: X} # c\n",
        ),
        (
            "  - { name: n,\n      event: { source: a }, # c\n    }\n",
            "  - { name: n,\n      event: { source: a }, expect: X, # c\n    }\n",
        ),
        (
            "  - name: n\n    event: { source: a } # c\n# end\n",
            "  - name: n\n    event: { source: a } # c\n    expect: X\n# end\n",
        ),
        (
            "  - name: n\n    event:\n      source: a # c\n  # end",
            "  - name: n\n    event:\n      source: a # c\n    expect: X\n  # end",
        ),
        (
            "  - event: { source: a }\n    expect: # c\n    name: n\n",
            "  - event: { source: a }\n    expect: X # c\n    name: n\n",
        ),
        (
            "  - name: n\n    event:\n      source: a\n      detail-type: |\n        text\n  - { name: m, event: { source: a }, expect: { route: r } }\n",
            "  - name: n\n    event:\n      source: a\n      detail-type: |\n        text\n    expect: X\n  - { name: m, event: { source: a }, expect: { route: r } }\n",
        ),
        (
            "  - name: n\n    event: { source: a }\n    expect: ~ # c\n",
            "  - name: n\n    event: { source: a }\n    expect: X # c\n",
        ),
        ("  - { name: n, event: { source: a }, expect: }\n", "  - { name: n, event: { source: a }, expect: X }\n"),
        ("  - name: n\r\n    event: { source: a }\r\n", "  - name: n\r\n    event: { source: a }\r\n    expect: X\r\n"),
        ("  - name: n\n    event: { source: a }", "  - name: n\n    event: { source: a }\n    expect: X"),
    ] {
        assert_eq!(updated(before), after.replace('X', with));
    }
}

#[test]
fn what_starts_nothing_or_needs_its_queue_is_named() {
    let folder = tested();
    let plan = |arguments: &[&str], input: &str| {
        fs::write(folder.path().join("input.json"), input).expect("is written");
        let output = command().args(arguments).arg("input.json").current_dir(folder.path()).output().expect("runs");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        (output.status.code(), said)
    };
    let confirmation =
        r#"{"Type":"SubscriptionConfirmation","MessageId":"m","Token":"secret","TopicArn":"arn:aws:sns:r:1:t"}"#;
    for verb in ["plan", "explain"] {
        let (code, said) = plan(&[verb, "--queue", "jobs"], confirmation);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("ignored: SNS asks to confirm") && !said.contains("secret"), "{said}");
        let (code, said) = plan(&[verb], confirmation);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("with `--queue QUEUE`"), "{said}");
    }
    let scheduled = r#"{"id":"e","detail-type":"Scheduled Event","source":"aws.scheduler","account":"1","time":"2026-01-01T02:00:00Z","region":"r","resources":["arn:aws:scheduler:r:1:schedule/default/nightly"],"detail":"{}"}"#;
    let (code, said) = plan(&["plan"], scheduled);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("route nightly would run the task u"), "{said}");
    let (code, said) = plan(&["explain", "--queue", "jobs"], "a text");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the body is text, not JSON"), "{said}");
}

#[test]
fn each_message_of_a_batch_is_planned_separately() {
    let folder = tested();
    let record = |id: &str, body: &str| serde_json::json!({ "messageId": id, "body": body, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:jobs" });
    let batch = serde_json::json!({ "Records": [record("m-1", r#"{"kind":"a"}"#), record("m-2", "{broken"), record("m-3", "{}"), { "messageId": "m-4", "body": 7 }] });
    fs::write(folder.path().join("batch.json"), batch.to_string()).expect("is written");
    let output = command().args(["plan", "batch.json", "--json"]).current_dir(folder.path()).output().expect("runs");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let shown = |one: &Value| {
        let event = &one["event"];
        let id = event["message_id"].as_str().expect("has an id").to_owned();
        format!(
            "{id}: {} launches, {} errors",
            one["launches"].as_array().map_or(0, Vec::len),
            one["errors"].as_array().map_or(0, Vec::len)
        )
    };
    let shown: Vec<String> = printed["events"].as_array().expect("is a list").iter().map(shown).collect();
    expect![[r#"
        m-1: 1 launches, 0 errors
        m-3: 0 launches, 1 errors
        m-2: 0 launches, 1 errors
        m-4: 0 launches, 1 errors"#]]
    .assert_eq(&shown.join("\n"));
    expect![[r#"
        exit Some(4)
        error: message m-3: the route `jobs` cannot launch its task: ecs-trigger.yaml:4:111: the event has no `body.kind` (in the template "{{ body.kind }}")
        error: message m-2: the message's body begins with `{` but is not JSON: expected a string, found `b` at byte 1
        error: message m-4: the event's `Records[3].eventSourceARN` is missing
    "#]].assert_eq(&format!("exit {:?}\n{}", output.status.code(), String::from_utf8_lossy(&output.stderr)));
}

/// Runs `ecs-trigger` with this standard output. Returns the exit code, and what it writes on standard error.
fn run_into(arguments: &[&str], input: &str, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("ecs-trigger starts");
    // A verb that does not read its input may have ended already.
    let _ = child.stdin.take().expect("is piped").write_all(input.as_bytes());
    let Output { status, stderr, .. } = child.wait_with_output().expect("ecs-trigger ends");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn every_verb_fails_in_order_when_its_output_is_full_and_ends_quietly_when_nobody_reads_it() {
    let folder = tested();
    let project = folder.path().display().to_string();
    let new = folder.path().join("new").display().to_string();
    let cases = r#"[{"pattern_text":"{\"a\":[1]}","expected":"valid"}]"#;
    let manifest = "name: report\ntype: Scheduled Job\non: { schedule: \"@daily\" }\nimage: { build: Dockerfile }\n";
    let observation = r#"{"t":0,"visible":9,"in_flight":0,"running":0,"pending":0,"desired":0}"#;
    let (_pattern_folder, [pattern]) = files([("pattern.json", r#"{"source":["aws.s3"]}"#)]);
    let printing: &[(&[&str], &str)] = &[
        (&["validate", "examples/quickstart"], ""),
        (&["test", "examples/quickstart"], ""),
        (&["plan", "--config", "examples/quickstart", EVENT], ""),
        (&["explain", "--config", "examples/quickstart", EVENT], ""),
        (&["pattern", "match", "--pattern", &pattern, "--event", EVENT], ""),
        (&["pattern", "check", "-"], cases),
        (&["schedule", "next", "--config", &project], ""),
        (&["scaling", "decide", "--config", "examples/workers", "--worker", "reports"], observation),
        (&["schema"], ""),
        (&["simulate", "--workload", "hourly", "--seeds", "1"], ""),
        (&["dev", &project, "--once"], ""),
        (&["send", "jobs", "x", "--config", &project], ""),
        (&["init", &new, "--force"], ""),
        (&["emit", "-", "--config", &new], r#"{"source":"shop","detail-type":"Order placed","detail":{}}"#),
        (&["synth", "examples/quickstart"], ""),
        (&["import", "copilot", "-", "--app", "a", "--env", "e"], manifest),
        (&["completions", "bash"], ""),
        (&["runs", "--local", "--config", "examples/quickstart"], ""),
        (&["status", "--local", "--config", "examples/quickstart"], ""),
        (&["dead-letters", "--local", "--config", "examples/quickstart"], ""),
        (&["redrive", "--local", "--config", "examples/quickstart"], ""),
        (&["run", "csv-upload", EVENT, "--dry-run", "--local", "--config", "examples/quickstart"], ""),
        (&["--help"], ""),
        (&["--version"], ""),
    ];
    let of_account = ["diff", "deploy", "verify", "destroy", "rollback", "replay"];
    let of_launches = ["show", "logs", "cancel", "retry"];
    for verb in crate::docs::verbs() {
        let is_tried = printing.iter().any(|(arguments, _)| arguments[0] == verb);
        // `supervise` prints only what its process prints.
        let is_exempt = of_account.iter().chain(&of_launches).any(|known| *known == verb) || verb == "supervise";
        assert!(is_tried || is_exempt, "{verb} is tried, or needs an account or a launch");
    }
    for (arguments, input) in printing {
        let full = File::options().write(true).open("/dev/full").expect("is there");
        let (code, said) = run_into(arguments, input, full);
        assert_eq!(code, Some(6), "{arguments:?}: {said}");
        assert!(said.contains("cannot write output: No space left on device"), "{arguments:?}: {said}");
        let (reader, writer) = io::pipe().expect("is made");
        drop(reader);
        let (code, said) = run_into(arguments, input, writer);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("cannot write") && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

/// A valid config with most of the keys that hold a number or a duration.
const NUMBERS: &str = r#"{
"version": 1,
"storage": { "bucket": "state" },
"defaults": { "cluster": "batch", "network": { "subnets": ["subnet-1"] } },
"tasks": {
"t": { "task_definition": "t", "count": 2, "timeout": "1h", "retry": { "attempts": 3, "backoff": "10s" },
"capacity": [{ "capacity_provider_strategy": [{ "capacity_provider": "FARGATE_SPOT", "weight": 1, "base": 0 }] }],
"overrides": { "cpu": "256", "memory": "512", "ephemeral_storage": { "size_in_gib": 30 },
"container_overrides": [{ "name": "app", "cpu": 10, "memory": 128, "memory_reservation": 64 }] } } },
"routes": [
{ "name": "r", "on": { "schedule": "rate(5 minutes)", "flexible_window": "10m" }, "run": "t", "concurrency": { "max": 3 } },
{ "name": "q", "on": { "queue": "jobs" }, "run": "t" }],
"workers": [
{ "service": "s", "queue": "w", "name": "a", "scaling": { "min": 0, "max": 10, "acceptable_latency": "60s",
"msg_processing_time": "5s", "concurrency": 1, "tick": "5s", "scale_in_hold": "5s", "scale_in_every": "60s",
"stability": 2, "start_delay": "40s" } },
{ "service": "u", "queue": "x", "name": "c", "scaling": { "max": 10, "target": { "backlog_per_task": 3 } } },
{ "service": "v", "queue": "y", "name": "d", "scaling": { "max": 10, "step": { "cooldown": "60s",
"adjustments": [{ "lower": 100, "change": 2 }, { "upper": 0, "change": -1 }] } } }],
"stack": { "log_retention_days": 30, "memory": 256, "queues": { "jobs": { "queue": "create", "visibility_timeout": "6m",
"max_receive_count": 5 } } }
}"#;

#[test]
fn absurd_numbers_are_refused_or_do_no_harm() {
    let folder = tempfile::TempDir::new().expect("a folder can be made");
    let path = folder.path().join("ecs-trigger.yaml");
    let run = |config: &str, verb: &[&str]| {
        fs::write(&path, config).expect("is written");
        let ran = command().args(verb).arg(&path).output().expect("runs");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(matches!(ran.status.code(), Some(0 | 3)) && !said.contains("panicked"), "{verb:?} {config}: {said}");
        ran.status.success()
    };
    assert!(run(NUMBERS, &["validate"]), "the config is valid");
    let words: Vec<&str> = NUMBERS.split_inclusive([' ', ',', '}']).collect();
    let is_number = |word: &str| word.trim_end_matches([' ', ',', '}']).parse::<f64>().is_ok();
    let is_duration = |word: &str| word.starts_with('"') && word[1..].starts_with(|c: char| c.is_ascii_digit());
    for (position, word) in words.iter().enumerate() {
        let extremes: &[&str] = match () {
            () if is_number(word) => &["18446744073709551615", "-1", "1e308"],
            () if is_duration(word) => &["\"9223372036854775807s\"", "\"1ns\"", "\"-5s\""],
            () => &[],
        };
        for extreme in extremes {
            let length = word.trim_end_matches([' ', ',', '}']).len();
            let absurd = [extreme, &word[length..]].concat();
            let config = [&words[..position].concat(), absurd.as_str(), &words[position + 1..].concat()].concat();
            if run(&config, &["validate"]) {
                run(&config, &["synth"]);
                run(&config, &["simulate", "--worker", "a", "--workload", "hourly", "--seeds", "1", "--config"]);
            }
        }
    }
}
