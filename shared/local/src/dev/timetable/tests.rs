//! Which firings happen while `dev` runs, and which it catches up with.

use std::path::Path;

use expect_test::expect;
use jiff::Timestamp;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::{Due, Timetable};

fn config() -> RoutingConfig {
    let text = r#"
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: hourly, on: { schedule: cron(0 * * * ? *), catch_up: last }, run: t }
  - { name: often, on: { schedule: rate(20 minutes) }, run: t }
  - { name: off, on: { schedule: rate(1 minute), state: disabled }, run: t }
  - { name: once, on: { schedule: "at(2026-01-01T10:30:00)" }, run: t }
"#;
    RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid")
}

fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().expect("is a time")
}

fn shown(due: &[Due]) -> String {
    due.iter().map(|due| format!("{} {}\n", due.time, due.route)).collect()
}

#[test]
fn firings_come_in_their_order_and_once() {
    let mut timetable = Timetable::new(&config(), Path::new("/nowhere"), at("10:00:00"), true);
    expect![[r#"
        2026-01-01T10:00:00Z hourly
        2026-01-01T10:00:00Z often
        2026-01-01T10:20:00Z often
        2026-01-01T10:30:00Z once
        2026-01-01T10:40:00Z often
        2026-01-01T11:00:00Z hourly
        2026-01-01T11:00:00Z often
    "#]]
    .assert_eq(&shown(&timetable.take_due(at("11:00:00"))));
    assert_eq!(timetable.take_due(at("11:00:00")), []);
    assert_eq!(timetable.next(), Some(at("11:20:00")));
}

#[test]
fn a_schedule_that_does_not_change_keeps_its_next_firing_and_others_begin_anew() {
    let mut timetable = Timetable::new(&config(), Path::new("/nowhere"), at("10:00:00"), true);
    timetable.take_due(at("10:00:00"));
    let text = r#"
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: often, on: { schedule: rate(20 minutes) }, run: t }
  - { name: new, on: { schedule: rate(20 minutes) }, run: t }
  - { name: hourly, on: { schedule: cron(45 * * * ? *) }, run: t }
"#;
    let changed = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
    timetable.renew(&changed, at("10:05:00"));
    expect![[r#"
        2026-01-01T10:20:00Z often
        2026-01-01T10:25:00Z new
        2026-01-01T10:40:00Z often
        2026-01-01T10:45:00Z hourly
        2026-01-01T10:45:00Z new
    "#]]
    .assert_eq(&shown(&timetable.take_due(at("10:59:00"))));
}

#[test]
fn the_last_missed_firing_is_caught_up_with_once() {
    let project = tempfile::tempdir().expect("a folder");
    let first = Timetable::new(&config(), project.path(), at("10:10:00"), false);
    assert_eq!(first.missed(), [], "nothing is missed of what never ran");
    first.remember(at("10:15:00")).expect("is written");
    let again = Timetable::new(&config(), project.path(), at("13:40:00"), false);
    assert_eq!(shown(&again.missed()), "2026-01-01T13:00:00Z hourly\n", "the rate does not catch up");
    again.remember(at("13:40:00")).expect("is written");
    assert_eq!(Timetable::new(&config(), project.path(), at("13:50:00"), false).missed(), []);
    assert_eq!(Timetable::new(&config(), project.path(), at("23:50:00"), true).missed(), [], "a pretended time");
}
