//! From the file's elements to tasks and routes, every problem noted.

use std::collections::BTreeSet;

use super::decode::{self, Decode};
use super::file::{ConfigFile, IncludedFile};
use super::interpolate::{Variables, interpolate};
use super::route::{CatchUpConfig, On, RouteConfig, ScheduleState, Unmatched};
use super::task::TaskSettings;
use super::test::Expect;
use super::text::{Mapping, Text};
use super::{
    ContainerTemplates, EventPattern, EventSource, MessageSource, Route, RouteMatcher, RoutingConfig, Task, check,
};
use crate::diagnostic::{Diagnostic, hint};
use crate::document::{Entry, Kind, Node, Part, Source, Span, Spanned, yaml};
use crate::event::Queue;
use crate::pattern::Pattern;
use crate::pattern::lint::{lint, lint_message};
use crate::schedule::{CatchUp, Schedule, ScheduleExpression, time_zone, time_zone_names};
use crate::template::{
    ELEMENT_FIELDS, EVENT_BRIDGE_FIELDS, EVENT_FIELDS, MESSAGE_FIELDS, S3_FIELDS, SCHEDULE_FIELDS, Template, Templates,
    all_fields,
};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The files that a config includes, as they are named in it: nothing where the text cannot be read.
pub fn includes(source: &Source, variables: Variables<'_>) -> Vec<Spanned<String>> {
    let Some(mut node) = source.parts().next().and_then(|part| yaml::parse(part.text).0) else { return Vec::new() };
    interpolate(&mut node, source, variables, &mut Vec::new());
    node.get("include").and_then(|include| Vec::decode(include, &mut Vec::new())).unwrap_or_default()
}

/// The config, as far as the text can be read as one, and every problem.
pub(super) fn load(source: Source, variables: Variables<'_>) -> (Option<RoutingConfig>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let Some(file) = read(&source, variables, &mut problems) else { return (None, problems) };
    let mut loader = Loader { source: &source, problems, templates: Templates::default() };
    let tasks = loader.tasks(&file);
    let routes = loader.routes(&file);
    loader.names_of_templates(&routes, &tasks);
    loader.tests(&file);
    loader.local(&file);
    let Loader { problems, templates, .. } = loader;
    let events = RouteMatcher::new(&routes, |route| matches!(route.on, EventSource::Events(_)));
    let queues = routes.iter().filter_map(Route::queue).map(|queue| queue.name.clone());
    let of_queue =
        |name: &str| RouteMatcher::new(&routes, |route| route.queue().is_some_and(|queue| queue.name == name));
    let messages = queues.collect::<BTreeSet<_>>().into_iter().map(|name| (name.clone(), of_queue(&name))).collect();
    let config = RoutingConfig {
        events,
        messages,
        routes,
        tasks,
        templates,
        local: file.local,
        storage: file.storage,
        tests: file.tests.unwrap_or_default(),
        etag: None,
        warnings: Vec::new(),
        source,
    };
    (Some(config), problems)
}

