//! The routing config: one YAML file, checked whole when it is loaded.
//!
//! [`decode`] reads the file's elements (one file each: [`file`], [`route`], [`s3`], [`task`], [`workers`], [`stack`], [`local`]); [`load`] makes tasks
//! and routes of them; [`check`] holds AWS's limits against them. What comes out is a [`RoutingConfig`] that cannot be wrong in
//! any way knowable beforehand.

mod check;
pub(crate) mod decode;
pub mod file;
mod interpolate;
pub mod launching;
mod load;
pub mod local;
pub mod route;
pub mod s3;
mod schema;
pub mod stack;
pub mod task;
pub mod test;
pub mod text;
pub mod workers;

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Node, Source, Span, Spanned};
use crate::event::{Event, EventKind, Firing, Queue};
use crate::launch::{Retry, WhenFull};
use crate::pattern::Pattern;
use crate::pattern::lint::overlaps;
use crate::pattern::matcher::{MatchError, Matcher};
use crate::scaling::ScalingPolicy;
use crate::schedule::Schedule;
use crate::task_request::{Capacity, TaskRequest};
use crate::template::{Template, Templates};
pub use interpolate::Variables;
pub use load::includes;
use load::load;
use local::Local;
use route::{Storage, Unmatched};
pub use schema::schema;
use stack::StackConfig;
use test::TestConfig;

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
    remembers: bool,
    /// Sample events and what they must start.
    pub tests: Vec<Spanned<TestConfig>>,
    /// Which version of the file this is: the ETag of the object it was read from.
    pub etag: Option<String>,
    tasks: Vec<Task>,
    /// Decides about events of EventBridge.
    events: RouteMatcher,
    /// Decides about messages, by the queue's name.
    messages: HashMap<String, RouteMatcher>,
    pub(crate) templates: Templates,
}

/// Routes with patterns, by their positions.
#[derive(Debug, Default)]
struct RouteMatcher {
    matcher: Matcher,
    routes: Vec<usize>,
}

impl RouteMatcher {
    fn new(all: &[Route], takes: impl Fn(&Route) -> bool) -> Self {
        let is_asked = |position: &usize| all[*position].pattern().is_some() && takes(&all[*position]);
        let routes: Vec<usize> = (0..all.len()).filter(is_asked).collect();
        Self { matcher: Matcher::new(routes.iter().filter_map(|route| all[*route].pattern())), routes }
    }

    fn matches(&self, text: &str) -> Result<Vec<usize>, MatchError> {
        let matching = self.matcher.matches(text)?;
        Ok(matching.into_iter().map(|position| self.routes[position]).collect())
    }
}

/// A route: which events launch which tasks.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The events.
    pub on: EventSource,
    /// Whether an event that does not fit into the overrides goes to S3.
    pub large_payload: bool,
    /// Picks a list of the event, each element of which launches the tasks.
    pub(crate) for_each: Option<Template>,
    /// How many run at once.
    pub(crate) concurrency: Option<RouteConcurrency>,
    /// Whether an event is ignored if a later one of the same object was launched before.
    pub(crate) ignore_older: bool,
    tasks: Vec<usize>,
}

/// How many tasks of a route run at once.
#[derive(Debug)]
pub(crate) struct RouteConcurrency {
    pub(crate) max: u32,
    /// Which launches are counted together.
    pub(crate) key: Option<Template>,
    pub(crate) when_full: WhenFull,
}

/// Where a route's events come from.
#[derive(Debug)]
pub enum EventSource {
    /// EventBridge, by a rule of this pattern.
    Events(EventPattern),
    /// A schedule.
    Schedule(Schedule),
    /// A queue.
    Queue(MessageSource),
}

/// An event pattern, as it stands in the config and as it is read.
#[derive(Debug)]
pub struct EventPattern {
    /// The pattern's source.
    pub node: Node,
    /// The buckets that it names, if it is about S3 in short form.
    pub buckets: Vec<String>,
    /// The pattern.
    pub pattern: Pattern,
}

/// The messages of a queue that a route takes.
#[derive(Debug)]
pub struct MessageSource {
    /// The queue.
    pub queue: Queue,
    /// Which of its messages; none: all.
    pub pattern: Option<EventPattern>,
    /// What becomes of a message that no route takes.
    pub unmatched: Unmatched,
}

