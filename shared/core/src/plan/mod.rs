//! Render: turns an event and the routes that take it into the requests to ECS.
//!
//! A plan is plain data and a pure function of event and config. A dry run prints it, a launch carries it out, and a
//! repeated delivery yields the same plan.

mod error;
mod record;
mod render;
mod worker;

use crate::routing::{Route, RouteError, RoutingConfig};
use std::time::Duration;

use crate::ecs::{Capacity, EnvironmentVariable, TaskRequest};
use crate::environment;
use crate::event::Event;
use crate::event::identity::LaunchKey;
use crate::launch::{Concurrency, Retry, Sequence};
use crate::template::Context;
pub use error::{PlanError, PlanErrorReason};
use render::Renderer;
pub use worker::WorkerLaunch;

/// All task requests of one event, in the order of the routes, then of each route's elements, then of its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The names of the routes that take the event. A route launches nothing if its `for_each` list is empty.
    pub routes: Vec<String>,
    /// The launches.
    pub launches: Vec<PlannedLaunch>,
    /// The routes that cannot launch their tasks, while others can.
    pub refused: Vec<PlanError>,
}

/// One launch that a route makes for an event: one task, as its first RunTask call.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLaunch {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
    /// The position of the event's element that the launch is for, in a route with `for_each`.
    pub index: Option<usize>,
    /// The number of this copy, from 0, among those that the task's `count` asks for.
    pub copy: u32,
    /// The number of copies.
    pub copies: u32,
    /// The name of the launch set, if the route makes several launches for the event.
    pub set: Option<String>,
    /// Where the event must be stored before the launch, if it does not fit into the request.
    pub payload_uri: Option<String>,
    /// The launch's name in the ledger.
    pub key: LaunchKey,
    /// The rungs of the capacity ladder, which attempts try in turn. If empty, the request's own capacity applies.
    pub capacity: Vec<Capacity>,
    /// How long a task may run.
    pub timeout: Option<Duration>,
    /// When to start a failed task again.
    pub retry: Option<Retry>,
    /// The limit on the tasks that run at once: the route's `concurrency` or `max_at_once`.
    pub concurrency: Option<Concurrency>,
    /// The order of the events of one S3 object, if the route ignores older events.
    pub sequence: Option<Sequence>,
    /// The request.
    pub request: TaskRequest,
}

impl Plan {
    /// Matches and renders an event.
    ///
    /// # Errors
    /// Every route whose tasks cannot be requested for this event, if no other route launches any. Without a ledger, one
    /// such route stops the others too: no record would show, at the next delivery, which tasks were already started.
    pub fn new(config: &RoutingConfig, event: &Event) -> Result<Self, Vec<PlanError>> {
        Self::of_routes(config, event, config.matches(event))
    }

    /// Renders an event for the routes that take it.
    ///
    /// # Errors
    /// The same as of [`Self::new`].
    pub fn of_routes(
        config: &RoutingConfig,
        event: &Event,
        routes: Result<Vec<&Route>, RouteError>,
    ) -> Result<Self, Vec<PlanError>> {
        let routes = routes.map_err(|error| vec![PlanError::NoRoutes(error)])?;
        let mut launches = Vec::new();
        let mut refused = Vec::new();
        let names = routes.iter().map(|route| route.name.clone()).collect();
        let Some(first) = routes.first() else { return Ok(Self { routes: names, launches, refused }) };
        // Only a firing has a schedule, and at most one route takes it.
        let context = Context::new(event, first.schedule());
        for route in routes {
            match Renderer::new(config, route, event, &context).launches() {
                Ok(of_route) => launches.extend(of_route),
                Err((index, reason)) => refused.push(PlanError::Route { route: route.name.clone(), index, reason }),
            }
        }
        let nothing_starts = launches.is_empty() || config.ledger().is_none();
        if nothing_starts && !refused.is_empty() {
            return Err(refused);
        }
        Ok(Self { routes: names, launches, refused })
    }
}

impl PlannedLaunch {
    /// Sets the variable that tells the containers where the event is stored.
    fn point_to(&mut self, uri: &str) {
        self.payload_uri = Some(uri.to_owned());
        for container in &mut self.request.overrides.container_overrides {
            let (name, value) = (environment::EVENT_URI.to_owned(), uri.to_owned());
            container.environment.push(EnvironmentVariable { name, value });
        }
    }
}

#[cfg(test)]
mod tests;
