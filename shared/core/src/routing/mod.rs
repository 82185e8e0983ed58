//! A checked routing config: its routes, tasks and workers.
//!
//! `load` builds it from the config's elements. A [`RoutingConfig`] has no error that can be found before an event
//! arrives.

mod matcher;
mod only;
mod route;
mod task;
mod worker;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::config::local::Local;
use crate::config::route::Unmatched;
use crate::config::stack::StackConfig;
use crate::config::test::TestConfig;
use crate::event::{Delivery, Event, EventKind, Opened, Queue};
use crate::pattern::lint::overlaps;
use crate::pattern::matcher::MatchError;
use crate::storage::Storage;
use crate::template::Templates;
use crate::text::diagnostic::Diagnostic;
use crate::text::{Source, Spanned};

pub(crate) use matcher::RouteMatcher;
pub use only::NoSuchRoute;
pub(crate) use route::RouteConcurrency;
pub use route::{EventPattern, EventSource, MessageSource, Route};
pub(crate) use task::ContainerTemplates;
pub use task::Task;
pub use worker::{RunsAs, Worker};

/// A checked routing config.
#[derive(Debug)]
pub struct RoutingConfig {
    /// The file from which the config was read, and the files that it includes.
    pub source: Source,
    /// The routes, in the order of the files.
    pub routes: Vec<Route>,
    /// The workers of queues, in the order of the files.
    pub workers: Vec<Worker>,
    /// What works, but is probably not as meant.
    pub warnings: Vec<Diagnostic>,
    /// How `dev` runs tasks on this machine.
    pub local: Option<Local>,
    /// Where large payloads and the ledger are stored.
    pub storage: Option<Storage>,
    /// The settings of its stack.
    pub stack: StackConfig,
    /// Whether launches are recorded in `storage`.
    pub(crate) remembers: bool,
    /// Sample events and what they must start.
    pub tests: Vec<Spanned<TestConfig>>,
    /// The version of the file: the ETag of the object from which it was read.
    pub etag: Option<String>,
    pub(crate) tasks: Vec<Task>,
    /// Matches events of EventBridge.
    pub(crate) events: RouteMatcher,
    /// Matches messages, by the name of the queue.
    pub(crate) messages: HashMap<String, RouteMatcher>,
    pub(crate) templates: Templates,
}

/// Why the routes of an event cannot be determined, or why it must have one. A retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The event cannot be matched against the patterns.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// A schedule fired that belongs to no route.
    #[error("no route named `{0}` has a schedule; delete the schedule, or give it (or its rule) the name of the route")]
    UnknownSchedule(String),
    /// A message came from a queue that no route uses.
    #[error("no route uses the queue `{0}`; delete the queue's event source mapping, or add a route for the queue")]
    UnknownQueue(String),
    /// No route takes the message, and a route of its queue has `unmatched: fail`.
    #[error("no route takes the message, and `unmatched` of the queue `{0}` is `fail`")]
    Unmatched(String),
}

/// An event, and the routes of a config that take it.
#[derive(Debug)]
pub struct MatchedEvent<'a> {
    /// The event.
    pub event: Event,
    /// The routes, in the order of the files; or why they cannot be known.
    pub routes: Result<Vec<&'a Route>, RouteError>,
}

impl MatchedEvent<'_> {
    /// Returns whether a route takes the event.
    pub fn is_taken(&self) -> bool {
        self.routes.as_ref().is_ok_and(|routes| !routes.is_empty())
    }
}

impl RoutingConfig {
    /// Returns the routes that take an event, in the order of the files.
    ///
    /// # Errors
    /// The event cannot be matched, or no route takes it although one must.
    pub fn matches(&self, event: &Event) -> Result<Vec<&Route>, RouteError> {
        match &event.kind {
            EventKind::EventBridge(_) => {
                Ok(self.events.matches(&event.text)?.into_iter().map(|position| &self.routes[position]).collect())
            }
            EventKind::Firing(firing) => match self.route_on_schedule(&firing.route) {
                // The firing was on its way when the schedule was disabled.
                Some(route) if route.schedule().is_some_and(|schedule| !schedule.enabled) => Ok(Vec::new()),
                Some(route) => Ok(vec![route]),
                None => Err(RouteError::UnknownSchedule(firing.route.clone())),
            },
            EventKind::Message(message) => self.routes_of_message(&message.queue, &event.text),
        }
    }

