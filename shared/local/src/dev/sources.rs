//! Files, messages and schedules: how each becomes an event, and what is done with its source afterwards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use trigger_core::event::{DecodeError, Decoded, Event, Firing, Queue, Record};
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::BucketName;
use trigger_engine::{Delivered, MessageOutcome, Times, handle, handle_batch};

use super::about::subject_of_id;
use super::clock::Clock;
use super::objects::{Object, Objects};
use super::timetable::Due;
use super::{Dev, DevError};
use crate::folders::bucket::{Bucket, NotAnObject};
use crate::folders::landing::{Landed, files_being_written, is_complete};
use crate::folders::queue::{FolderQueue, Look, Received};
use crate::happening::Happening;

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Fires what is due within a minute from `start`; without it, what was missed. No schedule fires after that.
    pub(super) async fn fire_once(&mut self, start: Option<Timestamp>) {
        let Some(start) = start else { return self.catch_up().await };
        let end = start.checked_add(SignedDuration::from_secs(59)).unwrap_or(start);
        for due in self.timetable.take_due(end) {
            self.fire(due).await;
        }
    }

    /// Fires what was missed while `dev` did not run for this project.
    pub(super) async fn catch_up(&mut self) {
        for due in self.timetable.missed() {
            self.fire(due).await;
        }
        self.remember(self.timetable.began);
    }

    pub(super) async fn fire_due(&mut self) {
        let now = self.clock.now();
        for due in self.timetable.take_due(now) {
            self.fire(due).await;
        }
        self.remember(now);
    }

    async fn fire(&mut self, due: Due) {
        let Due { time: scheduled_time, route } = due;
        self.summary.events += 1;
        let firing = Firing::local(&route, scheduled_time).into_event();
        let event_id = firing.id();
        let subject = subject_of_id(&event_id);
        (self.show)(&Happening::Fired { route, scheduled_time, event_id });
        self.plan(&firing);
        // With a pretended clock, no firing counts as late, however fast the clock runs.
        let now = if matches!(self.clock, Clock::Real) { self.clock.now() } else { scheduled_time };
        let text = firing.text.clone();
        let event = Ok(self.config.match_event(firing));
        let delivered = Delivered { text: &text, event, times: Times { now, deadline: None } };
        let result = handle(delivered, &self.config, &self.ports).await;
        self.report(result, &subject);
        self.tell_untold();
    }

    fn remember(&mut self, now: Timestamp) {
        if let Err(error) = self.timetable.remember(now) {
            self.refuse(format!("cannot record which schedules have fired: {error}"));
        }
    }

    /// Receives and handles messages of each queue. Returns whether there were any.
    pub(super) async fn receive(&mut self) -> bool {
        let mut took = false;
        for position in 0..self.queues.len() {
            let Look { received, dead_lettered, refused } = self.queues[position].look(Instant::now());
            let queue = self.queues[position].queue.name.clone();
            for file in dead_lettered {
                (self.show)(&Happening::DeadLettered { queue: queue.clone(), file });
            }
            for (path, reason) in refused {
                self.refuse(format!("cannot receive {}: {reason}", path.display()));
            }
            if received.is_empty() {
                continue;
            }
            took = true;
            self.batch(position, received).await;
        }
        took
    }

    async fn batch(&mut self, position: usize, received: Vec<Received>) {
        let records: Vec<Record> = received.iter().map(|received| received.record.clone()).collect();
        let times = Times { now: self.clock.now(), deadline: None };
        for record in &records {
            if let Ok(Decoded::Events(events)) = record.open().content {
                events.iter().for_each(|event| self.plan(event));
            }
        }
        let outcomes = handle_batch(&records, &self.config, &self.ports, times, |_, _| {}).await;
        for (received, outcome) in received.into_iter().zip(outcomes) {
            self.summary.events += 1;
            let record = &received.record;
            let subject = subject_of_id(&record.message_id);
            (self.show)(&Happening::Message {
                queue: record.queue.name.clone(),
                message_id: record.message_id.clone(),
                receive_count: record.receive_count(),
            });
            if !outcome.goes_back()
                && let Err(error) = self.queues[position].delete(&received.path)
            {
                self.refuse(format!("cannot delete the handled message {}: {error}", received.path.display()));
            }
            match outcome {
                MessageOutcome::Done(reports) => {
                    reports.into_iter().for_each(|report| self.report(Ok(report), &subject));
                }
                MessageOutcome::Failed(results) => {
                    results.into_iter().for_each(|result| self.report(result, &subject));
                }
                MessageOutcome::Ignored(reason) => {
                    let (message_id, reason) = (record.message_id.clone(), reason.to_string());
                    (self.show)(&Happening::MessageIgnored { message_id, reason });
                }
                MessageOutcome::HeldBack => {
                    (self.show)(&Happening::HeldBack { message_id: record.message_id.clone() });
                }
            }
        }
        self.tell_untold();
    }

    /// Takes the files that are complete; keeps the others waiting.
    pub(super) fn take_complete(&mut self, waiting: &mut Vec<(Bucket, PathBuf)>, objects: &mut Objects) {
        if waiting.is_empty() {
            return;
        }
        let written = files_being_written();
        for (bucket, path) in std::mem::take(waiting) {
            if is_complete(&path, &written) {
                objects.add(&bucket, Landed::Created(path));
                continue;
            }
            if self.told_incomplete.insert(path.clone()) {
                let key = bucket.key(&path).unwrap_or_default();
                (self.show)(&Happening::Incomplete { bucket: bucket.name.clone(), key });
            }
            waiting.push((bucket, path));
        }
    }

    /// Handles the event of an object that was created or deleted.
    pub(super) async fn object(&mut self, object: Object) {
        let Object { bucket, detail_type, event } = object;
        let (key, event) = match event {
            Ok(event) => event,
            // The file disappeared before it could be read: its deletion is the next event.
            Err(NotAnObject::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(error.to_string()),
        };
        let decoded = Event::decode(&event);
        let event_id = decoded.as_ref().ok().map(Event::id);
        (self.show)(&Happening::Object { detail_type, bucket, key: key.clone(), event_id });
        self.event(&event, decoded, &key).await;
    }

    /// Handles an event of EventBridge.
    pub(super) async fn event(&mut self, text: &str, decoded: Result<Event, DecodeError>, subject: &str) {
        self.summary.events += 1;
        decoded.iter().for_each(|event| self.plan(event));
        let now = self.clock.now();
        let matched = decoded.map(|event| self.config.match_event(event));
        let delivered = Delivered { text, event: matched, times: Times { now, deadline: None } };
        let result = handle(delivered, &self.config, &self.ports).await;
        self.report(result, subject);
        self.tell_untold();
    }
}

