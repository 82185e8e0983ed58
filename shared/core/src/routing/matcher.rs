//! Decides in one pass over an event which routes take it.

use super::Route;
use crate::pattern::matcher::{MatchError, Matcher};

/// A matcher of all routes with a pattern, which are known by their positions.
#[derive(Debug, Default)]
pub(crate) struct RouteMatcher {
    matcher: Matcher,
    pub(super) routes: Vec<usize>,
}

impl RouteMatcher {
    pub(crate) fn new(all: &[Route], takes: impl Fn(&Route) -> bool) -> Self {
        let is_asked = |position: &usize| all[*position].pattern().is_some() && takes(&all[*position]);
        let routes: Vec<usize> = (0..all.len()).filter(is_asked).collect();
        Self { matcher: Matcher::new(routes.iter().filter_map(|route| all[*route].pattern())), routes }
    }

    pub(super) fn matches(&self, text: &str) -> Result<Vec<usize>, MatchError> {
        let matching = self.matcher.matches(text)?;
        Ok(matching.into_iter().map(|position| self.routes[position]).collect())
    }
}
