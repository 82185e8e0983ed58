//! The arguments that name events: a delivery as a function receives it, a message's body, or a firing.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{DecodeError, Decoded, Delivery, Door, Event, Firing, Queue, Record};
use trigger_core::routing::RoutingConfig;
use trigger_core::schedule::Schedule;
use trigger_core::text::Source;
use trigger_core::text::diagnostic::hint;

use crate::diagnostics;
use crate::exit::Failed;
use crate::files::{not_decoded, read};

/// The arguments that name the events a verb works on.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// The input of a function as JSON: an EventBridge event, a batch of SQS messages, or a firing of a schedule. A
    /// file, or `-` for standard input.
    #[arg(required_unless_present = "schedule", conflicts_with = "schedule")]
    event: Option<PathBuf>,
    /// Read the file as the body of a message from this queue.
    #[arg(long, value_name = "QUEUE", conflicts_with = "schedule")]
    queue: Option<String>,
    /// The message's group.
    #[arg(long, value_name = "GROUP", requires = "queue")]
    group: Option<String>,
    /// A message attribute; repeatable.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, requires = "queue")]
    attributes: Vec<(String, String)>,
    /// Use a firing of this route's schedule as the event.
    #[arg(long, value_name = "ROUTE")]
    schedule: Option<String>,
    /// The time of the firing, such as 2026-12-31T18:00:00Z. Default: the schedule's next firing.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "event")]
    at: Option<Timestamp>,
}

/// The events that the arguments name.
pub(crate) struct Events {
    /// The events in the order of the input.
    pub(crate) events: Vec<Event>,
    /// Whether the input is a batch, even of one event or none.
    pub(crate) is_batch: bool,
    /// The messages of the batch that cannot be decoded: id and reason.
    pub(crate) undecoded: Vec<(String, String)>,
}

impl Events {
    fn one(event: Event) -> Self {
        Self { events: vec![event], is_batch: false, undecoded: Vec::new() }
    }

    /// Reports each message that cannot be decoded, and fails if there is one.
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
            (None, ..) => Err(Failed::Usage("no event is given; name a file, or `-` for standard input".to_owned())),
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
        let opened = record.open();
        let source = inside(source.clone(), &opened.text);
        let mut events = match opened.content.map_err(|error| not_decoded(&source, &error))? {
            Decoded::Events(events) => events,
            Decoded::TestEvent => Vec::new(),
            Decoded::Redrive(launch) => return Err(of_launch(&source, &launch)),
        };
        match (events.len(), events.pop()) {
            (1, Some(event)) => Ok(Events::one(event)),
            (_, last) => {
                Ok(Events { events: events.into_iter().chain(last).collect(), is_batch: true, undecoded: Vec::new() })
            }
        }
    }
}

/// Returns the source of a text that was taken out of its dead letters: errors are about that text.
fn inside(source: Source, opened: &str) -> Source {
    match source.text == opened {
        true => source,
        false => Source::new(format!("the event in {}", source.name), opened),
    }
}

/// Refuses the dead letter of a launch: what it would start is in the ledger.
fn of_launch(source: &Source, launch: &LaunchKey) -> Failed {
    diagnostics::error(&format!("{}: {}", source.name, letter_of(launch)));
    Failed::Event
}

fn letter_of(launch: &LaunchKey) -> String {
    format!("this is the dead letter of the launch {launch}; save its `event` in a file and name that")
}

fn delivered(config: &RoutingConfig, path: &Path) -> Result<Events, Failed> {
    let source = read(path)?;
    let opened = Delivery::open(Door::Any, &source.text);
    let source = inside(source.clone(), &opened.text);
    match opened.content.map_err(|error| not_decoded(&source, &error))? {
        Delivery::Event(event) => Ok(Events::one(config.event(*event))),
        Delivery::Batch(records) => {
            let mut events = Events { events: Vec::new(), is_batch: true, undecoded: Vec::new() };
            for record in records {
                match record.open().content {
                    Ok(Decoded::Events(of_record)) => events.events.extend(of_record),
                    Ok(Decoded::TestEvent) => {}
                    Ok(Decoded::Redrive(launch)) => {
                        events.undecoded.push((record.message_id.clone(), letter_of(&launch)))
                    }
                    Err(error) => events.undecoded.push((record.message_id.clone(), error.to_string())),
                }
            }
            Ok(events)
        }
        Delivery::Redrive(launch) => Err(of_launch(&source, &launch)),
        Delivery::StateChange(_) | Delivery::Sweep => Err(not_decoded(&source, &DecodeError::UnknownDelivery)),
    }
}

/// Returns a firing of a route's schedule: at this time, or the next one.
fn firing(config: &RoutingConfig, route: &str, at: Option<Timestamp>) -> Result<Event, Failed> {
    let schedule = schedule_of(config, route)?;
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let time = at.or_else(|| schedule.next_after(now, now));
    let Some(time) = time else {
        return Err(Failed::Usage(format!("the schedule of `{route}` never fires again; give a time with --at")));
    };
    let just_before = time.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(time);
    if schedule.next_after(just_before, time) != Some(time) {
        diagnostics::warning(&format!("the schedule of `{route}` does not fire at {time}"));
    }
    Ok(Firing::local(route, time).into_event())
}

/// Returns a route's schedule.
///
/// # Errors
/// The config has no route with this name, or the route has no schedule.
pub(crate) fn schedule_of<'a>(config: &'a RoutingConfig, route: &str) -> Result<&'a Schedule, Failed> {
    let schedule = config.route_on_schedule(route).and_then(|route| route.schedule());
    schedule.ok_or_else(|| {
        let scheduled = config.routes.iter().filter(|route| route.schedule().is_some());
        let hint = hint(route, scheduled.map(|route| route.name.as_str()));
        Failed::Usage(format!("the config has no scheduled route `{route}`{hint}"))
    })
}

/// Returns the queue of this name that a route uses.
pub(crate) fn queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    among(&config.queues(), name, "no route uses the queue")
}

/// Returns the queue of this name that a route or a worker uses.
pub(crate) fn any_queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    let queues: Vec<&Queue> = config.queues().into_iter().chain(config.worker_queues()).collect();
    among(&queues, name, "no route or worker uses the queue")
}

fn among<'a>(queues: &[&'a Queue], name: &str, else_said: &str) -> Result<&'a Queue, Failed> {
    let asked = Queue::parse(name);
    let found = queues.iter().find(|queue| asked.as_ref().is_some_and(|asked| queue.is(asked)));
    found.copied().ok_or_else(|| {
        let hint = hint(name, queues.iter().map(|queue| queue.name.as_str()));
        Failed::Usage(format!("{else_said} `{name}`{hint}"))
    })
}

/// Parses NAME=VALUE.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Parses a time with an offset from UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a time such as 2026-12-31T18:00:00Z or 2026-12-31T18:00:00+09:00".to_owned())
}
