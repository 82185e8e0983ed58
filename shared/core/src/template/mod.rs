//! Templates: parsed when the config is loaded, and each rendered into one value per event.
//!
//! A template produces the text of one leaf of the task request and nothing else: it is never spliced into JSON, and no
//! content of an event is parsed as a template. Rendering uses no clock and no randomness, and its work is bounded.

mod context;
mod filters;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, Value};

pub(crate) use context::all_fields;
pub use context::{
    Context, ELEMENT_FIELDS, EVENT_BRIDGE_FIELDS, EVENT_FIELDS, NOTIFICATION_FIELDS, S3_FIELDS, SCHEDULE_FIELDS,
};

use crate::ecs::limits::OVERRIDES_CHARACTERS_MAX;
use crate::event::UNSTABLE_ATTRIBUTES;
use crate::text::decode::list;
use crate::text::diagnostic::{Diagnostic, hint};
use crate::text::{Source, Span, Spanned};
use values::MissingField;

/// Rendering a template that takes more steps than this fails. Every 64 bytes that it makes or reads are a step too, so
/// that the memory of a template is bounded by 6.4 MB.
const FUEL: u64 = 100_000;

/// A text of the config that may contain `{{ ... }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The position in the config.
    pub span: Span,
    source: String,
    /// The name in [`Templates`], or `None` if there is nothing to render.
    name: Option<String>,
    /// The names from the event that the template uses.
    names: Vec<String>,
    /// Whether the template asks for fields that an event may lack: by `default`, by `defined`, or by `in`.
    asks: bool,
}

/// All templates of a config, parsed.
pub struct Templates {
    environment: Environment<'static>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Templates").finish_non_exhaustive()
    }
}

/// Why a template could not be rendered for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message} (in the template {})", crate::text::json::quote(.template))]
pub struct RenderError {
    /// The place of the template, or of the part of it that failed: `file:line:column`.
    pub place: String,
    /// The text of the template.
    pub template: String,
    /// What is wrong, naming the field.
    pub message: String,
    /// Whether rendering takes too many steps, or makes too much text.
    pub is_too_much: bool,
}

/// What a template renders to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// How many steps rendering took.
    pub steps: u64,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(write_scalar);
        environment.set_debug(true);
        // A text such as `${#1}` must not begin a comment: comments get delimiters that are never written by accident.
        let syntax = SyntaxConfig::builder().comment_delimiters("\u{1}#", "#\u{1}").keep_trailing_newline(true).build();
        if let Ok(syntax) = syntax {
            environment.set_syntax(syntax);
        }
        filters::add(&mut environment);
        Self { environment }
    }
}

impl Templates {
    /// Parses a template; reports bad syntax, unknown filters, and names that no event has.
    pub(crate) fn parse(
        &mut self,
        text: &Spanned<String>,
        source: &Source,
        problems: &mut Vec<Diagnostic>,
    ) -> Template {
        let plain =
            Template { span: text.span, source: text.value.clone(), name: None, names: Vec::new(), asks: false };
        if !["{{", "{%"].iter().any(|opening| text.contains(opening)) {
            return plain;
        }
        let length = text.chars().count();
        if length > OVERRIDES_CHARACTERS_MAX {
            let message = format!(
                "the template has {length} characters; all overrides together have at most {OVERRIDES_CHARACTERS_MAX}"
            );
            problems.push(Diagnostic::error(text.span, message).help("shorten it"));
            return plain;
        }
        let name = format!("{}", text.span.start);
        if let Err(error) = self.environment.add_template_owned(name.clone(), text.value.clone()) {
            problems.push(syntax_problem(&error, text, source));
            return plain;
        }
        problems.extend(unknown_filters(text, source));
        let names = self.names(&name);
        problems.extend(unknown_names(&names, text, source));
        problems.extend(unstable_attributes(text, source));
        problems.extend(subtracted_fields(text, source));
        Template { name: Some(name), names, asks: filters::asks_for_fields(text), ..plain }
    }

    /// Parses a template that selects a list: one `{{ ... }}` and nothing else.
    pub(crate) fn parse_list(
        &mut self,
        text: &Spanned<String>,
        source: &Source,
        problems: &mut Vec<Diagnostic>,
    ) -> Template {
        let template = self.parse(text, source, problems);
        let is_one =
            template.expression().is_some_and(|expression| self.environment.compile_expression(expression).is_ok());
        if template.name.is_none() || !is_one {
            let problem = Diagnostic::error(text.span, "this must be a template that selects a list from the event");
            problems.push(problem.help("write one `{{ ... }}`, as in `\"{{ body.items }}\"`"));
        }
        template
    }

