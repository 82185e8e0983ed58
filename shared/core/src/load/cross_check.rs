//! Whether what stands in one place of the config fits what stands in others.

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
    /// Warns of names that a route's events never have, in templates of the tasks that it runs.
    pub(super) fn names_of_templates(&mut self, routes: &[Route], tasks: &[Task]) {
        // What no event has was an error already.
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
                    let message = format!("the events of the route `{}` never have `{name}`", route.name);
                    let help = "run another task by this route, or give a default, as in `{{ name | default('-') }}`";
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
                let message = "a test has exactly one of `event`, `message` and `firing`";
                self.problems.push(Diagnostic::error(test.name.span, message).help("write one of them"));
            }
            if let Some(firing) = test.firing.as_ref().filter(|firing| firing.time.parse::<Timestamp>().is_err()) {
                let problem = Diagnostic::error(firing.time.span, format!("`{}` is no time", firing.time.value));
                self.problems.push(problem.help("write one such as `2026-01-31T03:00:00Z`"));
            }
            if let Some(Spanned { value: Expect::Launches(launches), .. }) = &test.expect {
                for launch in launches {
                    launch.route.iter().for_each(|route| self.known("route", route, &routes));
                    launch.task.iter().for_each(|task| self.known("task", task, &tasks));
                }
            }
        }
    }

    /// Warns of an expected name that nothing bears. A test that cannot pass is no reason to refuse the config where it is in
    /// force: with another environment it may.
    fn known(&mut self, what: &str, name: &Spanned<String>, names: &[&str]) {
        if !names.contains(&name.as_str()) {
            let hint = hint(name, names.iter().copied());
            let problem = Diagnostic::warning(name.span, format!("there is no {what} `{}`{hint}", name.value));
            self.problems.push(problem.help("the test cannot pass; name one of this config"));
        }
    }

    /// Notes what the stack cannot be told.
    pub(super) fn stack(&mut self, file: &ConfigFile) {
        if let Some(stack) = &file.stack {
            stack.check(&queues_of_routes(file), &queues_of_workers(file), &mut self.problems);
        }
    }

    /// Warns of what `dev` is told about things that no route names.
    pub(super) fn local(&mut self, file: &ConfigFile) {
        let Some(local) = &file.local else { return };
        let queues = queues(file);
        for (name, queue) in local.queues.iter().flat_map(|queues| &queues.0) {
            if !queues.iter().any(|queue| queue.name == name.value) {
                let hint = hint(name, queues.iter().map(|queue| queue.name.as_str()));
                let problem = Diagnostic::warning(
                    name.span,
                    format!("no route is on a queue `{}`, and no worker{hint}", name.value),
                );
                self.problems.push(problem.help("remove it, or name it as a route or worker does"));
            }
            if let Some(count) = queue.max_receive_count.as_ref().filter(|count| count.value == 0) {
                let problem = Diagnostic::error(count.span, "a message is received at least once");
                self.problems.push(problem.help("write a number from 1"));
            }
        }
    }
}

/// The queues that routes are on, and workers.
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
