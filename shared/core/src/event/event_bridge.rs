//! Events in EventBridge's format.

use jiff::Timestamp;

use super::fields::Fields;
use super::{DecodeError, Envelope, S3_EVENT_SOURCE, S3Change, S3DetailType, S3Event};
use crate::event::identity::Identity;
use crate::text::Node;

/// An event as EventBridge delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBridgeEvent {
    /// The fields that every event has.
    pub envelope: Envelope,
    /// The content of `detail`, if the event is Amazon S3's own and about an object.
    pub s3: Option<S3Event>,
}

impl EventBridgeEvent {
    pub(super) fn decode(node: &Node) -> Result<Self, DecodeError> {
        // A pattern and a template could see different values.
        if let Some(key) = node.repeated_key() {
            let problem = "is there twice; send each key once".to_owned();
            return Err(DecodeError::Field { field: key.to_owned(), problem });
        }
        let event = Fields::root(node)?;
        let envelope = Envelope::decode(&event)?;
        let detail = event.object("detail")?;
        let s3 = match S3DetailType::of(&envelope) {
            Some(detail_type) => Some(S3Event::decode(detail_type, &detail)?),
            None if envelope.source == S3_EVENT_SOURCE => S3Event::decode_other(&detail),
            None => None,
        };
        Ok(Self { envelope, s3 })
    }

    /// Returns the S3 event that object and sequencer identify. Of the changes that only notifications have, S3 does
    /// not say what two of them share.
    pub(super) fn identified_s3(&self) -> Option<&S3Event> {
        self.s3.as_ref().filter(|event| event.change != S3Change::Other)
    }

    pub(super) fn time(&self) -> Option<Timestamp> {
        self.envelope.time.parse().ok()
    }

    pub(super) fn identity(&self) -> Identity {
        match self.identified_s3() {
            Some(event) => event.identity(&self.envelope),
            None => Identity::new(["event", &self.envelope.source, &self.envelope.id]),
        }
    }
}
