//! Turns the config's elements into a [`RoutingConfig`], and reports every problem instead of only the first.

mod cross_check;
mod event_source;
mod launching;
mod limits;
mod placeholder;
mod settings;
mod task;
#[cfg(test)]
mod tests;
mod workers;

use crate::config::file::{ConfigFile, IncludedFile};
pub use crate::config::interpolate::Variables;
use crate::config::interpolate::{Unresolved, interpolate};
use crate::config::root;
use crate::config::route::RouteConfig;
use crate::ecs::limits::TASKS_MAX;
use crate::event::identity::is_name;
use crate::routing::{Route, RouteMatcher, RoutingConfig};
use crate::template::{Template, Templates};
use crate::text::decode::{self, Decode};
use crate::text::diagnostic::{Diagnostic, Severity, hint};
use crate::text::values::{Mapping, Text};
use crate::text::{Kind, Node, Part, Source, Span, Spanned, yaml};
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
        let mut seen: Vec<Diagnostic> = Vec::new();
        for problem in problems {
            let same_place = seen.iter().rev().take_while(|known| known.span == problem.span);
            if !same_place.clone().any(|known| *known == problem) {
                seen.push(problem);
            }
        }
        let problems = seen;
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
    let (Some(mut node), _) = root(source, &mut Vec::new()) else { return Vec::new() };
    interpolate(&mut node, source, variables, &mut Unresolved::default());
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
    let (mut problems, mut unresolved) = (Vec::new(), Unresolved::default());
    let Some(Read { mut file, has_all_tasks, has_all_routes }) =
        read(&source, variables, &mut problems, &mut unresolved)
    else {
        return (None, unresolved.and(problems));
    };
    file.put_prefix(&mut problems);
    let has_all_routes = has_all_routes && unresolved.problems.is_empty();
    let templates = Templates::default();
    let mut loader = Loader { source: &source, problems, templates, has_all_tasks, has_all_routes };
    let tasks = loader.tasks(&file);
    let routes = loader.routes(&file);
    // If a task is invalid, it is missing from `tasks`, and the routes' task positions do not apply.
    if tasks.len() == file.tasks().0.len() {
        loader.names_of_templates(&routes, &tasks);
    }
    let workers = loader.workers(&file, &tasks, &routes);
    loader.needs_the_ledger(&file);
    loader.tests(&file);
    loader.local(&file, &routes, &tasks);
    loader.stack(&file);
    loader.unused_tasks(&file);
    let Loader { problems, templates, .. } = loader;
    let (events, messages) = RouteMatcher::of_sources(&routes);
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
    let mut problems = unresolved.and(problems);
    problems.extend(launching::loops(&config));
    (Some(config), problems)
}

/// The elements of the files.
struct Read {
    file: ConfigFile,
    /// Whether every task is known by its name. If not, a name that is unknown may be that of a task.
    has_all_tasks: bool,
    /// Whether every route and every worker was read as a whole.
    has_all_routes: bool,
}

/// Reads the main file and adds the files that it includes.
fn read(
    source: &Source,
    variables: Variables<'_>,
    problems: &mut Vec<Diagnostic>,
    unresolved: &mut Unresolved,
) -> Option<Read> {
    let (node, mut parts) = root(source, problems);
    let mut node = node?;
    interpolate(&mut node, source, variables, unresolved);
    let mut parse = |part: Part<'_>, problems: &mut Vec<Diagnostic>| {
        let (mut node, of_text) = yaml::parse_at(part.start, part.text);
        problems.extend(of_text);
        node.iter_mut().for_each(|node| interpolate(node, source, variables, unresolved));
        node
    };
    let mut file = ConfigFile::decode(&node, problems)?;
    let workers = |workers: &Option<Vec<_>>| workers.as_ref().map_or(0, Vec::len);
    let mut has_all_tasks = is_read(&node, "tasks", file.tasks().0.len());
    let mut has_all_routes =
        is_read(&node, "routes", file.routes().len()) && is_read(&node, "workers", workers(&file.workers));
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
            (has_all_tasks, has_all_routes) = (false, false);
            continue;
        };
        let included = parse(part, problems).and_then(|node| Some((IncludedFile::decode(&node, problems)?, node)));
        let Some((included, node)) = included else {
            (has_all_tasks, has_all_routes) = (false, false);
            continue;
        };
        has_all_tasks &= is_read(&node, "tasks", included.tasks.as_ref().map_or(0, |tasks| tasks.0.len()));
        has_all_routes &= is_read(&node, "routes", included.routes.as_ref().map_or(0, Vec::len));
        has_all_routes &= is_read(&node, "workers", workers(&included.workers));
        file.add(included, problems);
    }
    file.check_whole(&node, problems);
    Some(Read { file, has_all_tasks, has_all_routes })
}

/// Returns whether all elements of a file's list or mapping are among the `count` that were read.
fn is_read(file: &Node, key: &str, count: usize) -> bool {
    match file.get(key).map(|elements| &elements.kind) {
        None => true,
        Some(Kind::Array(elements)) => elements.len() == count,
        Some(Kind::Object(entries)) => entries.len() == count,
        Some(_) => false,
    }
}

/// Turns the file's elements into tasks, routes and workers, and collects every problem.
struct Loader<'a> {
    source: &'a Source,
    problems: Vec<Diagnostic>,
    templates: Templates,
    has_all_tasks: bool,
    has_all_routes: bool,
}

impl Loader<'_> {
    /// Returns whether an element was read without problems. If not, a key that seems to be missing may be misspelled,
    /// which has been reported already.
    fn is_read_whole(&self, element: Span) -> bool {
        // An element that is missing, as in `t:`, has no length.
        let inside =
            |problem: &Diagnostic| (element.start..element.end.max(element.start + 1)).contains(&problem.span.start);
        !self.problems.iter().any(inside)
    }

    fn template_values(&mut self, mapping: Option<&Mapping<Spanned<Text>>>) -> Vec<Template> {
        mapping.into_iter().flat_map(|mapping| &mapping.0).map(|(_, value)| self.template(value)).collect()
    }

    fn template(&mut self, text: &Spanned<Text>) -> Template {
        let text = Spanned { span: text.span, value: text.value.0.clone() };
        self.problems.extend(placeholder::of_others(&text, self.source));
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
            let max_at_once = self.max_at_once(route, file);
            self.ignore_older(route);
            let ignore_older = route.ignore_older.as_ref().is_some_and(|ignore| ignore.value);
            let on = self.event_source(&route.on);
            if let (Some(on), Some(tasks)) = (on, tasks) {
                let (name, span) = (route.name.value.clone(), route.name.span);
                let large_payload = route.large_payload.is_some();
                routes.push(Route {
                    name,
                    span,
                    on,
                    tasks,
                    for_each,
                    max_at_once,
                    concurrency,
                    ignore_older,
                    large_payload,
                });
            }
        }
        routes
    }

    /// Reports a route that starts too many copies for one event.
    fn copies(&mut self, route: &RouteConfig, file: &ConfigFile) {
        let tasks = launching::of_event(route, file);
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
                None => self.unknown_task(run, names),
            }
        }
        (tasks.len() == route.run.0.len()).then_some(tasks)
    }

    fn unknown_task(&mut self, run: &Spanned<String>, names: &[&str]) {
        if self.has_all_tasks {
            let hint = hint(run, names.iter().copied());
            let problem = Diagnostic::error(run.span, format!("unknown task `{}`{hint}", run.value));
            self.problems.push(problem.help(match names {
                [] => "define it under `tasks`".to_owned(),
                names => format!("define it under `tasks`, or run one of {}", decode::list(names)),
            }));
        }
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
