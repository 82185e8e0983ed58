//! Dead letters: why each message is in a dead-letter queue, which belong together, and how its event is delivered again.

mod reason;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{Decoded, Delivery, Door, Event, Queue, Record, RedrivenLaunch};
use crate::pattern::operator::Wildcard;
use crate::routing::RoutingConfig;

pub use reason::pattern_of;

/// A message of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMessage {
    /// SQS's message id, the same whenever the message is received.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// The attributes that the sender set.
    pub attributes: Vec<(String, String)>,
    /// When the message was sent: of a queue's message, to that queue.
    pub sent: Option<Timestamp>,
    /// The queue that gave the message up. Without one, the message was sent to the dead-letter queue itself.
    pub given_up_by: Option<Queue>,
}

/// What a dead letter is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// SQS's message id, or the name of the file.
    pub message_id: String,
    /// The names of the routes whose tasks the letter's event starts.
    pub routes: Vec<String>,
    /// Why the letter was written, in words.
    pub reason: String,
    /// The launch's name, if there was a launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<String>,
    /// The event's id, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// When the message was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
}

/// How a dead letter is delivered again.
#[derive(Debug, Clone, PartialEq)]
pub enum Redelivery {
    /// Its launch starts again.
    Launch(RedrivenLaunch),
    /// Its event is handled anew.
    Event(Box<Event>),
    /// Its messages are handled anew.
    Messages(Vec<Record>),
    /// Its event is stored at this URI: see [`DeadMessage::with_event`].
    Stored(String),
    /// It goes back to the queue that gave it up.
    SendBack(Queue),
    /// It needs no delivery: the sweep does what its event would have done.
    Needless,
    /// It cannot be delivered, for this reason.
    Impossible(String),
}

/// Which letters to take.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// Only letters of this route.
    pub route: Option<String>,
    /// Only letters whose reason matches.
    pub reason: Option<Wildcard>,
}

/// Letters of the same routes whose reasons differ only in ids, ARNs, times and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The names of the routes.
    pub routes: Vec<String>,
    /// The reason, with `*` for what differs. It takes all letters of the group as a [`Choice::reason`].
    pub reason: String,
    /// The number of letters.
    pub count: usize,
    /// When the latest of them was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<Timestamp>,
    /// The launch of one of them, or else the id of its event or message.
    pub example: String,
}

/// A dead letter of ecs-trigger.
#[derive(Deserialize)]
struct OfEcsTrigger<'a> {
    #[serde(rename = "dead_letter")]
    _version: u32,
    reason: String,
    event_id: Option<String>,
    route: Option<String>,
    launch: Option<String>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    event_text: Option<String>,
    event_uri: Option<String>,
}

/// Lambda's record of a failed invocation.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfLambda {
    request_context: RequestContext,
    response_payload: Option<ResponsePayload>,
}

#[derive(Deserialize)]
struct RequestContext {
    condition: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponsePayload {
    error_message: Option<String>,
}

const NO_ROUTE: &str = "no route of the config in force takes its event";

impl DeadMessage {
    /// Reads the message by the config in force.
    pub fn read(&self, config: &RoutingConfig) -> (Letter, Redelivery) {
        if let Some(queue) = &self.given_up_by {
            return self.of_queue(queue, config);
        }
        let letter: Option<OfEcsTrigger<'_>> = serde_json::from_str(&self.body).ok();
        let redelivery = self.redelivery(letter.as_ref(), config);
        let routes = match (letter.as_ref().and_then(|letter| letter.route.clone()), &redelivery) {
            (Some(route), _) => vec![route],
            (None, Redelivery::Launch(redriven)) => vec![redriven.launch.route.clone()],
            (None, Redelivery::Event(event)) => routes_of(event, config),
            (None, Redelivery::Messages(records)) => {
                records.iter().flat_map(|it| routes_of_record(it, config)).collect()
            }
            (None, _) => Vec::new(),
        };
        let known_id = match &redelivery {
            Redelivery::Event(event) => Some(event.id()),
            _ => None,
        };
        let launch = match &redelivery {
            Redelivery::Launch(redriven) => Some(redriven.launch.to_string()),
            _ => letter.as_ref().and_then(|letter| letter.launch.clone()),
        };
        let event_id = letter.as_ref().and_then(|letter| letter.event_id.clone()).or(known_id);
        let reason = letter.map_or_else(|| self.reason(), |letter| letter.reason);
        (self.letter(routes, reason, launch, event_id), redelivery)
    }

