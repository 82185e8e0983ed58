//! Render: from an event and the routes it takes to everything that will be asked of ECS.
//!
//! A plan is plain data and a pure function of event and config: a dry run prints it, a launch carries it out, and a
//! repeated delivery makes the same one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use minijinja::Value;

use crate::config::route::Storage;
use crate::config::{ContainerTemplates, Route, RouteError, RoutingConfig, Task};
use crate::document::{Source, Span};
use crate::event::Event;
use crate::identity::{Identity, Launch};
use crate::limits;
use crate::task_request::{
    ATTEMPT_VARIABLE, ContainerOverride, EVENT_ID_VARIABLE, EVENT_URI_VARIABLE, EnvironmentVariable, INDEX_VARIABLE,
    ROUTE_VARIABLE, TaskRequest,
};
use crate::template::{Context, RenderError, Template, Templates};

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
    /// The call.
    pub request: TaskRequest,
}

/// Why an event's tasks cannot be requested. None of these gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It cannot be said which routes the event takes, or it takes none and must take one.
    #[error(transparent)]
    NoRoutes(RouteError),
    /// A route that it takes cannot launch its task.
    #[error("the route `{route}` cannot launch its task{}: {reason}", for_element(.index))]
    Route {
        /// The route's name.
        route: String,
        /// The element of the event's list that it is about.
        index: Option<usize>,
        /// What is wrong.
        reason: PlanErrorReason,
    },
}

/// How many bytes of text one event may make by one route: each element may hold the whole event again.
const RENDERED_BYTES_MAX: usize = 64 << 20;

fn for_element(index: &Option<usize>) -> String {
    index.map(|index| format!(" for element {index}")).unwrap_or_default()
}

impl PlanError {
    /// The route's name, where it is about one.
    pub fn route(&self) -> Option<&str> {
        match self {
            Self::NoRoutes(_) => None,
            Self::Route { route, .. } => Some(route),
        }
    }
}

/// What is wrong with a rendered request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanErrorReason {
    /// A template could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A rendered value is longer than AWS allows.
    #[error("{what}: {length} characters; AWS allows {max}")]
    TooLong {
        /// The value.
        what: String,
        /// Its length in characters.
        length: usize,
        /// AWS's limit in characters.
        max: usize,
    },
    /// The event does not fit into the overrides, and the route does not say where else to put it.
    #[error(
        "the overrides as JSON: {length} characters; AWS allows {}; with `large_payload: s3` the route puts the event into S3",
        limits::OVERRIDES_CHARACTERS_MAX
    )]
    OverridesTooLong {
        /// Their length in characters.
        length: usize,
    },
    /// The list of `for_each` has too many elements.
    #[error("the list of `for_each` has {length} elements; one event launches at most {}", limits::TASKS_MAX)]
    TooManyElements {
        /// How many.
        length: usize,
    },
    /// The copies of all elements are too many.
    #[error("the event would start {tasks} tasks by this route; at most {} are allowed", limits::TASKS_MAX)]
    TooManyTasks {
        /// How many.
        tasks: u64,
    },
    /// The rendered texts of all elements are too long.
    #[error("the event makes more than {RENDERED_BYTES_MAX} bytes of text by this route, over all elements")]
    TooMuchText,
    /// A tag's rendered value holds what AWS refuses in it.
    #[error("the tag `{key}` cannot hold `{}`: letters, digits, spaces and `_ . : / = + - @` only", .character.escape_debug())]
    TagCharacter {
        /// The tag's key.
        key: String,
        /// The character.
        character: char,
    },
    /// A rendered value holds what no process can be given.
    #[error("{what} holds a NUL character, which no process can be given")]
    Nul {
        /// The value.
        what: String,
    },
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
        for route in routes {
            let renderer = Renderer {
                templates: &config.templates,
                source: &config.source,
                storage: config.storage.as_ref(),
                event_id: event.id(),
                identity: event.identity(),
                context: Context::new(event, route.schedule()),
                of_event: RefCell::default(),
                rendered_bytes: Cell::new(0),
            };
            match renderer.route(config, route) {
                Ok(of_route) => launches.extend(of_route),
                Err((index, reason)) => errors.push(PlanError::Route { route: route.name.clone(), index, reason }),
            }
        }
        if errors.is_empty() { Ok(Self { routes: names, launches }) } else { Err(errors) }
    }
}

/// What rendering one event for one route needs.
struct Renderer<'a> {
    templates: &'a Templates,
    source: &'a Source,
    storage: Option<&'a Storage>,
    event_id: String,
    identity: Identity,
    context: Context,
    /// What was made of templates that are the same for every element, by their places.
    of_event: RefCell<HashMap<Span, String>>,
    rendered_bytes: Cell<usize>,
}

