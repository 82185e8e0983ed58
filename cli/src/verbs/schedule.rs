//! `ecs-trigger schedule`: shows when schedules fire.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use trigger_core::schedule::Schedule as RouteSchedule;

use crate::completion;
use crate::config::{Environment, FILE_NAME, load};
use crate::exit::Failed;
use crate::output::{self, line};
use crate::sample::{schedule_of, time};

/// Show when schedules fire.
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Next(Next),
}

impl Schedule {
    pub(crate) fn run(self) -> Result<(), Failed> {
        match self.verb {
            Verb::Next(next) => next.run(),
        }
    }
}

/// Print the next firings in the route's time zone and in UTC.
///
/// A rate counts from its `start`. Without `start`, it counts from the deployment on AWS, and from --after here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger schedule next
  ecs-trigger schedule next nightly --count 10
  ecs-trigger schedule next nightly --after 2026-03-28T00:00:00Z --json")]
pub(crate) struct Next {
    /// The route whose firings to print. Default: all scheduled routes.
    #[arg(add = completion::schedules())]
    route: Option<String>,
    /// Number of firings to print for each route.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Print the firings after this time. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    after: Option<Timestamp>,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Print the firings as JSON.
    #[arg(long)]
    json: bool,
}

impl Next {
    fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let schedules: Vec<(&str, &RouteSchedule)> = match &self.route {
            Some(route) => vec![(route, schedule_of(&config, route)?)],
            None => config.routes.iter().filter_map(|route| Some((route.name.as_str(), route.schedule()?))).collect(),
        };
        let after = self.after.unwrap_or_else(Timestamp::now);
        let firings = |schedule: &RouteSchedule| -> Vec<Timestamp> {
            let first = schedule.next_after(after, after).filter(|_| schedule.enabled);
            let all = std::iter::successors(first, |time| schedule.next_after(*time, after));
            all.take(self.count.into()).collect()
        };
        if self.json {
            let shown = schedules.iter().map(|(route, schedule)| as_json(route, schedule, &firings(schedule)));
            return output::json(&json!({ "schedules": shown.collect::<Vec<_>>() }));
        }
        if schedules.is_empty() {
            line!("the config has no scheduled routes")?;
        }
        for (route, schedule) in schedules {
            print(route, schedule, &firings(schedule))?;
        }
        Ok(())
    }
}

fn print(route: &str, schedule: &RouteSchedule, firings: &[Timestamp]) -> Result<(), Failed> {
    let zone = zone_name(&schedule.timezone);
    line!("{route}: {} in {zone}", schedule.text)?;
    if firings.is_empty() {
        let why = if schedule.enabled { "it never fires again" } else { "it is disabled" };
        line!("  {why}")?;
    }
    for time in firings {
        let local = time.to_zoned(schedule.timezone.clone()).strftime("%a %F %T %:z").to_string();
        line!("  {local}   {}", time.strftime("%F %T UTC"))?;
    }
    Ok(())
}

fn as_json(route: &str, schedule: &RouteSchedule, firings: &[Timestamp]) -> Value {
    let shown = firings.iter().map(|time| {
        let local = time.to_zoned(schedule.timezone.clone()).strftime("%FT%T%:z").to_string();
        json!({ "local": local, "utc": time.to_string() })
    });
    json!({
        "route": route,
        "schedule": schedule.text,
        "timezone": zone_name(&schedule.timezone),
        "enabled": schedule.enabled,
        "next": shown.collect::<Vec<_>>(),
    })
}

fn zone_name(timezone: &TimeZone) -> String {
    timezone.iana_name().unwrap_or("UTC").to_owned()
}
