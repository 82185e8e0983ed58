//! Which events a user asks about: what a function would be invoked with, a message's body, or a firing.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::{Delivery, Event, Firing, Message, Queue, Record};
use trigger_core::routing::RoutingConfig;
use trigger_core::schedule::Schedule;
use trigger_core::text::diagnostic::hint;

use crate::diagnostics;
use crate::exit::Failed;
use crate::files::{not_decoded, read};

/// The arguments that name events.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// What a function is invoked with, as JSON: an event of EventBridge, a batch of SQS messages, a firing of a schedule. A
    /// file, or `-` for standard input.
    #[arg(required_unless_present = "schedule", conflicts_with = "schedule")]
    event: Option<PathBuf>,
    /// Take the file for the body of a message of this queue.
    #[arg(long, value_name = "QUEUE", conflicts_with = "schedule")]
    queue: Option<String>,
    /// The message group of that message.
    #[arg(long, value_name = "GROUP", requires = "queue")]
    group: Option<String>,
    /// An attribute of that message; may be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, requires = "queue")]
    attributes: Vec<(String, String)>,
    /// Take a firing of this route's schedule for the event.
    #[arg(long, value_name = "ROUTE")]
    schedule: Option<String>,
    /// The time of the firing, as in 2026-12-31T18:00:00Z. Default: the schedule's next.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "event")]
    at: Option<Timestamp>,
}

/// The events asked about.
pub(crate) struct Events {
    /// They, in their order.
    pub(crate) events: Vec<Event>,
    /// Whether they came as a batch, however many they are.
    pub(crate) is_batch: bool,
    /// Messages of the batch that cannot be decoded: their ids and why.
    pub(crate) undecoded: Vec<(String, String)>,
}

impl Events {
    fn one(event: Event) -> Self {
        Self { events: vec![event], is_batch: false, undecoded: Vec::new() }
    }

    /// Shows each message that cannot be decoded, and fails if there is one.
    pub(crate) fn check(&self) -> Result<(), Failed> {
        for (message_id, reason) in &self.undecoded {
            diagnostics::error(&format!("message {message_id}: {reason}"));
        }
        if self.undecoded.is_empty() { Ok(()) } else { Err(Failed::Event) }
    }
}

impl Sample {
    pub(crate) fn events(&self, config: &RoutingConfig) -> Result<Events, Failed> {
        match (&self.event, &self.queue, &self.schedule) {
            (Some(body), Some(queue), _) => self.message(config, queue, body),
            (Some(event), None, _) => delivered(config, event),
            (None, _, Some(route)) => firing(config, route, self.at).map(Events::one),
            (None, ..) => Err(Failed::Usage("name an event".to_owned())),
        }
    }

    fn message(&self, config: &RoutingConfig, queue: &str, body: &Path) -> Result<Events, Failed> {
        let configured = queue_of(config, queue)?;
        let asked = Queue::parse(queue).filter(|asked| asked.region.is_some() || asked.account.is_some());
        let queue = asked.unwrap_or_else(|| configured.clone());
        let source = read(body)?;
        let record = Record {
            message_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            queue,
            body: source.text.clone(),
            attributes: self.group.iter().map(|group| ("MessageGroupId".to_owned(), group.clone())).collect(),
            message_attributes: self.attributes.clone(),
            unreadable: None,
        };
        let decoded = Message::decode(&record).map_err(|error| not_decoded(&source, &error))?;
        let mut events = decoded.events();
        match (events.len(), events.pop()) {
            (1, Some(event)) => Ok(Events::one(event)),
            (_, last) => {
                Ok(Events { events: events.into_iter().chain(last).collect(), is_batch: true, undecoded: Vec::new() })
            }
        }
    }
}

fn delivered(config: &RoutingConfig, path: &Path) -> Result<Events, Failed> {
    let source = read(path)?;
    match Delivery::decode(&source.text).map_err(|error| not_decoded(&source, &error))? {
        Delivery::Event(event) => Ok(Events::one(config.event(*event))),
        Delivery::Batch(records) => {
            let mut events = Events { events: Vec::new(), is_batch: true, undecoded: Vec::new() };
            for record in records {
                match Message::decode(&record) {
                    Ok(decoded) => events.events.extend(decoded.events()),
                    Err(error) => events.undecoded.push((record.message_id, error.to_string())),
                }
            }
            Ok(events)
        }
    }
}

/// A firing of a route's schedule: at a time, or its next one.
fn firing(config: &RoutingConfig, route: &str, at: Option<Timestamp>) -> Result<Event, Failed> {
    let schedule = schedule_of(config, route)?;
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let time = at.or_else(|| schedule.next_after(now, now));
    let Some(time) = time else {
        return Err(Failed::Usage(format!("the schedule of `{route}` never fires again; name a time by --at")));
    };
    let just_before = time.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(time);
    if schedule.next_after(just_before, time) != Some(time) {
        diagnostics::warning(&format!("the schedule of `{route}` does not fire at {time}"));
    }
    Ok(Firing::local(route, time).into_event())
}

/// A route's schedule.
pub(crate) fn schedule_of<'a>(config: &'a RoutingConfig, route: &str) -> Result<&'a Schedule, Failed> {
    let schedule = config.route_on_schedule(route).and_then(|route| route.schedule());
    schedule.ok_or_else(|| {
        let scheduled = config.routes.iter().filter(|route| route.schedule().is_some());
        let hint = hint(route, scheduled.map(|route| route.name.as_str()));
        Failed::Usage(format!("no route `{route}` is on a schedule{hint}"))
    })
}

/// A queue that a route is on.
pub(crate) fn queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    among(&config.queues(), name, "no route is on a queue")
}

/// A queue that a route is on, or a worker.
pub(crate) fn any_queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    let queues: Vec<&Queue> = config.queues().into_iter().chain(config.worker_queues()).collect();
    among(&queues, name, "no route and no worker is on a queue")
}

fn among<'a>(queues: &[&'a Queue], name: &str, else_said: &str) -> Result<&'a Queue, Failed> {
    let asked = Queue::parse(name);
    let found = queues.iter().find(|queue| asked.as_ref().is_some_and(|asked| queue.is(asked)));
    found.copied().ok_or_else(|| {
        let hint = hint(name, queues.iter().map(|queue| queue.name.as_str()));
        Failed::Usage(format!("{else_said} `{name}`{hint}"))
    })
}

/// NAME=VALUE.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// A time with its offset.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a time such as 2026-12-31T18:00:00Z or 2026-12-31T18:00:00+09:00".to_owned())
}
