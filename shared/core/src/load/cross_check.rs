//! Checks that relate one part of the config to another.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Loader;
use super::launching::remembers;
use crate::config::file::ConfigFile;
use crate::config::local::Local;
use crate::config::stack::StackConfig;
use crate::config::test::Expect;
use crate::event::{MESSAGE_FIELDS, Queue};
use crate::routing::{EventSource, Route, Task};
use crate::template::{
    ELEMENT_FIELDS, EVENT_BRIDGE_FIELDS, EVENT_FIELDS, NOTIFICATION_FIELDS, S3_FIELDS, SCHEDULE_FIELDS, all_fields,
};
use crate::text::Spanned;
use crate::text::diagnostic::{Diagnostic, Severity, hint};

impl Loader<'_> {
    /// Warns of templates that use a name which the route's events never have.
    pub(super) fn names_of_templates(&mut self, routes: &[Route], tasks: &[Task]) {
        // A name that no event has was reported as an error when the template was parsed.
        let known = all_fields();
        for route in routes {
            let mut given = [EVENT_FIELDS, if route.for_each.is_some() { ELEMENT_FIELDS } else { &[] }].concat();
            given.extend(match route.on {
                EventSource::Events(_) => [EVENT_BRIDGE_FIELDS, S3_FIELDS].concat(),
                EventSource::Schedule(_) => SCHEDULE_FIELDS.to_vec(),
                EventSource::Queue(_) => [MESSAGE_FIELDS, EVENT_BRIDGE_FIELDS, S3_FIELDS, NOTIFICATION_FIELDS].concat(),
            });
            let of_tasks = route.tasks.iter().filter_map(|task| tasks.get(*task)).flat_map(Task::templates);
            let of_key = route.concurrency.as_ref().and_then(|concurrency| concurrency.key.as_ref());
            for template in
                of_tasks.chain(&route.for_each).chain(of_key).filter(|template| !template.allows_for_absence())
            {
                let is_missing = |name: &&str| !given.contains(name) && known.contains(name);
                let missing = template.names().iter().map(String::as_str).filter(is_missing);
                for name in missing {
                    let message = format!("events of the route `{}` never have `{name}`", route.name);
                    let help = "run another task in this route, or add a default, as in `{{ name | default('-') }}`";
                    self.problems.push(Diagnostic::warning(template.span, message).help(help));
                }
            }
        }
    }

    pub(super) fn tests(&mut self, file: &ConfigFile) {
        let routes: Vec<&str> = file.routes().iter().map(|route| route.name.as_str()).collect();
        let tasks: Vec<&str> = file.tasks().names().collect();
        for test in file.tests.iter().flatten() {
            let given = [test.event.is_some(), test.message.is_some(), test.firing.is_some()];
            if given.iter().filter(|given| **given).count() != 1 && self.is_read_whole(test.span) {
                let message = "a test needs exactly one of `event`, `message` and `firing`";
                self.problems.push(Diagnostic::error(test.name.span, message).help("write one of them"));
            }
            if let Some(firing) = test.firing.as_ref().filter(|firing| firing.time.parse::<Timestamp>().is_err()) {
                let problem =
                    Diagnostic::error(firing.time.span, format!("`{}` is not a valid time", firing.time.value));
                self.problems.push(problem.help("write for example `2026-01-31T03:00:00Z`"));
            }
            if let Some(Spanned { value: Expect::Launches(launches), .. }) = &test.expect {
                for launch in launches {
                    launch.route.iter().for_each(|route| self.known("route", route, &routes));
                    launch.task.iter().for_each(|task| self.known("task", task, &tasks));
                }
            }
        }
    }

    /// Warns of an expected name that the config does not define. It is not an error: a test that cannot pass must not
    /// disable a deployed config, and with other environment variables the config may define the name.
    fn known(&mut self, what: &str, name: &Spanned<String>, names: &[&str]) {
        if self.has_all_tasks && self.has_all_routes && !names.contains(&name.as_str()) {
            let hint = hint(name, names.iter().copied());
            let problem = Diagnostic::warning(name.span, format!("unknown {what} `{}`{hint}", name.value));
            self.problems.push(problem.help("write a name that this config defines: otherwise the test cannot pass"));
        }
    }

    /// Reports invalid settings of the stack.
    pub(super) fn stack(&mut self, file: &ConfigFile) {
        if let Some(stack) = &file.stack {
            let queues = self.has_all_routes.then(|| (queues_of_routes(file), queues_of_workers(file)));
            stack.check(queues, &mut self.problems);
            if let Some(storage) = &file.storage {
                stack.check_prefix(storage, remembers(file), &mut self.problems);
            }
        }
        self.queues_that_no_function_can_read(file);
    }

    /// Reports routes on queues from which Lambda cannot receive, and an alarm topic and a key of another Region.
    fn queues_that_no_function_can_read(&mut self, file: &ConfigFile) {
        let default = StackConfig::default();
        let stack = file.stack.as_ref().unwrap_or(&default);
        let written = file.routes().iter().filter_map(|route| route.on.queue.as_ref());
        let queues: Vec<_> = written.filter_map(|text| Some((text.span, Queue::parse(text)?))).collect();
        for (span, queue) in &queues {
            if queue.account.is_none() && stack.creates_for_dead_letters(&queue.name) {
                let message = format!("the stack creates `{}` for dead letters, which no route can take", queue.name);
                let help = "read the dead letters and send them again, or use a queue that the stack does not create";
                self.problems.push(Diagnostic::error(*span, message).help(help));
            }
        }
        let of_queues = queues.iter().filter_map(|(span, queue)| Some((*span, queue.region.as_deref()?)));
        let of_topic = stack.alarm_topic.iter().filter_map(|topic| Some((topic.span, stack.alarm_topic_region()?)));
        let of_key = stack.kms_key.iter().filter_map(|key| Some((key.span, stack.kms_key_region()?)));
        let mut regions = of_queues.chain(of_topic).chain(of_key);
        let Some((_, first)) = regions.next() else { return };
        for (span, region) in regions.filter(|(_, region)| *region != first) {
            let message = format!("this is in the Region {region}, but another part of the stack is in {first}");
            let help = "write a config for each Region: a stack uses only queues, topics and keys of its own";
            self.problems.push(Diagnostic::error(span, message).help(help));
        }
    }

    /// Warns of tasks that nothing starts.
    pub(super) fn unused_tasks(&mut self, file: &ConfigFile) {
        if !self.is_without_errors() {
            return;
        }
        let of_routes = file.routes().iter().flat_map(|route| &route.run.0);
        let of_workers = file.workers.iter().flatten().filter_map(|worker| worker.run.as_ref());
        let run: HashSet<&str> = of_routes.chain(of_workers).map(|run| run.value.as_str()).collect();
        for (name, _) in file.tasks().0.iter().filter(|(name, _)| !run.contains(name.as_str())) {
            let problem = Diagnostic::warning(name.span, format!("no route or worker runs the task `{}`", name.value));
            self.problems.push(problem.help(format!("write `run: {}` in a route, or remove the task", name.value)));
        }
    }

    /// Returns whether the config is valid so far. If not, a name that seems to be missing may be in a part that could
    /// not be read.
    fn is_without_errors(&self) -> bool {
        self.has_all_routes && self.problems.iter().all(|problem| problem.severity == Severity::Warning)
    }

    /// Checks `local`, and warns of names that the rest of the config does not have.
    pub(super) fn local(&mut self, file: &ConfigFile, routes: &[Route], tasks: &[Task]) {
        let Some(local) = &file.local else { return };
        if self.is_without_errors() {
            self.names_of_local(local, file, routes, tasks);
        }
        for (_, queue) in local.queues.iter().flat_map(|queues| &queues.0) {
            if let Some(count) = queue.max_receive_count.as_ref().filter(|count| count.value == 0) {
                let problem = Diagnostic::error(count.span, "`max_receive_count` must be at least 1");
                self.problems.push(problem.help("write a number from 1"));
            }
        }
    }

    fn names_of_local(&mut self, local: &Local, file: &ConfigFile, routes: &[Route], tasks: &[Task]) {
        let queues = [queues_of_routes(file), queues_of_workers(file)].concat();
        let queues: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
        for (name, _) in local.queues.iter().flat_map(|queues| &queues.0) {
            self.used("no route or worker uses a queue", "a queue that a route or worker uses", name, &queues);
        }
        let patterns: Vec<_> = routes.iter().filter_map(Route::event_pattern).collect();
        // A pattern that is not in the short form may be about any bucket.
        if patterns.iter().all(|pattern| !pattern.buckets.is_empty()) {
            let of_routes = patterns.iter().flat_map(|pattern| &pattern.buckets);
            let buckets: Vec<&str> =
                of_routes.chain(file.storage.iter().map(|storage| &storage.bucket.0)).map(String::as_str).collect();
            for (name, _) in local.buckets.iter().flat_map(|buckets| &buckets.0) {
                self.used("no route uses a bucket", "a bucket that a route uses", name, &buckets);
            }
        }
        let services = file.workers.iter().flatten().filter_map(|worker| worker.service.as_ref());
        let services = services.map(|service| service.rsplit('/').next().unwrap_or_default());
        let families: Vec<&str> = tasks.iter().map(|task| task.fixed.family()).chain(services).collect();
        for (name, _) in local.task_definitions.iter().flat_map(|definitions| &definitions.0) {
            let what = "the family of a task's `task_definition`, or the service of workers";
            self.used("no task or worker uses a task definition", what, name, &families);
        }
    }

    /// Warns of a name under `local` that is not among the `names` that the rest of the config has.
    fn used(&mut self, none: &str, what: &str, name: &Spanned<String>, names: &[&str]) {
        if !names.contains(&name.as_str()) {
            let hint = hint(name, names.iter().copied());
            let problem = Diagnostic::warning(name.span, format!("{none} `{}`{hint}", name.value));
            self.problems.push(problem.help(format!("write the name of {what}, or remove this entry")));
        }
    }
}

fn queues_of_routes(file: &ConfigFile) -> Vec<Queue> {
    file.routes().iter().filter_map(|route| route.on.queue.as_ref()).filter_map(|queue| Queue::parse(queue)).collect()
}

fn queues_of_workers(file: &ConfigFile) -> Vec<Queue> {
    let all = file.workers.iter().flatten().flat_map(|worker| &worker.queue.0);
    all.filter_map(|queue| Queue::parse(queue)).collect()
}