impl Route {
    /// Whether only so many of its tasks run at once.
    pub fn has_slots(&self) -> bool {
        self.concurrency.is_some()
    }

    /// The pattern that decides about events or messages, where there is one.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.event_pattern().map(|pattern| &pattern.pattern)
    }

    /// The same with its source.
    pub fn event_pattern(&self) -> Option<&EventPattern> {
        match &self.on {
            EventSource::Events(pattern) => Some(pattern),
            EventSource::Queue(queue) => queue.pattern.as_ref(),
            EventSource::Schedule(_) => None,
        }
    }

    /// The schedule, if it is on one.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.on {
            EventSource::Schedule(schedule) => Some(schedule),
            _ => None,
        }
    }

    /// The queue, if it is on one.
    pub fn queue(&self) -> Option<&Queue> {
        match &self.on {
            EventSource::Queue(source) => Some(&source.queue),
            _ => None,
        }
    }
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

/// A task: a RunTask request with templates for leaves.
#[derive(Debug)]
pub struct Task {
    /// Its name under `tasks`.
    pub name: String,
    /// What no event changes, on the first rung of the ladder.
    pub(crate) fixed: TaskRequest,
    /// The capacity ladder; none: the request's own.
    pub capacity: Vec<Capacity>,
    /// How long it may run.
    pub(crate) timeout: Option<std::time::Duration>,
    /// When it is started again.
    pub(crate) retry: Option<Retry>,
    /// Tags' values, by position.
    pub(crate) tags: Vec<Template>,
    /// None: `ecs-trigger/ROUTE`.
    pub(crate) started_by: Option<Template>,
    pub(crate) reference_id: Option<Template>,
    /// By the position of the container override.
    pub(crate) containers: Vec<ContainerTemplates>,
}

impl Task {
    /// The cluster that it runs in. None: `default`.
    pub fn cluster(&self) -> Option<&str> {
        self.fixed.cluster.as_deref()
    }

    /// Its task definition, as the config has it.
    pub fn task_definition(&self) -> &str {
        &self.fixed.task_definition
    }

    /// What its launches ask of RunTask, as far as no event changes it; on the first rung of the ladder.
    pub fn request(&self) -> &TaskRequest {
        &self.fixed
    }

    /// Its templates.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let containers =
            self.containers.iter().flat_map(|container| container.command.iter().chain(&container.environment));
        self.tags.iter().chain(&self.started_by).chain(&self.reference_id).chain(containers)
    }
}

/// The workers of a queue.
#[derive(Debug)]
pub struct Worker {
    /// The name by which commands and logs know it.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The queues whose messages they take.
    pub queues: Vec<Queue>,
    /// What they are.
    pub runs_as: RunsAs,
    /// How many there are.
    pub policy: ScalingPolicy,
    /// After how long without a message one ends that is no service's task.
    pub idle_exit: std::time::Duration,
}

/// What workers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// The tasks of a service.
    Service {
        /// Its cluster. None: `default`.
        cluster: Option<String>,
        /// Its name or ARN.
        service: String,
    },
    /// Tasks of their own, by the position of the config's task.
    Task(usize),
}

/// The templates of one container override.
#[derive(Debug)]
pub(crate) struct ContainerTemplates {
    pub(crate) command: Vec<Template>,
    /// Values, by the variable's position.
    pub(crate) environment: Vec<Template>,
}

impl RoutingConfig {
    /// Parses and checks a config, in which no environment variable is set.
    ///
    /// # Errors
    /// As [`Self::parse_with`].
    pub fn parse(source: Source) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_with(source, &|_| None)
    }

    /// Parses and checks a config. The files that it [`includes`] must have been added to the source, in their order.
    ///
    /// # Errors
    /// Every error of the files, in the order of their places, and the warnings among them.
    pub fn parse_with(source: Source, variables: Variables<'_>) -> Result<Self, Vec<Diagnostic>> {
        let (config, mut problems) = load(source, variables);
        problems.sort_by_key(|problem| problem.span);
        // What is wrong in the defaults is wrong in every task.
        problems.dedup();
        match config {
            Some(mut config) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
                config.warnings = problems;
                Ok(config)
            }
            _ => Err(problems),
        }
    }

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

#[cfg(test)]
mod tests;
