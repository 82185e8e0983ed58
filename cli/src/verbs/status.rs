//! `ecs-trigger status`: shows what each route and each worker does.

#[cfg(feature = "aws")]
mod deployed;
mod local;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::history::{HistoryQuery, Launches, PAGE_MAX};
use trigger_core::status::{Failures, NextFiring, RouteStatus, Seen, failures, of_routes};

use crate::blocking::block_on;
use crate::exit::Failed;
use crate::help::wrapped;
use crate::operation::text::{colored, cut, duration, relative, table, width};
use crate::operation::{Place, PlaceOptions};
use crate::output::{self, line, printable};

/// Failures within this time count.
const COUNTED: SignedDuration = SignedDuration::from_hours(24);
/// No more open launches, and no more failed ones, are counted.
const COUNTED_MAX: usize = 2 * PAGE_MAX;
/// The name of a route or a worker is cut to no fewer characters, however narrow the terminal is.
const NAME_MIN: usize = 12;
/// The number of failures for a reason has this many columns.
const COUNT_WIDTH: usize = 5;

/// Show what each route does: its last launch, the next firing of its schedule, and how many launches wait, run and failed
/// within 24 hours; how far workers are behind; and the dead letters.
///
/// On AWS, this takes about 16 requests, one more for each hundred launches that are open or failed, three for each route
/// that did not run lately, and up to four for each worker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger status
  ecs-trigger status --json | jq '.routes[] | select(.failed > 0) | .route'
  ecs-trigger status --local")]
pub(crate) struct Status {
    /// Print the status as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

/// The status of workers.
#[derive(Debug, Default)]
struct WorkerStatus {
    worker: String,
    queues: Vec<QueueStatus>,
    /// The numbers of tasks, as far as they are known.
    running: Option<u32>,
    starting: Option<u32>,
    /// The desired count of the service, if the workers are a service's.
    desired: Option<u32>,
}

/// How many messages a queue has, as far as it is known.
#[derive(Debug, Default)]
struct QueueStatus {
    queue: String,
    visible: Option<u64>,
    in_flight: Option<u64>,
    delayed: Option<u64>,
}

/// What is known of a place.
#[derive(Debug, Default)]
struct Known {
    /// The launches; nothing if they are not recorded.
    seen: Option<Seen>,
    workers: Vec<WorkerStatus>,
    /// The number of messages in the dead-letter queue.
    dead_letters: Option<u64>,
}

impl Status {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let now = Timestamp::now();
            let mut known = match &place {
                #[cfg(feature = "aws")]
                Place::Deployed(deployed) => deployed::known(deployed, now).await?,
                Place::Local(project) => local::known(project, now),
            };
            let mut seen = known.seen.take();
            let has_more = seen.as_mut().is_some_and(|seen| {
                let has_more = seen.open.len().max(seen.failed.len()) > COUNTED_MAX;
                seen.open.truncate(COUNTED_MAX);
                seen.failed.truncate(COUNTED_MAX);
                has_more
            });
            let is_recorded = seen.is_some();
            let seen = seen.unwrap_or_default();
            let routes = of_routes(place.config(), &seen, now);
            let failures = failures(&seen.failed);
            if self.json {
                return output::json(&json!({
                    "routes": routes,
                    "is_recorded": is_recorded,
                    "has_more": has_more,
                    "workers": known.workers.iter().map(WorkerStatus::to_json).collect::<Vec<_>>(),
                    "dead_letters": { "messages": known.dead_letters, "failures": failures },
                }));
            }
            print_routes(&routes, has_more, now)?;
            print_workers(&known.workers)?;
            print_dead_letters(known.dead_letters, &failures)
        })
    }
}

impl WorkerStatus {
    /// Returns the status as JSON, with null for what is unknown.
    fn to_json(&self) -> Value {
        let queue = |status: &QueueStatus| {
            let QueueStatus { queue, visible, in_flight, delayed } = status;
            json!({ "queue": queue, "visible": visible, "in_flight": in_flight, "delayed": delayed })
        };
        json!({
            "worker": self.worker,
            "queues": self.queues.iter().map(queue).collect::<Vec<_>>(),
            "running": self.running,
            "starting": self.starting,
            "desired": self.desired,
        })
    }
}

/// Returns the query of the launches that have not ended.
fn open() -> HistoryQuery {
    HistoryQuery { page: PAGE_MAX, ..HistoryQuery::new(Launches::Open) }
}

/// Returns the query of the launches whose failures count.
fn failed(now: Timestamp) -> HistoryQuery {
    HistoryQuery { page: PAGE_MAX, since: now.checked_sub(COUNTED).ok(), ..HistoryQuery::new(Launches::Failed) }
}

