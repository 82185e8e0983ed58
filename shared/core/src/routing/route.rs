//! A route: which events launch which tasks.

use crate::config::route::Unmatched;
use crate::event::Queue;
use crate::launch::WhenFull;
use crate::pattern::Pattern;
use crate::schedule::Schedule;
use crate::template::Template;
use crate::text::{Node, Span};

/// A route: which events launch which tasks.
#[derive(Debug)]
pub struct Route {
    /// The name.
    pub name: String,
    /// The position in the config.
    pub span: Span,
    /// The event source.
    pub on: EventSource,
    /// Whether an event that does not fit into the overrides is stored in S3.
    pub large_payload: bool,
    /// Picks a list from the event. Each element launches the tasks.
    pub(crate) for_each: Option<Template>,
    /// How many of an event's tasks run at once, if the event starts several.
    pub(crate) max_at_once: Option<u32>,
    pub(crate) concurrency: Option<RouteConcurrency>,
    /// Whether an event is ignored if a later event about the same object was launched before.
    pub(crate) ignore_older: bool,
    pub(crate) tasks: Vec<usize>,
}

/// How many tasks of a route run at once.
#[derive(Debug)]
pub(crate) struct RouteConcurrency {
    pub(crate) max: u32,
    /// Launches for which it renders the same text are counted together.
    pub(crate) key: Option<Template>,
    pub(crate) when_full: WhenFull,
}

/// Where a route's events come from.
#[derive(Debug)]
pub enum EventSource {
    /// EventBridge, through a rule with this pattern.
    Events(EventPattern),
    /// A schedule.
    Schedule(Schedule),
    /// A queue.
    Queue(MessageSource),
}

/// An event pattern, as written in the config and as parsed.
#[derive(Debug)]
pub struct EventPattern {
    /// The pattern as written.
    pub node: Node,
    /// The buckets that it names, if it is the short form for S3.
    pub buckets: Vec<String>,
    /// The pattern as parsed.
    pub pattern: Pattern,
}

/// The messages of a queue that a route takes.
#[derive(Debug)]
pub struct MessageSource {
    /// The queue.
    pub queue: Queue,
    /// Which of its messages the route takes; none: all.
    pub pattern: Option<EventPattern>,
    /// What happens to a message that no route takes.
    pub unmatched: Unmatched,
}

impl Route {
    /// Returns whether the number of its tasks that run at once is limited.
    pub fn has_slots(&self) -> bool {
        self.concurrency.is_some() || self.max_at_once.is_some()
    }

    /// Returns the pattern that selects events or messages, if there is one.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.event_pattern().map(|pattern| &pattern.pattern)
    }

    /// Returns the pattern as written and as parsed, if there is one.
    pub fn event_pattern(&self) -> Option<&EventPattern> {
        match &self.on {
            EventSource::Events(pattern) => Some(pattern),
            EventSource::Queue(queue) => queue.pattern.as_ref(),
            EventSource::Schedule(_) => None,
        }
    }

    /// Returns the schedule, if the route has one.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.on {
            EventSource::Schedule(schedule) => Some(schedule),
            _ => None,
        }
    }

    /// Returns the queue, if the route has one.
    pub fn queue(&self) -> Option<&Queue> {
        match &self.on {
            EventSource::Queue(source) => Some(&source.queue),
            _ => None,
        }
    }
}
