//! `ecs-trigger replay`: gives a route the events that it missed.

use std::collections::BTreeSet;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Event, EventKind};
use trigger_core::history::{HistoryQuery, Launches, ObjectName};
use trigger_core::launch::EventCopy;
use trigger_core::plan::Plan;
use trigger_core::replay::{Rate, StoredObject, firings, needs_anchor};
use trigger_core::routing::Route;
use trigger_engine::{LaunchReport, Outcome};

use crate::blocking::block_on;
use crate::completion;
use crate::config::route_of;
use crate::confirm::confirmed;
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::letters::stopped;
use crate::operation::objects::{Listing, delivered, event, prefix};
use crate::operation::text::{duration, moment};
use crate::operation::{Deployed, Meter, Pace, PlaceOptions};
use crate::output::{self, line, message, printable};
use crate::sample::schedule_of;

/// At most this many objects or firings are replayed at once.
const EVENTS_MAX: usize = 100_000;
/// The event of an object that was written less than this long ago may still be on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(5);
/// So many calls are made at once.
const AT_ONCE: usize = 16;
/// So many launches are looked for by one call.
const READ_AT_ONCE: usize = 100;
/// So many events that cannot be planned are named.
const NAMED_MAX: usize = 5;
/// So many of the latest launches of a route are asked for a firing of its schedule.
const ASKED_FOR_ANCHOR: usize = 100;

/// Run a route for objects or firings that it missed.
///
/// For each object that the route takes, records a launch by the event that S3 would have sent, at the rate of --rate. The
/// functions start the tasks. Objects that were written in the last five minutes are left to their own events, unless
/// --until says otherwise.
///
/// What ran already does not run again. An object ran if there is a launch of the route, however it ended, by an event with
/// the ETag that the object has now, and which is not older than the object. (Only S3 knows the sequencer of its own event,
/// so the two events have different identities: a real event that comes after its replay runs once more.) So the command can
/// be stopped by Ctrl-C and be repeated. With --again, what ran runs once more; then --start-after goes on where it stopped.
///
/// The event has no version id, and its reason is PutObject or, by its ETag, CompleteMultipartUpload; see --reason.
///
/// With --schedule, runs each firing from --from until --to that did not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger replay s3://uploads/in/ --route csv-upload --dry-run
  ecs-trigger replay s3://uploads/in/ --route csv-upload --since 2d --rate 5/s
  ecs-trigger replay s3://uploads --route csv-upload --again --yes \\
    --start-after in/4711.csv
  ecs-trigger replay --schedule nightly --from 2026-01-01T00:00:00Z \\
    --to 2026-01-08T00:00:00Z")]
pub(crate) struct Replay {
    /// The bucket, and what the keys begin with.
    #[arg(value_name = "S3-URI", value_parser = prefix, required_unless_present = "schedule", requires = "route")]
    prefix: Option<ObjectName>,
    /// The route that runs for the objects.
    #[arg(long, value_name = "ROUTE", requires = "prefix", add = completion::routes())]
    route: Option<String>,
    /// Replay the firings of this route's schedule.
    #[arg(long, value_name = "ROUTE", conflicts_with = "prefix", requires = "from", add = completion::schedules())]
    schedule: Option<String>,
    /// The time of the first firing, such as 2026-01-31T08:00:00Z, or so long ago, such as 12h.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "schedule")]
    from: Option<Timestamp>,
    /// Only firings before this time. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "schedule")]
    to: Option<Timestamp>,
    /// Only objects that were written since this time, such as 2026-01-31T08:00:00Z, or within the last, such as 12h.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "prefix")]
    since: Option<Timestamp>,
    /// Only objects that were written before this time. Default: five minutes ago.
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "prefix")]
    until: Option<Timestamp>,
    /// Only objects whose keys come after this one.
    #[arg(long, value_name = "KEY", requires = "prefix")]
    start_after: Option<String>,
    /// How the objects were created: PutObject, CopyObject, CompleteMultipartUpload or "POST Object".
    #[arg(long, value_name = "REASON", requires = "prefix")]
    reason: Option<String>,
    /// Run for what ran already, too.
    #[arg(long)]
    again: bool,
    /// How many events to record: so many a second (20/s), a minute (100/m) or an hour (500/h).
    #[arg(long, value_name = "RATE", value_parser = Rate::parse, default_value = "20/s")]
    rate: Rate,
    /// Show what would run, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

