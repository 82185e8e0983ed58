//! From the file's elements to tasks and routes, every problem noted.

use super::decode::{self, Decode};
use super::file::ConfigFile;
use super::route::{On, RouteConfig};
use super::task::TaskSettings;
use super::text::{Mapping, Text};
use super::{ContainerTemplates, Route, RoutingConfig, Task, check};
use crate::diagnostic::{Diagnostic, hint};
use crate::document::{Node, Source, Span, Spanned, yaml};
use crate::pattern::Pattern;
use crate::pattern::lint::lint;
use crate::pattern::matcher::Matcher;
use crate::template::{Template, Templates};

/// The config, as far as the text can be read as one, and every problem.
pub(super) fn load(source: Source) -> (Option<RoutingConfig>, Vec<Diagnostic>) {
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

    fn pattern(&mut self, on: &Spanned<On>) -> Option<(Node, Pattern)> {
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
    let hint = hint(run, names.iter().copied());
    Diagnostic::error(run.span, format!("unknown task `{}`{hint}", run.value)).help(match names {
        [] => "define it under `tasks`".to_owned(),
        names => format!("define it under `tasks`, or run one of {}", decode::list(names)),
    })
}
