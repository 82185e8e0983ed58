//! Decides in one pass over an event which routes take it.

use std::collections::{BTreeSet, HashMap};

use super::{EventSource, Route};
use crate::pattern::matcher::{MatchError, Matcher};

/// A matcher of all routes with a pattern, which are known by their positions.
#[derive(Debug, Default)]
pub(crate) struct RouteMatcher {
    matcher: Matcher,
    pub(super) routes: Vec<usize>,
}

impl RouteMatcher {
    /// Returns the matcher of EventBridge's events, and that of each queue's messages.
    pub(crate) fn of_sources(routes: &[Route]) -> (Self, HashMap<String, Self>) {
        let events = Self::new(routes, |route| matches!(route.on, EventSource::Events(_)));
        let queues = routes.iter().filter_map(Route::queue).map(|queue| queue.name.clone());
        let of_queue = |name: &str| Self::new(routes, |route| route.queue().is_some_and(|queue| queue.name == name));
        let messages = queues.collect::<BTreeSet<_>>().into_iter().map(|name| (name.clone(), of_queue(&name)));
        (events, messages.collect())
    }

    fn new(all: &[Route], takes: impl Fn(&Route) -> bool) -> Self {
        let is_asked = |position: &usize| all[*position].pattern().is_some() && takes(&all[*position]);
        let routes: Vec<usize> = (0..all.len()).filter(is_asked).collect();
        Self { matcher: Matcher::new(routes.iter().filter_map(|route| all[*route].pattern())), routes }
    }

    pub(super) fn matches(&self, text: &str) -> Result<Vec<usize>, MatchError> {
        let matching = self.matcher.matches(text)?;
        Ok(matching.into_iter().map(|position| self.routes[position]).collect())
    }
}
