//! When schedules fire. All tests go through [`check`] for firings, or [`refused`] for expressions that AWS would
//! refuse.

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{CatchUp, Schedule, ScheduleExpression, Timeliness, time_zone};

fn schedule(text: &str, zone: &str) -> Schedule {
    Schedule {
        expression: ScheduleExpression::parse(text).expect("is a schedule expression"),
        text: text.to_owned(),
        timezone: time_zone(zone).expect("is a time zone"),
        start: None,
        end: None,
        flexible_window_minutes: None,
        enabled: true,
        input: None,
        catch_up: None,
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("is a time")
}

/// Returns the next five firings after a time, in the schedule's zone.
fn next(schedule: &Schedule, after: &str) -> String {
    let first = schedule.next_after(at(after), at(after));
    let firings = std::iter::successors(first, |time| schedule.next_after(*time, at(after))).take(5);
    let zone = &schedule.timezone;
    firings.map(|time| time.to_zoned(zone.clone()).strftime("%F %T %:z, %a").to_string() + "\n").collect()
}

fn check(text: &str, zone: &str, after: &str, expected: Expect) {
    expected.assert_eq(&next(&schedule(text, zone), after));
}

fn refused(texts: &[&str], expected: Expect) {
    let said = texts.iter().map(|text| match ScheduleExpression::parse(text) {
        Ok(_) => format!("{text}: taken\n"),
        Err(error) => format!("{text}: {} at `{}`\n", error.message, &text[error.part]),
    });
    expected.assert_eq(&said.collect::<String>());
}

/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
#[test]
fn the_published_examples_fire_when_they_are_said_to() {
    let after = "2026-11-20T00:00:00Z";
    check(
        "cron(0 10 * * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-11-20 10:00:00 +00:00, Fri
        2026-11-21 10:00:00 +00:00, Sat
        2026-11-22 10:00:00 +00:00, Sun
        2026-11-23 10:00:00 +00:00, Mon
        2026-11-24 10:00:00 +00:00, Tue
    "#]],
    );
    check(
        "cron(15 12 * * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-11-20 12:15:00 +00:00, Fri
        2026-11-21 12:15:00 +00:00, Sat
        2026-11-22 12:15:00 +00:00, Sun
        2026-11-23 12:15:00 +00:00, Mon
        2026-11-24 12:15:00 +00:00, Tue
    "#]],
    );
    check(
        "cron(0 18 ? * MON-FRI *)",
        "UTC",
        after,
        expect![[r#"
        2026-11-20 18:00:00 +00:00, Fri
        2026-11-23 18:00:00 +00:00, Mon
        2026-11-24 18:00:00 +00:00, Tue
        2026-11-25 18:00:00 +00:00, Wed
        2026-11-26 18:00:00 +00:00, Thu
    "#]],
    );
    check(
        "cron(0 8 1 * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-12-01 08:00:00 +00:00, Tue
        2027-01-01 08:00:00 +00:00, Fri
        2027-02-01 08:00:00 +00:00, Mon
        2027-03-01 08:00:00 +00:00, Mon
        2027-04-01 08:00:00 +00:00, Thu
    "#]],
    );
    check(
        "cron(0/15 * * * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-11-20 00:15:00 +00:00, Fri
        2026-11-20 00:30:00 +00:00, Fri
        2026-11-20 00:45:00 +00:00, Fri
        2026-11-20 01:00:00 +00:00, Fri
        2026-11-20 01:15:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(0/10 * ? * MON-FRI *)",
        "UTC",
        "2026-11-20T23:35:00Z",
        expect![[r#"
        2026-11-20 23:40:00 +00:00, Fri
        2026-11-20 23:50:00 +00:00, Fri
        2026-11-23 00:00:00 +00:00, Mon
        2026-11-23 00:10:00 +00:00, Mon
        2026-11-23 00:20:00 +00:00, Mon
    "#]],
    );
    check(
        "cron(0/5 8-17 ? * MON-FRI *)",
        "UTC",
        "2026-11-20T17:45:00Z",
        expect![[r#"
        2026-11-20 17:50:00 +00:00, Fri
        2026-11-20 17:55:00 +00:00, Fri
        2026-11-23 08:00:00 +00:00, Mon
        2026-11-23 08:05:00 +00:00, Mon
        2026-11-23 08:10:00 +00:00, Mon
    "#]],
    );
    check(
        "cron(0/30 20-2 ? * MON-FRI *)",
        "UTC",
        "2026-11-20T01:00:00Z",
        expect![[r#"
        2026-11-20 01:30:00 +00:00, Fri
        2026-11-20 02:00:00 +00:00, Fri
        2026-11-20 02:30:00 +00:00, Fri
        2026-11-20 20:00:00 +00:00, Fri
        2026-11-20 20:30:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(5,35 14 * * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-11-20 14:05:00 +00:00, Fri
        2026-11-20 14:35:00 +00:00, Fri
        2026-11-21 14:05:00 +00:00, Sat
        2026-11-21 14:35:00 +00:00, Sat
        2026-11-22 14:05:00 +00:00, Sun
    "#]],
    );
}

/// The last Friday of each month. Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>
#[test]
fn the_schedulers_own_example_ends_with_its_years() {
    check(
        "cron(15 10 ? * 6L 2022-2023)",
        "UTC",
        "2022-01-01T00:00:00Z",
        expect![[r#"
        2022-01-28 10:15:00 +00:00, Fri
        2022-02-25 10:15:00 +00:00, Fri
        2022-03-25 10:15:00 +00:00, Fri
        2022-04-29 10:15:00 +00:00, Fri
        2022-05-27 10:15:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(15 10 ? * 6L 2022-2023)",
        "UTC",
        "2023-11-01T00:00:00Z",
        expect![[r#"
        2023-11-24 10:15:00 +00:00, Fri
        2023-12-29 10:15:00 +00:00, Fri
    "#]],
    );
    check("cron(15 10 ? * 6L 2022-2023)", "UTC", "2024-01-01T00:00:00Z", expect![[""]]);
}

#[test]
fn days_are_counted_from_sunday_and_from_the_ends_of_months() {
    let after = "2026-01-01T00:00:00Z";
    check(
        "cron(0 0 ? * 1 *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-04 00:00:00 +00:00, Sun
        2026-01-11 00:00:00 +00:00, Sun
        2026-01-18 00:00:00 +00:00, Sun
        2026-01-25 00:00:00 +00:00, Sun
        2026-02-01 00:00:00 +00:00, Sun
    "#]],
    );
    check(
        "cron(0 0 ? * L *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-03 00:00:00 +00:00, Sat
        2026-01-10 00:00:00 +00:00, Sat
        2026-01-17 00:00:00 +00:00, Sat
        2026-01-24 00:00:00 +00:00, Sat
        2026-01-31 00:00:00 +00:00, Sat
    "#]],
    );
    check(
        "cron(0 0 ? * 3#2 *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-13 00:00:00 +00:00, Tue
        2026-02-10 00:00:00 +00:00, Tue
        2026-03-10 00:00:00 +00:00, Tue
        2026-04-14 00:00:00 +00:00, Tue
        2026-05-12 00:00:00 +00:00, Tue
    "#]],
    );
    check(
        "cron(0 0 ? * sat#5 *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-31 00:00:00 +00:00, Sat
        2026-05-30 00:00:00 +00:00, Sat
        2026-08-29 00:00:00 +00:00, Sat
        2026-10-31 00:00:00 +00:00, Sat
        2027-01-30 00:00:00 +00:00, Sat
    "#]],
    );
    check(
        "cron(0 0 L * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-31 00:00:00 +00:00, Sat
        2026-02-28 00:00:00 +00:00, Sat
        2026-03-31 00:00:00 +00:00, Tue
        2026-04-30 00:00:00 +00:00, Thu
        2026-05-31 00:00:00 +00:00, Sun
    "#]],
    );
    check(
        "cron(0 0 LW * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-30 00:00:00 +00:00, Fri
        2026-02-27 00:00:00 +00:00, Fri
        2026-03-31 00:00:00 +00:00, Tue
        2026-04-30 00:00:00 +00:00, Thu
        2026-05-29 00:00:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(0 0 1W * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-02-02 00:00:00 +00:00, Mon
        2026-03-02 00:00:00 +00:00, Mon
        2026-04-01 00:00:00 +00:00, Wed
        2026-05-01 00:00:00 +00:00, Fri
        2026-06-01 00:00:00 +00:00, Mon
    "#]],
    );
    check(
        "cron(0 0 31W * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-30 00:00:00 +00:00, Fri
        2026-03-31 00:00:00 +00:00, Tue
        2026-05-29 00:00:00 +00:00, Fri
        2026-07-31 00:00:00 +00:00, Fri
        2026-08-31 00:00:00 +00:00, Mon
    "#]],
    );
    check(
        "cron(0 0 29 FEB ? *)",
        "UTC",
        after,
        expect![[r#"
        2028-02-29 00:00:00 +00:00, Tue
        2032-02-29 00:00:00 +00:00, Sun
        2036-02-29 00:00:00 +00:00, Fri
        2040-02-29 00:00:00 +00:00, Wed
        2044-02-29 00:00:00 +00:00, Mon
    "#]],
    );
    check(
        "cron(0 0 ? * FRI-MON *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-02 00:00:00 +00:00, Fri
        2026-01-03 00:00:00 +00:00, Sat
        2026-01-04 00:00:00 +00:00, Sun
        2026-01-05 00:00:00 +00:00, Mon
        2026-01-09 00:00:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(0 0 1,15 * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-15 00:00:00 +00:00, Thu
        2026-02-01 00:00:00 +00:00, Sun
        2026-02-15 00:00:00 +00:00, Sun
        2026-03-01 00:00:00 +00:00, Sun
        2026-03-15 00:00:00 +00:00, Sun
    "#]],
    );
    check(
        "cron(0 */3 */10 NOV-FEB ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-01 03:00:00 +00:00, Thu
        2026-01-01 06:00:00 +00:00, Thu
        2026-01-01 09:00:00 +00:00, Thu
        2026-01-01 12:00:00 +00:00, Thu
        2026-01-01 15:00:00 +00:00, Thu
    "#]],
    );
}

#[test]
fn days_are_counted_back_from_the_last_of_the_month() {
    let after = "2026-01-01T00:00:00Z";
    check(
        "cron(0 0 L-3 * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-28 00:00:00 +00:00, Wed
        2026-02-25 00:00:00 +00:00, Wed
        2026-03-28 00:00:00 +00:00, Sat
        2026-04-27 00:00:00 +00:00, Mon
        2026-05-28 00:00:00 +00:00, Thu
    "#]],
    );
    // The 28th of March 2026 is a Saturday.
    check(
        "cron(0 0 L-3W * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-28 00:00:00 +00:00, Wed
        2026-02-25 00:00:00 +00:00, Wed
        2026-03-27 00:00:00 +00:00, Fri
        2026-04-27 00:00:00 +00:00, Mon
        2026-05-28 00:00:00 +00:00, Thu
    "#]],
    );
    check(
        "cron(0 0 l-1w * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-30 00:00:00 +00:00, Fri
        2026-02-27 00:00:00 +00:00, Fri
        2026-03-30 00:00:00 +00:00, Mon
        2026-04-29 00:00:00 +00:00, Wed
        2026-05-29 00:00:00 +00:00, Fri
    "#]],
    );
    // The 1st of August 2026 is a Saturday: the nearest weekday of its month is the 3rd.
    check(
        "cron(0 0 L-30W * ? *)",
        "UTC",
        "2026-06-30T00:00:00Z",
        expect![[r#"
        2026-07-01 00:00:00 +00:00, Wed
        2026-08-03 00:00:00 +00:00, Mon
        2026-10-01 00:00:00 +00:00, Thu
        2026-12-01 00:00:00 +00:00, Tue
        2027-01-01 00:00:00 +00:00, Fri
    "#]],
    );
    check(
        "cron(0 0 1,L-1 * ? *)",
        "UTC",
        after,
        expect![[r#"
        2026-01-30 00:00:00 +00:00, Fri
        2026-02-01 00:00:00 +00:00, Sun
        2026-02-27 00:00:00 +00:00, Fri
        2026-03-01 00:00:00 +00:00, Sun
        2026-03-30 00:00:00 +00:00, Mon
    "#]],
    );
}

#[test]
fn a_year_and_the_number_of_a_unit_need_not_be_written_but_are_deployed() {
    let deployed = [
        ("rate(1 hours)", "rate(1 hour)"),
        ("rate(1 hour)", "rate(1 hour)"),
        ("rate(01 days)", "rate(1 day)"),
        ("rate(10 minute)", "rate(10 minutes)"),
        ("cron(0 3 * * ?)", "cron(0 3 * * ? *)"),
        ("cron(0 3 L-3 * ? 2027)", "cron(0 3 L-3 * ? 2027)"),
        ("at(2026-12-31T23:59:00)", "at(2026-12-31T23:59:00)"),
    ];
    let after = "2026-01-01T00:00:00Z";
    for (written, expected) in deployed {
        let written = schedule(written, "UTC");
        assert_eq!(written.expression_for_aws(), expected);
        assert_eq!(next(&written, after), next(&schedule(expected, "UTC"), after), "{expected}");
    }
}

#[test]
fn what_aws_does_not_document_is_doubted_where_it_stands() {
    let doubt = |text: &str| ScheduleExpression::doubt(text).map(|doubt| text[doubt.part].to_owned());
    let doubted = [
        ("cron(0 0 1,14,L * ? *)", "1,14,L"),
        ("cron(0 0 1W,15w * ?)", "1W,15w"),
        ("cron(0 0 L-3W * ? *)", "L-3W"),
        ("cron(0 0 ? * 2L,6L *)", "2L,6L"),
    ];
    for (text, part) in doubted {
        assert!(ScheduleExpression::parse(text).is_ok(), "{text}");
        assert_eq!(doubt(text).as_deref(), Some(part), "{text}");
    }
    for text in [
        "cron(0 0 1,14 * ? *)",
        "cron(0 0 L-3 * ? *)",
        "cron(0 0 LW * ? *)",
        "cron(0 0 15W JUL,FEB ? *)",
        "cron(0 0 ? * WED,FRI *)",
        "cron(0 0 ? * 6L *)",
        "rate(1 hour)",
    ] {
        assert_eq!(doubt(text), None, "{text}");
    }
}

/// "If a cron expression falls on a non-existent date and time, your schedule invocation is skipped."
#[test]
fn a_time_that_clocks_skip_is_skipped() {
    check(
        "cron(30 2 * * ? *)",
        "America/Los_Angeles",
        "2025-03-07T12:00:00Z",
        expect![[r#"
        2025-03-08 02:30:00 -08:00, Sat
        2025-03-10 02:30:00 -07:00, Mon
        2025-03-11 02:30:00 -07:00, Tue
        2025-03-12 02:30:00 -07:00, Wed
        2025-03-13 02:30:00 -07:00, Thu
    "#]],
    );
    check(
        "cron(30 2 * * ? *)",
        "Europe/Berlin",
        "2025-03-28T12:00:00Z",
        expect![[r#"
        2025-03-29 02:30:00 +01:00, Sat
        2025-03-31 02:30:00 +02:00, Mon
        2025-04-01 02:30:00 +02:00, Tue
        2025-04-02 02:30:00 +02:00, Wed
        2025-04-03 02:30:00 +02:00, Thu
    "#]],
    );
    check(
        "cron(0/30 * * * ? *)",
        "Europe/Berlin",
        "2025-03-30T00:00:00Z",
        expect![[r#"
        2025-03-30 01:30:00 +01:00, Sun
        2025-03-30 03:00:00 +02:00, Sun
        2025-03-30 03:30:00 +02:00, Sun
        2025-03-30 04:00:00 +02:00, Sun
        2025-03-30 04:30:00 +02:00, Sun
    "#]],
    );
    // Half an hour is skipped on Lord Howe Island.
    check(
        "cron(15 2 * * ? *)",
        "Australia/Lord_Howe",
        "2025-10-03T12:00:00Z",
        expect![[r#"
        2025-10-04 02:15:00 +10:30, Sat
        2025-10-06 02:15:00 +11:00, Mon
        2025-10-07 02:15:00 +11:00, Tue
        2025-10-08 02:15:00 +11:00, Wed
        2025-10-09 02:15:00 +11:00, Thu
    "#]],
    );
}

/// "When time shifts backwards in the Fall, your schedule runs only once and does not repeat its invocation."
#[test]
fn a_time_that_clocks_repeat_fires_once() {
    check(
        "cron(30 1 * * ? *)",
        "America/Los_Angeles",
        "2025-11-01T12:00:00Z",
        expect![[r#"
        2025-11-02 01:30:00 -07:00, Sun
        2025-11-03 01:30:00 -08:00, Mon
        2025-11-04 01:30:00 -08:00, Tue
        2025-11-05 01:30:00 -08:00, Wed
        2025-11-06 01:30:00 -08:00, Thu
    "#]],
    );
    check(
        "cron(30 2 * * ? *)",
        "Europe/Berlin",
        "2025-10-25T12:00:00Z",
        expect![[r#"
        2025-10-26 02:30:00 +02:00, Sun
        2025-10-27 02:30:00 +01:00, Mon
        2025-10-28 02:30:00 +01:00, Tue
        2025-10-29 02:30:00 +01:00, Wed
        2025-10-30 02:30:00 +01:00, Thu
    "#]],
    );
    check(
        "cron(0/30 * * * ? *)",
        "Europe/Berlin",
        "2025-10-25T23:45:00Z",
        expect![[r#"
        2025-10-26 02:00:00 +02:00, Sun
        2025-10-26 02:30:00 +02:00, Sun
        2025-10-26 03:00:00 +01:00, Sun
        2025-10-26 03:30:00 +01:00, Sun
        2025-10-26 04:00:00 +01:00, Sun
    "#]],
    );
    // The starting time is within the repeated hour.
    check(
        "cron(30 2 * * ? *)",
        "Europe/Berlin",
        "2025-10-26T01:15:00Z",
        expect![[r#"
        2025-10-27 02:30:00 +01:00, Mon
        2025-10-28 02:30:00 +01:00, Tue
        2025-10-29 02:30:00 +01:00, Wed
        2025-10-30 02:30:00 +01:00, Thu
        2025-10-31 02:30:00 +01:00, Fri
    "#]],
    );
}

#[test]
fn a_rate_is_counted_from_its_start_and_a_day_is_24_hours() {
    check(
        "rate(5 minutes)",
        "UTC",
        "2026-01-01T00:02:00Z",
        expect![[r#"
        2026-01-01 00:07:00 +00:00, Thu
        2026-01-01 00:12:00 +00:00, Thu
        2026-01-01 00:17:00 +00:00, Thu
        2026-01-01 00:22:00 +00:00, Thu
        2026-01-01 00:27:00 +00:00, Thu
    "#]],
    );
    let mut daily = schedule("rate(1 day)", "Europe/Berlin");
    daily.start = Some(at("2025-10-24T10:00:00Z"));
    expect![[r#"
        2025-10-24 12:00:00 +02:00, Fri
        2025-10-25 12:00:00 +02:00, Sat
        2025-10-26 11:00:00 +01:00, Sun
        2025-10-27 11:00:00 +01:00, Mon
        2025-10-28 11:00:00 +01:00, Tue
    "#]]
    .assert_eq(&next(&daily, "2025-10-24T09:59:59Z"));
}

#[test]
fn a_one_time_schedule_fires_once_in_its_zone() {
    // Source: the Scheduler's user guide, 1pm UTC-8.
    check(
        "at(2022-11-20T13:00:00)",
        "America/Los_Angeles",
        "2022-01-01T00:00:00Z",
        expect![[r#"
        2022-11-20 13:00:00 -08:00, Sun
    "#]],
    );
    check("at(2022-11-20T13:00:00)", "America/Los_Angeles", "2022-11-20T21:00:00Z", expect![[""]]);
}

#[test]
fn start_and_end_are_themselves_times_to_fire() {
    let mut hourly = schedule("cron(0 * * * ? *)", "UTC");
    hourly.start = Some(at("2026-01-01T10:00:00Z"));
    hourly.end = Some(at("2026-01-01T12:00:00Z"));
    expect![[r#"
        2026-01-01 10:00:00 +00:00, Thu
        2026-01-01 11:00:00 +00:00, Thu
        2026-01-01 12:00:00 +00:00, Thu
    "#]]
    .assert_eq(&next(&hourly, "2026-01-01T00:00:00Z"));
}

#[test]
fn what_aws_refuses_is_refused_where_it_is_wrong() {
    refused(
        &[
            "every day",
            "cron(0 1 * * *)",
            "cron(0 1 * * * *)",
            "cron(0 1 ? * ? *)",
            "cron(7 20 * * NOT *)",
            "cron(INVALID)",
            "cron(0 1 * *)",
            "cron(0 1 * * ? * *)",
            "cron(0 0 L-31 * ? *)",
            "cron(0 0 L-0 * ? *)",
            "cron(0 0 L- * ? *)",
            "cron(0 0 L3 * ? *)",
            "cron(0 0 L-3-4 * ? *)",
            "cron(0 0 L-30 FEB ? *)",
            "cron(0 0 5L * ? *)",
            "cron(0 dummy ? * MON-FRI *)",
            "cron(71 8 1 * ? *)",
            "cron(0 0 32 * ? *)",
            "cron(0 0 ? * 0 *)",
            "cron(0 0 ? * 8 *)",
            "cron(0 0 ? * 3#6 *)",
            "cron(0 0 ? * 3#1,6#3 *)",
            "cron(0 0 1 13 ? *)",
            "cron(0 0 1 * ? 1969)",
            "cron(0 0 1 * ? 2030-2020)",
            "cron(0/0 0 1 * ? *)",
            "cron(1,,2 0 1 * ? *)",
            "cron(1-2-3 0 1 * ? *)",
            "cron(? 0 1 * ? *)",
            "cron(0 0 30 FEB ? *)",
            "cron()",
            "rate(10 seconds)",
            "rate(0 minutes)",
            "rate(-10 minutes)",
            "rate(10 MINUTES)",
            "rate( 10 minutes )",
            "rate(10)",
            "rate()",
            " rate(10 minutes)",
            "at(2021-12-31T23:59:59Z)",
            "at(2021-12-31)",
            "at(2021-02-30T00:00:00)",
            "at(é)",
        ],
        expect![[r#"
            every day: `every day` is not a valid schedule expression at `every day`
            cron(0 1 * * *): exactly one of day-of-month and day-of-week must be `?` at `*`
            cron(0 1 * * * *): exactly one of day-of-month and day-of-week must be `?` at `*`
            cron(0 1 ? * ? *): exactly one of day-of-month and day-of-week must be `?` at `?`
            cron(7 20 * * NOT *): exactly one of day-of-month and day-of-week must be `?` at `NOT`
            cron(INVALID): an AWS cron expression has five or six fields, found 1 at `INVALID`
            cron(0 1 * *): an AWS cron expression has five or six fields, found 4 at `0 1 * *`
            cron(0 1 * * ? * *): an AWS cron expression has five or six fields, found 7 at `0 1 * * ? * *`
            cron(0 0 L-31 * ? *): `L-31` is not a valid value of day-of-month at `L-31`
            cron(0 0 L-0 * ? *): `L-0` is not a valid value of day-of-month at `L-0`
            cron(0 0 L- * ? *): `L-` is not a valid value of day-of-month at `L-`
            cron(0 0 L3 * ? *): `L3` is not a valid value of day-of-month at `L3`
            cron(0 0 L-3-4 * ? *): `L-3-4` is not a valid value of day-of-month at `L-3-4`
            cron(0 0 L-30 FEB ? *): no date matches this expression at `0 0 L-30 FEB ? *`
            cron(0 0 5L * ? *): `5L` is not a valid value of day-of-month at `5L`
            cron(0 dummy ? * MON-FRI *): `dummy` is not a valid value of hours at `dummy`
            cron(71 8 1 * ? *): `71` is not a valid value of minutes at `71`
            cron(0 0 32 * ? *): `32` is not a valid value of day-of-month at `32`
            cron(0 0 ? * 0 *): `0` is not a valid value of day-of-week at `0`
            cron(0 0 ? * 8 *): `8` is not a valid value of day-of-week at `8`
            cron(0 0 ? * 3#6 *): `3#6` is not a valid weekday of a month at `3#6`
            cron(0 0 ? * 3#1,6#3 *): day-of-week cannot be a list with `#` at `3#1,6#3`
            cron(0 0 1 13 ? *): `13` is not a valid value of month at `13`
            cron(0 0 1 * ? 1969): `1969` is not a valid value of year at `1969`
            cron(0 0 1 * ? 2030-2020): the years `2030-2020` run backwards at `2030-2020`
            cron(0/0 0 1 * ? *): `0` is not a valid step at `0`
            cron(1,,2 0 1 * ? *): a value of minutes is empty at ``
            cron(1-2-3 0 1 * ? *): `1-2-3` is not a valid value of minutes at `1-2-3`
            cron(? 0 1 * ? *): minutes cannot be `?` at `?`
            cron(0 0 30 FEB ? *): no date matches this expression at `0 0 30 FEB ? *`
            cron(): an AWS cron expression has five or six fields, found 0 at ``
            rate(10 seconds): `seconds` is not a valid unit for a rate at `seconds`
            rate(0 minutes): `0` is not a valid number for a rate at `0`
            rate(-10 minutes): `-10` is not a valid number for a rate at `-10`
            rate(10 MINUTES): `MINUTES` is not a valid unit for a rate at `MINUTES`
            rate( 10 minutes ): a rate needs a number and a unit at ` 10 minutes `
            rate(10): a rate needs a number and a unit at `10`
            rate(): a rate needs a number and a unit at ``
             rate(10 minutes): ` rate(10 minutes)` is not a valid schedule expression at ` rate(10 minutes)`
            at(2021-12-31T23:59:59Z): `2021-12-31T23:59:59Z` is not a valid time for a one-time schedule at `2021-12-31T23:59:59Z`
            at(2021-12-31): `2021-12-31` is not a valid time for a one-time schedule at `2021-12-31`
            at(2021-02-30T00:00:00): `2021-02-30T00:00:00` is not a valid time for a one-time schedule at `2021-02-30T00:00:00`
            at(é): `é` is not a valid time for a one-time schedule at `é`
        "#]],
    );
}

#[test]
fn a_late_firing_starts_its_tasks_unless_the_schedule_says_otherwise() {
    let timeliness = |text: &str, catch_up: Option<CatchUp>, window: Option<u32>, now: &str| {
        let schedule = Schedule { catch_up, flexible_window_minutes: window, ..schedule(text, "UTC") };
        schedule.timeliness(at("2026-01-01T10:00:00Z"), at(now))
    };
    let (hourly, minutely, once) = ("cron(0 * * * ? *)", "rate(1 minute)", "at(2026-01-01T10:00:00)");
    let next = |time: &str| Timeliness::SupersededBy(at(time));

    assert_eq!(timeliness(hourly, None, None, "2026-01-05T00:00:00Z"), Timeliness::Due, "nothing is lost");

    let none = Some(CatchUp::None);
    assert_eq!(timeliness(minutely, none, None, "2026-01-01T10:10:00Z"), Timeliness::Due, "Lambda tried again");
    assert_eq!(timeliness(hourly, none, None, "2026-01-01T10:10:01Z"), Timeliness::Missed);
    assert_eq!(timeliness(hourly, none, Some(120), "2026-01-01T12:10:00Z"), Timeliness::Due, "within its window");
    assert_eq!(timeliness(once, none, None, "2026-01-02T00:00:00Z"), Timeliness::Missed);

    let last = Some(CatchUp::Last);
    assert_eq!(timeliness(hourly, last, None, "2026-01-01T10:59:59Z"), Timeliness::Due, "it is the last one");
    assert_eq!(timeliness(hourly, last, None, "2026-01-01T11:00:00Z"), next("2026-01-01T11:00:00Z"));
    assert_eq!(timeliness(minutely, last, None, "2026-01-01T10:10:00Z"), Timeliness::Due, "Lambda tried again");
    assert_eq!(timeliness(minutely, last, None, "2026-01-01T10:10:01Z"), next("2026-01-01T10:01:00Z"));
    assert_eq!(timeliness(hourly, last, Some(120), "2026-01-01T12:10:00Z"), Timeliness::Due, "within its window");
    assert_eq!(timeliness(once, last, None, "2027-01-01T00:00:00Z"), Timeliness::Due, "nothing follows it");
}

#[test]
fn the_last_firing_of_a_long_outage_is_found() {
    let schedule = schedule("cron(0 3 * * ? *)", "Asia/Seoul");
    let last = schedule.last_in(at("2020-01-01T00:00:00Z"), at("2026-06-15T12:00:00Z"), at("2020-01-01T00:00:00Z"));
    assert_eq!(last, Some(at("2026-06-14T18:00:00Z")));
    let none = schedule.last_in(at("2026-06-14T18:00:00Z"), at("2026-06-15T12:00:00Z"), at("2020-01-01T00:00:00Z"));
    assert_eq!(none, None, "what has fired is not fired again");
}

/// A cron expression of numbers, ranges, lists and steps.
fn cron() -> impl Strategy<Value = String> {
    fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (min..=max).prop_map(|number| number.to_string()),
            (min..=max, min..=max).prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other))),
            (min..=max, 1..=max).prop_map(|(from, step)| format!("{from}/{step}")),
            (min..=max, min..=max).prop_map(|(one, other)| format!("{one},{other}")),
        ]
    }
    let days = prop_oneof![
        field(1, 28).prop_map(|day| (day, "?".to_owned())),
        field(1, 7).prop_map(|day| ("?".to_owned(), day)),
        Just(("L".to_owned(), "?".to_owned())),
        (1..=27u32).prop_map(|offset| (format!("L-{offset}"), "?".to_owned())),
        (1..=28u32).prop_map(|day| (format!("{day}W"), "?".to_owned())),
    ];
    (field(0, 59), field(0, 23), days, field(1, 12)).prop_map(|(minutes, hours, (day, weekday), months)| {
        format!("cron({minutes} {hours} {day} {months} {weekday} *)")
    })
}

/// Returns whether a plain field, as [`cron`] writes it, contains a number.
fn holds(field: &str, number: i32, max: i32) -> bool {
    let number_of = |text: &str| text.parse::<i32>().expect("is a number");
    field.split(',').any(|part| match (part, part.split_once('/'), part.split_once('-')) {
        ("*", ..) => true,
        (_, Some((from, step)), _) => {
            (number_of(from)..=max).step_by(number_of(step) as usize).any(|held| held == number)
        }
        (_, _, Some((from, to))) => (number_of(from)..=number_of(to)).contains(&number),
        _ => number_of(part) == number,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Compares with a plain search that tests every minute.
    #[test]
    fn the_next_firing_is_the_first_minute_that_fits(text in cron(), start in 1_600_000_000i64..2_000_000_000, zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kathmandu")]) {
        let schedule = schedule(&text, zone);
        let after = Timestamp::from_second(start).expect("is a time");
        let next = schedule.next_after(after, after).expect("such an expression fires again");
        prop_assert!(next > after);
        prop_assert_eq!(schedule.last_in(after, next, after), Some(next));
        let fields: Vec<&str> = text.trim_start_matches("cron(").trim_end_matches(')').split(' ').collect();
        let plain = |time: Timestamp, zone: &TimeZone| {
            let shown = zone.to_datetime(time);
            let day_fits = match fields[2] {
                "?" => holds(fields[4], i32::from(shown.weekday().to_sunday_one_offset()), 7),
                "L" => shown.day() == shown.days_in_month(),
                day if day.starts_with("L-") => {
                    day["L-".len()..] == (shown.days_in_month() - shown.day()).to_string()
                }
                day if day.ends_with('W') => return None,
                day => holds(day, i32::from(shown.day()), 31),
            };
            Some(shown.second() == 0 && holds(fields[0], i32::from(shown.minute()), 59)
                && holds(fields[1], i32::from(shown.hour()), 23) && day_fits && holds(fields[3], i32::from(shown.month()), 12))
        };
        if plain(next, &schedule.timezone) == Some(false) {
            return Err(TestCaseError::fail(format!("{text} does not fire at {next}")));
        }
        // At most three days of minutes. In the second pass of a repeated hour the numbers fit, but the schedule does
        // not fire.
        let minutes = std::iter::successors(Some(next), |time| time.checked_sub(SignedDuration::from_mins(1)).ok()).skip(1);
        for time in minutes.take(3 * 24 * 60).take_while(|time| *time > after) {
            let is_second_pass = schedule.timezone.to_datetime(time - SignedDuration::from_hours(1)) == schedule.timezone.to_datetime(time);
            prop_assert!(is_second_pass || plain(time, &schedule.timezone) != Some(true), "{} fires at {} as well", text, time);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(cron|rate|at)?\\(?[ -~é]{0,30}\\)?") {
        let _ = ScheduleExpression::parse(&text);
    }
}
