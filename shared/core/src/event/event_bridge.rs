//! Events in EventBridge's format.

use jiff::Timestamp;

use super::fields::Fields;
use super::{DecodeError, Envelope, S3DetailType, S3Event};
use crate::event::identity::Identity;
use crate::text::Node;

/// An event as EventBridge delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBridgeEvent {
    /// The fields that every event has.
    pub envelope: Envelope,
    /// The content of `detail`, if the event is one of Amazon S3's own events about an object.
    pub s3: Option<S3Event>,
}

impl EventBridgeEvent {
    pub(super) fn decode(node: &Node) -> Result<Self, DecodeError> {
        let event = Fields::root(node)?;
        let envelope = Envelope::decode(&event)?;
        let detail = event.object("detail")?;
        let s3 = S3DetailType::of(&envelope).map(|detail_type| S3Event::decode(detail_type, &detail)).transpose()?;
        Ok(Self { envelope, s3 })
    }

    pub(super) fn time(&self) -> Option<Timestamp> {
        self.envelope.time.parse().ok()
    }

    pub(super) fn identity(&self) -> Identity {
        match &self.s3 {
            Some(event) => event.identity(&self.envelope),
            None => Identity::new(["event", &self.envelope.source, &self.envelope.id]),
        }
    }
}
