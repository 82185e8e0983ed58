//! Why an event's tasks cannot be requested.

use crate::ecs::limits;
use crate::routing::RouteError;
use crate::template::RenderError;

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
pub(super) const RENDERED_BYTES_MAX: usize = 64 << 20;

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
