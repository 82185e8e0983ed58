//! What is sent to the dead-letter queue: the event, and everything that is known about why.

use serde::Serialize;
use serde_json::value::RawValue;

use super::record::{Attempt, EventCopy, LaunchRecord, LaunchedTask};

/// An event that ends without its tasks, or whose tasks failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Why.
    pub reason: String,
    /// The event's id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The route, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The launch in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<String>,
    /// The version of the config that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_etag: Option<String>,
    /// What was tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The tasks that were started nevertheless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<LaunchedTask>,
    /// The event as it was delivered.
    pub event: EventCopy,
}

/// The longest message that SQS takes, in bytes, with some room.
const BYTES_MAX: usize = 1_000_000;

impl DeadLetter {
    pub(super) fn of_launch(record: &LaunchRecord, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            event_id: Some(record.event_id.clone()),
            route: Some(record.key.route.clone()),
            launch: Some(record.key.to_string()),
            config_etag: record.config_etag.clone(),
            attempts: record.attempts.clone(),
            tasks: record.tasks.clone(),
            event: record.event.clone(),
        }
    }

    /// The message: JSON, in which an event that is JSON stands as it is, so that it can be taken out and sent again.
    ///
    /// What does not fit into a message is left out: the attempts first, and at last the event's text.
    pub fn message(&self) -> String {
        let whole = self.to_json();
        if whole.len() <= BYTES_MAX {
            return whole;
        }
        let fewer = Self { attempts: Vec::new(), tasks: Vec::new(), ..self.clone() };
        let message = fewer.to_json();
        if message.len() <= BYTES_MAX {
            return message;
        }
        let note = "the event is too large for this message; the ledger and the source have it".to_owned();
        Self { event: EventCopy::Text(note), ..fewer }.to_json()
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
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
        let mut message = Message { rest: &rest, event: None, event_text: None, event_uri: None };
        match &self.event {
            EventCopy::Uri(uri) => message.event_uri = Some(uri),
            EventCopy::Text(text) => match serde_json::from_str(text) {
                Ok(json) => message.event = Some(json),
                Err(_) => message.event_text = Some(text),
            },
        }
        serde_json::to_string(&message).unwrap_or_default()
    }
}
