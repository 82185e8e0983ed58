//! Templates: parsed when the config is loaded, and each rendered into one value per event.
//!
//! A template produces the text of one leaf of the task request and nothing else: it is never spliced into JSON, and no
//! content of an event is parsed as a template. Rendering uses no clock and no randomness, and its work is bounded.

mod context;
mod filters;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, Value};

pub(crate) use context::all_fields;
pub use context::{Context, ELEMENT_FIELDS, EVENT_BRIDGE_FIELDS, EVENT_FIELDS, S3_FIELDS, SCHEDULE_FIELDS};

use crate::ecs::limits::OVERRIDES_CHARACTERS_MAX;
use crate::event::UNSTABLE_ATTRIBUTES;
use crate::text::decode::list;
use crate::text::diagnostic::{Diagnostic, hint};
use crate::text::{Source, Span, Spanned};

/// Rendering a template that takes more steps than this fails.
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
        let plain = Template { span: text.span, source: text.value.clone(), name: None, names: Vec::new() };
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
        Template { name: Some(name), names, ..plain }
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
    pub fn render(&self, templates: &Templates, context: &Context, source: &Source) -> Result<String, RenderError> {
        let Some(name) = &self.name else { return Ok(self.source.clone()) };
        let rendered = templates.environment.get_template(name).and_then(|template| template.render(context.value()));
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
        ["default", "defined"].iter().any(|word| self.source.contains(word))
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
        let value = templates.environment.compile_expression(expression).and_then(|list| list.eval(context.value()));
        let value = value.map_err(|error| self.error(&error, 0..self.source.len(), source))?;
        let no_list =
            |what: String| RenderError { place: source.place(self.span), template: self.source.clone(), message: what };
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
            ErrorKind::UndefinedError => format!("the event has no `{inside}`"),
            ErrorKind::OutOfFuel => "too many steps".to_owned(),
            _ => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        let span = source.place_within(self.span, &self.source, part);
        RenderError { place: source.place(span), template: self.source.clone(), message }
    }
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
                 group_id or queue (messages), item or index (with for_each); write `event[\"name\"]` for anything \
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
    let problem = match value.kind() {
        ValueKind::None => "a value is null; give a default, as in `{{ value | default('-') }}`",
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            "a value is a list or an object; write it as JSON with `| tojson`, or pick a part of it"
        }
        ValueKind::Bytes | ValueKind::Invalid | ValueKind::Plain => "a value cannot be written as text",
        ValueKind::Bool => return Ok(write!(out, "{}", value.is_true())?),
        _ => return minijinja::escape_formatter(out, state, value),
    };
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, problem))
}

#[cfg(test)]
mod tests;
