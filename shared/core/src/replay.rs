//! Replay: the events that objects and schedules would have had, which of them ran already, and at what rate they run.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::event::identity::id_of;
use crate::event::{DecodeError, Event, S3Change, sequencer};
use crate::history::ObjectName;
use crate::schedule::{Schedule, ScheduleExpression};

/// An event that is older than its object by at most this much may be that of the object: clocks differ, and a list has
/// times in whole seconds.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// An object as S3 lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The name.
    pub name: ObjectName,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// When the object was written; of one that was uploaded in parts, when the upload began.
    pub modified: Timestamp,
}

/// What the event of an object says that a list of objects does not.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The partition, such as `aws`.
    pub partition: &'a str,
    /// The number of the account.
    pub account: &'a str,
    /// The Region of the bucket.
    pub region: &'a str,
    /// How the object was created. Without it, it is taken from the entity tag.
    pub reason: Option<&'a str>,
    /// The time that makes the event another one than all events about the object so far. Without it, the event is the
    /// same each time.
    pub anew: Option<Timestamp>,
}

impl StoredObject {
    /// Returns the event that S3 would have sent when the object was created.
    ///
    /// S3 alone knows the real event's sequencer, so this event has another identity than the real one.
    ///
    /// # Errors
    /// The object's name makes no event.
    pub fn event(&self, circumstances: &Circumstances<'_>) -> Result<Event, DecodeError> {
        let Circumstances { partition, account, region, reason, anew } = circumstances;
        let ObjectName { bucket, key } = &self.name;
        let sequencer = sequencer(anew.unwrap_or(self.modified));
        let reason =
            reason.unwrap_or(if self.was_uploaded_in_parts() { "CompleteMultipartUpload" } else { "PutObject" });
        let event = json!({
            "version": "0",
            "id": id_of(&[bucket, key, &self.etag, &sequencer]),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": account,
            "time": self.modified.to_string(),
            "region": region,
            "resources": [format!("arn:{partition}:s3:::{bucket}")],
            "detail": {
                "version": "0",
                "bucket": { "name": bucket },
                "object": { "key": key, "size": self.size, "etag": self.etag, "sequencer": sequencer },
                "request-id": "REPLAY",
                "requester": account,
                "source-ip-address": "127.0.0.1",
                "reason": reason,
            },
        });
        Event::decode(&event.to_string())
    }

    /// Returns whether an event tells of what is in the object now: it has the same entity tag and is not older, so it is
    /// not about an earlier object with the same content.
    pub fn is_told_by(&self, event: &Event) -> bool {
        let Some(s3) = event.s3() else { return false };
        let is_created = matches!(s3.change, S3Change::Created { .. });
        let has_name = s3.bucket == self.name.bucket && s3.object.key == self.name.key;
        let has_content = s3.object.etag.as_deref() == Some(&*self.etag);
        is_created && has_name && has_content && event.time().is_none_or(|time| self.first_told() <= time)
    }

    /// Returns the earliest time that an event about the object may have.
    pub fn first_told(&self) -> Timestamp {
        self.modified.checked_sub(CLOCKS_DIFFER).unwrap_or(self.modified)
    }

    /// The entity tag of such an object ends with the number of its parts.
    fn was_uploaded_in_parts(&self) -> bool {
        self.etag.contains('-')
    }
}

/// Returns whether one firing of a schedule must be known to compute the others: a rate without a `start` counts from its
/// deployment.
pub fn needs_anchor(schedule: &Schedule) -> bool {
    matches!(schedule.expression, ScheduleExpression::Rate(_)) && schedule.start.is_none()
}

/// Returns the firings of a schedule from a time on and before another one, at most `limit`. `known` is one of the firings
/// of a schedule that [needs it](needs_anchor).
pub fn firings(
    schedule: &Schedule,
    from: Timestamp,
    until: Timestamp,
    known: Timestamp,
    limit: usize,
) -> Vec<Timestamp> {
    // `next_after` excludes its argument.
    let just_before = from.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(from);
    let anchor = if needs_anchor(schedule) { firing_before(schedule, known, just_before) } else { known };
    let first = schedule.next_after(just_before, anchor);
    let all = std::iter::successors(first, |time| schedule.next_after(*time, anchor));
    all.take_while(|time| *time < until).take(limit).collect()
}

/// Returns a firing of a rate at or before `time`, counted back from the firing `known`, which may be later. A rate has no
/// firing before its anchor, so the anchor must not be later than `time`.
fn firing_before(schedule: &Schedule, known: Timestamp, time: Timestamp) -> Timestamp {
    let Some(next) = schedule.next_after(known, known) else { return known };
    let interval = next.duration_since(known).as_secs().max(1);
    let times = known.duration_since(time).as_secs().max(0) / interval + 1;
    let back = interval.checked_mul(times).map(SignedDuration::from_secs);
    back.and_then(|back| known.checked_sub(back).ok()).unwrap_or(known)
}

/// How many events are started, and in what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    time: Duration,
}

impl Rate {
    /// Parses a rate such as `20/s`, `100/m` or `500/h`.
    ///
    /// # Errors
    /// The text is no rate.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(count, unit)| {
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let count = count.parse().ok().filter(|count| *count > 0)?;
            Some(Self { count, time: Duration::from_secs(seconds) })
        });
        parsed.ok_or_else(|| "write a rate such as 20/s, 100/m or 500/h".to_owned())
    }

    /// Returns how long after the first event another one starts, by its position.
    pub fn after(self, position: usize) -> Duration {
        let nanoseconds = self.time.as_nanos() * position as u128 / u128::from(self.count);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
