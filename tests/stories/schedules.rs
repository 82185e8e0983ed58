//! Schedules fire and start their tasks. The story uses the schedules that we generate, the real function and the
//! emulator's Scheduler.

use std::fs;

use e2e::Emulator;
use serde_json::Value;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

const CONFIG: &str = r#"
version: 1
tasks:
  report:
    cluster: batch
    task_definition: report
    overrides:
      container_overrides:
        - { name: app, command: ["{{ schedule }}", "{{ scheduled_time }}", "{{ scheduled.date }}", "{{ input.kind | default('-') }}"] }
routes:
  - { name: often, on: { schedule: rate(1 minute), input: { kind: small } }, run: report }
  - { name: once, on: { schedule: "at(2026-01-01T20:00:00)", timezone: Asia/Seoul }, run: report }
  - { name: ruled, on: { schedule: rate(1 minute) }, run: report }
"#;

fn command(call: &Value) -> Vec<&str> {
    let words = call["overrides"]["containerOverrides"][0]["command"].as_array().expect("has a command");
    words.iter().filter_map(Value::as_str).collect()
}

#[test]
fn rates_one_time_schedules_and_rules_with_a_schedule_fire_and_start_tasks() {
    let emulator = Emulator::start();
    emulator.deploy("schedule-trigger", CONFIG, "report", &[]);
    let config = RoutingConfig::parse(Source::new("ecs-trigger.yaml", CONFIG)).expect("the config is valid");
    let folder = tempfile::tempdir().expect("a folder");
    let function = Emulator::function_arn("schedule-trigger");
    let schedules = infra::schedules(
        &config,
        &function,
        "arn:aws:iam::000000000000:role/scheduler",
        "arn:aws:sqs:us-east-1:000000000000:schedules-dead-letter",
    );
    for schedule in schedules.iter().filter(|schedule| schedule.name != "ruled") {
        // The command line checks every key and type against AWS's own service model before it sends anything.
        let file = folder.path().join("schedule.json");
        fs::write(&file, serde_json::to_string(&schedule).expect("is JSON")).expect("is written");
        emulator.aws(&["scheduler", "create-schedule", "--cli-input-json", &format!("file://{}", file.display())]);
    }
    emulator.aws(&["events", "put-rule", "--name", "ruled", "--schedule-expression", "rate(1 minute)"]);
    emulator.aws(&["events", "put-targets", "--rule", "ruled", "--targets", &format!("Id=1,Arn={function}")]);

    // Each schedule fires within a second or two.
    let fired = |calls: &[Value], name: &str| calls.iter().find(|call| command(call)[0] == name).cloned();
    let all = (3..40).find_map(|count| {
        let calls = emulator.calls("RunTask", count);
        Some([fired(&calls, "often")?, fired(&calls, "once")?, fired(&calls, "ruled")?])
    });
    let fired = all.unwrap_or_else(|| panic!("{:#?}", emulator.logs("schedule-trigger")));
    let [often, once, ruled] = &fired;
    assert_eq!(command(often)[3], "small");
    // The emulator reads the time of a one-time schedule as UTC, which is on the next day in Seoul.
    assert_eq!(command(once), ["once", "2026-01-01T20:00:00Z", "2026-01-02", "-"]);
    assert_eq!(command(ruled)[3], "-");
    let often_at: Vec<&str> = command(often);
    assert!(often_at[1].starts_with(often_at[2]), "in UTC the date is the time's own: {often_at:?}");
    let calls = emulator.calls("RunTask", 1);
    let once_again = calls.iter().filter(|call| command(call)[0] == "once").count();
    assert_eq!(once_again, 1);
}
