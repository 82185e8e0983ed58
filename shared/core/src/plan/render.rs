//! Renders one event for one route.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use minijinja::Value;

use super::error::{RENDERED_BYTES_MAX, STEPS_MAX};
use super::{PlanErrorReason, PlannedLaunch};
use crate::ecs::{Capacity, ContainerOverride, EnvironmentVariable, TaskRequest, limits};
use crate::environment;
use crate::event::Event;
use crate::event::identity::{CLIENT_TOKEN_CHARACTERS, CallId, Identity, LaunchKey};
use crate::launch::{Concurrency, Sequence, WhenFull};
use crate::routing::{ContainerTemplates, Route, RouteConcurrency, RoutingConfig, Task};
use crate::storage::hashed_name;
use crate::template::{Context, Template};
use crate::text::Span;

/// Renders one event for one route.
pub(super) struct Renderer<'a> {
    config: &'a RoutingConfig,
    route: &'a Route,
    event_id: String,
    identity: Identity,
    /// The event's trace context, as environment variables.
    trace: Vec<(&'static str, String)>,
    /// The day of the event.
    date: String,
    /// The order of the events of one S3 object, if the route ignores older events.
    sequence: Option<Sequence>,
    context: &'a Context,
    /// The texts of templates that render the same for every element, by the templates' positions in the config.
    of_event: RefCell<HashMap<Span, String>>,
    rendered_bytes: Cell<usize>,
    steps: Cell<u64>,
}

/// Why a route cannot launch its task, with the position of the element.
pub(super) type RouteFailure = (Option<usize>, PlanErrorReason);

/// What one launch is for: an element of the route's `for_each`, or the whole event.
struct Element {
    index: Option<usize>,
    /// The number of elements.
    elements: usize,
    context: Context,
}

impl Element {
    /// Returns the position of a task's copy among all copies for all elements, unless there is only one.
    fn position(&self, task: &Task, copy: u32) -> Option<usize> {
        let is_one_of_many = self.index.is_some() || task.copies > 1;
        is_one_of_many.then(|| self.index.unwrap_or(0) * task.copies as usize + copy as usize)
    }
}

