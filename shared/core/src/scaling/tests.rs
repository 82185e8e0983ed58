//! The decisions of a policy. Tests use [`check`]; [`properties`] tests what holds for every policy.

mod properties;

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};

use super::{Action, Memory, Minute, Observation, ScalingDecision, ScalingPolicy};
use crate::routing::RoutingConfig;
use crate::text::Source;

/// Returns a policy with these settings: of mode `run_task` if they begin with `run `, otherwise of mode `service`.
pub(super) fn policy(scaling: &str) -> ScalingPolicy {
    let (runs_as, scaling) = match scaling.strip_prefix("run ") {
        Some(scaling) => ("run: w", scaling),
        None => ("service: w", scaling),
    };
    let text = format!(
        "version: 1\ntasks: {{ w: {{ task_definition: w }} }}\nroutes: []\nworkers:\n  - {{ {runs_as}, queue: q, scaling: {{ {scaling} }} }}\n"
    );
    let mut config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
    config.workers.remove(0).policy
}

/// Parses a time and an observation: visible, in flight, running, pending, desired. `-` is unknown.
fn observation(text: &str) -> (Timestamp, Observation) {
    let mut words = text.split_whitespace();
    let t: f64 = words.next().and_then(|t| t.parse().ok()).expect("a time");
    let mut next = || words.next().and_then(|word| word.parse::<u32>().ok());
    let observation = Observation {
        visible: next().map(u64::from),
        in_flight: next().map(u64::from),
        running: next(),
        pending: next(),
        desired: next(),
        ..Observation::default()
    };
    let observation = match words.next() {
        Some("deploying") => Observation { deployment_in_progress: Some(true), ..observation },
        Some("protected") => Observation { protected: words.next().and_then(|word| word.parse().ok()), ..observation },
        _ => observation,
    };
    (Timestamp::UNIX_EPOCH + SignedDuration::from_millis((t * 1000.0).round() as i64), observation)
}

pub(super) fn decide(policy: &ScalingPolicy, lines: &[&str]) -> Vec<(Timestamp, ScalingDecision)> {
    let mut memory = Memory::default();
    let observations = lines.iter().map(|line| observation(line));
    observations
        .map(|(now, observation)| {
            let (decision, remembered) = policy.decide(&observation, std::mem::take(&mut memory), now);
            memory = remembered;
            (now, decision)
        })
        .collect()
}

/// Compares the decisions about `lines`, one after the other, with `expected`.
fn check(scaling: &str, lines: &[&str], expected: Expect) {
    let said = decide(&policy(scaling), lines).into_iter().map(|(now, decision)| {
        let action = match decision.action {
            Action::Hold => "-".to_owned(),
            Action::SetDesired(count) => format!("desired {count}"),
            Action::Launch(count) => format!("launch {count}"),
        };
        format!("{}: {action}: {}", now.as_second(), decision.reason)
    });
    expected.assert_eq(&said.collect::<Vec<_>>().join("\n"));
}

const USUAL: &str = "max: 50, acceptable_latency: 60s, msg_processing_time: 5s, tick: 10s, scale_in_hold: 10s";

#[test]
fn one_message_at_zero_starts_one_worker() {
    check(USUAL, &["0 1 0 0 0 0"], expect!["0: desired 1: scale out from 0 to 1"]);
    check("run max: 50, acceptable_latency: 60s", &["0 1 0 0 0 -"], expect!["0: launch 1: scale out from 0 to 1"]);
}

