//! Checks that relate one part of the config to another.

use jiff::Timestamp;

use super::Loader;
use crate::config::file::ConfigFile;
use crate::config::test::Expect;
use crate::event::{MESSAGE_FIELDS, Queue};
use crate::routing::{EventSource, Route, Task};
use crate::template::{ELEMENT_FIELDS, EVENT_BRIDGE_FIELDS, EVENT_FIELDS, S3_FIELDS, SCHEDULE_FIELDS, all_fields};
use crate::text::Spanned;
use crate::text::diagnostic::{Diagnostic, hint};

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
                EventSource::Queue(_) => [MESSAGE_FIELDS, EVENT_BRIDGE_FIELDS, S3_FIELDS].concat(),
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
        if !names.contains(&name.as_str()) {
            let hint = hint(name, names.iter().copied());
            let problem = Diagnostic::warning(name.span, format!("unknown {what} `{}`{hint}", name.value));
            self.problems.push(problem.help("write a name that this config defines: otherwise the test cannot pass"));
        }
    }

    /// Reports invalid settings of the stack.
    pub(super) fn stack(&mut self, file: &ConfigFile) {
        if let Some(stack) = &file.stack {
            stack.check(&queues_of_routes(file), &queues_of_workers(file), &mut self.problems);
        }
    }

    /// Checks `local`, and warns of queues that no route or worker uses.
    pub(super) fn local(&mut self, file: &ConfigFile) {
        let Some(local) = &file.local else { return };
        let queues = queues(file);
        for (name, queue) in local.queues.iter().flat_map(|queues| &queues.0) {
            if !queues.iter().any(|queue| queue.name == name.value) {
                let hint = hint(name, queues.iter().map(|queue| queue.name.as_str()));
                let problem =
                    Diagnostic::warning(name.span, format!("no route or worker uses a queue `{}`{hint}", name.value));
                self.problems
                    .push(problem.help("write the name of a queue that a route or worker uses, or remove this entry"));
            }
            if let Some(count) = queue.max_receive_count.as_ref().filter(|count| count.value == 0) {
                let problem = Diagnostic::error(count.span, "`max_receive_count` must be at least 1");
                self.problems.push(problem.help("write a number from 1"));
            }
        }
    }
}

/// Returns the queues of routes and workers.
fn queues(file: &ConfigFile) -> Vec<Queue> {
    [queues_of_routes(file), queues_of_workers(file)].concat()
}

fn queues_of_routes(file: &ConfigFile) -> Vec<Queue> {
    file.routes().iter().filter_map(|route| route.on.queue.as_ref()).filter_map(|queue| Queue::parse(queue)).collect()
}

fn queues_of_workers(file: &ConfigFile) -> Vec<Queue> {
    let all = file.workers.iter().flatten().flat_map(|worker| &worker.queue.0);
    all.filter_map(|queue| Queue::parse(queue)).collect()
}
