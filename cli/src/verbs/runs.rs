//! `ecs-trigger runs`: lists launches.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use trigger_core::history::{HistoryQuery, LaunchState, Launches, ObjectName, Summary};
use trigger_core::launch::LaunchRecord;
use trigger_core::pattern::operator::Wildcard;

use crate::blocking::block_on;
use crate::completion;
use crate::config::route_of;
use crate::exit::Failed;
use crate::operation::text::{ID_DIGITS, colored, duration, moment, relative, table, width, wildcard};
use crate::operation::{Place, PlaceOptions};
use crate::output::{self, line, printable};
use crate::sample;

/// The pause between two looks of `--watch`.
const WATCH_PAUSE: Duration = Duration::from_secs(2);

/// List what ran: the latest launches first, with state, route, time and reason.
///
/// A launch is one task of one event. `ecs-trigger show ID` tells its whole story.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger runs --failed --since 12h
  ecs-trigger runs --route csv-upload --watch
  ecs-trigger runs --object s3://uploads/in/a.csv
  ecs-trigger runs --failed --reason '*exit code 137*' --json \\
    | jq -r '.[].launch'
  ecs-trigger runs --local")]
pub(crate) struct Runs {
    /// Only launches of this route.
    #[arg(long, value_name = "ROUTE", add = completion::routes())]
    route: Option<String>,
    /// Only launches whose event is in the dead-letter queue, the latest failure first.
    #[arg(long, conflicts_with_all = ["open", "object"])]
    failed: bool,
    /// Only launches that have not ended, the one that is due next first.
    #[arg(long, conflicts_with = "object")]
    open: bool,
    /// Only launches by events about this object, such as s3://uploads/in/a.csv.
    #[arg(long, value_name = "S3-URI", value_parser = sample::object)]
    object: Option<ObjectName>,
    /// Only launches in this state; repeatable.
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<LaunchState>,
    /// Only launches of this task.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only launches by the event with this id.
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Only launches whose reason matches, with `*` for any text.
    #[arg(long, value_name = "GLOB", value_parser = wildcard)]
    reason: Option<Wildcard>,
    /// Only the launch of the ECS task with this ARN or id.
    #[arg(long, value_name = "ARN")]
    ecs_task: Option<String>,
    /// Only launches since this time, such as 2026-01-31T08:00:00Z, or within the last, such as 12h.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only launches before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// List at most this many launches.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// Show the list again and again, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print the launches as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Runs {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            self.knows_route(&place)?;
            loop {
                let launches = place.history(&self.query(), self.limit).await?;
                if self.watch {
                    // Clears the terminal.
                    output::text("\u{1b}[2J\u{1b}[H")?;
                }
                self.print(&launches)?;
                if !self.watch {
                    return Ok(());
                }
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => return Ok(()),
                    () = tokio::time::sleep(WATCH_PAUSE) => {}
                }
            }
        })
    }

    fn knows_route(&self, place: &Place) -> Result<(), Failed> {
        match &self.route {
            Some(name) => route_of(place.config(), name).map(drop),
            None => Ok(()),
        }
    }

    fn query(&self) -> HistoryQuery {
        let list = match &self.object {
            Some(object) => Launches::Of(object.clone()),
            None if self.failed => Launches::Failed,
            None if self.open => Launches::Open,
            None => Launches::All,
        };
        let mut query = HistoryQuery::new(list);
        query.route.clone_from(&self.route);
        (query.since, query.until) = (self.since, self.until);
        query.filter.states.clone_from(&self.states);
        query.filter.task.clone_from(&self.task);
        query.filter.event_id.clone_from(&self.event_id);
        query.filter.reason.clone_from(&self.reason);
        query.filter.ecs_task.clone_from(&self.ecs_task);
        query.page = self.limit;
        query
    }

    fn print(&self, launches: &[LaunchRecord]) -> Result<(), Failed> {
        let summaries: Vec<Summary> = launches.iter().map(Summary::of).collect();
        if self.json {
            return output::json(&json!(summaries));
        }
        if summaries.is_empty() {
            return line!("no launch matches");
        }
        let now = Timestamp::now();
        let mut rows = vec![["STATE", "ID", "ROUTE", "RECORDED", "TOOK", ""].map(str::to_owned).to_vec()];
        rows.extend(summaries.iter().map(|launch| row(launch, now)));
        let lines = table(&rows, width());
        let mut lines = lines.iter();
        lines.next().map_or(Ok(()), |head| line!("{head}"))?;
        for (text, launch) in lines.zip(&summaries) {
            let word = launch.state.as_str();
            let rest = text.strip_prefix(word).unwrap_or(text);
            line!("{}{rest}", colored(launch.state, word))?;
        }
        Ok(())
    }
}

/// Returns the cells of a launch.
fn row(launch: &Summary, now: Timestamp) -> Vec<String> {
    let id = launch.launch.rsplit('/').next().unwrap_or_default();
    let took = launch.started.map(|started| duration(launch.ended.unwrap_or(now).duration_since(started)));
    let about = launch.object.as_ref().map(ToString::to_string);
    let about: Vec<String> = launch.reason.iter().cloned().chain(about).collect();
    vec![
        launch.state.as_str().to_owned(),
        id.chars().take(ID_DIGITS).collect(),
        launch.route.clone(),
        relative(launch.created, now),
        took.unwrap_or_default(),
        printable(&about.join(" · ")),
    ]
}

fn state(text: &str) -> Result<LaunchState, String> {
    LaunchState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        let words: Vec<&str> = LaunchState::ALL.iter().map(|state| state.as_str()).collect();
        format!("a state is one of {}", words.join(", "))
    })
}
