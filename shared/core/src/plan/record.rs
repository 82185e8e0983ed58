//! Turns a planned launch into a launch record.

use jiff::Timestamp;

use super::PlannedLaunch;
use crate::event::Event;
use crate::launch::{EventCopy, LaunchRecord, RECORD_VERSION};

impl PlannedLaunch {
    /// Returns the launch's record before its first attempt. `uri` is where the event's JSON is stored, if the record
    /// does not contain it.
    pub fn record(&self, event: &Event, uri: Option<&str>, etag: Option<&str>, now: Timestamp) -> LaunchRecord {
        LaunchRecord {
            version: RECORD_VERSION,
            key: self.key.clone(),
            task: self.task.clone(),
            index: self.index,
            slice: self.slice,
            event_id: event.id(),
            identity: event.identity(),
            event: uri.map_or_else(|| EventCopy::Text(event.text.to_string()), |uri| EventCopy::Uri(uri.to_owned())),
            config_etag: etag.map(str::to_owned),
            request: self.request.clone(),
            capacity: self.capacity.clone(),
            timeout_seconds: self.timeout.map(|timeout| i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX)),
            retry: self.retry.clone(),
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
