//! A checked routing config: the routes, tasks and workers that the config's elements mean.
//!
//! `load` makes it from the elements. A [`RoutingConfig`] cannot be wrong in any way that is known before an event arrives.

mod matcher;
mod route;
mod task;
mod worker;

use std::collections::HashMap;

use crate::config::local::Local;
use crate::config::route::Unmatched;
use crate::config::stack::StackConfig;
use crate::config::test::TestConfig;
use crate::event::{Event, EventKind, Firing, Queue};
use crate::pattern::lint::overlaps;
use crate::pattern::matcher::MatchError;
use crate::storage::Storage;
use crate::template::Templates;
use crate::text::diagnostic::Diagnostic;
use crate::text::{Source, Spanned};

pub(crate) use matcher::RouteMatcher;
pub(crate) use route::RouteConcurrency;
pub use route::{EventPattern, EventSource, MessageSource, Route};
pub(crate) use task::ContainerTemplates;
pub use task::Task;
pub use worker::{RunsAs, Worker};

/// A checked routing config.
#[derive(Debug)]
pub struct RoutingConfig {
    /// The file it was read from, and those that it includes.
    pub source: Source,
    /// The routes, in the order of the files.
    pub routes: Vec<Route>,
    /// The workers of queues, in the order of the files.
    pub workers: Vec<Worker>,
    /// What is odd, but works.
    pub warnings: Vec<Diagnostic>,
    /// How `dev` runs tasks here.
    pub local: Option<Local>,
    /// Where large payloads go, and the ledger lies.
    pub storage: Option<Storage>,
    /// What its stack is told.
    pub stack: StackConfig,
    /// Whether launches are remembered there.
    pub(crate) remembers: bool,
    /// Sample events and what they must start.
    pub tests: Vec<Spanned<TestConfig>>,
    /// Which version of the file this is: the ETag of the object it was read from.
    pub etag: Option<String>,
    pub(crate) tasks: Vec<Task>,
    /// Decides about events of EventBridge.
    pub(crate) events: RouteMatcher,
    /// Decides about messages, by the queue's name.
    pub(crate) messages: HashMap<String, RouteMatcher>,
    pub(crate) templates: Templates,
}

/// Why it cannot be said which routes an event takes, or why it must take one. None of these gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The event is made in bad faith.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// A schedule fired that no route is on.
    #[error(
        "no route named `{0}` is on a schedule; remove the schedule, or name route and schedule (or the schedule's rule) alike"
    )]
    UnknownSchedule(String),
    /// A message came from a queue that no route is on.
    #[error("no route is on the queue `{0}`; remove the queue's event source mapping, or name the queue in a route")]
    UnknownQueue(String),
    /// No route takes the message, and a route of its queue says that this is an error.
    #[error("no route takes the message, and `unmatched` of the queue `{0}` is `fail`")]
    Unmatched(String),
}

impl RoutingConfig {
    /// The routes that an event takes, in the order of the files.
    ///
    /// # Errors
    /// It cannot be said, or there must be one and is none.
    pub fn matches(&self, event: &Event) -> Result<Vec<&Route>, RouteError> {
        match &event.kind {
            EventKind::EventBridge(_) => {
                Ok(self.events.matches(&event.text)?.into_iter().map(|position| &self.routes[position]).collect())
            }
            EventKind::Firing(firing) => match self.route_on_schedule(&firing.route) {
                // One that was on its way when the schedule was disabled.
                Some(route) if route.schedule().is_some_and(|schedule| !schedule.enabled) => Ok(Vec::new()),
                Some(route) => Ok(vec![route]),
                None => Err(RouteError::UnknownSchedule(firing.route.clone())),
            },
            EventKind::Message(message) => self.routes_of_message(&message.queue, &event.text),
        }
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

    /// A delivered event as the event of one of our sources: a rule's "Scheduled Event" is a firing where a route on a schedule
    /// bears the rule's name.
    pub fn event(&self, event: Event) -> Event {
        let firing = Firing::decode(&event.text).ok().filter(|firing| match &firing.kind {
            EventKind::Firing(firing) => self.route_on_schedule(&firing.route).is_some(),
            _ => false,
        });
        firing.unwrap_or(event)
    }

    /// The route of this name, if it is on a schedule.
    pub fn route_on_schedule(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name && route.schedule().is_some())
    }

    /// A warning for each route that shares events with one before it, as far as the patterns tell.
    pub fn overlaps(&self) -> Vec<Diagnostic> {
        let of_events = self.events.routes.iter().map(|position| &self.routes[*position]);
        let patterns: Vec<_> =
            of_events.filter_map(|route| Some((route.name.as_str(), route.span, route.pattern()?))).collect();
        overlaps(&patterns)
    }

    /// Where launches are remembered, if they are.
    pub fn ledger(&self) -> Option<&Storage> {
        self.storage.as_ref().filter(|_| self.remembers)
    }

    /// The workers of this name.
    pub fn worker(&self, name: &str) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.name == name)
    }

    /// The task at a position.
    pub(crate) fn task_at(&self, position: usize) -> Option<&Task> {
        self.tasks.get(position)
    }

    /// The task that is started for each worker, if it is one.
    pub fn task_of_worker(&self, worker: &Worker) -> Option<&Task> {
        match worker.runs_as {
            RunsAs::Task(position) => self.task_at(position),
            RunsAs::Service { .. } => None,
        }
    }

    /// What a route runs.
    pub fn tasks<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a Task> {
        route.tasks.iter().map(|task| &self.tasks[*task])
    }

    /// Every task, in the order of the files.
    pub fn all_tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The names of the buckets that routes name, each once, in the order of the file.
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

    /// The queues that workers take messages of and no route does, each once, in the order of the file.
    pub fn worker_queues(&self) -> Vec<&Queue> {
        let of_routes = self.queues();
        let of_workers = self.workers.iter().flat_map(|worker| &worker.queues);
        distinct(of_workers.filter(|queue| !of_routes.iter().any(|of_route| of_route.is(queue))))
    }

    /// The queues that routes name, each once, in the order of the file.
    pub fn queues(&self) -> Vec<&Queue> {
        distinct(self.routes.iter().filter_map(Route::queue))
    }
}

/// Each queue once.
fn distinct<'a>(all: impl Iterator<Item = &'a Queue>) -> Vec<&'a Queue> {
    let mut queues: Vec<&Queue> = Vec::new();
    for queue in all {
        if !queues.iter().any(|known| known.is(queue)) {
            queues.push(queue);
        }
    }
    queues
}
