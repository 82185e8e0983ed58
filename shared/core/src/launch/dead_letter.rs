//! The message to the dead-letter queue: an event, and why it is there.

use serde::Serialize;
use serde_json::value::RawValue;

use super::record::{Attempt, EventCopy, LaunchRecord, LaunchedTask, is_zero};

/// An event whose tasks could not be started, or failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Why the event is dead-lettered, in words.
    pub reason: String,
    /// The event's id, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The name of the route, if the letter is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The launch's name, if there was a launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<String>,
    /// How often the launch had been redriven before.
    #[serde(skip_serializing_if = "is_zero")]
    pub redrives: u32,
    /// The version of the config that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_etag: Option<String>,
    /// The attempts of the launch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The tasks that were started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<LaunchedTask>,
    /// The event, as it was delivered.
    pub event: EventCopy,
}

/// A longer message, in bytes, is refused by SQS.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const BYTES_MAX: usize = 1 << 20;

impl DeadLetter {
    pub(super) fn of_launch(record: &LaunchRecord, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            event_id: Some(record.event_id.clone()),
            route: Some(record.key.route.clone()),
            launch: Some(record.key.to_string()),
            redrives: record.redrives(),
            config_etag: record.rendered.config_etag.clone(),
            attempts: record.attempts.clone(),
            tasks: record.tasks.clone(),
            event: record.event.clone(),
        }
    }

    /// Returns the message as JSON. An event that is JSON is embedded unchanged, so it can be taken out and delivered
    /// again.
    ///
    /// A letter that is too long leaves out its attempts and tasks. If that is not enough, it also leaves out the event
    /// ([`Self::holds_event`]).
    pub fn message(&self) -> String {
        let whole = self.to_json();
        if whole.len() <= BYTES_MAX {
            return whole;
        }
        let fewer = self.without_history();
        let message = fewer.to_json();
        if message.len() <= BYTES_MAX {
            return message;
        }
        let note = "the event is too large for this message; find it in the ledger or at its source".to_owned();
        Self { event: EventCopy::Text(note), ..fewer }.to_json()
    }

    /// Returns this letter with the URI where its event is stored, in place of the event.
    #[must_use]
    pub fn pointing_to(&self, uri: &str) -> Self {
        Self { event: EventCopy::Uri(uri.to_owned()), ..self.clone() }
    }

    /// Returns whether the message has room for the event.
    pub fn holds_event(&self) -> bool {
        self.without_history().to_json().len() <= BYTES_MAX
    }

    /// Returns this letter without its attempts and tasks.
    #[must_use]
    pub fn without_history(&self) -> Self {
        Self { attempts: Vec::new(), tasks: Vec::new(), ..self.clone() }
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            /// The version of the format. It also marks the message as a dead letter when it is redriven.
            dead_letter: u32,
            #[serde(flatten)]
            rest: &'a serde_json::Map<String, serde_json::Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            event: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "Option::is_none")]
            event_text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            event_uri: Option<&'a str>,
        }
        let Ok(serde_json::Value::Object(mut rest)) = serde_json::to_value(self) else { return String::new() };
        rest.remove("event");
        let mut message = Message { dead_letter: 1, rest: &rest, event: None, event_text: None, event_uri: None };
        match &self.event {
            EventCopy::Uri(uri) => message.event_uri = Some(uri),
            EventCopy::Text(text) => match serde_json::from_str(text) {
                Ok(json) => message.event = Some(json),
                Err(_) => message.event_text = Some(text),
            },
        }
        carried(&serde_json::to_string(&message).unwrap_or_default())
    }
}

/// Escapes the characters of a JSON text that SQS refuses in a message: all of them can only be within strings.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn carried(json: &str) -> String {
    let is_refused = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}') || (c < ' ' && !matches!(c, '\t' | '\n' | '\r'));
    if !json.contains(is_refused) {
        return json.to_owned();
    }
    let escaped = |c: char| if is_refused(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests;
