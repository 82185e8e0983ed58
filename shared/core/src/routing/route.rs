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
    pub(crate) tasks: Vec<usize>,
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