fn print_routes(routes: &[RouteStatus], has_more: bool, now: Timestamp) -> Result<(), Failed> {
    let heads = ["ROUTE", "STATE", "LAST", "NEXT", "WAIT", "RUN", "FAILED"];
    let rows = routes.iter().map(|status| {
        let last = status.last.as_ref();
        let cells = vec![
            last.map_or("-", |last| last.state.as_str()).to_owned(),
            last.map(|last| relative(last.created, now)).unwrap_or_default(),
            if status.is_in_config { next(status.next, now) } else { "removed".to_owned() },
            status.waiting.to_string(),
            status.running.to_string(),
            status.failed.to_string(),
        ];
        (status.route.clone(), cells)
    });
    let lines = named(&heads, rows.collect(), width());
    for (text, status) in lines.iter().zip(std::iter::once(None).chain(routes.iter().map(Some))) {
        let last = status.and_then(|status| status.last.as_ref());
        // The first word after the name is the state.
        let parts = last.and_then(|last| text.split_once(&format!("  {}", last.state.as_str())).zip(Some(last.state)));
        match parts {
            Some(((name, rest), state)) => line!("{name}  {}{rest}", colored(state, state.as_str()))?,
            None => line!("{text}")?,
        }
    }
    match has_more {
        true => line!("only {COUNTED_MAX} open launches and {COUNTED_MAX} failed ones are counted"),
        false => Ok(()),
    }
}

fn next(next: Option<NextFiring>, now: Timestamp) -> String {
    match next {
        None => String::new(),
        Some(NextFiring::At(at)) => relative(at, now),
        Some(NextFiring::Until(at)) => format!("within {}", duration(at.duration_since(now))),
        Some(NextFiring::Disabled) => "disabled".to_owned(),
        Some(NextFiring::Never) => "never".to_owned(),
    }
}

fn print_workers(workers: &[WorkerStatus]) -> Result<(), Failed> {
    if workers.is_empty() {
        return Ok(());
    }
    let heads = ["WORKER", "MESSAGES", "IN FLIGHT", "RUNNING", "STARTING", "DESIRED"];
    let rows = workers.iter().map(|status| {
        // What is unknown of one queue is unknown of all together.
        let sum = |of: fn(&QueueStatus) -> Option<u64>| status.queues.iter().map(of).sum::<Option<u64>>();
        let waiting = sum(|queue| Some(queue.visible? + queue.delayed.unwrap_or(0)));
        let counts = [waiting, sum(|queue| queue.in_flight)];
        let tasks = [status.running, status.starting, status.desired].map(|count| count.map(u64::from));
        let cells =
            counts.into_iter().chain(tasks).map(|count| count.map_or("-".to_owned(), |count| count.to_string()));
        (status.worker.clone(), cells.collect())
    });
    line!("")?;
    named(&heads, rows.collect(), width()).iter().try_for_each(|text| line!("{text}"))
}

fn print_dead_letters(messages: Option<u64>, failures: &[Failures]) -> Result<(), Failed> {
    if let Some(messages) = messages {
        line!("\ndead letters: {messages}")?;
    }
    if failures.is_empty() {
        return Ok(());
    }
    line!("\nfailed within {} h, by reason:", COUNTED.as_hours())?;
    for Failures { route, reason, launches } in failures {
        // The end of a reason, such as an exit code, tells the most.
        let text = printable(&format!("{route}: {reason}"));
        let lines = wrapped(&text, width().saturating_sub(COUNT_WIDTH + 2));
        let counts = std::iter::once(launches.to_string()).chain(std::iter::repeat(String::new()));
        counts.zip(lines).try_for_each(|(count, text)| line!("{count:>COUNT_WIDTH$}  {text}"))?;
    }
    Ok(())
}

/// Returns a table whose first column is cut where lines would be too long. A row is a name and the other cells.
fn named(heads: &[&str], rows: Vec<(String, Vec<String>)>, width: usize) -> Vec<String> {
    let head = |at: &&str| (*at).to_owned();
    let mut rows: Vec<(String, Vec<String>)> = rows;
    let (first, rest) = heads
        .split_first()
        .map_or((String::new(), Vec::new()), |(first, rest)| (head(first), rest.iter().map(head).collect()));
    rows.insert(0, (first, rest));
    let cells: Vec<Vec<String>> = rows.iter().map(|(_, cells)| cells.clone()).collect();
    let others = table(&cells, usize::MAX).iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let name_width = width.saturating_sub(others + 2).max(NAME_MIN);
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, cells)| std::iter::once(cut(&name, name_width)).chain(cells).collect()).collect();
    table(&rows, width)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_long_name_is_cut_so_that_the_numbers_stay() {
        let row = |name: &str, count: &str| (name.to_owned(), vec!["succeeded".to_owned(), count.to_owned()]);
        let rows = vec![row("a-route-with-a-long-name", "12"), row("b", "3")];
        let lines = named(&["ROUTE", "STATE", "RUN"], rows, 30);
        assert_eq!(
            lines,
            ["ROUTE           STATE      RUN", "a-route-with-…  succeeded  12", "b               succeeded  3"]
        );
    }
}
