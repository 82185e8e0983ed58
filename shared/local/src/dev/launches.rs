//! The launches in the ledger: those that an earlier run left, those that are due, and those whose tasks stop.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::StoppedTask;
use trigger_core::event::TaskStateChange;
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::why_skipped;
use trigger_core::launch::{Conclusion, LaunchRecord, Outcome};
use trigger_engine::{DriveError, StateChangeOutcome, SweepReport, continue_launches, handle_state_change, sweep};

use super::Dev;
use super::about::about;
use crate::EmbeddedStore;
use crate::happening::Happening;
use crate::runs::keeper::ENDED_WITH_DEV;

/// `dev` continues launches for at most this long at a time, so that it hears a signal soon.
const CONTINUED_FOR: SignedDuration = SignedDuration::from_secs(2);

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Returns whether a task is running or a launch is waiting. While `dev` stops, only tasks count.
    pub(super) fn is_busy(&self, stops: bool) -> bool {
        let has_open_launches = || self.ports.store.as_ref().is_some_and(EmbeddedStore::has_open_launches);
        self.ports.launcher.alive.load(Ordering::Relaxed) > 0 || (!stops && has_open_launches())
    }

    /// Records that the tasks of an earlier run ended with it, and continues its launches.
    pub(super) async fn resume(&mut self) {
        let open = self.ports.store.as_ref().map(EmbeddedStore::open_launches).unwrap_or_default();
        for record in &open {
            for task in record.tasks.iter().filter(|task| task.is_alive()) {
                // A task that had to stop has done so. Any other is lost, as with the machine that it ran on.
                let stop_code = if task.stop.is_some() { "UserInitiated" } else { "InfrastructureHealth" };
                let stopped = StoppedTask {
                    stop_code: Some(stop_code.to_owned()),
                    stopped_reason: Some(ENDED_WITH_DEV.to_owned()),
                    ..StoppedTask::default()
                };
                let started_by = Some(record.key.started_by(task.attempt));
                let change = TaskStateChange { task_arn: task.arn.clone(), started_by, stopped: Some(stopped) };
                let outcome = self.record(&change).await;
                self.recorded(outcome);
            }
        }
        // The work of the earlier run is lost. Without it, the launches would wait for the sweep, up to 15 minutes.
        if let Some(work) = &self.ports.work {
            work.put(open.into_iter().map(|record| record.key), Duration::ZERO);
        }
    }

    /// Continues the launches that are due in the ledger.
    pub(super) async fn sweep(&mut self) {
        let report = sweep(&self.config, &self.ports, latest()).await;
        self.continued(report);
    }

    /// Continues launches whose work is due.
    pub(super) async fn work(&mut self) {
        let Some(work) = &self.ports.work else { return };
        let launches = work.take_due();
        let report = continue_launches(&launches, &self.config, &self.ports, latest()).await;
        if report.is_cut_short {
            work.put(launches, Duration::ZERO);
        }
        self.continued(Ok(report));
    }

    fn continued(&mut self, report: Result<SweepReport, DriveError>) {
        match report {
            Ok(report) => {
                report.launches.iter().for_each(|launch| self.ended(&launch.launch, launch.conclusion.as_ref()));
                for (key, error) in report.failed {
                    self.refuse_once(format!("the launch {key}: {error}"));
                }
            }
            Err(error) => self.refuse_once(error.to_string()),
        }
        self.tell_untold();
    }

    /// Records a task's end in its launch, which goes on. While `dev` stops, no task starts: the next run goes on.
    pub(super) async fn record(&self, change: &TaskStateChange) -> Result<StateChangeOutcome, DriveError> {
        let stops = *self.ports.launcher.stop.borrow();
        let deadline = stops.then(Timestamp::now);
        handle_state_change(change, &self.config, &self.ports, deadline).await
    }

    /// Shows what followed when a task's end was recorded.
    pub(super) fn recorded(&mut self, outcome: Result<StateChangeOutcome, DriveError>) {
        match outcome {
            Ok(StateChangeOutcome::Recorded { launch, conclusion, others }) => {
                self.ended(&launch, conclusion.as_ref());
                others.iter().for_each(|other| self.ended(&other.launch, other.conclusion.as_ref()));
            }
            Ok(StateChangeOutcome::Ignored) => {}
            Err(error) => self.refuse(error.to_string()),
        }
        self.tell_untold();
    }

    /// Shows how a launch ended, and closes the dead letters that its success settles.
    pub(super) fn ended(&mut self, launch: &LaunchKey, conclusion: Option<&Conclusion>) {
        let (Some(conclusion), Some(record)) = (conclusion, self.record_of(launch)) else { return };
        let about = about(&record);
        match &conclusion.outcome {
            Outcome::DeadLettered(reason) => {
                self.summary.refused += 1;
                (self.show)(&Happening::EventDeadLettered { about, reason: reason.clone() });
            }
            Outcome::Skipped(skipped) => {
                (self.show)(&Happening::Skipped { about, reason: why_skipped(*skipped).to_owned() });
            }
            Outcome::Succeeded => match self.close_letters(&record) {
                Ok(files) => {
                    for file in files {
                        (self.show)(&Happening::LetterClosed { about: about.clone(), file });
                    }
                }
                Err(error) => self.refuse_once(format!("cannot close a dead letter: {error}")),
            },
            Outcome::Stopped | Outcome::Replaced | Outcome::Cancelled => {}
        }
    }

    fn close_letters(&mut self, ended: &LaunchRecord) -> io::Result<Vec<PathBuf>> {
        let Some(store) = &self.ports.store else { return Ok(Vec::new()) };
        let of_event = |id: &str| store.find(|record| record.event_id == id);
        self.letters.close(ended, |key| store.record(key), of_event)
    }
}

/// Returns until when `dev` continues launches now.
pub(super) fn latest() -> Option<Timestamp> {
    Timestamp::now().checked_add(CONTINUED_FOR).ok()
}