    /// Returns the message with the event in it that was stored elsewhere.
    #[must_use]
    pub fn with_event(&self, event: &str) -> Self {
        let Ok(serde_json::Value::Object(mut letter)) = serde_json::from_str(&self.body) else { return self.clone() };
        letter.remove("event_uri");
        letter.insert("event_text".to_owned(), event.into());
        Self { body: serde_json::Value::from(letter).to_string(), ..self.clone() }
    }

    fn letter(
        &self,
        mut routes: Vec<String>,
        reason: String,
        launch: Option<String>,
        event_id: Option<String>,
    ) -> Letter {
        routes.sort();
        routes.dedup();
        Letter { message_id: self.message_id.clone(), routes, reason, launch, event_id, sent: self.sent }
    }

    fn of_queue(&self, queue: &Queue, config: &RoutingConfig) -> (Letter, Redelivery) {
        let mut routes = routes_of_record(&self.record(queue, self.body.clone()), config);
        if routes.is_empty() {
            let of_queue = config.routes.iter().filter(|route| route.queue().is_some_and(|known| known.is(queue)));
            routes = of_queue.map(|route| route.name.clone()).collect();
        }
        let reason = format!("the queue {} gave the message up, as it was received too often", queue.name);
        (self.letter(routes, reason, None, None), Redelivery::SendBack(queue.clone()))
    }

    fn redelivery(&self, letter: Option<&OfEcsTrigger<'_>>, config: &RoutingConfig) -> Redelivery {
        if let Some(uri) = letter.filter(|it| it.launch.is_none()).and_then(|letter| letter.event_uri.clone()) {
            return Redelivery::Stored(uri);
        }
        let firing = self.undelivered_firing();
        let opened = config.open(firing.as_deref().unwrap_or(&self.body));
        let queue = letter.and_then(|letter| config.route(letter.route.as_deref()?)?.queue());
        match (opened.content, queue) {
            (Ok(Delivery::Redrive(redriven)), _) if config.ledger().is_some() => Redelivery::Launch(redriven),
            (Ok(Delivery::Redrive(_)), _) => event_of_launch(&opened.text, config),
            (_, Some(queue)) => Redelivery::Messages(vec![self.record(queue, opened.text.into_owned())]),
            (Ok(Delivery::Event(event)), None) => event_or_nothing(*event, config),
            (Ok(Delivery::Batch(records)), None) => Redelivery::Messages(records),
            (Ok(Delivery::StateChange(_) | Delivery::Work(_) | Delivery::Sweep), None) => Redelivery::Needless,
            (Err(error), None) => {
                let gone = letter.and_then(|it| it.route.as_deref()).filter(|route| config.route(route).is_none());
                let no_route = gone.map(|route| format!("the config in force has no route `{route}`"));
                Redelivery::Impossible(no_route.unwrap_or_else(|| error.to_string()))
            }
        }
    }

    /// Returns the input that Scheduler could not deliver, if the message is one. Scheduler fills in the schedule and the
    /// time only when it delivers.
    /// Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html>
    fn undelivered_firing(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Input {
            route: String,
        }
        let (arn, time) = (self.attribute("SCHEDULE_ARN")?, self.attribute("SCHEDULED_TIME")?);
        let Input { route } = serde_json::from_str(&self.body).ok()?;
        Some(serde_json::json!({ "route": route, "schedule_arn": arn, "scheduled_time": time }).to_string())
    }

