//! The routing config: one YAML file, checked whole when it is loaded.
//!
//! [`decode`] reads the file's elements (one file each: [`file`], [`route`], [`s3`], [`task`], [`local`]); [`check`] holds
//! AWS's limits against them; what comes out is a [`RoutingConfig`] that cannot be wrong in any way knowable beforehand.

mod check;
pub(crate) mod decode;
pub mod file;
pub mod local;
pub mod route;
pub mod s3;
pub mod task;
pub mod text;

use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::document::{Source, Span, Spanned, yaml};
use crate::event::Event;
use crate::pattern::Pattern;
use crate::pattern::lint::{lint, overlaps};
use crate::pattern::matcher::{MatchError, Matcher};
use crate::task_request::TaskRequest;
use crate::template::{Template, Templates};
use decode::Decode;
use file::ConfigFile;
use local::Local;
use route::{On, RouteConfig};
use task::TaskSettings;
use text::{Mapping, Text};

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
    pub event_pattern: crate::document::Node,
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

/// The JSON Schema of the config file, for editors.
pub fn schema() -> serde_json::Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.root_schema_for::<ConfigFile>();
    schema.insert("title".to_owned(), "ecs-trigger routing config".into());
    let mut value = schema.to_value();
    remove_null(&mut value);
    value
}

/// A key that may be left out is described as if it could be null; but null is no value of ours.
fn remove_null(value: &mut serde_json::Value) {
    use serde_json::Value;
    let is_null = |value: &Value| *value == serde_json::json!({ "type": "null" });
    if let Value::Object(object) = value {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
            alternatives.retain(|alternative| !is_null(alternative));
            if let [Value::Object(only)] = alternatives.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(remove_null),
        Value::Array(elements) => elements.iter_mut().for_each(remove_null),
        _ => {}
    }
}

fn load(source: Source) -> (Option<RoutingConfig>, Vec<Diagnostic>) {
    let (node, mut problems) = yaml::parse(&source.text);
    let Some(node) = node else { return (None, problems) };
    let Some(file) = ConfigFile::decode(&node, &mut problems) else { return (None, problems) };
    let mut loader = Loader { source: &source, problems, templates: Templates::default() };
    let tasks = loader.tasks(&file);
    let routes = loader.routes(&file);
    let Loader { problems, templates, .. } = loader;
    let matcher = Matcher::new(routes.iter().map(|route| &route.pattern));
    let config = RoutingConfig { matcher, routes, tasks, templates, local: file.local, warnings: Vec::new(), source };
    (Some(config), problems)
}

/// Turns the file's elements into tasks and routes, noting every problem.
struct Loader<'a> {
    source: &'a Source,
    problems: Vec<Diagnostic>,
    templates: Templates,
}

