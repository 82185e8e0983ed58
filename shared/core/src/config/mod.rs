//! The routing config: one YAML file, checked whole when it is loaded.
//!
//! [`decode`] reads the file's elements (one file each: [`file`], [`route`], [`s3`], [`task`], [`local`]); [`load`] makes tasks
//! and routes of them; [`check`] holds AWS's limits against them. What comes out is a [`RoutingConfig`] that cannot be wrong in
//! any way knowable beforehand.

mod check;
pub(crate) mod decode;
pub mod file;
mod load;
pub mod local;
pub mod route;
pub mod s3;
mod schema;
pub mod task;
pub mod text;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Node, Source, Span};
use crate::event::Event;
use crate::pattern::Pattern;
use crate::pattern::lint::overlaps;
use crate::pattern::matcher::{MatchError, Matcher};
use crate::task_request::TaskRequest;
use crate::template::{Template, Templates};
use load::load;
use local::Local;
pub use schema::schema;

/// A checked routing config.
#[derive(Debug)]
pub struct RoutingConfig {
    /// The file it was read from.
    pub source: Source,
    /// The routes, in the order of the file.
    pub routes: Vec<Route>,
    /// What is odd, but works.
    pub warnings: Vec<Diagnostic>,
    /// How `dev` runs tasks here.
    pub local: Option<Local>,
    tasks: Vec<Task>,
    matcher: Matcher,
    pub(crate) templates: Templates,
}

/// A route: which events launch which task.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The events, as a pattern's source.
    pub event_pattern: Node,
    /// The buckets that it names, if it is about S3 in short form.
    pub buckets: Vec<String>,
    pattern: Pattern,
    task: usize,
}

impl Route {
    /// The events that take this route.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }
}

/// A task: a RunTask request with templates for leaves.
#[derive(Debug)]
pub struct Task {
    /// Its name under `tasks`.
    pub name: String,
    /// What no event changes.
    pub(crate) fixed: TaskRequest,
    /// Tags' values, by position.
    pub(crate) tags: Vec<Template>,
    /// None: `ecs-trigger/ROUTE`.
    pub(crate) started_by: Option<Template>,
    pub(crate) reference_id: Option<Template>,
    /// By the position of the container override.
    pub(crate) containers: Vec<ContainerTemplates>,
}

/// The templates of one container override.
#[derive(Debug)]
pub(crate) struct ContainerTemplates {
    pub(crate) command: Vec<Template>,
    /// Values, by the variable's position.
    pub(crate) environment: Vec<Template>,
}

impl RoutingConfig {
    /// Parses and checks a config.
    ///
    /// # Errors
    /// Every error of the file, in the order of their places, and the warnings among them.
    pub fn parse(source: Source) -> Result<Self, Vec<Diagnostic>> {
        let (config, mut problems) = load(source);
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

    /// The routes that an event takes, in the order of the file.
    ///
    /// # Errors
    /// The event is made in bad faith: see [`MatchError`].
    pub fn matches(&self, event: &Event) -> Result<Vec<&Route>, MatchError> {
        let matching = self.matcher.matches(&event.text)?;
        Ok(matching.into_iter().map(|position| &self.routes[position]).collect())
    }

    /// A warning for each route that shares events with one before it, as far as the patterns tell.
    pub fn overlaps(&self) -> Vec<Diagnostic> {
        let patterns: Vec<_> =
            self.routes.iter().map(|route| (route.name.as_str(), route.span, &route.pattern)).collect();
        overlaps(&patterns)
    }

    /// What a route runs.
    pub fn task(&self, route: &Route) -> &Task {
        &self.tasks[route.task]
    }

    /// The names of the buckets that routes name, each once, in the order of the file.
    pub fn buckets(&self) -> Vec<&str> {
        let mut buckets: Vec<&str> = Vec::new();
        for bucket in self.routes.iter().flat_map(|route| &route.buckets) {
            if !buckets.contains(&bucket.as_str()) {
                buckets.push(bucket);
            }
        }
        buckets
    }
}

#[cfg(test)]
mod tests;
