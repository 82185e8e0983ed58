//! `concurrency`, `retry` and other keys that need the ledger.

use super::Loader;
use crate::config::file::ConfigFile;
use crate::config::launching::{ConcurrencyConfig, LedgerConfig, RetryConfig};
use crate::config::route::RouteConfig;
use crate::config::task::TaskSettings;
use crate::event::Event;
use crate::launch::{Retry, RetryOn, WhenFull};
use crate::routing::{EventSource, Route, RouteConcurrency, RoutingConfig};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Span, Spanned};

/// The default of `backoff`.
const BACKOFF_SECONDS: i64 = 10;

/// Returns whether launches are recorded in the ledger.
pub(super) fn remembers(file: &ConfigFile) -> bool {
    let is_off = file.ledger.as_ref().is_some_and(|ledger| ledger.value == LedgerConfig::Off);
    file.storage.is_some() && !is_off
}

pub(super) fn retry(config: &Spanned<RetryConfig>) -> Retry {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Retry {
        attempts: config.attempts.value,
        on: config.on.as_ref().map_or_else(|| vec![RetryOn::Any], |on| on.0.clone()),
        backoff_seconds: config.backoff.map_or(BACKOFF_SECONDS, |backoff| seconds(backoff.0)),
    }
}

/// Reports routes that take events about objects which launches write: such a route would launch tasks forever.
pub(super) fn loops(config: &RoutingConfig) -> Vec<Diagnostic> {
    let Some(storage) = &config.storage else { return Vec::new() };
    let takes_its_events = |route: &Route| match &route.on {
        // A pattern that is not in the short form may be about any bucket.
        EventSource::Events(pattern) => pattern.buckets.is_empty() || pattern.buckets.contains(&storage.bucket.0),
        EventSource::Schedule(_) | EventSource::Queue(_) => false,
    };
    if !config.routes.iter().any(takes_its_events) {
        return Vec::new();
    }
    let event = Event::object_created(&storage.bucket.0, &storage.key_written_by_launches());
    let routes = event.ok().and_then(|event| Some(spans(&config.matches(&event).ok()?)));
    let mut looping: Vec<Span> = routes.unwrap_or_default();
    looping.sort_unstable();
    looping.dedup();
    let problem = |span| {
        let message = "the route takes events about objects that launches write, so it would launch tasks forever";
        Diagnostic::error(span, message)
            .help("use another bucket for `storage`, or limit the route to a key prefix that `storage` does not use")
    };
    looping.into_iter().map(problem).collect()
}

fn spans(routes: &[&Route]) -> Vec<Span> {
    routes.iter().map(|route| route.span).collect()
}

