//! What is sent to the dead-letter queue: the event, and everything that is known about why.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::identity::LaunchKey;

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

/// The longest message that SQS takes, in bytes.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const BYTES_MAX: usize = 1 << 20;

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
    /// What does not fit into a message is left out: the attempts first, and at last the event's text ([`Self::holds_event`]).
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
        let note = "the event is too large for this message; the ledger and the source have it".to_owned();
        Self { event: EventCopy::Text(note), ..fewer }.to_json()
    }

    /// Whether the message has room for the event.
    pub fn holds_event(&self) -> bool {
        self.without_history().to_json().len() <= BYTES_MAX
    }

    fn without_history(&self) -> Self {
        Self { attempts: Vec::new(), tasks: Vec::new(), ..self.clone() }
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            /// By which it is known when it is sent again.
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
        serde_json::to_string(&message).unwrap_or_default()
    }
}

/// A dead letter that somebody sends again, to have its event tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redrive {
    /// A launch of the ledger.
    Launch(LaunchKey),
    /// An event of which nothing was launched: as it was delivered.
    Event(String),
}

impl Redrive {
    /// Reads a message, if it is a dead letter of ours.
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(rename = "dead_letter")]
            _version: u32,
            launch: Option<String>,
            #[serde(borrow)]
            event: Option<&'a RawValue>,
            event_text: Option<String>,
        }
        // Most are none: they need not be read twice.
        if !text.contains("\"dead_letter\"") {
            return None;
        }
        let message: Message<'_> = serde_json::from_str(text).ok()?;
        match message.launch {
            Some(launch) => LaunchKey::parse(&launch).map(Self::Launch),
            None => message.event_text.or_else(|| Some(message.event?.get().to_owned())).map(Self::Event),
        }
    }
}