    fn names(&self, name: &str) -> Vec<String> {
        let template = self.environment.get_template(name);
        let names: BTreeSet<String> =
            template.map(|template| template.undeclared_variables(false).into_iter().collect()).unwrap_or_default();
        names.into_iter().collect()
    }
}

impl Template {
    /// Returns the template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders the template for an event.
    ///
    /// # Errors
    /// The event lacks a field (and the template gives no `default`), a value cannot be written as one text, or a
    /// filter does not accept its value.
    pub fn render(&self, templates: &Templates, context: &Context, source: &Source) -> Result<Rendered, RenderError> {
        let Some(name) = &self.name else { return Ok(Rendered { text: self.source.clone(), steps: 0 }) };
        let template = templates.environment.get_template(name);
        let rendered = template.and_then(|template| template.render_captured(self.values_of(context)));
        let rendered = rendered.map(|rendered| {
            let steps = rendered.state().fuel_levels().map_or(0, |(used, _)| used);
            Rendered { text: rendered.into_output(), steps }
        });
        rendered.map_err(|error| {
            let part = whole_expression(&self.source, error.range().unwrap_or(0..0));
            self.error(&error, part, source)
        })
    }

    /// Returns the names from the event that the template uses, each once.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns whether the template provides for fields that an event lacks.
    pub(crate) fn allows_for_absence(&self) -> bool {
        self.asks
    }

    /// Returns the values that the template sees: strict ones unless it asks whether a field is there.
    fn values_of(&self, context: &Context) -> Value {
        if self.asks { context.lenient() } else { context.strict() }
    }

    /// Returns whether the template renders the same for every element of an event's list.
    pub(crate) fn is_of_event(&self) -> bool {
        !self.names.iter().any(|name| ELEMENT_FIELDS.contains(&name.as_str()))
    }

    /// Returns whether the template has anything to fill in from an event.
    pub fn is_filled_in(&self) -> bool {
        self.name.is_some()
    }

    /// Returns the elements of the list that the template selects from an event.
    ///
    /// # Errors
    /// The event lacks the list, or the value is not a list.
    pub(crate) fn elements(
        &self,
        templates: &Templates,
        context: &Context,
        source: &Source,
    ) -> Result<Vec<Value>, RenderError> {
        let expression = self.expression().unwrap_or_default();
        let value =
            templates.environment.compile_expression(expression).and_then(|list| list.eval(self.values_of(context)));
        let value = value.map_err(|error| self.error(&error, 0..self.source.len(), source))?;
        let no_list = |message: String| RenderError {
            place: source.place(self.span),
            template: self.source.clone(),
            message,
            is_too_much: false,
        };
        match value.kind() {
            ValueKind::Seq => value.try_iter().map(Iterator::collect).map_err(|error| no_list(error.to_string())),
            ValueKind::Undefined => Err(no_list(format!("the event has no `{expression}`"))),
            other => Err(no_list(format!("`{expression}` is a {other}, not a list"))),
        }
    }

    /// Returns the text between the braces, if the template is one `{{ ... }}` and nothing else.
    fn expression(&self) -> Option<&str> {
        Some(self.source.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim())
    }

    fn error(&self, error: &minijinja::Error, part: Range<usize>, source: &Source) -> RenderError {
        let inside = self.source.get(part.clone()).unwrap_or_default().trim();
        let inside = inside.strip_prefix("{{").and_then(|inside| inside.strip_suffix("}}")).unwrap_or(inside).trim();
        let message = match error.kind() {
            ErrorKind::UndefinedError => format!("the event has no `{}`", missing_field(error).unwrap_or(inside)),
            ErrorKind::OutOfFuel => format!(
                "the template takes more than {FUEL} steps, where each 64 bytes that it reads or makes are one; use a part of \
                 the event, or set `large_payload: s3` on the route"
            ),
            _ => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        let span = source.place_within(self.span, &self.source, part);
        let is_too_much = error.kind() == ErrorKind::OutOfFuel;
        RenderError { place: source.place(span), template: self.source.clone(), message, is_too_much }
    }
}

/// Returns the field that is missing. Of a lenient value, only the engine knows it, and writes "`detail.nope` is
/// undefined".
fn missing_field(error: &minijinja::Error) -> Option<&str> {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<MissingField>());
    if let Some(MissingField(path)) = source {
        return Some(path);
    }
    let (before, _) = error.detail()?.split_once("` is undefined")?;
    Some(before.rsplit_once('`')?.1)
}

