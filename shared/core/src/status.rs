//! The status of routes: what last happened, what happens now, and what comes next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::dead_letters::pattern_of;
use crate::history::{LaunchState, Summary, reason};
use crate::launch::LaunchRecord;
use crate::replay::needs_anchor;
use crate::routing::RoutingConfig;
use crate::schedule::Schedule;

/// What is known of the launches of a config.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The latest launches, of each route at least its last one.
    pub latest: Vec<LaunchRecord>,
    /// The launches that have not ended.
    pub open: Vec<LaunchRecord>,
    /// The launches that failed within the time that counts.
    pub failed: Vec<LaunchRecord>,
}

/// The status of a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RouteStatus {
    /// The route's name.
    pub route: String,
    /// Whether the config has the route. Launches of a route that was removed go on.
    pub is_in_config: bool,
    /// Its last launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Summary>,
    /// When its schedule fires next, if it has a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextFiring>,
    /// How many launches wait for slots, for the rate of calls or for a retry.
    pub waiting: usize,
    /// How many other launches have not ended.
    pub running: usize,
    /// How many launches failed.
    pub failed: usize,
}

/// Failed launches of a route whose reasons differ only in ids and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// The route's name.
    pub route: String,
    /// What the reasons have in common: a wildcard that matches them all.
    pub reason: String,
    /// How many launches failed for it.
    pub launches: usize,
}

/// When a schedule fires next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NextFiring {
    /// At this time.
    At(Timestamp),
    /// At the latest at this time: a rate counts from the deployment of the schedule, and no firing is known yet.
    Until(Timestamp),
    /// Not at all: the schedule is disabled.
    Disabled,
    /// Not any more.
    Never,
}

impl NextFiring {
    /// Returns when a schedule fires next. `last` is its last firing, if one is known.
    pub fn of(schedule: &Schedule, last: Option<Timestamp>, now: Timestamp) -> Self {
        if !schedule.enabled {
            return Self::Disabled;
        }
        let next = schedule.next_after(now, last.unwrap_or(now));
        match next {
            Some(next) if last.is_none() && needs_anchor(schedule) => Self::Until(next),
            Some(next) => Self::At(next),
            None => Self::Never,
        }
    }
}

/// Returns the status of each route of a config, in the order of the files, and of the routes of other launches.
pub fn of_routes(config: &RoutingConfig, seen: &Seen, now: Timestamp) -> Vec<RouteStatus> {
    let mut last: BTreeMap<&str, &LaunchRecord> = BTreeMap::new();
    for record in &seen.latest {
        let known = last.entry(&record.key.route).or_insert(record);
        if known.created < record.created {
            *known = record;
        }
    }
    let in_config: Vec<&str> = config.routes.iter().map(|route| route.name.as_str()).collect();
    let launches = seen.open.iter().chain(&seen.failed).map(|record| record.key.route.as_str());
    let others: BTreeSet<&str> = launches.filter(|route| !in_config.contains(route)).collect();
    let is_waiting =
        |record: &LaunchRecord| matches!(LaunchState::of(record), LaunchState::Queued | LaunchState::Starting);
    let status = |name: &str| {
        let last = last.get(name).copied();
        let of_route = |launches: &[LaunchRecord], counts: &dyn Fn(&LaunchRecord) -> bool| {
            launches.iter().filter(|record| record.key.route == name && counts(record)).count()
        };
        let schedule = config.route(name).and_then(|route| route.schedule());
        RouteStatus {
            route: name.to_owned(),
            is_in_config: in_config.contains(&name),
            last: last.map(Summary::of),
            next: schedule.map(|schedule| NextFiring::of(schedule, last.and_then(fired), now)),
            waiting: of_route(&seen.open, &is_waiting),
            running: of_route(&seen.open, &|record| !is_waiting(record)),
            failed: of_route(&seen.failed, &|_| true),
        }
    };
    in_config.iter().copied().chain(others).map(status).collect()
}

/// Groups failed launches by route and reason, the largest group first.
pub fn failures(failed: &[LaunchRecord]) -> Vec<Failures> {
    let mut groups: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for record in failed {
        let reason = pattern_of(&reason(record).unwrap_or_default());
        *groups.entry((&record.key.route, reason)).or_default() += 1;
    }
    let group =
        |((route, reason), launches): ((&str, String), usize)| Failures { route: route.to_owned(), reason, launches };
    let mut groups: Vec<Failures> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| Reverse(group.launches));
    groups
}

