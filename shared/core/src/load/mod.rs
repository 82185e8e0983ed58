//! Turns the config's elements into a [`RoutingConfig`], and reports every problem instead of only the first.

mod cross_check;
mod event_source;
mod launching;
mod limits;
mod settings;
mod task;
#[cfg(test)]
mod tests;
mod workers;

use std::collections::BTreeSet;

use crate::config::file::{ConfigFile, IncludedFile};
pub use crate::config::interpolate::Variables;
use crate::config::interpolate::interpolate;
use crate::config::route::RouteConfig;
use crate::ecs::limits::TASKS_MAX;
use crate::event::identity::is_name;
use crate::routing::{EventSource, Route, RouteMatcher, RoutingConfig};
use crate::template::{Template, Templates};
use crate::text::decode::{self, Decode};
use crate::text::diagnostic::{Diagnostic, Severity, hint};
use crate::text::values::{Mapping, Text};
use crate::text::{Part, Source, Span, Spanned, yaml};
use launching::remembers;

impl RoutingConfig {
    /// Parses and checks a config without environment variables.
    ///
    /// # Errors
    /// The same as for [`Self::parse_with`].
    pub fn parse(source: Source) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_with(source, &|_| None)
    }

    /// Parses and checks a config. The caller has added the files that it [`includes`] to the source, in their order.
    ///
    /// # Errors
    /// The config has errors. Returns all errors and warnings, in the order of their positions.
    pub fn parse_with(source: Source, variables: Variables<'_>) -> Result<Self, Vec<Diagnostic>> {
        let (config, mut problems) = load(source, variables);
        problems.sort_by_key(|problem| problem.span);
        // An error in the defaults is found again in every task.
        problems.dedup();
        match config {
            Some(mut config) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
                config.warnings = problems;
                Ok(config)
            }
            _ => Err(problems),
        }
    }
}

/// Returns the paths of the files that a config includes, as written; none if the text does not parse.
pub fn includes(source: &Source, variables: Variables<'_>) -> Vec<Spanned<String>> {
    let Some(mut node) = source.parts().next().and_then(|part| yaml::parse(part.text).0) else { return Vec::new() };
    interpolate(&mut node, source, variables, &mut Vec::new());
    let paths: Option<Vec<Spanned<String>>> = node.get("include").and_then(|paths| Vec::decode(paths, &mut Vec::new()));
    paths.into_iter().flatten().filter(|path| lies_below(path)).collect()
}

/// Returns whether a path leads to a file in the config's folder or below it. Only such files have the same relative
/// path in S3.
fn lies_below(path: &str) -> bool {
    !path.starts_with('/') && !path.contains("://") && !path.split('/').any(|step| step == "..")
}

/// Returns the config, if the text can be read as one, and every problem.
fn load(source: Source, variables: Variables<'_>) -> (Option<RoutingConfig>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let Some(file) = read(&source, variables, &mut problems) else { return (None, problems) };
    let mut loader = Loader { source: &source, problems, templates: Templates::default() };
    let tasks = loader.tasks(&file);
    let routes = loader.routes(&file);
    // If a task is invalid, it is missing from `tasks`, and the routes' task positions do not apply.
    if tasks.len() == file.tasks().0.len() {
        loader.names_of_templates(&routes, &tasks);
    }
    let workers = loader.workers(&file, &tasks, &routes);
    loader.needs_the_ledger(&file);
    loader.tests(&file);
    loader.local(&file);
    loader.stack(&file);
    let Loader { problems, templates, .. } = loader;
    let events = RouteMatcher::new(&routes, |route| matches!(route.on, EventSource::Events(_)));
    let queues = routes.iter().filter_map(Route::queue).map(|queue| queue.name.clone());
    let of_queue =
        |name: &str| RouteMatcher::new(&routes, |route| route.queue().is_some_and(|queue| queue.name == name));
    let messages = queues.collect::<BTreeSet<_>>().into_iter().map(|name| (name.clone(), of_queue(&name))).collect();
    let remembers = remembers(&file);
    let config = RoutingConfig {
        events,
        messages,
        routes,
        workers,
        tasks,
        templates,
        local: file.local,
        remembers,
        storage: file.storage,
        stack: file.stack.unwrap_or_default(),
        tests: file.tests.unwrap_or_default(),
        etag: None,
        warnings: Vec::new(),
        source,
    };
    let mut problems = problems;
    problems.extend(launching::loops(&config));
    (Some(config), problems)
}

