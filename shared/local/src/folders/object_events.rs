//! The events that S3 sends to EventBridge about objects.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use trigger_core::event::identity::id_of;

use super::bucket::{ACCOUNT, REGION};

/// An object that was created.
#[derive(Debug, Clone, Copy)]
pub struct Created<'a> {
    /// The name of the bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The size in bytes.
    pub size: u64,
    /// The ETag.
    pub etag: &'a str,
    /// `PutObject`, `POST Object`, `CopyObject` or `CompleteMultipartUpload`.
    pub reason: &'a str,
    /// When the object was created.
    pub time: Timestamp,
}

impl Created<'_> {
    /// Returns the event. The event's id and sequencer come from the bucket, the key and the time.
    pub fn event(&self) -> String {
        let mut detail = self::detail(self.bucket, self.key, self.time, self.reason);
        detail["object"]["size"] = self.size.into();
        detail["object"]["etag"] = self.etag.into();
        event("Object Created", self.bucket, self.key, self.time, detail)
    }
}

/// Returns the event of an object that was deleted for good.
pub(super) fn deleted(bucket: &str, key: &str, time: Timestamp) -> String {
    let mut detail = detail(bucket, key, time, "DeleteObject");
    detail["deletion-type"] = "Permanently Deleted".into();
    event("Object Deleted", bucket, key, time, detail)
}

fn sequencer(time: Timestamp) -> String {
    format!("{:016X}", time.as_nanosecond())
}

fn detail(bucket: &str, key: &str, time: Timestamp, reason: &str) -> Value {
    json!({
        "version": "0",
        "bucket": { "name": bucket },
        "object": { "key": key, "sequencer": sequencer(time) },
        "request-id": "LOCAL",
        "requester": ACCOUNT,
        "source-ip-address": "127.0.0.1",
        "reason": reason,
    })
}

fn event(detail_type: &str, bucket: &str, key: &str, time: Timestamp, detail: Value) -> String {
    json!({
        "version": "0",
        "id": id_of(&[detail_type, bucket, key, &sequencer(time)]),
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": time.round(Unit::Second).unwrap_or(time).to_string(),
        "region": REGION,
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": detail,
    })
    .to_string()
}