/// Returns the time of the firing that made a launch.
fn fired(record: &LaunchRecord) -> Option<Timestamp> {
    let parts: Vec<&str> = record.identity.parts().collect();
    let ["schedule", _, time] = parts.as_slice() else { return None };
    time.parse().ok()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::{Failures, NextFiring, RouteStatus, Seen, failures, of_routes};
    use crate::launch::LaunchRecord;
    use crate::routing::RoutingConfig;
    use crate::text::Source;

    const CONFIG: &str = "
version: 1
tasks: { t: { task_definition: t } }
routes:
  - { name: uploads, on: { s3: { bucket: b } }, run: t }
  - { name: hourly, on: { schedule: rate(1 hour) }, run: t }
  - { name: daily, on: { schedule: cron(0 3 * * ? *) }, run: t }
  - { name: paused, on: { schedule: rate(1 hour), state: disabled }, run: t }
  - { name: once, on: { schedule: at(2025-01-01T00:00:00) }, run: t }
";

    fn now() -> Timestamp {
        "2026-01-31T12:10:00Z".parse().expect("is a time")
    }

    /// Returns a launch that was recorded so many minutes ago, with these parts of its record.
    fn launch(route: &str, number: u32, minutes: i64, parts: &serde_json::Value) -> LaunchRecord {
        let created = now() - SignedDuration::from_mins(minutes);
        let mut record = json!({
            "version": 2, "key": { "route": route, "date": "2026-01-31", "id": format!("{number:032}") }, "task": "t",
            "event_id": "e", "identity": ["e"], "event": { "text": "{}" },
            "request": { "taskDefinition": "t", "startedBy": "s", "clientToken": "c" }, "created": created,
            "due": created,
        });
        for (name, part) in parts.as_object().into_iter().flatten() {
            record[name] = part.clone();
        }
        LaunchRecord::from_json(record).expect("is a record")
    }

    fn line(status: &RouteStatus) -> String {
        let last = status.last.as_ref().map_or("-", |last| last.state.as_str());
        let next = match status.next {
            None => "-".to_owned(),
            Some(NextFiring::At(at)) => format!("at {at}"),
            Some(NextFiring::Until(at)) => format!("until {at}"),
            Some(NextFiring::Disabled) => "disabled".to_owned(),
            Some(NextFiring::Never) => "never".to_owned(),
        };
        let RouteStatus { route, is_in_config, waiting, running, failed, .. } = status;
        let removed = if *is_in_config { "" } else { " (removed)" };
        format!("{route}{removed}: {last}, next {next}, {waiting} {running} {failed}\n")
    }

    fn told(seen: &Seen) -> String {
        let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("is valid");
        of_routes(&config, seen, now()).iter().map(line).collect()
    }

    #[test]
    fn without_a_launch_a_schedule_still_has_its_next_firing() {
        expect![[r#"
            uploads: -, next -, 0 0 0
            hourly: -, next until 2026-01-31T13:10:00Z, 0 0 0
            daily: -, next at 2026-02-01T03:00:00Z, 0 0 0
            paused: -, next disabled, 0 0 0
            once: -, next never, 0 0 0
        "#]]
        .assert_eq(&told(&Seen::default()));
    }

    #[test]
    fn launches_count_for_their_routes_by_state_and_a_rate_from_its_last_firing() {
        let at = now();
        let failed = json!({ "ended": { "at": at, "outcome": { "dead_lettered": "no" } } });
        let running = json!({ "tasks": [{ "arn": "a", "attempt": 0, "since": at }] });
        let queued = json!({ "slot": "waiting" });
        let fired = json!({
            "identity": ["schedule", "arn:aws:scheduler:r:1:schedule/g/hourly", "2026-01-31T11:45:00Z"],
            "ended": { "at": at, "outcome": "succeeded" },
        });
        let seen = Seen {
            latest: vec![
                launch("uploads", 1, 5, &json!({})),
                launch("uploads", 2, 3, &failed),
                launch("uploads", 3, 9, &running),
                launch("hourly", 4, 25, &fired),
            ],
            open: vec![
                launch("uploads", 1, 5, &json!({})),
                launch("uploads", 5, 5, &queued),
                launch("uploads", 3, 9, &running),
                launch("old", 6, 9, &running),
            ],
            failed: vec![launch("uploads", 2, 3, &failed), launch("older", 7, 3, &failed)],
        };
        expect![[r#"
            uploads: dead_lettered, next -, 2 1 1
            hourly: succeeded, next at 2026-01-31T12:45:00Z, 0 0 0
            daily: -, next at 2026-02-01T03:00:00Z, 0 0 0
            paused: -, next disabled, 0 0 0
            once: -, next never, 0 0 0
            old (removed): -, next -, 0 1 0
            older (removed): -, next -, 0 0 1
        "#]]
        .assert_eq(&told(&seen));
    }

    #[test]
    fn failures_are_grouped_by_route_and_by_what_their_reasons_have_in_common() {
        let failed = |route: &str, number: u32, reason: &str| {
            launch(route, number, 1, &json!({ "ended": { "at": now(), "outcome": { "dead_lettered": reason } } }))
        };
        let launches = [
            failed("b", 1, "no such image"),
            failed("a", 2, "the task 0123456789abcdef0123456789abcdef was lost"),
            failed("a", 3, "no such image"),
            failed("a", 4, "the task 9123456789abcdef0123456789abcdef was lost"),
        ];
        let groups = failures(&launches).into_iter();
        let lines = groups.map(|Failures { route, reason, launches }| format!("{launches} {route}: {reason}\n"));
        expect![[r#"
            2 a: the task * was lost
            1 a: no such image
            1 b: no such image
        "#]]
        .assert_eq(&lines.collect::<String>());
    }
}