/// Reads the main file and adds the files that it includes.
fn read(source: &Source, variables: Variables<'_>, problems: &mut Vec<Diagnostic>) -> Option<ConfigFile> {
    let parse = |part: Part<'_>, problems: &mut Vec<Diagnostic>| {
        let (mut node, of_text) = yaml::parse_at(part.start, part.text);
        problems.extend(of_text);
        node.iter_mut().for_each(|node| interpolate(node, source, variables, problems));
        node
    };
    let mut parts = source.parts();
    let node = parts.next().and_then(|part| parse(part, problems))?;
    let mut file = ConfigFile::decode(&node, problems)?;
    for path in file.include.clone().unwrap_or_default() {
        if !lies_below(&path) {
            let problem = Diagnostic::error(path.span, format!("`{}` is outside this file's folder", path.value));
            problems.push(
                problem
                    .help("write a path in this folder or below it: `deploy` uploads no other files with the config"),
            );
            continue;
        }
        let Some(part) = parts.next() else {
            let problem = Diagnostic::error(path.span, format!("cannot read the included file `{}`", path.value));
            problems.push(problem.help("write a path relative to this file's folder"));
            continue;
        };
        let included = parse(part, problems).and_then(|node| IncludedFile::decode(&node, problems));
        included.into_iter().for_each(|included| file.add(included, problems));
    }
    file.check_whole(node.span, problems);
    Some(file)
}

/// Turns the file's elements into tasks, routes and workers, and collects every problem.
struct Loader<'a> {
    source: &'a Source,
    problems: Vec<Diagnostic>,
    templates: Templates,
}

impl Loader<'_> {
    /// Returns whether an element was read without problems. If not, a key that seems to be missing may be misspelled,
    /// which has been reported already.
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
        let task_names: Vec<&str> = file.tasks().names().collect();
        let mut seen: Vec<&str> = Vec::new();
        let mut routes = Vec::new();
        for route in file.routes() {
            self.check_name(route, &seen);
            seen.push(&route.name);
            let tasks = self.run(route, &task_names);
            self.copies(route, file);
            let for_each = route.for_each.as_ref().map(|text| self.list_template(text));
            if let (Some(large), None) = (&route.large_payload, &file.storage) {
                let problem = Diagnostic::error(large.span, "`large_payload` needs `storage`");
                self.problems.push(problem.help("add `storage: { bucket: NAME }` to the file"));
            }
            let concurrency =
                route.concurrency.as_ref().and_then(|concurrency| self.concurrency(concurrency, route, file));
            self.ignore_older(route);
            let ignore_older = route.ignore_older.as_ref().is_some_and(|ignore| ignore.value);
            let on = self.event_source(&route.on);
            if let (Some(on), Some(tasks)) = (on, tasks) {
                let (name, span) = (route.name.value.clone(), route.name.span);
                let large_payload = route.large_payload.is_some();
                routes.push(Route { name, span, on, tasks, for_each, concurrency, ignore_older, large_payload });
            }
        }
        routes
    }

    /// Reports a route that starts too many copies for one event.
    fn copies(&mut self, route: &RouteConfig, file: &ConfigFile) {
        let default = file.defaults.as_ref().and_then(|defaults| defaults.count.as_ref());
        let copies = |run: &Spanned<String>| {
            let count = file.tasks().get(run).and_then(|task| task.count.as_ref()).or(default);
            count.map_or(1, |count| u64::from(count.value))
        };
        let tasks = route.run.0.iter().map(copies).sum::<u64>();
        if let (Some(run), true) = (route.run.0.first(), route.run.0.len() > 1 && tasks > TASKS_MAX.into()) {
            let message = format!("this route starts {tasks} tasks for one event, but at most {TASKS_MAX} are allowed");
            self.problems.push(Diagnostic::error(run.span, message).help("lower the `count` of a task"));
        }
    }

    /// Returns the positions of the tasks that a route runs, or none if one of them is unknown or listed twice.
    fn run(&mut self, route: &RouteConfig, names: &[&str]) -> Option<Vec<usize>> {
        let mut tasks = Vec::new();
        for run in &route.run.0 {
            match names.iter().position(|name| *name == run.as_str()) {
                Some(task) if tasks.contains(&task) => {
                    let problem = Diagnostic::error(run.span, format!("duplicate task `{}`", run.value));
                    self.problems.push(problem.help("remove it; to start several copies, set the `count` of the task"));
                }
                Some(task) => tasks.push(task),
                None => self.problems.push(unknown_task(run, names)),
            }
        }
        (tasks.len() == route.run.0.len()).then_some(tasks)
    }

    fn list_template(&mut self, text: &Spanned<Text>) -> Template {
        let text = Spanned { span: text.span, value: text.value.0.clone() };
        self.templates.parse_list(&text, self.source, &mut self.problems)
    }

    fn check_name(&mut self, route: &RouteConfig, seen: &[&str]) {
        let name = &route.name;
        if !is_name(name) {
            let problem = Diagnostic::error(name.span, format!("`{}` is not a valid route name", name.value));
            self.problems.push(problem.help("use 1 to 64 letters, digits, `-` and `_`"));
        }
        if seen.contains(&name.as_str()) {
            let problem = Diagnostic::error(name.span, format!("duplicate route name `{}`", name.value));
            self.problems.push(problem.help("give each route a unique name: launches are identified by it"));
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