impl Loader<'_> {
    fn tasks(&mut self, file: &ConfigFile) -> Vec<Task> {
        file.tasks
            .0
            .iter()
            .filter_map(|(name, settings)| {
                let settings = match &file.defaults {
                    Some(defaults) => Spanned { span: settings.span, value: settings.value.clone().over(defaults) },
                    None => settings.clone(),
                };
                self.problems.extend(check::task(name, &settings));
                self.task(name, &settings)
            })
            .collect()
    }

    fn task(&mut self, name: &Spanned<String>, settings: &Spanned<TaskSettings>) -> Option<Task> {
        let Some(task_definition) = &settings.task_definition else {
            if self.is_read_whole(settings.span) {
                let problem =
                    Diagnostic::error(name.span, format!("the task `{}` names no task definition", name.value));
                self.problems.push(problem.help("add `task_definition: FAMILY` to it"));
            }
            return None;
        };
        let containers = settings.overrides.as_ref().and_then(|overrides| overrides.container_overrides.as_deref());
        Some(Task {
            name: name.value.clone(),
            fixed: check::fixed_request(task_definition, settings),
            tags: self.template_values(settings.tags.as_ref()),
            started_by: settings.started_by.as_ref().map(|text| self.template(text)),
            reference_id: settings.reference_id.as_ref().map(|text| self.template(text)),
            containers: containers
                .unwrap_or_default()
                .iter()
                .map(|container| ContainerTemplates {
                    command: container
                        .command
                        .iter()
                        .flat_map(|words| &words.value)
                        .map(|word| self.template(word))
                        .collect(),
                    environment: self.template_values(container.environment.as_ref()),
                })
                .collect(),
        })
    }

    /// Whether nothing was wrong in an element: else what is missing may only be misspelled, and is reported as that.
    fn is_read_whole(&self, element: Span) -> bool {
        let inside = |problem: &Diagnostic| (element.start..element.end).contains(&problem.span.start);
        !self.problems.iter().any(inside)
    }

    fn template_values(&mut self, mapping: Option<&Mapping<Spanned<Text>>>) -> Vec<Template> {
        mapping.into_iter().flat_map(|mapping| &mapping.0).map(|(_, value)| self.template(value)).collect()
    }

    fn template(&mut self, text: &Spanned<Text>) -> Template {
        let text = Spanned { span: text.span, value: text.value.0.clone() };
        self.templates.parse(&text, self.source, &mut self.problems)
    }

    fn routes(&mut self, file: &ConfigFile) -> Vec<Route> {
        let task_names: Vec<&str> = file.tasks.names().collect();
        let mut seen: Vec<&str> = Vec::new();
        let mut routes = Vec::new();
        for route in &file.routes {
            self.check_name(route, &seen);
            seen.push(&route.name);
            let task = task_names.iter().position(|name| *name == route.run.as_str());
            if task.is_none() {
                self.problems.push(unknown_task(&route.run, &task_names));
            }
            if let (Some((event_pattern, pattern)), Some(task)) = (self.pattern(&route.on), task) {
                let buckets = route.on.s3.iter().flat_map(|s3| &s3.bucket.0).map(|bucket| bucket.0.clone()).collect();
                let (name, span) = (route.name.value.clone(), route.name.span);
                routes.push(Route { name, span, event_pattern, buckets, pattern, task });
            }
        }
        routes
    }

    fn check_name(&mut self, route: &RouteConfig, seen: &[&str]) {
        let name = &route.name;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
            let problem = Diagnostic::error(name.span, format!("`{}` cannot be a route's name", name.value));
            self.problems.push(problem.help("use 1 to 64 letters, digits, `-` and `_`"));
        }
        if seen.contains(&name.as_str()) {
            let problem = Diagnostic::error(name.span, format!("a route named `{}` stands above already", name.value));
            self.problems.push(problem.help("give each route its own name: launches are told apart by it"));
        }
    }

    fn pattern(&mut self, on: &Spanned<On>) -> Option<(crate::document::Node, Pattern)> {
        let node = match (&on.s3, &on.event_pattern) {
            (Some(s3), None) => s3.event_pattern(on.span),
            (None, Some(pattern)) => pattern.0.clone(),
            _ => {
                if self.is_read_whole(on.span) {
                    let problem = Diagnostic::error(on.span, "a route is on exactly one kind of event");
                    self.problems.push(problem.help("write either `s3: ...` or `event_pattern: ...` here"));
                }
                return None;
            }
        };
        match Pattern::parse(&node) {
            Ok(pattern) => {
                self.problems.extend(lint(&node, &pattern));
                Some((node, pattern))
            }
            Err(problems) => {
                let refused = |problem: Diagnostic| Diagnostic {
                    message: format!("EventBridge refuses this pattern: {}", problem.message),
                    ..problem
                };
                self.problems.extend(problems.into_iter().map(refused));
                None
            }
        }
    }
}

fn unknown_task(run: &Spanned<String>, names: &[&str]) -> Diagnostic {
    let problem = match did_you_mean(run, names.iter().copied()) {
        Some(meant) => Diagnostic::error(run.span, format!("unknown task `{}`; did you mean `{meant}`?", run.value)),
        None => Diagnostic::error(run.span, format!("unknown task `{}`", run.value)),
    };
    problem.help(match names {
        [] => "define it under `tasks`".to_owned(),
        names => format!("define it under `tasks`, or run one of {}", decode::list(names)),
    })
}

#[cfg(test)]
mod tests;