impl<'a> Renderer<'a> {
    pub(super) fn new(config: &'a RoutingConfig, route: &'a Route, event: &Event, context: &'a Context) -> Self {
        Self {
            config,
            route,
            event_id: event.id(),
            identity: event.identity(),
            trace: event.trace(),
            date: event.date(),
            sequence: event.s3().filter(|_| route.ignore_older).and_then(|s3| {
                let sequencer = s3.sequencer()?.to_owned();
                Some(Sequence { name: hashed_name(&route.name, &[&s3.bucket, &s3.object.key]), sequencer })
            }),
            context,
            of_event: RefCell::default(),
            rendered_bytes: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// Returns all launches of the route: each copy of each task for each element.
    pub(super) fn launches(&self) -> Result<Vec<PlannedLaunch>, RouteFailure> {
        let elements = self.elements().map_err(|reason| (None, reason))?;
        let copies = self.config.tasks(self.route).map(|task| u64::from(task.copies)).sum::<u64>();
        let tasks = copies * elements.len() as u64;
        if tasks > u64::from(limits::TASKS_MAX) {
            return Err((None, PlanErrorReason::TooManyTasks { tasks }));
        }
        let mut launches = Vec::new();
        // All launches share one stored event. The first launch's token names it.
        let mut payload_uri: Option<String> = None;
        for element in &elements {
            let concurrency = self.concurrency(element).map_err(|reason| (element.index, reason))?;
            for task in self.config.tasks(self.route) {
                let (request, is_large) = self.request(task, element).map_err(|reason| (element.index, reason))?;
                for copy in 0..task.copies {
                    let mut planned = self.launch(task, element, copy, &request, concurrency.as_ref());
                    if let Some(storage) = self.config.storage.as_ref().filter(|_| is_large) {
                        let uri = payload_uri.get_or_insert_with(|| storage.payload_uri(&planned.request.client_token));
                        planned.point_to(uri);
                    }
                    launches.push(planned);
                }
            }
        }
        if launches.len() > 1 {
            let parts: Vec<&str> = self.identity.parts().collect();
            let set = hashed_name(&self.route.name, &parts);
            for planned in &mut launches {
                planned.set = Some(set.clone());
                if let Some(max) = self.route.max_at_once {
                    let when_full = WhenFull::Queue;
                    planned.concurrency = Some(Concurrency { slots: set.clone(), max, when_full });
                }
            }
        }
        Ok(launches)
    }

    fn elements(&self) -> Result<Vec<Element>, PlanErrorReason> {
        let Some(list) = &self.route.for_each else {
            return Ok(vec![Element { index: None, elements: 1, context: self.context.clone() }]);
        };
        let items: Vec<Value> = list.elements(&self.config.templates, self.context, &self.config.source)?;
        if items.len() > limits::TASKS_MAX as usize {
            return Err(PlanErrorReason::TooManyElements { length: items.len() });
        }
        let element = |(index, item): (usize, &Value)| Element {
            index: Some(index),
            elements: items.len(),
            context: self.context.with_element(index, item),
        };
        Ok(items.iter().enumerate().map(element).collect())
    }

    fn launch(
        &self,
        task: &Task,
        element: &Element,
        copy: u32,
        request: &TaskRequest,
        concurrency: Option<&Concurrency>,
    ) -> PlannedLaunch {
        let mut request = request.clone();
        if let Some(position) = element.position(task, copy) {
            request.set_variable(environment::INDEX, &position.to_string());
        }
        request.client_token = CallId {
            cluster: request.cluster.as_deref().unwrap_or("default"),
            route: &self.route.name,
            task: &task.name,
            identity: &self.identity,
            index: element.index,
            copy,
            attempt: 0,
        }
        .client_token();
        let key = LaunchKey::new(&self.route.name, &self.date, &request.client_token);
        if self.config.ledger().is_some() {
            request.started_by = key.started_by(0);
        }
        PlannedLaunch {
            route: self.route.name.clone(),
            task: task.name.clone(),
            index: element.index,
            copy,
            copies: task.copies,
            set: None,
            payload_uri: None,
            key,
            capacity: task.capacity.clone(),
            timeout: task.timeout,
            retry: task.retry.clone(),
            concurrency: concurrency.cloned(),
            sequence: self.sequence.clone(),
            request,
        }
    }

    /// Returns the element's concurrency limit, with the name of the slots that it shares.
    fn concurrency(&self, element: &Element) -> Result<Option<Concurrency>, PlanErrorReason> {
        let Some(RouteConcurrency { max, key, when_full }) = &self.route.concurrency else { return Ok(None) };
        let key = key.as_ref().map(|key| self.text(key, element)).transpose()?;
        let slots = hashed_name(&self.route.name, &key.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(Some(Concurrency { slots, max: *max, when_full: *when_full }))
    }

    fn text(&self, template: &Template, element: &Element) -> Result<String, PlanErrorReason> {
        let rendered = || {
            let rendered = template.render(&self.config.templates, &element.context, &self.config.source)?;
            self.steps.set(self.steps.get() + rendered.steps);
            if self.steps.get() > STEPS_MAX {
                return Err(PlanErrorReason::TooMuchWork);
            }
            Ok(rendered.text)
        };
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

    /// Returns the request without its client token, and whether the event must be stored in S3.
    fn request(&self, task: &Task, element: &Element) -> Result<(TaskRequest, bool), PlanErrorReason> {
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
            request.started_by = starter(&format!("ecs-trigger/{}", self.route.name));
        }
        if let Some(template) = &task.reference_id {
            let reference_id = self.text(template, element)?;
            within(limits::REFERENCE_ID_CHARACTERS_MAX, &reference_id, || "`reference_id`".to_owned())?;
            request.reference_id = Some(reference_id);
        }
        let length = match self.containers(&mut request, task, element) {
            Ok(()) => {
                let on_rung = |capacity: &Capacity| {
                    let mut request = request.clone();
                    capacity.apply(&mut request);
                    length_as_json(&request)
                };
                task.capacity.iter().map(on_rung).max().unwrap_or_else(|| length_as_json(&request))
            }
            Err(PlanErrorReason::OverridesTooLong { length }) => length,
            // The values are not needed if the event goes to S3.
            Err(PlanErrorReason::Render(error)) if error.is_too_much && self.route.large_payload => {
                limits::OVERRIDES_CHARACTERS_MAX + 1
            }
            Err(reason) => return Err(reason),
        };
        if length <= limits::OVERRIDES_CHARACTERS_MAX {
            return Ok((request, false));
        }
        if !self.route.large_payload || task.containers.is_empty() {
            return Err(PlanErrorReason::OverridesTooLong { length });
        }
        request.overrides.container_overrides = task.fixed.overrides.container_overrides.clone();
        for (container, templates) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            self.container_without_event(container, templates, element)?;
            self.own_variables(task, element, container)?;
        }
        // The variable with the event's URI is added later and must fit as well.
        let uris = self
            .config
            .storage
            .as_ref()
            .map_or(0, |storage| storage.payload_uri(&"0".repeat(CLIENT_TOKEN_CHARACTERS)).len() + 50)
            * request.overrides.container_overrides.len();
        let length = length_as_json(&request) + uris;
        if length > limits::OVERRIDES_CHARACTERS_MAX {
            let what = "the JSON of the overrides, without the values from the event,".to_owned();
            return Err(PlanErrorReason::TooLong { what, length, max: limits::OVERRIDES_CHARACTERS_MAX });
        }
        Ok((request, true))
    }

    fn containers(&self, request: &mut TaskRequest, task: &Task, element: &Element) -> Result<(), PlanErrorReason> {
        for (container, templates) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            self.container(container, templates, element)?;
            self.own_variables(task, element, container)?;
        }
        Ok(())
    }

    fn container(
        &self,
        container: &mut ContainerOverride,
        templates: &ContainerTemplates,
        element: &Element,
    ) -> Result<(), PlanErrorReason> {
        // Values that are too long by themselves end the rendering: a hostile event must not fill the memory with them.
        let mut length = 0;
        let mut value = |template: &Template| {
            let text = self.text(template, element)?;
            length += text.chars().count();
            let fits = length <= limits::OVERRIDES_CHARACTERS_MAX;
            if fits { Ok(text) } else { Err(PlanErrorReason::OverridesTooLong { length }) }
        };
        container.command = templates.command.iter().map(&mut value).collect::<Result<_, _>>()?;
        for (variable, template) in container.environment.iter_mut().zip(&templates.environment) {
            variable.value = value(template)?;
            without_nul(&variable.value, || format!("the environment variable `{}`", variable.name))?;
        }
        container.command.iter().try_for_each(|word| without_nul(word, || "a word of the command".to_owned()))
    }

    /// Renders only the values that do not use the event: the event itself is in S3.
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

    /// Adds the variables that ecs-trigger defines. `ECS_TRIGGER_INDEX` is that of the last copy, whose text is the
    /// longest.
    fn own_variables(
        &self,
        task: &Task,
        element: &Element,
        container: &mut ContainerOverride,
    ) -> Result<(), PlanErrorReason> {
        without_nul(&self.event_id, || "the event's id".to_owned())?;
        container.environment.extend([
            variable(environment::ROUTE, &self.route.name),
            variable(environment::EVENT_ID, &self.event_id),
            variable(environment::ATTEMPT, "0"),
        ]);
        if let Some(last) = element.position(task, task.copies.saturating_sub(1)) {
            let count = element.elements * task.copies as usize;
            container.environment.extend([
                variable(environment::INDEX, &last.to_string()),
                variable(environment::COUNT, &count.to_string()),
            ]);
        }
        for (name, value) in &self.trace {
            // A variable of the config takes precedence.
            if !container.environment.iter().any(|known| known.name == *name) {
                container.environment.push(variable(name, value));
            }
        }
        Ok(())
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

/// Returns a `startedBy` that AWS accepts: of letters, digits, `-`, `/` and `_`, and not too long.
fn starter(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_') { c } else { '-' })
        .take(limits::STARTED_BY_CHARACTERS_MAX)
        .collect()
}
