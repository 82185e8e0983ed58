//! What `dev` shows: outcomes as happenings, and their totals.

use jiff::tz::TimeZone;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::why_skipped;
use trigger_engine::{EventError, LaunchOutcome, LaunchReport, Outcome};

use super::Dev;
use super::about::{about, with_index};
use super::missing::missing_local;
use crate::Call;
use crate::folders::queue::FolderQueue;
use crate::happening::{About, Happening};
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
        missing_local(&self.config).iter().for_each(|missing| (self.show)(missing));
        if !once {
            self.show_schedules();
        }
    }

    /// Shows when schedules fire.
    pub(super) fn show_schedules(&mut self) {
        for (route, next) in self.timetable.coming() {
            (self.show)(&Happening::Scheduled { route: route.to_owned(), next });
        }
    }

    /// Shows what became of an event. `subject` is what it is called.
    pub(super) fn report(&mut self, result: Result<LaunchReport, EventError>, subject: &str) {
        let report = match result {
            Ok(report) | Err(EventError::Launch(report)) => report,
            Err(error) => {
                if let Some(others) = error.others() {
                    self.report(Ok(others.clone()), subject);
                }
                return self.refuse(error.to_string());
            }
        };
        let event_id = report.event_id.clone();
        match report.superseded_by {
            Some(next) => (self.show)(&Happening::Superseded { event_id, next }),
            None if report.routes.is_empty() => (self.show)(&Happening::Ignored { event_id }),
            None if report.launches.is_empty() => {
                (self.show)(&Happening::EmptyList { event_id, routes: report.routes.clone() });
            }
            None => {}
        }
        self.calls.extend(self.ports.launcher.started().take_untold());
        for launch in &report.launches {
            let key = self.key_of(&report, launch);
            let about = self.about_launch(key, &report.event_id, with_index(subject.to_owned(), launch.index));
            self.report_launch(launch, about);
        }
    }

    fn report_launch(&mut self, launch: &LaunchOutcome, about: About) {
        let reason = match &launch.outcome {
            Outcome::Launched { task_arns } => return self.show_calls_of(&about, task_arns),
            Outcome::Duplicate { .. } => return (self.show)(&Happening::Duplicate { about }),
            Outcome::Skipped(skipped) => {
                let reason = why_skipped(*skipped).to_owned();
                return (self.show)(&Happening::Skipped { about, reason });
            }
            Outcome::Deferred { reason, .. } => {
                return (self.show)(&Happening::Deferred { about, reason: reason.clone() });
            }
            Outcome::DeadLettered { reason } => {
                format!(
                    "{reason}; the event is in {STATE_FOLDER}/dead-letters: after a fix, `touch` its file or send its \
                     message again"
                )
            }
            Outcome::Failed { reason } => reason.clone(),
        };
        self.summary.refused += 1;
        (self.show)(&Happening::LaunchRefused { about, reason });
    }

    /// Shows the calls of a launch that have not been shown.
    fn show_calls_of(&mut self, about: &About, task_arns: &[String]) {
        let Some(record) = about.launch.as_ref().and_then(|key| self.record_of(key)) else { return };
        let is_its = |call: &mut Call| {
            let has = |task: &String| task_arns.iter().any(|arn| arn.rsplit('/').next() == Some(task));
            call.tasks.iter().any(has)
        };
        for call in self.calls.extract_if(.., is_its).collect::<Vec<_>>() {
            self.show_call(call, record.clone(), about);
        }
    }

    /// Returns the name of a launch of an event.
    pub(super) fn key_of(&self, report: &LaunchReport, launch: &LaunchOutcome) -> LaunchKey {
        let date = report.event_time.unwrap_or_default().to_zoned(TimeZone::UTC).date().to_string();
        let key = LaunchKey::new(&launch.route, &date, &launch.client_token);
        // The report of a redriven launch has no time.
        let known = self.ports.store.as_ref().filter(|_| report.event_time.is_none());
        let found = known.and_then(|store| store.find(|record| record.key.id == key.id).pop());
        found.map_or(key, |record| record.key)
    }

    /// Shows the calls of launches that no event made just now: those that waited, and retries.
    pub(super) fn tell_untold(&mut self) {
        self.calls.extend(self.ports.launcher.started().take_untold());
        for call in std::mem::take(&mut self.calls) {
            if let Some(record) = self.caller(&call) {
                let about = about(&record);
                self.show_call(call, record, &about);
            }
        }
        // What was planned has been started by now, or was not.
        self.planned.clear();
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

    pub(super) async fn tell(&mut self, happening: Happening) {
        match happening {
            Happening::Output { task, container, stream, line, .. } => self.output(task, container, stream, line),
            Happening::Stopped { task, containers, duration, .. } => self.stopped(task, containers, duration).await,
            happening => {
                // A dead letter of a worker's queue; those of routes do not pass here.
                if matches!(happening, Happening::DeadLettered { .. }) {
                    self.summary.refused += 1;
                }
                (self.show)(&happening);
            }
        }
    }
}

/// Returns the happening that shows a queue and its folder.
fn introduced(queue: &FolderQueue) -> Happening {
    let (name, folder) = (queue.queue.name.clone(), queue.folder.clone());
    Happening::WatchingQueue { queue: name, folder, messages: queue.files().len() }
}