/// Why a route cannot launch its task, and for which element.
type RouteFailure = (Option<usize>, PlanErrorReason);

/// What one launch is made for.
struct Element {
    index: Option<usize>,
    context: Context,
}

impl Renderer<'_> {
    /// All launches of a route: for each element each task, in calls of ten copies.
    fn route(&self, config: &RoutingConfig, route: &Route) -> Result<Vec<PlannedLaunch>, RouteFailure> {
        let elements = self.elements(route).map_err(|reason| (None, reason))?;
        let copies = |task: &Task| u64::from(task.fixed.count.unwrap_or(1));
        let tasks = config.tasks(route).map(copies).sum::<u64>() * elements.len() as u64;
        if tasks > u64::from(limits::TASKS_MAX) {
            return Err((None, PlanErrorReason::TooManyTasks { tasks }));
        }
        let mut launches = Vec::new();
        // All calls point to one object, which is named by the first of them.
        let mut payload_uri: Option<String> = None;
        for element in &elements {
            for task in config.tasks(route) {
                let (request, is_large) =
                    self.request(route, task, element).map_err(|reason| (element.index, reason))?;
                for mut planned in self.slices(route, task, element, &request) {
                    if let Some(storage) = self.storage.filter(|_| is_large) {
                        let uri = payload_uri.get_or_insert_with(|| storage.payload_uri(&planned.request.client_token));
                        planned.point_to(uri);
                    }
                    launches.push(planned);
                }
            }
        }
        Ok(launches)
    }

    fn elements(&self, route: &Route) -> Result<Vec<Element>, PlanErrorReason> {
        let Some(list) = &route.for_each else {
            return Ok(vec![Element { index: None, context: self.context.clone() }]);
        };
        let items: Vec<Value> = list.elements(self.templates, &self.context, self.source)?;
        if items.len() > limits::TASKS_MAX as usize {
            return Err(PlanErrorReason::TooManyElements { length: items.len() });
        }
        let element = |(index, item): (usize, &Value)| Element {
            index: Some(index),
            context: self.context.with_element(index, item),
        };
        Ok(items.iter().enumerate().map(element).collect())
    }

    /// A request in calls of at most ten copies, each with a client token of its own.
    fn slices(
        &self,
        route: &Route,
        task: &Task,
        element: &Element,
        request: &TaskRequest,
    ) -> impl Iterator<Item = PlannedLaunch> {
        let copies = request.count;
        let slices = copies.unwrap_or(1).div_ceil(limits::COUNT_MAX).max(1);
        (0..slices).map(move |slice| {
            let mut request = request.clone();
            request.count = copies.map(|copies| (copies - slice * limits::COUNT_MAX).min(limits::COUNT_MAX));
            request.client_token = Launch {
                cluster: request.cluster.as_deref().unwrap_or("default"),
                route: &route.name,
                task: &task.name,
                identity: &self.identity,
                index: element.index,
                attempt: 0,
                slice,
            }
            .client_token();
            let (route, task) = (route.name.clone(), task.name.clone());
            PlannedLaunch { route, task, index: element.index, slice, slices, payload_uri: None, request }
        })
    }

    fn text(&self, template: &Template, element: &Element) -> Result<String, PlanErrorReason> {
        let rendered = || template.render(self.templates, &element.context, self.source);
        let text = match template.is_filled_in() && template.is_of_event() {
            false => rendered()?,
            true => match self.of_event.borrow_mut().entry(template.span) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(unknown) => unknown.insert(rendered()?).clone(),
            },
        };
        self.rendered_bytes.set(self.rendered_bytes.get() + text.len());
        if self.rendered_bytes.get() > RENDERED_BYTES_MAX {
            return Err(PlanErrorReason::TooMuchText);
        }
        Ok(text)
    }

    /// The request without its token, and whether the event must be read from S3.
    fn request(&self, route: &Route, task: &Task, element: &Element) -> Result<(TaskRequest, bool), PlanErrorReason> {
        let mut request = task.fixed.clone();
        for (tag, template) in request.tags.iter_mut().zip(&task.tags) {
            tag.value = self.text(template, element)?;
            within(limits::TAG_VALUE_CHARACTERS_MAX, &tag.value, || format!("the tag `{}`", tag.key))?;
            if let Some(character) = limits::refused_in_tag(&tag.value) {
                return Err(PlanErrorReason::TagCharacter { key: tag.key.clone(), character });
            }
        }
        request.started_by = match &task.started_by {
            Some(template) => starter(&self.text(template, element)?),
            None => String::new(),
        };
        if request.started_by.is_empty() {
            request.started_by = starter(&format!("ecs-trigger/{}", route.name));
        }
        if let Some(template) = &task.reference_id {
            let reference_id = self.text(template, element)?;
            within(limits::REFERENCE_ID_CHARACTERS_MAX, &reference_id, || "reference_id".to_owned())?;
            request.reference_id = Some(reference_id);
        }
        let fixed = request.overrides.container_overrides.clone();
        for (container, templates) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            self.container(container, templates, element)?;
            self.own_variables(route, element, container)?;
        }
        let length = length_as_json(&request);
        if length <= limits::OVERRIDES_CHARACTERS_MAX {
            return Ok((request, false));
        }
        if !route.large_payload || fixed.is_empty() {
            return Err(PlanErrorReason::OverridesTooLong { length });
        }
        request.overrides.container_overrides = fixed;
        for (container, templates) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            self.container_without_event(container, templates, element)?;
            self.own_variables(route, element, container)?;
        }
        // The URI, of which only the token is still to come, must fit as well.
        let uris = self.storage.map_or(0, |storage| storage.payload_uri(&"0".repeat(64)).len() + 50)
            * request.overrides.container_overrides.len();
        let length = length_as_json(&request) + uris;
        if length > limits::OVERRIDES_CHARACTERS_MAX {
            let what = "the overrides as JSON, without what the event fills in".to_owned();
            return Err(PlanErrorReason::TooLong { what, length, max: limits::OVERRIDES_CHARACTERS_MAX });
        }
        Ok((request, true))
    }

    fn container(
        &self,
        container: &mut ContainerOverride,
        templates: &ContainerTemplates,
        element: &Element,
    ) -> Result<(), PlanErrorReason> {
        container.command = templates.command.iter().map(|word| self.text(word, element)).collect::<Result<_, _>>()?;
        for (variable, template) in container.environment.iter_mut().zip(&templates.environment) {
            variable.value = self.text(template, element)?;
            without_nul(&variable.value, || format!("the environment variable `{}`", variable.name))?;
        }
        container.command.iter().try_for_each(|word| without_nul(word, || "a word of the command".to_owned()))
    }

    /// The container with what no event fills in: the event itself is in S3.
    fn container_without_event(
        &self,
        container: &mut ContainerOverride,
        templates: &ContainerTemplates,
        element: &Element,
    ) -> Result<(), PlanErrorReason> {
        let is_fixed = |template: &Template| !template.is_filled_in();
        if templates.command.iter().all(is_fixed) {
            container.command =
                templates.command.iter().map(|word| self.text(word, element)).collect::<Result<_, _>>()?;
        }
        let variables = std::mem::take(&mut container.environment).into_iter().zip(&templates.environment);
        for (mut variable, template) in variables.filter(|(_, template)| is_fixed(template)) {
            variable.value = self.text(template, element)?;
            container.environment.push(variable);
        }
        Ok(())
    }

    fn own_variables(
        &self,
        route: &Route,
        element: &Element,
        container: &mut ContainerOverride,
    ) -> Result<(), PlanErrorReason> {
        without_nul(&self.event_id, || "the event's id".to_owned())?;
        container.environment.extend([
            variable(ROUTE_VARIABLE, &route.name),
            variable(EVENT_ID_VARIABLE, &self.event_id),
            variable(ATTEMPT_VARIABLE, "0"),
        ]);
        container.environment.extend(element.index.map(|index| variable(INDEX_VARIABLE, &index.to_string())));
        Ok(())
    }
}

impl PlannedLaunch {
    /// Tells the containers where the event is.
    fn point_to(&mut self, uri: &str) {
        self.payload_uri = Some(uri.to_owned());
        for container in &mut self.request.overrides.container_overrides {
            container.environment.push(variable(EVENT_URI_VARIABLE, uri));
        }
    }
}

fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable { name: name.to_owned(), value: value.to_owned() }
}

fn length_as_json(request: &TaskRequest) -> usize {
    serde_json::to_string(&request.overrides).unwrap_or_default().chars().count()
}

fn within(max: usize, text: &str, what: impl FnOnce() -> String) -> Result<(), PlanErrorReason> {
    let length = text.chars().count();
    if length > max {
        return Err(PlanErrorReason::TooLong { what: what(), length, max });
    }
    Ok(())
}

fn without_nul(text: &str, what: impl FnOnce() -> String) -> Result<(), PlanErrorReason> {
    if text.contains('\0') {
        return Err(PlanErrorReason::Nul { what: what() });
    }
    Ok(())
}

/// `startedBy` of the characters that AWS takes: letters, digits, `-`, `/` and `_`.
fn starter(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_') { c } else { '-' })
        .take(limits::STARTED_BY_CHARACTERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