/// An event to run.
#[derive(Debug)]
struct Missed {
    /// The key of the object, or the time of the firing.
    name: String,
    event: Event,
}

/// What was found, and what became of it.
#[derive(Debug, Default)]
struct Found {
    /// What was listed: `object` or `firing`.
    noun: &'static str,
    listed: usize,
    not_taken: usize,
    ran: usize,
    /// The names of those that cannot be planned, with the reasons.
    unplanned: Vec<(String, String)>,
    missed: Vec<Missed>,
    /// The key of the last object, if there are more.
    more_after: Option<String>,
}

/// How far the replay came.
#[derive(Debug, Default)]
struct Progress {
    started: usize,
    /// Another process had recorded them meanwhile.
    ran: usize,
    /// The name of the last event, before which all are done.
    last: Option<String>,
}

impl Replay {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            if self.place.local {
                let why = "replay works on a deployed stack; `ecs-trigger dev` itself finds the files that it missed";
                return Err(Failed::Usage(why.to_owned()));
            }
            let deployed = self.place.deployed().await?;
            deployed.store()?;
            let named = self.schedule.as_ref().or(self.route.as_ref());
            let route = route_of(&deployed.config, named.map_or("", String::as_str))?;
            let now = Timestamp::now();
            let found = match &self.prefix {
                Some(prefix) => self.objects(&deployed, route, prefix, now).await?,
                None => self.firings(&deployed, route, now).await?,
            };
            if !self.json {
                self.show(&found, route)?;
            }
            for (name, reason) in found.unplanned.iter().take(NAMED_MAX) {
                diagnostics::error(&format!("{name}: {reason}"));
            }
            let mut progress = Progress::default();
            let count = found.missed.len();
            if count > 0 && !self.dry_run {
                if !self.yes && !confirmed(&format!("run `{}` for {}?", route.name, counted(count, found.noun)))? {
                    return Err(Failed::Refused("not confirmed; nothing runs".to_owned()));
                }
                let ended = self.start(&deployed, route, &found, &mut progress).await;
                self.tell(&found, &progress)?;
                ended?;
            } else if self.json {
                self.tell(&found, &progress)?;
            }
            if found.unplanned.is_empty() { Ok(()) } else { Err(Failed::Plan) }
        })
    }

    /// Finds the objects that the route missed.
    async fn objects(
        &self,
        deployed: &Deployed,
        route: &Route,
        prefix: &ObjectName,
        now: Timestamp,
    ) -> Result<Found, Failed> {
        if route.schedule().is_some() {
            let name = &route.name;
            return Err(Failed::Usage(format!("the route `{name}` has a schedule; replay it with --schedule {name}")));
        }
        let listing = Listing {
            of: prefix,
            after: self.start_after.as_deref(),
            since: self.since,
            until: self.until.unwrap_or_else(|| now.checked_sub(ON_ITS_WAY).unwrap_or(now)),
            limit: EVENTS_MAX,
        };
        let objects = deployed.list(&listing).await?;
        let mut found = Found { noun: "object", listed: objects.len(), ..Found::default() };
        if objects.len() == EVENTS_MAX {
            found.more_after = objects.last().map(|object| object.name.key.clone());
        }
        let circumstances = deployed.circumstances(self.reason.as_deref(), self.again.then_some(now));
        let mut taken: Vec<(StoredObject, Missed)> = Vec::new();
        for object in objects {
            let event = delivered(event(&object, &circumstances)?, route);
            let is_taken = |event: &Event| {
                let routes = deployed.config.matches(event);
                routes.is_ok_and(|routes| routes.iter().any(|taking| taking.name == route.name))
            };
            match event.filter(is_taken) {
                Some(event) => taken.push((object.clone(), Missed { name: object.name.key, event })),
                None => found.not_taken += 1,
            }
        }
        if self.again {
            found.missed = taken.into_iter().map(|(_, missed)| missed).collect();
        } else {
            let mut meter = Meter::new(taken.len(), "looked at");
            let look = |(object, missed): (StoredObject, Missed)| async move {
                let ran = deployed.ran(&route.name, &object).await?;
                Ok::<_, Failed>((ran, missed))
            };
            let mut looked = stream::iter(taken).map(look).buffered(AT_ONCE);
            while let Some((ran, missed)) = looked.try_next().await? {
                meter.add_one();
                if ran { found.ran += 1 } else { found.missed.push(missed) }
            }
        }
        found.plan(deployed, route);
        Ok(found)
    }

    /// Finds the firings that the route missed. A firing's launches have the same names whoever gives the firing.
    async fn firings(&self, deployed: &Deployed, route: &Route, now: Timestamp) -> Result<Found, Failed> {
        let schedule = schedule_of(&deployed.config, &route.name)?;
        let (from, until) = (self.from.unwrap_or(now), self.to.unwrap_or(now));
        let known = match needs_anchor(schedule) {
            true => known_firing(deployed, route).await?.unwrap_or_else(|| {
                diagnostics::warning("no firing of this rate is recorded, so its firings count from --from");
                from
            }),
            false => from,
        };
        let times = firings(schedule, from, until, known, EVENTS_MAX);
        if times.len() == EVENTS_MAX {
            return Err(Failed::Usage(format!("there are {EVENTS_MAX} firings or more; give a later --from or --to")));
        }
        let mut found = Found { noun: "firing", listed: times.len(), ..Found::default() };
        let firing = |time: Timestamp| -> Result<Missed, Failed> {
            let event = deployed.firing(&route.name, time).into_event();
            let event = if self.again { event.changed(&[], now) } else { Ok(event) };
            let event = event.map_err(|error| Failed::Usage(error.to_string()))?;
            Ok(Missed { name: time.to_string(), event })
        };
        found.missed = times.into_iter().map(firing).collect::<Result<_, _>>()?;
        let keys = found.plan(deployed, route);
        let mut known = BTreeSet::new();
        for part in keys.chunks(READ_AT_ONCE) {
            known.extend(deployed.records(part).await?.into_iter().flatten().map(|record| record.event_id));
        }
        let before = found.missed.len();
        found.missed.retain(|missed| self.again || !known.contains(&missed.event.id()));
        found.ran = before - found.missed.len();
        Ok(found)
    }

    fn show(&self, found: &Found, route: &Route) -> Result<(), Failed> {
        let Found { noun, listed, not_taken, ran, unplanned, missed, more_after } = found;
        line!("{}", counted(*listed, noun))?;
        let again = if self.again { "" } else { "; --again runs them once more" };
        for (count, what) in [
            (*not_taken, format!("that the route {} does not take", route.name)),
            (*ran, format!("that ran before{again}")),
            (unplanned.len(), "whose tasks cannot be requested".to_owned()),
        ] {
            if count > 0 {
                line!("{count:7} {what}")?;
            }
        }
        let takes = self.rate.after(missed.len());
        let takes = SignedDuration::try_from(takes).unwrap_or(SignedDuration::MAX);
        line!("{:7} to run, in {}", missed.len(), duration(takes))?;
        match more_after {
            Some(key) => line!("{}", printable(&format!("there are more; replay them with --start-after '{key}'"))),
            None => Ok(()),
        }
    }

    /// Starts the events at the rate. Stops at Ctrl-C, and when one cannot be recorded.
    async fn start(
        &self,
        deployed: &Deployed,
        route: &Route,
        found: &Found,
        progress: &mut Progress,
    ) -> Result<(), Failed> {
        let mut meter = Meter::new(found.missed.len(), "recorded");
        let pace = &Pace::new(self.rate);
        let paced = stream::iter(&found.missed).then(|missed| async move {
            pace.turn().await;
            missed
        });
        let run = |missed: &Missed| {
            let (name, event) = (missed.name.clone(), missed.event.clone());
            async move { (name, deployed.run(route, event).await) }
        };
        let running = paced.take_until(stopped()).map(run).buffered(AT_ONCE);
        let mut running = std::pin::pin!(running);
        while let Some((name, ran)) = running.next().await {
            match ran {
                Ok(report) if is_repeated(&report) => progress.ran += 1,
                Ok(_) => progress.started += 1,
                Err(error) => return Err(Failed::Aws(format!("{name}: {error}"))),
            }
            progress.last = Some(name);
            meter.add_one();
        }
        let is_done = progress.started + progress.ran == found.missed.len();
        if is_done { Ok(()) } else { Err(Failed::Interrupted) }
    }

    /// Tells how far the replay came, and how to go on.
    fn tell(&self, found: &Found, progress: &Progress) -> Result<(), Failed> {
        let Progress { started, ran, last } = progress;
        let left = found.missed.len() - started - ran;
        let last = last.as_ref().filter(|_| left > 0 && self.prefix.is_some());
        if self.json {
            return output::json(&json!({
                "listed": found.listed,
                "not_taken": found.not_taken,
                "ran_before": found.ran + ran,
                "not_planned": found.unplanned.len(),
                "started": started,
                "left": left,
                "start_after": last.or(found.more_after.as_ref()),
            }));
        }
        let again = if *ran > 0 { format!("; {ran} ran meanwhile") } else { String::new() };
        line!("{} recorded{again}", counted(*started, found.noun))?;
        let repeat = if self.again { "" } else { ": run the command again, which skips what ran" };
        if left > 0 {
            message!("{left} left{repeat}");
        }
        if let Some(key) = last {
            message!("{}", printable(&format!("to go on from here, add --start-after '{key}'")));
        }
        Ok(())
    }
}