    /// Returns the route of this name.
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// Matches an event, and keeps the answer with it.
    pub fn match_event(&self, event: Event) -> MatchedEvent<'_> {
        MatchedEvent { routes: self.matches(&event), event }
    }

    fn routes_of_message(&self, queue: &Queue, text: &str) -> Result<Vec<&Route>, RouteError> {
        let of_queue = || {
            self.routes.iter().enumerate().filter_map(|(position, route)| match &route.on {
                EventSource::Queue(source) if source.queue.is(queue) => Some((position, route, source)),
                _ => None,
            })
        };
        if of_queue().next().is_none() {
            return Err(RouteError::UnknownQueue(queue.name.clone()));
        }
        let matching = match self.messages.get(&queue.name) {
            Some(matcher) => matcher.matches(text)?,
            None => Vec::new(),
        };
        let takes = |position: usize, source: &MessageSource| source.pattern.is_none() || matching.contains(&position);
        let taken = of_queue().filter(|(position, _, source)| takes(*position, source));
        let routes: Vec<&Route> = taken.map(|(_, route, _)| route).collect();
        if routes.is_empty() && of_queue().any(|(_, _, source)| source.unmatched == Unmatched::Fail) {
            return Err(RouteError::Unmatched(queue.name.clone()));
        }
        Ok(routes)
    }

    /// Decodes what some function could be invoked with, for a tool that has only the text. The "Scheduled Event" of a
    /// rule is a firing if a route with a schedule has the rule's name.
    pub fn open<'a>(&self, text: &'a str) -> Opened<'a, Delivery> {
        Delivery::open_any(text, |route| self.route_on_schedule(route).is_some())
    }

    /// Returns the route of this name, if it has a schedule.
    pub fn route_on_schedule(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name && route.schedule().is_some())
    }

    /// Returns a warning for each route that shares events with an earlier route, as far as the patterns show it.
    pub fn overlaps(&self) -> Vec<Diagnostic> {
        let of_events = self.events.routes.iter().map(|position| &self.routes[*position]);
        let patterns: Vec<_> =
            of_events.filter_map(|route| Some((route.name.as_str(), route.span, route.pattern()?))).collect();
        overlaps(&patterns)
    }

    /// Returns a warning for each schedule that does not fire after `now`.
    pub fn past_schedules(&self, now: Timestamp) -> Vec<Diagnostic> {
        let is_past = |route: &&Route| {
            route.schedule().is_some_and(|schedule| schedule.enabled && schedule.next_after(now, now).is_none())
        };
        let warning = |route: &Route| {
            Diagnostic::warning(route.span, format!("the schedule of the route `{}` never fires again", route.name))
                .help("write a time in the future, as in `at(2026-12-31T23:59:00)`, or remove the route")
        };
        self.routes.iter().filter(is_past).map(warning).collect()
    }

    /// Returns where launches are recorded, if there is a ledger.
    pub fn ledger(&self) -> Option<&Storage> {
        self.storage.as_ref().filter(|_| self.remembers)
    }

    /// Returns the workers of this name.
    pub fn worker(&self, name: &str) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.name == name)
    }

    pub(crate) fn task_at(&self, position: usize) -> Option<&Task> {
        self.tasks.get(position)
    }

    /// Returns the task that is started for each worker, if the workers are not a service's.
    pub fn task_of_worker(&self, worker: &Worker) -> Option<&Task> {
        match worker.runs_as {
            RunsAs::Task(position) => self.task_at(position),
            RunsAs::Service { .. } => None,
        }
    }

    /// Returns the tasks that a route runs.
    pub fn tasks<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a Task> {
        route.tasks.iter().map(|task| &self.tasks[*task])
    }

    /// Returns every task, in the order of the files.
    pub fn all_tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Returns the buckets that routes name, each once, in the order of the files.
    pub fn buckets(&self) -> Vec<&str> {
        let mut buckets: Vec<&str> = Vec::new();
        let of_events = self.events.routes.iter().filter_map(|position| self.routes[*position].event_pattern());
        for bucket in of_events.flat_map(|pattern| &pattern.buckets) {
            if !buckets.contains(&bucket.as_str()) {
                buckets.push(bucket);
            }
        }
        buckets
    }

    /// Returns the queues that workers use and no route does, each once, in the order of the files.
    pub fn worker_queues(&self) -> Vec<&Queue> {
        let of_routes = self.queues();
        let of_workers = self.workers.iter().flat_map(|worker| &worker.queues);
        distinct(of_workers.filter(|queue| !of_routes.iter().any(|of_route| of_route.is(queue))))
    }

    /// Returns the queues that routes or workers use, each once: those of routes come first.
    pub fn all_queues(&self) -> Vec<&Queue> {
        self.queues().into_iter().chain(self.worker_queues()).collect()
    }

    /// Returns the queues that routes use, each once, in the order of the files.
    pub fn queues(&self) -> Vec<&Queue> {
        distinct(self.routes.iter().filter_map(Route::queue))
    }
}

/// Returns each queue once.
fn distinct<'a>(all: impl Iterator<Item = &'a Queue>) -> Vec<&'a Queue> {
    let mut queues: Vec<&Queue> = Vec::new();
    for queue in all {
        if !queues.iter().any(|known| known.is(queue)) {
            queues.push(queue);
        }
    }
    queues
}
