//! Render: from an event and the routes it takes to everything that will be asked of ECS.
//!
//! A plan is plain data and a pure function of event and config: a dry run prints it, a launch carries it out, and a
//! repeated delivery makes the same one.

mod error;
mod record;
mod render;
mod worker;

use crate::routing::RoutingConfig;
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

/// All task requests of one event: in the order of the routes, of each route's elements, and of its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The names of the routes that the event takes. One of them may launch nothing, for an empty list.
    pub routes: Vec<String>,
    /// The requests.
    pub launches: Vec<PlannedLaunch>,
}

/// One call of RunTask that one route makes for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLaunch {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
    /// The element of the event's list that it is for, in a route with `for_each`.
    pub index: Option<usize>,
    /// Which of the calls that its copies need, from 0.
    pub slice: u32,
    /// How many calls they need: ten copies each.
    pub slices: u32,
    /// Where the event has to be put before, as it does not fit into the request.
    pub payload_uri: Option<String>,
    /// What the launch is called.
    pub key: LaunchKey,
    /// The capacity that attempts try in turn; none: the call's own.
    pub capacity: Vec<Capacity>,
    /// How long a task may run.
    pub timeout: Option<Duration>,
    /// When a task that failed is started again.
    pub retry: Option<Retry>,
    /// How many run at once.
    pub concurrency: Option<Concurrency>,
    /// What orders the events of the object that it is about, if older ones are ignored.
    pub sequence: Option<Sequence>,
    /// The call.
    pub request: TaskRequest,
}

impl Plan {
    /// Matches and renders.
    ///
    /// # Errors
    /// Every route whose task cannot be requested for this event. Then nothing of the event may be launched: it is wrong as
    /// a whole, and a part of its tasks is nobody's wish.
    pub fn new(config: &RoutingConfig, event: &Event) -> Result<Self, Vec<PlanError>> {
        let routes = config.matches(event).map_err(|error| vec![PlanError::NoRoutes(error)])?;
        let mut launches = Vec::new();
        let mut errors = Vec::new();
        let names = routes.iter().map(|route| route.name.clone()).collect();
        let Some(first) = routes.first() else { return Ok(Self { routes: names, launches }) };
        // Only a firing is seen by a schedule, and it takes one route at most.
        let context = Context::new(event, first.schedule());
        for route in routes {
            match Renderer::new(config, route, event, &context).launches() {
                Ok(of_route) => launches.extend(of_route),
                Err((index, reason)) => errors.push(PlanError::Route { route: route.name.clone(), index, reason }),
            }
        }
        if errors.is_empty() { Ok(Self { routes: names, launches }) } else { Err(errors) }
    }
}

impl PlannedLaunch {
    /// Tells the containers where the event is.
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
