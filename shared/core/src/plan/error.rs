//! Why an event's tasks cannot be requested.

use crate::ecs::limits;
use crate::routing::RouteError;
use crate::template::RenderError;

/// Why an event's tasks cannot be requested. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The event's routes cannot be determined, or no route takes the event although one must.
    #[error(transparent)]
    NoRoutes(RouteError),
    /// A route that takes the event cannot launch its task.
    #[error("the route `{route}` cannot launch its task{}: {reason}", for_element(.index))]
    Route {
        /// The route's name.
        route: String,
        /// The position of the element that fails, in a route with `for_each`.
        index: Option<usize>,
        /// What is wrong.
        reason: PlanErrorReason,
    },
}

/// An event is refused if one route renders more than this many bytes of text from it. The limit is needed because
/// every element of `for_each` can contain the whole event again.
pub(super) const RENDERED_BYTES_MAX: usize = 64 << 20;

/// Rendering one event for one route takes at most this many steps of templates. They take about a second on one processor.
pub(super) const STEPS_MAX: u64 = 10_000_000;

fn for_element(index: &Option<usize>) -> String {
    index.map(|index| format!(" for element {index}")).unwrap_or_default()
}

impl PlanError {
    /// Returns the name of the route, if the error is about one.
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
    #[error("{what} has {length} characters; AWS allows {max}")]
    TooLong {
        /// What the value is.
        what: String,
        /// Its length in characters.
        length: usize,
        /// AWS's limit in characters.
        max: usize,
    },
    /// The event does not fit into the overrides, and the route has no `large_payload`.
    #[error(
        "the JSON of the overrides has at least {length} characters; AWS allows {}; set `large_payload: s3` on the route to \
         store the event in S3",
        limits::OVERRIDES_CHARACTERS_MAX
    )]
    OverridesTooLong {
        /// The length of the JSON in characters, or of the first values that make it too long.
        length: usize,
    },
    /// The list of `for_each` has too many elements.
    #[error("the list of `for_each` has {length} elements; at most {} are allowed", limits::TASKS_MAX)]
    TooManyElements {
        /// The number of elements.
        length: usize,
    },
    /// All elements together would start too many tasks.
    #[error("the route would start {tasks} tasks for this event; at most {} are allowed", limits::TASKS_MAX)]
    TooManyTasks {
        /// The number of tasks.
        tasks: u64,
    },
    /// The rendered values of all elements together are too long.
    #[error(
        "the rendered values of all elements have more than {RENDERED_BYTES_MAX} bytes together; use a smaller part of the event for \
         each element, or make the event's list shorter"
    )]
    TooMuchText,
    /// Rendering takes too long.
    #[error(
        "rendering all elements takes more than {STEPS_MAX} steps; make the templates simpler, or the event's list shorter"
    )]
    TooMuchWork,
    /// A tag's rendered value contains a character that AWS refuses.
    #[error(
        "the tag `{key}` contains `{}`; AWS allows only letters, digits, spaces and `_ . : / = + - @`: add the filter \
         `tagsafe` to its template",
        .character.escape_debug()
    )]
    TagCharacter {
        /// The tag's key.
        key: String,
        /// The refused character.
        character: char,
    },
    /// A rendered value contains a NUL character.
    #[error("{what} contains a NUL character, which cannot be passed to a process")]
    Nul {
        /// What the value is.
        what: String,
    },
}
