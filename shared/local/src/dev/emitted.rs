//! Events that other processes give to `dev`: the files of a folder.

use std::time::Instant;

use trigger_core::event::Event;
use trigger_core::routing::{EventSource, RoutingConfig};

use super::Dev;
use super::about::subject_of_id;
use crate::folders::queue::{FolderQueue, Look};
use crate::happening::Happening;

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Handles the events in the folder, in the order in which they were emitted.
    pub(super) async fn take_emitted(&mut self, events: &mut FolderQueue) {
        while takes_events(&self.config) {
            let Look { received, dead_lettered, refused } = events.look(Instant::now());
            for file in dead_lettered {
                self.refuse(format!("an event was handled, but not deleted, too often: it is now {}", file.display()));
            }
            for (path, reason) in refused {
                self.refuse(format!("cannot take the event {}: {reason}", path.display()));
            }
            if received.is_empty() {
                return;
            }
            for taken in received {
                self.emitted(&taken.record.body).await;
                if let Err(error) = events.delete(&taken.path) {
                    self.refuse(format!("cannot delete the handled event {}: {error}", taken.path.display()));
                }
            }
        }
    }

    async fn emitted(&mut self, text: &str) {
        let decoded = Event::decode(text);
        if let Some((event, of_event)) = decoded.as_ref().ok().and_then(|event| Some((event, event.event_bridge()?))) {
            (self.show)(&Happening::Emitted {
                source: of_event.envelope.source.clone(),
                detail_type: of_event.envelope.detail_type.clone(),
                event_id: event.id(),
            });
        }
        let subject = decoded.as_ref().map(|event| subject_of_id(&event.id())).unwrap_or_default();
        self.event(text, decoded, &subject).await;
    }
}

/// Returns whether a route takes events of EventBridge.
pub(super) fn takes_events(config: &RoutingConfig) -> bool {
    config.routes.iter().any(|route| matches!(route.on, EventSource::Events(_)))
}