impl Found {
    /// Sorts out the events whose tasks cannot be requested. Returns the names of the launches of the others.
    fn plan(&mut self, deployed: &Deployed, route: &Route) -> Vec<LaunchKey> {
        let mut keys = Vec::new();
        for missed in std::mem::take(&mut self.missed) {
            match Plan::of_routes(&deployed.config, &missed.event, Ok(vec![route])) {
                Ok(plan) => {
                    keys.extend(plan.launches.into_iter().map(|launch| launch.key));
                    self.missed.push(missed);
                }
                Err(errors) => {
                    let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    self.unplanned.push((missed.name, reasons.join("; ")));
                }
            }
        }
        keys
    }
}

/// Returns whether all launches of an event were recorded before.
fn is_repeated(report: &LaunchReport) -> bool {
    !report.launches.is_empty()
        && report.launches.iter().all(|launch| matches!(launch.outcome, Outcome::Duplicate { .. }))
}

/// Returns a firing that the deployed schedule of a route had, if one is recorded.
async fn known_firing(deployed: &Deployed, route: &Route) -> Result<Option<Timestamp>, Failed> {
    let mut query = HistoryQuery::new(Launches::All);
    query.route = Some(route.name.clone());
    query.page = ASKED_FOR_ANCHOR;
    let launches = deployed.history(&query, ASKED_FOR_ANCHOR).await?;
    let own = deployed.firing(&route.name, Timestamp::UNIX_EPOCH).schedule_arn;
    let mut times = launches.iter().filter_map(|record| {
        let EventCopy::Text(text) = &record.event else { return None };
        match Event::decode_copy(text).ok()?.kind {
            EventKind::Firing(firing) if firing.schedule_arn == own => Some(firing.scheduled_time),
            _ => None,
        }
    });
    Ok(times.next())
}
