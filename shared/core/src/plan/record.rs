//! Turns a planned launch into a launch record.

use jiff::Timestamp;

use super::PlannedLaunch;
use crate::event::Event;
use crate::launch::{EventCopy, LaunchRecord, RECORD_VERSION, Rendered};

impl PlannedLaunch {
    /// Returns whether a record is about this task of the same event: the same element and copy.
    pub fn is_of(&self, record: &LaunchRecord) -> bool {
        (&self.route, &self.task, self.index, self.copy) == (&record.key.route, &record.task, record.index, record.copy)
    }

    /// Returns what a config with this version makes of the task.
    pub fn rendered(&self, etag: Option<&str>) -> Rendered {
        Rendered {
            config_etag: etag.map(str::to_owned),
            request: self.request.clone(),
            capacity: self.capacity.clone(),
            timeout_seconds: self.timeout.map(|timeout| i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX)),
            retry: self.retry.clone(),
        }
    }

    /// Returns the launch's record before its first attempt. `uri` is where the event's JSON is stored, if the record
    /// does not contain it.
    pub fn record(&self, event: &Event, uri: Option<&str>, etag: Option<&str>, now: Timestamp) -> LaunchRecord {
        LaunchRecord {
            version: RECORD_VERSION,
            key: self.key.clone(),
            task: self.task.clone(),
            index: self.index,
            copy: self.copy,
            event_id: event.id(),
            identity: event.identity(),
            event: uri.map_or_else(|| EventCopy::Text(event.text.to_string()), |uri| EventCopy::Uri(uri.to_owned())),
            rendered: self.rendered(etag),
            anew_from: None,
            concurrency: self.concurrency.clone(),
            sequence: self.sequence.clone(),
            set: self.set.clone(),
            created: now,
            slot: None,
            ticket: None,
            is_latest: false,
            attempts: Vec::new(),
            tasks: Vec::new(),
            reopened: None,
            not_before: None,
            given_up: None,
            due: now,
            concluding: None,
            ended: None,
        }
    }
}
