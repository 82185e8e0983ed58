//! The tasks that run: what they are about, their output, and their end.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use trigger_core::event::Event;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Attempt, Conclusion, Fate, LaunchRecord, LaunchedTask, Outcome, Pace, Reply};

use super::Dev;
use super::about::{about, ending, has_succeeded, next, planned, start};
use crate::Call;
use crate::happening::{About, ContainerExit, Happening, Next, Start, Stream};
use crate::runs::log::LogLine;

/// A task of a launch.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) about: About,
    /// The launch's record, if no ledger has it.
    unrecorded: Option<Box<LaunchRecord>>,
}

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Prepares for an event without a ledger: notes which launches it makes. With a ledger, that is not needed.
    pub(super) fn plan(&mut self, event: &Event) {
        if self.ports.store.is_none() {
            // Processes have no rate limit as ECS's calls do. What earlier events used of it must not delay this one.
            *self.ports.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace::default();
            let records = planned(&self.config, event, Timestamp::now());
            self.planned.extend(records.into_iter().map(|record| (record.key.id.clone(), record)));
        }
    }

    /// Returns the record of a launch.
    pub(super) fn record_of(&self, key: &LaunchKey) -> Option<LaunchRecord> {
        match &self.ports.store {
            Some(store) => store.record(key),
            None => self.planned.get(&key.id).cloned(),
        }
    }

    /// Shows a call that has started the task of a launch.
    pub(super) fn show_call(&mut self, call: Call, mut record: LaunchRecord, about: &About) {
        let Call { request, tasks } = call;
        let attempt = LaunchKey::of_started_by(&request.started_by).map_or(0, |(_, attempt)| attempt);
        let about = About { attempt: Some(attempt), ..about.clone() };
        let start = match self.ports.store {
            Some(_) => start(&record),
            None => Start { number: 1, max: 1 },
        };
        for task in tasks {
            let mut unrecorded = None;
            if self.ports.store.is_none() {
                let arn = self.ports.launcher.started().state_change(&task).map(|change| change.task_arn);
                has_started(&mut record, &request.client_token, arn.unwrap_or_default(), Timestamp::now());
                self.keeper.keep(&record);
                unrecorded = Some(Box::new(record.clone()));
            }
            self.running.insert(task.clone(), Running { about: about.clone(), unrecorded });
            let task_name = record.task.clone();
            (self.show)(&Happening::Launched { about: about.clone(), task_name, task, start });
        }
    }

    /// Returns the record of the launch that made a call, if it is in the ledger.
    pub(super) fn caller(&self, call: &Call) -> Option<LaunchRecord> {
        let store = self.ports.store.as_ref()?;
        match LaunchKey::of_started_by(&call.request.started_by) {
            Some((key, _)) => store.record(&key),
            // The config sets `started_by`.
            None => {
                let has_token = |attempt: &Attempt| attempt.client_token == call.request.client_token;
                store.find(|record| record.attempts.iter().any(has_token)).pop()
            }
        }
    }

    /// Keeps and shows a line that a container wrote.
    pub(super) fn output(&mut self, task: String, container: String, stream: Stream, line: String) {
        let about = self.running.get(&task).map(|running| running.about.clone());
        if let Some(About { launch: Some(launch), attempt: Some(attempt), .. }) = &about {
            let kept = LogLine { at: Timestamp::now(), stream, text: line.clone() };
            self.keeper.add_line(launch, *attempt, &container, &kept);
        }
        (self.show)(&Happening::Output { task, about, container, stream, line });
    }

    /// Records and shows that a task has stopped, and what follows.
    pub(super) async fn stopped(&mut self, task: String, containers: Vec<ContainerExit>, duration: Duration) {
        self.ports.launcher.alive.fetch_sub(1, Ordering::Relaxed);
        match has_succeeded(&containers) {
            true => self.summary.succeeded += 1,
            false => self.summary.failed += 1,
        }
        let running = self.running.remove(&task);
        let about = running.as_ref().map(|running| running.about.clone());
        if let Some(About { launch: Some(launch), attempt: Some(attempt), .. }) = &about {
            self.keeper.close(launch, *attempt);
        }
        let change = self.ports.launcher.started().state_change(&task);
        let (mut record, mut outcome) = (None, None);
        if let Some(change) = &change {
            match running.and_then(|running| running.unrecorded) {
                Some(unrecorded) => {
                    let ended = has_ended(*unrecorded, change.stopped.clone(), Timestamp::now());
                    self.keeper.keep(&ended);
                    record = Some(ended);
                }
                None => {
                    outcome = Some(self.record(change).await);
                    record = about.as_ref().and_then(|about| self.record_of(about.launch.as_ref()?));
                }
            }
        }
        let of_launch = record.as_ref().zip(change.as_ref()).and_then(|(record, change)| {
            let task = record.tasks.iter().find(|task| task.arn == change.task_arn)?;
            Some((record.fate(task), next(record, task)))
        });
        let (fate, next) = of_launch.unwrap_or((None, Next::Nothing));
        let ending = ending(fate, &containers);
        (self.show)(&Happening::Stopped { task, about, containers, duration, ending, next });
        if let Some(outcome) = outcome {
            self.recorded(outcome);
        }
    }

    /// Shows which tasks stop because `dev` was interrupted.
    pub(super) fn show_stopping(&mut self) {
        let of_launches = &self.running;
        let stopping = self.ports.launcher.started().alive();
        let tasks = stopping.into_iter().map(|task| {
            let about = of_launches.get(&task).map(|running| running.about.clone());
            (task, about)
        });
        let tasks = tasks.collect();
        (self.show)(&Happening::Stopping { tasks });
    }

    /// Shows that a launch's files could not be written.
    pub(super) fn show_problem_of_keeper(&mut self) {
        if let Some(problem) = self.keeper.take_problem() {
            self.refuse_once(problem);
        }
    }

    /// Returns what a launch of an event is about. `subject` is what its event is called.
    pub(super) fn about_launch(&self, key: LaunchKey, event_id: &str, subject: String) -> About {
        match self.record_of(&key) {
            Some(record) => about(&record),
            None => About {
                route: key.route.clone(),
                launch: Some(key),
                attempt: None,
                event_id: event_id.to_owned(),
                subject,
            },
        }
    }
}