    /// Returns the reason that Lambda, EventBridge or Scheduler gives.
    fn reason(&self) -> String {
        if let Ok(record) = serde_json::from_str::<OfLambda>(&self.body) {
            let message = record.response_payload.and_then(|payload| payload.error_message);
            return message
                .unwrap_or_else(|| format!("Lambda gave the event up: {}", record.request_context.condition));
        }
        let parts: Vec<&str> = ["ERROR_CODE", "ERROR_MESSAGE"].iter().filter_map(|it| self.attribute(it)).collect();
        match parts.as_slice() {
            [] => "the message gives no reason".to_owned(),
            parts => format!("the function could not be invoked: {}", parts.join(": ")),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns a message with the identity of this one, as its queue delivers it.
    fn record(&self, queue: &Queue, body: String) -> Record {
        let sent = self.sent.map(|sent| ("SentTimestamp".to_owned(), sent.as_millisecond().to_string()));
        Record {
            message_id: self.message_id.clone(),
            queue: queue.clone(),
            body,
            attributes: sent.into_iter().collect(),
            message_attributes: self.attributes.clone(),
            unreadable: None,
        }
    }
}

/// Returns the event of a launch that no ledger knows.
fn event_of_launch(letter: &str, config: &RoutingConfig) -> Redelivery {
    let letter: Option<OfEcsTrigger<'_>> = serde_json::from_str(letter).ok();
    let text = letter.and_then(|it| it.event_text.or_else(|| Some(it.event?.get().to_owned())));
    match text.map(|text| Event::decode_copy(&text)) {
        Some(Ok(event)) => event_or_nothing(event, config),
        Some(Err(error)) => Redelivery::Impossible(error.to_string()),
        None => Redelivery::Impossible("the letter does not hold its event".to_owned()),
    }
}

fn event_or_nothing(event: Event, config: &RoutingConfig) -> Redelivery {
    match config.matches(&event) {
        Ok(routes) if !routes.is_empty() => Redelivery::Event(Box::new(event)),
        Ok(_) if is_state_change(&event) => Redelivery::Needless,
        Ok(_) => Redelivery::Impossible(NO_ROUTE.to_owned()),
        Err(error) => Redelivery::Impossible(error.to_string()),
    }
}

fn is_state_change(event: &Event) -> bool {
    matches!(Delivery::open(Door::TaskLifecycle, &event.text).content, Ok(Delivery::StateChange(_)))
}

fn routes_of(event: &Event, config: &RoutingConfig) -> Vec<String> {
    let routes = config.matches(event).unwrap_or_default();
    routes.into_iter().map(|route| route.name.clone()).collect()
}

fn routes_of_record(record: &Record, config: &RoutingConfig) -> Vec<String> {
    match record.open().content {
        Ok(Decoded::Events(events)) => events.iter().flat_map(|event| routes_of(event, config)).collect(),
        Ok(Decoded::Redrive(redriven)) => vec![redriven.launch.route],
        Ok(Decoded::Ignored(_)) | Err(_) => Vec::new(),
    }
}

impl Choice {
    /// Returns whether a letter is one to take.
    pub fn takes(&self, letter: &Letter) -> bool {
        self.route.as_ref().is_none_or(|route| letter.routes.contains(route))
            && self.reason.as_ref().is_none_or(|reason| reason.matches(&letter.reason))
    }
}

/// Returns the groups of letters, the largest first.
pub fn groups<'a>(letters: impl IntoIterator<Item = &'a Letter>) -> Vec<Group> {
    let mut groups: BTreeMap<(&[String], String), Group> = BTreeMap::new();
    for letter in letters {
        let reason = pattern_of(&letter.reason);
        let group = groups.entry((&letter.routes, reason.clone())).or_insert_with(|| Group {
            routes: letter.routes.clone(),
            reason,
            count: 0,
            latest: None,
            example: letter.launch.as_ref().or(letter.event_id.as_ref()).unwrap_or(&letter.message_id).clone(),
        });
        group.count += 1;
        group.latest = group.latest.max(letter.sent);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| Reverse(group.count));
    groups
}

#[cfg(test)]
mod tests;
