//! Workers: scaled at each tick, stopped at the end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use trigger_core::scaling::{Action, Observation};
use trigger_engine::WorkerReport;
use trigger_engine::ports::Depth;

use super::Dev;
use crate::happening::Happening;

/// With `once`, `dev` gives up on the messages of workers when no worker has run for this long.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// A scaling report shows the depths of this many ticks.
const DEPTHS_MAX: usize = 30;

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Scales the workers that are due; then starts and stops the services' tasks, as ECS would.
    pub(super) async fn scale(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        let reports = self.scaler.tick(&self.config, scaling).await;
        let settled = scaling.settle().await;
        for report in reports {
            self.tell_worker(report);
        }
        settled.unwrap_or_else(|reason| self.refuse_once(reason));
    }

    fn tell_worker(&mut self, report: WorkerReport) {
        let WorkerReport { worker, observation, decision, problems, .. } = report;
        problems.into_iter().for_each(|problem| self.refuse_once(format!("{worker}: {problem}")));
        let Observation { visible: Some(visible), in_flight: Some(in_flight), running: Some(running), .. } =
            observation
        else {
            return;
        };
        let desired = match decision.action {
            Action::SetDesired(count) => count,
            Action::Launch(count) => running + observation.pending.unwrap_or(0) + count,
            Action::Hold => observation.desired.unwrap_or(running),
        };
        let (depths, told) = self.courses.entry(worker.clone()).or_default();
        depths.push_back(visible + in_flight);
        depths.drain(..depths.len().saturating_sub(DEPTHS_MAX));
        let reason = decision.reason.to_string();
        let now = format!("{visible} {in_flight} {running} {desired} {reason}");
        if *told != now {
            *told = now;
            let depths = depths.iter().copied().collect();
            (self.show)(&Happening::Scaling { worker, visible, in_flight, running, desired, reason, depths });
        }
    }

    /// Returns whether no worker's queue holds a message.
    pub(super) fn are_workers_done(&self) -> bool {
        self.scaling.as_ref().is_none_or(|scaling| {
            scaling.endpoint.state().queues.iter().all(|queue| queue.depth(Instant::now()) == Depth::default())
        })
    }

    /// Returns whether no task has run for [`STUCK_AFTER`]. If so, shows an error.
    pub(super) fn are_workers_stuck(&mut self) -> bool {
        if self.ports.launcher.alive.load(Ordering::Relaxed) > 0 {
            self.no_worker_since = None;
            return false;
        }
        let since = *self.no_worker_since.get_or_insert_with(Instant::now);
        let is_stuck = since.elapsed() >= STUCK_AFTER;
        if is_stuck {
            let reason = "messages remain in the workers' queues, but no worker is running; see its errors above";
            self.refuse(reason.to_owned());
        }
        is_stuck
    }

    pub(super) async fn stop_services(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        if let Err(reason) = scaling.stop_services().await {
            self.refuse(reason);
        }
    }
}