fn unknown_names(names: &[String], text: &Spanned<String>, source: &Source) -> Vec<Diagnostic> {
    let known = all_fields();
    let unknown = names.iter().filter(|used| !known.contains(&used.as_str()));
    unknown
        .map(|unknown| {
            let part = text.find(unknown.as_str()).map_or(0..0, |at| at..at + unknown.len());
            let span = source.place_within(text.span, text, part);
            let hint = hint(unknown, known.iter().copied());
            Diagnostic::error(span, format!("no event has a field `{unknown}`{hint}")).help(
                "use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, \
                 scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, \
                 group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event[\"name\"]` for anything \
                 else",
            )
        })
        .collect()
}

/// Reports unknown filters when the config is loaded: Jinja looks up a filter only when it is applied.
fn unknown_filters(text: &Spanned<String>, source: &Source) -> Vec<Diagnostic> {
    let known: Vec<&str> = filters::FILTERS.iter().map(|(name, _)| *name).collect();
    let unknown = filters::applied(text).into_iter().filter(|used| !known.contains(&&text[used.clone()]));
    unknown
        .map(|used| {
            let (span, name) = (source.place_within(text.span, text, used.clone()), &text[used]);
            let hint = hint(name, known.iter().copied());
            Diagnostic::error(span, format!("unknown filter `{name}`{hint}"))
                .help(format!("choose from {}", list(&known)))
        })
        .collect()
}

/// Reports attributes that differ between deliveries: with them, one message would request its task in different ways.
fn unstable_attributes(text: &Spanned<String>, source: &Source) -> Vec<Diagnostic> {
    let used = UNSTABLE_ATTRIBUTES.iter().filter_map(|name| Some((name, text.find(name)?)));
    used.map(|(name, at)| {
        let span = source.place_within(text.span, text, at..at + name.len());
        Diagnostic::error(span, format!("`{name}` can differ between deliveries of a message"))
            .help("remove it; every delivery of a message must request the task with the same values")
    })
    .collect()
}

/// Reports `detail.object.version-id`: Jinja reads it as a subtraction, which no event can satisfy.
fn subtracted_fields(text: &Spanned<String>, source: &Source) -> Vec<Diagnostic> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let problem = |expression: Range<usize>| {
        let inside = &text[expression.clone()];
        let at = inside.match_indices('-').map(|(at, _)| at).find(|at| {
            inside[..*at].ends_with(of_name) && inside[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic())
        })?;
        let start = inside[..at].trim_end_matches(|c: char| of_name(c) || "-.[]\"'".contains(c)).len();
        let end = inside[at..].find(|c: char| !of_name(c) && c != '-').map_or(inside.len(), |length| at + length);
        let path = &inside[start..end];
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let instead = match (parent, name.replace('-', "_")) {
            ("", short) if all_fields().contains(&short.as_str()) => short,
            ("", _) => format!("event[\"{name}\"]"),
            _ => format!("{parent}[\"{name}\"]"),
        };
        let span = source.place_within(text.span, text, expression.start + start..expression.start + end);
        let message = format!("`{path}` is a subtraction in a template, not a field");
        Some(
            Diagnostic::error(span, message)
                .help(format!("write `{instead}`; for a subtraction, put spaces around `-`")),
        )
    };
    filters::expressions(text).into_iter().filter_map(problem).collect()
}

/// Returns the range of the whole path: the engine reports only the last step of `detail.object.key`, or the filter
/// that received nothing.
fn whole_expression(template: &str, part: Range<usize>) -> Range<usize> {
    if filters::applied(template).contains(&part) {
        let start =
            ["{{", "{%", "("].iter().filter_map(|open| template[..part.start].rfind(open).map(|at| at + open.len()));
        let start = start.max().unwrap_or(0);
        let end = template[start..].find('|').map_or(part.start, |bar| start + bar);
        let expression = template[start..end].trim();
        let start = start + template[start..end].find(expression).unwrap_or(0);
        return start..start + expression.len();
    }
    let before = template.get(..part.start).unwrap_or_default();
    let of_path = |c: char| c.is_alphanumeric() || "_.[]'\"-".contains(c);
    let start = before.trim_end_matches(of_path).len();
    if template.get(part.clone()).is_some_and(|text| text.starts_with(['.', '['])) { start..part.end } else { part }
}

fn syntax_problem(error: &minijinja::Error, text: &Spanned<String>, source: &Source) -> Diagnostic {
    let span = source.place_within(text.span, text, error.range().unwrap_or(0..text.len()));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Diagnostic::error(span, format!("the template has a syntax error: {detail}"))
        .help("write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters")
}

/// Writes strings, numbers and booleans; refuses values without one obvious text.
fn write_scalar(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    Ok(out.write_str(&values::scalar_text(state, value)?)?)
}

#[cfg(test)]
mod tests;