/// Opens the buckets that routes name and those with a folder under `local: buckets:`.
pub(super) fn open_buckets(config: &RoutingConfig, folder: &Path) -> Result<Vec<Bucket>, DevError> {
    let mapped = config.local.as_ref().and_then(|local| local.buckets.as_ref());
    let mut names = config.buckets();
    names.extend(mapped.iter().flat_map(|mapped| mapped.names()).filter(|name| !config.buckets().contains(name)));
    let open = |name: &str| {
        if !BucketName::is_valid(name) {
            return Err(DevError::BucketName(name.to_owned()));
        }
        let own = mapped.and_then(|mapped| mapped.get(name)).map(|folder| folder.value.clone());
        let folder = folder.join(own.unwrap_or_else(|| format!("buckets/{name}")));
        Bucket::open(name, &folder).map_err(|error| DevError::Bucket { bucket: name.to_owned(), folder, error })
    };
    names.into_iter().map(open).collect()
}

/// Returns the queues that only `local: queues:` names: no route and no worker takes their messages.
pub(super) fn other_queues(config: &RoutingConfig) -> Vec<Queue> {
    let named = config.local.iter().flat_map(|local| &local.queues).flat_map(|queues| queues.names());
    let is_known = |name: &str| config.all_queues().iter().any(|queue| queue.name == name);
    let others = named.filter(|name| !is_known(name));
    others.map(|name| Queue { name: name.to_owned(), region: None, account: None }).collect()
}

/// Opens these queues; creates the folders that are missing.
pub(super) fn open_queues(
    config: &RoutingConfig,
    folder: &Path,
    named: Vec<&Queue>,
) -> Result<Vec<FolderQueue>, DevError> {
    let mut queues: Vec<FolderQueue> = Vec::new();
    for queue in named {
        let mut queue = FolderQueue::new(queue, config.local.as_ref(), folder);
        let opened = fs::create_dir_all(&queue.folder).and_then(|()| queue.folder.canonicalize());
        let failed = |error| DevError::Queue { queue: queue.queue.name.clone(), folder: queue.folder.clone(), error };
        let opened = opened.map_err(failed)?;
        if queues.iter().any(|other| other.folder == opened) {
            return Err(failed(io::Error::other(
                "another queue in the config has the same folder; give each queue its own under `local: queues:`",
            )));
        }
        queue.folder = opened;
        queues.push(queue);
    }
    Ok(queues)
}
