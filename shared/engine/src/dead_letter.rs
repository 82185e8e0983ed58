//! Sends dead letters, also to queues that take only short messages.

use trigger_core::launch::{DeadLetter, EventCopy};
use trigger_core::storage::Storage;

use crate::ports::{DeadLetters, NotSent, Payloads, Ports};

/// Sends a dead letter. If the queue takes only shorter messages, the letter goes without its attempts and tasks. If it
/// is still too long, the event goes to `storage`, and the letter says where it is.
///
/// # Errors
/// The letter was not sent, as far as is known.
pub(crate) async fn send(
    letter: &DeadLetter,
    queue: &impl DeadLetters,
    storage: Option<&Storage>,
    ports: &impl Ports,
) -> Result<(), NotSent> {
    match queue.send(letter).await {
        Err(NotSent::TooLong(_)) => {}
        sent => return sent,
    }
    let shorter = letter.without_history();
    let sent = queue.send(&shorter).await;
    let (Err(NotSent::TooLong(_)), EventCopy::Text(event), Some(storage)) = (&sent, &letter.event, storage) else {
        return sent;
    };
    let uri = storage.event_uri(event);
    ports.payloads().put(&uri, event).await.map_err(|error| NotSent::Failed(error.to_string()))?;
    queue.send(&shorter.pointing_to(&uri)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::*;
    use crate::scripted::Scripted;

    /// A queue that takes messages up to a number of bytes.
    struct Short {
        bytes_max: usize,
        taken: Mutex<Vec<String>>,
    }

    impl DeadLetters for Short {
        async fn send(&self, letter: &DeadLetter) -> Result<(), NotSent> {
            let message = letter.message();
            if message.len() > self.bytes_max {
                return Err(NotSent::TooLong(format!("must be shorter than {} bytes", self.bytes_max)));
            }
            self.taken.lock().expect("not poisoned").push(message);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_letter_that_is_too_long_loses_its_history_first_and_its_event_last() {
        let storage = "version: 1\nstorage: { bucket: state }\ntasks: {}\nroutes: []\n";
        let storage = RoutingConfig::parse(Source::new("c.yaml", storage)).expect("the config is valid").storage;
        let event = format!(r#"{{"a":"{}"}}"#, "x".repeat(500));
        let tasks = r#"[{"arn":"arn:task","attempt":0,"since":"2026-01-01T00:00:00Z"}]"#;
        let letter = DeadLetter {
            redrives: 0,
            reason: "no".to_owned(),
            event_id: None,
            route: None,
            launch: None,
            config_etag: None,
            attempts: Vec::new(),
            tasks: serde_json::from_str(tasks).expect("is a task"),
            event: EventCopy::Text(event.clone()),
        };
        let table = [
            (1000, storage.as_ref(), 1, "arn:task"),
            (letter.without_history().message().len(), storage.as_ref(), 1, &event),
            (200, storage.as_ref(), 1, "s3://state/payloads/"),
            (200, None, 0, ""),
        ];
        for (bytes_max, storage, letters, holds) in table {
            let (queue, ports) = (Short { bytes_max, taken: Mutex::default() }, Scripted::that_starts());
            let sent = send(&letter, &queue, storage, &ports).await;
            let taken = queue.taken.lock().expect("not poisoned").clone();
            assert_eq!((sent.is_ok(), taken.len()), (letters == 1, letters), "{bytes_max} {sent:?}");
            assert!(taken.iter().all(|letter| letter.contains(holds)), "{bytes_max}: {taken:?}");
        }
    }
}