#[test]
fn a_burst_is_met_at_once_by_as_many_as_drain_it_in_half_the_latency() {
    check(
        USUAL,
        &["0 240 0 0 0 0", "10 240 0 0 40 40", "20 240 0 0 40 40"],
        expect![[r#"
        0: desired 40: scale out from 0 to 40
        10: -: hold: 40 is enough
        20: -: hold: 40 is enough"#]],
    );
}

#[test]
fn what_starts_is_not_started_again() {
    check(
        "run max: 50, acceptable_latency: 60s, msg_processing_time: 5s",
        &["0 240 0 0 0 -", "10 240 0 0 40 -", "20 240 0 20 20 -"],
        expect![[r#"
            0: launch 40: scale out from 0 to 40
            10: -: hold: 40 is enough
            20: -: hold: 40 is enough"#]],
    );
}

#[test]
fn what_was_asked_for_and_is_not_shown_yet_counts_as_starting() {
    check(
        USUAL,
        &["0 240 0 0 0 0", "10 240 0 0 0 40"],
        expect![[r#"
        0: desired 40: scale out from 0 to 40
        10: -: hold: 40 is enough"#]],
    );
}

#[test]
fn the_unknown_is_not_zero() {
    check(
        USUAL,
        &["0 - 0 3 0 3", "10 0 - 3 0 3", "20 0 0 - 0 3", "30 0 0 3 - 3", "40 0 0 3 0 -", "50 - - - - -"],
        expect![[r#"
            0: -: hold: unknown: visible
            10: -: hold: unknown: in_flight
            20: -: hold: unknown: running
            30: -: hold: unknown: pending
            40: -: hold: unknown: desired
            50: -: hold: unknown: visible, in_flight, running, pending, desired"#]],
    );
    check(
        "run max: 5, acceptable_latency: 60s",
        &["0 9 0 - 0 -", "10 9 0 0 - -"],
        expect![[r#"
        0: -: hold: unknown: running
        10: -: hold: unknown: pending"#]],
    );
}

#[test]
fn a_single_reading_of_zero_does_not_stop_the_last_worker() {
    let lines = [
        "0 0 1 1 0 1",
        "10 0 1 1 0 1",
        "20 0 1 1 0 1",
        "30 0 1 1 0 1",
        "40 0 1 1 0 1",
        "50 0 1 1 0 1",
        "60 0 0 1 0 1",
        "70 0 1 1 0 1",
    ];
    check(
        USUAL,
        &lines,
        expect![[r#"
        0: -: hold: 1 is enough
        10: -: hold: 1 is enough
        20: -: hold: 1 is enough
        30: -: hold: 1 is enough
        40: -: hold: 1 is enough
        50: -: hold: 1 is enough
        60: -: hold: 1 is enough
        70: -: hold: 1 is enough"#]],
    );
}

#[test]
fn after_the_last_message_the_last_worker_goes() {
    let mut lines: Vec<String> = (0..=5).map(|tick| format!("{} 0 1 1 0 1", tick * 10)).collect();
    lines.extend((6..=14).map(|tick| format!("{} 0 0 1 0 1", tick * 10)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let decided = decide(&policy(USUAL), &lines);
    let scale_ins: Vec<i64> = decided
        .iter()
        .filter(|(_, decision)| decision.action == Action::SetDesired(0))
        .map(|(now, _)| now.as_second())
        .collect();
    expect!["[120, 130, 140]"].assert_eq(&format!("{scale_ins:?}"));
}

#[test]
fn a_deployment_keeps_from_scaling_in_and_not_from_scaling_out() {
    let mut lines: Vec<String> = (0..=8).map(|tick| format!("{} 0 1 9 0 9 deploying", tick * 10)).collect();
    lines.push("90 900 9 9 0 9 deploying".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(
        USUAL,
        &lines,
        expect![[r#"
            0: -: hold: 9 is enough
            10: -: hold: 9 is enough
            20: -: hold: 9 is enough
            30: -: hold: 9 is enough
            40: -: hold: 9 is enough
            50: -: hold: 9 is enough
            60: -: hold: fewer would be enough, but a deployment is in progress
            70: -: hold: fewer would be enough, but a deployment is in progress
            80: -: hold: fewer would be enough, but a deployment is in progress
            90: desired 50: scale out from 9 to 50 of 234 wanted"#]],
    );
}

#[test]
fn busy_workers_without_protection_keep_from_scaling_in() {
    let lines: Vec<String> = (0..=14).map(|tick| format!("{} 0 2 9 0 9 protected 0", tick * 10)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let decisions = decide(&policy(USUAL), &lines);
    assert!(decisions.iter().all(|(_, decision)| decision.action == Action::Hold), "nobody is ever protected");
    let (_, last) = decisions.last().expect("there are some");
    expect!["hold: fewer would be enough, but a scale-in could stop a busy worker: at least 2 busy, only 0 protected"]
        .assert_eq(&last.reason.to_string());
    // The same holds for a maximum that was lowered.
    check(
        &USUAL.replace("max: 50", "max: 5"),
        &["0 0 8 20 0 20 protected 0", "10 0 8 20 0 20 protected 8", "20 0 2 20 0 20 protected 2"],
        expect![[r#"
            0: -: hold: fewer would be enough, but a scale-in could stop a busy worker: at least 8 busy, only 0 protected
            10: desired 8: scale in from 20 to 8, which are busy, towards the maximum of 5
            20: desired 5: scale in from 20 to the maximum of 5"#]],
    );
}

#[test]
fn messages_that_no_worker_has_keep_no_worker() {
    // Of three in flight, one has a worker: the others wait for their retry.
    let lines: Vec<String> = (0..=9).map(|tick| format!("{} 0 3 9 0 9 protected 1", tick * 10)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (early, late) = (decide(&policy(USUAL), &lines[..6]), decide(&policy(USUAL), &lines));
    assert!(early.iter().all(|(_, decision)| decision.action == Action::Hold), "not before a minute");
    let (_, last) = late.last().expect("there are some");
    assert_eq!(last.numbers.map(|numbers| numbers.left_alone), Some(2));
    assert!(matches!(last.action, Action::SetDesired(1..=3)), "{last}");
    // In mode `run_task`, no more can be worked on than running workers have places for.
    let lost: Vec<String> = (0..=9).map(|tick| format!("{} 0 7 0 0 -", tick * 10)).collect();
    let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
    let decisions = decide(&policy("run max: 50, acceptable_latency: 60s"), &lost);
    assert!(decisions.iter().all(|(_, decision)| decision.action == Action::Hold), "nothing can be received");
}

#[test]
fn the_processing_time_is_learned_from_bursts_that_are_over() {
    let policy = policy("run max: 50, acceptable_latency: 60s, msg_processing_time: 15s");
    let mut memory = Memory::default();
    for tick in 0..30 {
        let (now, mut observation) = observation(&format!("{} 0 0 {} 0 -", tick * 5, if tick < 6 { 4 } else { 0 }));
        // The minute of the burst is read when its workers are gone.
        if tick == 24 {
            observation.minutes = vec![Minute { sent: Some(100.0), deleted: Some(100.0), in_flight: Some(1.7) }];
        }
        (_, memory) = policy.decide(&observation, memory, now);
    }
    let learned = memory.service_time(&policy);
    assert!(learned < 4.0, "100 messages in 102 seconds in flight: {learned} s");
}

#[test]
fn what_somebody_else_set_is_brought_within_bounds() {
    check(
        &format!("min: 2, {USUAL}"),
        &["0 0 0 1 0 1", "10 0 0 60 0 60"],
        expect![[r#"
        0: desired 2: scale out from 1 to the minimum of 2
        10: desired 50: scale in from 60 to the maximum of 50"#]],
    );
}

#[test]
fn paused_is_paused() {
    check(
        &format!("paused: true, {USUAL}"),
        &["0 900 0 0 0 0", "10 900 0 60 0 60"],
        expect![[r#"
        0: -: hold: paused
        10: -: hold: paused"#]],
    );
}

#[test]
fn no_more_tasks_start_at_once_than_fargate_takes() {
    check(
        "run max: 900, acceptable_latency: 60s, msg_processing_time: 5s",
        &["0 90000 0 0 0 -", "10 90000 0 0 100 -"],
        expect![[r#"
            0: launch 100: scale out from 0 to 100 of 15000 wanted
            10: launch 100: scale out from 100 to 200 of 14834 wanted"#]],
    );
}

#[test]
fn a_blocked_message_group_is_met_by_one_idle_worker_not_by_all() {
    let mut lines: Vec<String> = (0..4).map(|tick| format!("{} {} 1 6 0 6", tick * 10, 20 + tick)).collect();
    lines.extend((4..8).map(|tick| format!("{} {} 1 6 0 6", tick * 10, 900 + tick)));
    lines.push("80 900 6 6 0 6".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(
        USUAL,
        &lines,
        expect![[r#"
            0: -: hold: 6 is enough
            10: -: hold: 6 is enough
            20: -: hold: 6 is enough
            30: -: hold: 6 is enough
            40: -: hold: blocked, more workers would not help: 904 waiting, 1 in flight, 6 running; check whether workers start, and whether a message group is blocked
            50: -: hold: blocked, more workers would not help: 905 waiting, 1 in flight, 6 running; check whether workers start, and whether a message group is blocked
            60: -: hold: blocked, more workers would not help: 906 waiting, 1 in flight, 6 running; check whether workers start, and whether a message group is blocked
            70: -: hold: blocked, more workers would not help: 907 waiting, 1 in flight, 6 running; check whether workers start, and whether a message group is blocked
            80: desired 50: scale out from 6 to 50 of 237 wanted"#]],
    );
}

#[test]
fn an_image_that_does_not_start_is_tried_by_one_task_now_and_then() {
    let lines: Vec<String> = (0..30).map(|tick| format!("{} {} 0 0 0 -", tick * 10, 10 + tick)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let policy = policy("run max: 50, acceptable_latency: 60s, msg_processing_time: 5s");
    let launches = decide(&policy, &lines).into_iter().filter_map(|(now, decision)| match decision.action {
        Action::Launch(count) => Some(format!("{}: {count}", now.as_second())),
        _ => None,
    });
    expect!["0: 2, 60: 1, 120: 1, 180: 1, 240: 1"].assert_eq(&launches.collect::<Vec<_>>().join(", "));
}

#[test]
fn a_lagging_zero_stops_nobody_though_ticks_are_never_quite_on_time() {
    let mut lines: Vec<String> =
        (0..=8).map(|tick| format!("{} 0 40 40 0 40 protected 40", f64::from(tick) * 10.005)).collect();
    lines.push("90.045 0 0 40 0 40 protected 40".to_owned());
    lines.push("100.05 0 40 40 0 40 protected 40".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(
        "max: 50, acceptable_latency: 120s, msg_processing_time: 60s",
        &lines[..],
        expect![[r#"
        0: -: hold: 40 is enough
        10: -: hold: 40 is enough
        20: -: hold: 40 is enough
        30: -: hold: 40 is enough
        40: -: hold: 40 is enough
        50: -: hold: 40 is enough
        60: -: hold: 40 is enough
        70: -: hold: 40 is enough
        80: -: hold: 40 is enough
        90: -: hold: 40 is enough
        100: -: hold: 40 is enough"#]],
    );
}

#[test]
fn a_blocked_group_is_met_by_few_tasks_of_their_own() {
    let lines = [
        "0 100 0 0 0 -",
        "10 101 0 0 17 -",
        "40 104 1 17 0 -",
        "50 105 1 1 0 -",
        "60 106 1 1 0 -",
        "110 111 1 1 0 -",
        "120 112 1 2 0 -",
        "130 113 2 2 0 -",
    ];
    check(
        "run max: 50, acceptable_latency: 60s, msg_processing_time: 5s",
        &lines,
        expect![[r#"
        0: launch 17: scale out from 0 to 17
        10: -: hold: 17 is enough
        40: -: hold: 17 is enough
        50: -: hold: blocked, more workers would not help: 105 waiting, 1 in flight, 1 running; check whether workers start, and whether a message group is blocked
        60: launch 1: scale out from 1 to 2
        110: -: hold: blocked, more workers would not help: 111 waiting, 1 in flight, 1 running; check whether workers start, and whether a message group is blocked
        120: -: hold: blocked, more workers would not help: 112 waiting, 1 in flight, 2 running; check whether workers start, and whether a message group is blocked
        130: launch 17: scale out from 2 to 19"#]],
    );
}

#[test]
fn a_worker_that_ended_just_as_a_message_came_is_not_missed() {
    let lines = ["0 1 0 0 0 -", "10 0 1 1 0 -", "20 0 0 1 0 -", "30 5 0 0 0 -"];
    check(
        "run max: 50, acceptable_latency: 60s, msg_processing_time: 5s",
        &lines,
        expect![[r#"
            0: launch 1: scale out from 0 to 1
            10: -: hold: 1 is enough
            20: -: hold: 1 is enough
            30: launch 3: scale out from 0 to 3"#]],
    );
}

#[test]
fn a_target_is_met_by_one_worker_for_so_many_messages() {
    let target = "max: 9, target: { backlog_per_task: 100 }, scale_in_hold: 20s";
    let lines = [
        "0 1 0 0 0 0",
        "10 450 1 1 0 1",
        "20 450 0 1 4 5",
        "30 0 3 5 0 5",
        "40 0 3 5 0 5",
        "50 0 0 5 0 5",
        "60 0 0 5 0 5",
        "70 0 0 5 0 5",
    ];
    check(
        target,
        &lines,
        expect![[r#"
        0: desired 1: scale out from 0 to 1
        10: desired 5: scale out from 1 to 5
        20: -: hold: 5 is enough
        30: -: hold: 5 is enough
        40: -: hold: 5 is enough
        50: desired 3: scale in from 5 to 3
        60: desired 3: scale in from 5 to 3
        70: desired 1: scale in from 5 to 1"#]],
    );
}

#[test]
fn steps_are_made_by_depth_one_in_a_cooldown() {
    let step = "max: 9, step: { adjustments: [{ lower: 100, change: 1 }, { lower: 500, change: 5 }, { upper: 0, change: -1 }], cooldown: 20s }";
    let lines = [
        "0 1 0 0 0 0",
        "10 600 0 1 0 1",
        "20 600 0 6 0 6",
        "30 600 0 6 0 6",
        "50 0 0 9 0 9",
        "60 0 0 9 0 9",
        "80 0 0 8 0 8",
    ];
    check(
        step,
        &lines,
        expect![[r#"
        0: desired 1: scale out from 0 to 1
        10: desired 6: scale out from 1 to 6
        20: -: hold: 6 is enough
        30: -: hold: blocked, more workers would not help: 600 waiting, 0 in flight, 6 running; check whether workers start, and whether a message group is blocked
        50: desired 8: scale in from 9 to 8
        60: -: hold: 9 is enough
        80: desired 7: scale in from 8 to 7"#]],
    );
}

#[test]
fn schedules_set_the_bounds() {
    // A minimum from 08:00 in Berlin (07:00 in UTC) for ten hours, and a high maximum at night.
    let scheduled = "max: 5, acceptable_latency: 60s, schedules: [{ cron: cron(0 8 * * ? *), timezone: Europe/Berlin, for: 10h, min: 2 }, { cron: 0 23 * * ? *, for: 2h, max: 50 }]";
    let policy = policy(scheduled);
    let bounds = [6, 7, 16, 17, 23, 25].map(|hour| {
        let bounds = policy.bounds_at(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 + hour));
        format!("{hour}: {} to {}", bounds.min, bounds.max)
    });
    expect!["6: 0 to 5, 7: 2 to 5, 16: 2 to 5, 17: 0 to 5, 23: 0 to 50, 25: 0 to 5"].assert_eq(&bounds.join(", "));
    check(scheduled, &["28800 0 0 0 0 0"], expect!["28800: desired 2: scale out from 0 to the minimum of 2"]);
}

#[test]
fn how_long_messages_take_and_tasks_start_is_learned() {
    let policy = policy("max: 50, acceptable_latency: 60s");
    let mut memory = Memory::default();
    let mut said = Vec::new();
    for tick in 0..4 {
        let minute = super::Minute { sent: Some(600.0), deleted: Some(600.0), in_flight: Some(20.0) };
        let observation = Observation {
            visible: Some(0),
            in_flight: Some(20),
            running: Some(20),
            pending: Some(0),
            desired: Some(20),
            start_delays: vec![30.0, 32.0],
            minutes: vec![minute],
            ..Observation::default()
        };
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(tick * 10);
        let (decision, remembered) = policy.decide(&observation, memory, now);
        memory = remembered;
        said.push(decision.to_string());
    }
    expect![[r#"
        hold: 20 is enough (0 visible and 20 in flight at 2.1 s each, offered load 20.0, backlog in 36 s: 0 s of work)
        hold: 20 is enough (0 visible and 20 in flight at 2.0 s each, offered load 20.0, backlog in 36 s: 0 s of work)
        hold: 20 is enough (0 visible and 20 in flight at 2.0 s each, offered load 20.2, backlog in 36 s: 8 s of work)
        hold: 20 is enough (0 visible and 20 in flight at 2.0 s each, offered load 20.0, backlog in 36 s: 0 s of work)"#]].assert_eq(&said.join("\n"));
}

#[test]
fn after_a_cold_start_the_minutes_tell_the_load() {
    let policy = policy("max: 50, acceptable_latency: 60s, msg_processing_time: 2s");
    let minute = super::Minute { sent: Some(600.0), deleted: Some(600.0), in_flight: Some(20.0) };
    let observation = Observation {
        visible: Some(400),
        in_flight: Some(5),
        running: Some(5),
        pending: Some(0),
        desired: Some(5),
        minutes: vec![minute; 5],
        ..Observation::default()
    };
    let (decision, _) = policy.decide(&observation, Memory::default(), Timestamp::UNIX_EPOCH);
    expect!["scale out from 5 to 50 of 52 wanted (400 visible and 5 in flight at 2.0 s each, offered load 20.0, backlog in 50 s: 1550 s of work)"].assert_eq(&decision.to_string());
}

#[test]
fn a_clock_that_is_set_back_begins_anew() {
    check(
        USUAL,
        &["1000 0 1 1 0 1", "10 1 0 0 0 0"],
        expect![[r#"
        1000: -: hold: 1 is enough
        10: desired 1: scale out from 0 to 1"#]],
    );
}
