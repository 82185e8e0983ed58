//! What `dev` shows: outcomes as happenings, and their totals.

use std::sync::atomic::Ordering;

use trigger_core::event::identity::LaunchKey;
use trigger_core::history::why_skipped;
use trigger_core::launch::{self, Conclusion};
use trigger_engine::{EventError, LaunchReport, Outcome};

use super::Dev;
use crate::folders::queue::FolderQueue;
use crate::happening::Happening;
use crate::payloads::STATE_FOLDER;

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Shows the queues' folders and when schedules fire.
    pub(super) fn introduce(&mut self, once: bool) {
        for queue in &self.queues {
            (self.show)(&introduced(queue));
        }
        for queue in self
            .scaling
            .iter()
            .flat_map(|scaling| scaling.endpoint.state().queues.iter().map(introduced).collect::<Vec<_>>())
        {
            (self.show)(&queue);
        }
        for (route, next) in self.timetable.coming().filter(|_| !once) {
            (self.show)(&Happening::Scheduled { route: route.to_owned(), next });
        }
    }

    pub(super) fn report(&mut self, result: Result<LaunchReport, EventError>) {
        let report = match result {
            Ok(report) | Err(EventError::Launch(report)) => report,
            Err(error) => return self.refuse(error.to_string()),
        };
        match report.superseded_by {
            Some(next) => (self.show)(&Happening::Superseded { next }),
            None if report.routes.is_empty() => (self.show)(&Happening::Ignored),
            None if report.launches.is_empty() => (self.show)(&Happening::EmptyList { routes: report.routes }),
            None => {}
        }
        for launch in report.launches {
            match launch.outcome {
                Outcome::Launched { task_arns } => {
                    let tasks = task_arns.iter().filter_map(|arn| arn.rsplit('/').next()).map(str::to_owned).collect();
                    (self.show)(&Happening::Launched { route: launch.route, task_name: launch.task, tasks });
                }
                Outcome::Duplicate { .. } => (self.show)(&Happening::Duplicate { route: launch.route }),
                Outcome::Skipped(skipped) => {
                    let reason = why_skipped(skipped).to_owned();
                    (self.show)(&Happening::Skipped { route: launch.route, reason });
                }
                Outcome::Deferred { reason, .. } => {
                    (self.show)(&Happening::Deferred { route: launch.route, reason });
                }
                Outcome::DeadLettered { reason } => self.refuse(format!(
                    "the route `{}`: {reason}; the event is in {STATE_FOLDER}/dead-letters: after a fix, `touch` its file or \
                     send its message again",
                    launch.route
                )),
                Outcome::Failed { reason } => self.refuse(format!("the route `{}`: {reason}", launch.route)),
            }
        }
        // They were shown just now.
        self.ports.launcher.started().take_untold();
    }

    pub(super) fn ended(&mut self, launch: &LaunchKey, conclusion: Option<&Conclusion>) {
        let route = launch.route.clone();
        match conclusion.map(|conclusion| &conclusion.outcome) {
            Some(launch::Outcome::DeadLettered(reason)) => {
                self.summary.refused += 1;
                (self.show)(&Happening::EventDeadLettered { route, reason: reason.clone() });
            }
            Some(launch::Outcome::Skipped(skipped)) => {
                (self.show)(&Happening::Skipped { route, reason: why_skipped(*skipped).to_owned() });
            }
            _ => {}
        }
    }

    /// Shows tasks that no event started just now: those that waited, and retries.
    pub(super) fn tell_untold(&mut self) {
        let untold = self.ports.launcher.started().take_untold();
        for (started_by, tasks) in untold {
            let Some((key, _)) = LaunchKey::of_started_by(&started_by) else { continue };
            let route = self.config.route(&key.route);
            let names = route.into_iter().flat_map(|route| self.config.tasks(route)).map(|task| task.name.as_str());
            let task_name = names.collect::<Vec<_>>().join(", ");
            (self.show)(&Happening::Launched { route: key.route, task_name, tasks });
        }
    }

    pub(super) fn refuse(&mut self, reason: String) {
        self.summary.refused += 1;
        (self.show)(&Happening::Refused { reason });
    }

    /// Shows a problem, which may be found again and again, only when it is new.
    pub(super) fn refuse_once(&mut self, reason: String) {
        if self.last_problem.as_ref() != Some(&reason) {
            self.last_problem = Some(reason.clone());
            self.refuse(reason);
        }
    }

    pub(super) async fn tell(&mut self, happening: &Happening) {
        // A dead letter of a worker's queue; those of routes do not pass here.
        if matches!(happening, Happening::DeadLettered { .. }) {
            self.summary.refused += 1;
        }
        if let Happening::Stopped { containers, .. } = happening {
            self.ports.launcher.alive.fetch_sub(1, Ordering::Relaxed);
            // A container that is not essential was stopped with the task, so its exit code means nothing.
            match containers.iter().all(|exit| exit.code == 0 || !exit.essential) {
                true => self.summary.succeeded += 1,
                false => self.summary.failed += 1,
            }
        }
        (self.show)(happening);
        if let Happening::Stopped { task, .. } = happening {
            self.stopped(task).await;
        }
    }
}

/// Returns the happening that shows a queue and its folder.
fn introduced(queue: &FolderQueue) -> Happening {
    let (name, folder) = (queue.queue.name.clone(), queue.folder.clone());
    Happening::WatchingQueue { queue: name, folder, messages: queue.files().len() }
}
