//! The launches in the ledger: those that an earlier run left, those that are due, and those whose tasks stop.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::StoppedTask;
use trigger_core::event::TaskStateChange;
use trigger_core::launch::LaunchRecord;
use trigger_core::storage::DueFor;
use trigger_engine::ports::{Ledger, LedgerError};
use trigger_engine::{StateChangeOutcome, handle_state_change, sweep};

use super::Dev;
use crate::happening::Happening;

/// A sweep goes on with launches for at most this long, so that `dev` hears a signal soon. The next sweep does the rest.
const SWEEP_DURATION: SignedDuration = SignedDuration::from_secs(2);

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Returns whether a task is running or a launch is waiting. While `dev` stops, only tasks count.
    pub(super) async fn is_busy(&self, stops: bool) -> bool {
        if self.ports.launcher.alive.load(Ordering::Relaxed) > 0 {
            return true;
        }
        !stops && self.open_launches(1).await.is_ok_and(|open| !open.is_empty())
    }

    /// Returns the first launches in the ledger that have not ended, at most `most`.
    async fn open_launches(&self, most: usize) -> Result<Vec<LaunchRecord>, LedgerError> {
        let Some(storage) = self.config.ledger() else { return Ok(Vec::new()) };
        let ledger = &self.ports.ledger;
        let (prefix, until) = (storage.due_prefix(), storage.due_until(Timestamp::MAX));
        let mut open = Vec::new();
        let mut after = None;
        loop {
            let uris = ledger.list(&prefix, after.as_deref(), &until).await?;
            for due in uris.iter().filter_map(|uri| storage.parse_due(uri)) {
                let DueFor::Launch(key) = due.what else { continue };
                let entry = ledger.read(&storage.launch_uri(&key)).await?;
                let record = entry.and_then(|entry| LaunchRecord::parse(&entry.text).ok());
                // A launch that has ended may still have an entry.
                open.extend(record.filter(|record| record.ended.is_none()));
                if open.len() >= most {
                    return Ok(open);
                }
            }
            let Some(last) = uris.last() else { return Ok(open) };
            after = Some(last.clone());
        }
    }

    /// Records that the tasks of an earlier run ended with it. Their launches go on without them.
    pub(super) async fn resume(&mut self) {
        let open = self.open_launches(usize::MAX).await;
        for record in open.unwrap_or_else(|error| {
            self.refuse(error.to_string());
            Vec::new()
        }) {
            for task in record.tasks.iter().filter(|task| task.is_alive()) {
                // A task that had to stop has done so. Any other is lost, as with the machine that it ran on.
                let stop_code = if task.stop.is_some() { "UserInitiated" } else { "InfrastructureHealth" };
                let stopped = StoppedTask {
                    stop_code: Some(stop_code.to_owned()),
                    stopped_reason: Some("`dev` ended before the task did".to_owned()),
                    ..StoppedTask::default()
                };
                let started_by = Some(record.key.started_by(task.attempt));
                let change = TaskStateChange { task_arn: task.arn.clone(), started_by, stopped: Some(stopped) };
                self.record(&change).await;
            }
        }
    }

    /// Goes on with the launches that are due in the ledger.
    pub(super) async fn sweep(&mut self) {
        let Some(storage) = self.config.ledger() else { return };
        let deadline = Timestamp::now().checked_add(SWEEP_DURATION).ok();
        match sweep(storage, &self.ports, deadline).await {
            Ok(report) => report.launches.iter().for_each(|(key, conclusion)| self.ended(key, conclusion.as_ref())),
            Err(error) => self.refuse(error.to_string()),
        }
        self.tell_untold();
    }

    /// Records in the ledger that a task has stopped.
    pub(super) async fn stopped(&mut self, task: &str) {
        let change = self.ports.launcher.started().state_change(task);
        if let Some(change) = change {
            self.record(&change).await;
        }
    }

    /// Records a task's end in its launch, which goes on. While `dev` stops, no task starts: the next run goes on.
    async fn record(&mut self, change: &TaskStateChange) {
        let Some(storage) = self.config.ledger() else { return };
        let stops = *self.ports.launcher.stop.borrow();
        let deadline = stops.then(Timestamp::now);
        match handle_state_change(change, Some(storage), &self.ports, deadline).await {
            Ok(StateChangeOutcome::Recorded { launch, conclusion, others }) => {
                self.ended(&launch, conclusion.as_ref());
                others.iter().for_each(|(launch, conclusion)| self.ended(launch, conclusion.as_ref()));
            }
            Ok(StateChangeOutcome::Ignored) => {}
            Err(error) => self.refuse(error.to_string()),
        }
        self.tell_untold();
    }
}
