//! Render: from an event and the routes it takes to everything that will be asked of ECS.
//!
//! A plan is plain data and a pure function of event and config: a dry run prints it, a launch carries it out, and a
//! repeated delivery makes the same one.

use crate::config::{ContainerTemplates, Route, RoutingConfig, Task};
use crate::document::Source;
use crate::event::Event;
use crate::identity::{Identity, Launch};
use crate::limits;
use crate::pattern::matcher::MatchError;
use crate::task_request::{ContainerOverride, TaskRequest};
use crate::template::{Context, RenderError, Template, Templates};

/// All task requests of one event, in the order of the routes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The requests.
    pub launches: Vec<PlannedLaunch>,
}

/// What one route starts for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLaunch {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
    /// The call.
    pub request: TaskRequest,
}

/// Why an event's tasks cannot be requested. None of these gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It cannot be said which routes the event takes.
    #[error(transparent)]
    Match(MatchError),
    /// A route that it takes cannot launch its task.
    #[error("the route `{route}` cannot launch its task: {reason}")]
    Route {
        /// The route's name.
        route: String,
        /// What is wrong.
        reason: PlanErrorReason,
    },
}

impl PlanError {
    /// The route's name, where it is about one.
    pub fn route(&self) -> Option<&str> {
        match self {
            Self::Match(_) => None,
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
        let routes = config.matches(event).map_err(|error| vec![PlanError::Match(error)])?;
        if routes.is_empty() {
            return Ok(Self { launches: Vec::new() });
        }
        let renderer = Renderer {
            templates: &config.templates,
            source: &config.source,
            context: Context::new(event),
            identity: event.identity(),
        };
        let mut launches = Vec::new();
        let mut errors = Vec::new();
        for route in routes {
            let task = config.task(route);
            match renderer.request(route, task) {
                Ok(request) => {
                    launches.push(PlannedLaunch { route: route.name.clone(), task: task.name.clone(), request });
                }
                Err(reason) => errors.push(PlanError::Route { route: route.name.clone(), reason }),
            }
        }
        if errors.is_empty() { Ok(Self { launches }) } else { Err(errors) }
    }
}

/// What rendering one event needs.
struct Renderer<'a> {
    templates: &'a Templates,
    source: &'a Source,
    context: Context,
    identity: Identity,
}

impl Renderer<'_> {
    fn text(&self, template: &Template) -> Result<String, RenderError> {
        template.render(self.templates, &self.context, self.source)
    }

    fn request(&self, route: &Route, task: &Task) -> Result<TaskRequest, PlanErrorReason> {
        let mut request = task.fixed.clone();
        for (tag, template) in request.tags.iter_mut().zip(&task.tags) {
            tag.value = self.text(template)?;
            within(limits::TAG_VALUE_CHARACTERS_MAX, &tag.value, || format!("the tag `{}`", tag.key))?;
            if let Some(character) = limits::refused_in_tag(&tag.value) {
                return Err(PlanErrorReason::TagCharacter { key: tag.key.clone(), character });
            }
        }
        request.started_by = match &task.started_by {
            Some(template) => starter(&self.text(template)?),
            None => String::new(),
        };
        if request.started_by.is_empty() {
            request.started_by = starter(&format!("ecs-trigger/{}", route.name));
        }
        if let Some(template) = &task.reference_id {
            let reference_id = self.text(template)?;
            within(limits::REFERENCE_ID_CHARACTERS_MAX, &reference_id, || "reference_id".to_owned())?;
            request.reference_id = Some(reference_id);
        }
        for (container, templates) in request.overrides.container_overrides.iter_mut().zip(&task.containers) {
            self.container(container, templates)?;
        }
        let overrides = serde_json::to_string(&request.overrides).unwrap_or_default();
        within(limits::OVERRIDES_CHARACTERS_MAX, &overrides, || "the overrides as JSON".to_owned())?;
        let cluster = request.cluster.as_deref().unwrap_or("default");
        let launch = Launch { cluster, route: &route.name, identity: &self.identity, attempt: 0, slice: 0 };
        request.client_token = launch.client_token();
        Ok(request)
    }

    fn container(
        &self,
        container: &mut ContainerOverride,
        templates: &ContainerTemplates,
    ) -> Result<(), PlanErrorReason> {
        container.command = templates.command.iter().map(|word| self.text(word)).collect::<Result<_, _>>()?;
        for (variable, template) in container.environment.iter_mut().zip(&templates.environment) {
            variable.value = self.text(template)?;
            without_nul(&variable.value, || format!("the environment variable `{}`", variable.name))?;
        }
        container.command.iter().try_for_each(|word| without_nul(word, || "a word of the command".to_owned()))
    }
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