impl Loader<'_> {
    pub(super) fn concurrency(
        &mut self,
        config: &Spanned<ConcurrencyConfig>,
        route: &RouteConfig,
        file: &ConfigFile,
    ) -> Option<RouteConcurrency> {
        let max = config.max.value;
        self.at_least_one("max", &config.max);
        let when_full = config.when_full.unwrap_or(WhenFull::Queue);
        let of_many = route.for_each.is_some() && config.key.is_none();
        if when_full != WhenFull::Queue && (of_event(route, file) > u64::from(max) || of_many) {
            let word = when_full.as_str();
            let message = format!("one event may start more than {max} tasks, which would {word} each other");
            self.problems
                .push(Diagnostic::error(config.max.span, message).help("raise `max`, or write `when_full: queue`"));
        }
        let key = config.key.as_ref().map(|text| self.template(text));
        Some(RouteConcurrency { max, key, when_full })
    }

    /// Returns how many of an event's tasks run at once.
    pub(super) fn max_at_once(&mut self, route: &RouteConfig, file: &ConfigFile) -> Option<u32> {
        let max = route.max_at_once.as_ref()?;
        self.at_least_one("max_at_once", max);
        if route.concurrency.is_some() {
            let problem = Diagnostic::error(max.span, "a route cannot have both `max_at_once` and `concurrency`");
            self.problems.push(
                problem.help("keep `max_at_once` for a limit within each event, or `concurrency` for one of the route"),
            );
        } else if route.for_each.is_none() && of_event(route, file) <= 1 {
            let problem = Diagnostic::error(max.span, "`max_at_once` has no effect: an event starts one task");
            self.problems.push(problem.help("remove it, or use `concurrency` to limit the tasks of all events"));
        }
        Some(max.value)
    }

    fn at_least_one(&mut self, key: &str, number: &Spanned<u32>) {
        if number.value == 0 {
            let problem = Diagnostic::error(number.span, format!("`{key}` must be at least 1"));
            self.problems.push(problem.help("remove the route if nothing is to run"));
        }
    }

    /// Reports `ignore_older` on a route without S3 events: only they have an order.
    pub(super) fn ignore_older(&mut self, route: &RouteConfig) {
        if let Some(ignore) = route.ignore_older.as_ref().filter(|ignore| ignore.value && route.on.s3.is_none()) {
            let message = "`ignore_older` is only valid with `s3`";
            self.problems.push(
                Diagnostic::error(ignore.span, message).help("remove `ignore_older`, or add `s3: ...` under `on`"),
            );
        }
    }

    /// Reports keys that need the ledger if there is none, and `started_by` if there is one.
    pub(super) fn needs_the_ledger(&mut self, file: &ConfigFile) {
        let settings: Vec<&TaskSettings> =
            file.defaults.iter().chain(file.tasks().0.iter().map(|(_, task)| &task.value)).collect();
        if remembers(file) {
            for started_by in settings.iter().filter_map(|settings| settings.started_by.as_ref()) {
                let message = "`started_by` cannot be set with the ledger, which records the launch in it";
                let help = "remove `started_by` and use `tags` or `reference_id` instead, or write `ledger: off`";
                self.problems.push(Diagnostic::error(started_by.span, message).help(help));
            }
            return;
        }
        if let (Some(ledger), None) = (&file.ledger, &file.storage)
            && ledger.value == LedgerConfig::On
        {
            let problem = Diagnostic::error(ledger.span, "the ledger needs `storage`");
            self.problems.push(problem.help("add `storage: { bucket: NAME }` to the file"));
            return;
        }
        let of_tasks = settings.iter().flat_map(|settings| {
            let timeout = settings.timeout.as_ref().map(|setting| ("timeout", setting.span));
            timeout.into_iter().chain(settings.retry.as_ref().map(|setting| ("retry", setting.span)))
        });
        let of_routes = file.routes().iter().flat_map(|route| {
            let concurrency = route.concurrency.as_ref().map(|setting| ("concurrency", setting.span));
            let max_at_once = route.max_at_once.as_ref().map(|setting| ("max_at_once", setting.span));
            let ignore = route.ignore_older.as_ref().filter(|ignore| ignore.value);
            concurrency.into_iter().chain(max_at_once).chain(ignore.map(|setting| ("ignore_older", setting.span)))
        });
        let needing: Vec<(&str, Span)> = of_tasks.chain(of_routes).collect();
        for (key, span) in needing {
            let problem = Diagnostic::error(span, format!("`{key}` needs the ledger"));
            self.problems.push(problem.help(match &file.ledger {
                Some(_) => format!("remove `{key}`, or `ledger: off`"),
                None => "add `storage: { bucket: NAME }` to the file, which turns the ledger on".to_owned(),
            }));
        }
    }
}

/// Returns how many tasks a route starts for one event, or for each element of it.
pub(super) fn of_event(route: &RouteConfig, file: &ConfigFile) -> u64 {
    let default = file.defaults.as_ref().and_then(|defaults| defaults.count.as_ref());
    let copies = |run: &Spanned<String>| {
        let count = file.tasks().get(run).and_then(|task| task.count.as_ref()).or(default);
        count.map_or(1, |count| u64::from(count.value))
    };
    route.run.0.iter().map(copies).sum()
}