/// Notes in a record that its task was started.
fn has_started(record: &mut LaunchRecord, client_token: &str, arn: String, now: Timestamp) {
    record.attempts = vec![Attempt {
        rung: 0,
        client_token: client_token.to_owned(),
        opened: now,
        in_doubt: false,
        calling: None,
        reply: Some(Reply::Tasks { task_arns: vec![arn.clone()], failures: Vec::new() }),
        undecided: None,
    }];
    record.tasks = vec![LaunchedTask {
        arn,
        attempt: 0,
        since: now,
        stop: None,
        stop_asked: false,
        stopped: None,
        retried: false,
    }];
}

/// Returns the record of a launch whose only task has stopped. Without a ledger, nothing follows a failure.
fn has_ended(
    mut record: LaunchRecord,
    stopped: Option<trigger_core::ecs::StoppedTask>,
    now: Timestamp,
) -> LaunchRecord {
    let said = stopped.as_ref().map(ToString::to_string).unwrap_or_default();
    record.tasks.iter_mut().for_each(|task| task.stopped.clone_from(&stopped));
    let fate = record.tasks.first().and_then(|task| record.fate(task));
    let outcome = match fate {
        Some(Fate::Succeeded) => Outcome::Succeeded,
        Some(Fate::Stopped) => Outcome::Stopped,
        _ => Outcome::DeadLettered(format!("{said}; without a ledger, nothing tries it again")),
    };
    record.ended = Some(Conclusion { at: now, outcome });
    record
}