/// Reads the file, and adds those that it includes.
fn read(source: &Source, variables: Variables<'_>, problems: &mut Vec<Diagnostic>) -> Option<ConfigFile> {
    let parse = |part: Part<'_>, problems: &mut Vec<Diagnostic>| {
        let (mut node, of_text) = yaml::parse_at(part.start, part.text);
        problems.extend(of_text);
        node.iter_mut().for_each(|node| interpolate(node, source, variables, problems));
        node
    };
    let mut parts = source.parts();
    let mut file = ConfigFile::decode(&parts.next().and_then(|part| parse(part, problems))?, problems)?;
    for path in file.include.clone().unwrap_or_default() {
        if path.starts_with('/') || path.contains("://") || path.split('/').any(|step| step == "..") {
            let problem = Diagnostic::error(path.span, format!("`{}` leads out of this file's folder", path.value));
            problems.push(
                problem.help("name a file in the folder, or below it: only those lie beside the config in S3 as well"),
            );
        }
        let Some(part) = parts.next() else {
            let problem = Diagnostic::error(path.span, format!("the included file `{}` cannot be read", path.value));
            problems.push(problem.help("name a file relative to this one's folder"));
            continue;
        };
        let included = parse(part, problems).and_then(|node| IncludedFile::decode(&node, problems));
        included.into_iter().for_each(|included| file.add(included, problems));
    }
    Some(file)
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
            let tasks = self.run(route, &task_names);
            let for_each = route.for_each.as_ref().map(|text| self.list_template(text));
            if let (Some(large), None) = (&route.large_payload, &file.storage) {
                let problem = Diagnostic::error(large.span, "there is no place for large payloads");
                self.problems.push(problem.help("add `storage: { bucket: NAME }` to the file"));
            }
            let on = self.event_source(&route.on);
            if let (Some(on), Some(tasks)) = (on, tasks) {
                let (name, span) = (route.name.value.clone(), route.name.span);
                routes.push(Route { name, span, on, tasks, for_each, large_payload: route.large_payload.is_some() });
            }
        }
        routes
    }

    /// The positions of the tasks that a route runs.
    fn run(&mut self, route: &RouteConfig, names: &[&str]) -> Option<Vec<usize>> {
        let mut tasks = Vec::new();
        for run in &route.run.0 {
            match names.iter().position(|name| *name == run.as_str()) {
                Some(task) if tasks.contains(&task) => {
                    let problem = Diagnostic::error(run.span, format!("the task `{}` stands twice here", run.value));
                    self.problems.push(problem.help("for several copies, give the task a `count`"));
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

    /// Warns of names that a route's events never have, in templates of the tasks that it runs.
    fn names_of_templates(&mut self, routes: &[Route], tasks: &[Task]) {
        for route in routes {
            let mut given = [EVENT_FIELDS, if route.for_each.is_some() { ELEMENT_FIELDS } else { &[] }].concat();
            given.extend(match route.on {
                EventSource::Events(_) => [EVENT_BRIDGE_FIELDS, S3_FIELDS].concat(),
                EventSource::Schedule(_) => SCHEDULE_FIELDS.to_vec(),
                EventSource::Queue(_) => [MESSAGE_FIELDS, EVENT_BRIDGE_FIELDS, S3_FIELDS].concat(),
            });
            let of_tasks = route.tasks.iter().flat_map(|task| tasks[*task].templates());
            for template in of_tasks.chain(&route.for_each).filter(|template| !template.allows_for_absence()) {
                // What no event has was an error already.
                let known = all_fields();
                let is_missing = |name: &&str| !given.contains(name) && known.contains(name);
                let missing = template.names().iter().map(String::as_str).filter(is_missing);
                for name in missing {
                    let message = format!("the events of the route `{}` never have `{name}`", route.name);
                    let help = "run another task by this route, or give a default, as in `{{ name | default('-') }}`";
                    self.problems.push(Diagnostic::warning(template.span, message).help(help));
                }
            }
        }
    }

    fn tests(&mut self, file: &ConfigFile) {
        let routes: Vec<&str> = file.routes.iter().map(|route| route.name.as_str()).collect();
        let tasks: Vec<&str> = file.tasks.names().collect();
        for test in file.tests.iter().flatten() {
            let given = [test.event.is_some(), test.message.is_some(), test.firing.is_some()];
            if given.iter().filter(|given| **given).count() != 1 && self.is_read_whole(test.span) {
                let message = "a test has exactly one of `event`, `message` and `firing`";
                self.problems.push(Diagnostic::error(test.name.span, message).help("write one of them"));
            }
            if let Some(firing) = &test.firing {
                if firing.time.parse::<Timestamp>().is_err() {
                    let problem = Diagnostic::error(firing.time.span, format!("`{}` is no time", firing.time.value));
                    self.problems.push(problem.help("write one such as `2026-01-31T03:00:00Z`"));
                }
                self.known("route", &firing.route, &routes);
            }
            if let Some(message) = &test.message
                && Queue::parse(&message.queue).is_none()
            {
                let problem =
                    Diagnostic::error(message.queue.span, format!("`{}` names no queue", message.queue.value));
                self.problems.push(problem.help("write the queue's name"));
            }
            if let Some(Spanned { value: Expect::Launches(launches), .. }) = &test.expect {
                for launch in launches {
                    launch.route.iter().for_each(|route| self.known("route", route, &routes));
                    launch.task.iter().for_each(|task| self.known("task", task, &tasks));
                }
            }
        }
    }

    /// Reports a name that nothing bears.
    fn known(&mut self, what: &str, name: &Spanned<String>, names: &[&str]) {
        if !names.contains(&name.as_str()) {
            let hint = hint(name, names.iter().copied());
            let problem = Diagnostic::error(name.span, format!("unknown {what} `{}`{hint}", name.value));
            self.problems.push(problem.help(format!("name a {what} of this config")));
        }
    }

    /// Warns of what `dev` is told about things that no route names.
    fn local(&mut self, file: &ConfigFile) {
        let Some(local) = &file.local else { return };
        let queues: Vec<String> =
            file.routes.iter().filter_map(|route| Some(Queue::parse(route.on.queue.as_ref()?)?.name)).collect();
        for (name, queue) in local.queues.iter().flat_map(|queues| &queues.0) {
            if !queues.contains(&name.value) {
                let hint = hint(name, queues.iter().map(String::as_str));
                let problem = Diagnostic::warning(name.span, format!("no route is on a queue `{}`{hint}", name.value));
                self.problems.push(problem.help("remove it, or name it as a route does"));
            }
            if let Some(count) = queue.max_receive_count.as_ref().filter(|count| count.value == 0) {
                let problem = Diagnostic::error(count.span, "a message is received at least once");
                self.problems.push(problem.help("write a number from 1"));
            }
        }
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

    fn event_source(&mut self, on: &Spanned<On>) -> Option<EventSource> {
        self.keys_of_other_sources(on);
        match (&on.schedule, &on.queue, &on.s3, &on.event_pattern) {
            (Some(expression), None, None, None) => self.schedule(on, expression).map(EventSource::Schedule),
            (None, Some(queue), s3, pattern) if s3.is_none() || pattern.is_none() => self.queue(on, queue),
            (None, None, Some(s3), None) => {
                let buckets = s3.bucket.0.iter().map(|bucket| bucket.0.clone()).collect();
                self.event_pattern(s3.event_pattern(on.span), buckets, lint).map(EventSource::Events)
            }
            (None, None, None, Some(pattern)) => {
                self.event_pattern(pattern.0.clone(), Vec::new(), lint).map(EventSource::Events)
            }
            _ => {
                if self.is_read_whole(on.span) {
                    let problem = Diagnostic::error(on.span, "a route is on exactly one kind of event");
                    self.problems.push(problem.help("write `s3`, `event_pattern`, `schedule` or `queue` here; beside `queue` one of `s3` and `event_pattern` may choose"));
                }
                None
            }
        }
    }

    /// Reports keys that mean nothing for the route's kind of event.
    fn keys_of_other_sources(&mut self, on: &Spanned<On>) {
        let of_schedule = [
            ("timezone", on.timezone.is_some()),
            ("start", on.start.is_some()),
            ("end", on.end.is_some()),
            ("flexible_window", on.flexible_window.is_some()),
            ("state", on.state.is_some()),
            ("input", on.input.is_some()),
            ("catch_up", on.catch_up.is_some()),
        ];
        let of_schedule = of_schedule.map(|(key, given)| (key, given, "schedule", on.schedule.is_some()));
        let of_queue = [("unmatched", on.unmatched.is_some(), "queue", on.queue.is_some())];
        for (key, given, source, is_there) in of_schedule.into_iter().chain(of_queue) {
            if given && !is_there {
                let problem = Diagnostic::error(on.span, format!("`{key}` means something only beside `{source}`"));
                self.problems.push(problem.help(format!("remove `{key}`, or add `{source}: ...`")));
            }
        }
    }

    fn event_pattern(
        &mut self,
        node: Node,
        buckets: Vec<String>,
        lint: fn(&Node, &Pattern) -> Vec<Diagnostic>,
    ) -> Option<EventPattern> {
        match Pattern::parse(&node) {
            Ok(pattern) => {
                self.problems.extend(lint(&node, &pattern));
                Some(EventPattern { node, buckets, pattern })
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

    fn queue(&mut self, on: &Spanned<On>, queue: &Spanned<String>) -> Option<EventSource> {
        let pattern = match (&on.s3, &on.event_pattern) {
            // A message about an object holds the event below `body`.
            (Some(s3), _) => {
                Some((below("body", s3.event_pattern(on.span)), s3.bucket.0.iter().map(|b| b.0.clone()).collect()))
            }
            (None, Some(pattern)) => Some((pattern.0.clone(), Vec::new())),
            (None, None) => None,
        };
        let pattern = match pattern {
            Some((node, buckets)) => Some(self.event_pattern(node, buckets, lint_message)?),
            None => None,
        };
        let Some(parsed) = Queue::parse(queue) else {
            let problem = Diagnostic::error(queue.span, format!("`{}` names no queue", queue.value));
            self.problems.push(problem.help(
                "write its name (letters, digits, `-` and `_`, at most 80; a FIFO queue's ends in `.fifo`), its ARN, or its URL",
            ));
            return None;
        };
        if !parsed.has_legal_place() {
            let problem = Diagnostic::error(queue.span, format!("`{}` is in no Region or account of AWS", queue.value));
            self.problems.push(problem.help("an account has 12 digits; the queue's name alone is enough"));
        }
        let unmatched = on.unmatched.unwrap_or(Unmatched::Ignore);
        Some(EventSource::Queue(MessageSource { queue: parsed, pattern, unmatched }))
    }

    fn schedule(&mut self, on: &On, text: &Spanned<String>) -> Option<Schedule> {
        let timezone = match &on.timezone {
            None => Some(TimeZone::UTC),
            Some(name) => {
                let zone = time_zone(name);
                if zone.is_none() {
                    let names = time_zone_names();
                    let hint = hint(name, names.iter().map(String::as_str));
                    let problem = Diagnostic::error(name.span, format!("unknown time zone `{}`{hint}", name.value));
                    self.problems.push(problem.help("write an IANA name such as `Europe/Berlin`, or `UTC`"));
                }
                zone
            }
        };
        let expression = match ScheduleExpression::parse(text) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let span = self.source.place_within(text.span, text, error.part);
                self.problems.push(Diagnostic::error(span, error.message).help(error.help));
                None
            }
        };
        let window = on.flexible_window.as_ref().and_then(|window| self.window_minutes(window));
        let timezone = timezone?;
        let start = on.start.as_ref().and_then(|time| self.time(time, &timezone));
        let end = on.end.as_ref().and_then(|time| self.time(time, &timezone));
        if let (Some(start), Some(end), Some(text)) = (start, end, &on.end)
            && end <= start
        {
            let problem = Diagnostic::error(text.span, "the schedule ends before it starts");
            self.problems.push(problem.help("write an `end` after the `start`"));
        }
        let schedule = Schedule {
            expression: expression?,
            text: text.value.clone(),
            timezone,
            start,
            end,
            flexible_window_minutes: window,
            enabled: on.state != Some(ScheduleState::Disabled),
            input: on.input.as_ref().map(|input| input.0.clone()),
            catch_up: on.catch_up.map(|catch_up| match catch_up {
                CatchUpConfig::None => CatchUp::None,
                CatchUpConfig::Last => CatchUp::Last,
            }),
        };
        let is_reversed = matches!((start, end), (Some(start), Some(end)) if end <= start);
        if !is_reversed && schedule.next_after(Timestamp::MIN, Timestamp::UNIX_EPOCH).is_none() {
            let problem = Diagnostic::error(text.span, "this schedule never fires");
            let help = "clocks of its time zone never show such a time between its start and its end";
            self.problems.push(problem.help(help));
        }
        Some(schedule)
    }

    fn window_minutes(&mut self, window: &Spanned<super::text::Duration>) -> Option<u32> {
        let seconds = window.0.as_secs();
        let minutes = u32::try_from(seconds / 60).ok().filter(|minutes| (1..=1440).contains(minutes));
        if minutes.is_none() || !seconds.is_multiple_of(60) {
            let problem = Diagnostic::error(window.span, "a flexible window is 1 minute to 24 hours, in whole minutes");
            self.problems.push(problem.help("write, for example, `15m`"));
        }
        minutes
    }

    /// A time with an offset, or a time in the schedule's zone.
    fn time(&mut self, text: &Spanned<String>, timezone: &TimeZone) -> Option<Timestamp> {
        let local = || text.parse::<DateTime>().ok()?.to_zoned(timezone.clone()).ok().map(|zoned| zoned.timestamp());
        let time = text.parse::<Timestamp>().ok().or_else(local);
        if time.is_none() {
            let problem = Diagnostic::error(text.span, format!("`{}` is no time", text.value));
            self.problems
                .push(problem.help("write `2026-12-01T00:00:00` in the schedule's zone, or with an offset or `Z`"));
        }
        time
    }
}

/// A pattern one level further down.
fn below(key: &str, pattern: Node) -> Node {
    let entry = Entry { key: Spanned { span: pattern.span, value: key.to_owned() }, value: pattern.clone() };
    Node { span: pattern.span, kind: Kind::Object(vec![entry]) }
}

fn unknown_task(run: &Spanned<String>, names: &[&str]) -> Diagnostic {
    let hint = hint(run, names.iter().copied());
    Diagnostic::error(run.span, format!("unknown task `{}`{hint}", run.value)).help(match names {
        [] => "define it under `tasks`".to_owned(),
        names => format!("define it under `tasks`, or run one of {}", decode::list(names)),
    })
}
