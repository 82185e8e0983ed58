//! The objects of buckets, and which of them a route ran for.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::Object;
use jiff::Timestamp;
use trigger_aws::clients::causes;
use trigger_core::event::{Decoded, Event, Record};
use trigger_core::history::{HistoryQuery, Launches, ObjectName};
use trigger_core::launch::EventCopy;
use trigger_core::replay::{Circumstances, StoredObject};
use trigger_core::routing::Route;
use trigger_engine::ports::{Payloads, Ports};

use super::Deployed;
use crate::account::refused;
use crate::diagnostics;
use crate::exit::Failed;
use crate::sample::{ETAG, Sample};

/// Which objects of a bucket to list.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    /// The bucket, and the prefix of the keys.
    pub(crate) of: &'a ObjectName,
    /// Only keys after this one.
    pub(crate) after: Option<&'a str>,
    /// Only objects that were written at this time or later.
    pub(crate) since: Option<Timestamp>,
    /// Only objects that were written before this time.
    pub(crate) until: Timestamp,
    /// At most so many objects.
    pub(crate) limit: usize,
}

impl Deployed {
    /// Returns what the events about objects say of this account.
    pub(crate) fn circumstances<'a>(&'a self, reason: Option<&'a str>, anew: Option<Timestamp>) -> Circumstances<'a> {
        let identity = &self.account.identity;
        Circumstances {
            partition: identity.partition(),
            account: &identity.account,
            region: &identity.region,
            reason,
            anew,
        }
    }

    /// Returns a new event of an object, which need not exist.
    pub(crate) async fn created_anew(
        &self,
        name: &ObjectName,
        sample: &Sample,
        now: Timestamp,
    ) -> Result<Event, Failed> {
        let head = self.account.s3.head_object().bucket(&name.bucket).key(&name.key).send().await;
        let object = match head {
            Ok(head) => StoredObject {
                name: name.clone(),
                size: head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                etag: unquoted(head.e_tag()),
                modified: head.last_modified().and_then(time).unwrap_or(now),
            },
            Err(error) => {
                let why = causes(&error);
                diagnostics::warning(&format!("s3://{name} cannot be read: {why}; its event has made-up values"));
                StoredObject { name: name.clone(), size: sample.size, etag: ETAG.to_owned(), modified: now }
            }
        };
        let object = StoredObject { modified: sample.at.unwrap_or(object.modified), ..object };
        event(&object, &self.circumstances(Some(&sample.reason), Some(now)))
    }

    /// Lists objects in the order of their keys.
    pub(crate) async fn list(&self, listing: &Listing<'_>) -> Result<Vec<StoredObject>, Failed> {
        let ObjectName { bucket, key: prefix } = listing.of;
        let list = self.account.s3.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = list.set_start_after(listing.after.map(str::to_owned)).into_paginator().send();
        let is_wanted = |object: &StoredObject| {
            listing.since.is_none_or(|since| since <= object.modified) && object.modified < listing.until
        };
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refused(&format!("cannot list s3://{bucket}"), &error))?;
            let objects = page.contents.unwrap_or_default();
            found.extend(objects.into_iter().filter_map(|object| stored(bucket, object)).filter(is_wanted));
            if found.len() >= listing.limit {
                found.truncate(listing.limit);
                break;
            }
        }
        Ok(found)
    }

    /// Returns whether a route ran for what is in an object now.
    pub(crate) async fn ran(&self, route: &str, object: &StoredObject) -> Result<bool, Failed> {
        let mut query = HistoryQuery::new(Launches::Of(object.name.clone()));
        query.route = Some(route.to_owned());
        query.since = Some(object.first_told());
        for record in self.history(&query, usize::MAX).await? {
            let text = match record.event {
                EventCopy::Text(text) => text,
                EventCopy::Uri(uri) => {
                    let read = self.ports.payloads().get(&uri).await;
                    read.map_err(|error| Failed::Aws(format!("cannot read the event of {}: {error}", record.key)))?
                }
            };
            if Event::decode_copy(&text).is_ok_and(|event| object.is_told_by(&event)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the event of an object.
pub(crate) fn event(object: &StoredObject, circumstances: &Circumstances<'_>) -> Result<Event, Failed> {
    let made = object.event(circumstances);
    made.map_err(|error| Failed::Usage(format!("s3://{} makes no event: {error}", object.name)))
}

/// Returns an event of S3 as a route gets it: by a rule, or as a message of the route's queue.
pub(crate) fn delivered(event: Event, route: &Route) -> Option<Event> {
    let Some(queue) = route.queue() else { return Some(event) };
    let record = Record {
        message_id: event.id(),
        queue: queue.clone(),
        body: event.text.to_string(),
        attributes: Vec::new(),
        message_attributes: Vec::new(),
        unreadable: None,
    };
    match record.open().content {
        Ok(Decoded::Events(events)) => events.into_iter().next(),
        Ok(Decoded::Ignored(_) | Decoded::Redrive(_)) | Err(_) => None,
    }
}

/// Parses s3://BUCKET or s3://BUCKET/PREFIX.
pub(crate) fn prefix(text: &str) -> Result<ObjectName, String> {
    let name = text.strip_prefix("s3://").map(|name| name.split_once('/').unwrap_or((name, "")));
    match name.filter(|(bucket, _)| !bucket.is_empty()) {
        Some((bucket, key)) => Ok(ObjectName { bucket: bucket.to_owned(), key: key.to_owned() }),
        None => Err("write s3://BUCKET/PREFIX".to_owned()),
    }
}

fn stored(bucket: &str, object: Object) -> Option<StoredObject> {
    Some(StoredObject {
        size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        etag: unquoted(object.e_tag()),
        modified: object.last_modified().and_then(time)?,
        name: ObjectName { bucket: bucket.to_owned(), key: object.key? },
    })
}

/// Events have entity tags without the quotes of HTTP.
fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn time(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
