//! A changed config takes effect without a restart, and a broken one is refused.

use e2e::Emulator;
use serde_json::Value;

fn config(word: &str) -> String {
    format!(
        r#"
version: 1
tasks:
  t:
    cluster: batch
    task_definition: app
    overrides: {{ container_overrides: [{{ name: app, command: [{word}] }}] }}
routes:
  - {{ name: r, on: {{ event_pattern: {{ source: [my.app] }} }}, run: t }}
"#
    )
}

const EVENT: &str = r#"{"id":"e-1","source":"my.app","detail-type":"t","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{}}"#;

/// Invokes the function until a log line has this message, and once more. Returns the command word of the last launch.
fn invoke_until(emulator: &Emulator, said: &str) -> String {
    for _ in 0..60 {
        let answer = emulator.invoke("event-trigger", EVENT);
        assert!(answer["FunctionError"].is_null(), "{answer}");
        if emulator.logs("event-trigger").iter().any(|line| line["message"] == said) {
            let answer = emulator.invoke("event-trigger", EVENT);
            assert!(answer["FunctionError"].is_null(), "{answer}");
            return last_word(emulator);
        }
    }
    panic!("nothing says: {said}");
}

fn last_word(emulator: &Emulator) -> String {
    let calls = emulator.calls("RunTask", 1);
    let word = &calls[0]["overrides"]["containerOverrides"][0]["command"][0];
    word.as_str().expect("has a command").to_owned()
}

#[test]
fn a_changed_config_takes_effect_and_a_broken_one_is_refused_without_interruption() {
    let emulator = Emulator::start();
    emulator.deploy("event-trigger", &config("first"), "app", &[("ECS_TRIGGER_CONFIG_MAX_AGE", "0")]);
    emulator.invoke("event-trigger", EVENT);
    assert_eq!(last_word(&emulator), "first");

    emulator.put_object("config", "ecs-trigger.yaml", &config("second"));
    assert_eq!(invoke_until(&emulator, "a new config is in force"), "second");

    emulator.put_object("config", "ecs-trigger.yaml", &config("third").replace("run: t", "run: u"));
    assert_eq!(invoke_until(&emulator, "the new config is refused; the version in force stays"), "second");
    let logs = emulator.logs("event-trigger");
    let reason = logs.iter().find_map(|line| line["reason"].as_str()).expect("the reason is logged");
    assert!(reason.contains("s3://config/ecs-trigger.yaml:9:66: error: unknown task `u`"), "{reason}");
    let counted: Vec<&Value> = logs.iter().filter(|line| line["ConfigRefused"] == 1).collect();
    assert_eq!(counted.len(), 1, "one refused version is one");
}
