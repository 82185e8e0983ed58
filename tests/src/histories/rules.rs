//! The rules that must hold whenever tasks start, and at the end of a history.

use std::collections::BTreeMap;

use trigger_core::ecs::{TaskRequest, UNOBSERVED};
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Fate, IN_DOUBT, Outcome, Place, SetChange, SetCounts, SetState, SlotsChange};
use trigger_engine::StoreModel;

use super::world::{Again, RETIRED, World, launch_of};
use crate::ecs::{Ecs, Task};

/// Returns how many tasks of a route may run at once, if the route has a limit.
fn max(route: &str) -> Option<usize> {
    match route {
        "single" | "latest" => Some(1),
        "keyed" => Some(2),
        "each" => Some(3),
        _ => None,
    }
}

/// Returns how often the task of a route's launch may be started.
fn starts(route: &str) -> usize {
    if route == "retried" { 3 } else { 1 }
}

/// Returns the concurrency group of a request's tasks: route and key.
fn group(request: &TaskRequest) -> Option<(String, String)> {
    let key = launch_of(request)?;
    let tag = request.tags.iter().find(|tag| tag.key == "group").map(|tag| tag.value.clone());
    Some((key.route, tag.unwrap_or_default()))
}

fn of_launch<'a>(ecs: &'a Ecs, key: &LaunchKey) -> impl Iterator<Item = &'a Task> {
    let prefix = format!("ecs-trigger/{key}/");
    ecs.tasks.values().filter(move |task| task.request.started_by.starts_with(&prefix))
}

/// Without `retry`, a task that never started is started again until it was tried this often.
const NEVER_STARTED_MAX: usize = 5;

/// Returns whether a task stopped before its containers ran.
fn never_started(task: &Task) -> bool {
    task.stopped.as_ref().is_some_and(|(_, stopped)| matches!(stopped.fate(None, &["app"]), Fate::FailedToStart))
}

/// Returns whether a task is running, succeeded, or was stopped on purpose.
fn counts(task: &Task) -> bool {
    task.stopped.as_ref().is_none_or(|(_, stopped)| matches!(stopped.fate(None, &["app"]), Fate::Succeeded))
}

/// Returns the rules that the last RunTask call broke. `again` says how often a launch was started again.
pub(super) fn whenever_tasks_start(
    ecs: &Ecs,
    request: &TaskRequest,
    again: impl Fn(&LaunchKey) -> Again,
) -> Vec<String> {
    let mut broken = Vec::new();
    let Some(key) = launch_of(request) else { return vec![format!("unknown starter `{}`", request.started_by)] };
    let Again { redriven, retried } = again(&key);
    let at_work = of_launch(ecs, &key).filter(|task| counts(task)).count();
    if at_work > 1 + retried {
        broken.push(format!("{key} was started twice: {at_work} tasks"));
    }
    let (never_started, ran): (Vec<&Task>, Vec<&Task>) = of_launch(ecs, &key).partition(|task| never_started(task));
    // A redriven letter starts the failed task again, once, however often the letter is delivered.
    let times = 1 + redriven + retried;
    let starts = |route: &str| starts(route) * times;
    let tries = starts(&key.route).max(NEVER_STARTED_MAX * times);
    if ran.len() > starts(&key.route) || ran.len() + never_started.len() > tries {
        let (ran, never_started) = (ran.len(), never_started.len());
        broken.push(format!("{key} was started twice: {ran} tasks ran, and {never_started} never started"));
    }
    if let (Some(max), Some(group)) = (max(&key.route), group(request)) {
        let is_of_group = |task: &&Task| task.stopped.is_none() && self::group(&task.request).as_ref() == Some(&group);
        let running = ecs.tasks.values().filter(is_of_group).count();
        if running > max {
            broken.push(format!("{running} tasks of {group:?} run at once, more than {max}"));
        }
    }
    broken
}

/// Returns the rules that are broken at the end of a history. `delivered` are all launches that the events should have
/// made, and `lost` are those whose events ended in the dead-letter queue of their source.
pub(super) fn at_the_end(world: &World, delivered: &[LaunchKey], lost: &[LaunchKey]) -> Vec<String> {
    let mut broken = Vec::new();
    for key in delivered {
        broken.extend(of_one_launch(world, key, lost.contains(key)));
    }
    if let Some(due) = world.store.first_due() {
        broken.push(format!("a launch is still due, at {due}"));
    }
    for (limit, line) in world.store.lines() {
        if line.used > 0 || !line.places.is_empty() {
            broken.push(format!("slots were leaked: {limit} {line:?}"));
        }
    }
    broken.extend(wrong_counts(world));
    broken
}

