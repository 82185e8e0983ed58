//! A changed config applies without a restart.

use trigger_core::routing::{RoutingConfig, RunsAs, Worker};

use super::changes::changes;
use super::missing::missing_local;
use super::sources::{open_buckets, open_queues};
use super::watches::Watches;
use super::{Dev, DevError, containers_run, whole_second};
use crate::happening::{ConfigChanges, Happening};

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Applies another version of the config. If that is not possible, the one before stays.
    pub(super) fn apply(&mut self, config: RoutingConfig, watches: Option<&Watches>) {
        let changes = changes(&self.config.source, &config.source);
        if changes == ConfigChanges::default() {
            // The places of diagnostics may have changed.
            self.config = config;
            return;
        }
        if let Some(reason) = needs_restart(&self.config, &config) {
            let reason = reason.to_owned();
            return (self.show)(&Happening::ConfigKept { reason });
        }
        let known = missing_local(&self.config);
        match self.replace(config, watches) {
            Ok(()) => {
                (self.show)(&Happening::ConfigChanged(changes));
                let missing = missing_local(&self.config);
                missing.iter().filter(|missing| !known.contains(missing)).for_each(|missing| (self.show)(missing));
                self.show_schedules();
            }
            Err(error) => (self.show)(&Happening::ConfigKept { reason: error.to_string() }),
        }
    }

    fn replace(&mut self, config: RoutingConfig, watches: Option<&Watches>) -> Result<(), DevError> {
        let project = self.ports.payloads.project.clone();
        let buckets = open_buckets(&config, &project)?;
        let mut queues = open_queues(&config, &project, config.queues())?;
        let routed = queues.clone();
        let known = &self.ports.launcher.buckets;
        let added = buckets.iter().filter(|bucket| known.iter().all(|known| known.folder != bucket.folder));
        if let Some(watches) = watches {
            watches.add(added.map(|bucket| bucket.folder.as_path()))?;
        }
        for queue in &mut queues {
            if let Some(before) = self.queues.iter_mut().find(|before| before.folder == queue.folder) {
                queue.take_over(before);
            }
        }
        self.queues = queues;
        self.endpoint.state().routed = routed;
        self.endpoint.set_buckets(buckets.clone());
        self.timetable.renew(&config, whole_second(self.clock.now()));
        let docker = containers_run(config.local.as_ref());
        let of_workers = self.scaling.iter_mut().map(|scaling| &mut scaling.launcher);
        for launcher in of_workers.chain([&mut self.ports.launcher]) {
            launcher.local.clone_from(&config.local);
            launcher.buckets.clone_from(&buckets);
            launcher.docker = docker;
        }
        self.config = config;
        Ok(())
    }
}

/// Returns why another version of the config applies only after a restart, if so.
fn needs_restart(old: &RoutingConfig, new: &RoutingConfig) -> Option<&'static str> {
    if old.ledger().is_some() != new.ledger().is_some() {
        return Some("it adds or removes the ledger; start `dev` again");
    }
    if !old.workers.iter().map(needs).eq(new.workers.iter().map(needs)) {
        return Some("it changes which workers there are; start `dev` again");
    }
    None
}

/// Returns what of workers cannot change while `dev` runs: their name, their queues, and their service.
fn needs(worker: &Worker) -> (&str, Vec<&str>, Option<&str>) {
    let service = match &worker.runs_as {
        RunsAs::Service { service, .. } => Some(service.as_str()),
        RunsAs::Task(_) => None,
    };
    (&worker.name, worker.queues.iter().map(|queue| queue.name.as_str()).collect(), service)
}
