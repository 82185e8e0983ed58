//! What is known of the project on this machine.

use std::time::Instant;

use jiff::Timestamp;
use trigger_core::history::{HistoryQuery, Launches};
use trigger_core::status::Seen;
use trigger_local::FolderDeadLetters;
use trigger_local::dev::is_running;
use trigger_local::folders::queue::FolderQueue;

use super::{Known, QueueStatus, WorkerStatus, failed, open};
use crate::diagnostics::note;
use crate::operation::Project;

/// Returns what the files of the project say. Only `dev` itself knows what its workers do.
pub(super) fn known(project: &Project, now: Timestamp) -> Known {
    if !is_running(&project.folder) {
        note("`ecs-trigger dev` does not run here; this is what it left");
    }
    let all = HistoryQuery::new(Launches::All);
    let seen = Seen {
        latest: project.runs.history(&all),
        open: project.runs.history(&open()),
        failed: project.runs.history(&failed(now)),
    };
    let config = &project.config;
    let workers = config.workers.iter().map(|worker| {
        let queues = worker.queues.iter().map(|queue| {
            let folder = FolderQueue::new(queue, config.local.as_ref(), &project.folder);
            let messages = folder.depth(Instant::now()).visible;
            QueueStatus { queue: queue.name.clone(), visible: Some(messages), ..QueueStatus::default() }
        });
        WorkerStatus { worker: worker.name.clone(), queues: queues.collect(), ..WorkerStatus::default() }
    });
    let letters = FolderDeadLetters::of(&project.folder).letters();
    Known { seen: Some(seen), workers: workers.collect(), dead_letters: Some(letters.len() as u64) }
}
