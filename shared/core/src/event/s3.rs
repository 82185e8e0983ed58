//! Amazon S3's events about an object.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use jiff::Timestamp;

use super::fields::Fields;
use super::{DecodeError, Envelope};
use crate::event::identity::Identity;
use crate::text::decode::choice;

/// The event source of S3's own events.
pub const S3_EVENT_SOURCE: &str = "aws.s3";

choice! {
    /// What happened to an object: the detail-types that S3 sends to EventBridge.
    pub enum S3DetailType {
        /// Written by PutObject, POST Object, CopyObject or CompleteMultipartUpload.
        ObjectCreated = "Object Created",
        /// Deleted by DeleteObject or by a lifecycle rule.
        ObjectDeleted = "Object Deleted",
        /// A restore from an archive has begun.
        ObjectRestoreInitiated = "Object Restore Initiated",
        /// A restored copy can be read.
        ObjectRestoreCompleted = "Object Restore Completed",
        /// A restored copy has expired.
        ObjectRestoreExpired = "Object Restore Expired",
        /// Moved to another storage class by a lifecycle rule.
        ObjectStorageClassChanged = "Object Storage Class Changed",
        /// Moved to another access tier by Intelligent-Tiering.
        ObjectAccessTierChanged = "Object Access Tier Changed",
        /// Its access control list was written.
        ObjectAclUpdated = "Object ACL Updated",
        /// Its tags were written.
        ObjectTagsAdded = "Object Tags Added",
        /// Its tags were removed.
        ObjectTagsDeleted = "Object Tags Deleted",
    }
}

impl S3DetailType {
    /// Every detail-type.
    pub const ALL: [Self; 10] = [
        Self::ObjectCreated,
        Self::ObjectDeleted,
        Self::ObjectRestoreInitiated,
        Self::ObjectRestoreCompleted,
        Self::ObjectRestoreExpired,
        Self::ObjectStorageClassChanged,
        Self::ObjectAccessTierChanged,
        Self::ObjectAclUpdated,
        Self::ObjectTagsAdded,
        Self::ObjectTagsDeleted,
    ];

    /// Returns the detail-type of an event if S3 itself sent it. (CloudTrail's events about S3 have the same source.)
    pub(super) fn of(envelope: &Envelope) -> Option<Self> {
        if envelope.source != S3_EVENT_SOURCE {
            return None;
        }
        Self::ALL.into_iter().find(|detail_type| detail_type.as_str() == envelope.detail_type)
    }
}

/// An event about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Event {
    /// The bucket's name.
    pub bucket: String,
    /// The object.
    pub object: S3Object,
    /// The id of the request that caused the event, the same at every delivery.
    pub request_id: Option<String>,
    /// What happened.
    pub change: S3Change,
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Object {
    /// The key, not encoded.
    pub key: String,
    /// The entity tag. A delete marker has none.
    pub etag: Option<String>,
    /// The version id, in a versioned bucket.
    pub version_id: Option<String>,
}

/// What happened to an object, with the data that only this kind of change has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Change {
    /// It was written.
    Created {
        /// The size in bytes.
        size: u64,
        /// Orders the creations and deletions of one key.
        sequencer: String,
        /// `PutObject`, `POST Object`, `CopyObject` or `CompleteMultipartUpload`.
        reason: String,
    },
    /// It was deleted.
    Deleted {
        /// Orders the creations and deletions of one key.
        sequencer: String,
        /// `DeleteObject` or `Lifecycle Expiration`.
        reason: String,
        /// `Permanently Deleted` or `Delete Marker Created`.
        deletion_type: String,
    },
    /// A restore has begun.
    RestoreInitiated {
        /// The storage class from which it is restored.
        source_storage_class: Option<String>,
    },
    /// A restored copy can be read.
    RestoreCompleted {
        /// When the restored copy expires.
        restore_expiry_time: Option<String>,
        /// The storage class from which it was restored.
        source_storage_class: Option<String>,
    },
    /// A restored copy has expired.
    RestoreExpired,
    /// It moved to another storage class.
    StorageClassChanged {
        /// The new storage class.
        destination_storage_class: Option<String>,
    },
    /// It moved to another access tier.
    AccessTierChanged {
        /// The new access tier.
        destination_access_tier: Option<String>,
    },
    /// Its access control list was written.
    AclUpdated,
    /// Its tags were written.
    TagsAdded,
    /// Its tags were removed.
    TagsDeleted,
    /// An event that only S3's notifications have, such as `Replication:OperationFailedReplication`.
    Other,
}

