//! `ecs-trigger run`: runs a route for an event.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use clap::builder::Resettable;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Change, Event, EventKind};
use trigger_core::history::LaunchState;
use trigger_core::launch::LaunchRecord;
use trigger_core::plan::Plan;
use trigger_core::replay::{firings, needs_anchor};
use trigger_core::routing::Route;
use trigger_core::text::Source;

use super::plan;
use crate::blocking::block_on;
use crate::completion;
use crate::config::route_of;
use crate::diagnostics;
use crate::exit::Failed;
use crate::operation::text::{colored, local};
use crate::operation::{Place, PlaceOptions};
use crate::output::{self, line};
use crate::sample::{Sample, schedule_of};

/// The pause between two looks of `--wait`.
const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// Run a route for an event, whether or not its source would take the event.
///
/// Shows the plan, and then the launches. With `storage`, a launch is only recorded here and the functions start its task
/// within seconds, so it is retried, limited and dead-lettered like any other.
///
/// A route with a schedule needs no event: it gets a firing for now, or for --at.
///
/// An event in a file is the event that it is: what ran for it before does not run again. So is a firing with --at, if the
/// schedule fires then. Every other firing, a message, --object, and an event that --set changes are new each time.
///
/// With --wait, exits with 1 unless all launches succeed.
#[derive(Debug, Args)]
#[command(
    mut_arg("event", |event| event.required_unless_present(Resettable::Reset)),
    after_help = "\
Examples:
  ecs-trigger run csv-upload --object s3://uploads/in/a.csv --wait
  ecs-trigger run csv-upload event.json --dry-run
  ecs-trigger run nightly --set input.kind=full
  ecs-trigger run nightly --at 2026-12-31T18:00:00Z
  ecs-trigger run jobs --message '{\"kind\":\"resize\",\"image\":\"a.png\"}'
  ecs-trigger run orders event.json --set detail.total=7 --local"
)]
pub(crate) struct Run {
    /// The route.
    #[arg(value_name = "ROUTE", add = completion::routes())]
    route: String,
    #[command(flatten)]
    sample: Sample,
    /// Use a message with this body. It comes from the route's queue, unless --queue names another one.
    #[arg(long, value_name = "BODY", conflicts_with_all = ["event", "schedule", "object"])]
    message: Option<String>,
    /// Set a value of the event's `detail`, the message's `body` or the firing's `input`; repeatable. A value that is not
    /// JSON is a text.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = Change::parse)]
    changes: Vec<Change>,
    /// Show the plan, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Wait until the launches have ended, and show how they change.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Print plan and launches as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

/// A launch that the event makes, or made before.
#[derive(Debug)]
struct Told {
    launch: LaunchKey,
    outcome: String,
    /// The state that is known of it.
    state: Option<LaunchState>,
}

impl Run {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let route = route_of(place.config(), &self.route)?;
            if self.wait && !place.has_records() {
                let missing = "the deployed config has no `storage`, so there is nothing to wait for; leave out --wait";
                return Err(Failed::Usage(missing.to_owned()));
            }
            let mut planned = Vec::new();
            for event in self.events(&place, route).await? {
                let plan = self.plan(&place, route, &event)?;
                if !self.json {
                    plan::print(&event, &plan)?;
                }
                planned.push((event, plan));
            }
            let mut told = Vec::new();
            for (event, plan) in planned.iter().filter(|_| !self.dry_run) {
                told.extend(self.launch(&place, route, event, plan).await?);
            }
            let waited = if self.wait { self.wait(&place, &mut told).await } else { Ok(()) };
            if self.json {
                let shown: Vec<Value> = planned.iter().map(|(event, plan)| as_json(event, plan, &told)).collect();
                match shown.as_slice() {
                    [only] => output::json(only)?,
                    _ => output::json(&json!({ "events": shown }))?,
                }
            }
            waited
        })
    }

    /// Returns the events that the arguments name.
    async fn events(&self, place: &Place, route: &Route) -> Result<Vec<Event>, Failed> {
        let now = Timestamp::now();
        let Sample { schedule, at, .. } = &self.sample;
        let of_route =
            route.schedule().filter(|_| self.message.is_none() && !self.sample.is_given()).map(|_| &route.name);
        if let Some(scheduled) = schedule.as_ref().or(of_route) {
            return Ok(vec![self.firing(place, scheduled, *at, now)?]);
        }
        #[cfg(feature = "aws")]
        if let (Place::Deployed(deployed), Some(object)) = (place, &self.sample.object) {
            let event = deployed.created_anew(object, &self.sample, now).await?;
            return Ok(vec![self.changed(event, now)?]);
        }
        let asked = match &self.message {
            Some(body) => {
                let queue = self.sample.queue(place.config())?.or(route.queue()).cloned();
                let queue = queue.ok_or_else(|| {
                    let name = &route.name;
                    Failed::Usage(format!("the route `{name}` has no queue; name the message's queue with --queue"))
                })?;
                self.sample.message_of(queue, Source::new("--message", body.as_str()))?
            }
            None => self.sample.events(place.config())?,
        };
        asked.check()?;
        if !self.json {
            asked.print_ignored()?;
        }
        let is_new = |event: &Event| match &event.kind {
            // A message that contains an event is known by that event.
            EventKind::Message(message) => message.event.is_none() && !asked.is_batch,
            EventKind::EventBridge(_) | EventKind::Firing(_) => false,
        };
        let events = asked.events.iter().map(|event| match is_new(event) {
            true => changed(event, &self.changes, now),
            false => self.changed(event.clone(), now),
        });
        events.collect()
    }

    /// Returns a firing: the schedule's own if it fires at this time, and otherwise a new one.
    fn firing(&self, place: &Place, route: &str, at: Option<Timestamp>, now: Timestamp) -> Result<Event, Failed> {
        let schedule = schedule_of(place.config(), route)?;
        let time = at.unwrap_or(Timestamp::from_second(now.as_second()).unwrap_or(now));
        let event = place.firing(route, time).into_event();
        let just_after = time.checked_add(SignedDuration::from_nanos(1)).unwrap_or(time);
        let fires_then = !needs_anchor(schedule) && firings(schedule, time, just_after, time, 1) == [time];
        let is_own = at.is_some() && fires_then;
        if is_own { self.changed(event, now) } else { changed(&event, &self.changes, now) }
    }

    fn changed(&self, event: Event, now: Timestamp) -> Result<Event, Failed> {
        if self.changes.is_empty() { Ok(event) } else { changed(&event, &self.changes, now) }
    }

    fn plan(&self, place: &Place, route: &Route, event: &Event) -> Result<Plan, Failed> {
        Plan::of_routes(place.config(), event, Ok(vec![route])).map_err(|errors| {
            for error in errors {
                diagnostics::error(&error.to_string());
            }
            Failed::Plan
        })
    }

    /// Runs the route for an event, and prints its launches.
    async fn launch(&self, place: &Place, route: &Route, event: &Event, plan: &Plan) -> Result<Vec<Told>, Failed> {
        let keys: Vec<LaunchKey> = plan.launches.iter().map(|launch| launch.key.clone()).collect();
        let known = if place.has_records() { place.records(&keys).await? } else { Vec::new() };
        let known: Vec<&LaunchRecord> = known.iter().flatten().collect();
        let told: Vec<Told> = if !keys.is_empty() && known.len() == keys.len() {
            let before = |record: &&LaunchRecord| Told {
                launch: record.key.clone(),
                outcome: "ran_before".to_owned(),
                state: Some(LaunchState::of(record)),
            };
            known.iter().map(before).collect()
        } else {
            let made = place.run(route, event).await?;
            if made.is_empty() && !keys.is_empty() && self.wait {
                return Err(Failed::Refused("there is nothing to wait for yet; start `ecs-trigger dev`".to_owned()));
            }
            let told = |(launch, outcome)| {
                let outcome = match outcome {
                    outcome if outcome == "deferred" => "recorded".to_owned(),
                    outcome if outcome == "duplicate" => "ran_before".to_owned(),
                    outcome => outcome,
                };
                Told { launch, outcome, state: None }
            };
            made.into_iter().map(told).collect()
        };
        if !self.json {
            line!("")?;
            told.iter().try_for_each(print)?;
        }
        Ok(told)
    }

    /// Waits until the launches have ended.
    async fn wait(&self, place: &Place, told: &mut [Told]) -> Result<(), Failed> {
        let keys: Vec<LaunchKey> = told.iter().map(|told| told.launch.clone()).collect();
        let mut states: BTreeMap<LaunchKey, LaunchState> = BTreeMap::new();
        loop {
            let records = place.records(&keys).await?;
            for record in records.iter().flatten() {
                let state = LaunchState::of(record);
                if states.insert(record.key.clone(), state) != Some(state) && !self.json {
                    line!("{}  {} {}", local(Timestamp::now()), colored(state, state.as_str()), record.key)?;
                }
            }
            for told in &mut *told {
                told.state = states.get(&told.launch).copied();
            }
            if records.iter().all(|record| record.as_ref().is_some_and(|record| record.ended.is_some())) {
                let succeeded = states.values().all(|state| *state == LaunchState::Succeeded);
                return if succeeded { Ok(()) } else { Err(Failed::Negative) };
            }
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {
                    diagnostics::note("the launches go on; see `ecs-trigger runs --open`");
                    return Err(Failed::Interrupted);
                }
                () = tokio::time::sleep(WAIT_PAUSE) => {}
            }
        }
    }
}

fn changed(event: &Event, changes: &[Change], now: Timestamp) -> Result<Event, Failed> {
    event.changed(changes, now).map_err(|error| Failed::Usage(error.to_string()))
}

fn print(told: &Told) -> Result<(), Failed> {
    let Told { launch, outcome, state } = told;
    if outcome != "ran_before" {
        return line!("{outcome}: {launch}");
    }
    let state = state.map(|state| format!(" ({})", colored(state, state.as_str()))).unwrap_or_default();
    line!("ran before{state}: {launch}")?;
    line!("  start it again with `ecs-trigger retry {launch}`")
}

fn as_json(event: &Event, plan: &Plan, told: &[Told]) -> Value {
    let mut shown = plan::as_json(event, plan);
    let launches = shown["launches"].as_array_mut().into_iter().flatten();
    for (launch, planned) in launches.zip(&plan.launches) {
        launch["launch"] = planned.key.to_string().into();
        if let Some(told) = told.iter().find(|told| told.launch == planned.key) {
            launch["outcome"] = told.outcome.as_str().into();
            launch["state"] = json!(told.state);
        }
    }
    shown
}