/// Returns the launch sets whose counts are wrong.
fn wrong_counts(world: &World) -> Vec<String> {
    let mut sets: BTreeMap<&str, SetCounts> = BTreeMap::new();
    for record in world.store.launches() {
        let Some(set) = &record.set else { continue };
        let (set, from, to) = (set.clone(), SetState::Waiting, SetState::of(record));
        sets.entry(record.set.as_deref().unwrap_or_default()).or_default().count(&SetChange { set, from, to });
    }
    let counted = |name: &str| world.store.read_set(name).map(|(_, counts)| counts);
    let wrong = sets.into_iter().filter(|(name, counts)| counted(name).is_some_and(|counted| counted != *counts));
    wrong.map(|(name, counts)| format!("the set {name} counts {:?}, not {counts:?}", counted(name))).collect()
}

/// Returns the rules that a launch broke by taking these slots. `arrived` tells in which order launches came into line: a
/// ticket may be drawn before and recorded after that of another.
pub(super) fn whenever_slots_are_taken(
    store: &StoreModel,
    taken: &SlotsChange,
    launch: &LaunchKey,
    arrived: &BTreeMap<LaunchKey, usize>,
) -> Vec<String> {
    let line = store.line(&taken.limit);
    let mut broken = Vec::new();
    // The limits of the simulation's routes, whatever the change says.
    let max = u32::try_from(max(&launch.route).unwrap_or(usize::MAX)).unwrap_or(u32::MAX);
    if line.used > max {
        broken.push(format!("{} slots of {} are taken, more than {max}", line.used, taken.limit));
    }
    let came_before = |place: &Place| {
        !place.is_held && Some(place.ticket) < taken.ticket && arrived.get(&place.launch) < arrived.get(launch)
    };
    if let Some(place) = line.places.iter().find(|place| taken.ticket.is_some() && came_before(place)) {
        broken.push(format!("{launch} overtook {}", place.launch));
    }
    broken
}

fn of_one_launch(world: &World, key: &LaunchKey, is_lost: bool) -> Vec<String> {
    let started: Vec<&Task> = of_launch(&world.ecs, key).collect();
    let letters = world.dead_letters.iter().filter(|letter| letter.launch.as_deref() == Some(&key.to_string())).count();
    let record = world.store.read(key).map(|stored| stored.record);
    let mut broken = Vec::new();
    let mut expect = |holds: bool, rule: &str| {
        if !holds {
            broken.push(format!("{key}: {rule} ({} started, {letters} dead letters)", started.len()));
        }
    };
    let outcome = match &record {
        None => {
            expect(started.is_empty(), "tasks were started without a record");
            expect(is_lost, "it has no record");
            return broken;
        }
        Some(record) => match &record.ended {
            None => return vec![format!("{key}: the record is left open: {}", record.to_json())],
            Some(conclusion) => &conclusion.outcome,
        },
    };
    let at_work = started.iter().filter(|task| counts(task)).count();
    let Again { redriven, retried } = world.started_again(key);
    let is_started_again = redriven + retried > 0;
    match outcome {
        Outcome::Succeeded => {
            expect((1..=1 + retried).contains(&at_work), "its task did not do its work");
            expect(letters == 0 || is_started_again, "it succeeded and was dead-lettered");
        }
        Outcome::Skipped(_) => {
            let is_untouched = started.is_empty() && letters == 0;
            expect(is_untouched || is_started_again, "skipped, but started or dead-lettered");
        }
        Outcome::Stopped | Outcome::Replaced | Outcome::Cancelled => {
            expect(letters == 0 || is_started_again, "it was stopped on purpose and dead-lettered");
            let is_cancelled = *outcome == Outcome::Cancelled;
            expect(!is_cancelled || world.cancelled.contains(key), "it was cancelled, but no person asked for that");
        }
        Outcome::DeadLettered(reason) => {
            expect(letters > 0, "it has no dead letter");
            expect(letters <= 1 + redriven + retried + world.mishaps as usize, "it was dead-lettered twice");
            let in_doubt = [IN_DOUBT, UNOBSERVED].iter().any(|words| reason.contains(words));
            expect(in_doubt || !reason.contains(RETIRED), "it was not rendered anew by the later config");
            expect(in_doubt || at_work <= retried, &format!("it did its work and was dead-lettered: {reason}"));
        }
    }
    let alive = started.iter().filter(|task| task.stopped.is_none()).count();
    expect(alive == 0, "its tasks still run");
    broken
}