impl S3Event {
    /// Decodes the detail of an event of S3 whose detail-type is none of [`S3DetailType`]. Returns `None` if it is not
    /// about an object.
    pub(super) fn decode_other(detail: &Fields<'_>) -> Option<Self> {
        let bucket = detail.object("bucket").and_then(|bucket| bucket.string("name")).ok()?;
        let object = detail.object("object").and_then(|object| S3Object::decode(&object)).ok()?;
        Some(Self { bucket, object, request_id: detail.optional_string("request-id").ok()?, change: S3Change::Other })
    }

    pub(super) fn decode(detail_type: S3DetailType, detail: &Fields<'_>) -> Result<Self, DecodeError> {
        let object = detail.object("object")?;
        Ok(Self {
            bucket: detail.object("bucket")?.string("name")?,
            object: S3Object::decode(&object)?,
            request_id: detail.optional_string("request-id")?,
            change: S3Change::decode(detail_type, detail, &object)?,
        })
    }

    /// Returns the sequencer, which orders the creations and deletions of one key.
    pub fn sequencer(&self) -> Option<&str> {
        match &self.change {
            S3Change::Created { sequencer, .. } | S3Change::Deleted { sequencer, .. } => Some(sequencer),
            _ => None,
        }
    }

    /// Returns bucket, key, version (or entity tag) and sequencer. All deliveries of a notification share these, while
    /// AWS does not promise that they share the event id. S3's request id distinguishes changes without a sequencer.
    pub(super) fn identity(&self, envelope: &Envelope) -> Identity {
        let object = &self.object;
        let version = object.version_id.as_deref().or(object.etag.as_deref()).unwrap_or_default();
        let request_id = || self.request_id.as_deref().unwrap_or(&envelope.id);
        let occasion = self.sequencer().unwrap_or_else(request_id);
        Identity::new(["s3", &envelope.detail_type, &self.bucket, &object.key, version, occasion])
    }
}

impl S3Object {
    fn decode(object: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: object.string("key")?,
            etag: object.optional_string("etag")?,
            version_id: object.optional_string("version-id")?,
        })
    }
}

impl S3Change {
    fn decode(detail_type: S3DetailType, detail: &Fields<'_>, object: &Fields<'_>) -> Result<Self, DecodeError> {
        Ok(match detail_type {
            S3DetailType::ObjectCreated => Self::Created {
                size: object.integer("size")?,
                sequencer: object.string("sequencer")?,
                reason: detail.string("reason")?,
            },
            S3DetailType::ObjectDeleted => Self::Deleted {
                sequencer: object.string("sequencer")?,
                reason: detail.string("reason")?,
                deletion_type: detail.string("deletion-type")?,
            },
            S3DetailType::ObjectRestoreInitiated => {
                Self::RestoreInitiated { source_storage_class: detail.optional_string("source-storage-class")? }
            }
            S3DetailType::ObjectRestoreCompleted => Self::RestoreCompleted {
                restore_expiry_time: detail.optional_string("restore-expiry-time")?,
                source_storage_class: detail.optional_string("source-storage-class")?,
            },
            S3DetailType::ObjectRestoreExpired => Self::RestoreExpired,
            S3DetailType::ObjectStorageClassChanged => {
                let destination_storage_class = detail.optional_string("destination-storage-class")?;
                Self::StorageClassChanged { destination_storage_class }
            }
            S3DetailType::ObjectAccessTierChanged => {
                Self::AccessTierChanged { destination_access_tier: detail.optional_string("destination-access-tier")? }
            }
            S3DetailType::ObjectAclUpdated => Self::AclUpdated,
            S3DetailType::ObjectTagsAdded => Self::TagsAdded,
            S3DetailType::ObjectTagsDeleted => Self::TagsDeleted,
        })
    }
}

/// Returns a sequencer that sorts among those of S3 by its time. S3 does not document it, but its sequencers begin
/// with the seconds since 1970 in hexadecimal, as `00617F08299329D189` does. This one comes before all of its second.
pub(crate) fn sequencer(time: Timestamp) -> String {
    let (seconds, nanoseconds) = (time.as_second().max(0), time.subsec_nanosecond().max(0));
    format!("{seconds:010X}{nanoseconds:08X}")
}
